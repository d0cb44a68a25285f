//! Whole files, as the originals' users have them.
use std::time::Duration;

use crate::stud::config::tests::Place;
use crate::stud::config::{Backend, Details, Facility, Level, Preamble, Sessions};
use crate::stud::options::Task;
use crate::tls::settings::Version;

/// In the shape in which the last stud with a shared cache printed its settings, filled in.
const OLD_STUD: &str = r#"
#
# Settings of the proxy
#

# NOTE: the command line can change all of them

# Where to listen. REQUIRED.
#
# type: string
# syntax: [HOST]:PORT
frontend = "[*]:443"

# Where to connect to. REQUIRED.
#
# type: string
# syntax: [HOST]:PORT.
backend = "[127.0.0.1]:6081"

# Certificate. REQUIRED.
#
# type: string
pem-file = ""
pem-file = "cert.pem"

# Protocol
#
# tls = on
# ssl = off

# Ciphers
#
# type: string
ciphers = ""

# Order of ciphers
#
# type: boolean
prefer-server-ciphers = on

# Engine
#
# type: string
ssl-engine = ""

# Workers
#
# type: integer
workers = 4

# Backlog
#
# type: integer
backlog = 511

# Keepalive
#
# type: integer
keepalive = 600

# Session cache
#
# type: integer
shared-cache = 20000

# Updates from other machines
#
# type: string
# syntax: [HOST]:PORT
shared-cache-listen = ""

# Other machines, at most 15
#
# type: string
# syntax: [HOST]:PORT
# shared-cache-peer = ""

# Interface for them
#
# type: string
# syntax: iface[,TTL]
# shared-cache-if = ""

# Root directory
#
# type: string
chroot = ""

# User
#
# type: string
user = "nobody"

# Group
#
# type: string
group = ""

# Errors only
#
# type: boolean
quiet = off

# Syslog
#
# type: boolean
syslog = on

# Its facility
#
# type: string
syslog-facility = "local5"

# Background
#
# type: boolean
daemon = off

# Address in front
#
# NOTE: excludes write-proxy and proxy-proxy
#
# type: boolean
write-ip = off

# PROXY line in front
#
# type: boolean
write-proxy = on

# PROXY line of the client
#
# type: boolean
proxy-proxy = off

# EOF
"#;

#[test]
fn a_file_that_stud_wrote_says_the_same_here() {
    let config = Place::new().read(OLD_STUD).unwrap();
    assert_eq!(config.frontends.len(), 1);
    let frontend = &config.frontends[0];
    assert_eq!((&frontend.host, frontend.port), (&None, 443));
    assert_eq!(frontend.settings.ciphers, None);
    assert!(frontend.settings.server_order);
    assert_eq!(config.backends, [Backend::Tcp("127.0.0.1".into(), 6081)]);
    assert_eq!((config.workers, config.backlog), (4, 511));
    assert_eq!(config.keepalive, Duration::from_secs(600));
    assert_eq!(config.sessions, Sessions::Memory(20000));
    assert_eq!((&config.chroot, &config.group), (&None, &None));
    assert_eq!(config.user.as_deref(), Some("nobody"));
    assert_eq!(config.log.level, Level::Errors);
    assert_eq!(config.log.syslog, Some(Facility(21 << 3)));
    assert_eq!(config.preamble, Preamble::Line);
    assert_eq!(config.notes, [""; 0]);
}

/// What a site with two names and clients that show certificates has.
const HITCH: &str = r#"
# See hitch.conf(5).
frontend = {
    host = "*"
    port = "443"
}
frontend = {
    host = "192.0.2.1"
    port = "8443"
    pem-file = {
        cert = "own.pem"        # for this address alone
        private-key = "own.key"
        ocsp-resp-file = "own.ocsp"
    }
    tls-protos = TLSv1.3
    ciphersuites = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    client-verify = required
    client-verify-ca = "clients.pem"
    sni-nomatch-abort = on
}
frontend = "[::1]:9443+own.pem"
backend = "[127.0.0.1]:6086"    # a cache that takes PROXY
workers = 2                     # cores

