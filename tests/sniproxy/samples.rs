//! The samples do what their heads say.
#![forbid(unsafe_code)]

use crate::common::{
    LIMIT, Process, TempDir, eventually, peers::must, run, say, tempdir::set_mode, without_root,
};
use crate::router::{Backend, Client, ROUTER, Setup, alert, hello};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("rules")
        .join(name)
}

/// True, said, where a program is missing.
fn without(test: &str, program: &str) -> bool {
    let paths = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let is_there = paths
        .split(':')
        .any(|path| Path::new(path).join(program).exists());
    if !is_there {
        say(&format!("{test}: skipped: needs {program}"));
    }
    !is_there
}

#[test]
fn the_units_are_understood_by_systemd() {
    if without("the_units_are_understood_by_systemd", "systemd-analyze") {
        return;
    }
    let dir = TempDir::new();
    let service = fs::read_to_string(sample("sniproxy.service")).unwrap();
    assert!(service.contains("ExecStart=/usr/local/bin/sniproxy -v\n"));
    let service = service.replace("/usr/local/bin/sniproxy", ROUTER);
    let unit = dir.write("sniproxy.service", service.replace("man:sniproxy(8)", ""));
    fs::copy(sample("sniproxy.socket"), dir.join("sniproxy.socket")).unwrap();
    let mut command = Command::new("systemd-analyze");
    command
        .arg("verify")
        .arg(unit)
        .arg(dir.join("sniproxy.socket"));
    let outcome = run(command, b"", LIMIT);
    assert_eq!(
        (outcome.code(), outcome.stderr.as_str()),
        (0, ""),
        "{outcome:?}"
    );
}

#[test]
fn inetd_starts_it_with_the_first_client_and_leaves_it_the_others() {
    let test = "inetd_starts_it_with_the_first_client_and_leaves_it_the_others";
    if without(test, "inetd") || without_root(test) {
        return;
    }
    let dir = TempDir::new();
    let hosts = dir.subdirectory("hosts");
    let log = dir.text("log");
    let wrapper = format!(
        "#!/bin/sh\nPATH={}:$PATH HOSTS={} LOG={log} exec {}\n",
        Path::new(ROUTER).parent().unwrap().display(),
        hosts.display(),
        sample("run.sniproxy-inetd").display(),
    );
    set_mode(&dir.write("start", wrapper), 0o755);
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let start = dir.text("start");
    let line = format!("127.0.0.1:{port} stream tcp wait root {start} {start}\n");
    let configuration = dir.write("inetd.conf", line);
    let paths = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let mut inetd = Command::new("inetd");
    inetd.env("PATH", paths).arg("-i").arg(configuration);
    let _inetd = Running::start(inetd);
    let backend = Backend::new(hosts.join("a.example"));
    let connect = || Some(Client(TcpStream::connect(("127.0.0.1", port)).ok()?).patient());
    let mut client = eventually("inetd", connect);
    client.send(&hello("a.example"));
    backend.accept().send(b"first");
    assert_eq!(client.read(5), b"first");
    let mut other = eventually("the router", connect);
    other.send(&hello("nobody.example"));
    assert_eq!(other.rest(), alert(112));
    drop((client, other));
    let lines = eventually("the log", || {
        let text = fs::read_to_string(&log).ok()?;
        (text.lines().count() == 2).then_some(text)
    });
    assert!(lines.contains("nobody.example 0 0"), "{lines}");
}

/// A program that ends with the test, and its children with it.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Running {
        let null = command.stdin(Stdio::null()).stdout(Stdio::null());
        Running(null.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let children = pids.filter_map(Process::read);
        let own = i32::try_from(self.0.id()).unwrap();
        let children: Vec<_> = children.filter(|process| process.parent == own).collect();
        let _ = self.0.kill();
        let _ = self.0.wait();
        for child in children {
            let _ = kill(Pid::from_raw(child.pid), Signal::SIGKILL);
        }
    }
}

fn command(program: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words);
    command
}

/// As this user of the group that may register names.
fn as_user(uid: u32, words: &[&str]) -> bool {
    let ids = [
        format!("--reuid={uid}"),
        "--regid=61010".into(),
        "--clear-groups".into(),
    ];
    let mut command = Command::new("setpriv");
    command.args(&ids).args(words);
    run(command, b"", LIMIT).status.success()
}

#[test]
fn users_of_a_group_register_names_and_cannot_take_each_others() {
    let test = "users_of_a_group_register_names_and_cannot_take_each_others";
    if without(test, "setfacl") || without(test, "socat") || without_root(test) {
        return;
    }
    let setup = Setup::new().under(&[
        "setpriv",
        "--reuid=61001",
        "--regid=61001",
        "--clear-groups",
    ]);
    let hosts = setup.hosts.text("");
    must(command(
        sample("sniproxy-hosts").to_str().unwrap(),
        &[&hosts, "61010", "61001"],
    ));
    let mode = fs::metadata(&hosts).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o1775, "{mode:o}");
    let (a, socket) = (
        setup.hosts.text("a.example"),
        setup.hosts.text("a.example/tls-socket"),
    );
    let (joe, eve) = (61002, 61003);
    assert!(as_user(joe, &["mkdir", &a]));
    assert!(!as_user(eve, &["ls", &a]));
    assert!(!as_user(eve, &["mv", &a, &setup.hosts.text("mine")]));
    assert!(!as_user(eve, &["rmdir", &a]));
    assert!(!as_user(eve, &["touch", &setup.hosts.text("a.example/x")]));
    let router = setup.start();
    assert_eq!(router.saying(&hello("a.example")).rest(), alert(112));
    // A backend of Joe's that greets and ends.
    let script = format!("umask 007; exec socat UNIX-LISTEN:{socket} SYSTEM:'echo hello'");
    let mut backend = Command::new("setpriv");
    backend.args(["--reuid=61002", "--regid=61010", "--clear-groups"]);
    backend.args(["sh", "-c", &script]);
    let _backend = Running::start(backend);
    let client = || router.saying(&hello("a.example")).rest();
    eventually("the greeting", || (client() == b"hello\n").then_some(()));
}
