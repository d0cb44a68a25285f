//! Files in memory, for code that takes a path or a descriptor.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};

pub struct Temporary(pub File);

impl Temporary {
    pub fn with(bytes: &[u8]) -> Temporary {
        let mut file = File::from(memfd_create("fuzz", MFdFlags::MFD_CLOEXEC).unwrap());
        file.write_all(bytes).unwrap();
        Temporary(file)
    }

    /// Where this process can open it, from its beginning.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}
