//! What an application writes into the channel on which it says when TLS begins.
#![forbid(unsafe_code)]

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;
use std::time::Duration;

use sslserver::privsep::session::starttls::{self, Command};

/// It is looked at only if nothing comes.
static CLIENT: LazyLock<TcpStream> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    TcpStream::connect(listener.local_addr().unwrap()).unwrap()
});

pub fn run(bytes: &[u8]) -> bool {
    let (mut application, session) = UnixStream::pair().unwrap();
    // More than that is neither read nor has it room.
    application
        .write_all(&bytes[..bytes.len().min(4096)])
        .unwrap();
    drop(application);
    let control = session.into();
    let command = starttls::wait(&control, &CLIENT, Duration::from_secs(60));
    match bytes.first() {
        Some(b'y') => assert!(matches!(command, Command::Start)),
        Some(b'Y') => assert!(matches!(command, Command::StartAndReport)),
        _ => assert!(matches!(command, Command::None)),
    }
    !matches!(command, Command::None)
}