pem-dir = "certs"
pem-dir-glob = "*.pem"
pem-file = "fallback.pem"

daemon = on
user = "daemon"
group = "daemon"
log-level = 1

ciphers = "EECDH+AESGCM:EDH+AESGCM:AES256+EECDH:AES256+EDH"
ecdh-curve = "X25519:prime256v1"
alpn-protos = "h2, http/1.1"
tls-protos = TLSv1.2 TLSv1.3
prefer-server-ciphers = off
write-proxy-v2 = on             # with what TLS has found out
proxy-tlv = on
proxy-client-cert = off
backend-refresh = 30
keepalive = 3600
backlog = 100
tcp-fastopen = on
recv-bufsize = 65536
ocsp-dir = "/var/lib/hitch/"
"#;

#[test]
fn a_file_for_hitch_says_the_same_here() {
    let place = Place::new();
    place.folder("certs");
    for name in [
        "own.pem",
        "own.key",
        "own.ocsp",
        "clients.pem",
        "fallback.pem",
        "certs/b.pem",
        "certs/a.pem",
        "certs/a.key",
    ] {
        place.file(name);
    }
    place.write("hitch.conf", HITCH);
    let config = place.config("--config=hitch.conf").unwrap();
    let addresses = config.frontends.iter();
    let addresses: Vec<_> = addresses
        .map(|one| (one.host.as_deref(), one.port, one.pems.len()))
        .collect();
    assert_eq!(
        addresses,
        [
            (None, 443, 3),
            (Some("192.0.2.1"), 8443, 1),
            (Some("::1"), 9443, 1)
        ]
    );
    let first = &config.frontends[0];
    let names: Vec<_> = first
        .pems
        .iter()
        .map(|pem| &config.pems[*pem].certificate)
        .collect();
    let expected = ["fallback.pem", "certs/a.pem", "certs/b.pem"].map(|name| place.path(name));
    assert!(names.into_iter().eq(&expected));
    assert_eq!(first.default, Some(first.pems[0]));
    let second = &config.frontends[1];
    assert_eq!(second.settings.min, Version::Tls13);
    assert!(second.settings.strict);
    assert_eq!(second.authorities, Some(place.path("clients.pem")));
    assert_eq!(config.pems[second.pems[0]].key, place.path("own.key"));
    let details = Details {
        tls: true,
        authority: true,
        certificate: false,
    };
    assert_eq!(config.preamble, Preamble::Binary(details));
    assert!(config.daemon && config.fast_open);
    assert_eq!(config.receive_buffer, Some(65536));
    assert_eq!(config.backend_refresh, Some(Duration::from_secs(30)));
    assert_eq!(config.log.syslog, Some(Facility(24)));
    assert_eq!(config.notes.len(), 1, "{:?}", config.notes);
}

#[test]
fn the_file_that_we_write_has_every_setting_in_it_once() {
    let Ok(Task::Print(text)) = Place::new().task(&["--default-config"]) else {
        panic!("nothing printed");
    };
    for key in [
        "frontend",
        "backend",
        "pem-file",
        "workers",
        "tls-protos",
        "client",
        "metrics",
        "user",
        "idle-timeout",
    ] {
        let assignments = text
            .lines()
            .filter(|line| line.starts_with(&format!("{key} = ")));
        assert_eq!(assignments.count(), 1, "{key}\n{text}");
    }
    assert!(text.contains("frontend = \"[*]:8443\"\n"));
    assert!(text.contains("backend = \"[127.0.0.1]:8000\"\n"));
    assert!(text.contains("tls-protos = TLSv1.2 TLSv1.3\n"));
    assert!(text.contains("workers = 1\n"));
    assert!(!text.contains("ocsp"), "what has no effect is not offered");
}
