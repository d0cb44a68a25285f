//! NOTIFY_SOCKET, as sd_notify(3) has it.
#![forbid(unsafe_code)]

use crate::common::{Program, Setup};
use crate::manager::Manager;
use nix::sys::signal::Signal;
use std::os::unix::net::UnixDatagram;

#[test]
fn a_manager_is_told_of_the_beginning_a_reload_and_the_end() {
    for manager in [Manager::new(), Manager::nowhere()] {
        let server = Setup::new().env("NOTIFY_SOCKET", &manager.name).start();
        assert_eq!(manager.told(), ["READY=1", "STATUS=accepting connections"]);
        server.connect().assert_echoes();
        server.signal(Signal::SIGHUP);
        let told = manager.told();
        assert_eq!(told[0], "RELOADING=1");
        let time = told[1].strip_prefix("MONOTONIC_USEC=").expect("a time");
        assert!(time.parse::<u64>().expect("microseconds") > 0);
        assert_eq!(told[2], "STATUS=reading keys again");
        assert_eq!(manager.told()[0], "READY=1");
        server.stop();
        assert_eq!(manager.told()[0], "STOPPING=1");
        manager.assert_silence();
    }
}

#[test]
fn the_end_of_a_reload_is_told_whatever_came_of_it() {
    let manager = Manager::new();
    let server = Setup::new().env("NOTIFY_SOCKET", &manager.name).start();
    assert_eq!(manager.told()[0], "READY=1");
    server.dir.write("key0.pem", "no key");
    server.signal(Signal::SIGHUP);
    assert_eq!(manager.told()[0], "RELOADING=1");
    assert_eq!(manager.told()[0], "READY=1");
    server
        .log
        .wait_for("sslserver: error: (111) keys are not renewed, *");
    server.connect().assert_echoes();
    // A keeper that dies at it ends it as well.
    let keeper = server.role("ssl-keeper");
    keeper.send(Signal::SIGSTOP);
    server.signal(Signal::SIGHUP);
    assert_eq!(manager.told()[0], "RELOADING=1");
    keeper.send(Signal::SIGKILL);
    assert_eq!(manager.told()[0], "READY=1");
    server.stop();
    assert_eq!(manager.told()[0], "STOPPING=1");
    manager.assert_silence();
}

#[test]
fn a_server_that_cannot_start_is_not_called_ready() {
    let manager = Manager::new();
    let setup = Setup::new()
        .env("NOTIFY_SOCKET", &manager.name)
        .env("KEYFILE", "/nonexistent");
    assert_eq!(setup.run().code(), 111);
    manager.assert_silence();
}

#[test]
fn a_manager_that_cannot_be_told_costs_a_line_and_not_the_service() {
    for (name, reason) in [
        ("/nonexistent/notify", ": No such file or directory"),
        ("@sslserver-nobody-listens-here", ": Connection refused"),
        (
            "vsock:2:1234",
            "=vsock:2:1234: neither a path that begins with / nor @ and a name",
        ),
    ] {
        let server = Setup::new().env("NOTIFY_SOCKET", name).start();
        let line = format!("sslserver: warning: unable to tell NOTIFY_SOCKET{reason}");
        server.log.wait_for(&line);
        server.connect().assert_echoes();
        server.wait_until_idle();
        server.stop();
    }
}

#[test]
fn a_manager_that_does_not_read_delays_the_service_by_a_moment() {
    let manager = Manager::new();
    let flood = UnixDatagram::unbound().expect("a socket");
    flood.set_nonblocking(true).expect("nonblocking");
    while flood.send_to(b"more", &manager.name).is_ok() {}
    let server = Setup::new().env("NOTIFY_SOCKET", &manager.name).start();
    server.log.wait_for(
        "sslserver: warning: unable to tell NOTIFY_SOCKET: Resource temporarily unavailable",
    );
    server.connect().assert_echoes();
    server.stop();
}

#[test]
fn applications_know_nothing_of_supervisors() {
    let manager = Manager::new();
    let server = Setup::new()
        .env("NOTIFY_SOCKET", &manager.name)
        .env("DRAIN", "1")
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "https")
        .env("NOTIFYFD", "7")
        .prefix(&["sh", "-c", "exec \"$@\" 7>/dev/null", "sh"])
        .program(&["cat", "/proc/self/environ"])
        .start();
    let environment = server.connect().environment();
    for name in [
        "DRAIN",
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
        "NOTIFYFD",
        "NOTIFY_SOCKET",
    ] {
        assert_eq!(environment.get(name), None, "{name}");
    }
    assert!(environment.contains_key("PATH"));
}

#[test]
fn a_server_that_ends_before_it_is_ready_never_says_that_it_is() {
    let manager = Manager::new();
    let setup = Setup::new()
        .env("NOTIFY_SOCKET", &manager.name)
        .env("DRAIN", "60")
        .options(&["-3"]);
    // The keeper waits for a password that does not come.
    let fifo = setup.dir.join("password");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let script = format!("exec 3<>{}; exec \"$@\"", fifo.display());
    let command = setup.prefix(&["sh", "-c", &script, "sh"]);
    let mut program = Program::start("sslserver", command.command());
    program.role("ssl-keeper");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
    assert_eq!(manager.told()[0], "STOPPING=1");
    manager.assert_silence();
}
