//! Single settings: what they take, and what becomes of it.
use std::time::Duration;

use super::Place;
use crate::stud::config::{Facility, Level, Sessions};

#[test]
fn in_the_background_the_log_goes_to_syslog_unless_a_file_has_it() {
    let place = Place::with_certificates();
    let log = |line: &str| place.config(&format!("{line} a.pem")).unwrap().log;
    assert_eq!(log("--daemon").syslog, Some(Facility(24)));
    assert_eq!(log("--daemon -l log").syslog, None);
    assert_eq!(log("-l log").file, Some(place.path("log")));
    assert_eq!(
        log("-s --syslog-facility=local7").syslog,
        Some(Facility(184))
    );
    assert_eq!(log("-s --syslog-facility=auth").syslog, Some(Facility(80)));
}

#[test]
fn of_level_and_quiet_the_later_counts() {
    let place = Place::with_certificates();
    let level = |line: &str| place.config(&format!("{line} a.pem")).unwrap().log.level;
    assert_eq!(level("-L0"), Level::Life);
    assert_eq!(level("-L 2"), Level::Connections);
    assert_eq!(level("-L2 -q"), Level::Quiet);
    assert_eq!(level("-q -L2"), Level::Connections);
    assert_eq!(level("-q --quiet=off"), Level::Errors);
    assert_eq!(level("-L2 --quiet=off"), Level::Connections);
}

#[test]
fn sessions_are_kept_in_memory_or_not_at_all_and_never_sent_in_datagrams() {
    let place = Place::with_certificates();
    let config = place.config("-C 500 a.pem").unwrap();
    assert_eq!(config.sessions, Sessions::Memory(500));
    assert_eq!(
        place.config("--session-cache=0 a.pem").unwrap().sessions,
        Sessions::Tickets
    );
    for option in ["-U", "-P", "-M"] {
        let problem = place.config(&format!("{option} [::]:1 a.pem")).unwrap_err();
        assert!(problem.starts_with(&format!("{option} is not there")));
        assert!(problem.contains("ticket-key-file") && problem.contains("session-store"));
    }
}

#[cfg(not(feature = "redis"))]
#[test]
fn a_store_needs_the_feature_that_speaks_to_it() {
    let problem = Place::with_certificates().config("--session-store redis://a a.pem");
    let expected =
        "--session-store cannot be used: this program was built without the feature \"redis\"";
    assert_eq!(problem.unwrap_err(), expected);
}

#[cfg(feature = "redis")]
#[test]
fn a_store_is_a_redis_server_and_no_cache_stands_beside_it() {
    let place = Place::with_certificates();
    let config = place.config("--session-store redis://a:1/2 a.pem").unwrap();
    assert_eq!(config.sessions, Sessions::Store("redis://a:1/2".into()));
    assert!(place.config("--session-store http://a a.pem").is_err());
    assert!(
        place
            .config("--session-store redis://a -C 5 a.pem")
            .is_err()
    );
}

#[test]
fn what_has_no_effect_is_accepted_with_a_note() {
    let place = Place::with_certificates();
    let config = place.read(
        "ssl-engine = pkcs11\nocsp-dir = /x\nocsp-resp-tmo = 10\nocsp-connect-tmo = 4.0\n\
         ocsp-refresh-interval = 1800\nocsp-verify-staple = on\ntls-protos = SSLv3 TLSv1.0 TLSv1.1",
    );
    let notes = config.unwrap().notes;
    let first: Vec<_> = notes.iter().map(|note| note.split(' ').next()).collect();
    let expected = [
        "ssl-engine",
        "ocsp-dir",
        "ocsp-resp-tmo",
        "ocsp-connect-tmo",
        "ocsp-refresh-interval",
        "ocsp-verify-staple",
        "SSLv3",
    ];
    assert_eq!(first, expected.map(Some));
    assert_eq!(place.read("ocsp-dir = \"\"").unwrap().notes, [""; 0]);
}

#[test]
fn no_limit_is_no_end() {
    let place = Place::with_certificates();
    let config = place.config("--idle-timeout=0 --drain-timeout=off -R 0 a.pem");
    let config = config.unwrap();
    assert_eq!(config.times.idle, Duration::MAX);
    assert_eq!(config.times.drain, Duration::MAX);
    assert_eq!(config.backend_refresh, None);
    let config = place.config("-R 5 a.pem").unwrap();
    assert_eq!(config.backend_refresh, Some(Duration::from_secs(5)));
}

#[test]
fn values_out_of_range_are_told_what_is_wanted() {
    let place = Place::with_certificates();
    for (line, problem) in [
        (
            "-n 0",
            "-n wants auto or a number from 1 to 1024, not \"0\"",
        ),
        (
            "-n1025",
            "-n wants auto or a number from 1 to 1024, not \"1025\"",
        ),
        (
            "-n +1",
            "-n wants auto or a number from 1 to 1024, not \"+1\"",
        ),
        (
            "--backlog=x",
            "--backlog wants a number from -1 to 2147483647, not \"x\"",
        ),
        ("-k 0", "-k wants a number from 1 to 32767, not \"0\""),
        (
            "-k 32768",
            "-k wants a number from 1 to 32767, not \"32768\"",
        ),
        ("-L 3", "-L wants 0, 1 or 2, not \"3\""),
        ("--quiet=maybe", "--quiet wants on or off, not \"maybe\""),
        (
            "--idle-timeout=-1",
            "--idle-timeout wants seconds, 1 to 31622400, or off, not \"-1\"",
        ),
        (
            "--syslog-facility=x",
            "--syslog-facility wants a facility of syslog(3), not \"x\"",
        ),
        (
            "-u nobody-at-all",
            "-u \"nobody-at-all\" does not exist on this system",
        ),
        ("-r /nowhere", "-r /nowhere: No such file or directory"),
        ("-r /etc/passwd", "-r /etc/passwd is no directory"),
        ("--ticket-key-file=/", "--ticket-key-file / is no file"),
        (
            "/dev/null",
            "PEM file /dev/null is neither file nor directory",
        ),
        (
            "--client-verify=on",
            "--client-verify wants none, optional or required, not \"on\"",
        ),
        (
            "--alpn-protos=h2,,x",
            "--alpn-protos wants names of 1 to 255 bytes with commas between them, not \"h2,,x\"",
        ),
    ] {
        assert_eq!(place.config(&format!("{line} a.pem")).unwrap_err(), problem);
    }
}

#[test]
fn workers_may_be_as_many_as_processors() {
    let config = Place::with_certificates()
        .config("--workers=auto a.pem")
        .unwrap();
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(config.workers, processors.min(1024));
}

#[test]
fn users_and_groups_are_those_of_the_system() {
    let config = Place::with_certificates()
        .config("-u nobody -g daemon a.pem")
        .unwrap();
    assert_eq!(config.user.as_deref(), Some("nobody"));
    assert_eq!(config.group.as_deref(), Some("daemon"));
}
