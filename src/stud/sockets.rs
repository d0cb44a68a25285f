//! The listening sockets. They belong to the parent, whatever becomes of workers and generations, so that a reload or
//! a worker's death resets nobody.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::rc::Rc;

use super::config::{Config, Frontend};
use super::failure::Failure;
use crate::net::address::BindAddress;
use crate::net::listen::{self, ListenError, ListenOptions};

/// Clients that may send their first bytes with their first packet.
const FAST_OPEN_QUEUE: u32 = 256;

/// An address and a port.
type Asked = (BindAddress, u16);

/// A bound socket.
#[derive(Clone)]
pub struct Bound {
    /// What was asked for; port 0 is any.
    asked: Asked,
    pub local: SocketAddr,
    pub listener: Rc<TcpListener>,
    pub frontend: u16,
}

/// Binds what the frontends want, and keeps what is there already. `addresses`: of each frontend, empty for any.
pub fn bind(
    config: &Config,
    addresses: &[Vec<IpAddr>],
    present: &[Bound],
) -> Result<Vec<Bound>, Failure> {
    let options = options(config);
    let mut bound: Vec<Bound> = Vec::new();
    for (number, (frontend, addresses)) in config.frontends.iter().zip(addresses).enumerate() {
        let mut missing = None;
        let before = bound.len();
        for &ip in of(frontend, addresses) {
            let asked = (bind_address(config, ip, number), frontend.port);
            // Several ports of the kernel's choice are told apart by their order.
            let taken = |socket: &&Bound| bound.iter().all(|one| one.local != socket.local);
            let kept = present.iter().filter(taken).find(|one| one.asked == asked);
            let socket = match kept {
                Some(socket) => Bound {
                    frontend: number as u16,
                    ..socket.clone()
                },
                None => match open(asked, &options) {
                    Ok((listener, local)) => Bound {
                        asked,
                        local,
                        listener: Rc::new(listener),
                        frontend: number as u16,
                    },
                    // A machine that lacks one of the families has the other.
                    Err(error) if frontend.host.is_none() && error.is_of_a_missing_family() => {
                        missing = Some((asked, error));
                        continue;
                    }
                    Err(error) => return Err(failed(asked, &error)),
                },
            };
            bound.push(socket);
        }
        if let Some((asked, error)) = missing.filter(|_| bound.len() == before) {
            return Err(failed(asked, &error));
        }
    }
    Ok(bound)
}

/// Whether all of it could be bound, were nobody else there.
pub fn probe(config: &Config, addresses: &[Vec<IpAddr>]) -> Result<(), Failure> {
    let options = options(config);
    for (number, (frontend, addresses)) in config.frontends.iter().zip(addresses).enumerate() {
        for &ip in of(frontend, addresses) {
            let asked = (bind_address(config, ip, number), frontend.port);
            match listen::probe(asked.0, asked.1, &options) {
                Err(error) if frontend.host.is_none() && error.is_of_a_missing_family() => {}
                outcome => outcome.map_err(|error| failed(asked, &error))?,
            }
        }
    }
    Ok(())
}

/// Gives sockets that were kept the options of their new configuration.
pub fn adjust(config: &Config, sockets: &[Bound]) -> Result<(), Failure> {
    let options = options(config);
    let mut all = sockets.iter();
    all.try_for_each(|one| {
        listen::adjust(&one.listener, &options).map_err(|error| failed(one.asked, &error))
    })
}

/// The addresses of a frontend.
fn of<'a>(frontend: &Frontend, addresses: &'a [IpAddr]) -> &'a [IpAddr] {
    match frontend.host {
        None => &listen::ANY,
        Some(_) => addresses,
    }
}

/// `[::]` is for IPv4 as well, unless another frontend wants any of it on the same port.
fn bind_address(config: &Config, ip: IpAddr, number: usize) -> BindAddress {
    let frontend = &config.frontends[number];
    let is_six = |host: &str| host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6());
    let wants_four = |host: Option<&String>| host.is_none_or(|host| !is_six(host));
    let mut others = config.frontends.iter();
    let alone = others.all(|one| one.port != frontend.port || !wants_four(one.host.as_ref()));
    BindAddress {
        ip,
        dual: ip == IpAddr::from(Ipv6Addr::UNSPECIFIED) && alone,
    }
}

fn failed((address, port): Asked, error: &ListenError) -> Failure {
    Failure::listen(SocketAddr::new(address.ip, port), error)
}

fn options(config: &Config) -> ListenOptions {
    ListenOptions {
        backlog: config.backlog,
        delay: false,
        scope: 0,
        keepalive: Some(config.keepalive),
        // No deferred accept: the kernel would forget those who have not spoken yet when a socket is closed.
        fast_open: config.fast_open.then_some(FAST_OPEN_QUEUE),
        send_buffer: config.send_buffer,
        receive_buffer: config.receive_buffer,
    }
}

fn open(
    (address, port): Asked,
    options: &ListenOptions,
) -> Result<(TcpListener, SocketAddr), ListenError> {
    let listener = listen::open(address, port, options)?;
    let local = listener.local_addr().map_err(|error| {
        ListenError::Bind(nix::errno::Errno::from_raw(
            error.raw_os_error().unwrap_or(0),
        ))
    })?;
    Ok((listener, local))
}
