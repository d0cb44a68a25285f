//! What a proxy forwards to, in the test's own process: either each connection goes to a thread, or the test takes it
//! and plays the backend itself.
#![forbid(unsafe_code)]

use super::LIMIT;
use super::plain::Plain;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the thread may take to see that the test is over.
const TURN: Duration = Duration::from_millis(50);

/// A connection that a backend accepted.
pub type Accepted = Plain<()>;

/// The test accepts.
pub struct Backend {
    pub address: SocketAddr,
    listener: TcpListener,
}

impl Backend {
    pub fn new() -> Backend {
        Backend::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    pub fn at(address: SocketAddr) -> Backend {
        let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        Backend {
            address: listener.local_addr().expect("bound"),
            listener,
        }
    }

    /// The next connection, which has to come.
    pub fn accept(&self) -> Accepted {
        self.accept_within(LIMIT)
            .unwrap_or_else(|| panic!("no connection to the backend within {LIMIT:?}"))
    }

    fn accept_within(&self, limit: Duration) -> Option<Accepted> {
        let mut fds = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(limit).expect("a limit");
        if poll(&mut fds, limit).expect("poll") == 0 {
            return None;
        }
        let tcp = self.listener.accept().expect("accept").0;
        tcp.set_read_timeout(Some(LIMIT)).expect("a limit");
        tcp.set_write_timeout(Some(LIMIT)).expect("a limit");
        tcp.set_nodelay(true).expect("no delay");
        Some(Plain::accepted(tcp))
    }

    /// Nobody has connected so far.
    pub fn assert_untouched(&self) {
        assert!(
            self.accept_within(Duration::ZERO).is_none(),
            "a connection to {}",
            self.address
        );
    }

    /// Gives every connection a thread.
    pub fn serve(self, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Serving {
        let over = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let address = self.address;
        let thread = {
            let (over, count, serve) = (over.clone(), count.clone(), Arc::new(serve));
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    if let Some(connection) = self.accept_within(TURN) {
                        count.fetch_add(1, Ordering::Relaxed);
                        let serve = serve.clone();
                        std::thread::spawn(move || serve(connection.tcp));
                    }
                }
            })
        };
        Serving {
            address,
            over,
            count,
            thread: Some(thread),
        }
    }
}

/// A thread accepts.
pub struct Serving {
    pub address: SocketAddr,
    over: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Sends everything back, and ends when the other side does.
    pub fn echo() -> Serving {
        Backend::new().serve(|tcp| {
            let _ = std::io::copy(&mut &tcp, &mut &tcp);
        })
    }

    /// Answers the first bytes that come with these, and closes.
    pub fn answering(answer: &[u8]) -> Serving {
        let answer = answer.to_vec();
        Backend::new().serve(move |mut tcp| {
            if tcp.read(&mut [0; 4096]).is_ok_and(|size| size > 0) {
                let _ = tcp.write_all(&answer);
            }
        })
    }

    /// How many connections there have been.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
