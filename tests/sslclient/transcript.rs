//! What both ends say and know of one connection, side by side, for reading: P is a process id, N a port that was free.
#![forbid(unsafe_code)]

use crate::common::keys::{Kind, Order, Pair, authority, expired, leaf, of_client};
use crate::common::{Caller, Outcome, Server, Setup, glob};

/// What the server says at its start.
const AT_START: [&str; 11] = [
    "info: no SSL_",
    "ciphers ",
    "cafile ",
    "ccafile ",
    "cadir ",
    "certchainfile ",
    "cert ",
    "key ",
    "dhparam ",
    "status: ",
    "warning: certificate has expired",
];

/// What the client said, then what the server did, whose last line fits the pattern.
fn transcript(server: &Server, outcome: &Outcome, last: &str) -> String {
    server.log.wait_for(last);
    let port = server.port().to_string();
    let log = server.log.lines();
    let end = log.iter().position(|line| glob(last, line));
    let log = &log[..=end.expect("it was there")];
    let is_of_connection = |line: &&str| {
        let text = line.trim_start_matches("sslserver: ");
        !AT_START.iter().any(|start| text.starts_with(start))
    };
    let of_server = log.iter().map(String::as_str).filter(is_of_connection);
    let lines = outcome.stderr.lines().chain(of_server);
    lines.map(|line| plain(line, &port)).collect()
}

/// With letters for what differs from run to run.
fn plain(line: &str, port: &str) -> String {
    let mut before = "";
    let mut words = Vec::new();
    for word in line.split(' ') {
        let (head, tail) = match word.rsplit_once(':') {
            Some((head, tail)) if !tail.is_empty() => (Some(head), tail),
            _ => (None, word),
        };
        let (number, colon) = match tail.strip_suffix(':') {
            Some(number) => (number, ":"),
            None => (tail, ""),
        };
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        words.push(match (head, is_number) {
            (Some(head), true) => format!("{head}:N"),
            (None, true) if number == port => format!("N{colon}"),
            (None, true) if !["status", "code"].contains(&before) => format!("P{colon}"),
            _ => word.to_owned(),
        });
        before = word;
    }
    let line = words.join(" ") + "\n";
    // By the age of the library.
    let names = ["sslv3 ", "tlsv1 ", "tlsv13 ", "ssl/tls "].map(|name| format!("{name}alert"));
    names
        .iter()
        .fold(line, |line, name| line.replace(name, "alert"))
}

fn server(pair: &Pair) -> Setup {
    Setup::bare()
        .options(&["-1", "-v", "-H", "-l", "0"])
        .file("CERTFILE", "cert.pem", &pair.certificate)
        .file("KEYFILE", "key.pem", &pair.key)
}

fn by_name(server: &Server) -> Caller {
    Caller::of(server).host("localhost").options(&["-4"])
}

#[test]
fn a_connection_that_goes_well() {
    let server = server(leaf(Kind::P256)).program(&["echo", "hello"]).start();
    let outcome = by_name(&server).run();
    assert_eq!(
        transcript(&server, &outcome, "*ended by*"),
        "sslclient: tls connected to: 127.0.0.1 port: N\n\
         sslclient: P ended with exit code 0\n\
         sslserver: pid P from 127.0.0.1\n\
         sslserver: ok P 0:127.0.0.1:N :127.0.0.1::N\n\
         sslserver: tls P accept\n\
         sslserver: ended by P status 0\n"
    );
}

#[test]
fn a_certificate_that_has_expired() {
    let server = server(&expired()).start();
    let outcome = by_name(&server).run();
    assert_eq!(
        transcript(&server, &outcome, "*unable to accept*"),
        "sslclient: error: (110) missing credentials (CA) or unable to validate server certificate \
         from: 127.0.0.1 port: N: certificate has expired\n\
         sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: P alert certificate expired\n"
    );
}

#[test]
fn a_certificate_for_somebody_else() {
    let other = Order::new("/CN=other", "subjectAltName=DNS:other.example").signed_by(authority());
    let server = server(&other).start();
    let outcome = by_name(&server).run();
    assert_eq!(
        transcript(&server, &outcome, "*unable to accept*"),
        "sslclient: error: (110) server hostname does not match certificate: localhost <=> other.example\n\
         sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: P alert bad certificate\n"
    );
}

