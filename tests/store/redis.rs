//! A Redis server that nobody here wrote, without a file of its own, on a Unix socket and, if asked, on a port.
#![forbid(unsafe_code)]

use crate::common::responder::sockets;
use crate::common::{LIMIT, TempDir, eventually, say};
use crate::role::id;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

pub struct Redis {
    dir: TempDir,
    options: Vec<String>,
    pub port: u16,
    /// `None`: it is not running.
    child: Option<Child>,
}

impl Redis {
    /// `None`, said, where it is not installed.
    pub fn start(test: &str, options: &[&str]) -> Option<Redis> {
        let mut redis = Redis::prepare(test, options)?;
        redis.run();
        Some(redis)
    }

    /// Not started yet.
    pub fn prepare(test: &str, options: &[&str]) -> Option<Redis> {
        let there = Command::new("redis-server").arg("--version").output();
        if there.is_err() {
            say(&format!("{test}: skipped: needs redis-server"));
            return None;
        }
        let port = sockets().1.local_addr().expect("an address").port();
        Some(Redis {
            dir: TempDir::new(),
            options: options.iter().map(|&word| word.into()).collect(),
            port,
            child: None,
        })
    }

    pub fn run(&mut self) {
        let port = self.port.to_string();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", ""])
            .args(["--unixsocketperm", "777", "--unixsocket"])
            .args([self.socket(), "--dir".into(), self.dir.path().into()])
            .args(&self.options)
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.expect("redis-server"));
        eventually("redis-server", || self.ask("PING"));
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("redis.sock")
    }

    /// The address of its Unix socket, with this at the end.
    pub fn address(&self, more: &str) -> String {
        format!("redis+unix://{}{more}", self.dir.text("redis.sock"))
    }

    /// Says these commands, and gives the last reply's first line.
    pub fn ask(&self, commands: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.socket()).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        stream
            .write_all(format!("{commands}\r\n").as_bytes())
            .ok()?;
        stream.shutdown(std::net::Shutdown::Write).ok()?;
        let mut lines = BufReader::new(stream.take(4096)).lines();
        let replies = lines.by_ref().take(commands.lines().count());
        replies.map_while(Result::ok).last()
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill(Pid::from_raw(child.id() as i32), signal).expect("an own child");
    }

    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The key of a session.
pub fn key(number: u32) -> String {
    let hex = id(number).map(|byte| format!("{byte:02x}")).concat();
    format!("sslserver:session:{hex}")
}
