//! What an IDENT server answers: the listener takes whatever the lookup process makes of it.
#![forbid(unsafe_code)]

use sslserver::privsep::lookup::ident;
use sslserver::privsep::message::lookup::MAX_INFO;

use super::dns;

pub fn run(bytes: &[u8]) -> bool {
    // It is read up to the end of its first line.
    let line = bytes
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let Some(info) = ident::parse(line) else {
        return false;
    };
    assert!((1..=MAX_INFO).contains(&info.len()));
    dns::assert_taken(None, Some(info));
    true
}
