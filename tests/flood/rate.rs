//! RATE: new connections of one client in a time.
#![forbid(unsafe_code)]

use crate::common::{Setup, eventually, without_root};
use crate::{ONE, OTHER, THIRD, admitted, served};

#[test]
fn each_address_has_its_rate_and_is_closed_beyond_it() {
    let server = Setup::new().env("RATE", "3/3600").start();
    for source in [ONE, OTHER] {
        assert_eq!(served(&server, source, 5), 3, "{source}");
        let line =
            format!("sslserver: warning: ip connection rate of 3/3600 exceeded for: {source}");
        server.log.wait_for_nth(&line, 2);
    }
    server.wait_until_idle();
}

#[test]
fn the_rate_of_a_rule_counts_instead_of_the_environments() {
    let rules = "127.0.0.1:allow,RATE=\"2/3600\"\n127.0.0.2:allow,RATE=\"0\"\n";
    for option in ["-y", "-x"] {
        let setup = Setup::new().env("RATE", "1/3600").rules(option, rules);
        let server = setup.start();
        let counts = [ONE, OTHER, THIRD].map(|source| served(&server, source, 4));
        assert_eq!(counts, [2, 4, 1], "{option}");
        let line = "sslserver: deny * :127.0.0.1::* ip connection rate:2/3600 exceeded";
        server.log.wait_for_nth(line, 2);
        let line = "sslserver: warning: ip connection rate of 1/3600 exceeded for: 127.0.0.3";
        server.log.wait_for_nth(line, 3);
    }
}

#[test]
fn whoever_is_denied_or_over_another_limit_uses_nothing_of_its_rate() {
    let setup = Setup::new().env("RATE", "2/3600").env("MAXCONIP", "1");
    let server = setup.start();
    let first = admitted(&server, ONE).expect("the first");
    assert_eq!(served(&server, ONE, 5), 0);
    drop(first);
    server.wait_until_idle();
    assert_eq!(served(&server, ONE, 1), 1);
    server.wait_until_idle();
    assert_eq!(served(&server, ONE, 3), 0);
    let line = "sslserver: warning: ip connection rate of 2/3600 exceeded for: 127.0.0.1";
    server.log.wait_for_nth(line, 3);
}

#[test]
fn an_allowance_comes_back_with_time() {
    let server = Setup::new().env("RATE", "1/2").start();
    // As often as it takes: the second is refused unless the machine sleeps between the two.
    eventually("a refusal", || {
        admitted(&server, ONE).is_none().then_some(())
    });
    eventually("a place again", || admitted(&server, ONE).map(drop));
    server.wait_until_idle();
}

#[test]
fn a_wrong_limit_of_a_rule_is_told_and_the_environments_counts() {
    let rules = "127.0.0.1:allow,RATE=\"10\"\n127.0.0.2:allow,HANDSHAKESIP=\"all\"\n";
    let setup = Setup::new().env("RATE", "1/3600").rules("-x", rules);
    let server = setup.start();
    for (source, limit) in [(ONE, "RATE=10"), (OTHER, "HANDSHAKESIP=all")] {
        assert_eq!(served(&server, source, 2), 1);
        let line = format!("sslserver: warning: rule for {source}: no limit: {limit}");
        server.log.wait_for_nth(&line, 2);
        assert_eq!(server.log.count(&line), 2);
    }
}

#[test]
fn a_client_beyond_its_rate_causes_no_fork() {
    if without_root("a_client_beyond_its_rate_causes_no_fork") {
        return;
    }
    let setup = Setup::new().env("RATE", "2/3600").shell("echo $$");
    let setup = setup.rules("-x", "127.0.0.2:allow,RATE=\"0\"\n");
    let server = setup
        .prefix(&["unshare", "--pid", "--fork", "--kill-child"])
        .start();
    // The pid that the application says it has; pids are given out in order in a namespace of the server's own.
    let pid = || -> i32 {
        let text = server.dial().from(OTHER).connect().text();
        text.trim().parse().expect("a pid")
    };
    for _ in 0..2 {
        server.reply();
    }
    let (first, second) = (pid(), pid());
    for _ in 0..50 {
        assert!(server.dial().try_connect().is_err());
    }
    assert_eq!(
        pid() - second,
        second - first,
        "pids went to refused clients"
    );
    server.wait_until_idle();
}

#[test]
fn a_flood_beyond_the_rate_is_one_line_more_than_its_beginning_and_each_is_accounted_for() {
    let server = Setup::new().env("RATE", "1/3600").start();
    assert!(admitted(&server, ONE).is_some());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| assert!(admitted(&server, ONE).is_none())));
        }
    });
    let line = "sslserver: warning: ip connection rate of 1/3600 exceeded for: 127.0.0.1";
    let summary =
        "sslserver: warning: * more connections denied within 10 seconds, the last from 127.0.0.1";
    eventually("every refused client in the log", || {
        let summed = server.log.matching(summary);
        let numbers = summed
            .iter()
            .filter_map(|line| line.split(' ').nth(2)?.parse::<usize>().ok());
        (server.log.count(line) + numbers.sum::<usize>() == 2000).then_some(())
    });
    let (whole, spells) = (server.log.count(line), server.log.count(summary));
    assert!(
        spells >= 1 && whole <= 20 * (spells + 1),
        "{whole} lines beside {spells} summaries"
    );
    assert!(admitted(&server, OTHER).is_some());
}
