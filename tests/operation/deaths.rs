//! `kill -9` of each role at each stage of a connection: the server serves the next client, and who was promised to go
//! on does.
#![forbid(unsafe_code)]

use super::{WAYS, assert_serves, serving};
use crate::common::{Client, Process, Server, eventually};
use nix::sys::signal::Signal;
use std::net::TcpStream;

/// One client at each stage that there is to be killed in.
struct Stages {
    silent: TcpStream,
    relaying: Client,
}

fn stages(server: &Server) -> Stages {
    let relaying = {
        let mut client = server.connect();
        client.assert_echoes();
        client
    };
    let silent = server.dial().tcp();
    Stages { silent, relaying }
}

fn kill_one(server: &Server, role: &str) -> Process {
    let victim = eventually(role, || {
        let mut all = server.roles(role).into_iter();
        all.rfind(|process| process.state != 'Z')
    });
    victim.send(Signal::SIGKILL);
    eventually("its end", || victim.is_gone().then_some(()));
    victim
}

/// The service is back as soon as the role is.
fn assert_recovers(server: &Server) {
    for _ in 0..20 {
        assert_serves(server);
    }
}

#[test]
fn the_keeper_may_die_at_any_stage_and_who_is_served_does_not_notice() {
    for way in WAYS {
        let server = serving(way);
        for _ in 0..2 {
            let mut stages = stages(&server);
            let dead = kill_one(&server, "ssl-keeper");
            // A handshake that meets the moment before the listener knows has nobody to sign it.
            let said = format!("sslserver: warning: keeper {} ended by signal 9*", dead.pid);
            server.log.wait_for(&said);
            stages.relaying.assert_echoes();
            assert_recovers(&server);
            stages.relaying.assert_echoes();
            // It had no signature yet: it is served by nobody or by the old terminator in vain, but it ends.
            drop(stages.silent);
        }
        server.wait_until_idle();
        server.stop();
    }
}

#[test]
fn the_terminator_may_die_at_any_stage_and_who_is_served_does_not_notice() {
    let server = serving(&[]);
    for _ in 0..2 {
        server.wait_until_idle();
        let mut stages = stages(&server);
        eventually("a session for each", || {
            (server.roles("ssl-session").len() == 2).then_some(())
        });
        kill_one(&server, "ssl-terminator");
        stages.relaying.assert_echoes();
        assert_recovers(&server);
        let mut early = server.dial().over(stages.silent);
        early.assert_echoes();
        stages.relaying.assert_echoes();
    }
    server.stop();
}

#[test]
fn a_shared_process_that_dies_costs_its_own_connections_and_no_others() {
    let server = serving(&["-j", "2"]);
    let mut clients: Vec<Client> = (0..10)
        .map(|_| {
            let mut client = server.connect();
            client.assert_echoes();
            client
        })
        .collect();
    kill_one(&server, "ssl-shared");
    assert_recovers(&server);
    let mut alive = 0;
    for client in &mut clients {
        let tcp = client.tcp();
        let mut byte = [0];
        tcp.set_nonblocking(true).expect("set");
        let gone = eventually("an answer or an end", || match tcp.peek(&mut byte) {
            Ok(0) => Some(true),
            Ok(_) => Some(false),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(false),
            Err(_) => Some(true),
        });
        tcp.set_nonblocking(false).expect("set");
        if !gone {
            client.assert_echoes();
            alive += 1;
        }
    }
    assert_eq!(alive, 5, "each of the two had half of the ten");
    drop(clients);
    server.wait_until_idle();
    server.stop();
}

#[test]
fn a_session_that_dies_in_its_handshake_costs_nobody_else_anything() {
    let server = serving(&[]);
    let mut stages = stages(&server);
    let sessions = server.roles("ssl-session");
    for session in &sessions {
        // The one that relays has more descriptors open than it had at first; the other waits for its client.
        session.send(Signal::SIGKILL);
    }
    drop(stages.silent);
    let mut rest = [0; 1];
    let ended = std::io::Read::read(stages.relaying.tls.get_mut(), &mut rest);
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    assert_recovers(&server);
    drop(stages.relaying);
    server.wait_until_idle();
}

#[test]
fn the_application_may_be_killed_at_any_stage() {
    for way in WAYS {
        let server = serving(way);
        let mut client = server.connect();
        client.assert_echoes();
        kill_one(&server, "cat");
        let (rest, end) = client.exchange(b"", crate::common::Ending::CloseNotify);
        assert_eq!((&rest[..], end), (&b""[..], crate::common::End::Clean));
        assert_recovers(&server);
        server.wait_until_idle();
    }
}
