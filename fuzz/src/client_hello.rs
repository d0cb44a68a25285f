//! The server name in a ClientHello: cut anywhere it is the same name, and a second reader finds it too.
#![forbid(unsafe_code)]

use sslserver::sniproxy::naming;
use sslserver::tls::client_hello::{ClientHello, Refusal, Verdict};

#[path = "../../src/tls/client_hello/plain.rs"]
mod plain;

pub fn run(bytes: &[u8]) -> bool {
    let verdict = ClientHello::default().feed(bytes);
    assert_eq!(verdict, plain::plainly(bytes));
    for size in [1, 1 + bytes.len() / 3] {
        assert_eq!(in_pieces(bytes, size), verdict, "{size}");
    }
    let Verdict::Name(name) = verdict else {
        return false;
    };
    // Whatever it is, looking for its directory does no harm.
    naming::is_spelled_right(&name);
    true
}

fn in_pieces(bytes: &[u8], size: usize) -> Verdict {
    let mut hello = ClientHello::default();
    let mut verdicts = bytes.chunks(size).map(|piece| hello.feed(piece));
    let last = verdicts.find(|verdict| *verdict != Verdict::NeedMore);
    last.unwrap_or(Verdict::NeedMore)
}
