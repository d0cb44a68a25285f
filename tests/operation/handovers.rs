//! Connections on their way to processes that share sessions, and back: those processes stand still, are full or are
//! replaced meanwhile. Nobody is lost who stays.
#![forbid(unsafe_code)]

use super::assert_serves;
use crate::common::{Client, Process, Server, Setup, eventually, without_root};
use nix::sys::signal::Signal;
use std::net::TcpStream;
use std::time::Duration;

fn setup() -> Setup {
    let setup = Setup::new().options(&["-j", "2", "-c", "1000", "-b", "1000", "-T", "600"]);
    setup.env("HANDSHAKES", "2000").env("HANDSHAKESIP", "0")
}

fn all(processes: &[Process], signal: Signal) {
    processes.iter().for_each(|process| process.send(signal));
}

/// More clients than the channels of two processes hold that stand still.
fn flood(server: &Server) -> Vec<TcpStream> {
    let clients = (0..700).map(|_| server.dial().tcp()).collect();
    eventually("full channels", || {
        (server.counters()["connections unfinished"] > 300).then_some(())
    });
    clients
}

fn renew(server: &Server) {
    server.signal(Signal::SIGHUP);
    server.log.wait_for("sslserver: info: keys are renewed: *");
}

#[test]
fn clients_who_wait_for_processes_that_are_replaced_are_served_by_the_old_or_by_the_new() {
    let server = setup().start();
    let old = server.roles("ssl-shared");
    all(&old, Signal::SIGSTOP);
    let clients = flood(&server);
    renew(&server);
    all(&old, Signal::SIGCONT);
    for client in clients {
        server.dial().over(client).assert_echoes();
    }
    server.wait_until_idle();
    assert!(old.iter().all(Process::is_gone));
    server.stop();
}

#[test]
fn processes_that_could_not_hear_that_they_are_replaced_end_though_the_keeper_dies_meanwhile() {
    let server = setup().start();
    let old = server.roles("ssl-shared");
    all(&old, Signal::SIGSTOP);
    let clients = flood(&server);
    renew(&server);
    server.kill("ssl-keeper");
    drop(clients);
    assert_serves(&server);
    all(&old, Signal::SIGCONT);
    server.wait_until_idle();
    assert!(old.iter().all(Process::is_gone));
    server.stop();
}

#[test]
fn a_listener_that_stands_still_hears_of_every_handshake_afterwards() {
    let server = setup().options(&["-s"]).start();
    let clients: Vec<TcpStream> = (0..200).map(|_| server.dial().tcp()).collect();
    server.wait_for_unfinished(200);
    let listener = server.role("sslserver");
    listener.send(Signal::SIGSTOP);
    // What is told of so many is more than the channels hold.
    let clients = clients.into_iter().map(|tcp| server.dial().over(tcp));
    let mut clients: Vec<Client> = clients.collect();
    listener.send(Signal::SIGCONT);
    clients.iter_mut().for_each(Client::assert_echoes);
    drop(clients);
    server.wait_until_idle();
    server.stop();
}

#[test]
fn clients_who_wait_for_descriptors_of_processes_cost_no_processor_time() {
    if without_root("clients_who_wait_for_descriptors_of_processes_cost_no_processor_time") {
        return;
    }
    // Root may have more descriptors on their way than others.
    let user = [
        "setpriv",
        "--reuid=61040",
        "--regid=61040",
        "--clear-groups",
    ];
    let server = Setup::new()
        .options(&["-j", "2", "-c", "100", "-b", "100", "-T", "600"])
        .prefix(&user)
        .prefix(&["prlimit", "--nofile=100:100"])
        .start();
    // Each process has descriptors for 22.
    let mut clients: Vec<Client> = (0..44).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(Client::assert_echoes);
    let waiting: Vec<TcpStream> = (0..36).map(|_| server.dial().tcp()).collect();
    eventually("as many as may be on their way", || {
        (server.counters()["connections unfinished"] > 34).then_some(())
    });
    let before = server.ticks();
    std::thread::sleep(Duration::from_secs(2));
    let spent = server.ticks() - before;
    assert!(
        spent < 10,
        "{spent} ticks in 200 while there is nothing to do"
    );
    drop(clients);
    for client in waiting {
        server.dial().over(client).assert_echoes();
    }
    server.wait_until_idle();
    server.stop();
}
