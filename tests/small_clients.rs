//! What is built on sslclient: sslcat, sslconnect and https@, and the programs at the ends of a connection, mconnect-io and
//! sslprint.
#![forbid(unsafe_code)]

mod common;

use common::daemon::free;
use common::keys::{Kind, authority, leaf};
use common::{Daemon, Installed, LIMIT, Outcome, SServer, Server, Setup, TempDir, run};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// The programs, and the authority that they are to trust.
struct Bench {
    installed: Installed,
    trusted: String,
}

impl Bench {
    fn new() -> Bench {
        let installed = Installed::new();
        let trusted = installed.dir.write("our ca.pem", &authority().certificate);
        Bench {
            trusted: trusted.display().to_string(),
            installed,
        }
    }

    /// `name host port -a ca.pem options`
    fn command(&self, name: &str, to: SocketAddr, options: &[&str]) -> Command {
        let (ip, port) = (to.ip().to_string(), to.port().to_string());
        let words = match name {
            "https@" => vec![&*ip, "page", &*port, "-a", &*self.trusted],
            _ => vec![&*ip, &*port, "-a", &*self.trusted],
        };
        let words = [words, options.to_vec()].concat();
        self.installed.command(name, &words)
    }

    fn run(&self, name: &str, to: SocketAddr, options: &[&str], input: &str) -> Outcome {
        run(self.command(name, to, options), input.as_bytes(), LIMIT)
    }
}

fn assert_said(outcome: &Outcome, text: &str) {
    assert_eq!(
        (outcome.code(), &*outcome.text(), &*outcome.stderr),
        (0, text, ""),
        "{outcome:?}"
    );
}

fn serving(script: &str) -> Server {
    Setup::new().shell(script).start()
}

