//! The lines that the log has of what workers tell, and of their numbers.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::sync::Arc;

use nix::unistd::Pid;

use super::config::{Backend, Config};
use super::log::Log;
use crate::net::metrics::text;
use crate::privsep::message::{Finish, Finished, FromWorker};
use crate::privsep::worker::{Count, Counts, TABLE};
use crate::sys::words::field;

/// Writes down what a worker tells.
pub fn tell(log: &Log, worker: Pid, config: &Config, told: &FromWorker) {
    match told {
        FromWorker::Finished(finished) => match &finished.finish {
            Finish::Handshake(_) => log.error_of(worker, line(finished)),
            _ => log.connection(worker, line(finished)),
        },
        FromWorker::Unreached { backend, reason } => {
            let backend = config.backends.get(usize::from(*backend));
            log.error(format_args!(
                "backend {}: {reason}",
                backend.map_or(String::new(), name)
            ));
        }
        FromWorker::Withheld(count) => {
            log.error(format_args!("and {count} more such errors in ten seconds"));
        }
        FromWorker::Short(reason) => {
            log.error(format_args!(
                "worker {worker} accepts no more for now: {reason}"
            ));
        }
        FromWorker::Recovered => log.error(format_args!("worker {worker} accepts again")),
        FromWorker::Ready | FromWorker::Stopped | FromWorker::Fatal(_) => {}
    }
}

pub fn name(backend: &Backend) -> String {
    match backend {
        Backend::Tcp(host, port) => format!("[{host}]:{port}"),
        Backend::Unix(path) => path.display().to_string(),
    }
}

fn line(finished: &Finished) -> String {
    let mut line = format!("client={}", finished.client);
    // Writing to a string does not fail.
    if let Some(announced) = finished.announced {
        let _ = write!(line, " for={announced}");
    }
    if !finished.name.is_empty() {
        let _ = write!(line, " name={}", field(&finished.name));
    }
    if !finished.protocol.is_empty() {
        let session = if finished.resumed { "resumed" } else { "new" };
        let protocol = field(finished.protocol.as_bytes());
        let cipher = field(finished.cipher.as_bytes());
        let _ = write!(
            line,
            " protocol={protocol} cipher={cipher} session={session}"
        );
    }
    let seconds = finished.milliseconds / 1000;
    let rest = finished.milliseconds % 1000;
    let (received, sent) = (finished.received, finished.sent);
    let _ = write!(
        line,
        " received={received} sent={sent} seconds={seconds}.{rest:03} end="
    );
    line.push_str(&match &finished.finish {
        Finish::Complete => "complete".to_owned(),
        Finish::Handshake(reason) => format!("handshake: {}", words(reason)),
        Finish::Unreached(reason) => format!("backend: {}", words(reason)),
        Finish::BackendGone(reason) => format!("backend gone: {}", words(reason)),
        Finish::ClientGone(reason) => format!("client gone: {}", words(reason)),
        Finish::Broken(reason) => format!("broken: {}", words(reason)),
        Finish::Idle => "idle".to_owned(),
        Finish::Drained => "drained".to_owned(),
    });
    line
}

/// A worker's words, without what could break a line.
fn words(text: &str) -> String {
    text.chars()
        .map(|one| if one.is_control() { '?' } else { one })
        .collect()
}

/// The sums over all workers, as Prometheus reads them.
pub fn metrics(counts: &[Arc<Counts>], log: &Log) -> String {
    let mut text = text::write("stud", &TABLE, |place| value(counts, log, place));
    let open = open(counts);
    // Writing to a string does not fail.
    let _ = writeln!(text, "# HELP stud_connections Connections now.");
    let _ = writeln!(
        text,
        "# TYPE stud_connections gauge\nstud_connections {open}"
    );
    text
}

/// The same in one line.
pub fn counters(counts: &[Arc<Counts>], log: &Log) -> String {
    let mut line = format!("counters: connections={}", open(counts));
    for (place, metric) in TABLE.iter().enumerate() {
        let total = value(counts, log, place);
        let _ = match metric.labels.is_empty() {
            true => write!(line, " {}={total}", metric.name),
            false => write!(line, " {}{{{}}}={total}", metric.name, metric.labels),
        };
    }
    line
}

/// Lines that workers had and those that the log had are lost alike.
fn value(counts: &[Arc<Counts>], log: &Log, place: usize) -> u64 {
    let lost = if place == Count::Withheld as usize {
        log.lost()
    } else {
        0
    };
    total(counts, place) + lost
}

fn total(counts: &[Arc<Counts>], place: usize) -> u64 {
    counts.iter().map(|counts| counts.get(place)).sum()
}

/// Connections that have not ended.
fn open(counts: &[Arc<Counts>]) -> u64 {
    let total = |count| total(counts, count as usize);
    total(Count::Accepted).saturating_sub(total(Count::Closed))
}
