//! What a service manager sees of a service: the datagrams that come to its socket.
#![forbid(unsafe_code)]

use crate::common::{LIMIT, TempDir};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

pub struct Manager {
    pub socket: UnixDatagram,
    /// The value of NOTIFY_SOCKET.
    pub name: String,
    dir: TempDir,
}

impl Manager {
    /// At a path.
    pub fn new() -> Manager {
        let dir = TempDir::new();
        let name = dir.text("notify");
        let socket = UnixDatagram::bind(&name).expect("a socket");
        Manager::reading(socket, name, dir)
    }

    /// At an abstract name.
    pub fn nowhere() -> Manager {
        let dir = TempDir::new();
        let name = dir.text("notify");
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("a socket");
        Manager::reading(socket, format!("@{name}"), dir)
    }

    fn reading(socket: UnixDatagram, name: String, dir: TempDir) -> Manager {
        socket.set_read_timeout(Some(LIMIT)).expect("a limit");
        Manager { socket, name, dir }
    }

    /// The lines of the next datagram.
    pub fn told(&self) -> Vec<String> {
        let mut buffer = [0; 1000];
        let size = self
            .socket
            .recv(&mut buffer)
            .unwrap_or_else(|error| panic!("{} was told nothing: {error}", self.name));
        let text = std::str::from_utf8(&buffer[..size]).expect("text");
        text.split('\n').map(str::to_owned).collect()
    }

    /// Nothing more has come.
    pub fn assert_silence(&self) {
        self.socket.set_nonblocking(true).expect("nonblocking");
        let more = self.socket.recv(&mut [0; 1000]);
        assert!(
            more.is_err(),
            "{more:?} bytes more in {}",
            self.dir.text("")
        );
        self.socket.set_nonblocking(false).expect("blocking");
    }
}