/// The arguments that sslclient gets.
fn asked(name: &str, arguments: &[&str]) -> Vec<String> {
    let installed = Installed::new().instead("sslclient", "#!/bin/sh\nprintf '%s\\0' \"$@\"\n");
    let outcome = run(installed.command(name, arguments), b"", LIMIT);
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let text = outcome.text();
    let text = text.replace(&installed.dir.text("bin"), "BIN");
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn host_and_port_may_be_left_out_and_options_stand_behind_them() {
    let cat = ["sh", "-c", "exec cat <&6"];
    let io = ["BIN/mconnect-io"];
    for (name, program) in [("sslcat", &cat[..]), ("sslconnect", &io[..])] {
        for (arguments, words) in [
            (&[][..], &["-RHl0", "--", "0", "443"][..]),
            (&["-4"], &["-RHl0", "-4", "--", "0", "443"]),
            (&["-6", "host"], &["-RHl0", "-6", "--", "host", "443"]),
            (
                &["host", "993", "-a", "our ca.pem", "-v"],
                &["-RHl0", "-a", "our ca.pem", "-v", "--", "host", "993"],
            ),
        ] {
            let expected = [words, program].concat();
            assert_eq!(asked(name, arguments), expected, "{name}");
        }
    }
}

#[test]
fn a_page_is_asked_for_by_host_path_and_port() {
    for (arguments, words, told) in [
        (
            &[][..],
            &["-XRHl0", "--", "0", "443"][..],
            ["https@", "", "0:443"],
        ),
        (
            &["-4", "host", "a/b c"],
            &["-XRHl0", "-4", "--", "host", "443"],
            ["https@", "a/b c", "host:443"],
        ),
        (
            &["::1", "", "4433", "-x", "-v"],
            &["-XRHl0", "-x", "-v", "--", "::1", "4433"],
            ["https@", "", "[::1]:4433"],
        ),
    ] {
        let mut asked = asked("https@", arguments);
        let script = asked.remove(words.len() + 2);
        assert!(script.contains("GET /%s HTTP/1.0"), "{script}");
        assert_eq!(asked, [words, &["sh", "-c"], &told].concat());
    }
}

#[test]
fn an_option_in_the_place_of_the_host_is_refused() {
    for name in ["sslcat", "sslconnect", "https@"] {
        for words in [&["-a", "ca.pem"][..], &["--help"], &["-4", "-v", "host"]] {
            let outcome = run(Installed::new().command(name, words), b"", LIMIT);
            let usage = format!("{name}: usage: {name} [ -4 | -6 ] [ host ");
            assert_eq!(outcome.code(), 100, "{outcome:?}");
            assert!(outcome.stderr.starts_with(&usage), "{outcome:?}");
        }
    }
}

#[test]
fn they_find_their_relatives_on_the_path_where_those_do_not_lie_beside_them() {
    let installed = Installed::new();
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");
    let server = serving("echo hello");
    let port = server.port().to_string();
    let path = format!("{}:/usr/bin:/bin", installed.dir.text("bin"));
    for name in ["sslcat", "sslconnect"] {
        let mut command = Command::new("sh");
        command
            .arg(name)
            .args(["127.0.0.1", &port, "-X"])
            .current_dir(scripts)
            .env("PATH", &path);
        assert_said(&run(command, b"", LIMIT), "hello\n");
    }
}

#[test]
fn sslcat_prints_every_byte_that_a_server_says() {
    let server = serving("printf 'a\\0\\r\\n\\377'; exec cat /proc/self/cmdline");
    let bench = Bench::new();
    let outcome = bench.run("sslcat", server.address, &[], "");
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    assert_eq!(
        outcome.stdout, b"a\0\r\n\xffcat\0/proc/self/cmdline\0",
        "{outcome:?}"
    );
}

#[test]
fn whom_sslcat_and_sslconnect_call_must_be_who_it_should_be() {
    let server = serving("echo secret");
    let bench = Bench::new();
    let other = common::keys::root("/CN=Somebody Else");
    let other = bench.installed.dir.write("other.pem", other.certificate);
    let other = other.display().to_string();
    for name in ["sslcat", "sslconnect"] {
        let outcome = bench.run(name, server.address, &["-a", &other], "");
        assert_eq!((outcome.code(), &*outcome.text()), (110, ""), "{outcome:?}");
        let line = "sslclient: error: (110) missing credentials (CA) or unable to validate";
        assert!(outcome.stderr.starts_with(line), "{outcome:?}");
    }
}

#[test]
fn zero_is_this_machine_in_the_family_that_stands_in_front() {
    let bench = Bench::new();
    for (ip, family) in [("127.0.0.1", "-4"), ("::1", "-6")] {
        let server = Setup::new().host(ip).shell("echo $SSLREMOTEIP").start();
        let port = server.port().to_string();
        let words = [family, "0", &port, "-a", &bench.trusted];
        let outcome = run(bench.installed.command("sslcat", &words), b"", LIMIT);
        assert_said(&outcome, &format!("{ip}\n"));
    }
}

#[test]
fn a_line_has_a_return_when_it_comes_to_the_server() {
    let server = serving("dd bs=1 count=13 2>/dev/null | od -An -c | tr -d ' '");
    let bench = Bench::new();
    let outcome = bench.run("sslconnect", server.address, &[], "one\n\ntwo\r\nend");
    assert_said(&outcome, "one\\r\\n\\r\\ntwo\\r\\r\\n\n");
}

#[test]
fn s_server_answers_a_line() {
    let server = SServer::start(&["-rev"]);
    let bench = Bench::new();
    let outcome = bench.run("sslconnect", server.address, &[], "stressed\nCLOSE\n");
    assert_said(&outcome, "desserts\n");
}

/// What comes, as it comes.
struct Said(Receiver<u8>);

impl Said {
    fn by(mut output: impl Read + Send + 'static) -> Said {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut byte = [0];
            while output.read(&mut byte).is_ok_and(|count| count == 1) {
                let _ = sender.send(byte[0]);
            }
        });
        Said(receiver)
    }

    fn expect(&self, text: &str) {
        let mut said = Vec::new();
        while said.len() < text.len() {
            let next = self.0.recv_timeout(LIMIT);
            said.push(next.unwrap_or_else(|_| panic!("only {:?}", String::from_utf8_lossy(&said))));
        }
        assert_eq!(String::from_utf8_lossy(&said), text);
    }
}

