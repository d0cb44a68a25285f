//! What is known of a descriptor between two waits.
#![forbid(unsafe_code)]

use crate::sys::descriptor::Ready;

/// What is known of a descriptor to be ready until a call says that it is not.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    pub readable: bool,
    pub writable: bool,
    /// Whatever is read now, an end follows: readiness for reading will not be announced again.
    last: bool,
    /// Nothing more can be said to it.
    broken: bool,
    /// The kernel has said something of it.
    known: bool,
}

impl Default for Readiness {
    /// Of a fresh descriptor: a write that finds no room will say so.
    fn default() -> Readiness {
        Readiness {
            readable: false,
            writable: true,
            last: false,
            broken: false,
            known: false,
        }
    }
}

impl Readiness {
    pub fn take(&mut self, ready: Ready) {
        self.readable |= ready.readable;
        self.writable |= ready.writable;
        self.last |= ready.ended || ready.hung_up || ready.broken;
        self.broken |= ready.hung_up || ready.broken;
        self.known = true;
    }

    /// After a read that gave less than it could, nothing more is there.
    pub fn drained(&mut self, is_short: bool) {
        self.readable = !is_short || self.last;
    }

    /// Whoever is at the other end has gone for good.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    pub fn is_known(&self) -> bool {
        self.known
    }
}
