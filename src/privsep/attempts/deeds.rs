//! The attempts for which there are safe calls. Where one gets through it does no harm; the others are in
//! [`crate::sys::attempts`].
#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::kill;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind,
    listen, sendto, socket, socketpair,
};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Pid, Uid, chroot, getppid, pipe, setgroups, setresgid, setresuid};

use crate::sys::attempts::{Outcome, unless};

/// What an error of the standard library was in the kernel's words.
fn said<T>(result: io::Result<T>) -> Outcome {
    let errno = |error: io::Error| Errno::from_raw(error.raw_os_error().unwrap_or_default());
    result.map(drop).map_err(errno)
}

pub fn open(path: &str) -> Outcome {
    said(File::open(path))
}

pub fn open_beneath(directory: impl AsFd) -> Outcome {
    openat(directory, "etc/passwd", OFlag::O_RDONLY, Mode::empty()).map(drop)
}

pub fn write(path: &str) -> Outcome {
    said(OpenOptions::new().write(true).open(path))
}

/// One without a name, which goes when it is closed.
pub fn make_file() -> Outcome {
    let mut options = OpenOptions::new();
    said(options.write(true).custom_flags(libc::O_TMPFILE).open("/"))
}

/// One that is there.
pub fn make_directory() -> Outcome {
    unless(said(fs::create_dir("/")), Errno::EEXIST)
}

const NOTHING: &str = "/no-such-directory/file";

pub fn remove() -> Outcome {
    unless(said(fs::remove_file(NOTHING)), Errno::ENOENT)
}

pub fn rename() -> Outcome {
    unless(said(fs::rename(NOTHING, NOTHING)), Errno::ENOENT)
}

pub fn change_mode() -> Outcome {
    let changed = fs::set_permissions(NOTHING, Permissions::from_mode(0o600));
    unless(said(changed), Errno::ENOENT)
}

pub fn parent() -> Pid {
    getppid()
}

pub fn open_memory() -> Outcome {
    open(&format!("/proc/{}/mem", parent()))
}

fn make(family: AddressFamily, kind: SockType) -> Outcome {
    let flags = SockFlag::SOCK_CLOEXEC;
    socket(family, kind, flags, None::<SockProtocol>).map(drop)
}

pub fn ipv4_socket() -> Outcome {
    make(AddressFamily::Inet, SockType::Stream)
}

pub fn ipv6_socket() -> Outcome {
    make(AddressFamily::Inet6, SockType::Stream)
}

pub fn unix_socket() -> Outcome {
    make(AddressFamily::Unix, SockType::Stream)
}

pub fn netlink_socket() -> Outcome {
    make(AddressFamily::Netlink, SockType::Raw)
}

pub fn raw_socket() -> Outcome {
    let flags = SockFlag::SOCK_CLOEXEC;
    let protocol = SockProtocol::Icmp;
    socket(AddressFamily::Inet, SockType::Raw, flags, protocol).map(drop)
}

pub fn packet_socket() -> Outcome {
    make(AddressFamily::Packet, SockType::Raw)
}

pub fn connect_to(port: u16) -> Outcome {
    said(TcpStream::connect((Ipv4Addr::LOCALHOST, port)))
}

/// TCP Fast Open, which is no connect(2).
pub fn connect_by_sending(port: u16) -> Outcome {
    let flags = SockFlag::SOCK_CLOEXEC;
    let (family, kind) = (AddressFamily::Inet, SockType::Stream);
    let stream = socket(family, kind, flags, None::<SockProtocol>)?;
    let target = SockaddrStorage::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let how = MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
    sendto(stream.as_raw_fd(), b"x", &target, how).map(drop)
}

pub fn connect_to_name(name: &[u8]) -> Outcome {
    said(UnixAddress::from_abstract_name(name).and_then(|to| UnixStream::connect_addr(&to)))
}

pub fn send_packet(port: u16) -> Outcome {
    let flags = SockFlag::SOCK_CLOEXEC;
    let (family, kind) = (AddressFamily::Inet, SockType::Datagram);
    let socket = socket(family, kind, flags, None::<SockProtocol>)?;
    let target = SockaddrStorage::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    sendto(socket.as_raw_fd(), b"x", &target, MsgFlags::empty()).map(drop)
}

/// Whoever may bind at all may bind to port 0, whose number the kernel chooses. Is this one taken, so much the better.
pub fn take_port() -> Outcome {
    let flags = SockFlag::SOCK_CLOEXEC;
    let (family, kind) = (AddressFamily::Inet, SockType::Stream);
    let stream = socket(family, kind, flags, None::<SockProtocol>)?;
    let address = SockaddrStorage::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)));
    unless(bind(stream.as_raw_fd(), &address), Errno::EADDRINUSE)
}

/// A socket that was not bound gets a port by that.
pub fn listen_anywhere() -> Outcome {
    let flags = SockFlag::SOCK_CLOEXEC;
    let (family, kind) = (AddressFamily::Inet, SockType::Stream);
    let stream = socket(family, kind, flags, None::<SockProtocol>)?;
    listen(&stream, Backlog::new(1)?)
}

pub fn pair() -> Outcome {
    let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
    socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC).map(drop)
}

pub fn make_pipe() -> Outcome {
    pipe().map(drop)
}

pub fn start_thread() -> Outcome {
    let started = thread::Builder::new().spawn(|| ());
    said(started.map(|thread| drop(thread.join())))
}

/// Without a signal: whether there might be one.
pub fn signal(pid: Pid) -> Outcome {
    kill(pid, None)
}

pub fn become_root() -> Outcome {
    let root = Uid::from_raw(0);
    setresuid(root, root, root)
}

pub fn join_group() -> Outcome {
    let root = Gid::from_raw(0);
    setresgid(root, root, root)
}

pub fn take_up_groups() -> Outcome {
    setgroups(&[Gid::from_raw(0)])
}

pub fn change_root() -> Outcome {
    chroot("/")
}

pub fn raise_limit() -> Outcome {
    let most = nix::libc::RLIM_INFINITY;
    setrlimit(Resource::RLIMIT_CORE, most, most)
}
