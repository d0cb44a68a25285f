//! Who is measured: one entry per server with the command that starts it. A new peer is a new
//! entry here and the function that it names.
//!
//! All get the same certificate and key, no name look-ups, TCP_NODELAY, no session tickets as far as they can be switched off, a backlog of 128 where it can be
//! set, and log errors only: sslserver -Q, tcpserver -Q, stunnel debug = 3, socat without -d.
#![forbid(unsafe_code)]

use std::path::Path;

use openssl::pkey::Id;

use crate::common::peer::{Command, Peer};
use crate::materials::Materials;
use crate::rows::Refusal;

pub struct Start {
    /// What a key exchange becomes with a client that offers what OpenSSL does by itself; None: without TLS.
    pub exchange: Option<Id>,
    /// None: this peer cannot do what is asked.
    pub command: fn(&Wish) -> Result<Option<Command>, String>,
}

/// What a server shall do.
pub struct Wish<'a> {
    pub port: u16,
    pub application: &'a [String],
    /// Turn clients away.
    pub refuse: Option<Refusal>,
    /// Read keys again when it is told to.
    pub reload: bool,
    /// Resume sessions.
    pub resume: bool,
    pub materials: &'a Materials,
}

/// Ours with two processes that share all connections.
pub const SHARED: &str = "sslserver-j2";

pub const PEERS: &[Peer<Start>] = &[
    Peer {
        name: "sslserver",
        package: "",
        program: env!("CARGO_BIN_EXE_sslserver"),
        needs: &[],
        how: Start {
            exchange: Some(Id::X25519),
            command: sslserver,
        },
    },
    Peer {
        name: SHARED,
        package: "",
        program: env!("CARGO_BIN_EXE_sslserver"),
        needs: &[],
        how: Start {
            exchange: Some(Id::X25519),
            command: shared,
        },
    },
    Peer {
        name: "stunnel",
        package: "stunnel4",
        program: "/usr/bin/stunnel4",
        needs: &[],
        how: Start {
            exchange: Some(Id::X25519),
            command: stunnel,
        },
    },
    Peer {
        name: "socat",
        package: "socat",
        program: "/usr/bin/socat",
        needs: &[],
        how: Start {
            // 1.7 knows no other, so that such a client has to begin again.
            exchange: Some(Id::EC),
            command: socat,
        },
    },
    Peer {
        name: "tcpserver",
        package: "ucspi-tcp-ipv6",
        program: "/usr/bin/tcpserver",
        needs: &[],
        how: Start {
            exchange: None,
            command: tcpserver,
        },
    },
];

/// No more connections are ever open at once, so that no limit is measured.
const LIMIT: &str = "500";
const BACKLOG: &str = "128";

fn sslserver(wish: &Wish) -> Result<Option<Command>, String> {
    ours(wish, &[])
}

fn shared(wish: &Wish) -> Result<Option<Command>, String> {
    ours(wish, &["-j", "2"])
}

fn ours(wish: &Wish, way: &[&str]) -> Result<Option<Command>, String> {
    let mut arguments = words(way);
    arguments.extend(words(&["-c", LIMIT, "-b", BACKLOG, "-Q", "-H", "-l", "0"]));
    let mut environment = vec![
        ("CERTFILE", wish.materials.identity.certificate.clone()),
        ("KEYFILE", wish.materials.identity.key.clone()),
    ];
    match wish.refuse {
        None => {}
        Some(Refusal::Rule) => {
            let tcprules = Path::new(env!("CARGO_BIN_EXE_tcprules"));
            let rules = wish.materials.deny_rules(tcprules, "sslserver.cdb")?;
            arguments.extend(["-y".to_owned(), text(&rules)]);
        }
        Some(Refusal::Rate) => environment.push(("RATE", "1/86400".into())),
        Some(Refusal::Handshakes) => environment.push(("HANDSHAKESIP", "1".into())),
    }
    arguments.extend(ucspi_place(wish));
    Ok(Some(Command {
        arguments,
        environment,
        ..Command::default()
    }))
}

fn tcpserver(wish: &Wish) -> Result<Option<Command>, String> {
    if wish.reload || wish.resume {
        return Ok(None);
    }
    let mut arguments = words(&["-c", LIMIT, "-b", BACKLOG, "-Q", "-H", "-R", "-l", "0"]);
    match wish.refuse {
        None => {}
        Some(Refusal::Rule) => {
            let rules = wish
                .materials
                .deny_rules(Path::new("/usr/bin/tcprules"), "tcpserver.cdb")?;
            arguments.extend(["-x".to_owned(), text(&rules)]);
        }
        Some(_) => return Ok(None),
    }
    arguments.extend(ucspi_place(wish));
    Ok(Some(Command::with(arguments)))
}

fn ucspi_place(wish: &Wish) -> Vec<String> {
    let mut place = vec!["127.0.0.1".to_owned(), wish.port.to_string()];
    place.extend_from_slice(wish.application);
    place
}

/// Has no rules of its own (libwrap's are the whole machine's), so it takes no part in refusing.
fn stunnel(wish: &Wish) -> Result<Option<Command>, String> {
    if wish.refuse.is_some() || wish.reload {
        return Ok(None);
    }
    let (exec, arguments) = wish.application.split_first().ok_or("no application")?;
    // execArgs starts with argument 0.
    let settings = format!(
        "foreground = yes\nsyslog = no\ndebug = 3\npid =\n\
         [bench]\naccept = 127.0.0.1:{}\ncert = {}\nkey = {}\npty = no\n\
         exec = {exec}\nexecArgs = {exec} {}\n",
        wish.port,
        text(&wish.materials.identity.certificate),
        text(&wish.materials.identity.key),
        arguments.join(" "),
    );
    let file = wish
        .materials
        .scratch
        .write("stunnel.conf", settings.as_bytes())?;
    Ok(Some(Command::with([file.display()])))
}

/// Its own way to refuse is an address range that the client is not in.
fn socat(wish: &Wish) -> Result<Option<Command>, String> {
    if wish.reload || wish.resume || wish.refuse.is_some_and(|by| by != Refusal::Rule) {
        return Ok(None);
    }
    let listen = format!(
        "OPENSSL-LISTEN:{},bind=127.0.0.1,reuseaddr,fork,backlog={BACKLOG},nodelay,verify=0,cert={},key={}{}",
        wish.port,
        text(&wish.materials.identity.certificate),
        text(&wish.materials.identity.key),
        match wish.refuse {
            None => "",
            Some(_) => ",range=192.0.2.0/24",
        },
    );
    // -t: half a second, the default, is how long a half-closed connection may live.
    let application = format!("EXEC:{}", wish.application.join(" "));
    Ok(Some(Command::with(["-t", "20", &listen, &application])))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
