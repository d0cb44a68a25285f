//! A TLS client in the test's own process, for what the command-line clients do not do: close one way only, say nothing,
//! come from another address, tell how the other side closed.
#![forbid(unsafe_code)]

use super::keys::Pair;
use super::{LIMIT, LONG};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{
    Error, ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslStream, SslVersion,
};
use openssl::x509::X509;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

pub struct Dial {
    address: SocketAddr,
    source: Option<IpAddr>,
    name: Option<String>,
    settings: SslContextBuilder,
}

/// How the other side ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// close_notify, then FIN.
    Clean,
    /// FIN without close_notify.
    Fin,
    Reset,
}

/// How the client ends its own direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    CloseNotify,
    Fin,
    Nothing,
}

impl Dial {
    pub fn to(address: SocketAddr) -> Dial {
        let mut settings = SslContext::builder(SslMethod::tls_client()).expect("an SSL_CTX");
        settings.set_mode(
            SslMode::AUTO_RETRY
                | SslMode::ACCEPT_MOVING_WRITE_BUFFER
                | SslMode::ENABLE_PARTIAL_WRITE,
        );
        Dial {
            address,
            source: None,
            name: None,
            settings,
        }
    }

    /// The client's own address, such as 127.0.0.2.
    pub fn from(mut self, source: &str) -> Dial {
        self.source = Some(source.parse().expect("an address"));
        self
    }

    /// The name asked for.
    pub fn name(mut self, name: &str) -> Dial {
        self.name = Some(name.to_owned());
        self
    }

    pub fn version(mut self, version: SslVersion) -> Dial {
        self.settings
            .set_min_proto_version(Some(version))
            .expect("a version");
        self.settings
            .set_max_proto_version(Some(version))
            .expect("a version");
        self
    }

    pub fn set(mut self, change: impl FnOnce(&mut SslContextBuilder)) -> Dial {
        change(&mut self.settings);
        self
    }

    /// A connection without TLS.
    pub fn tcp(&self) -> TcpStream {
        let stream = match self.source {
            None => TcpStream::connect_timeout(&self.address, LIMIT).expect("connect"),
            Some(source) => connect_from(source, self.address),
        };
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        stream.set_write_timeout(Some(LIMIT)).expect("a limit");
        stream.set_nodelay(true).expect("no delay");
        stream
    }

    pub fn try_connect(self) -> Result<Client, String> {
        let tcp = self.tcp();
        self.try_over(tcp)
    }

    /// The handshake on a connection that was used already.
    pub fn over(self, tcp: TcpStream) -> Client {
        self.try_over(tcp)
            .unwrap_or_else(|error| panic!("handshake: {error}"))
    }

    pub fn try_over(self, tcp: TcpStream) -> Result<Client, String> {
        let mut ssl = Ssl::new(&self.settings.build()).expect("an SSL");
        if let Some(name) = &self.name {
            ssl.set_hostname(name).expect("a name");
        }
        let mut tls = SslStream::new(ssl, tcp).expect("an SSL stream");
        match tls.connect() {
            Ok(()) => Ok(Client { tls }),
            Err(error) if timed_out(&error) => panic!("no handshake within {LIMIT:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    pub fn connect(self) -> Client {
        self.try_connect()
            .unwrap_or_else(|error| panic!("handshake: {error}"))
    }
}

/// A client that shows this certificate and those above it if it is asked for one.
pub fn showing(dial: Dial, pair: &Pair, others: &[&str]) -> Dial {
    let certificate = X509::from_pem(pair.certificate.as_bytes()).expect("PEM");
    let key = PKey::private_key_from_pem(pair.key.as_bytes()).expect("PEM");
    dial.set(|settings| {
        settings
            .set_certificate(&certificate)
            .expect("a certificate");
        settings.set_private_key(&key).expect("its key");
        for other in others {
            let other = X509::from_pem(other.as_bytes()).expect("PEM");
            settings.add_extra_chain_cert(other).expect("a chain");
        }
    })
}

fn connect_from(source: IpAddr, target: SocketAddr) -> TcpStream {
    let family = if source.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let fd =
        socket::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    socket::bind(
        fd.as_raw_fd(),
        &SockaddrStorage::from(SocketAddr::from((source, 0))),
    )
    .expect("bind");
    socket::connect(fd.as_raw_fd(), &SockaddrStorage::from(target)).expect("connect");
    TcpStream::from(fd)
}

fn timed_out(error: &Error) -> bool {
    error
        .io_error()
        .is_some_and(|io| io.kind() == ErrorKind::WouldBlock)
}

pub struct Client {
    pub tls: SslStream<TcpStream>,
}

impl Client {
    pub fn local(&self) -> SocketAddr {
        self.tls.get_ref().local_addr().expect("connected")
    }

    /// The common name in the certificate that the server showed.
    pub fn shown(&self) -> String {
        let certificate = self.tls.ssl().peer_certificate().expect("a certificate");
        let mut names = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
        let name = names.next().expect("a common name");
        name.data().to_string().expect("text")
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.tls
            .write_all(bytes)
            .unwrap_or_else(|error| panic!("sending: {error}"));
    }

    pub fn receive(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        self.tls
            .read_exact(&mut bytes)
            .unwrap_or_else(|error| panic!("receiving {size}: {error}"));
        bytes
    }

    /// A line without its end.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            line.extend(self.receive(1));
        }
        line.pop();
        String::from_utf8(line).expect("text")
    }

