//! Names of hosts and their directories: each has one spelling, which router and utility agree on.
#![forbid(unsafe_code)]

use sslserver::net::host_name::{HostName, LONGEST};
use sslserver::sniproxy::naming::{Naming, is_spelled_right, spell};

pub fn run(bytes: &[u8]) -> bool {
    if let Ok(name) = HostName::parse(bytes) {
        assert!(name.eq_ignore_ascii_case(std::str::from_utf8(bytes).unwrap()));
        // What the router takes has the spelling that the utility gives.
        if is_spelled_right(&name) {
            assert_eq!(spell(bytes).as_deref(), Ok(name.as_str()));
        }
    }
    let Ok(name) = spell(bytes) else {
        return false;
    };
    assert_eq!(spell(name.as_bytes()).as_ref(), Ok(&name));
    assert_eq!(HostName::parse(name.as_bytes()).as_ref(), Ok(&name));
    assert!(is_spelled_right(&name));
    for naming in [Naming::Plain, Naming::Hashed] {
        let directory = naming.directory(&name);
        assert!(!directory.is_empty() && directory.len() <= LONGEST);
        assert!(!directory.contains('/') && !directory.starts_with('.'));
    }
    true
}
