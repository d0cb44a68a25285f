//! A running router with its hosts directory, backends of the test's own, and clients that speak bytes.
#![forbid(unsafe_code)]

use crate::common::{LIMIT, Log, TempDir, peers, tempdir::set_mode};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

pub const ROUTER: &str = env!("CARGO_BIN_EXE_sniproxy");

/// How a router is to be started.
pub struct Setup {
    pub hosts: Arc<TempDir>,
    words: Vec<OsString>,
    listener: TcpListener,
}

impl Setup {
    pub fn new() -> Setup {
        Setup {
            hosts: Arc::new(TempDir::new()),
            words: vec![ROUTER.into()],
            listener: TcpListener::bind("127.0.0.1:0").expect("a port"),
        }
    }

    pub fn listener(mut self, listener: TcpListener) -> Setup {
        self.listener = listener;
        self
    }

    pub fn options(mut self, options: &[&str]) -> Setup {
        self.words.extend(options.iter().map(OsString::from));
        self
    }

    /// Puts a command in front of the program's name.
    pub fn under(mut self, words: &[&str]) -> Setup {
        self.words.splice(0..0, words.iter().map(OsString::from));
        self
    }

    /// The hosts directory of another router.
    pub fn among(mut self, hosts: &Arc<TempDir>) -> Setup {
        self.hosts = Arc::clone(hosts);
        self
    }

    /// Another command altogether.
    pub fn instead(mut self, words: &[&str]) -> Setup {
        self.words = words.iter().map(OsString::from).collect();
        self
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        let socket = self.listener.try_clone().expect("a descriptor");
        command
            .args(&self.words[1..])
            .current_dir(self.hosts.path())
            .stdin(OwnedFd::from(socket));
        command
    }

    pub fn start(self) -> Router {
        let command = self.command();
        Router::start(self, command)
    }
}

pub struct Router {
    pub hosts: Arc<TempDir>,
    pub address: SocketAddr,
    pub log: Log,
    pub said: Log,
    child: Child,
    status: Option<ExitStatus>,
}

impl Router {
    fn start(setup: Setup, mut command: Command) -> Router {
        let spawned = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Log::collect(child.stderr.take().expect("piped"));
        let said = Log::collect(child.stdout.take().expect("piped"));
        let address = setup.listener.local_addr().expect("bound");
        // Its own copy of the socket, which goes with the command, is the only one that stays.
        drop((setup.listener, command));
        let router = Router {
            hosts: setup.hosts,
            address,
            log,
            said,
            child,
            status: None,
        };
        if router.said.first(LIMIT).is_none() {
            panic!("it did not start: {:?}", router.log.lines());
        }
        router
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("pids are small")
    }

    pub fn backend(&self, name: &str) -> Backend {
        Backend::new(self.hosts.join(name))
    }

    pub fn client(&self) -> Client {
        Client(TcpStream::connect_timeout(&self.address, LIMIT).expect("connect")).patient()
    }

    /// A client that has said so much.
    pub fn saying(&self, bytes: &[u8]) -> Client {
        let mut client = self.client();
        client.send(bytes);
        client
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("an own child");
    }

    pub fn wait(&mut self) -> ExitStatus {
        let end = peers::wait(&mut self.child, LIMIT);
        let end = end.unwrap_or_else(|| panic!("still running: {:?}", self.log.lines()));
        self.status = Some(end);
        end
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("an own child").is_none()
    }

    /// Nothing but this was written to stderr.
    pub fn stop(mut self, lines: &[&str]) {
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{status:?}");
        assert_eq!(self.log.wait_for_end(), lines);
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A backend in its directory.
pub struct Backend {
    pub directory: PathBuf,
    listener: UnixListener,
}

impl Backend {
    /// Makes the directory, unless it is there, and the socket in it.
    pub fn new(directory: PathBuf) -> Backend {
        if !directory.exists() {
            std::fs::create_dir(&directory).expect("a new directory");
            set_mode(&directory, 0o755);
        }
        let listener = listen_in(&directory);
        Backend::at(directory, listener)
    }

    /// One that listens already.
    pub fn at(directory: PathBuf, listener: UnixListener) -> Backend {
        Backend {
            directory,
            listener,
        }
    }

    pub fn file(self, name: &str) -> Backend {
        std::fs::write(self.directory.join(name), "").expect("a new file");
        self
    }

    /// The next connection that the router makes.
    pub fn accept(&self) -> Server {
        let mut wanted = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        let time = PollTimeout::try_from(LIMIT).expect("a short time");
        let ready = poll(&mut wanted, time).expect("waiting");
        assert_eq!(ready, 1, "no connection to the backend");
        Server::new(self.listener.accept().expect("accept").0)
    }

    /// Nobody waits to be accepted.
    pub fn is_idle(&self) -> bool {
        self.listener.set_nonblocking(true).expect("a listener");
        self.listener.accept().is_err()
    }
}

/// A listener whose path may be longer than an address of a Unix socket: bound to a short one and moved.
fn listen_in(directory: &std::path::Path) -> UnixListener {
    let short = TempDir::new();
    let listener = UnixListener::bind(short.join("s")).expect("a socket");
    set_mode(&short.join("s"), 0o777);
    std::fs::rename(short.join("s"), directory.join("tls-socket")).expect("one file system");
    listener
}

/// The backend's end of a connection.
pub struct Server(pub UnixStream);

impl Server {
    fn new(stream: UnixStream) -> Server {
        stream.set_nonblocking(false).expect("a stream");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        stream.set_write_timeout(Some(LIMIT)).expect("a limit");
        Server(stream)
    }

    /// So many bytes.
    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("bytes of the client");
        bytes
    }

    pub fn rest(&mut self) -> Vec<u8> {
        rest(&mut self.0)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("sending to the client");
    }
}

pub struct Client(pub TcpStream);

impl Client {
    pub fn patient(self) -> Client {
        self.0.set_read_timeout(Some(LIMIT)).expect("a limit");
        self.0.set_write_timeout(Some(LIMIT)).expect("a limit");
        self.0.set_nodelay(true).expect("no delay");
        self
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("sending to the router");
    }

    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("bytes of the backend");
        bytes
    }

    /// Everything to the end, which may be a reset only behind a whole alert.
    pub fn rest(&mut self) -> Vec<u8> {
        rest(&mut self.0)
    }
}

fn rest(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an end");
    bytes
}

/// The alert record with this code.
pub fn alert(code: u8) -> Vec<u8> {
    vec![0x15, 3, 3, 0, 2, 2, code]
}

fn sized(width: usize, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_be_bytes();
    [&length[8 - width..], content].concat()
}

pub fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(2, content)].concat()
}

pub fn server_name(name: &[u8]) -> Vec<u8> {
    let entry = [&[0][..], &sized(2, name)].concat();
    extension(0, &sized(2, &entry))
}

/// A handshake message with these extensions.
pub fn message(extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend(sized(1, &[9; 32]));
    body.extend(sized(2, &[0x13, 1, 0x13, 2]));
    body.extend(sized(1, &[0]));
    body.extend(sized(2, extensions));
    [&[1][..], &sized(3, &body)].concat()
}

pub fn record(content: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &sized(2, content)].concat()
}

/// A message in records of so many bytes.
pub fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(record).collect()
}

/// A whole ClientHello that asks for this name.
pub fn hello(name: &str) -> Vec<u8> {
    hello_of(name.as_bytes())
}

pub fn hello_of(name: &[u8]) -> Vec<u8> {
    records(&message(&server_name(name)), 16384)
}