#[test]
fn a_client_that_has_to_show_a_certificate() {
    let asking = || {
        server(leaf(Kind::P256))
            .options(&["-m"])
            .file("CAFILE", "ca.pem", &authority().certificate)
            .program(&["true"])
            .start()
    };
    let server = asking();
    let outcome = by_name(&server).showing(&of_client("DNS:c.example")).run();
    assert_eq!(
        transcript(&server, &outcome, "*ended by*"),
        "sslclient: tls connected to: 127.0.0.1 port: N\n\
         sslclient: P ended with exit code 0\n\
         sslserver: pid P from 127.0.0.1\n\
         sslserver: ok P 0:127.0.0.1:N :127.0.0.1::N\n\
         sslserver: info: valid client cert received from: 127.0.0.1 for pid: P\n\
         sslserver: tls P accept\n\
         sslserver: ended by P status 0\n"
    );
    let server = asking();
    let outcome = by_name(&server).run();
    assert_eq!(
        transcript(&server, &outcome, "*unable to accept*"),
        "sslclient: tls connected to: 127.0.0.1 port: N\n\
         sslclient: error: (111) unable to speak TLS with: 127.0.0.1 for pid: P alert certificate required\n\
         sslclient: P ended with exit code 0\n\
         sslserver: fatal: (111) unable to accept TLS from: 127.0.0.1 for pid: P peer did not return a certificate\n"
    );
}

/// The variables of one end, in their order, without those that are a page long.
fn variables(text: &str) -> Vec<(String, String)> {
    let pairs = text
        .split_terminator('\0')
        .filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(name, value)| name.contains("SSL") && !value.contains('\n'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn both_ends_know_the_same_of_each_other() {
    let server = server(leaf(Kind::P256))
        .options(&["-s", "-m"])
        .file("CAFILE", "ca.pem", &authority().certificate)
        .program(&["cat", "/proc/self/environ"])
        .start();
    let own = of_client("DNS:c.example");
    let outcome = by_name(&server)
        .showing(&own)
        .options(&["-s"])
        .program(&["cat", "/proc/self/environ", "/dev/fd/6"])
        .run();
    let text = outcome.text();
    // Both begin so.
    let (ours, theirs) = text.split_once("\0PATH=").expect("two environments");
    let (ours, theirs) = (variables(ours), variables(theirs));
    let value = |of: &[(String, String)], name: &str| {
        let found = of.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    // What is ours is remote to them.
    for (here, there) in [
        ("SSLLOCALIP", "SSLREMOTEIP"),
        ("SSLLOCALPORT", "SSLREMOTEPORT"),
        ("SSLREMOTEIP", "SSLLOCALIP"),
        ("SSLREMOTEPORT", "SSLLOCALPORT"),
    ] {
        assert_eq!(value(&ours, here), value(&theirs, there), "{here}");
        assert!(value(&ours, here).is_some(), "{here}");
    }
    // What TLS agreed on is the same, in the same order, but for what only one of them can know.
    let agreed = |of: &[(String, String)]| -> Vec<(String, String)> {
        let one_sided = ["SSL_SESSION_ID", "SSL_CLIENT_VERIFY"];
        let agreed = of.iter().filter(|(name, _)| name.starts_with("SSL_"));
        let agreed = agreed.filter(|(name, _)| !one_sided.contains(&&**name));
        agreed.cloned().collect()
    };
    assert_eq!(agreed(&ours), agreed(&theirs));
    let names: Vec<String> = agreed(&ours).into_iter().map(|(name, _)| name).collect();
    let expected = "SSL_PROTOCOL SSL_CIPHER SSL_CIPHER_EXPORT SSL_CIPHER_USEKEYSIZE SSL_CIPHER_ALGKEYSIZE SSL_TLS_SNI \
         SSL_VERSION_INTERFACE SSL_VERSION_LIBRARY \
         SSL_SERVER_M_VERSION SSL_SERVER_M_SERIAL SSL_SERVER_S_DN SSL_SERVER_S_DN_CN SSL_SERVER_I_DN SSL_SERVER_I_DN_CN \
         SSL_SERVER_A_SIG SSL_SERVER_A_KEY SSL_SERVER_V_START SSL_SERVER_V_END \
         SSL_CLIENT_M_VERSION SSL_CLIENT_M_SERIAL SSL_CLIENT_S_DN SSL_CLIENT_S_DN_CN SSL_CLIENT_I_DN SSL_CLIENT_I_DN_CN \
         SSL_CLIENT_A_SIG SSL_CLIENT_A_KEY SSL_CLIENT_V_START SSL_CLIENT_V_END";
    assert_eq!(names.join(" "), expected);
}
