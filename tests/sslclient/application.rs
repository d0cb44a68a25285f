//! The program: what it is given, how it ends, and signals for it.
#![forbid(unsafe_code)]

use crate::common::keys::of_client;
use crate::common::{Caller, Process, Setup, eventually};
use crate::{assert_ended, assert_quiet};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;

fn environment(caller: &Caller) -> BTreeMap<String, String> {
    let outcome = caller.run();
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let text = outcome.text();
    let pairs = text
        .split_terminator('\0')
        .filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

const ENVIRON: [&str; 2] = ["cat", "/proc/self/environ"];

#[test]
fn its_exit_code_is_passed_on() {
    let server = Setup::new().start();
    for code in [0, 1, 7, 100, 111, 255] {
        let outcome = Caller::of(&server).shell(&format!("exit {code}")).run();
        assert_eq!(outcome.code(), code, "{outcome:?}");
        assert_quiet(&outcome);
    }
    server.log.wait_for_nth("sslserver: ended by * status 0", 6);
    server.wait_until_idle();
}

#[test]
fn a_signal_that_ends_it_is_told_as_shells_do() {
    let server = Setup::new().start();
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("SEGV", 139), ("PIPE", 141)] {
        let script = format!("ulimit -c 0; kill -{signal} $$");
        let outcome = Caller::of(&server).shell(&script).run();
        let line = format!("sslclient: * ended by signal {}", code - 128);
        assert_ended(&outcome, code, &line);
    }
}

#[test]
fn what_cannot_be_run_is_named_with_111() {
    let server = Setup::new().start();
    let outcome = Caller::of(&server).program(&["/nonexistent", "word"]).run();
    let line = "sslclient: fatal: (111) unable to run: /nonexistent: No such file or directory";
    assert_ended(&outcome, 111, line);
    server.wait_until_idle();
}

#[test]
fn it_has_its_input_and_output_and_the_connection_and_nothing_else() {
    let server = Setup::new().program(&["echo", "hello"]).start();
    let caller = Caller::of(&server);
    let caller = caller.shell(
        "read line; echo \"$line\"; cat <&6
         for number in 3 4 5 6 7 8 9; do (: <&$number) 2>/dev/null && echo $number; done; :",
    );
    let outcome = caller.run_with(b"from outside\n");
    assert_eq!(outcome.text(), "from outside\nhello\n6\n7\n", "{outcome:?}");
}

#[test]
fn a_password_is_not_for_the_program() {
    let server = Setup::new().start();
    let own = of_client("DNS:client.example");
    for caller in [Caller::of(&server), Caller::of(&server).showing(&own)] {
        let file = caller.dir.write("password", "secret").display().to_string();
        let outcome = caller
            .prefix(&["sh", "-c", "exec \"$@\" 3<\"$0\"", &file])
            .options(&["-3"])
            .shell("(cat <&3) 2>/dev/null || echo none")
            .run();
        assert_eq!(outcome.text(), "none\n", "{outcome:?}");
    }
}

#[test]
fn descriptors_that_others_opened_for_it_are_passed_on() {
    let server = Setup::new().start();
    let caller = Caller::of(&server);
    let file = caller.dir.write("file", "a letter\n").display().to_string();
    let script = "exec \"$@\" 4<\"$0\" 6<\"$0\" 7<\"$0\"";
    let outcome = caller
        .prefix(&["sh", "-c", script, &file])
        // What was at 6 and 7 is not.
        .shell("cat <&4; echo hello >&7; exec 7>&-; cat <&6")
        .run();
    assert_eq!(outcome.text(), "a letter\nhello\n", "{outcome:?}");
}

