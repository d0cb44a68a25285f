//! Lines of a running program, collected by a thread, waited for with a limit.
#![forbid(unsafe_code)]

use super::LIMIT;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

#[derive(Clone)]
pub struct Log(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

/// Compares a line with a pattern in which `*` stands for any text.
pub fn glob(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
    }
    last.map_or(rest.is_empty(), |part: &str| rest.ends_with(part))
}

impl Log {
    pub fn collect(reader: impl Read + Send + 'static) -> Log {
        let log = Log(Arc::default());
        let shared = Arc::clone(&log.0);
        std::thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                let mut held = shared.0.lock().expect("no panic under the lock");
                held.lines.push(String::from_utf8_lossy(&line).into_owned());
                shared.1.notify_all();
            }
            shared.0.lock().expect("no panic under the lock").ended = true;
            shared.1.notify_all();
        });
        log
    }

    pub fn lines(&self) -> Vec<String> {
        self.0
            .0
            .lock()
            .expect("no panic under the lock")
            .lines
            .clone()
    }

    pub fn matching(&self, pattern: &str) -> Vec<String> {
        self.lines()
            .into_iter()
            .filter(|line| glob(pattern, line))
            .collect()
    }

    pub fn count(&self, pattern: &str) -> usize {
        self.matching(pattern).len()
    }

    pub fn wait_for(&self, pattern: &str) -> String {
        self.wait_for_nth(pattern, 1)
    }

    /// Waits until that many lines have come that fit the pattern, and returns the last of them.
    pub fn wait_for_nth(&self, pattern: &str, number: usize) -> String {
        let found = self.wait(LIMIT, |lines, _| {
            lines
                .iter()
                .filter(|line| glob(pattern, line))
                .nth(number - 1)
                .cloned()
        });
        found.unwrap_or_else(|| {
            panic!(
                "no line {number} of {pattern:?} within {LIMIT:?} in this log:\n{}",
                self.lines().join("\n")
            )
        })
    }

    /// Waits until the writers are gone.
    pub fn wait_for_end(&self) -> Vec<String> {
        self.wait(LIMIT, |lines, ended| ended.then(|| lines.to_vec()))
            .unwrap_or_else(|| {
                panic!(
                    "the log is still open after {LIMIT:?}:\n{}",
                    self.lines().join("\n")
                )
            })
    }

    /// The first line, or None where the writer ended without one.
    pub fn first(&self, limit: Duration) -> Option<String> {
        self.wait(limit, |lines, ended| {
            (ended || !lines.is_empty()).then(|| lines.first().cloned())
        })
        .flatten()
    }

    fn wait<T>(
        &self,
        limit: Duration,
        mut seen: impl FnMut(&[String], bool) -> Option<T>,
    ) -> Option<T> {
        let end = Instant::now() + limit;
        let mut held = self.0.0.lock().expect("no panic under the lock");
        loop {
            if let Some(found) = seen(&held.lines, held.ended) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            held = self
                .0
                .1
                .wait_timeout(held, left)
                .expect("no panic under the lock")
                .0;
        }
    }
}
