//! The keeper: the only process that has the private keys. It reads them confined to SSL_CHROOT as SSL_USER, has no
//! network, and answers each session's channel once, with a signature over a handshake or not at all.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::channel::ChannelError;
use super::message::{
    FromKeeper, KeeperToListener, KeeperToSession, KeeperToTerminator, PublicPart, Reply, Request,
};
use super::role::{self, Confinement};
use super::sandbox;
use crate::sys::{descriptor, words};
use crate::tls::client::TrustFiles;
use crate::tls::material::{self, Files, Material, PairFiles};
use crate::tls::settings::Version;
use crate::tls::signing;
use crate::tls::tickets::TicketSecrets;

/// How long the password may take to arrive on its descriptor; somebody may have to type it.
const PASSWORD_PATIENCE: Duration = Duration::from_secs(120);
/// OpenSSL's own buffer for a password.
const MAX_PASSWORD: usize = 1024;

/// What the keeper is to read.
#[derive(Clone)]
pub struct Orders {
    pub confinement: Confinement,
    pub pairs: Vec<PairFiles>,
    pub dh: Option<PathBuf>,
    pub trust: TrustFiles,
    /// Below TLS 1.2 the handshake is signed with SHA-1.
    pub oldest: Version,
}

/// What the keeper is given by descriptor.
pub struct Given {
    pub listener: KeeperToListener,
    /// With `-3`: where the password comes from.
    pub password: Option<OwnedFd>,
    /// Files that the listener opened as root because nobody else is set to read them.
    pub opened: Files,
}

/// Runs the keeper to its end, which is the listener's.
pub fn run(orders: &Orders, given: Given) -> u8 {
    role::take_up(c"ssl-keeper");
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
    let prepared = epoll
        .map_err(|errno| format!("fatal: (111) keeper: {}", errno.desc()))
        .and_then(|epoll| Ok((prepare(orders, &given)?, epoll)));
    match prepared {
        Ok((material, epoll)) => match serve(&material, orders.oldest, &epoll, &given.listener) {
            Ok(()) => 0,
            Err(errno) => fail(
                &given.listener,
                format!("fatal: (111) keeper: {}", errno.desc()),
            ),
        },
        Err(text) => fail(&given.listener, text),
    }
}

fn fail(listener: &KeeperToListener, text: String) -> u8 {
    // A listener that is gone needs no reason.
    let _ = listener.send(&FromKeeper::Fatal(text), &[]);
    111
}

fn prepare(orders: &Orders, given: &Given) -> Result<Material, String> {
    // The library reads its configuration file, so before the root changes.
    openssl::init();
    let confined = role::confine(&orders.confinement);
    confined.map_err(|error| match &orders.confinement.root {
        Some(root) => format!("fatal: (111) {error} (SSL_CHROOT is {})", root.display()),
        None => format!("fatal: (111) {error}"),
    })?;
    let password = match &given.password {
        Some(source) => Some(read_password(source)?),
        None => None,
    };
    let dh = orders.dh.as_deref();
    let material = material::load(
        &given.opened,
        &orders.pairs,
        dh,
        &orders.trust,
        password.as_deref(),
    )
    .map_err(|error| format!("error: (111) {error}"))?;
    sandbox::confine_keeper()?;
    Ok(material)
}

