//! The keeper: the only process that has the private keys. It reads them confined to SSL_CHROOT as SSL_USER, has no
//! network, and answers each session's channel once, with a signature over a handshake or not at all; that of a process
//! which shares its sessions as often as it shakes hands.
#![forbid(unsafe_code)]

mod company;

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::epoll::{Epoll, EpollCreateFlags};

use self::company::Company;
use super::message::{FromKeeper, KeeperToListener};
use super::reader::{Order, Outcome, Reader, Wanted};
use super::role::{self, Confinement};
use super::safe::KeySet;
use super::sandbox;
use crate::sys::{descriptor, words};
use crate::tls::material::{Files, SetFiles};
use crate::tls::tickets::{self, TicketSecrets};

/// How long the password may take to arrive on its descriptor; somebody may have to type it.
const PASSWORD_PATIENCE: Duration = Duration::from_secs(120);
/// OpenSSL's own buffer for a password.
const MAX_PASSWORD: usize = 1024;

/// What the keeper is to read.
#[derive(Clone)]
pub struct Orders {
    pub confinement: Confinement,
    /// The set that connections have unless a rule says otherwise.
    pub files: SetFiles,
    /// The secrets of tickets, if they are not to be the keeper's own.
    pub ticket_keys: Option<PathBuf>,
}

/// What the keeper is given by descriptor.
pub struct Given {
    pub listener: KeeperToListener,
    /// With `-3`: where the password comes from.
    pub password: Option<OwnedFd>,
    /// Files that the listener opened as root because nobody else is set to read them.
    pub opened: Files,
}

/// What there is when everything is read.
struct Prepared {
    first: KeySet,
    tickets: TicketSecrets,
    reader: Reader,
    said: Vec<FromKeeper>,
}

/// Runs the keeper to its end, which is the listener's.
pub fn run(orders: &Orders, given: Given) -> u8 {
    role::take_up(c"ssl-keeper");
    let listener = given.listener;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
    let prepared = epoll
        .map_err(|errno| format!("fatal: (111) keeper: {}", errno.desc()))
        .and_then(|epoll| {
            let prepared = prepare(orders, given.password, given.opened, &listener)?;
            Ok((prepared, epoll))
        });
    match prepared {
        Ok((prepared, epoll)) => match serve(orders, prepared, &epoll, &listener) {
            Ok(()) => 0,
            Err(errno) => fail(&listener, format!("fatal: (111) keeper: {}", errno.desc())),
        },
        Err(text) => fail(&listener, text),
    }
}

fn fail(listener: &KeeperToListener, text: String) -> u8 {
    // A listener that is gone needs no reason.
    let _ = listener.send(&FromKeeper::Fatal(text), &[]);
    111
}

fn prepare(
    orders: &Orders,
    password: Option<OwnedFd>,
    mut opened: Files,
    listener: &KeeperToListener,
) -> Result<Prepared, String> {
    // The library reads its configuration file, so before the root changes.
    openssl::init();
    let confined = role::confine(&orders.confinement);
    confined.map_err(|error| match &orders.confinement.root {
        Some(root) => format!("fatal: (111) {error} (SSL_CHROOT is {})", root.display()),
        None => format!("fatal: (111) {error}"),
    })?;
    let password = password.as_ref();
    let password = password.map(|source| read_password(source, listener));
    let password = password.transpose()?;
    let reader = Reader::start(password)
        .map_err(|error| format!("fatal: (111) keeper: {}", words::reason(&error)))?;
    let mut said = Vec::new();
    let random = || {
        TicketSecrets::random(tickets::now())
            .map_err(|stack| format!("fatal: (111) keeper: no random numbers: {stack}"))
    };
    let mut loaded = (None, None);
    let mut read = |order| {
        reader.order(order);
        match reader.wait() {
            Some(Outcome::Set(_, material)) => {
                let material = (*material).map_err(|error| format!("error: (111) {error}"))?;
                let (set, more) = KeySet::of_material(0, material, None);
                said.extend(more);
                loaded.0 = Some(set);
            }
            Some(Outcome::Tickets(read)) => {
                let (secrets, more) = read.map_err(|error| format!("error: (111) {error}"))?;
                said.extend(more.into_iter().map(FromKeeper::Warning));
                loaded.1 = Some(secrets);
            }
            Some(Outcome::Changed) | None => {}
        }
        Ok::<_, String>(())
    };
    if let Some(path) = &orders.ticket_keys {
        let file = opened.opened.remove(path).map(|file| (path.clone(), file));
        let opened = file.into_iter().collect();
        read(Order::Tickets(path.clone(), Files { opened }))?;
    }
    let first = Wanted {
        number: 0,
        terminator: None,
    };
    read(Order::Set(first, Box::new(orders.files.clone()), opened))?;
    // Not before: a thread that has only just begun has calls to make which it never needs again.
    sandbox::confine_keeper()?;
    Ok(Prepared {
        first: loaded
            .0
            .ok_or("fatal: (111) keeper: nobody reads the keys")?,
        tickets: loaded.1.map_or_else(random, Ok)?,
        reader,
        said,
    })
}

fn serve(
    orders: &Orders,
    prepared: Prepared,
    epoll: &Epoll,
    listener: &KeeperToListener,
) -> Result<(), Errno> {
    let dh_bits = prepared.first.dh_bits;
    report(listener, prepared.said, FromKeeper::Loaded { dh_bits });
    let mut company = Company::new(
        orders.ticket_keys.as_ref(),
        epoll,
        listener,
        prepared.reader,
        prepared.first,
        prepared.tickets,
    );
    company.serve()
}

/// Says what became of something that the listener waits for, after what there is to say about it.
fn report(listener: &KeeperToListener, said: Vec<FromKeeper>, verdict: FromKeeper) {
    for message in said.into_iter().chain([verdict]) {
        // A listener that is gone needs none.
        let _ = listener.send(&message, &[]);
    }
}

/// Reads up to NUL or the end.
pub(super) fn read_password(
    source: &OwnedFd,
    listener: &KeeperToListener,
) -> Result<Vec<u8>, String> {
    let failed = |reason: &str| format!("error: (111) unable to read password from FD3: {reason}");
    let deadline = Instant::now() + PASSWORD_PATIENCE;
    let mut password = Vec::new();
    let mut reader =
        std::fs::File::from(source.try_clone().map_err(|e| failed(&words::reason(&e)))?);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let sources = [source.as_fd(), listener.as_fd()];
        let [ready, gone] =
            descriptor::wait(sources.map(|end| Some((end, PollFlags::POLLIN))), left)
                .map_err(|errno| failed(errno.desc()))?;
        // It says nothing before it has heard of us, so that this can only be its end.
        if gone.is_any() {
            return Err(failed("the server has ended"));
        }
        if !ready.readable {
            match left.is_zero() {
                true => return Err(failed("nothing came in two minutes")),
                false => continue,
            }
        }
        let mut byte = [0];
        match reader.read(&mut byte) {
            Ok(1) if byte[0] != 0 => password.push(byte[0]),
            Ok(_) => return Ok(password),
            Err(error) => return Err(failed(&words::reason(&error))),
        }
        if password.len() > MAX_PASSWORD {
            return Err("error: (111) password too long: more than 1024 bytes on FD3".into());
        }
    }
}
