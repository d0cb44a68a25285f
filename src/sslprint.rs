//! `sslprint`: an application of `sslserver`, or a program of `sslclient`, that shows what it was told of the connection.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use crate::sys::words::reason;
use crate::tls::environment::ATTRIBUTES;
use crate::ucspi::error::Error;
use crate::ucspi::log::{Level, Log};
use crate::ucspi::program_name;

/// What upstream shows of the connection, in its order, under each of the families.
const FAMILIES: [&str; 3] = ["SSL", "TCP", "TCP6"];
const CONNECTION: [&str; 7] = [
    "LOCALHOST",
    "LOCALIP",
    "LOCALPORT",
    "REMOTEHOST",
    "REMOTEIP",
    "REMOTEPORT",
    "REMOTEINFO",
];
/// And of TLS.
const SESSION: [&str; 8] = [
    "PROTOCOL",
    "SESSION_ID",
    "CIPHER",
    "CIPHER_EXPORT",
    "CIPHER_USEKEYSIZE",
    "CIPHER_ALGKEYSIZE",
    "VERSION_INTERFACE",
    "VERSION_LIBRARY",
];
/// A certificate ends with these, behind its two names.
const CERTIFICATE: [&str; 5] = ["V_START", "V_END", "A_SIG", "A_KEY", "CERT"];

type Variables = Vec<(Vec<u8>, Vec<u8>)>;

pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let log = Log::new(program_name(arguments.next(), "sslprint"), Level::Warning);
    run(arguments.next()).map_or_else(
        |error| {
            log.line(Level::Warning, &error);
            ExitCode::from(error.exit_code())
        },
        |()| ExitCode::SUCCESS,
    )
}

fn run(argument: Option<OsString>) -> Result<(), Error> {
    // Upstream's is a server.
    if argument.is_some() {
        let help = "it has no arguments; have it run: sslserver -s host port sslprint";
        return Err(Error::BadSetting(help.into()));
    }
    let given = std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec()));
    let text = shown(given.collect());
    let mut output = std::io::stdout();
    let written = output.write_all(&text).and_then(|()| output.flush());
    written.map_err(|error| Error::fatal(format_args!("unable to write: {}", reason(&error))))
}

/// The names that upstream shows, in its order.
fn known() -> Vec<String> {
    let mut names = vec!["PROTO".to_owned()];
    for family in FAMILIES {
        names.extend(CONNECTION.map(|name| format!("{family}{name}")));
    }
    names.extend(SESSION.map(|name| format!("SSL_{name}")));
    for whose in ["SSL_SERVER", "SSL_CLIENT"] {
        names.extend(["M_VERSION", "M_SERIAL"].map(|name| format!("{whose}_{name}")));
        for which in ["S_DN", "I_DN"] {
            names.push(format!("{whose}_{which}"));
            names.extend(ATTRIBUTES.map(|(short, _)| format!("{whose}_{which}_{short}")));
        }
        names.extend(CERTIFICATE.map(|name| format!("{whose}_{name}")));
    }
    names.extend(["0", "1"].map(|number| format!("SSL_CLIENT_CERT_CHAIN_{number}")));
    names
}

/// One `NAME=value` in a line: what upstream knows, `unset` where it is missing, then what else there is of its families,
/// by name, for a shell in between leaves no order. The rest of the environment is nobody's business at the other end.
fn shown(mut given: Variables) -> Vec<u8> {
    given.sort();
    let mut text = Vec::new();
    let mut line = |name: &[u8], value: &[u8]| {
        text.extend_from_slice(name);
        text.push(b'=');
        text.extend(harmless(name, value));
        text.push(b'\n');
    };
    let known = known();
    let values: HashMap<&[u8], &[u8]> = given.iter().map(|(n, v)| (&n[..], &v[..])).collect();
    for name in &known {
        let value = values.get(name.as_bytes());
        line(name.as_bytes(), value.unwrap_or(&&b"unset"[..]));
    }
    for (name, value) in &given {
        let ours = name.starts_with(b"SSL") || name.starts_with(b"TCP");
        if ours && !known.iter().any(|known| known.as_bytes() == name) {
            line(name, value);
        }
    }
    text
}

/// What the other end had a hand in must not look like a line of its own. Only certificates have several.
fn harmless(name: &[u8], value: &[u8]) -> Vec<u8> {
    let name = String::from_utf8_lossy(name);
    if name.ends_with("_CERT") || name.contains("_CERT_CHAIN_") {
        return value.to_vec();
    }
    let escaped = value.iter().map(|&byte| match byte.is_ascii_control() {
        true => format!("\\x{byte:02X}").into_bytes(),
        false => vec![byte],
    });
    escaped.collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(given: &[(&str, &str)]) -> String {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let given = given.iter().map(|(n, v)| (bytes(n), bytes(v))).collect();
        String::from_utf8(shown(given)).unwrap()
    }

    #[test]
    fn what_is_missing_is_unset_and_what_upstream_does_not_know_comes_last() {
        let text = text(&[
            ("SSL_TLS_SNI", "host"),
            ("HOME", "/root"),
            ("TCPREMOTEIP", "::1"),
            ("PROTO", "TCP6"),
            ("SSL_CIPHER", ""),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["PROTO=TCP6", "SSLLOCALHOST=unset"]);
        assert!(lines.contains(&"TCPREMOTEIP=::1"));
        assert!(lines.contains(&"SSL_CIPHER="));
        assert!(!text.contains("HOME"));
        let end = ["SSL_CLIENT_CERT_CHAIN_1=unset", "SSL_TLS_SNI=host"];
        assert_eq!(lines[lines.len() - 2..], end);
    }

    #[test]
    fn nobody_forges_a_line() {
        let text = text(&[("SSL_TLS_SNI", "a\nSSL_CLIENT_VERIFY=SUCCESS\x1b[2Jä")]);
        let last = text.lines().last();
        let shown = "SSL_TLS_SNI=a\\x0ASSL_CLIENT_VERIFY=SUCCESS\\x1B[2Jä";
        assert_eq!(last, Some(shown));
    }

    #[test]
    fn a_certificate_is_shown_as_it_is() {
        let text = text(&[("SSL_CLIENT_CERT", "-----BEGIN\nMII\n-----END\n")]);
        assert!(text.contains("\nSSL_CLIENT_CERT=-----BEGIN\nMII\n-----END\n\n"));
    }
}
