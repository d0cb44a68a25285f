//! What `Y` is answered: the variables of TLS on the control channel, byte for byte.
#![forbid(unsafe_code)]

use crate::common::keys::leaf;
use crate::common::{Kind, Setup};
use crate::delayed;
use openssl::ssl::SslVersion;

/// Reads the control channel as the protocol says, up to NUL NUL, and shows it to the client inside TLS.
const SHOW: &str = r#"
    open(C, "+<&=", $ENV{SSLCTLFD}); open(W, ">&=", $ENV{SSLWRITEFD});
    syswrite(C, "Y");
    while ($all !~ /\0\0\z/) { sysread(C, $all, 65536, length $all) or last; }
    syswrite(W, $all);
"#;

fn report(setup: Setup, version: SslVersion) -> (Vec<u8>, String, String) {
    let server = setup.program(&["perl", "-e", SHOW]).start();
    let mut client = server.dial().version(version).plain().tls();
    let ssl = client.tls.ssl();
    let protocol = ssl.version_str().to_owned();
    let cipher = ssl.current_cipher().expect("a cipher").name().to_owned();
    let (block, end) = client.exchange(b"", crate::Ending::Nothing);
    assert_eq!(end, crate::End::Clean);
    (block, protocol, cipher)
}

fn text(block: &[u8]) -> String {
    String::from_utf8(block.to_vec()).expect("text")
}

/// In the order in which they come.
const NAMES: [&str; 20] = [
    "SSL_PROTOCOL",
    "SSL_SESSION_ID",
    "SSL_CIPHER",
    "SSL_CIPHER_EXPORT",
    "SSL_CIPHER_USEKEYSIZE",
    "SSL_CIPHER_ALGKEYSIZE",
    "SSL_VERSION_INTERFACE",
    "SSL_VERSION_LIBRARY",
    "SSL_SERVER_M_VERSION",
    "SSL_SERVER_M_SERIAL",
    "SSL_SERVER_S_DN",
    "SSL_SERVER_S_DN_CN",
    "SSL_SERVER_I_DN",
    "SSL_SERVER_I_DN_CN",
    "SSL_SERVER_A_SIG",
    "SSL_SERVER_A_KEY",
    "SSL_SERVER_V_START",
    "SSL_SERVER_V_END",
    "SSL_SERVER_CERT",
    "SSL_CLIENT_VERIFY",
];

#[test]
fn the_report_is_name_value_nul_for_each_variable_and_one_more_nul() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let (block, protocol, cipher) = report(delayed(), version);
        assert!(block.ends_with(b"-----END CERTIFICATE-----\n\0SSL_CLIENT_VERIFY=NONE\0\0"));
        let whole = text(&block);
        let body = whole.strip_suffix("\0\0").expect("NUL NUL");
        assert!(!body.contains("\0\0"), "{body:?}");
        let variables: Vec<(&str, &str)> = body
            .split('\0')
            .map(|variable| variable.split_once('=').expect("NAME=value"))
            .collect();
        let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, NAMES);
        let value = |wanted: &str| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.expect("listed").1
        };
        assert_eq!(value("SSL_PROTOCOL"), protocol);
        assert_eq!(value("SSL_CIPHER"), cipher);
        assert_eq!(value("SSL_CIPHER_USEKEYSIZE"), "256");
        assert_eq!(value("SSL_SERVER_M_SERIAL"), "4711");
        assert_eq!(value("SSL_SERVER_S_DN"), "/CN=localhost");
        assert_eq!(value("SSL_SERVER_CERT"), leaf(Kind::P256).certificate);
        assert_eq!(value("SSL_SERVER_A_KEY"), "id-ecPublicKey");
    }
}

#[test]
fn the_report_is_what_s_gives_an_application_that_begins_with_tls() {
    let (block, _, _) = report(delayed(), SslVersion::TLS1_3);
    let server = Setup::new()
        .options(&["-s"])
        .program(&["env", "-0"])
        .start();
    let environment = server.reply();
    let own = |name: &&str| !name.starts_with("SSL_SESSION_ID=");
    let mut expected: Vec<&str> = environment
        .split('\0')
        .filter(|variable| variable.starts_with("SSL_"))
        .filter(own)
        .collect();
    let block = text(&block);
    let mut found: Vec<&str> = block
        .split('\0')
        .filter(|variable| !variable.is_empty())
        .filter(own)
        .collect();
    // Two certificates for one key differ in nothing here: the pair is made once.
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn the_report_names_the_certificate_that_this_client_was_shown() {
    let setup = || delayed().keys(&[Kind::Rsa2048, Kind::P256]);
    for (scheme, kind) in [
        ("rsa_pss_rsae_sha256", Kind::Rsa2048),
        ("ecdsa_secp256r1_sha256", Kind::P256),
    ] {
        let server = setup().program(&["perl", "-e", SHOW]).start();
        let dial = server
            .dial()
            .set(|settings| settings.set_sigalgs_list(scheme).expect("schemes"));
        let mut client = dial.plain().tls();
        let (block, _) = client.exchange(b"", crate::Ending::Nothing);
        let certificate = format!("\0SSL_SERVER_CERT={}\0", leaf(kind).certificate);
        assert!(text(&block).contains(&certificate), "{scheme}");
    }
}

#[test]
fn an_application_that_does_not_read_the_report_is_served_all_the_same() {
    let script = "printf Y >&3; exec 3>&-; exec cat <&4 >&5";
    let server = delayed().shell(script).start();
    server.dial().plain().tls().assert_echoes();
    let script = "printf Y >&3; exec cat <&4 >&5";
    let server = delayed().shell(script).start();
    server.dial().plain().tls().assert_echoes();
}
