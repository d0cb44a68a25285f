//! How many connections the limit of descriptors has room for. Counting them beforehand keeps a client from being
//! accepted for whom there is no descriptor to reach a backend with.
#![forbid(unsafe_code)]

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The standard ones, the program's own, and a few that came from its parent.
const OWN: u64 = 12;
/// A client's socket and a backend's.
const EACH: u64 = 2;
/// Pipes for splicing: two descriptors each, an eighth of all at most.
const MOST_PIPES: u64 = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub connections: usize,
    pub pipes: usize,
}

impl Room {
    /// Raises the limit as far as it goes without privileges.
    pub fn make(wanted: Option<usize>) -> Room {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
        let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        let limit = if raised { hard } else { soft };
        Room::within(limit, wanted)
    }

    fn within(limit: u64, wanted: Option<usize>) -> Room {
        let free = limit.saturating_sub(OWN);
        let pipes = (free / 16).min(MOST_PIPES);
        let connections = ((free - 2 * pipes) / EACH).max(1);
        let connections = usize::try_from(connections).unwrap_or(usize::MAX);
        Room {
            connections: wanted.unwrap_or(connections).min(connections),
            pipes: pipes as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_connections_and_pipes_have_their_descriptors() {
        for limit in [14, 20, 64, 256, 1024, 1 << 20] {
            let room = Room::within(limit, None);
            assert!(room.connections >= 1);
            let used = OWN + 2 * room.connections as u64 + 2 * room.pipes as u64;
            assert!(used <= limit, "{limit}: {used}");
            assert!(used + 4 > limit, "{limit}: {used}");
        }
    }

    #[test]
    fn fewer_are_had_for_the_asking_and_more_are_not() {
        assert_eq!(Room::within(1024, Some(10)).connections, 10);
        assert_eq!(Room::within(30, Some(1000)).connections, 8);
    }
}
