//! STARTTLS: applications that begin in plain text and ask for TLS over the channels of ucspi-tls (`-n`).
#![forbid(unsafe_code)]

mod common;
#[path = "starttls/limits.rs"]
mod limits;
#[path = "starttls/mailfront.rs"]
mod mailfront;
#[path = "starttls/pipelining.rs"]
mod pipelining;
#[path = "starttls/plain.rs"]
mod plain;
#[path = "starttls/refused.rs"]
mod refused;
#[path = "starttls/report.rs"]
mod report;
#[path = "starttls/sample.rs"]
mod sample;

use common::{Dial, End, Ending, Plain, Server, Setup};

/// A line protocol: `tls` is answered with `go` and begins TLS, in which everything comes back; `quit` ends with 7; any
/// other line comes back. The shell reads one byte at a time, so it never reads beyond a line.
pub const LINES: &str = "\
    while read -r word; do case $word in \
        tls) echo go; printf y >&$SSLCTLFD; exec cat <&$SSLREADFD >&$SSLWRITEFD;; \
        quit) exit 7;; \
        *) echo \"$word\";; \
    esac; done";

pub fn delayed() -> Setup {
    Setup::new().options(&["-n"])
}

/// Talks to `LINES` up to the point where TLS may begin.
pub fn up_to_tls(dial: Dial) -> Plain {
    let mut plain = dial.plain();
    assert_eq!(plain.ask("hello"), "hello");
    assert_eq!(plain.ask("tls"), "go");
    plain
}

/// What an application says that asks for TLS at once and then runs the script, whose standard output goes to the client.
fn said_in_tls(setup: Setup, script: &str) -> String {
    let server = setup
        .shell(&format!("printf y >&$SSLCTLFD; ({script}) >&$SSLWRITEFD"))
        .start();
    let text = server.dial().plain().tls().text();
    server.wait_until_idle();
    text
}

#[test]
fn tls_begins_where_the_application_says_y() {
    let server = delayed().shell(LINES).start();
    for version in [
        openssl::ssl::SslVersion::TLS1_2,
        openssl::ssl::SslVersion::TLS1_3,
    ] {
        let mut client = up_to_tls(server.dial().version(version)).tls();
        client.assert_echoes();
        let (echo, end) = client.exchange(&common::pattern(300_000), Ending::CloseNotify);
        assert!(echo == common::pattern(300_000), "{}", echo.len());
        assert_eq!(end, End::Clean);
    }
    server.log.wait_for_nth("sslserver: ended by * status 0", 2);
    server.wait_until_idle();
    server.stop();
}

#[test]
fn the_end_of_tls_is_clean_though_the_application_still_has_the_socket() {
    // It never lets go of 0 and 1.
    let script = "printf y >&3; read line <&4; echo \"$line\" >&5; exec 3>&- 4<&- 5>&-; read never";
    let server = delayed().shell(script).start();
    let mut client = server.dial().plain().tls();
    client.assert_echoes();
    let (rest, end) = client.exchange(b"", Ending::Nothing);
    assert_eq!((rest.len(), end), (0, End::Clean));
    server.log.wait_for("sslserver: ended by *");
    server.wait_until_idle();
}

#[test]
fn nothing_is_said_back_to_y() {
    // What it finds on the channel after a line has come through TLS, without waiting.
    let script = r#"
        use Fcntl;
        open(C, "+<&=", $ENV{SSLCTLFD}); open(R, "<&=", $ENV{SSLREADFD}); open(W, ">&=", $ENV{SSLWRITEFD});
        syswrite(C, "y");
        sysread(R, $line, 1);
        fcntl(C, F_SETFL, O_NONBLOCK);
        $count = sysread(C, $byte, 1);
        syswrite(W, "got " . ($count || "nothing") . "\n");
    "#;
    let server = delayed().program(&["perl", "-e", script]).start();
    let mut client = server.dial().plain().tls();
    client.send(b"x");
    assert_eq!(client.text(), "got nothing\n");
}