/// Reads up to NUL or the end.
fn read_password(source: &OwnedFd) -> Result<Vec<u8>, String> {
    let failed = |reason: &str| format!("error: (111) unable to read password from FD3: {reason}");
    let deadline = Instant::now() + PASSWORD_PATIENCE;
    let mut password = Vec::new();
    let mut reader =
        std::fs::File::from(source.try_clone().map_err(|e| failed(&words::reason(&e)))?);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let [ready] = descriptor::wait([Some((source.as_fd(), PollFlags::POLLIN))], left)
            .map_err(|errno| failed(errno.desc()))?;
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

/// Who is at the other end of a descriptor.
enum Peer {
    Terminator(KeeperToTerminator),
    Session(KeeperToSession, Served),
}

const LISTENER: u64 = 0;

fn serve(
    material: &Material,
    oldest: Version,
    epoll: &Epoll,
    listener: &KeeperToListener,
) -> Result<(), Errno> {
    epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    for warning in &material.warnings {
        tell(listener, FromKeeper::Warning(warning.clone()));
    }
    let dh_bits = material.dh.as_ref().map_or(0, |dh| dh.bits);
    tell(listener, FromKeeper::Loaded { dh_bits });
    let mut secrets = Secrets {
        material,
        oldest,
        tickets: TicketSecrets::default(),
        listener,
    };
    let mut peers: HashMap<u64, Peer> = HashMap::new();
    let mut next = LISTENER + 1;
    let mut events = [EpollEvent::empty(); 64];
    loop {
        let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        for event in &events[..count] {
            let newcomer = match event.data() {
                LISTENER => match listener.try_receive() {
                    Ok(Some((_, mut ends))) => ends.pop().map(|end| {
                        let terminator = KeeperToTerminator::from_end(end);
                        publish(material, &terminator);
                        Peer::Terminator(terminator)
                    }),
                    Ok(None) => None,
                    // The listener has ended, and so has the service.
                    Err(_) => return Ok(()),
                },
                number => match peers.get_mut(&number) {
                    Some(Peer::Terminator(terminator)) => match terminator.try_receive() {
                        Ok(Some((_, mut ends))) => ends.pop().map(|end| {
                            Peer::Session(KeeperToSession::from_end(end), Served::default())
                        }),
                        Ok(None) => None,
                        Err(_) => {
                            peers.remove(&number);
                            None
                        }
                    },
                    Some(Peer::Session(session, served)) => {
                        if !answer(&mut secrets, session, served) {
                            peers.remove(&number);
                        }
                        None
                    }
                    None => None,
                },
            };
            if let Some(peer) = newcomer {
                let end = match &peer {
                    Peer::Terminator(terminator) => terminator.as_fd(),
                    Peer::Session(session, _) => session.as_fd(),
                };
                if epoll
                    .add(end, EpollEvent::new(EpollFlags::EPOLLIN, next))
                    .is_ok()
                {
                    peers.insert(next, peer);
                    next += 1;
                }
            }
        }
    }
}

/// The log is a courtesy: a full or closed channel must not stop the signatures.
fn tell(listener: &KeeperToListener, message: FromKeeper) {
    let _ = listener.try_send(&message, &[]);
}

/// Sends a new terminator the public parts. One that does not take them will be found dead.
fn publish(material: &Material, terminator: &KeeperToTerminator) {
    let chains = material.pairs.iter().map(|pair| {
        let chain = pair.chain.iter();
        PublicPart::Chain(chain.filter_map(|one| one.to_der().ok()).collect())
    });
    let dh = material.dh.iter();
    let trust = &material.trust;
    let parts = chains
        .chain(dh.map(|dh| PublicPart::DhParameters(dh.pem.clone())))
        .chain(trust.anchors.iter().cloned().map(PublicPart::Anchor))
        .chain(trust.names.iter().cloned().map(PublicPart::Name))
        .chain(trust.revoked.iter().cloned().map(PublicPart::Revoked))
        .chain([PublicPart::End]);
    for part in parts {
        if terminator.send(&part, &[]).is_err() {
            return;
        }
    }
}

/// What a session has had already.
#[derive(Default)]
struct Served {
    opened: bool,
    signed: bool,
}

/// Answers a session. `false`: it had all it gets, or asked for what it must not have.
fn answer(secrets: &mut Secrets<'_>, session: &KeeperToSession, served: &mut Served) -> bool {
    let refusal = match session.try_receive() {
        Ok(Some((Request::Open(name), _))) if !served.opened && !served.signed => {
            served.opened = true;
            let reply = Reply {
                signature: Vec::new(),
                opened: secrets.tickets.open(name),
                fresh: secrets.tickets.fresh(Instant::now()).ok(),
            };
            return session.try_send(&reply, &[]).is_ok();
        }
        Ok(Some((
            Request::Sign {
                key,
                scheme,
                message,
            },
            _,
        ))) if !served.signed => {
            served.signed = true;
            match secrets.sign(key, scheme, &message) {
                Ok(signature) => {
                    let reply = Reply {
                        signature,
                        opened: None,
                        fresh: secrets.tickets.fresh(Instant::now()).ok(),
                    };
                    return session.try_send(&reply, &[]).is_ok();
                }
                Err(refusal) => refusal,
            }
        }
        Ok(Some(_)) => "a session asks for more than one handshake needs".into(),
        Err(ChannelError::Malformed) => ChannelError::Malformed.to_string(),
        // Gone: it has what it wanted, or the client hung up before it came to that.
        Ok(None) | Err(_) => return false,
    };
    tell(
        secrets.listener,
        FromKeeper::Warning(format!("keeper refused to sign: {refusal}")),
    );
    false
}

/// All that the keeper knows, and whom it tells.
struct Secrets<'a> {
    material: &'a Material,
    oldest: Version,
    tickets: TicketSecrets,
    listener: &'a KeeperToListener,
}

impl Secrets<'_> {
    fn sign(&self, key: u16, scheme: u16, message: &[u8]) -> Result<Vec<u8>, String> {
        let pair = self.material.pairs.get(usize::from(key));
        let pair = pair.ok_or("there is no such key")?;
        signing::sign(&pair.key, scheme, message, self.oldest)
            .map_err(|refusal| refusal.to_string())
    }
}
