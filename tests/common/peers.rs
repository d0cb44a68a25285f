//! Other programs: run to their end within a limit, fed and read by threads.
#![forbid(unsafe_code)]

use super::keys::authority;
use super::server::Server;
use super::tempdir::TempDir;
use super::{LIMIT, LONG};
use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { status, stderr, .. } = self;
        write!(
            f,
            "{status}\n-- stdout:\n{}\n-- stderr:\n{stderr}",
            self.text()
        )
    }
}

impl Outcome {
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn lines(&self) -> Vec<&str> {
        self.stderr.lines().collect()
    }
}

pub fn run(mut command: Command, input: &[u8], limit: Duration) -> Outcome {
    let words = format!("{command:?}");
    let spawned = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{words}: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // A program that ends early does not take the rest of its input.
    std::thread::spawn(move || drop(stdin.write_all(&input)));
    let stdout = read_all(child.stdout.take().expect("piped"));
    let stderr = read_all(child.stderr.take().expect("piped"));
    let Some(status) = wait(&mut child, limit) else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("not ended after {limit:?}: {words}");
    };
    let open = format!("its output is still open after {limit:?}: {words}");
    let stdout = stdout.recv_timeout(limit).expect(&open);
    let stderr = stderr.recv_timeout(limit).expect(&open);
    Outcome {
        status,
        stdout,
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("an own child") {
            return Some(status);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The output of a program that has to succeed.
pub fn must(command: Command) -> Vec<u8> {
    let words = format!("{command:?}");
    let outcome = run(command, b"", LIMIT);
    assert!(outcome.status.success(), "{words}: {outcome:?}");
    outcome.stdout
}

/// A file with the authority's certificate, whole whenever somebody reads it.
pub fn trusted(dir: &TempDir) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("authority.{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let new = dir.write(&name, &authority().certificate);
    let file = dir.join("authority.pem");
    fs::rename(new, &file).expect("the same directory");
    file
}

/// `openssl s_client` that trusts the authority alone and stays until the server closes.
pub fn s_client(server: &Server, options: &[&str], input: &str) -> Outcome {
    let options = [&["-servername", "localhost"], options].concat();
    unnamed_s_client(server, &options, input)
}

/// The same without a word about the name that it asks for.
pub fn unnamed_s_client(server: &Server, options: &[&str], input: &str) -> Outcome {
    s_client_to(&server.dir, server.address, options, input)
}

/// The same for any server.
pub fn s_client_to(dir: &TempDir, address: SocketAddr, options: &[&str], input: &str) -> Outcome {
    let authority = trusted(dir);
    let mut command = Command::new("openssl");
    command.args(["s_client", "-ign_eof", "-verify_return_error"]);
    command
        .arg("-connect")
        .arg(address.to_string())
        .arg("-CAfile")
        .arg(authority)
        .args(options);
    run(command, input.as_bytes(), LIMIT)
}

/// `curl` that trusts the authority alone; `{}` in the address stands for host and port.
pub fn curl(server: &Server, options: &[&str], url: &str) -> Outcome {
    let authority = trusted(&server.dir);
    let host = format!("localhost:{}", server.address.port());
    let mut command = Command::new("curl");
    command.env_clear().env("PATH", "/usr/bin:/bin").args([
        "-q",
        "-sS",
        "--noproxy",
        "*",
        "--cacert",
    ]);
    command
        .arg(authority)
        .arg("--resolve")
        .arg(format!("{host}:{}", server.address.ip()));
    command.args(options).arg(url.replace("{}", &host));
    run(command, b"", LONG)
}
