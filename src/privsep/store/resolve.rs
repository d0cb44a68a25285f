//! Looking a server's name up. The system's resolver reads files and what strangers answer, so it runs in a child
//! that is nobody already, outside of the root that the store is going to have, and for a limited time.
#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::privsep::channel::{Channel, ChannelError, Message, Reader, Writer};
use crate::privsep::message::Nothing;
use crate::privsep::role::{self, Confinement};
use crate::privsep::sandbox;
use crate::sys::{process, words};

const PATIENCE: Duration = Duration::from_secs(20);
/// A server that has more has enough.
const MOST_ADDRESSES: usize = 16;

/// What the child found out.
struct Resolved(Result<Vec<SocketAddr>, String>);

impl Message for Resolved {
    const MAX: usize = 4096;

    fn encode(&self, out: &mut Writer) {
        match &self.0 {
            Ok(addresses) => {
                for address in addresses {
                    out.byte(b'A');
                    out.string(address.to_string().as_bytes());
                }
                out.byte(b'E');
            }
            Err(reason) => {
                out.byte(b'X');
                out.string(reason.as_bytes());
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        let mut addresses = Vec::new();
        loop {
            match input.byte()? {
                b'A' => addresses.push(input.text()?.parse().ok()?),
                b'E' => return Some(Resolved(Ok(addresses))),
                b'X' => return Some(Resolved(Err(input.text()?))),
                _ => return None,
            }
        }
    }
}

/// All addresses of a host, at least one.
pub fn resolve(
    host: &str,
    port: u16,
    confinement: &Confinement,
) -> Result<Vec<SocketAddr>, String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let (ours, theirs) =
        Channel::<Nothing, Resolved>::pair().map_err(|errno| errno.desc().to_owned())?;
    let confinement = Confinement {
        root: None,
        identity: confinement.identity,
    };
    let body = |ends: Vec<_>| {
        let found = role::confine(&confinement)
            .map_err(|error| error.to_string())
            .and_then(|()| sandbox::confine_resolver())
            .and_then(|()| ask(host, port));
        for end in ends {
            let channel = Channel::<Resolved, Nothing>::from_end(end);
            // Without an answer the parent gives up by itself.
            let _ = channel.send(&Resolved(found.clone()), &[]);
        }
        0
    };
    let child = process::fork_role(vec![theirs.into_end()], body)
        .map_err(|(errno, _)| errno.desc().to_owned())?;
    let answer = ours.receive_within(PATIENCE);
    // It has nothing more to say, and may be waiting for servers that are silent.
    let _ = kill(child, Signal::SIGKILL);
    process::wait_for(child);
    match answer {
        Ok((Resolved(found), _)) => found,
        Err(ChannelError::TimedOut) => Err("no name server answers".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn ask(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = (host, port).to_socket_addrs();
    let found = found.map_err(|error| words::reason(&error))?;
    let addresses: Vec<SocketAddr> = found.take(MOST_ADDRESSES).collect();
    match addresses.is_empty() {
        true => Err("the name has no address".into()),
        false => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_arrives_as_it_was_sent() {
        let (ours, theirs) = Channel::<Nothing, Resolved>::pair().unwrap();
        let addresses: Vec<SocketAddr> = ["192.0.2.1:6379", "[fe80::1%7]:6379"]
            .map(|text| text.parse().unwrap())
            .into();
        for found in [Ok(addresses), Err("no such name".to_owned())] {
            theirs.send(&Resolved(found.clone()), &[]).unwrap();
            assert_eq!(ours.receive().unwrap().0.0, found);
        }
    }

    #[test]
    fn the_longest_answer_fits_into_a_message() {
        let (ours, theirs) = Channel::<Nothing, Resolved>::pair().unwrap();
        let longest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535";
        let addresses = vec![longest.parse().unwrap(); MOST_ADDRESSES];
        theirs.send(&Resolved(Ok(addresses)), &[]).unwrap();
        assert!(ours.receive().is_ok());
    }
}