#[test]
fn the_application_has_the_socket_on_0_and_1_the_log_and_the_three_channels_and_no_more() {
    let script = "exec cat <&0 & ls /proc/$$/fd; for n in 0 1 $SSLCTLFD $SSLREADFD $SSLWRITEFD; do readlink /proc/$$/fd/$n; done; \
                  echo $SSLCTLFD $SSLREADFD $SSLWRITEFD";
    let inherited = ["sh", "-c", "exec \"$@\" 3</dev/null 9</dev/null", "sh"];
    let no_log = ["sh", "-c", "exec \"$@\" 2>&-", "sh"];
    for prefix in [&[][..], &inherited, &no_log] {
        let server = delayed().prefix(prefix).shell(script).start();
        let mut plain = server.dial().plain();
        let open: Vec<String> = (0..6).map(|_| plain.line()).collect();
        assert_eq!(open, ["0", "1", "2", "3", "4", "5"], "{prefix:?}");
        let links: Vec<String> = (0..5).map(|_| plain.line()).collect();
        assert!(links[0].starts_with("socket:["), "{links:?}");
        assert_eq!(links[0], links[1], "{prefix:?}");
        assert!(links[2].starts_with("socket:["), "{links:?}");
        assert_ne!(links[2], links[0], "{prefix:?}");
        assert!(links[3].starts_with("pipe:["), "{links:?}");
        assert!(links[4].starts_with("pipe:["), "{links:?}");
        assert_ne!(links[3], links[4], "{prefix:?}");
        assert_eq!(plain.line(), "3 4 5", "{prefix:?}");
        plain.reset();
    }
}

#[test]
fn the_socket_is_the_clients_connection_and_the_channel_a_stream() {
    let script = r#"
        use Socket;
        ($port) = sockaddr_in(getpeername(STDIN)); open(C, "+<&=", $ENV{SSLCTLFD});
        $type = unpack("i", getsockopt(C, SOL_SOCKET, SO_TYPE));
        $family = sockaddr_family(getsockname(C));
        $| = 1; print "$port ", $type == SOCK_STREAM ? "stream" : $type, " ", $family == AF_UNIX ? "unix" : $family, "\n";
    "#;
    let server = delayed().program(&["perl", "-e", script]).start();
    let mut plain = server.dial().plain();
    let port = plain.tcp.local_addr().expect("connected").port();
    assert_eq!(plain.line(), format!("{port} stream unix"));
}

/// The option of the socket is what a client of TLS has as well: nothing else sets it.
#[test]
fn small_packets_are_sent_at_once_unless_d_is_given() {
    let script = "use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY); $| = 1;\
                  print unpack('i', getsockopt(STDIN, IPPROTO_TCP, TCP_NODELAY)) ? 'at once' : 'delayed', \"\\n\"";
    for (options, expected) in [
        (&[][..], "at once"),
        (&["-D"], "at once"),
        (&["-d"], "delayed"),
    ] {
        let setup = delayed().options(options);
        let server = setup.program(&["perl", "-e", script]).start();
        assert_eq!(server.dial().plain().line(), expected, "{options:?}");
    }
}

#[test]
fn the_environment_has_the_connection_and_the_channels_and_nothing_of_tls_yet() {
    for options in [&[][..], &["-s"], &["-e"]] {
        let server = delayed()
            .options(options)
            .env("SSLCTLFD", "77")
            .env("SSL_PROTOCOL", "stale")
            .env("UCSPITLS", "inherited")
            .rules(
                "-x",
                ":allow,UCSPITLS=\"by rule\",SSLREADFD=\"88\",TCPLOCALHOST=\"mail.example\"\n",
            )
            .program(&["env"])
            .start();
        let mut plain = server.dial().plain();
        let remote = plain.tcp.local_addr().expect("connected").port();
        let text = String::from_utf8(plain.rest()).expect("text");
        for line in [
            "PROTO=TCP",
            "SSLREMOTEIP=127.0.0.1",
            "TCPREMOTEIP=127.0.0.1",
            &format!("TCPREMOTEPORT={remote}"),
            &format!("SSLLOCALPORT={}", server.port()),
            "TCPLOCALHOST=mail.example",
            "UCSPITLS=by rule",
            "SSLCTLFD=3",
            "SSLREADFD=4",
            "SSLWRITEFD=5",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} {options:?}: {text}"
            );
        }
        assert!(!text.contains("SSL_"), "{options:?}: {text}");
        assert!(!text.contains("CERTFILE"), "{options:?}: {text}");
    }
}

