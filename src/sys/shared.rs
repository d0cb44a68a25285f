//! Bytes that a process and the children it forks have in common. Unlike ordinary memory they cost a fork nothing, be
//! they kilobytes or many megabytes.

use std::ops::Deref;
use std::ptr::{self, NonNull};

use nix::errno::Errno;

/// Written once, read-only from then on.
pub struct SharedBytes {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: nobody writes to the mapping after `new`.
unsafe impl Send for SharedBytes {}
// SAFETY: as above.
unsafe impl Sync for SharedBytes {}

impl SharedBytes {
    pub fn new(bytes: &[u8]) -> Result<SharedBytes, Errno> {
        // The kernel makes no empty mapping.
        let room = bytes.len().max(1);
        // SAFETY: a new mapping of that size, of which exactly `bytes` is written before it becomes read-only.
        unsafe {
            let start = libc::mmap(
                ptr::null_mut(),
                room,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            if start == libc::MAP_FAILED {
                return Err(Errno::last());
            }
            ptr::copy_nonoverlapping(bytes.as_ptr(), start.cast::<u8>(), bytes.len());
            libc::mprotect(start, room, libc::PROT_READ);
            let start = NonNull::new(start.cast::<u8>()).ok_or(Errno::ENOMEM)?;
            Ok(SharedBytes {
                start,
                length: bytes.len(),
            })
        }
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping lives as long as `self`, has that length, and is never written again.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for SharedBytes {
    fn drop(&mut self) {
        // SAFETY: unmaps what `new` mapped; no slice outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length.max(1)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        assert_eq!(SharedBytes::new(&bytes).unwrap()[..], bytes);
        assert!(SharedBytes::new(&[]).unwrap().is_empty());
    }
}
