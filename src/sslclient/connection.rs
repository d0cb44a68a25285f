//! From a host and a port to a connection.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream};
use std::time::Duration;

use nix::net::if_::if_nametoindex;

use super::options::Options;
use crate::net::address::{Family, is_mistyped};
use crate::net::dial::{Dialed, Dialing, Failure, alternate, dial};
use crate::privsep::resolver;
use crate::sys::identity::Identity;
use crate::ucspi::error::Error;
use crate::ucspi::log::Log;
use crate::ucspi::options::number;

/// The system's resolver gives up earlier.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(60);

/// Who is called.
pub struct Server {
    /// As its certificate must have it: a name, or an address in plain text.
    pub host: String,
    /// Where it may be, in the order to try.
    pub addresses: Vec<SocketAddr>,
}

/// Looks the host up, as somebody who may do nothing.
pub fn find(options: &Options, identity: Identity) -> Result<Server, Error> {
    let port = port(&options.port)?;
    let (host, scope) = host(options)?;
    let no_address = || Error::fatal(format_args!("no IP address for: {}", options.host));
    if is_mistyped(&host) {
        return Err(no_address());
    }
    let mut found = resolver::resolve(&[&host], identity, RESOLVER_PATIENCE);
    let found = found.pop().unwrap_or(Ok(Vec::new())).map_err(|reason| {
        Error::fatal(format_args!(
            "temporarily unable to figure out IP address for: {host}: {reason}"
        ))
    })?;
    let families = [
        options.common.family,
        options.local_ip.map(|ip| match ip {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }),
    ];
    let fits = |ip: &IpAddr| {
        let wanted = families.iter().flatten();
        wanted
            .map(|family| *family == Family::V6)
            .all(|six| six == ip.is_ipv6())
    };
    let addresses = alternate(found.into_iter().filter(fits));
    if addresses.is_empty() {
        return Err(no_address());
    }
    let addresses = addresses.into_iter().map(|ip| scoped(ip, port, scope));
    Ok(Server {
        host,
        addresses: addresses.collect(),
    })
}

fn port(text: &str) -> Result<u16, Error> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Nobody can be called at port 0.
        true => number("port", text.as_bytes(), 1, 65535).map(|port| port as u16),
        false => crate::ucspi::options::port(text),
    }
}

/// The host without the interface that may stand behind a `%`, and the number of that or of `-I`; 0: none.
fn host(options: &Options) -> Result<(String, u32), Error> {
    let scope = |name: &str| {
        if_nametoindex(name).map_err(|errno| {
            Error::fatal(format_args!("unknown interface: {name}: {}", errno.desc()))
        })
    };
    let given = options.common.interface.as_deref().map(scope).transpose()?;
    if options.host == "0" {
        let ip: IpAddr = match options.common.family {
            Some(Family::V6) => Ipv6Addr::LOCALHOST.into(),
            _ => Ipv4Addr::LOCALHOST.into(),
        };
        return Ok((ip.to_string(), 0));
    }
    match options.host.split_once('%') {
        Some((ip, interface)) if ip.parse::<Ipv6Addr>().is_ok() => {
            Ok((ip.to_owned(), scope(interface)?))
        }
        _ => {
            // An address has one form, in which certificates have it too.
            let address = options.host.parse::<IpAddr>().map(|ip| ip.to_canonical());
            let host = address.map_or_else(|_| options.host.clone(), |ip| ip.to_string());
            Ok((host, given.unwrap_or(0)))
        }
    }
}

/// Only a link-local address needs to be told on which interface it is.
fn scoped(ip: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match ip {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            SocketAddrV6::new(v6, port, 0, scope).into()
        }
        _ => SocketAddr::new(ip, port),
    }
}

/// Connects to one of the addresses, and says which it was not.
pub fn connect(
    options: &Options,
    server: &Server,
    log: &Log,
) -> Result<(TcpStream, SocketAddr), Error> {
    let scope = match server.addresses.first() {
        Some(SocketAddr::V6(six)) => six.scope_id(),
        _ => 0,
    };
    let (first, second) = options.connect;
    let dialing = Dialing {
        local: options.local_ip.map(|ip| scoped(ip, 0, scope)),
        local_port: options.local_port,
        first,
        second,
    };
    let Dialed {
        connected,
        mut failures,
    } = dial(&server.addresses, &dialing);
    // The last one ends the program, if none has answered.
    let last = match connected {
        Some(_) => None,
        None => failures.pop(),
    };
    for failure in failures {
        log.warning(told(failure));
    }
    connected.ok_or_else(|| match last {
        Some(failure) => Error::dropped(told(failure)),
        None => Error::fatal(format_args!("no IP address for: {}", server.host)),
    })
}

fn told(failure: Failure) -> String {
    let (ip, port) = (failure.address.ip(), failure.address.port());
    let reason = failure.reason.desc();
    format!("unable to connect to: {ip} port: {port}: {reason}")
}
