//! PROXY headers: the parser takes the header and nothing behind it however it comes, and reads what we write.
#![forbid(unsafe_code)]

use sslserver::net::preamble::{Ends, Facts};
use sslserver::net::proxy_header::{Announced, BadHeader, Parser};

pub fn run(bytes: &[u8]) -> bool {
    let mut parser = Parser::default();
    let whole = parser.take(bytes);
    assert_eq!(in_pieces(bytes), whole);
    let Ok((length, Some(announced))) = whole else {
        return false;
    };
    assert_eq!(parser.into_bytes(), &bytes[..length]);
    if let Announced::Ends { remote, local } = announced {
        let ends = Ends::new(remote, local);
        for written in [ends.line(), ends.binary(&Facts::default())] {
            let read = Parser::default().take(&written);
            assert_eq!(read, Ok((written.len(), Some(announced))), "{written:02x?}");
        }
    }
    true
}

fn in_pieces(bytes: &[u8]) -> Result<(usize, Option<Announced>), BadHeader> {
    let mut parser = Parser::default();
    for (index, byte) in bytes.iter().enumerate() {
        match parser.take(&[*byte]) {
            Ok((_, None)) => {}
            Ok((_, announced)) => return Ok((index + 1, announced)),
            Err(bad) => return Err(bad),
        }
    }
    Ok((bytes.len(), None))
}
