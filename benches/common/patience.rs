//! Waiting for what other programs do, always with an end.
#![forbid(unsafe_code)]

use std::thread;
use std::time::{Duration, Instant};

pub struct Patience;

impl Patience {
    /// For what should be there at once.
    pub const SHORT: Duration = Duration::from_secs(2);
    /// For what a busy machine may take.
    pub const LONG: Duration = Duration::from_secs(20);
}

const STEP: Duration = Duration::from_millis(5);

/// Asks until the answer is yes; false when the time is over.
pub fn until(limit: Duration, mut happened: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if happened() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(STEP);
    }
}