#[test]
fn without_n_there_are_no_channels() {
    let server = Setup::new()
        .options(&["-n", "-N"])
        .shell("env; ls /proc/$$/fd; :")
        .start();
    let text = server.reply();
    assert!(text.ends_with("\n0\n1\n2\n"), "{text}");
    for name in ["SSLCTLFD", "SSLREADFD", "SSLWRITEFD"] {
        assert!(!text.contains(name), "{text}");
    }
}

#[test]
fn tls_reaches_the_application_on_the_two_pipes() {
    assert_eq!(said_in_tls(delayed(), "echo from inside"), "from inside\n");
}

#[test]
fn the_banner_comes_in_plain_text_before_anything_else() {
    let server = delayed()
        .options(&["-B", "220 here\r\n"])
        .shell(&format!("echo mine; {LINES}"))
        .start();
    let mut plain = server.dial().plain();
    assert_eq!(plain.line(), "220 here\r");
    assert_eq!(plain.line(), "mine");
    assert_eq!(plain.ask("tls"), "go");
    plain.tls().assert_echoes();
}

/// The lines about the one connection, with the application's pid and the ports replaced.
fn transcript(server: Server, remote: u16) -> Vec<String> {
    server.wait_until_idle();
    let (local, lines) = (server.port(), server.stop().wait_for_end());
    let start = lines
        .iter()
        .position(|line| line == "sslserver: status: 0/40/40")
        .expect("the first status");
    let pid = lines[start + 1..]
        .iter()
        .find_map(|line| line.strip_prefix("sslserver: pid ")?.split(' ').next())
        .expect("a pid");
    let clean = |line: &String| {
        line.replace(&format!(" {pid} "), " PID ")
            .replace(&format!(":{local} "), ":LOCAL ")
            .replace(&format!(":{remote}"), ":REMOTE")
    };
    let (end, lines) = lines.split_last().expect("a last line");
    assert_eq!(end, "sslserver: info: ended by SIGTERM");
    lines[start + 1..].iter().map(clean).collect()
}

#[test]
fn the_log_tells_of_tls_after_it_began() {
    let server = delayed().options(&["-l", "0"]).shell(LINES).start();
    let plain = up_to_tls(server.dial());
    let remote = plain.tcp.local_addr().expect("connected").port();
    server.log.wait_for("sslserver: ok *");
    assert_eq!(server.log.count("sslserver: tls *"), 0);
    let mut client = plain.tls();
    client.assert_echoes();
    server.log.wait_for("sslserver: tls *");
    assert_eq!(client.exchange(b"", Ending::CloseNotify).1, End::Clean);
    assert_eq!(
        transcript(server, remote),
        [
            "sslserver: status: 1/40/40",
            "sslserver: pid PID from 127.0.0.1",
            "sslserver: ok PID 0:127.0.0.1:LOCAL :127.0.0.1::REMOTE",
            "sslserver: tls PID accept",
            "sslserver: ended by PID status 0",
            "sslserver: status: 0/40/40",
        ]
    );
}

#[test]
fn the_log_does_not_tell_of_tls_where_there_was_none() {
    let server = delayed().options(&["-l", "0"]).shell(LINES).start();
    let mut plain = server.dial().plain();
    let remote = plain.tcp.local_addr().expect("connected").port();
    plain.send(b"quit\n");
    assert_eq!(plain.rest(), b"");
    assert_eq!(
        transcript(server, remote),
        [
            "sslserver: status: 1/40/40",
            "sslserver: pid PID from 127.0.0.1",
            "sslserver: ok PID 0:127.0.0.1:LOCAL :127.0.0.1::REMOTE",
            "sslserver: ended by PID status 1792",
            "sslserver: status: 0/40/40",
        ]
    );
}

#[test]
fn capital_v_adds_protocol_and_cipher_when_tls_begins() {
    for command in ["y", "Y"] {
        let server = delayed()
            .options(&["-V"])
            .shell(&format!(
                "printf {command} >&$SSLCTLFD; echo hi >&$SSLWRITEFD"
            ))
            .start();
        assert_eq!(server.dial().plain().tls().text(), "hi\n");
        let line = "sslserver: tls * accept TLSv1.3:TLS_AES_256_GCM_SHA384";
        server.log.wait_for(line);
    }
}
