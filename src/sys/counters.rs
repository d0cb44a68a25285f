//! Numbers that a process and the children it forks count up together, without a message for each.
//!
//! Every child can write all of them: they are for people to look at, and nothing may be decided by them.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;

/// N numbers, all 0 at first, shared with every child that is forked later. One that overflows begins again at 0.
pub struct Counters<const N: usize> {
    cells: NonNull<[AtomicU64; N]>,
}

// SAFETY: the cells are atomic, and the mapping lives as long as its owner.
unsafe impl<const N: usize> Send for Counters<N> {}
// SAFETY: as above.
unsafe impl<const N: usize> Sync for Counters<N> {}

impl<const N: usize> Counters<N> {
    /// The kernel makes no empty mapping.
    const LENGTH: usize = if N == 0 {
        1
    } else {
        N * size_of::<AtomicU64>()
    };

    pub fn new() -> Result<Counters<N>, Errno> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                Self::LENGTH,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let cells = NonNull::new(start.cast()).ok_or(Errno::ENOMEM)?;
        Ok(Counters { cells })
    }

    pub fn add(&self, index: usize, n: u64) {
        self.cells()[index].fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self, index: usize) -> u64 {
        self.cells()[index].load(Ordering::Relaxed)
    }

    fn cells(&self) -> &[AtomicU64; N] {
        // SAFETY: the mapping begins at a page, has room for N cells, came zeroed, is only used through atomics, and
        // lives as long as `self`.
        unsafe { self.cells.as_ref() }
    }
}

impl<const N: usize> Drop for Counters<N> {
    fn drop(&mut self) {
        // SAFETY: unmaps what `new` mapped; no reference outlives `self`.
        unsafe { libc::munmap(self.cells.as_ptr().cast(), Self::LENGTH) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_begins_at_0_and_counts_for_itself() {
        let counters = Counters::<1000>::new().unwrap();
        counters.add(0, 3);
        counters.add(999, u64::MAX);
        counters.add(0, 4);
        assert_eq!(
            [0, 1, 999].map(|index| counters.get(index)),
            [7, 0, u64::MAX]
        );
    }
}
