//! Every setting, once: its names, what it takes, what it means, and where its value goes. The command line, the
//! configuration file, `--help` and `--default-config` all come from here.
#![forbid(unsafe_code)]

use crate::stud::config::draft::{Draft, Tls};
use crate::stud::config::values::{At, Value};

pub struct Section {
    pub title: &'static str,
    pub rows: &'static [Row],
}

pub struct Row {
    /// The key in a file, and the long option.
    pub name: &'static str,
    /// Other names that it goes by.
    pub aliases: &'static [&'static str],
    pub letter: Option<char>,
    pub kind: Kind,
    /// What stands for the value in the help; empty for booleans.
    pub argument: &'static str,
    pub help: &'static str,
    pub slot: Slot,
}

/// How a value is written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As an option it needs no value.
    Boolean,
    Number,
    /// In quotes. An empty one changes nothing.
    Text,
    /// Several without quotes.
    Words,
    /// Known for the sake of old files, where an empty one changes nothing.
    Ignored,
}

/// Where a value goes.
pub enum Slot {
    Global(fn(&mut Draft) -> &mut dyn Value),
    /// A frontend may have its own.
    Tls(fn(&mut Tls) -> &mut dyn Value),
}

impl Row {
    pub fn place<'d>(&self, draft: &'d mut Draft) -> &'d mut dyn Value {
        match self.slot {
            Slot::Global(slot) => slot(draft),
            Slot::Tls(slot) => slot(&mut draft.tls),
        }
    }

    /// A name of this row as it is known for ever.
    pub fn spelling(&self, name: &str) -> &'static str {
        let alias = self.aliases.iter().find(|alias| **alias == name);
        alias.copied().unwrap_or(self.name)
    }

    /// Files are the operands of the command line.
    pub fn is_option(&self) -> bool {
        self.name != "pem-file"
    }
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Boolean => "boolean",
            Kind::Number => "integer",
            Kind::Text | Kind::Ignored => "string",
            Kind::Words => "words",
        }
    }
}

pub fn rows() -> impl Iterator<Item = &'static Row> {
    SECTIONS.iter().flat_map(|section| section.rows)
}

/// The row of a key.
pub fn key(name: &str) -> Option<&'static Row> {
    rows().find(|row| row.name == name || row.aliases.contains(&name))
}

/// Puts a value into its place.
pub fn set(place: &mut dyn Value, kind: Kind, text: &str, at: &At) -> Result<(), String> {
    if text.contains(char::is_control) {
        return Err("wants plain text without control characters".into());
    }
    match (text, kind) {
        ("", Kind::Text | Kind::Ignored) => Ok(()),
        _ => place.set(text, at),
    }
}

const fn text(name: &'static str, argument: &'static str, help: &'static str, slot: Slot) -> Row {
    row(name, Kind::Text, argument, help, slot)
}

const fn number(name: &'static str, argument: &'static str, help: &'static str, slot: Slot) -> Row {
    row(name, Kind::Number, argument, help, slot)
}

const fn flag(name: &'static str, help: &'static str, slot: Slot) -> Row {
    row(name, Kind::Boolean, "", help, slot)
}

const fn ignored(name: &'static str, argument: &'static str, slot: Slot) -> Row {
    row(name, Kind::Ignored, argument, "Has no effect.", slot)
}

const fn refused(name: &'static str, argument: &'static str, slot: Slot) -> Row {
    let help = "Refused: ticket-key-file and session-store do its work.";
    row(name, Kind::Ignored, argument, help, slot)
}

const fn row(
    name: &'static str,
    kind: Kind,
    argument: &'static str,
    help: &'static str,
    slot: Slot,
) -> Row {
    Row {
        name,
        aliases: &[],
        letter: None,
        kind,
        argument,
        help,
        slot,
    }
}

impl Row {
    const fn letter(mut self, letter: char) -> Row {
        self.letter = Some(letter);
        self
    }

    const fn or(mut self, aliases: &'static [&'static str]) -> Row {
        self.aliases = aliases;
        self
    }
}

use Slot::{Global, Tls as OwnTls};

