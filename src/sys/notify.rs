//! Telling a service manager where the service stands, over the datagram socket that NOTIFY_SOCKET names (sd_notify(3)).
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A manager that does not read shall hold nobody up for longer.
const PATIENCE: Duration = Duration::from_secs(1);

pub struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Manager {
    /// `name`: a path, or an abstract name (unix(7)) after `@`.
    pub fn named(name: &[u8]) -> io::Result<Manager> {
        let address = match name.split_first() {
            Some((b'@', rest)) => SocketAddr::from_abstract_name(rest)?,
            Some((b'/', _)) => SocketAddr::from_pathname(OsStr::from_bytes(name))?,
            _ => {
                let wanted = "neither a path that begins with / nor @ and a name";
                return Err(io::Error::other(wanted));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Manager { socket, address })
    }

    pub fn ready(&self, status: &str) -> io::Result<()> {
        self.send(&format!("READY=1\nSTATUS={status}"))
    }

    /// The time is how the manager tells this reload's end from an earlier one's.
    pub fn reloading(&self, status: &str) -> io::Result<()> {
        let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?).as_micros();
        self.send(&format!(
            "RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS={status}"
        ))
    }

    pub fn stopping(&self, status: &str) -> io::Result<()> {
        self.send(&format!("STOPPING=1\nSTATUS={status}"))
    }

    fn send(&self, message: &str) -> io::Result<()> {
        let sent = self
            .socket
            .send_to_addr(message.as_bytes(), &self.address)?;
        match sent == message.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Instant;

    /// A manager's own end and its name.
    fn manager(name: &str) -> (UnixDatagram, Manager) {
        let name = format!("{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let end = UnixDatagram::bind_addr(&address).unwrap();
        let manager = Manager::named(format!("@{name}").as_bytes()).unwrap();
        (end, manager)
    }

    fn received(end: &UnixDatagram) -> String {
        let mut buffer = [0; 200];
        let size = end.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..size].to_vec()).unwrap()
    }

    #[test]
    fn each_state_is_one_datagram() {
        let (end, manager) = manager("states");
        manager.ready("here").unwrap();
        assert_eq!(received(&end), "READY=1\nSTATUS=here");
        manager.reloading("busy").unwrap();
        let text = received(&end);
        let rest = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        let (time, rest) = rest.split_once('\n').unwrap();
        assert!(time.parse::<u64>().unwrap() > 0);
        assert_eq!(rest, "STATUS=busy");
        manager.stopping("bye").unwrap();
        assert_eq!(received(&end), "STOPPING=1\nSTATUS=bye");
    }

    #[test]
    fn a_manager_that_does_not_read_is_waited_for_only_so_long() {
        let (_end, manager) = manager("deaf");
        let begin = Instant::now();
        while manager.ready("here").is_ok() {
            assert!(begin.elapsed() < PATIENCE * 10);
        }
    }

    #[test]
    fn what_is_no_name_of_a_socket_is_an_error() {
        for name in ["", "vsock:2:1234", "relative"] {
            assert!(Manager::named(name.as_bytes()).is_err(), "{name}");
        }
    }
}
