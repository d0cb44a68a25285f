//! What sslclient is to be started with.
#![forbid(unsafe_code)]

use super::keys::{Pair, authority};
use super::peers::{self, Outcome};
use super::program::Program;
use super::server::Server;
use super::tempdir::TempDir;
use super::{LIMIT, LONG};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::process::{Command, Stdio};

/// Without more: `sslclient -v -RHl0 -a authority.pem HOST PORT sh -c 'cat <&6'`.
pub struct Caller {
    pub dir: TempDir,
    environment: BTreeMap<String, String>,
    options: Vec<String>,
    prefix: Vec<String>,
    host: String,
    port: String,
    program: Vec<String>,
}

/// A client that runs.
pub struct Called {
    pub program: Program,
    pub dir: TempDir,
}

impl Deref for Called {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl Caller {
    /// Nothing but the search path: nobody is trusted but whom the system trusts.
    pub fn bare(host: &str, port: u16) -> Caller {
        let path = (
            "PATH".to_owned(),
            "/usr/bin:/bin:/usr/sbin:/sbin".to_owned(),
        );
        Caller {
            dir: TempDir::new(),
            environment: BTreeMap::from([path]),
            options: Vec::new(),
            prefix: Vec::new(),
            host: host.to_owned(),
            port: port.to_string(),
            program: Vec::new(),
        }
        .shell("cat <&6")
    }

    pub fn to(address: SocketAddr) -> Caller {
        Caller::bare(&address.ip().to_string(), address.port())
            .options(&["-v", "-RHl0"])
            .trusting(&[authority()])
    }

    pub fn of(server: &Server) -> Caller {
        Caller::to(server.address)
    }

    /// The authorities that it trusts, and no others.
    pub fn trusting(self, authorities: &[&Pair]) -> Caller {
        let all: String = authorities.iter().map(|one| &*one.certificate).collect();
        self.dir.write("trusted.pem", all);
        let file = self.dir.text("trusted.pem");
        self.options(&["-a", &file])
    }

    /// A certificate to show, and its key in another file.
    pub fn showing(self, pair: &Pair) -> Caller {
        self.dir.write("own.pem", &pair.certificate);
        self.dir.write("own.key", &pair.key);
        let (certificate, key) = (self.dir.text("own.pem"), self.dir.text("own.key"));
        self.options(&["-c", &certificate, "-k", &key])
    }

    pub fn host(mut self, host: &str) -> Caller {
        self.host = host.to_owned();
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Caller {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A file in the test's directory that a variable names.
    pub fn file(self, variable: &str, name: &str, content: impl AsRef<[u8]>) -> Caller {
        let path = self.dir.write(name, content);
        self.env(variable, &path.display().to_string())
    }

    pub fn options(mut self, options: &[&str]) -> Caller {
        self.options
            .extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// Words that run it, such as `ip netns exec`.
    pub fn prefix(mut self, words: &[&str]) -> Caller {
        self.prefix
            .extend(words.iter().map(|&word| word.to_owned()));
        self
    }

    pub fn program(mut self, words: &[&str]) -> Caller {
        self.program = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    pub fn shell(self, script: &str) -> Caller {
        self.program(&["sh", "-c", script])
    }

    fn command(&self) -> Command {
        let program = [env!("CARGO_BIN_EXE_sslclient").to_owned()];
        let words: Vec<&String> = self.prefix.iter().chain(&program).collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(&self.options)
            .args([&self.host, &self.port])
            .args(&self.program);
        command.env_clear().envs(&self.environment);
        command
    }

    /// Waits for its end, and the program's.
    pub fn run(&self) -> Outcome {
        peers::run(self.command(), b"", LIMIT)
    }

    /// The same with this on descriptor 0, and time for it.
    pub fn run_with(&self, input: &[u8]) -> Outcome {
        peers::run(self.command(), input, LONG)
    }

    pub fn start(self) -> Called {
        let mut command = self.command();
        command.stdin(Stdio::null());
        Called {
            program: Program::start("sslclient", command),
            dir: self.dir,
        }
    }
}
