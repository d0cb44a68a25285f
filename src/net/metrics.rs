//! The Unix socket of `metrics = PATH` and METRICS: whoever connects is sent the counters in the text format of
//! Prometheus, behind the header of an HTTP answer. It belongs to the parent or listener, which parses no stranger's
//! byte: requests are not read to be understood, only to be thrown away.
#![forbid(unsafe_code)]

pub mod text;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{AccessFlags, access};

use crate::sys::socket::is_temporary;
use crate::sys::words;

/// The owner and the group may ask.
const MODE: u32 = 0o660;
/// Readers at a time; further ones wait in the kernel's queue.
const MOST: usize = 16;
/// For a reader to take its answer and close.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest request that is thrown away before its reader is.
const MOST_REQUEST: usize = 64 * 1024;
/// After an accept that failed for want of something, and would fail again at once.
const REST: Duration = Duration::from_secs(1);

const SOMETHING_ELSE: &str = "there is something else of that name";

const LISTENER: u64 = 0;

/// The socket and those who read from it. The file goes with it.
pub struct Metrics {
    /// Absolute: a process in the background is in another directory.
    path: PathBuf,
    /// Device and number of the socket's file.
    file: (u64, u64),
    listener: UnixListener,
    epoll: Epoll,
    readers: Vec<Reader>,
    next: u64,
    resting: Option<Instant>,
    listening: bool,
}

struct Reader {
    number: u64,
    stream: UnixStream,
    until: Instant,
    thrown_away: usize,
}

impl Metrics {
    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Listens; a socket that a dead server left is replaced. The error names the file.
    pub fn open(path: &Path) -> Result<Metrics, String> {
        let failed = failed(path);
        let path = std::path::absolute(path).map_err(|error| failed(&words::reason(&error)))?;
        make_room(&path).map_err(|reason| failed(&reason))?;
        Metrics::listen(path).map_err(|error| failed(&words::reason(&error)))
    }

    /// Whether [`Metrics::open`] would do. A socket that is there may be that of a server which runs.
    pub fn probe(path: &Path) -> Result<(), String> {
        let failed = failed(path);
        let absolute = std::path::absolute(path).map_err(|error| failed(&words::reason(&error)))?;
        UnixAddr::new(&absolute).map_err(|errno| failed(errno.desc()))?;
        match fs::symlink_metadata(&absolute) {
            Ok(there) if there.file_type().is_socket() => Ok(()),
            Ok(_) => Err(failed(SOMETHING_ELSE)),
            Err(_) => {
                let folder = absolute.parent().unwrap_or(&absolute).join(".");
                let may_add = access(&folder, AccessFlags::W_OK | AccessFlags::X_OK);
                may_add.map_err(|errno| failed(errno.desc()))
            }
        }
    }

