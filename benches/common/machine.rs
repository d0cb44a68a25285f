//! What is to be said about the machine, and the one thing that is asked of it: descriptors.
#![forbid(unsafe_code)]

use std::fs;
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Room for every client and server descriptor; servers inherit it.
pub fn raise_descriptor_limit(wanted: u64) {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < wanted
        && let Err(e) = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard)
    {
        eprintln!("unable to raise the limit of descriptors: {e}");
    }
}

/// Name and value, in the order to be printed.
pub fn machine() -> Vec<(&'static str, String)> {
    let line = |file: &str| {
        fs::read_to_string(file).map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
    };
    let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        text.lines().find_map(|line| {
            line.strip_prefix("model name")?
                .split_once(": ")
                .map(|(_, model)| model.to_owned())
        })
    });
    vec![
        (
            "cores",
            std::thread::available_parallelism().map_or_else(|_| "?".to_owned(), |n| n.to_string()),
        ),
        ("processor", model.unwrap_or_else(|| "?".to_owned())),
        ("kernel", line("/proc/sys/kernel/osrelease")),
        ("openssl", openssl::version::version().to_owned()),
        (
            "load at start",
            line("/proc/loadavg")
                .split(' ')
                .take(3)
                .collect::<Vec<_>>()
                .join(" "),
        ),
    ]
}

/// Debian's version of a package.
pub fn package_version(package: &str) -> Option<String> {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}", package])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !version.is_empty()).then_some(version)
}