#[test]
fn its_environment_tells_of_the_connection() {
    let server = Setup::new().start();
    let caller = || Caller::of(&server).program(&ENVIRON);
    let told = environment(&caller());
    let port = server.port().to_string();
    for family in ["SSL", "TCP"] {
        for (name, value) in [
            ("REMOTEIP", "127.0.0.1"),
            ("REMOTEPORT", &port),
            ("LOCALIP", "127.0.0.1"),
            ("LOCALHOST", "0"),
        ] {
            assert_eq!(told[&format!("{family}{name}")], value);
        }
        assert_eq!(told.get(&format!("{family}REMOTEHOST")), None);
    }
    assert_eq!(told["PROTO"], "TCP");
    assert!(
        !told
            .keys()
            .any(|name| name.starts_with("SSL_") || name.starts_with("TCP6"))
    );
    assert!(!told.keys().any(|name| name.ends_with("FD")));

    let told = environment(&caller().options(&["-E"]));
    assert_eq!(told["PROTO"], "TLS");
    assert!(!told.keys().any(|name| name.starts_with("TCP")));

    let told = environment(&caller().options(&["-s"]));
    assert_eq!(told["SSL_PROTOCOL"], "TLSv1.3");
    assert_eq!(told["SSL_SERVER_S_DN"], "/CN=localhost");
    assert!(told["SSL_SERVER_CERT"].starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(told["SSL_SERVER_CERT_CHAIN_0"], told["SSL_SERVER_CERT"]);
    assert!(!told.keys().any(|name| name.starts_with("SSL_CLIENT_")));
}

#[test]
fn what_is_stale_or_configures_the_client_does_not_reach_it() {
    let server = Setup::new().start();
    let stale = [
        ("SSLREMOTEHOST", "stale"),
        ("TCPREMOTEINFO", "stale"),
        ("SSL_CLIENT_CERT", "stale"),
        ("SSLCTLFD", "3"),
        ("PROTO", "UDP"),
        ("VERIFYDEPTH", "9"),
        ("GROUPS", ""),
    ];
    let mut caller = Caller::of(&server).program(&ENVIRON).env("KEPT", "yes");
    for (name, value) in stale {
        caller = caller.env(name, value);
    }
    let told = environment(&caller);
    assert_eq!(told["KEPT"], "yes");
    for (name, value) in stale {
        assert_ne!(told.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn signals_that_end_a_program_are_passed_on_to_it() {
    let server = Setup::new().start();
    for (name, signal) in [
        ("TERM", Signal::SIGTERM),
        ("INT", Signal::SIGINT),
        ("HUP", Signal::SIGHUP),
    ] {
        // No program is started where the signal is waited for: dash may lose it there.
        let script = format!(
            "sleep 600 & trap \"kill $!; echo told; exit 9\" {name}; echo ready; wait; exit 1"
        );
        let mut caller = Caller::of(&server).shell(&script).start();
        caller.stdout.wait_for("ready");
        caller.signal(signal);
        assert_eq!(caller.program.wait().code(), Some(9), "{name}");
        caller.stdout.wait_for("told");
        caller.assert_nothing_left();
    }
    server.wait_until_idle();
}

#[test]
fn everything_ends_with_the_process_that_was_started() {
    let server = Setup::new().start();
    let mut caller = Caller::of(&server)
        .shell("echo $$; cat <&6; echo over")
        .start();
    let pid: i32 = caller.stdout.wait_for("*").parse().expect("a pid");
    caller.role("ssl-session");
    caller.signal(Signal::SIGKILL);
    caller.program.wait();
    // Its input ends with the session.
    caller.stdout.wait_for("over");
    eventually("the program", || {
        Process::read(pid)
            .is_none_or(|now| now.is_gone())
            .then_some(())
    });
    caller.assert_nothing_left();
    server.wait_until_idle();
}

#[test]
fn who_reads_its_output_need_not_wait_for_us() {
    let server = Setup::new().start();
    let mut caller = Caller::of(&server)
        .shell("echo word; exec >/dev/null; cat <&6")
        .start();
    // The end of its output, while it runs.
    assert_eq!(caller.stdout.wait_for_end(), ["word"]);
    assert!(caller.program.is_running());
}
