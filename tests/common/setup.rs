//! What a server is to be started with.
#![forbid(unsafe_code)]

use super::keys::{Kind, leaf};
use super::peers::{self, Outcome, must};
use super::server::Server;
use super::tempdir::{TempDir, give};
use super::{LIMIT, eventually, say};
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Without more: `sslserver -1 -v 127.0.0.1 0 cat` with a P-256 key.
pub struct Setup {
    pub dir: TempDir,
    environment: BTreeMap<String, String>,
    options: Vec<String>,
    prefix: Vec<String>,
    host: String,
    port: String,
    program: Vec<String>,
    input: Option<OwnedFd>,
}

/// The ids of the jailed processes; no names belong to them.
pub const JAIL_UID: u32 = 61_001;
pub const JAIL_GID: u32 = 61_002;

impl Setup {
    /// Nothing but the search path: no certificate, no option.
    pub fn bare() -> Setup {
        Setup {
            dir: TempDir::new(),
            environment: BTreeMap::from([(
                "PATH".to_owned(),
                "/usr/bin:/bin:/usr/sbin:/sbin".to_owned(),
            )]),
            options: Vec::new(),
            prefix: Vec::new(),
            host: "127.0.0.1".to_owned(),
            port: "0".to_owned(),
            program: vec!["cat".to_owned()],
            input: None,
        }
    }

    pub fn new() -> Setup {
        Setup::bare()
            .options(&["-1", "-v", "-H"])
            .keys(&[Kind::P256])
    }

    pub fn env(mut self, name: &str, value: &str) -> Setup {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn without(mut self, name: &str) -> Setup {
        self.environment.remove(name);
        self
    }

    pub fn options(mut self, options: &[&str]) -> Setup {
        self.options
            .extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// Words that run the server, such as `prlimit`.
    pub fn prefix(mut self, words: &[&str]) -> Setup {
        self.prefix
            .extend(words.iter().map(|&word| word.to_owned()));
        self
    }

    /// What it has as descriptor 0, in place of nothing.
    pub fn input(mut self, input: impl Into<OwnedFd>) -> Setup {
        self.input = Some(input.into());
        self
    }

    pub fn host(mut self, host: &str) -> Setup {
        self.host = host.to_owned();
        self
    }

    pub fn port(mut self, port: &str) -> Setup {
        self.port = port.to_owned();
        self
    }

    pub fn program(mut self, words: &[&str]) -> Setup {
        self.program = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    pub fn shell(self, script: &str) -> Setup {
        self.program(&["sh", "-c", script])
    }

    pub fn keys(self, kinds: &[Kind]) -> Setup {
        let pairs: Vec<_> = kinds.iter().map(|&kind| leaf(kind)).collect();
        let (mut certificates, mut keys) = (Vec::new(), Vec::new());
        for (number, pair) in pairs.iter().enumerate() {
            self.dir
                .write(&format!("cert{number}.pem"), &pair.certificate);
            self.dir.write(&format!("key{number}.pem"), &pair.key);
            certificates.push(self.dir.text(&format!("cert{number}.pem")));
            keys.push(self.dir.text(&format!("key{number}.pem")));
        }
        self.env("CERTFILE", &certificates.join(":"))
            .env("KEYFILE", &keys.join(":"))
    }

    /// A file in the test's directory that a variable names.
    pub fn file(self, variable: &str, name: &str, content: impl AsRef<[u8]>) -> Setup {
        let path = self.dir.write(name, content);
        self.env(variable, &path.display().to_string())
    }

    /// Certificate and key in a chroot directory, the key readable to the keeper's user alone.
    pub fn jailed(self, kind: Kind) -> Setup {
        let jail = self.dir.subdirectory("jail");
        let pair = leaf(kind);
        self.dir.write("jail/cert.pem", &pair.certificate);
        give(&self.dir.write("jail/key.pem", &pair.key), JAIL_UID);
        self.env("SSL_CHROOT", &jail.display().to_string())
            .env("SSL_UID", &JAIL_UID.to_string())
            .env("SSL_GID", &JAIL_GID.to_string())
            .env("CERTFILE", "/cert.pem")
            .env("KEYFILE", "/key.pem")
    }

    /// Compiles rules and names the file with the option (`-x` or `-y`).
    pub fn rules(self, option: &str, rules: &str) -> Setup {
        let file = compile(&self.dir, &format!("rules{option}.cdb"), rules);
        self.options(&[option, &file.display().to_string()])
    }

    pub fn command(&self) -> Command {
        let program = [env!("CARGO_BIN_EXE_sslserver").to_owned()];
        let words: Vec<&String> = self.prefix.iter().chain(&program).collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(&self.options)
            .args(self.sharing())
            .arg(&self.host)
            .arg(&self.port)
            .args(&self.program);
        command
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null());
        if let Some(input) = &self.input {
            command.stdin(input.try_clone().expect("a descriptor"));
        }
        command
    }

    /// What has sessions share processes, unless the test says itself whether they do.
    fn sharing(&self) -> Vec<String> {
        match shared() {
            Some(number) if !self.options.iter().any(|option| option == "-j") => {
                vec!["-j".to_owned(), number]
            }
            _ => Vec::new(),
        }
    }

    /// Starts it and waits until it serves.
    pub fn start(self) -> Server {
        let command = self.command();
        Server::start(self.dir, command)
    }

    /// For one that is expected to end by itself.
    pub fn run(&self) -> Outcome {
        peers::run(self.command(), b"", LIMIT)
    }
}

/// The variable of the tests that has them start every server with so many processes for all sessions (`-j`).
const SHARED: &str = "SSLSERVER_TESTS_SHARED";

/// How many processes the sessions of a server share; `None`: each has its own.
pub fn shared() -> Option<String> {
    std::env::var(SHARED).ok()
}

/// True, said in a line of its own past the capture, where a test is about sessions that have a process each and the
/// tests run with such that share some.
pub fn without_own_processes(test: &str) -> bool {
    let share = shared().is_some();
    if share {
        say(&format!(
            "{test}: skipped: is about a process for each session"
        ));
    }
    share
}

/// Compiles rules with the project's own compiler into the directory, in one step.
pub fn compile(dir: &TempDir, name: &str, rules: &str) -> PathBuf {
    let source = dir.write(&format!("{name}.txt"), rules);
    let target = dir.join(name);
    let before = fs::metadata(&target).ok();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "exec \"$0\" \"$1\" \"$1.tmp\" <\"$2\"",
        env!("CARGO_BIN_EXE_tcprules"),
    ]);
    command.arg(&target).arg(source);
    must(command);
    // A file of the same size written within one tick of the clock differs in its inode at least.
    eventually("the compiled rules", || {
        let now = fs::metadata(&target).ok()?;
        before
            .as_ref()
            .is_none_or(|before| !same(before, &now))
            .then_some(())
    });
    target
}

fn same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.ino(), one.mtime_nsec(), one.ctime_nsec())
        == (other.ino(), other.mtime_nsec(), other.ctime_nsec())
}
