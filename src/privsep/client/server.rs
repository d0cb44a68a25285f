//! TLS with the server: who it may be, and who it was.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::ssl::{SslRef, SslVerifyMode};
use openssl::x509::{X509, X509Crl, X509Ref, X509VerifyResult};

use super::{Orders, Refusal, Trust};
use crate::privsep::message::{Proof, ProverToKeeper, ToSession};
use crate::tls::client::{Demand, TrustFiles};
use crate::tls::gate::Gate;
use crate::tls::identity::Identity;
use crate::tls::material::Files;
use crate::tls::outward::Outward;
use crate::tls::provider::{self, Keeper};
use crate::tls::stream::{Tls, TlsError};
use crate::tls::tickets::{TicketKey, TicketName};
use crate::tls::trust;

/// The keeper has everything in memory; one that does not answer in this time is dead.
const KEEPER_PATIENCE: Duration = Duration::from_secs(10);

/// What X509_verify_cert(3) says of a certificate for others.
const WRONG_NAME: [i32; 2] = [
    openssl_sys::X509_V_ERR_HOSTNAME_MISMATCH,
    openssl_sys::X509_V_ERR_IP_ADDRESS_MISMATCH,
];

/// The keeper as this process reaches it.
struct RemoteKeeper(ProverToKeeper);

impl Keeper for RemoteKeeper {
    fn sign(&self, _: u16, scheme: u16, message: &[u8]) -> Option<Vec<u8>> {
        let proof = Proof {
            scheme,
            message: message.to_vec(),
        };
        self.0.send(&proof, &[]).ok()?;
        match self.0.receive_within(KEEPER_PATIENCE).ok()? {
            (ToSession::Signature(signature), _) => Some(signature),
            (ToSession::Chain(_), _) => None,
        }
    }

    fn new_ticket(&self) -> Option<TicketKey> {
        None
    }

    fn open_ticket(&self, _: TicketName) -> Option<TicketKey> {
        None
    }
}

/// The name in a certificate that was not the wanted one.
#[derive(Clone, Default)]
pub struct OtherName(Arc<Mutex<String>>);

impl OtherName {
    /// Of a certificate that is refused the library keeps nothing, so it is looked at meanwhile.
    fn watch(&self, ssl: &mut SslRef) {
        let place = self.clone();
        ssl.set_verify_callback(SslVerifyMode::PEER, move |is_good, context| {
            if !is_good && let Some(certificate) = context.current_cert() {
                *place.0.lock().unwrap_or_else(PoisonError::into_inner) = first_name(certificate);
            }
            is_good
        });
    }

    fn get(&self) -> String {
        let name = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        name.clone()
    }
}

/// Makes it ready for the handshake.
pub fn connection(
    orders: &Orders,
    opened: &Files,
    keeper: Option<ProverToKeeper>,
) -> Result<(Tls, OtherName), String> {
    let general = |stack: ErrorStack| format!("unable to create TLS instance: {stack}");
    let gate = gate(&orders.trust, opened)?;
    let identity = keeper.map(introduce).transpose()?;
    let outward = Outward::new(&orders.tls, &gate, identity.as_ref());
    let outward = outward.map_err(|refused| refused.to_string())?;
    let mut ssl = outward
        .connection(&orders.host, orders.naming)
        .map_err(general)?;
    if let Some(depth) = orders.depth {
        ssl.param_mut()
            .set_depth(i32::try_from(depth).unwrap_or(i32::MAX));
    }
    let other_name = OtherName::default();
    if orders.naming.check {
        other_name.watch(&mut ssl);
    }
    let tls = Tls::from_ssl(ssl).map_err(general)?;
    Ok((tls, other_name))
}

/// Learns the certificates from the keeper and has it asked for signatures.
fn introduce(keeper: ProverToKeeper) -> Result<Identity, String> {
    let lost = |reason: &dyn std::fmt::Display| format!("unable to load certificate: {reason}");
    let chain = match keeper.receive_within(KEEPER_PATIENCE) {
        Ok((ToSession::Chain(chain), _)) => chain,
        Ok(_) => return Err(lost(&"the keeper broke the protocol")),
        Err(error) => return Err(lost(&format_args!("no word from the keeper: {error}"))),
    };
    let chain: Result<Vec<X509>, _> = chain.iter().map(|der| X509::from_der(der)).collect();
    let identity = chain.and_then(|chain| Identity::new(0, chain, &[]));
    let identity = identity.map_err(|stack| lost(&stack))?;
    provider::set_keeper(Some(Box::new(RemoteKeeper(keeper))));
    Ok(identity)
}

fn gate(trust: &Trust, opened: &Files) -> Result<Gate, String> {
    let failed = |stack: ErrorStack| format!("unable to load CA list: {stack}");
    let files = match trust {
        Trust::Anybody => return Gate::open().map_err(failed),
        Trust::Authorities(files) => files,
    };
    let mut loaded = trust::load(opened, files).map_err(|unusable| unusable.to_string())?;
    if names_none(files) {
        loaded.anchors = trust::system(opened).map_err(|unusable| unusable.to_string())?;
    }
    let anchors: Result<Vec<X509>, _> = loaded
        .anchors
        .iter()
        .map(|der| X509::from_der(der))
        .collect();
    let revoked: Result<Vec<X509Crl>, _> = loaded
        .revoked
        .iter()
        .map(|der| X509Crl::from_der(der))
        .collect();
    let made = anchors.and_then(|anchors| Gate::new(Demand::Valid, &anchors, &[], &revoked?));
    made.map_err(failed)
}

fn names_none(files: &TrustFiles) -> bool {
    files.anchors.is_empty() && files.anchor_folders.is_empty()
}

/// Says of a handshake that it failed, and whether that was for the server's certificate.
pub fn judge(
    orders: &Orders,
    tls: &Tls,
    other_name: &OtherName,
    shaken: Result<(), TlsError>,
) -> Result<(), Refusal> {
    let (ip, port) = (orders.address.ip(), orders.address.port());
    let ssl = tls.ssl();
    let Err(TlsError(reason)) = shaken else {
        return match ssl.peer_certificate() {
            None if orders.trust != Trust::Anybody => Err(Refusal::Stranger(format!(
                "no server certificate from: {ip} port: {port}"
            ))),
            _ => Ok(()),
        };
    };
    let verdict = ssl.verify_result();
    Err(match verdict {
        X509VerifyResult::OK => Refusal::Failed(format!(
            "unable to TLS connect to: {ip} port: {port} {reason}"
        )),
        _ if WRONG_NAME.contains(&verdict.as_raw()) => {
            let (host, shown) = (&orders.host, other_name.get());
            Refusal::Stranger(format!(
                "server hostname does not match certificate: {host} <=> {shown}"
            ))
        }
        _ => Refusal::Stranger(format!(
            "missing credentials (CA) or unable to validate server certificate from: {ip} port: {port}: {}",
            verdict.error_string()
        )),
    })
}

/// A name that the certificate is for.
fn first_name(certificate: &X509Ref) -> String {
    let names = certificate.subject_alt_names();
    let mut names = names.iter().flatten();
    let host = names.find_map(|name| name.dnsname().map(str::to_owned));
    let common = || {
        let entry = certificate
            .subject_name()
            .entries_by_nid(Nid::COMMONNAME)
            .next()?;
        Some(entry.data().to_string().ok()?.to_string())
    };
    host.or_else(common).unwrap_or_default()
}
