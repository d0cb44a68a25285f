//! The OpenSSL context of those who serve TLS: public parts and settings, no secret.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::sha::Sha256;
use openssl::ssl::{
    AlpnError, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode,
    SslVersion,
};
use openssl::x509::{X509, X509Crl};

use super::catalogue::{Collector, Place};
use super::choice::{Chooser, Inquiry};
use super::client::Demand;
use super::gate::Gate;
use super::material::reason;
use super::named::{Index, Order};
use super::provider;
use super::settings::{Settings, Version};

/// Seconds for which a client may come back with a ticket.
const TICKET_LIFETIME: std::ffi::c_long = 2 * 3600;

/// What the keeper tells of one of its sets.
#[derive(Default)]
pub struct PublicParts {
    pub chains: Collector,
    /// Those for clients that name nobody, or nobody we know, one for each kind of key.
    pub default: Vec<Place>,
    /// Those that are chosen by the name the client asks for.
    pub named: Vec<Place>,
    /// PEM.
    pub dh: Option<Vec<u8>>,
    /// Whom clients' certificates may be traced back to, whose names they are told, and who is trusted no more.
    pub anchors: Vec<X509>,
    pub names: Vec<X509>,
    pub revoked: Vec<X509Crl>,
}

impl PublicParts {
    /// Stands for all authorities and all that is revoked: others are another text.
    pub fn trust(&self) -> Result<String, ErrorStack> {
        let mut digest = Sha256::new();
        for anchor in &self.anchors {
            digest.update(&anchor.to_der()?);
        }
        for list in &self.revoked {
            digest.update(&list.to_der()?);
        }
        let digest = digest.finish();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Makes them ready to be served.
    pub fn finish(self, demand: Demand) -> Result<Frontend, Refused> {
        let unkept = |reason| Refused {
            what: "unable to keep the certificates of CERTDIR",
            value: String::new(),
            reason,
        };
        let gate = Gate::new(demand, &self.anchors, &self.names, &self.revoked)
            .map_err(refused("unable to set up the check of clients", ""))?;
        let gate = Arc::new(gate);
        let catalogue = Arc::new(self.chains.finish().map_err(unkept)?);
        let named = self.named.into_iter().map(|place| (place, gate.clone()));
        Ok(Frontend {
            index: Index::new(catalogue, Order::ExactFirst, named.collect()).map_err(unkept)?,
            default: self.default,
            gate,
            dh: self.dh,
        })
    }
}

/// Whom clients meet.
pub struct Frontend {
    pub index: Index,
    /// Which of the index's catalogue are for clients that name nobody, or nobody we know: one for each kind of key.
    pub default: Vec<Place>,
    /// What such clients have to show.
    pub gate: Arc<Gate>,
    /// DH parameters in PEM for certificates that have none of their own.
    pub dh: Option<Vec<u8>>,
}

/// A setting that OpenSSL refuses.
#[derive(Debug)]
pub struct Refused {
    what: &'static str,
    value: String,
    reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        if !self.value.is_empty() {
            write!(f, ": {}", self.value)?;
        }
        write!(f, ": {}", self.reason)
    }
}

pub(super) fn refused<'a>(
    what: &'static str,
    value: &'a str,
) -> impl Fn(ErrorStack) -> Refused + 'a {
    move |stack| Refused {
        what,
        value: value.to_owned(),
        reason: reason(&stack),
    }
}

/// How a frontend is served.
pub struct Purpose<'a> {
    /// Sessions of one scope are not resumed under another. It is the same on all machines that share tickets.
    pub scope: &'a str,
    pub settings: &'a Settings,
    /// How many tickets a client of TLS 1.3 gets for a full handshake; it may use each once.
    pub tickets: usize,
    pub sessions: Option<Sessions>,
}

type Preparation = Box<dyn FnOnce(&mut SslContextBuilder) -> Result<(), ErrorStack>>;

/// What a store of sessions adds to a context.
pub struct Sessions {
    /// There are no tickets: every session is in the store, those of TLS 1.3 too.
    pub alone: bool,
    /// Sets the callbacks of the store, and the cache mode.
    pub prepare: Preparation,
    /// Is asked for each ClientHello.
    pub inquiry: Inquiry,
}

