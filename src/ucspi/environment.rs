//! The environment of an application: ours without what is not for it, then what is known of the connection, and what
//! TLS agreed on (sslserver-environ(7)).
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use nix::net::if_::if_indextoname;

use super::log::Ends;

/// What a session may say, by how the names begin.
const TLS: [&str; 8] = [
    "SSL_ALPN",
    "SSL_CIPHER",
    "SSL_CLIENT_",
    "SSL_PROTOCOL",
    "SSL_SERVER_",
    "SSL_SESSION_ID",
    "SSL_TLS_SNI",
    "SSL_VERSION_",
];

/// A chain of certificates with all that is said of each is less. Looking among more takes time that is not a session's.
const MOST: usize = 1000;

/// Names and values in the order they were first set.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Environment {
    /// What is left of our own environment for applications: neither settings of ours nor what some other connection was.
    pub fn inherited(
        ours: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        is_setting: impl Fn(&[u8]) -> bool,
    ) -> Environment {
        let foreign = |name: &[u8]| {
            !is_setting(name) && !name.starts_with(b"SSL") && !name.starts_with(b"TCP")
        };
        Environment {
            variables: ours.into_iter().filter(|(name, _)| foreign(name)).collect(),
        }
    }

    /// A later value replaces an earlier one. What execve(2) cannot pass on is left out.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        let possible = !name.is_empty() && !name.contains(&b'=') && !name.contains(&0);
        if !possible || value.contains(&0) {
            return;
        }
        match self.variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.to_vec(),
            None => self.variables.push((name.to_vec(), value.to_vec())),
        }
    }

    /// What is known of the connection, under `SSL…` always and under `TCP…` if wanted.
    pub fn connection(&mut self, ends: &Ends<'_>, tcp: bool) {
        let (local, remote) = (ends.local, ends.remote);
        let six = remote.is_ipv6();
        let protocol: &[u8] = match (tcp, six) {
            (false, _) => b"TLS",
            (true, false) => b"TCP",
            (true, true) => b"TCP6",
        };
        self.set(b"PROTO", protocol);
        let families = [("SSL", true), ("TCP", tcp), ("TCP6", tcp && six)];
        let interface = match remote {
            SocketAddr::V6(remote) if remote.scope_id() != 0 => Some(interface(remote.scope_id())),
            _ => None,
        };
        if let Some(interface) = &interface {
            self.set(b"SSLINTERFACE", interface);
            if tcp {
                self.set(b"TCP6INTERFACE", interface);
            }
        }
        for (family, _) in families.iter().filter(|(_, wanted)| *wanted) {
            let mut fact = |name: &str, value: &[u8]| {
                self.set(format!("{family}{name}").as_bytes(), value);
            };
            fact("LOCALIP", local.ip().to_string().as_bytes());
            fact("LOCALPORT", local.port().to_string().as_bytes());
            if let Some(name) = ends.local_name {
                fact("LOCALHOST", name);
            }
            if let Some(host) = ends.remote_name {
                fact("REMOTEHOST", host.as_bytes());
            }
            if let Some(info) = ends.remote_info {
                fact("REMOTEINFO", info);
            }
            fact("REMOTEIP", remote.ip().to_string().as_bytes());
            fact("REMOTEPORT", remote.port().to_string().as_bytes());
        }
    }

    /// Where an application that begins in plain text finds its channels: for commands, to read from and to write to.
    pub fn starttls(&mut self, numbers: [RawFd; 3]) {
        for (name, number) in ["SSLCTLFD", "SSLREADFD", "SSLWRITEFD"].iter().zip(numbers) {
            self.set(name.as_bytes(), number.to_string().as_bytes());
        }
    }

    /// Takes the block that a session sent. `false`: it tried to set something else, such as where an application
    /// looks for its trusted certificates.
    #[must_use]
    pub fn tls(&mut self, block: &[u8]) -> bool {
        let ours = |name: &[u8]| TLS.iter().any(|known| name.starts_with(known.as_bytes()));
        let variables = block.split(|&byte| byte == 0).filter(|v| !v.is_empty());
        for (count, variable) in variables.enumerate() {
            let end = variable.iter().position(|&byte| byte == b'=');
            match end {
                Some(end) if ours(&variable[..end]) && count < MOST => {
                    self.set(&variable[..end], &variable[end + 1..]);
                }
                _ => return false,
            }
        }
        true
    }

    pub fn strings(&self) -> Vec<CString> {
        let join = |(name, value): &(Vec<u8>, Vec<u8>)| {
            let mut string = Vec::with_capacity(name.len() + value.len() + 2);
            string.extend(name);
            string.push(b'=');
            string.extend(value);
            // Inherited strings have no NUL, and `set` lets none in.
            CString::new(string).ok()
        };
        self.variables.iter().filter_map(join).collect()
    }
}

/// The name of an interface by its number.
fn interface(number: u32) -> Vec<u8> {
    let name = if_indextoname(number).map(CString::into_bytes);
    name.unwrap_or_else(|_| b"[unknown]".to_vec())
}

#[cfg(test)]
mod tests;
