//! IDENT (RFC 1413): asks the client's machine who the user at the other end of the connection is. It may say anything.
#![forbid(unsafe_code)]

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};

use crate::privsep::message::lookup::MAX_INFO;

/// The longest answer that RFC 1413 allows.
const MAX_ANSWER: usize = 1000;

/// Asks for the owner of the connection that came from `remote` to `local`. No, late and strange answers are none;
/// how late is the caller's affair.
pub async fn ask(local: SocketAddr, remote: SocketAddr, port: u16) -> Option<Vec<u8>> {
    let answer = exchange(local, remote, port).await.ok()?;
    parse(&answer)
}

async fn exchange(local: SocketAddr, remote: SocketAddr, port: u16) -> io::Result<Vec<u8>> {
    let socket = match remote {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // The server looks for a connection between these two addresses.
    let (mut from, mut to) = (local, remote);
    from.set_port(0);
    to.set_port(port);
    socket.bind(from)?;
    let stream = socket.connect(to).await?;
    let question = format!("{} , {}\r\n", remote.port(), local.port());
    // A few bytes always fit into a socket that is new.
    stream.writable().await?;
    if stream.try_write(question.as_bytes())? != question.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    read_line(&stream).await
}

/// Reads up to the end of the first line.
async fn read_line(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    loop {
        let mut piece = [0; MAX_ANSWER];
        stream.readable().await?;
        match stream.try_read(&mut piece[answer.len()..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => answer.extend(&piece[answer.len()..][..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        if let Some(end) = answer.iter().position(|&byte| byte == b'\n') {
            answer.truncate(end);
            return Ok(answer);
        }
        if answer.len() == MAX_ANSWER {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// `6193, 23 : USERID : UNIX : joe`: what follows the third colon, without blanks, and not too much of it. What
/// no environment could hold is none.
pub fn parse(line: &[u8]) -> Option<Vec<u8>> {
    let mut fields = line.splitn(4, |&byte| byte == b':');
    let kind = fields.nth(1)?;
    let user = fields.nth(1)?;
    if !kind.trim_ascii().eq_ignore_ascii_case(b"USERID") || user.contains(&0) {
        return None;
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let kept = user.iter().copied().filter(|byte| !blank(byte));
    let info: Vec<u8> = kept.take(MAX_INFO).collect();
    Some(info).filter(|info| !info.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(line: &str) -> Option<String> {
        parse(line.as_bytes()).map(|info| String::from_utf8(info).unwrap())
    }

    #[test]
    fn the_user_is_what_follows_the_third_colon_without_blanks() {
        assert_eq!(
            user("6193, 23 : USERID : UNIX : joe x\t\r").as_deref(),
            Some("joex")
        );
        assert_eq!(
            user("1,2:userid:UNIX,UTF-8:a:b:c").as_deref(),
            Some("a:b:c")
        );
    }

    #[test]
    fn an_answer_without_a_user_is_none() {
        for line in [
            "",
            "1,2",
            "1,2:USERID:UNIX",
            "1,2:USERID:UNIX: \r",
            "1,2:ERROR:NO-USER",
            "1,2:ERROR:X:y",
            "1,2:USERID:UNIX:a\0b",
        ] {
            assert_eq!(user(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_long_user_is_cut() {
        let long = format!("1,2:USERID:UNIX:{}", "u".repeat(900));
        assert_eq!(user(&long).map(|info| info.len()), Some(MAX_INFO));
    }
}