    /// Sees that the application answers on this connection; for applications that echo.
    pub fn assert_echoes(&mut self) {
        self.send(b"still there?\n");
        assert_eq!(self.line(), "still there?");
    }

    pub fn close_notify(&mut self) {
        self.tls
            .shutdown()
            .unwrap_or_else(|error| panic!("close_notify: {error}"));
    }

    /// The connection below, for what TLS does not do.
    pub fn tcp(&self) -> TcpStream {
        self.tls.get_ref().try_clone().expect("a copy")
    }

    pub fn fin(&mut self) {
        self.tls
            .get_ref()
            .shutdown(Shutdown::Write)
            .expect("shutdown");
    }

    /// Everything to the end as text, which must be a clean end.
    pub fn text(mut self) -> String {
        let (bytes, end) = self.exchange(b"", Ending::Nothing);
        assert_eq!(
            end,
            End::Clean,
            "after {:?}",
            String::from_utf8_lossy(&bytes)
        );
        String::from_utf8(bytes).expect("text")
    }

    /// What `cat /proc/self/environ` says.
    pub fn environment(self) -> BTreeMap<String, String> {
        let text = self.text();
        let pairs = text
            .split_terminator('\0')
            .map(|item| item.split_once('=').expect("NAME=VALUE"));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Sends all, ends the own direction, and reads meanwhile and afterwards to the end of the other side.
    pub fn exchange(&mut self, bytes: &[u8], ending: Ending) -> (Vec<u8>, End) {
        let mut received = Vec::new();
        let end = self.transfer(bytes, ending, |piece| received.extend_from_slice(piece));
        (received, end)
    }

    /// As `exchange`, what comes in goes to a function.
    pub fn transfer(&mut self, bytes: &[u8], ending: Ending, mut take: impl FnMut(&[u8])) -> End {
        self.tls
            .get_ref()
            .set_nonblocking(true)
            .expect("nonblocking");
        let limit = Instant::now() + LONG;
        let (mut unsent, mut to_end, mut piece) = (bytes, true, vec![0; 1 << 16]);
        loop {
            let mut moved = false;
            if !unsent.is_empty() {
                match self.tls.ssl_write(unsent) {
                    Ok(size) => (unsent, moved) = (&unsent[size..], true),
                    Err(error) if waits(&error) => {}
                    // Whoever takes no more may still have something to say.
                    Err(_) => (unsent, to_end) = (&[], false),
                }
            } else if std::mem::take(&mut to_end) {
                match ending {
                    Ending::CloseNotify => self.close_notify(),
                    Ending::Fin => self.fin(),
                    Ending::Nothing => {}
                }
            }
            match self.tls.ssl_read(&mut piece) {
                Ok(size) => {
                    take(&piece[..size]);
                    moved = true;
                }
                Err(error) if waits(&error) => {}
                Err(error) => return self.ended(&error),
            }
            if !moved {
                let left = limit.saturating_duration_since(Instant::now());
                assert!(
                    !left.is_zero(),
                    "no end after {LONG:?}, {} not sent",
                    unsent.len()
                );
                let output = if unsent.is_empty() {
                    PollFlags::empty()
                } else {
                    PollFlags::POLLOUT
                };
                let mut fds = [PollFd::new(
                    self.tls.get_ref().as_fd(),
                    PollFlags::POLLIN | output,
                )];
                poll(&mut fds, PollTimeout::try_from(left).expect("a limit")).expect("poll");
            }
        }
    }

    fn ended(&mut self, error: &Error) -> End {
        if error
            .io_error()
            .is_some_and(|io| io.kind() == ErrorKind::ConnectionReset)
        {
            return End::Reset;
        }
        if error.code() != ErrorCode::ZERO_RETURN {
            let eof = error.io_error().is_none() && error.to_string().contains("EOF");
            assert!(
                eof || error.to_string().contains("unexpected eof"),
                "reading: {error} {error:?}"
            );
            return End::Fin;
        }
        let mut tcp = self.tls.get_ref();
        tcp.set_nonblocking(false).expect("blocking");
        let mut byte = [0];
        let read = loop {
            match tcp.read(&mut byte) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => End::Clean,
            Ok(_) => panic!("bytes after close_notify"),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
            Err(error) => panic!("no FIN after close_notify: {error}"),
        }
    }
}

fn waits(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE)
}