/// Makes the context for a frontend, for whose private keys the provider stands.
pub fn server(frontend: Frontend, purpose: Purpose<'_>) -> Result<SslContext, Refused> {
    let settings = purpose.settings;
    let general = refused("unable to create TLS context", "");
    provider::install().map_err(&general)?;
    let mut context = SslContext::builder(SslMethod::tls_server()).map_err(&general)?;
    context.set_options(SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION);
    if settings.server_order {
        context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    }
    context.set_mode(SslMode::RELEASE_BUFFERS | SslMode::NO_AUTO_CHAIN);
    // The library's own cache is that of one process.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    let tickets = if settings.tickets { purpose.tickets } else { 0 };
    context.set_num_tickets(tickets).map_err(&general)?;
    match settings.tickets {
        true => provider::seal_tickets(&context, TICKET_LIFETIME),
        false => {
            context.set_options(SslOptions::NO_TICKET);
        }
    }
    limit(&mut context, settings)?;
    if let Some(protocols) = &settings.alpn {
        offer(&mut context, protocols);
    }
    let bad_dh = refused("unable to set DH parameters", "");
    if let Some(pem) = &frontend.dh {
        Dh::params_from_pem(pem)
            .and_then(|parameters| context.set_tmp_dh(&parameters))
            .map_err(bad_dh)?;
    }
    for &place in &frontend.default {
        let identity = frontend.index.catalogue().identity(place);
        let identity = identity.map_err(refused("unable to use certificate", ""))?;
        let subject = format!("{:?}", identity.leaf().subject_name());
        identity
            .use_by_default(&mut context)
            .map_err(refused("unable to use certificate", &subject))?;
    }
    frontend
        .gate
        .use_by_default(&mut context)
        .map_err(refused("unable to set up the check of clients", ""))?;
    context.set_verify_depth(settings.verify_depth);
    let scope = scope(&purpose);
    context.set_session_id_context(&scope).map_err(&general)?;
    let mut inquiry = None;
    if let Some(sessions) = purpose.sessions {
        if sessions.alone {
            context.set_options(SslOptions::NO_TICKET);
        }
        (sessions.prepare)(&mut context).map_err(&general)?;
        inquiry = Some(sessions.inquiry);
    }
    let Frontend {
        index,
        default,
        gate,
        ..
    } = frontend;
    Chooser::new(index, &default, gate, settings.strict, scope, inquiry)
        .map_err(|reason| Refused {
            what: "unable to choose certificates by name",
            value: String::new(),
            reason,
        })?
        .install(&mut context)
        .map_err(general)?;
    Ok(context.build())
}

/// TLS 1.2 resumes a session with the cipher it has, whatever is allowed now: so that counts as well.
fn scope(purpose: &Purpose<'_>) -> [u8; 32] {
    let mut scope = Sha256::new();
    let ciphers = purpose.settings.ciphers.as_deref().unwrap_or_default();
    for part in [purpose.scope, ciphers] {
        scope.update(&(part.len() as u64).to_be_bytes());
        scope.update(part.as_bytes());
    }
    scope.update(&purpose.settings.verify_depth.to_be_bytes());
    scope.finish()
}

/// Sets versions, ciphers and groups, for servers and clients alike.
pub(super) fn limit(context: &mut SslContextBuilder, settings: &Settings) -> Result<(), Refused> {
    let general = refused("unable to create TLS context", "");
    context
        .set_min_proto_version(Some(version(settings.min)))
        .map_err(&general)?;
    context
        .set_max_proto_version(settings.max.map(version))
        .map_err(&general)?;
    algorithms(context, settings)
}

/// Chooses the first of our protocols that the client knows too; none is an alert (RFC 7301, 3.2).
fn offer(context: &mut SslContextBuilder, ours: &[u8]) {
    let ours = ours.to_vec();
    context.set_alpn_select_callback(move |_, theirs| {
        let chosen = names(&ours).find(|name| names(theirs).any(|other| other == *name));
        // The answer must lie in what the client sent.
        chosen
            .and_then(|chosen| names(theirs).find(|other| *other == chosen))
            .ok_or(AlpnError::ALERT_FATAL)
    });
}

/// The names of a list that has each behind its length.
fn names(mut list: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = list.split_first()?;
        let (name, rest) = rest.split_at_checked((*length).into())?;
        list = rest;
        Some(name)
    })
}

fn algorithms(context: &mut SslContextBuilder, settings: &Settings) -> Result<(), Refused> {
    if let Some(list) = &settings.ciphers {
        context
            .set_cipher_list(list)
            .map_err(refused("unable to set cipher list", list))?;
    }
    if let Some(list) = &settings.ciphersuites {
        context
            .set_ciphersuites(list)
            .map_err(refused("unable to set cipher suites", list))?;
    }
    if let Some(list) = &settings.groups {
        let known = known_groups(list);
        if known.is_empty() {
            return Err(Refused {
                what: "unable to set groups",
                value: list.clone(),
                reason: "this library knows none of them".into(),
            });
        }
        context
            .set_groups_list(&known)
            .map_err(refused("unable to set groups", list))?;
    }
    Ok(())
}

/// Leaves out the groups marked with `?` that this library does not know; older ones do not know the mark either.
fn known_groups(list: &str) -> String {
    let is_known = |name: &str| {
        SslContext::builder(SslMethod::tls_server())
            .and_then(|mut probe| probe.set_groups_list(name))
            .is_ok()
    };
    let keep = |name: &&str| match name.strip_prefix('?') {
        Some(optional) => is_known(optional),
        None => true,
    };
    let bare = |name: &str| name.strip_prefix('?').unwrap_or(name).to_owned();
    let kept: Vec<String> = list.split(':').filter(keep).map(bare).collect();
    kept.join(":")
}

fn version(version: Version) -> SslVersion {
    match version {
        Version::Tls10 => SslVersion::TLS1,
        Version::Tls11 => SslVersion::TLS1_1,
        Version::Tls12 => SslVersion::TLS1_2,
        Version::Tls13 => SslVersion::TLS1_3,
    }
}
