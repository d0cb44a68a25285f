//! The keeper of a client's certificate: the only process that has its private key. It has no network, and gives one
//! signature, over a client's handshake or not at all.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;

use openssl::pkey::{PKey, Private};

use crate::privsep::keeper::read_password;
use crate::privsep::message::{FromKeeper, KeeperToListener, KeeperToProver, Proof, ToSession};
use crate::privsep::role::{self, Confinement};
use crate::privsep::sandbox;
use crate::sys::identity::Identity;
use crate::tls::client::TrustFiles;
use crate::tls::material::{self, Files, PairFiles, SetFiles};
use crate::tls::settings::Version;
use crate::tls::signing;

/// What the keeper is to read.
#[derive(Clone)]
pub struct Orders {
    pub identity: Identity,
    pub pair: PairFiles,
    /// Below TLS 1.2 the handshake is signed with SHA-1.
    pub oldest: Version,
}

/// What the keeper is given by descriptor.
pub struct Given {
    pub parent: KeeperToListener,
    pub session: KeeperToProver,
    /// Where the key's password comes from, if it has one.
    pub password: Option<OwnedFd>,
    /// Files that were opened by whoever may read them.
    pub opened: Files,
}

struct Kept {
    key: PKey<Private>,
    chain: Vec<Vec<u8>>,
    warnings: Vec<String>,
}

/// Runs the keeper to its end: its signature is given, or the session is gone.
pub fn run(orders: &Orders, given: Given) -> u8 {
    role::take_up(c"ssl-keeper");
    let Given {
        parent,
        session,
        password,
        opened,
    } = given;
    let kept = match prepare(orders, password, opened, &parent) {
        Ok(kept) => kept,
        Err(text) => {
            // Without a parent nobody wants to know.
            let _ = parent.send(&FromKeeper::Fatal(text), &[]);
            return 111;
        }
    };
    for warning in &kept.warnings {
        let _ = parent.send(&FromKeeper::Warning(warning.clone()), &[]);
    }
    if parent
        .send(&FromKeeper::Loaded { dh_bits: 0 }, &[])
        .is_err()
    {
        return 0;
    }
    drop(parent);
    serve(orders, &kept, &session)
}

/// Tells the session of the certificate, and signs for it once.
fn serve(orders: &Orders, kept: &Kept, session: &KeeperToProver) -> u8 {
    let chain = ToSession::Chain(kept.chain.clone());
    if session.send(&chain, &[]).is_err() {
        return 0;
    }
    let Ok((Proof { scheme, message }, _)) = session.receive() else {
        return 0;
    };
    let certificate = kept.chain.first().map_or(&[][..], Vec::as_slice);
    match signing::prove(&kept.key, scheme, &message, orders.oldest, certificate) {
        Ok(signature) => {
            // Whoever is gone needs no signature.
            let _ = session.send(&ToSession::Signature(signature), &[]);
            0
        }
        // The handshake fails without it, and that is told.
        Err(_) => 111,
    }
}

fn prepare(
    orders: &Orders,
    password: Option<OwnedFd>,
    opened: Files,
    parent: &KeeperToListener,
) -> Result<Kept, String> {
    openssl::init();
    let confinement = Confinement {
        root: None,
        identity: orders.identity,
    };
    role::confine(&confinement).map_err(|error| format!("fatal: (111) {error}"))?;
    let files = SetFiles {
        pairs: vec![orders.pair.clone()],
        folder: None,
        dh: None,
        trust: TrustFiles::default(),
        oldest: orders.oldest,
    };
    let password = password.map(|source| read_password(&source, parent));
    let password = password.transpose()?;
    let loaded = material::load(&opened, &files, password.as_deref());
    let loaded = loaded.map_err(|unusable| format!("error: (111) {unusable}"))?;
    sandbox::confine_client()?;
    let mut pairs = loaded.pairs.into_iter();
    // One was asked for, and it was loaded.
    let pair = pairs.next().ok_or("error: (111) no certificate")?;
    Ok(Kept {
        key: pair.key,
        chain: pair.chain,
        warnings: loaded.warnings,
    })
}
