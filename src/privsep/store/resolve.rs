//! Looking a server's name up. The system's resolver reads files and what strangers answer, so it runs in a child
//! that is nobody already, outside of the root that the store is going to have, and for a limited time.
#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::privsep::channel::{Channel, ChannelError};
use crate::privsep::message::Nothing;
use crate::privsep::message::store::{MOST_ADDRESSES, ServerAddresses};
use crate::privsep::role::{self, Confinement};
use crate::privsep::sandbox;
use crate::sys::{process, words};

const PATIENCE: Duration = Duration::from_secs(20);
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
        Channel::<Nothing, ServerAddresses>::pair().map_err(|errno| errno.desc().to_owned())?;
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
            let channel = Channel::<ServerAddresses, Nothing>::from_end(end);
            // Without an answer the parent gives up by itself.
            let _ = channel.send(&ServerAddresses(found.clone()), &[]);
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
        Ok((ServerAddresses(found), _)) => found,
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
