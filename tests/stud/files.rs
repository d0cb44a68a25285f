//! Configuration files, old and wrong ones.
#![forbid(unsafe_code)]

use crate::common::keys::leaf;
use crate::common::{Backend, Kind, Outcome, Stud};

/// One of the first program, with its habits: no quotes, an address of the old style, words it made nothing of.
const OF_STUD: &str = r#"
# stud(8), The Scalable TLS Unwrapping Daemon's configuration

# NOTE: all config file parameters can be overriden
#       from command line!

frontend = 127.0.0.1,0
backend  = "BACKEND"
pem-file = "PEM"
tls = on
ciphers = ""
prefer-server-ciphers = off
ssl-engine = ""
workers = 2 # two of them
backlog = 100
keepalive = 3600
chroot = ""
user = ""
group = ""
quiet = off
syslog = off
syslog-facility = "daemon"
daemon = off
write-ip = off
write-proxy = on
proxy-proxy = off

# EOF
"#;

/// One of the second program: blocks, words without quotes, comments behind values.
const OF_HITCH: &str = r#"
# Run 'man hitch.conf' for a description of all options.
frontend = {
    host = "127.0.0.1"
    port = "0"
    tls-protos = TLSv1.2 TLSv1.3
    prefer-server-ciphers = on
}
backend = "BACKEND"    # 6086 is the default Varnish PROXY port.
workers = 2            # number of CPU cores
daemon = off
pem-file = {
    cert = "PEM"
}
ciphers = "EECDH+AESGCM:EDH+AESGCM"
ciphersuites = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
ecdh-curve = "X25519:prime256v1"
alpn-protos = "h2, http/1.1"
write-proxy-v1 = on
proxy-tlv = on
ocsp-dir = "/var/lib/hitch"
tcp-fastopen = on
sni-nomatch-abort = off
backend-connect-timeout = 10
ssl-handshake-timeout = 10
backend-refresh = 60
log-level = 1
"#;

#[test]
fn old_files_of_either_program_serve() {
    for text in [OF_STUD, OF_HITCH] {
        let backend = Backend::new();
        let stud = Stud::bare();
        let pem = stud.file("own.pem", leaf(Kind::P256));
        let target = format!("[127.0.0.1]:{}", backend.address.port());
        let text = text
            .replace("PEM\"", &format!("{pem}\""))
            .replace("BACKEND", &target);
        let stud = stud.config(&text).start();
        let client = stud.connect();
        let line = backend.accept().line();
        let start = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} ", client.local().port());
        assert!(line.starts_with(&start), "{line}");
        stud.wait_for_roles("ssl-worker", 2);
    }
}

fn test(lines: &str) -> Outcome {
    Stud::to(([127, 0, 0, 1], 9).into())
        .config(lines)
        .run_with(&["-t"])
}

/// The three lines that are there already.
const BEFORE: usize = 3;

#[test]
fn what_is_wrong_is_said_with_file_and_line() {
    for (lines, line, word) in [
        ("\n# fine\nnonsense = 3", 3, "nonsense"),
        ("workers = none", 1, "none"),
        ("workers = 0", 1, "workers"),
        ("workers", 1, "workers"),
        ("write-ip = perhaps", 1, "perhaps"),
        ("backend = \"[127.0.0.1]:http\"", 1, "http"),
        ("backend = \"[127.0.0.1]:80", 1, "\""),
        ("frontend = {\n host = \"127.0.0.1\"\n port = \"0\"", 1, "}"),
        ("frontend = {\n nonsense = 3\n}", 2, "nonsense"),
        ("frontend = {\n workers = 3\n}", 2, "workers"),
        ("pem-file = \"/nonexistent.pem\"", 1, "/nonexistent.pem"),
        (
            "pem-file = {\n cert = \"/nonexistent.pem\"\n}",
            2,
            "/nonexistent.pem",
        ),
        ("client-verify = perhaps", 1, "perhaps"),
        ("tls-protos = TLSv1.9", 1, "TLSv1.9"),
        ("log-level = 9", 1, "9"),
    ] {
        let outcome = test(lines);
        assert_eq!(outcome.code(), 1, "{lines}: {outcome:?}");
        let said = outcome
            .stderr
            .lines()
            .find(|said| said.contains("stud.conf"));
        let said = said.unwrap_or_else(|| panic!("{lines}: {outcome:?}"));
        let number = (BEFORE + line).to_string();
        let numbered = said
            .split(|c: char| !c.is_ascii_digit())
            .any(|word| word == number);
        assert!(
            numbered && said.contains(word),
            "{lines}: line {number}: {said}"
        );
    }
}

#[test]
fn what_is_wrong_in_the_first_line_is_said_as_well() {
    let stud = Stud::bare().config("nonsense = 3");
    let outcome = stud.run_with(&["-t"]);
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(
        outcome.stderr.contains("stud.conf, line 1: "),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("nonsense"), "{outcome:?}");
}

#[test]
fn what_is_off_is_off() {
    for word in ["off", "no", "0", "false", "OFF"] {
        let lines = format!("write-ip = on\nwrite-ip = {word}\nproxy-proxy = on");
        let outcome = test(&lines);
        assert_eq!(outcome.code(), 0, "{word}: {outcome:?}");
    }
    for word in ["on", "yes", "1", "true", "ON", "\"on\""] {
        let outcome = test(&format!("write-ip = {word}\nproxy-proxy = on"));
        assert_eq!(outcome.code(), 1, "{word}: {outcome:?}");
    }
}

#[test]
fn a_file_of_comments_and_an_empty_one_are_fine() {
    for text in ["# nothing here\n", "\n", ""] {
        let stud = Stud::bare();
        let pem = stud.file("own.pem", leaf(Kind::P256));
        let file = stud.dir.write("empty.conf", text).display().to_string();
        let outcome = stud.run_with(&["-t", "--config", &file, "-b", "[127.0.0.1]:9", &pem]);
        assert_eq!(outcome.code(), 0, "{text:?}: {outcome:?}");
    }
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let stud = Stud::bare();
    let file = stud.dir.write("binary.conf", [0, 159, 146, 150, 10, 255]);
    let file = file.display().to_string();
    let outcome = stud.run_with(&["-t", "--config", &file]);
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains("binary.conf"), "{outcome:?}");
}

#[test]
fn a_very_long_line_is_no_trouble() {
    let outcome = test(&format!("# {}\nworkers = 2", "x".repeat(200_000)));
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let outcome = test(&format!("{} = 2", "x".repeat(200_000)));
    assert_eq!(outcome.code(), 1);
    assert!(outcome.stderr.len() < 2000, "{}", outcome.stderr.len());
}
