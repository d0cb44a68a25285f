//! The rules language: what is compiled is found again, and a client with an address of its own in there has that rule.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;

use sslserver::rules::cdb::Cdb;
use sslserver::rules::{Client, key, lookup};
use sslserver::tcprules::compile::compile;

use super::temporary::Temporary;

type Records = Vec<(Vec<u8>, Vec<u8>)>;

pub fn run(source: &[u8]) -> bool {
    let mut records = Records::new();
    let add = |key: &[u8], data: &[u8]| {
        assert!(is_data(data), "{}", data.escape_ascii());
        records.push((key.to_vec(), data.to_vec()));
        Ok(())
    };
    let warn = |warning: String| assert!(!warning.contains(char::is_control));
    let compiled = compile(&mut &source[..], add, warn);
    if let Err(error) = &compiled {
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
    let cdb = Cdb::new(file(&records)).unwrap();
    let mut first = HashMap::new();
    for (key, data) in &records {
        first.entry(key).or_insert(data);
    }
    for (stored, data) in first {
        assert_eq!(cdb.find(&[stored]), Ok(Some(&data[..])));
        key::describe(stored);
        let Some(ip) = address(stored) else {
            continue;
        };
        let verdict = lookup::decide(&cdb, &client(ip)).unwrap();
        assert_eq!(verdict.matched.as_ref(), Some(stored));
        assert_eq!(verdict.deny, data.starts_with(b"D\0"));
    }
    for ip in ["127.0.0.1", "::1"] {
        assert!(lookup::decide(&cdb, &client(ip.parse().unwrap())).is_ok());
    }
    compiled.is_ok() && !records.is_empty()
}

/// Items that end in NUL: `D` if it denies, then variables.
fn is_data(data: &[u8]) -> bool {
    let variables = data.strip_prefix(b"D\0").unwrap_or(data);
    let mut items = variables.split_inclusive(|&byte| byte == 0);
    items.all(|item| item.starts_with(b"+") && item.contains(&b'=') && item.ends_with(b"\0"))
}

fn client(ip: IpAddr) -> Client<'static> {
    Client {
        ip,
        host: Some(b"client.example.org"),
        info: None,
    }
}

/// The address whose key this is. IPv4 in the clothing of IPv6 is nobody's.
fn address(stored: &[u8]) -> Option<IpAddr> {
    let ip: IpAddr = str::from_utf8(stored).ok()?.parse().ok()?;
    let is_mapped = matches!(ip, IpAddr::V6(six) if six.to_ipv4_mapped().is_some());
    (!is_mapped && key::address(ip).as_bytes() == stored).then_some(ip)
}

/// As `tcprules` writes it.
fn file(records: &Records) -> Vec<u8> {
    let file = Temporary::with(b"");
    let mut make = cdb2::CDBMake::new(file.0.try_clone().unwrap()).unwrap();
    for (key, data) in records {
        make.add(key, data).unwrap();
    }
    make.finish().unwrap();
    fs::read(file.path()).unwrap()
}
