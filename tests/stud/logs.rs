//! What is said, where, and in what form; and what is counted.
#![forbid(unsafe_code)]

use crate::common::{Backend, End, Ending, Running, Serving, Stud, glob, without_root};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::net::UnixDatagram;

fn served(stud: &Running) -> String {
    let mut client = stud.dial().from("127.0.0.5").name("localhost").connect();
    let name = client.local().to_string();
    let (words, end) = client.exchange(b"x", Ending::CloseNotify);
    assert_eq!((words.as_slice(), end), (&b"answer"[..], End::Clean));
    name
}

#[test]
fn every_line_has_its_time_and_its_process() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address).config("log-level = 2").start();
    let client = served(&stud);
    stud.log.wait_for(&format!("*{client}*"));
    for line in stud.stop().lines() {
        let (time, rest) = line.split_once(" [").expect("a time");
        assert!(
            time.len() == 22 && &time[8..9] == "T" && &time[15..16] == ".",
            "{line}"
        );
        let (pid, _) = rest.split_once("] ").expect("a pid");
        assert!(
            pid.len() >= 5 && pid.trim().parse::<u32>().is_ok(),
            "{line}"
        );
    }
}

#[test]
fn a_connection_that_ended_is_one_line_at_level_2_and_none_below() {
    for level in [2, 1, 0] {
        let backend = Serving::answering(b"answer");
        let stud = Stud::to(backend.address)
            .config(&format!("log-level = {level}"))
            .start();
        let client = served(&stud);
        if level == 2 {
            let line = stud.log.wait_for(&format!("*{client}*"));
            for word in [
                "localhost",
                "TLSv1.3",
                "TLS_AES_256_GCM_SHA384",
                " received=1 ",
                " sent=6 ",
            ] {
                assert!(format!("{line} ").contains(word), "no {word:?} in {line}");
            }
        }
        let log = stud.stop();
        let number = log.count(&format!("*{client}*"));
        assert_eq!(number, usize::from(level == 2), "{:?}", log.lines());
    }
}

#[test]
fn a_failed_handshake_is_an_error_with_the_clients_address() {
    for (level, number) in [(2, 1), (1, 1), (0, 0)] {
        let backend = Backend::new();
        let stud = Stud::to(backend.address)
            .config(&format!("log-level = {level}"))
            .start();
        let mut plain = stud.dial().from("127.0.0.5").plain();
        plain.send(b"GET / HTTP/1.0\r\n\r\n");
        plain.rest();
        drop(plain);
        if number == 1 {
            stud.log.wait_for("*127.0.0.5:*");
        }
        let log = stud.stop();
        assert_eq!(log.count("*127.0.0.5:*"), number, "{:?}", log.lines());
    }
}

#[test]
fn quiet_means_nothing_but_errors() {
    let backend = Backend::new();
    let stud = Stud::to(backend.address).options(&["--quiet"]).start();
    let client = stud.connect();
    drop(client);
    drop(backend.accept());
    let log = stud.stop();
    assert_eq!(log.lines(), Vec::<String>::new());
}

#[test]
fn lines_may_go_to_a_file_which_a_reload_opens_again() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address);
    let (file, moved) = (stud.dir.join("log"), stud.dir.join("log.1"));
    let lines = format!("log-level = 2\nlog-filename = \"{}\"", file.display());
    let stud = stud.config(&lines).start();
    let has = |file: &std::path::Path, client: &str| {
        crate::common::eventually(client, || {
            let text = fs::read_to_string(file).ok()?;
            text.contains(client).then_some(())
        });
    };
    has(&file, &served(&stud));
    fs::rename(&file, &moved).expect("a file of our own");
    has(&moved, &served(&stud));
    stud.signal(Signal::SIGHUP);
    crate::common::eventually("the file anew", || file.exists().then_some(()));
    has(&file, &served(&stud));
    let log = stud.stop();
    assert_eq!(log.count("*127.0.0.5*"), 0, "{:?}", log.lines());
}

