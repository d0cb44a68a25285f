//! Code that was moved while the process runs.

use std::fs;
use std::path::Path;

use openssl::sha::sha256;
use sslserver::sys::{code, process};

crate::tests! {
    code_that_was_moved_into_huge_pages_runs_on
}

/// In a child, so that nothing else runs from moved code.
fn code_that_was_moved_into_huge_pages_runs_on() {
    let child = process::fork_role(Vec::new(), |_| {
        let before = sha256(b"code");
        code::into_huge_pages();
        let as_before = sha256(b"code") == before;
        // Without huge pages nothing is moved.
        let moved = moved() || !Path::new("/sys/kernel/mm/transparent_hugepage").exists();
        u8::from(!as_before) + 2 * u8::from(!moved)
    });
    let child = child.map_err(|(errno, _)| errno).unwrap();
    assert_eq!(super::children::exit_code(child), 0);
}

/// Whether there is code that comes from no file, and is not writable.
fn moved() -> bool {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.len() == 5 && fields[1] == "r-xp"
    })
}