pub static SECTIONS: [Section; 7] = [
    Section {
        title: "Where bytes come from and go to",
        rows: &[
            text("frontend", "[HOST]:PORT[+PEM]", "Where clients come in; may be given several times, or several with ; between them.", Global(|draft| &mut draft.frontends)).letter('f'),
            text("backend", "[HOST]:PORT|/PATH", "Where decrypted bytes go; with ; between several, each frontend has its own.", Global(|draft| &mut draft.backends)).letter('b'),
            flag("client", "Accept plain connections and speak TLS to the backend.", Global(|draft| &mut draft.client)),
        ],
    },
    Section {
        title: "Certificates and sessions",
        rows: &[
            text("pem-file", "FILE", "Certificate chain and private key; several in their order, the last for clients that name nobody.", Global(|draft| &mut draft.pems)),
            text("pem-dir", "DIR", "A directory of more certificates, a file each, in the order of their names.", Global(|draft| &mut draft.pem_folder)),
            text("pem-dir-glob", "PATTERN", "Which files of pem-dir.", Global(|draft| &mut draft.pem_glob)),
            text("ticket-key-file", "FILE", "Secrets of session tickets, the same on all machines that share clients.", Global(|draft| &mut draft.ticket_key_file)),
            text("session-store", "redis://HOST:PORT", "Keep sessions there for all machines instead of in tickets.", Global(|draft| &mut draft.store)),
            number("shared-cache", "NUM", "Keep so many sessions in memory for clients without tickets.", Global(|draft| &mut draft.cache)).letter('C').or(&["session-cache"]),
            refused("shared-cache-listen", "[HOST]:PORT", Global(|draft| &mut draft.refused)).letter('U'),
            refused("shared-cache-peer", "[HOST]:PORT", Global(|draft| &mut draft.refused)).letter('P'),
            refused("shared-cache-if", "IFACE[,TTL]", Global(|draft| &mut draft.refused)).letter('M'),
        ],
    },
    Section {
        title: "TLS",
        rows: &[
            flag("tls", "Speak TLS 1.0 to 1.3.", OwnTls(|tls| &mut tls.protocols)),
            flag("ssl", "Speak every version that the library has.", OwnTls(|tls| &mut tls.protocols)),
            row("tls-protos", Kind::Words, "TLSv1.x ...", "The versions of TLS that are spoken.", OwnTls(|tls| &mut tls.protocols)),
            text("ciphers", "LIST", "Ciphers up to TLS 1.2, see openssl-ciphers(1); empty: the library's.", OwnTls(|tls| &mut tls.ciphers)).letter('c'),
            text("ciphersuites", "LIST", "Ciphers of TLS 1.3; empty: the library's.", OwnTls(|tls| &mut tls.ciphersuites)),
            text("ecdh-curve", "LIST", "Key exchange groups; auto or empty: the library's.", OwnTls(|tls| &mut tls.curves)),
            flag("prefer-server-ciphers", "Our order of ciphers counts, not the client's.", OwnTls(|tls| &mut tls.server_order)).letter('O'),
            text("alpn-protos", "NAME,...", "Protocols for ALPN, the preferred one first.", OwnTls(|tls| &mut tls.alpn)),
            flag("sni-nomatch-abort", "Turn clients away that ask for a name which no certificate has.", OwnTls(|tls| &mut tls.strict)),
            text("client-verify", "none|optional|required", "Whether clients have to show a certificate; with client, whether the backend has to.", OwnTls(|tls| &mut tls.demand)),
            text("client-verify-ca", "FILE", "Authorities that those certificates are traced back to.", OwnTls(|tls| &mut tls.authorities)),
            ignored("ssl-engine", "NAME", Global(|draft| &mut draft.engine)).letter('e'),
            ignored("ocsp-dir", "DIR", Global(|draft| &mut draft.ocsp.folder)).letter('o'),
            ignored("ocsp-resp-tmo", "SECS", Global(|draft| &mut draft.ocsp.response_time)),
            ignored("ocsp-connect-tmo", "SECS", Global(|draft| &mut draft.ocsp.connect_time)),
            ignored("ocsp-refresh-interval", "SECS", Global(|draft| &mut draft.ocsp.interval)),
            ignored("ocsp-verify-staple", "on|off", Global(|draft| &mut draft.ocsp.verify)),
        ],
    },
    Section {
        title: "What the backend is told before the data; one of the first four",
        rows: &[
            flag("write-ip", "Tell the client's address in binary.", Global(|draft| &mut draft.write_ip)),
            flag("write-proxy", "Tell it in a PROXY header of version 1.", Global(|draft| &mut draft.write_line)).or(&["write-proxy-v1"]),
            flag("write-proxy-v2", "Tell it in a PROXY header of version 2.", Global(|draft| &mut draft.write_binary)),
            flag("proxy-proxy", "Pass on the PROXY header with which every connection begins.", Global(|draft| &mut draft.proxy_proxy)),
            flag("proxy-tlv", "Tell version and cipher of TLS, too, with write-proxy-v2.", Global(|draft| &mut draft.tell_tls)),
            flag("proxy-authority", "Tell the name that the client asked for, too, with write-proxy-v2.", Global(|draft| &mut draft.tell_authority)),
            flag("proxy-client-cert", "Tell the client's certificate, too, with write-proxy-v2.", Global(|draft| &mut draft.tell_certificate)),
        ],
    },
    Section {
        title: "Work and time",
        rows: &[
            number("workers", "NUM|auto", "Worker processes; auto: one for each processor.", Global(|draft| &mut draft.workers)).letter('n'),
            number("backlog", "NUM", "Connections that wait to be accepted.", Global(|draft| &mut draft.backlog)).letter('B'),
            number("keepalive", "SECS", "Quiet time after which the kernel asks whether a client is still there.", Global(|draft| &mut draft.keepalive)).letter('k'),
            flag("tcp-fastopen", "Take data with a client's first packet.", Global(|draft| &mut draft.fast_open)).or(&["enable-tcp-fastopen"]),
            number("send-bufsize", "BYTES", "Send buffer of a client's socket; -1: the kernel's choice.", Global(|draft| &mut draft.send_buffer)),
            number("recv-bufsize", "BYTES", "Receive buffer of a client's socket; -1: the kernel's choice.", Global(|draft| &mut draft.receive_buffer)),
            number("backend-refresh", "SECS|off", "How often names of backends are looked up again.", Global(|draft| &mut draft.backend_refresh)).letter('R'),
            number("ssl-handshake-timeout", "SECS|off", "Time for a client's handshake.", Global(|draft| &mut draft.handshake)),
            number("proxy-header-timeout", "SECS|off", "Time for the PROXY header, with proxy-proxy.", Global(|draft| &mut draft.header)),
            number("backend-connect-timeout", "SECS|off", "Time for each address of a backend.", Global(|draft| &mut draft.connect)),
            number("idle-timeout", "SECS|off", "Time without a byte in either direction.", Global(|draft| &mut draft.idle)),
            number("drain-timeout", "SECS|off", "Time for connections that go on after a reload or SIGTERM.", Global(|draft| &mut draft.drain)),
        ],
    },
    Section {
        title: "Who the processes are",
        rows: &[
            text("chroot", "DIR", "Root directory of all processes that meet the network.", Global(|draft| &mut draft.chroot)).letter('r'),
            text("user", "USER", "The user that they run as, with this user's group.", Global(|draft| &mut draft.user)).letter('u'),
            text("group", "GROUP", "Another group for them.", Global(|draft| &mut draft.group)).letter('g'),
            flag("daemon", "Go to the background, and log to syslog.", Global(|draft| &mut draft.daemon)),
            text("pidfile", "FILE", "Where the process number is written to.", Global(|draft| &mut draft.pid_file)).letter('p'),
        ],
    },
    Section {
        title: "Log and counters",
        rows: &[
            number("log-level", "0|1|2", "0: starts, stops and reloads; 1: and errors; 2: and a line for every connection.", Global(|draft| &mut draft.level)).letter('L'),
            flag("quiet", "Errors and nothing else.", Global(|draft| &mut draft.level)).letter('q'),
            text("log-filename", "FILE", "Log there instead of to standard error.", Global(|draft| &mut draft.log_file)).letter('l'),
            flag("syslog", "Log to syslog as well.", Global(|draft| &mut draft.syslog)).letter('s'),
            text("syslog-facility", "FACILITY", "The facility for syslog(3).", Global(|draft| &mut draft.facility)),
            text("metrics", "PATH", "A Unix socket that answers with the counters.", Global(|draft| &mut draft.metrics)),
            text("dbg-listen", "FILE", "Where the addresses listened on are written to.", Global(|draft| &mut draft.listen_report)),
        ],
    },
];