#[test]
fn a_log_file_that_cannot_be_had_is_fatal_and_named() {
    let stud = Stud::to(([127, 0, 0, 1], 9).into());
    let outcome = stud.run_with(&["--log-filename=/nonexistent/log"]);
    assert_ne!(outcome.code(), 0, "{outcome:?}");
    assert!(outcome.stderr.contains("/nonexistent/log"), "{outcome:?}");
}

#[test]
fn lines_may_go_to_syslog_too() {
    if without_root("lines_may_go_to_syslog_too") {
        return;
    }
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address)
        .config("log-level = 2\nsyslog = on\nsyslog-facility = \"local3\"");
    let path = stud.dir.join("syslog");
    let syslog = UnixDatagram::bind(&path).expect("a socket");
    syslog
        .set_read_timeout(Some(crate::common::LIMIT))
        .expect("a limit");
    let script = "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && \
                  mknod -m 666 /dev/urandom c 1 9 && ln -s \"$0\" /dev/log && exec \"$@\"";
    let path = path.display().to_string();
    let stud = stud
        .prefix(&["unshare", "-m", "sh", "-c", script, &path])
        .start();
    let client = served(&stud);
    let mut bytes = [0; 4096];
    loop {
        let size = syslog.recv(&mut bytes).expect("a line for syslog");
        let line = String::from_utf8_lossy(&bytes[..size]).into_owned();
        // local3 is 19; the severity is one of info, notice and err.
        assert!(
            ["<155>", "<157>", "<158>"]
                .iter()
                .any(|start| line.starts_with(start)),
            "{line}"
        );
        assert!(line.contains(" stud["), "{line}");
        if line.contains(&client) {
            break;
        }
    }
    stud.log.wait_for(&format!("*{client}*"));
}

#[test]
fn a_clients_name_cannot_forge_a_line() {
    let backend = Serving::answering(b"answer");
    let stud = Stud::to(backend.address).config("log-level = 2").start();
    let mut client = stud.dial().from("127.0.0.5").name("a\nb\x1b[31m").connect();
    client.exchange(b"x", Ending::CloseNotify);
    stud.log.wait_for("*127.0.0.5:*");
    for line in stud.stop().lines() {
        assert!(
            glob("20*T*.* [*] *", &line) && !line.contains('\x1b'),
            "{line:?}"
        );
    }
}

#[test]
fn level_and_place_of_the_log_may_change_with_a_reload() {
    let backend = Serving::answering(b"answer");
    let mut stud = Stud::to(backend.address).config("log-level = 0").start();
    let quiet = served(&stud);
    stud.edit("log-level = 0", "log-level = 2");
    stud.reload();
    stud.wait_for_roles("ssl-worker", 1);
    let told = served(&stud);
    stud.log.wait_for(&format!("*{told}*"));
    let file = stud.dir.join("log");
    let line = format!("log-level = 2\nlog-filename = \"{}\"", file.display());
    stud.edit("log-level = 2", &line);
    stud.signal(Signal::SIGHUP);
    crate::common::eventually("the file", || file.exists().then_some(()));
    stud.wait_for_roles("ssl-worker", 1);
    let moved = served(&stud);
    crate::common::eventually(&moved, || {
        let text = fs::read_to_string(&file).ok()?;
        text.contains(&moved).then_some(())
    });
    let log = stud.stop();
    for other in [quiet, moved] {
        assert_eq!(log.count(&format!("*{other}*")), 0, "{:?}", log.lines());
    }
}

#[test]
fn a_connection_that_failed_is_told_once_though_the_end_comes_before_its_client_hung_up() {
    let backend = Backend::new();
    let stud = Stud::to(backend.address).config("log-level = 2").start();
    let mut plain = stud.dial().from("127.0.0.5").plain();
    plain.send(b"GET / HTTP/1.0\r\n\r\n");
    stud.log.wait_for("*127.0.0.5:*");
    let log = stud.stop();
    drop(plain);
    assert_eq!(log.count("*127.0.0.5:*"), 1, "{:?}", log.lines());
}
