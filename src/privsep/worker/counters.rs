//! What a worker counts, in memory that its parent reads.
#![forbid(unsafe_code)]

use crate::net::metrics::text::{Kind, Metric};
use crate::sys::counters::Counters;

/// A number that only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Accepted,
    Closed,
    Tls12,
    Tls13,
    Resumed,
    Failed,
    HandshakeTimeouts,
    HeaderTimeouts,
    IdleTimeouts,
    Unreached,
    BackendErrors,
    ClientsGone,
    Received,
    Sent,
    Shortages,
    Withheld,
}

const fn counter(name: &'static str, labels: &'static str, help: &'static str) -> Metric<'static> {
    Metric {
        name,
        labels,
        help,
        kind: Kind::Counter,
    }
}

/// What they are called and mean, in the order of [`Count`].
pub const TABLE: [Metric<'static>; 16] = [
    counter("connections_accepted_total", "", "Connections accepted."),
    counter(
        "connections_closed_total",
        "",
        "Connections that have ended.",
    ),
    counter(
        "handshakes_total",
        "version=\"older\"",
        "TLS handshakes that succeeded.",
    ),
    counter(
        "handshakes_total",
        "version=\"TLSv1.3\"",
        "TLS handshakes that succeeded.",
    ),
    counter(
        "handshakes_resumed_total",
        "",
        "Handshakes that resumed a session.",
    ),
    counter(
        "handshakes_failed_total",
        "",
        "Connections that ended before TLS was agreed on.",
    ),
    counter(
        "handshake_timeouts_total",
        "",
        "Handshakes that took too long.",
    ),
    counter(
        "proxy_header_timeouts_total",
        "",
        "Connections whose PROXY header did not come in time.",
    ),
    counter(
        "idle_timeouts_total",
        "",
        "Connections ended because nothing moved.",
    ),
    counter(
        "backend_unreached_total",
        "",
        "Connections for which no address of the backend answered.",
    ),
    counter(
        "backend_errors_total",
        "",
        "Attempts to reach an address of a backend that failed.",
    ),
    counter(
        "clients_gone_total",
        "",
        "Clients that went away in the middle.",
    ),
    counter(
        "received_bytes_total",
        "",
        "Decrypted bytes from the TLS side.",
    ),
    counter(
        "sent_bytes_total",
        "",
        "Bytes to the TLS side before encryption.",
    ),
    counter(
        "accept_pauses_total",
        "",
        "Times that accepting stopped for want of descriptors or memory.",
    ),
    counter(
        "log_lines_lost_total",
        "",
        "Lines about connections that the log does not have.",
    ),
];

pub type Counts = Counters<{ TABLE.len() }>;
