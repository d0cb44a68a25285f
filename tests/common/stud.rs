//! The proxy: what it is to be started with, and a running one.
#![forbid(unsafe_code)]

use super::client::{Client, Dial};
use super::keys::{Kind, Pair, leaf};
use super::log::Log;
use super::peers::{self, Outcome};
use super::program::Program;
use super::tempdir::TempDir;
use super::{LIMIT, eventually};
use nix::sys::signal::Signal;
use std::fs;
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::Command;

/// A configuration file, options, and what runs the program.
pub struct Stud {
    pub dir: TempDir,
    frontend: Option<String>,
    config: String,
    options: Vec<String>,
    prefix: Vec<String>,
}

impl Stud {
    /// One frontend on 127.0.0.1, this backend, and a certificate for localhost.
    pub fn to(backend: SocketAddr) -> Stud {
        Stud::without_pem(backend).pem("localhost.pem", leaf(Kind::P256))
    }

    /// The same for a backend that is no address, such as a name or a path.
    pub fn to_text(backend: &str) -> Stud {
        Stud::bare()
            .frontend("[127.0.0.1]:0")
            .config(&format!("backend = \"{backend}\""))
            .pem("localhost.pem", leaf(Kind::P256))
    }

    pub fn without_pem(backend: SocketAddr) -> Stud {
        Stud::bare()
            .frontend("[127.0.0.1]:0")
            .config(&backend_line(backend))
    }

    /// No configuration at all.
    pub fn bare() -> Stud {
        Stud {
            dir: TempDir::new(),
            frontend: None,
            config: String::new(),
            options: Vec::new(),
            prefix: Vec::new(),
        }
    }

    /// In the place of the one that there was.
    pub fn frontend(mut self, address: &str) -> Stud {
        self.frontend = Some(format!("frontend = \"{address}\"\n"));
        self
    }

    /// Lines of the configuration file, after those that are there.
    pub fn config(mut self, lines: &str) -> Stud {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    /// Certificate, then key; the certificate may be a whole chain.
    pub fn pem(self, name: &str, pair: &Pair) -> Stud {
        let file = self.file(name, pair);
        self.config(&format!("pem-file = \"{file}\""))
    }

    /// The same without a word about it in the configuration.
    pub fn file(&self, name: &str, pair: &Pair) -> String {
        self.dir
            .write(name, format!("{}{}", pair.certificate, pair.key));
        self.dir.text(name)
    }

    pub fn options(mut self, options: &[&str]) -> Stud {
        self.options.extend(options.iter().map(|&o| o.to_owned()));
        self
    }

    /// Words that run it, such as `prlimit`.
    pub fn prefix(mut self, words: &[&str]) -> Stud {
        self.prefix.extend(words.iter().map(|&w| w.to_owned()));
        self
    }

    /// The whole configuration file.
    fn text(&self) -> String {
        let frontend = self.frontend.clone().unwrap_or_default();
        format!("{frontend}{}", self.config)
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut words = self.prefix.clone();
        words.push(env!("CARGO_BIN_EXE_stud").to_owned());
        let config = self.text();
        if !config.is_empty() {
            let file = self.dir.write("stud.conf", config);
            words.push(format!("--config={}", file.display()));
        }
        words.extend(self.options.clone());
        words.extend(more.iter().map(|&word| word.to_owned()));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.dir.path());
        command.stdin(std::process::Stdio::null());
        command
    }

    /// For one that is expected to end by itself.
    pub fn run(&self) -> Outcome {
        self.run_with(&[])
    }

    /// With these options after the others.
    pub fn run_with(&self, options: &[&str]) -> Outcome {
        peers::run(self.command(options), b"", LIMIT)
    }

    /// Starts it and waits until it serves; it listens on at least one address of IPv4.
    pub fn start(self) -> Running {
        let mut running = self.launch();
        running.read_addresses();
        running
    }

    /// The same for one that listens on this address of IPv6 alone, at any port.
    pub fn start_six(self, host: &str) -> Running {
        let mut running = self.frontend(&format!("[{host}]:0")).launch();
        let said = running.log.wait_for("*listening on [*]:*");
        let (_, address) = said.rsplit_once(' ').expect("an address");
        let port = parse(address).port();
        running.addresses = vec![SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
        running
    }

    fn launch(self) -> Running {
        let report = format!("--dbg-listen={}", self.dir.text(LISTENING));
        let program = Program::start("stud", self.command(&[&report]));
        let config = self.text();
        Running {
            program,
            dir: self.dir,
            addresses: Vec::new(),
            config,
        }
    }
}

/// The file that the program writes its addresses to.
const LISTENING: &str = "listening";

pub fn backend_line(backend: SocketAddr) -> String {
    format!("backend = \"[{}]:{}\"", backend.ip(), backend.port())
}

fn parse(line: &str) -> SocketAddr {
    line.parse()
        .unwrap_or_else(|error| panic!("{line:?} is no address: {error}"))
}

fn within_life<T>(program: &mut Program, mut question: impl FnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + LIMIT;
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        let now = std::time::Instant::now();
        assert!(
            now < end && program.is_running(),
            "it does not serve: {}",
            program.explain(std::time::Duration::ZERO)
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

pub struct Running {
    /// Ended before the directory goes.
    program: Program,
    pub dir: TempDir,
    /// Those of IPv4, in the order of the frontends.
    pub addresses: Vec<SocketAddr>,
    config: String,
}

impl Deref for Running {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.program
    }
}

impl Running {
    /// The first of its addresses.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub fn dial(&self) -> Dial {
        Dial::to(self.address())
    }

    pub fn connect(&self) -> Client {
        self.dial().connect()
    }

    /// `openssl s_client` that trusts the authority alone and stays until the server closes.
    pub fn s_client(&self, options: &[&str], input: &str) -> Outcome {
        peers::s_client_to(&self.dir, self.address(), options, input)
    }

    /// Puts another text in the place of one in the configuration file, of which nobody is told yet.
    pub fn edit(&mut self, from: &str, to: &str) {
        assert!(self.config.contains(from), "{from:?} in {}", self.config);
        self.config = self.config.replace(from, to);
        self.dir.write("stud.conf", &self.config);
    }

    /// Learns on which addresses of IPv4 it listens now.
    pub fn read_addresses(&mut self) {
        let file = self.dir.join(LISTENING);
        let found = within_life(&mut self.program, || {
            let text = fs::read_to_string(&file).ok()?;
            text.ends_with('\n').then_some(text)
        });
        self.addresses = found.lines().map(parse).collect();
    }

    /// Has the configuration read again and waits until it is in force.
    pub fn reload(&self) {
        let before = self.log.count(RELOADED);
        self.signal(Signal::SIGHUP);
        self.log.wait_for_nth(RELOADED, before + 1);
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Waits until there are that many processes of the name.
    pub fn wait_for_roles(&self, name: &str, number: usize) {
        eventually(&format!("{number} of {name}"), || {
            let mut found = self.roles(name);
            found.retain(|process| process.state != 'Z');
            (found.len() == number).then_some(())
        });
    }

    pub fn stop(self) -> Log {
        self.program.stop()
    }
}

/// What the log says when a new configuration is in force.
const RELOADED: &str = "*the new configuration is in force";
