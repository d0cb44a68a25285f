//! Thousands of idle connections that share two processes, each with an application of its own: 5,000 with
//! SSLSERVER_SCALE=full.
#![forbid(unsafe_code)]

use super::size;
use crate::common::{Client, Server, Setup, without_root};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Private memory in kB of all our processes, without the applications.
fn ours(server: &Server) -> usize {
    let own = server.processes().into_iter();
    own.filter(|process| process.name.starts_with("ssl"))
        .map(|process| {
            let path = format!("/proc/{}/smaps_rollup", process.pid);
            let text = std::fs::read_to_string(path).expect("as root");
            let private = text.lines().filter(|line| line.starts_with("Private_"));
            let kb =
                private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
            kb.sum::<usize>()
        })
        .sum()
}

#[test]
fn thousands_of_idle_connections_all_still_answer_and_cost_tens_of_kilobytes_each() {
    if without_root(
        "thousands_of_idle_connections_all_still_answer_and_cost_tens_of_kilobytes_each",
    ) {
        return;
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("the hard limit");
    let count = size(400, 5_000);
    let server = Setup::new()
        .options(&["-Q", "-j", "2", "-c", "6000", "-b", "1000"])
        .start();
    let warm = server.connect();
    let before = ours(&server);
    let mut clients: Vec<Client> = (0..count).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.assert_echoes();
    }
    let after = ours(&server);
    let each = (after - before) as f64 / count as f64;
    println!("{count} idle connections: {each:.1} kB each");
    assert!(each < 40.0, "{each} kB for each connection");
    for client in clients.iter_mut().rev() {
        client.assert_echoes();
    }
    drop((warm, clients));
    server.wait_until_idle();
    server.stop();
}
