//! The environment that the application is given.
#![forbid(unsafe_code)]

mod common;

use common::keys::{large, leaf};
use common::{Kind, Setup, without_root};
use openssl::ssl::SslVersion;
use std::collections::BTreeMap;

type Environment = BTreeMap<String, String>;

/// The environment at the exec, untouched by any shell.
fn environment(setup: Setup) -> (Environment, common::Server, u16) {
    let server = setup.program(&["cat", "/proc/self/environ"]).start();
    let client = server.connect();
    let port = client.local().port();
    let text = client.text();
    let pairs = text
        .split_terminator('\0')
        .map(|item| item.split_once('=').expect("NAME=VALUE"));
    let found: Vec<_> = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let environment: Environment = found.iter().cloned().collect();
    assert_eq!(found.len(), environment.len(), "a name twice: {found:?}");
    (environment, server, port)
}

fn names(environment: &Environment) -> Vec<&str> {
    environment.keys().map(String::as_str).collect()
}

#[test]
fn the_environment_has_what_was_inherited_and_the_addresses_and_nothing_more() {
    let (environment, server, port) = environment(Setup::new().env("MINE", "x y"));
    let (local, remote) = (server.port().to_string(), port.to_string());
    let mut expected = Environment::new();
    for family in ["SSL", "TCP"] {
        expected.insert(format!("{family}LOCALIP"), "127.0.0.1".to_owned());
        expected.insert(format!("{family}LOCALPORT"), local.clone());
        expected.insert(format!("{family}REMOTEIP"), "127.0.0.1".to_owned());
        expected.insert(format!("{family}REMOTEPORT"), remote.clone());
    }
    for (name, value) in [
        ("PROTO", "TCP"),
        ("MINE", "x y"),
        ("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"),
    ] {
        expected.insert(name.to_owned(), value.to_owned());
    }
    assert_eq!(environment, expected);
}

#[test]
fn an_ipv6_client_finds_tcp6_variables_beside_tcp() {
    let (environment, _server, port) =
        environment(Setup::new().host("::1").options(&["-l", "here"]));
    assert_eq!(environment["PROTO"], "TCP6");
    for family in ["SSL", "TCP", "TCP6"] {
        assert_eq!(environment[&format!("{family}LOCALHOST")], "here");
        assert_eq!(environment[&format!("{family}REMOTEIP")], "::1");
        assert_eq!(
            environment[&format!("{family}REMOTEPORT")],
            port.to_string()
        );
    }
}

#[test]
fn a_wildcard_listener_tells_the_real_local_address() {
    for (host, expected) in [("0", "127.0.0.1"), ("::", "::1")] {
        let (environment, _server, _) = environment(Setup::new().host(host));
        assert_eq!(environment["SSLLOCALIP"], expected);
        assert_eq!(environment["TCPLOCALIP"], expected);
    }
}

#[test]
fn e_and_s_and_their_capitals_choose_the_families() {
    let cases: [(&[&str], bool, bool); 8] = [
        (&[], true, false),
        (&["-e"], true, true),
        (&["-s"], true, true),
        (&["-E"], false, false),
        (&["-S"], true, false),
        (&["-E", "-s"], false, true),
        (&["-e", "-S"], true, false),
        (&["-s", "-S"], true, false),
    ];
    for (options, tcp, ssl) in cases {
        let (environment, _server, _) = environment(Setup::new().options(options));
        let has = |prefix: &str| environment.keys().any(|name| name.starts_with(prefix));
        assert_eq!(
            (has("TCP"), has("SSL_")),
            (tcp, ssl),
            "{options:?}: {:?}",
            names(&environment)
        );
        assert_eq!(
            environment["PROTO"],
            if tcp { "TCP" } else { "TLS" },
            "{options:?}"
        );
        assert!(environment.contains_key("SSLREMOTEIP"), "{options:?}");
    }
}