#[test]
fn a_dialogue_goes_on_at_once_and_ends_with_the_server() {
    let server = serving("printf 'who? '; read name; printf \"$name? \"; read answer; echo bye");
    let bench = Bench::new();
    let mut child = bench
        .command("sslconnect", server.address, &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a program");
    let mut input = child.stdin.take().expect("piped");
    let said = Said::by(child.stdout.take().expect("piped"));
    said.expect("who? ");
    input.write_all(b"joe\n").expect("room");
    said.expect("joe\r? ");
    input.write_all(b"yes\n").expect("room");
    said.expect("bye\n");
    // The input is still open.
    let status = common::peers::wait(&mut child, LIMIT).expect("an end");
    assert_eq!(status.code(), Some(0));
    drop(input);
}

#[test]
fn the_end_of_the_input_is_not_the_end_of_the_dialogue() {
    // It would hear an end.
    let server =
        serving("read line; echo \"$line\"; timeout 1 cat >/dev/null; echo \"end: $?\"; exit 3");
    let bench = Bench::new();
    let outcome = bench.run("sslconnect", server.address, &[], "hello\n");
    assert_said(&outcome, "hello\r\nend: 124\n");
}

/// What a server says that never stops, to a reader of one line. Nobody waits for its end, which would take gigabytes.
fn to_head(name: &str) {
    let server = Setup::new().options(&["-V"]).shell("exec yes").start();
    let bench = Bench::new();
    let command = bench.command(name, server.address, &[]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "\"$@\" | head -n 1", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    assert_said(&run(shell, b"", LIMIT), "y\n");
    let line = server.log.wait_for("sslserver: finished * end=*");
    let sent = line.split(' ').find_map(|word| word.strip_prefix("sent="));
    let sent: u64 = sent.expect("a number").parse().expect("a number");
    assert!(sent < 64 << 20, "{line}");
}

#[test]
fn sslcat_ends_when_nobody_reads_what_it_prints() {
    to_head("sslcat");
}

#[test]
fn sslconnect_ends_when_nobody_reads_what_it_prints() {
    to_head("sslconnect");
}

/// A server with a page of some lines.
fn nginx(dir: &TempDir, address: SocketAddr) -> Option<Daemon> {
    let pair = leaf(Kind::Rsa2048);
    let certificate = dir.write("cert.pem", &pair.certificate);
    let key = dir.write("key.pem", &pair.key);
    let blocks = format!(
        "http {{ access_log off; server {{ listen {address} ssl; ssl_certificate {}; ssl_certificate_key {};
         location /page {{ return 200 \"one\\r\\n\\r\\n$request\\r\\n$http_host\\nend\"; }} }} }}",
        certificate.display(),
        key.display()
    );
    Daemon::nginx(dir, address, &blocks)
}

#[test]
fn https_at_prints_the_body_of_nginxs_page_without_returns() {
    let dir = TempDir::new();
    let bench = Bench::new();
    for (ip, name) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
        let Some(nginx) = nginx(&dir, free(ip)) else {
            return;
        };
        let port = nginx.address.port();
        // Nobody is asked who it is, or the right one is.
        for option in ["-X", "-x"] {
            let outcome = bench.run("https@", nginx.address, &[option], "");
            let body = format!("one\n\nGET /page HTTP/1.0\n{name}:{port}\nend");
            assert_said(&outcome, &body);
        }
    }
}

#[test]
fn https_at_asks_nobody_who_it_is_unless_it_is_told_to() {
    let server = serving("read line; printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello\\n'");
    let installed = Installed::new();
    let port = server.port().to_string();
    let page = ["127.0.0.1", "page", &*port];
    let outcome = run(installed.command("https@", &page), b"", LIMIT);
    assert_said(&outcome, "hello\n");
    let checked = [&page[..], &["-x"]].concat();
    let outcome = run(installed.command("https@", &checked), b"", LIMIT);
    assert_eq!((outcome.code(), &*outcome.text()), (110, ""), "{outcome:?}");
}

#[test]
fn https_at_prints_a_page_in_any_encoding_in_any_locale() {
    let server =
        serving("read line; printf 'HTTP/1.0 200 OK\\r\\nA: \\377\\r\\n\\r\\n\\377\\r\\n\\303\\n'");
    let installed = Installed::new();
    let port = server.port().to_string();
    let mut command = installed.command("https@", &["127.0.0.1", "page", &port]);
    command.env("LC_ALL", "C.UTF-8");
    let outcome = run(command, b"", LIMIT);
    assert_eq!(outcome.stdout, b"\xff\n\xc3\n", "{outcome:?}");
}

#[test]
fn programs_at_the_wrong_place_say_where_theirs_is() {
    let installed = Installed::new();
    let outcome = run(installed.command("mconnect-io", &[]), b"", LIMIT);
    let line = "mconnect-io: fatal: (111) descriptor 6 is no connection: Bad file number; \
                have it run: sslclient host port mconnect-io\n";
    assert_eq!((outcome.code(), &*outcome.stderr), (111, line));
    // As upstream's is started.
    let outcome = run(
        installed.command("sslprint", &["-v", "0", "443"]),
        b"",
        LIMIT,
    );
    let line =
        "sslprint: usage: it has no arguments; have it run: sslserver -s host port sslprint\n";
    assert_eq!((outcome.code(), &*outcome.stderr), (100, line));
    let mut full = Command::new("sh");
    full.args(["-c", "\"$0\" >/dev/full"])
        .arg(installed.dir.join("bin/sslprint"));
    let outcome = run(full, b"", LIMIT);
    let line = "sslprint: fatal: (111) unable to write: No space left on device\n";
    assert_eq!((outcome.code(), &*outcome.stderr), (111, line));
}
