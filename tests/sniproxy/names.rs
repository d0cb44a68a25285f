//! The router and the utility agree on every name.
#![forbid(unsafe_code)]

use crate::common::{LIMIT, run};
use crate::router::{Router, Setup, alert, hello_of};
use std::process::Command;

/// The directory that the utility names, if it names one.
fn told(name: &str) -> Option<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sniproxy-hostname"));
    command.args(["--", name]);
    let outcome = run(command, b"", LIMIT);
    match outcome.code() {
        0 => Some(outcome.text().trim_end().to_owned()),
        1 => None,
        _ => panic!("{outcome:?}"),
    }
}

/// True if a client that asks for this name reaches the backend of that directory.
fn leads_to(router: &Router, name: &str, directory: &str) -> bool {
    let backend = router.backend(directory);
    let mut client = router.saying(&hello_of(name.as_bytes()));
    // One of them is decided first.
    let heard = crate::common::eventually("a backend or an alert", || {
        if !backend.is_idle() {
            return Some(true);
        }
        client.0.set_nonblocking(true).unwrap();
        let mut byte = [0];
        client.0.peek(&mut byte).ok().map(|_| false)
    });
    client.0.set_nonblocking(false).unwrap();
    if !heard {
        assert_eq!(client.rest(), alert(112), "{name}");
    }
    std::fs::remove_dir_all(router.hosts.join(directory)).unwrap();
    heard
}

#[test]
fn what_the_utility_prints_is_what_clients_reach_and_nothing_else_is() {
    let router = Setup::new().start();
    let long = [&"a".repeat(63)[..]; 4].join(".");
    let names = [
        "localhost",
        "127.0.0.1",
        "1.2",
        "a",
        "EXAMPLE.com",
        "example.com",
        "example.com.",
        "a-.com",
        "-a.com",
        "a.-b",
        "ab--cd.com",
        "a--.b",
        "xn--",
        "xn--.com",
        "xn--a.com",
        "xn--ascii-.com",
        "XN--SR8HVO.ws",
        "xn--bcher-kva.de",
        "xn--fa-hia.de",
        "xn--99999999.de",
        "xn--a-ecp.ru",
        "xn--1ug.com",
        "1.xn--4db.com",
        "a.xn--4db.com",
        "axn--b.de",
        "a_b.com",
        "*.com",
        "a..b",
        ".a",
        "a b",
        &long[..63],
        &"b".repeat(64),
        &long[..253],
        &long[2..],
        &long,
    ];
    let (mut reached, mut refused) = (0, 0);
    for name in names {
        let directory = told(name);
        let asked = name.to_ascii_lowercase();
        // Clients say no dot at the end; people may.
        let is_said_so = directory.as_deref() == Some(&asked);
        match asked.contains(['/', '\0']) || asked.is_empty() || asked.len() > 255 {
            true => continue,
            false => assert_eq!(leads_to(&router, name, &asked), is_said_so, "{name}"),
        }
        if let Some(directory) = directory {
            assert!(leads_to(&router, &directory, &directory), "{name}");
            reached += 1;
        } else {
            refused += 1;
        }
    }
    assert!(reached > 12 && refused > 12, "{reached} {refused}");
    router.stop(&[]);
}

#[test]
fn hashed_names_lead_to_hashed_directories_alone() {
    let hashed = "ceA51lG1FUJ-gCIICYcmzOsjls2JmL6BBz5LAHROpe0";
    for by_file in [false, true] {
        let setup = match by_file {
            false => Setup::new().options(&["--hashed"]),
            true => {
                let setup = Setup::new();
                setup.hosts.write(".hashed", "");
                setup
            }
        };
        let router = setup.start();
        assert!(leads_to(&router, "Example.com", hashed));
        assert!(!leads_to(&router, "example.com", "example.com"));
        let long = ["a"; 127].join(".");
        assert_eq!(long.len(), 253);
        assert!(!leads_to(&router, &long, hashed));
        router.stop(&[]);
    }
}
