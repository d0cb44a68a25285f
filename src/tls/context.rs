//! The OpenSSL context of a terminator: public parts and settings, no secret.
#![forbid(unsafe_code)]

use std::fmt;

use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::ssl::{
    AlpnError, NameType, SniError, SslAlert, SslContext, SslContextBuilder, SslMethod, SslMode,
    SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509Crl};

use super::client::Demand;
use super::material::reason;
use super::named::{self, NamedKeys};
use super::provider;
use super::settings::{Settings, Version};

/// Seconds for which a client may come back with a ticket.
const TICKET_LIFETIME: std::ffi::c_long = 2 * 3600;

/// What the keeper tells of its keys.
#[derive(Default)]
pub struct PublicParts {
    /// Each under the number of its key.
    pub chains: Vec<(u16, Vec<X509>)>,
    /// The names that these are for.
    pub own_names: Vec<String>,
    /// Those that are chosen by the name the client asks for.
    pub named: named::Collector,
    /// PEM.
    pub dh: Option<Vec<u8>>,
    /// Whom clients' certificates may be traced back to, whose names they are told, and who is trusted no more.
    pub anchors: Vec<X509>,
    pub names: Vec<X509>,
    pub revoked: Vec<X509Crl>,
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

fn refused<'a>(what: &'static str, value: &'a str) -> impl Fn(ErrorStack) -> Refused + 'a {
    move |stack| Refused {
        what,
        value: value.to_owned(),
        reason: reason(&stack),
    }
}

/// What a set of keys is for beside the keys.
pub struct Purpose<'a> {
    /// Its number: a session of one set is not resumed with another, which may ask more of clients.
    pub set: u32,
    pub settings: &'a Settings,
    pub demand: Demand,
}

/// Makes the context for a set of keys, whose private halves the provider stands for.
pub fn build(parts: PublicParts, purpose: &Purpose<'_>) -> Result<SslContext, Refused> {
    let Purpose {
        set,
        settings,
        demand,
    } = *purpose;
    let general = refused("unable to create TLS context", "");
    provider::install().map_err(&general)?;
    let mut context = SslContext::builder(SslMethod::tls_server()).map_err(&general)?;
    context.set_options(SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION);
    if settings.server_order {
        context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    }
    context.set_mode(SslMode::RELEASE_BUFFERS | SslMode::NO_AUTO_CHAIN);
    // Sessions have no common memory: tickets it is, and one is enough.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_num_tickets(1).map_err(&general)?;
    context
        .set_session_id_context(format!("sslserver {set}").as_bytes())
        .map_err(&general)?;
    provider::seal_tickets(&context, TICKET_LIFETIME);
    context
        .set_min_proto_version(Some(version(settings.min)))
        .map_err(&general)?;
    context
        .set_max_proto_version(settings.max.map(version))
        .map_err(&general)?;
    algorithms(&mut context, settings)?;
    if let Some(protocols) = &settings.alpn {
        offer(&mut context, protocols);
    }
    for (number, chain) in &parts.chains {
        add_key(&mut context, *number, chain)
            .map_err(refused("unable to use certificate", &subject(chain)))?;
    }
    if demand != Demand::Nothing {
        ask_clients(&mut context, &parts, settings, demand)
            .map_err(refused("unable to set up the check of clients", ""))?;
    }
    let bad_dh = refused("unable to set DH parameters", "");
    if let Some(pem) = &parts.dh {
        Dh::params_from_pem(pem)
            .and_then(|parameters| context.set_tmp_dh(&parameters))
            .map_err(bad_dh)?;
    }
    let unkept = |reason| Refused {
        what: "unable to keep the certificates of CERTDIR",
        value: String::new(),
        reason,
    };
    choose_by_name(
        &mut context,
        parts.named.finish().map_err(unkept)?,
        settings.strict.then_some(parts.own_names),
    );
    Ok(context.build())
}

/// Has the certificates chosen by the name that the client asks for. With `only` the default ones are for these names
/// alone, and for clients that name nobody.
fn choose_by_name(context: &mut SslContextBuilder, named: NamedKeys, only: Option<Vec<String>>) {
    if named.is_empty() && only.is_none() {
        return;
    }
    context.set_servername_callback(move |ssl, alert| {
        // A client that names nobody means the default.
        let Some(asked) = ssl.servername_raw(NameType::HOST_NAME).map(<[u8]>::to_vec) else {
            return Ok(());
        };
        match named.apply(ssl, &asked) {
            Ok(true) => Ok(()),
            Ok(false)
                if only
                    .as_ref()
                    .is_none_or(|names| named::covers(names, &asked)) =>
            {
                Ok(())
            }
            Ok(false) => {
                *alert = SslAlert::UNRECOGNIZED_NAME;
                Err(SniError::ALERT_FATAL)
            }
            Err(_) => {
                *alert = SslAlert::INTERNAL_ERROR;
                Err(SniError::ALERT_FATAL)
            }
        }
    });
}

/// Asks every client for a certificate that we can trace back.
fn ask_clients(
    context: &mut SslContextBuilder,
    parts: &PublicParts,
    settings: &Settings,
    demand: Demand,
) -> Result<(), ErrorStack> {
    context.set_verify(match demand {
        Demand::Optional => SslVerifyMode::PEER,
        _ => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
    });
    context.set_verify_depth(settings.verify_depth);
    for anchor in &parts.anchors {
        context.cert_store_mut().add_cert(anchor.clone())?;
    }
    for list in &parts.revoked {
        provider::add_revoked(context.cert_store_mut(), list)?;
    }
    if !parts.revoked.is_empty() {
        context
            .verify_param_mut()
            // A revoked authority revokes what it signed.
            .set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL)?;
    }
    for certificate in &parts.names {
        context.add_client_ca(certificate)?;
    }
    Ok(())
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

fn add_key(context: &mut SslContextBuilder, number: u16, chain: &[X509]) -> Result<(), ErrorStack> {
    let Some((leaf, others)) = chain.split_first() else {
        return Ok(());
    };
    context.set_certificate(leaf)?;
    for certificate in others {
        provider::add_to_chain(context, certificate)?;
    }
    provider::learn(number, leaf.public_key()?);
    let key = provider::private_key(number)?;
    context.set_private_key(&key)
}

fn subject(chain: &[X509]) -> String {
    let leaf = chain.first().map(|leaf| leaf.subject_name());
    leaf.map_or(String::new(), |name| format!("{name:?}"))
}

fn version(version: Version) -> SslVersion {
    match version {
        Version::Tls10 => SslVersion::TLS1,
        Version::Tls11 => SslVersion::TLS1_1,
        Version::Tls12 => SslVersion::TLS1_2,
        Version::Tls13 => SslVersion::TLS1_3,
    }
}
