//! Where a Redis server is, and how it wants to be greeted.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use crate::privsep::role::Confinement;

#[derive(Clone)]
pub struct Address {
    pub place: Place,
    /// Database, user and password.
    pub login: RedisConnectionInfo,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A name or an address, and a port.
    Internet(String, u16),
    /// A Unix socket.
    Path(PathBuf),
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Internet(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Place::Internet(host, port) => write!(f, "{host}:{port}"),
            Place::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Reads an address. What is wrong is told without the address: there may be a password in it.
pub fn parse(text: &str) -> Result<Address, String> {
    let wanted = "redis://[[user]:password@]host[:port][/db] or redis+unix:///path is wanted";
    let info = text.into_connection_info().map_err(|error| {
        let reason = error
            .detail()
            .map_or(String::new(), |text| format!(": {text}"));
        format!("not the address of a Redis server{reason} ({wanted})")
    })?;
    let place = match info.addr() {
        ConnectionAddr::Tcp(host, port) => Place::Internet(host.clone(), *port),
        ConnectionAddr::Unix(path) => Place::Path(path.clone()),
        _ => {
            return Err(format!(
                "TLS towards a Redis server is not supported ({wanted})"
            ));
        }
    };
    let login = info.redis_settings().clone().set_skip_set_lib_name();
    Ok(Address { place, login })
}

impl Address {
    /// The kinds of sockets that lead there.
    pub fn families(&self) -> &'static [libc::c_int] {
        match &self.place {
            Place::Internet(..) => &[libc::AF_INET, libc::AF_INET6],
            Place::Path(_) => &[libc::AF_UNIX],
        }
    }

    /// The TCP port there, if it is one.
    pub fn port(&self) -> Option<u16> {
        match self.place {
            Place::Internet(_, port) => Some(port),
            Place::Path(_) => None,
        }
    }

    /// The confinement in which one can connect again and again. A Unix socket has its path outside of every other
    /// root, and its folder may be made anew with it; the filter leaves no call that opens a file.
    pub fn within_reach(&self, confinement: &Confinement) -> Confinement {
        let mut confinement = confinement.clone();
        if let Place::Path(_) = self.place {
            confinement.root = None;
        }
        confinement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        parse(text).unwrap().place
    }

    #[test]
    fn a_server_has_a_host_and_a_port_or_a_path() {
        let host = |host: &str, port| Place::Internet(host.into(), port);
        assert_eq!(place("redis://cache.example"), host("cache.example", 6379));
        assert_eq!(place("redis://192.0.2.1:7000/3"), host("192.0.2.1", 7000));
        assert_eq!(
            place("redis://[2001:db8::1]:7000"),
            host("2001:db8::1", 7000)
        );
        let path = Place::Path("/run/redis.sock".into());
        assert_eq!(place("redis+unix:///run/redis.sock"), path);
        assert_eq!(place("unix:///run/redis.sock?db=2"), path);
    }

    #[test]
    fn the_password_is_kept_and_never_shown() {
        let address = parse("redis://:geheim@[2001:db8::1]").unwrap();
        assert_eq!(address.login.password(), Some("geheim"));
        assert_eq!(address.to_string(), "[2001:db8::1]:6379");
        for bad in [
            "redis://:geheim@",
            "redis://:geheim@cache/x",
            "rediss://:geheim@cache",
            "http://:geheim@cache",
            ":geheim@cache",
            "redis://:geheim@cache:99999",
            "",
        ] {
            let text = parse(bad).err().expect(bad);
            assert!(
                !text.contains("geheim") && text.contains("redis://"),
                "{text}"
            );
        }
    }
}
