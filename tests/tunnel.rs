//! tunnel, from outside: its file, and that what went wrong in the original does not here.
#![forbid(unsafe_code)]

mod common;

use common::daemon::free;
use common::keys::{authority, leaf};
use common::{
    Backend, Dial, End, Ending, Kind, LIMIT, Outcome, Program, Serving, TempDir, pattern, run,
};
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

/// A directory with `tunnel.ini`, and what it names.
struct Tunnel {
    dir: TempDir,
    text: String,
}

impl Tunnel {
    fn new(listening: SocketAddr, destination: SocketAddr) -> Tunnel {
        let dir = TempDir::new();
        let pair = leaf(Kind::P256);
        dir.write("cert.pem", &pair.certificate);
        dir.write("key.pem", &pair.key);
        dir.write("ca.pem", &authority().certificate);
        let text = format!(
            "[main]\nssl_server_name = {}\nssl_server_port = {}\ndestination_name = {}\n\
             destination_port = {}\nthread_count = 2\nbuffer_size = 4096\n\
             [ssl]\nverify_locations = ./ca.pem\ncertificate_file = ./cert.pem\n\
             PrivateKey_file = ./key.pem\n",
            listening.ip(),
            listening.port(),
            destination.ip(),
            destination.port()
        );
        Tunnel { dir, text }
    }

    /// With other words in the place of some that are there.
    fn with(mut self, from: &str, to: &str) -> Tunnel {
        assert!(self.text.contains(from), "no {from} in {}", self.text);
        self.text = self.text.replace(from, to);
        self
    }

    fn command(&self) -> Command {
        self.dir.write("tunnel.ini", &self.text);
        let mut command = Command::new(env!("CARGO_BIN_EXE_tunnel"));
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    fn start(&self) -> Program {
        let program = Program::start("tunnel", self.command());
        program.log.wait_for("* listening on *");
        program
    }

    /// For one that does not get as far as to serve.
    fn fail(&self) -> Outcome {
        run(self.command(), b"", LIMIT)
    }
}

fn local() -> SocketAddr {
    free("127.0.0.1")
}

#[test]
fn transfers_larger_than_the_buffer_of_the_file_come_through_whole() {
    let (address, backend) = (local(), Serving::echo());
    let tunnel = Tunnel::new(address, backend.address);
    let program = tunnel.start();
    let bytes = pattern(3_000_000);
    for ending in [Ending::CloseNotify, Ending::Fin] {
        let (echo, end) = Dial::to(address).connect().exchange(&bytes, ending);
        assert_eq!(end, End::Clean);
        assert!(echo == bytes, "{} bytes of {}", echo.len(), bytes.len());
    }
    program.stop();
}

#[test]
fn every_worker_has_its_share_of_the_connections() {
    let (address, backend) = (local(), Serving::echo());
    let tunnel = Tunnel::new(address, backend.address);
    let program = tunnel.start();
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = Dial::to(address).connect();
            client.assert_echoes();
            client
        })
        .collect();
    // Those of the other one live on.
    program.roles("ssl-worker")[0].send(Signal::SIGKILL);
    program.log.wait_for("* worker * ended by signal 9");
    let ends = clients
        .into_iter()
        .map(|mut client| client.exchange(b"x", Ending::CloseNotify));
    let alive = ends.filter(|(echo, _)| echo == b"x").count();
    assert!((4..=16).contains(&alive), "{alive} of 20");
    program.stop();
}

#[test]
fn a_client_whose_destination_is_not_there_is_told_the_end() {
    let address = local();
    let tunnel = Tunnel::new(address, local());
    let program = tunnel.start();
    for _ in 0..3 {
        let (bytes, end) = Dial::to(address).connect().exchange(b"x", Ending::Nothing);
        assert_eq!((bytes, end), (Vec::new(), End::Clean));
    }
    program.log.wait_for("* backend *: Connection refused");
    program.stop();
}

#[test]
fn it_listens_on_ipv6_and_on_names_and_again_on_a_port_that_was_just_in_use() {
    let backend = Serving::answering(b"answer");
    let six = free("::1");
    for (name, address) in [
        ("::1", six),
        ("localhost", SocketAddr::from(([127, 0, 0, 1], six.port()))),
    ] {
        let tunnel = Tunnel::new(six, backend.address);
        let tunnel = tunnel.with(
            "ssl_server_name = ::1",
            &format!("ssl_server_name = {name}"),
        );
        for _ in 0..2 {
            let program = tunnel.start();
            // The server closes first, so that the port is not free at once.
            let answer = Dial::to(address).connect().exchange(b"x", Ending::Nothing);
            assert_eq!(answer, (b"answer".to_vec(), End::Clean), "{name}");
            program.stop();
        }
    }
}

#[test]
fn what_is_wrong_with_the_file_is_one_line_and_no_crash() {
    let fine = || Tunnel::new(local(), local());
    for (from, to, word) in [
        ("[main]", "nonsense\n[main]", "tunnel.ini, line 1: "),
        (
            "ssl_server_port",
            "port",
            "section main, key ssl_server_port is missing",
        ),
        (
            "thread_count = 2",
            "thread_count = many",
            "key thread_count wants a number",
        ),
        (
            "./cert.pem",
            "./nothing.pem",
            "nothing.pem: No such file or directory",
        ),
        ("./key.pem", "./ca.pem", "unable to load key: "),
    ] {
        let outcome = fine().with(from, to).fail();
        let line = outcome
            .lines()
            .last()
            .copied()
            .unwrap_or_default()
            .to_owned();
        assert_eq!(outcome.code(), 1, "{outcome:?}");
        assert!(
            line.starts_with("tunnel: ") && line.contains(word),
            "{line}"
        );
    }
}

#[test]
fn sigterm_lets_a_connection_finish_and_sigint_does_not() {
    for (signal, expected) in [(Signal::SIGTERM, true), (Signal::SIGINT, false)] {
        let (address, backend) = (local(), Backend::new());
        let mut program = Tunnel::new(address, backend.address).start();
        let mut client = Dial::to(address).connect();
        client.send(b"request");
        let mut accepted = backend.accept();
        assert_eq!(accepted.receive(7), b"request");
        program.signal(signal);
        program.log.wait_for(&format!("* {}: *", signal.as_str()));
        if expected {
            accepted.send(b"answer");
            drop(accepted);
            let heard = client.exchange(b"", Ending::Nothing);
            assert_eq!(heard, (b"answer".to_vec(), End::Clean));
        }
        drop(client);
        assert_eq!(program.wait().code(), Some(0));
    }
}
