//! A server in the test's own process, for what servers usually do not do: end one way only, break off, say nothing.
#![forbid(unsafe_code)]

use crate::common::LIMIT;
use crate::common::keys::{Kind, Pair, leaf};
use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVersion};
use openssl::x509::X509;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

pub type Tls = SslStream<TcpStream>;

pub struct Counterpart<T> {
    pub address: SocketAddr,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Counterpart<T> {
    /// Takes one connection.
    pub fn new(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> Counterpart<T> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("bound");
        let thread = std::thread::spawn(move || {
            let (tcp, _) = listener.accept().expect("a client");
            tcp.set_read_timeout(Some(LIMIT)).expect("a limit");
            tcp.set_write_timeout(Some(LIMIT)).expect("a limit");
            serve(tcp)
        });
        Counterpart { address, thread }
    }

    /// The same, and shakes hands with it.
    pub fn tls(serve: impl FnOnce(Tls) -> T + Send + 'static) -> Counterpart<T> {
        Counterpart::new(|tcp| serve(accept(tcp, leaf(Kind::P256), SslVersion::TLS1_3)))
    }

    /// What it says at its end.
    pub fn end(self) -> T {
        self.thread.join().expect("the counterpart")
    }
}

pub fn accept(tcp: TcpStream, pair: &Pair, newest: SslVersion) -> Tls {
    let mut context = SslContext::builder(SslMethod::tls_server()).expect("a context");
    let certificate = X509::from_pem(pair.certificate.as_bytes()).expect("PEM");
    let key = PKey::private_key_from_pem(pair.key.as_bytes()).expect("PEM");
    context
        .set_certificate(&certificate)
        .expect("a certificate");
    context.set_private_key(&key).expect("its key");
    context
        .set_max_proto_version(Some(newest))
        .expect("a version");
    let mut tls = SslStream::new(Ssl::new(&context.build()).expect("an SSL"), tcp).expect("TLS");
    tls.accept().expect("a handshake");
    tls
}