#[test]
fn the_ssl_variables_describe_session_and_certificate() {
    let (environment, server, _) =
        environment(Setup::new().keys(&[Kind::Rsa2048]).options(&["-s"]));
    let pair = leaf(Kind::Rsa2048);
    for (name, value) in [
        ("SSL_PROTOCOL", "TLSv1.3"),
        ("SSL_CIPHER", "TLS_AES_256_GCM_SHA384"),
        ("SSL_CIPHER_EXPORT", "false"),
        ("SSL_CIPHER_USEKEYSIZE", "256"),
        ("SSL_CIPHER_ALGKEYSIZE", "256"),
        ("SSL_VERSION_INTERFACE", "ucspi-ssl"),
        ("SSL_SERVER_M_VERSION", "3"),
        ("SSL_SERVER_M_SERIAL", "4711"),
        ("SSL_SERVER_S_DN", "/CN=localhost"),
        ("SSL_SERVER_S_DN_CN", "localhost"),
        ("SSL_SERVER_I_DN", "/CN=Test Root"),
        ("SSL_SERVER_I_DN_CN", "Test Root"),
        ("SSL_SERVER_A_KEY", "rsaEncryption"),
        ("SSL_SERVER_CERT", pair.certificate.as_str()),
    ] {
        assert_eq!(
            environment.get(name).map(String::as_str),
            Some(value),
            "{name}"
        );
    }
    assert!(environment["SSL_VERSION_LIBRARY"].starts_with("OpenSSL "));
    assert!(environment["SSL_SERVER_V_END"].ends_with(" GMT"));
    for name in ["SSL_SESSION_ID", "SSL_SERVER_A_SIG", "SSL_SERVER_V_START"] {
        assert!(environment.contains_key(name), "{name}");
    }
    let about_client = |name: &&String| name.starts_with("SSL_CLIENT_");
    let found: Vec<&String> = environment.keys().filter(about_client).collect();
    assert_eq!(found, ["SSL_CLIENT_VERIFY"], "nobody was asked");
    assert_eq!(environment["SSL_CLIENT_VERIFY"], "NONE");

    let client = server.dial().version(SslVersion::TLS1_2).connect();
    assert!(client.text().contains("\0SSL_PROTOCOL=TLSv1.2\0"));
}

#[test]
fn a_certificate_of_many_kilobytes_reaches_the_application_whole() {
    let pair = large();
    assert!(pair.certificate.len() > 8000, "{}", pair.certificate.len());
    let setup = Setup::new()
        .options(&["-s"])
        .file("CERTFILE", "large.pem", &pair.certificate);
    let (environment, _server, _) = environment(setup.file("KEYFILE", "large.key", &pair.key));
    assert_eq!(environment["SSL_SERVER_CERT"], pair.certificate);
}

#[test]
fn nothing_that_configures_the_server_and_nothing_stale_reaches_the_application() {
    let stale = [
        "TCPREMOTEHOST",
        "TCPREMOTEINFO",
        "TCP6REMOTEIP",
        "SSLREMOTEHOST",
        "SSLCTLFD",
        "SSLREADFD",
    ];
    let more = [
        "SSLWRITEFD",
        "SSL_CLIENT_S_DN",
        "SSL_PROTOCOL",
        "SSLINTERFACE",
        "TCPLOCALHOST",
    ];
    let configuring = [
        ("CIPHERS", "HIGH"),
        ("CIPHERSUITES", "TLS_AES_128_GCM_SHA256"),
        ("GROUPS", "P-256"),
        ("TLSMIN", "1.2"),
        ("TLSMAX", "1.3"),
        ("MAXCONIP", "30"),
        ("HANDSHAKES", "600"),
        ("HANDSHAKESIP", "60"),
        ("RATE", "100/1"),
    ];
    for option in ["-e", "-E"] {
        let mut setup = Setup::new().options(&[option, "-S"]);
        for name in stale.iter().chain(&more) {
            setup = setup.env(name, "stale");
        }
        for (name, value) in configuring {
            setup = setup.env(name, value);
        }
        let (environment, _server, _) = environment(setup);
        assert!(
            !environment.values().any(|value| value == "stale"),
            "{option}: {environment:?}"
        );
        for name in ["CERTFILE", "KEYFILE"]
            .into_iter()
            .chain(configuring.map(|(name, _)| name))
        {
            assert!(!environment.contains_key(name), "{option}: {name}");
        }
    }
}

#[test]
fn the_application_of_a_jailed_server_knows_nothing_of_the_jail() {
    if without_root("the_application_of_a_jailed_server_knows_nothing_of_the_jail") {
        return;
    }
    let setup = Setup::new()
        .jailed(Kind::P256)
        .env("UID", "61005")
        .env("GID", "61006")
        .options(&["-U"]);
    let (environment, _server, _) = environment(setup);
    for name in [
        "SSL_CHROOT",
        "SSL_UID",
        "SSL_GID",
        "SSL_USER",
        "SSL_GROUP",
        "CERTFILE",
        "KEYFILE",
    ] {
        assert!(
            !environment.contains_key(name),
            "{name} in {:?}",
            names(&environment)
        );
    }
}