    fn listen(path: PathBuf) -> io::Result<Metrics> {
        let socket = unix_socket()?;
        // Linux makes the file with this mode less the umask: at no time with more than it is to have.
        fchmod(&socket, Mode::from_bits_truncate(MODE))?;
        bind(socket.as_raw_fd(), &UnixAddr::new(&path)?)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(MODE))?;
        listen(&socket, Backlog::new(MOST as i32)?)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        let named = fs::symlink_metadata(&path)?;
        Ok(Metrics {
            path,
            file: (named.dev(), named.ino()),
            listener: socket.into(),
            epoll,
            readers: Vec::new(),
            next: LISTENER + 1,
            resting: None,
            listening: true,
        })
    }

    /// Does what there is to do, without waiting. The text is asked for once for each new reader.
    pub fn turn(&mut self, now: Instant, text: impl Fn() -> String) {
        self.readers.retain(|reader| now < reader.until);
        self.resting = self.resting.filter(|&until| now < until);
        self.listen_if_wanted();
        let mut events = [EpollEvent::empty(); MOST + 1];
        // An interrupted wait comes again.
        let count = self
            .epoll
            .wait(&mut events, EpollTimeout::ZERO)
            .unwrap_or(0);
        for event in &events[..count] {
            match event.data() {
                LISTENER => self.welcome(now, &text),
                number => self.throw_away(number),
            }
        }
        self.listen_if_wanted();
    }

    /// When [`Metrics::turn`] has something to do without an event.
    pub fn due(&self) -> Option<Instant> {
        let readers = self.readers.iter().map(|reader| reader.until);
        readers.chain(self.resting).min()
    }

    /// A listener whose clients cannot be taken in would wake its owner again and again.
    fn listen_if_wanted(&mut self) {
        let wanted = self.readers.len() < MOST && self.resting.is_none();
        if wanted != self.listening {
            let mut flags = EpollFlags::empty();
            flags.set(EpollFlags::EPOLLIN, wanted);
            let mut event = EpollEvent::new(flags, LISTENER);
            // It is in there.
            let _ = self.epoll.modify(&self.listener, &mut event);
            self.listening = wanted;
        }
    }

    fn welcome(&mut self, now: Instant, text: &impl Fn() -> String) {
        while self.readers.len() < MOST {
            match self.listener.accept() {
                // One that hangs up at once has had its answer.
                Ok((stream, _)) => {
                    let _ = self.answer(stream, now, text);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.resting = Some(now + REST),
            }
        }
    }

    /// Sends the answer, for which there is room in a fresh socket, and no more after it. The reader stays until it
    /// closes: to close before it has sent its request would tell it of an error.
    fn answer(
        &mut self,
        mut stream: UnixStream,
        now: Instant,
        text: &impl Fn() -> String,
    ) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        stream.write_all(&http(&text()))?;
        stream.shutdown(Shutdown::Write)?;
        let number = self.next;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, number);
        self.epoll.add(&stream, event)?;
        self.next += 1;
        self.readers.push(Reader {
            number,
            stream,
            until: now + PATIENCE,
            thrown_away: 0,
        });
        Ok(())
    }

    fn throw_away(&mut self, number: u64) {
        let place = self
            .readers
            .iter()
            .position(|reader| reader.number == number);
        if let Some(place) = place
            && self.readers[place].is_done()
        {
            self.readers.swap_remove(place);
        }
    }
}

impl Reader {
    /// Reads a piece of the request.
    fn is_done(&mut self) -> bool {
        match self.stream.read(&mut [0; 4096]) {
            Ok(0) => true,
            Ok(length) => {
                self.thrown_away += length;
                self.thrown_away > MOST_REQUEST
            }
            Err(error) => !is_temporary(&error),
        }
    }
}

impl AsFd for Metrics {
    /// Readable when [`Metrics::turn`] has something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        let named = fs::symlink_metadata(&self.path);
        if named.is_ok_and(|named| (named.dev(), named.ino()) == self.file) {
            // It stays where its folder belongs to somebody else by now.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn http(text: &str) -> Vec<u8> {
    let length = text.len();
    format!(
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    )
    .into_bytes()
}

fn unix_socket() -> nix::Result<std::os::fd::OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

fn failed(path: &Path) -> impl Fn(&str) -> String {
    let path = path.display();
    move |reason| format!("unable to listen on metrics socket {path}: {reason}")
}

/// Takes a socket away that nobody listens on, and nothing else.
fn make_room(path: &Path) -> Result<(), String> {
    let Ok(there) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !there.file_type().is_socket() {
        return Err(SOMETHING_ELSE.into());
    }
    let asked = unix_socket().and_then(|socket| connect(socket.as_raw_fd(), &UnixAddr::new(path)?));
    match asked {
        Err(Errno::ECONNREFUSED) => fs::remove_file(path).map_err(|error| words::reason(&error)),
        // A queue that is full is somebody's as well.
        Ok(()) | Err(Errno::EAGAIN) => Err("another process is listening on it".into()),
        Err(errno) => Err(errno.desc().into()),
    }
}

#[cfg(test)]
mod tests;
