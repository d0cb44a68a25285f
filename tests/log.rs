//! The lines of the log, word by word.
#![forbid(unsafe_code)]

mod common;

use common::{Kind, Process, Setup, session};

/// The lines about connections, without what is said at the start and in the end.
fn about_connections(lines: &[String]) -> Vec<String> {
    let start = lines
        .iter()
        .position(|line| line == "sslserver: status: 0/40/40")
        .expect("the first status");
    let (end, lines) = lines.split_last().expect("a last line");
    assert_eq!(end, "sslserver: info: ended by SIGTERM");
    lines[start + 1..].to_vec()
}

/// The transcript of one connection with these options.
fn transcript(options: &[&str]) -> Vec<String> {
    let setup = Setup::bare()
        .keys(&[Kind::P256])
        .options(&["-1", "-H"])
        .options(options);
    let server = setup.shell("echo $$ $SSLREMOTEPORT; exit 3").start();
    let text = server.reply();
    let (pid, remote) = text.trim().split_once(' ').expect("pid and port");
    let local = server.port().to_string();
    server.wait_until_idle();
    let lines = server.stop().wait_for_end();
    lines
        .iter()
        .map(|line| {
            line.replace(pid, "PID")
                .replace(remote, "REMOTE")
                .replace(&local, "LOCAL")
        })
        // What is seen in that line has tests of its own.
        .map(|line| match line.split_once(" ip=") {
            Some((begin, _)) => begin.to_owned(),
            None => line,
        })
        .collect()
}

const CONNECTION: [&str; 6] = [
    "sslserver: status: 1/40/40",
    "sslserver: pid PID from 127.0.0.1",
    "sslserver: ok PID 0:127.0.0.1:LOCAL :127.0.0.1::REMOTE",
    "sslserver: tls PID accept",
    "sslserver: ended by PID status 768",
    "sslserver: status: 0/40/40",
];

#[test]
fn a_connection_at_v_has_six_lines_in_order() {
    assert_eq!(
        about_connections(&transcript(&["-v", "-l", "0"])),
        CONNECTION
    );
}

#[test]
fn capital_v_adds_protocol_and_cipher_and_a_line_at_the_end() {
    let mut expected = CONNECTION.to_vec();
    expected[3] = "sslserver: tls PID accept TLSv1.3:TLS_AES_256_GCM_SHA384";
    expected.insert(5, "sslserver: finished PID");
    for options in [&["-V", "-l", "0"][..], &["-V", "-s", "-l", "0"]] {
        assert_eq!(about_connections(&transcript(options)), expected);
    }
}

#[test]
fn without_l_the_local_name_is_empty() {
    let lines = about_connections(&transcript(&["-v"]));
    assert_eq!(
        lines[2],
        "sslserver: ok PID :127.0.0.1:LOCAL :127.0.0.1::REMOTE"
    );
}

#[test]
fn at_q_and_by_default_a_good_connection_is_not_mentioned() {
    for options in [&["-q"][..], &["-Q"], &[], &["-v", "-Q"]] {
        assert_eq!(transcript(options), Vec::<String>::new(), "{options:?}");
    }
}

#[test]
fn v_shows_the_settings_at_the_start() {
    let server = Setup::new().env("CIPHERS", "HIGH").start();
    let pid = server.role("sslserver").pid;
    let (certificate, key) = (server.dir.text("cert0.pem"), server.dir.text("key0.pem"));
    for line in [
        format!("ciphers {pid} HIGH"),
        format!("cert {pid} {certificate}"),
        format!("key {pid} {key}"),
    ] {
        server.log.wait_for(&format!("sslserver: {line}"));
    }
}

#[test]
fn a_denied_client_is_shown_with_its_port_and_the_pid_of_the_listener() {
    for option in ["-x", "-y"] {
        let server = Setup::new()
            .options(&["-l", "0"])
            .rules(option, ":deny\n")
            .start();
        let (pid, local) = (server.role("sslserver").pid, server.port());
        let tcp = server.dial().from("127.0.0.2").tcp();
        let remote = tcp.local_addr().expect("connected").port();
        server.log.wait_for(&format!(
            "sslserver: deny {pid} 0:127.0.0.1:{local} :127.0.0.2::{remote}"
        ));
        assert_eq!(
            server.log.count("sslserver: status: 1/*"),
            0,
            "{:?}",
            server.log.lines()
        );
    }
}

#[test]
fn ipv6_addresses_stand_in_the_short_form() {
    let server = Setup::new()
        .host("::1")
        .options(&["-l", "loc.name"])
        .program(&["true"])
        .start();
    server.reply();
    server.log.wait_for(&format!(
        "sslserver: ok * loc.name:::1:{} :::1::*",
        server.port()
    ));
}

#[test]
fn a_local_name_with_odd_bytes_is_made_harmless_and_long_ones_are_cut() {
    let server = Setup::new()
        .options(&["-l", "a b%c\nd\x7f"])
        .program(&["true"])
        .start();
    server.reply();
    server.log.wait_for("sslserver: ok * a?b?c?d?:127.0.0.1:*");
    let server = Setup::new()
        .options(&["-l", &"n".repeat(101)])
        .program(&["true"])
        .start();
    server.reply();
    server.log.wait_for(&format!(
        "sslserver: ok * {}...:127.0.0.1:*",
        "n".repeat(100)
    ));
}

#[test]
fn the_status_is_the_wait_status_of_the_application() {
    for (script, status) in [
        ("exit 0", 0),
        ("exit 111", 28416),
        ("kill -9 $$", 9),
        ("kill -15 $$", 15),
    ] {
        let server = Setup::new().shell(script).start();
        server.reply();
        server
            .log
            .wait_for(&format!("sslserver: ended by * status {status}"));
    }
}

#[test]
fn a_failed_handshake_names_the_session_and_the_reason() {
    let server = Setup::new().start();
    let mut tcp = server.dial().tcp();
    server.wait_for_sessions(1);
    let sessions = server.roles(session());
    std::io::Write::write_all(&mut tcp, b"rubbish rubbish rubbish").expect("sending");
    let line = "sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: ";
    let found = server.log.wait_for(&format!("{line}*"));
    let (pid, reason) = found[line.len()..].split_once(' ').expect("a reason");
    let is_its = |session: &Process| session.pid.to_string() == pid;
    assert!(sessions.iter().any(is_its), "{found}");
    assert!(!reason.is_empty() && !reason.contains("error:"), "{found}");
    assert_eq!(server.log.count("sslserver: pid *"), 0, "no application");
    server.wait_until_idle();
}

#[test]
fn lines_of_parallel_connections_do_not_run_into_each_other() {
    let server = Setup::new().program(&["true"]).start();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| drop(server.reply())));
        }
    });
    server
        .log
        .wait_for_nth("sslserver: ended by * status 0", 200);
    server.wait_until_idle();
    let lines = about_connections(&server.stop().wait_for_end());
    for word in ["pid", "ok", "tls", "ended"] {
        let count = lines
            .iter()
            .filter(|line| line.starts_with(&format!("sslserver: {word} ")))
            .count();
        assert_eq!(count, 200, "{word}");
    }
    assert_eq!(lines.len(), 1200);
}
