//! When a role that died is started again: at once, or later and later if it keeps dying.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// A role that dies at once is not started again at once.
const LEAST_LIFE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Backoff {
    pub started: Option<Instant>,
    pause: Duration,
}

impl Backoff {
    /// Of a role that is started now.
    pub fn started(now: Instant) -> Backoff {
        Backoff {
            started: Some(now),
            ..Backoff::default()
        }
    }

    pub fn next(&mut self, now: Instant) -> Instant {
        let lived = self.started.map_or(LONGEST_PAUSE, |started| now - started);
        self.pause = match lived < LEAST_LIFE.max(self.pause * 2) {
            true => (self.pause * 2).clamp(LEAST_LIFE, LONGEST_PAUSE),
            false => Duration::ZERO,
        };
        now + self.pause
    }
}
