use std::net::{Ipv4Addr, TcpListener};

use nix::sys::socket::{Backlog, listen};

use super::*;

const TIMES: Dialing = Dialing {
    local: None,
    local_port: 0,
    first: Duration::from_secs(20),
    second: Duration::from_secs(20),
};

fn listener(ip: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Nobody listens there.
fn closed() -> SocketAddr {
    let (listener, address) = listener("127.0.0.1");
    drop(listener);
    address
}

/// Answers nobody: its queue is full, and stays so as long as what is returned.
fn silent() -> (OwnedFd, Vec<TcpStream>, SocketAddr) {
    let flags = SockFlag::SOCK_CLOEXEC;
    let end = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    bind(end.as_raw_fd(), &SockaddrStorage::from(any)).unwrap();
    listen(&end, Backlog::new(0).unwrap()).unwrap();
    let address = TcpListener::from(end.try_clone().unwrap())
        .local_addr()
        .unwrap();
    let mut kept = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        kept.push(stream);
    }
    (end, kept, address)
}

fn reached(dialed: &Dialed) -> Option<SocketAddr> {
    dialed.connected.as_ref().map(|(stream, address)| {
        assert_eq!(stream.peer_addr().unwrap(), *address);
        *address
    })
}

#[test]
fn families_take_turns_and_the_first_stays_the_first() {
    let ips = |text: &str| -> Vec<IpAddr> {
        let words = text.split_whitespace();
        words.map(|word| word.parse().unwrap()).collect()
    };
    for (given, mixed) in [
        ("::1 ::2 ::3 1.1.1.1", "::1 1.1.1.1 ::2 ::3"),
        ("1.1.1.1 2.2.2.2 ::1 ::2", "1.1.1.1 ::1 2.2.2.2 ::2"),
        ("::1 ::2", "::1 ::2"),
        ("", ""),
    ] {
        assert_eq!(alternate(ips(given)), ips(mixed));
    }
}

#[test]
fn an_address_that_refuses_costs_no_time_and_is_told() {
    let (_listener, good) = listener("127.0.0.1");
    let bad = closed();
    let dialed = dial(&[bad, good], &TIMES);
    assert_eq!(reached(&dialed), Some(good));
    let failure = Failure {
        address: bad,
        reason: Errno::ECONNREFUSED,
    };
    assert_eq!(dialed.failures, [failure]);
}

#[test]
fn one_that_is_silent_does_not_hold_up_the_next() {
    let (_end, _kept, dead) = silent();
    let (_listener, good) = listener("127.0.0.1");
    // Within the time of the first.
    let dialed = dial(&[dead, good], &TIMES);
    assert_eq!(reached(&dialed), Some(good));
    assert_eq!(dialed.failures, []);
}

#[test]
fn those_that_are_late_have_a_second_round_and_are_told_after_it() {
    let (_end, _kept, dead) = silent();
    let moment = Duration::from_millis(50);
    let times = |first, second| Dialing {
        first,
        second,
        ..TIMES
    };
    let begin = Instant::now();
    let dialed = dial(&[dead, closed()], &times(moment, moment));
    assert_eq!(reached(&dialed), None);
    let reasons: Vec<Errno> = dialed.failures.iter().map(|one| one.reason).collect();
    assert_eq!(reasons, [Errno::ECONNREFUSED, Errno::ETIMEDOUT]);
    // It cannot have been faster.
    assert!(begin.elapsed() >= 2 * moment);
    // Alone it has both times at once, and without a second time it is tried once.
    for (first, second, list) in [
        (moment, moment, vec![dead]),
        (moment, Duration::ZERO, vec![dead, dead]),
    ] {
        let dialed = dial(&list, &times(first, second));
        let reasons: Vec<Errno> = dialed.failures.iter().map(|one| one.reason).collect();
        assert_eq!(reasons, vec![Errno::ETIMEDOUT; list.len()]);
    }
}

#[test]
fn it_comes_from_where_it_is_told_to() {
    let (listener, good) = listener("127.0.0.1");
    let (other, from) = self::listener("127.0.0.3");
    drop(other);
    let dialing = Dialing {
        local: Some(SocketAddr::new(from.ip(), 0)),
        local_port: from.port(),
        ..TIMES
    };
    let dialed = dial(&[good], &dialing);
    assert_eq!(reached(&dialed), Some(good));
    assert_eq!(listener.accept().unwrap().1, from);
}
