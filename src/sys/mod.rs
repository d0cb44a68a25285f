//! The system calls that have no safe wrapper: with the OpenSSL provider the only home of `unsafe`.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "the process roles rest on Linux: SCM_RIGHTS over SOCK_SEQPACKET, signalfd, epoll, close_range"
);

pub mod accept;
pub mod attempts;
pub mod clock;
pub mod code;
pub mod counters;
pub mod daemon;
pub mod descriptor;
pub mod heap;
pub mod identity;
pub mod message;
pub mod notify;
pub mod process;
pub mod service;
pub mod shared;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod stream;
pub mod words;
