//! Addresses as stud's and hitch's users write them: `[HOST]:PORT`, `HOST,PORT`, a Unix socket's path.
#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use super::Backend;

/// What a name may have at most (RFC 1035), and more than any address.
const MOST_HOST: usize = 255;
/// The longest path of a Unix socket, unix(7).
const MOST_SOCKET: usize = 107;

/// Where to listen: a host, or none for any address, and a port, 0 for any; with `+` behind them, a certificate.
pub fn listening(text: &str) -> Result<(Option<String>, u16, Option<&str>), String> {
    // No host and no port has a plus sign in it.
    let (address, certificate) = match text.split_once('+') {
        Some((address, certificate)) => (address, Some(certificate)),
        None => (text, None),
    };
    let (host, port) = parts(address)?;
    let port = match port.bytes().all(|byte| byte == b'0') && !port.is_empty() {
        true => 0,
        false => self::port(port)?,
    };
    Ok((any_or_host(host)?, port, certificate))
}

/// Where to connect to.
pub fn target(text: &str) -> Result<Backend, String> {
    let scheme = text.get(..7).unwrap_or_default();
    let path = match scheme.eq_ignore_ascii_case("pipe://") {
        true => &text[7..],
        false => text,
    };
    if path.starts_with('/') || (path.starts_with('@') && path.len() < text.len()) {
        return match path.len() {
            2..=MOST_SOCKET => Ok(Backend::Unix(PathBuf::from(path))),
            _ => Err(format!(
                "wants the path of a socket, of at most {MOST_SOCKET} bytes, not \"{path}\""
            )),
        };
    }
    let (name, port) = parts(text)?;
    match any_or_host(name)? {
        Some(name) => Ok(Backend::Tcp(name, self::port(port)?)),
        None => Err("wants a host, not \"*\"".into()),
    }
}

/// The way back from [`target`].
pub fn show_target(backend: &Backend) -> String {
    match backend {
        Backend::Tcp(host, port) => format!("[{host}]:{port}"),
        Backend::Unix(path) if path.starts_with("/") => path.display().to_string(),
        Backend::Unix(path) => format!("pipe://{}", path.display()),
    }
}

/// The way back from [`listening`], without a certificate.
pub fn show_listening(host: &Option<String>, port: u16) -> String {
    format!("[{}]:{port}", host.as_deref().unwrap_or("*"))
}

/// `[HOST]:PORT`, or `HOST,PORT`, of which the last comma counts.
fn parts(text: &str) -> Result<(&str, &str), String> {
    let bracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.rsplit_once("]:"));
    let found = match text.starts_with('[') {
        true => bracketed,
        false => text.rsplit_once(','),
    };
    found.ok_or_else(|| format!("wants [HOST]:PORT or HOST,PORT, not \"{text}\""))
}

fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|port| *port > 0 && !text.starts_with('+'))
        .ok_or_else(|| format!("wants a port from 1 to 65535, not \"{text}\""))
}

/// `*`: none.
pub fn any_or_host(text: &str) -> Result<Option<String>, String> {
    match text {
        "*" => Ok(None),
        _ => host(text).map(Some),
    }
}

/// A name or an address. A number that is no address is a slip of the pen, not a name: no resolver shall guess.
pub fn host(text: &str) -> Result<String, String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    let of_numbers = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    // An interface may stand behind a link-local address.
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    let fits = match address.contains(':') {
        true => address.parse::<Ipv6Addr>().is_ok(),
        false if text.bytes().all(of_numbers) => text.parse::<Ipv4Addr>().is_ok(),
        false => !text.contains('%'),
    };
    match fits && text.len() <= MOST_HOST && text.bytes().all(known) {
        true => Ok(text.to_owned()),
        false => Err(format!("wants a host name or address, not \"{text}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listens(text: &str) -> (Option<String>, u16) {
        let (host, port, _) = listening(text).unwrap();
        (host, port)
    }

    #[test]
    fn both_forms_of_an_address_mean_the_same() {
        for (new, old) in [
            ("[*]:8443", "*,8443"),
            ("[127.0.0.1]:80", "127.0.0.1,80"),
            ("[::1]:80", "::1,80"),
            ("[a.example]:65535", "a.example,65535"),
        ] {
            assert_eq!(listens(new), listens(old), "{new}");
            assert_eq!(show_listening(&listens(old).0, listens(old).1), new);
        }
    }

    #[test]
    fn a_frontend_may_have_its_certificate_behind_a_plus_sign() {
        let (host, port, certificate) = listening("[*]:443+/etc/a]:1+b.pem").unwrap();
        assert_eq!(
            (host, port, certificate),
            (None, 443, Some("/etc/a]:1+b.pem"))
        );
    }

    #[test]
    fn port_0_is_for_listening_alone() {
        assert_eq!(listens("[::1]:0"), (Some("::1".into()), 0));
        assert!(target("[::1]:0").is_err());
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_wanted() {
        for bad in [
            "",
            "a",
            "a:80",
            "[a]80",
            "[a]",
            "[a]:",
            "[a]:http",
            "[a]:65536",
            "[a]:-1",
            "[a]:+1",
            "[]:80",
            ",80",
            "[1.2.3]:80",
            "[300.1.1.1]:80",
            "[::g]:1",
            "[a b]:1",
            "a,",
            "[a/b]:1",
            "[[::1]]:80",
            "a;b,1",
            "[a]:80 ",
        ] {
            assert!(listening(bad).is_err(), "{bad}");
            assert!(target(bad).is_err(), "{bad}");
        }
        assert_eq!(
            target("localhost:80").unwrap_err(),
            "wants [HOST]:PORT or HOST,PORT, not \"localhost:80\""
        );
    }

    #[test]
    fn a_backend_is_one_host_and_never_any() {
        assert_eq!(target("*,80").unwrap_err(), "wants a host, not \"*\"");
    }

    #[test]
    fn a_unix_socket_is_a_path_with_or_without_pipe_in_front() {
        for text in ["/run/app", "pipe:///run/app", "PIPE:///run/app"] {
            assert_eq!(target(text), Ok(Backend::Unix("/run/app".into())), "{text}");
        }
        let hidden = target("pipe://@app").unwrap();
        assert_eq!(hidden, Backend::Unix("@app".into()));
        assert_eq!(show_target(&hidden), "pipe://@app");
        for bad in ["pipe://app", "pipe://", "pipe://@", "/", "@app"] {
            assert!(target(bad).is_err(), "{bad}");
        }
        assert!(target(&format!("/{}", "x".repeat(107))).is_err());
    }
}
