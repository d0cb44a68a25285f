//! What is decided for a connection by the name in its ClientHello, before OpenSSL looks at anything else in it: the
//! certificates, what the client has to show, and which sessions may be resumed. OpenSSL asks once more, when it is too
//! late for the last of these, after a session was resumed; there only the name is confirmed.
#![forbid(unsafe_code)]

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::error::ErrorStack;
use openssl::ex_data::Index as Slot;
use openssl::sha::Sha256;
use openssl::ssl::{ClientHelloResponse, SniError, Ssl, SslAlert, SslContextBuilder, SslRef};

use super::catalogue::Place;
use super::gate::Gate;
use super::named::{Index, Order, host_name};
use super::provider;

/// The number of the extension server_name (RFC 6066, 3).
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
/// The library takes no longer name.
const LONGEST: usize = 255;

/// What a store of sessions is asked in the client-hello callback; `true` suspends the handshake: it fails with
/// `WANT_CLIENT_HELLO_CB`, and when it goes on the question is asked again.
pub type Inquiry = Box<dyn Fn(&mut SslRef) -> bool + Send + Sync>;

/// What is known of a connection since its ClientHello.
struct Choice {
    /// As the client sent it.
    asked: Option<Box<[u8]>>,
    answer: Answer,
}

#[derive(PartialEq, Eq)]
enum Answer {
    /// Nobody has the name, or none was asked for.
    Default,
    /// Those by default have the name.
    DefaultByName,
    /// These have it.
    Named(Vec<Place>),
    Refused,
}

static SLOT: OnceLock<Slot<Ssl, Choice>> = OnceLock::new();

fn slot() -> Result<Slot<Ssl, Choice>, ErrorStack> {
    match SLOT.get() {
        Some(slot) => Ok(*slot),
        None => {
            let slot = Ssl::new_ex_index()?;
            Ok(*SLOT.get_or_init(|| slot))
        }
    }
}

fn choice(ssl: &SslRef) -> Option<&Choice> {
    ssl.ex_data(*SLOT.get()?)
}

/// The name that the client asked for, as it sent it. Known from the ClientHello on, of refused clients too.
pub fn asked(ssl: &SslRef) -> Option<&[u8]> {
    choice(ssl)?.asked.as_deref()
}

/// Whether the connection came to its end because nobody has the name.
pub fn is_refused(ssl: &SslRef) -> bool {
    choice(ssl).is_some_and(|choice| choice.answer == Answer::Refused)
}

/// Decides for all connections of a context.
pub struct Chooser {
    index: Index,
    /// Those that the context has by itself, and what clients have to show there.
    default: Index,
    gate: Arc<Gate>,
    /// A name that nobody has is an alert.
    strict: bool,
    /// Sessions of one scope are not resumed under another.
    scope: [u8; 32],
    /// Stands for those by default: their names, or themselves.
    default_id: [u8; 32],
    inquiry: Option<Inquiry>,
}

impl Chooser {
    pub fn new(
        index: Index,
        default: &[Place],
        gate: Arc<Gate>,
        strict: bool,
        scope: [u8; 32],
        inquiry: Option<Inquiry>,
    ) -> Result<Chooser, String> {
        let catalogue = index.catalogue().clone();
        let mut default_id = Sha256::new();
        for &place in default {
            for name in catalogue.names(place) {
                default_id.update(catalogue.text(name));
                default_id.update(b" ");
            }
            if catalogue.names(place).next().is_none() {
                let identity = catalogue.identity(place);
                let leaf = identity.and_then(|identity| identity.leaf().to_der());
                default_id.update(&leaf.map_err(|stack| stack.to_string())?);
            }
        }
        let default = default.iter().map(|&place| (place, gate.clone()));
        Ok(Chooser {
            default: Index::new(catalogue, Order::ExactFirst, default.collect())?,
            index,
            gate,
            strict,
            scope,
            default_id: default_id.finish(),
            inquiry,
        })
    }

    /// Has a context ask.
    pub fn install(self, context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        let slot = slot()?;
        let chooser = Arc::new(self);
        let hello = chooser.clone();
        context.set_client_hello_callback(move |ssl, alert| hello.decide(ssl, alert));
        context.set_servername_callback(move |ssl, _| {
            match ssl.ex_data(slot).map(|choice| &choice.answer) {
                Some(Answer::Named(_) | Answer::DefaultByName) => Ok(()),
                _ => Err(SniError::NOACK),
            }
        });
        if chooser.index.catalogue().has_staples() {
            context.set_status_callback(move |ssl| chooser.staple(ssl))?;
        }
        Ok(())
    }

    fn decide(
        &self,
        ssl: &mut SslRef,
        alert: &mut SslAlert,
    ) -> Result<ClientHelloResponse, ErrorStack> {
        let stop = |alert: &mut SslAlert, why| {
            *alert = why;
            Err(ErrorStack::get())
        };
        let asked = match provider::hello_extension(ssl, SERVER_NAME).map(server_name) {
            None => None,
            Some(Some(name)) => Some(Box::<[u8]>::from(name)),
            Some(None) => return stop(alert, SslAlert::DECODE_ERROR),
        };
        *alert = SslAlert::INTERNAL_ERROR;
        let slot = slot()?;
        match ssl.ex_data(slot) {
            None => {
                let choice = self.choose(ssl, asked)?;
                let is_refused = choice.answer == Answer::Refused;
                ssl.set_ex_data(slot, choice);
                if is_refused {
                    return stop(alert, SslAlert::UNRECOGNIZED_NAME);
                }
            }
            // The handshake goes on after a pause, or with a second ClientHello (RFC 8446, 4.1.2).
            Some(choice) if choice.asked == asked => {}
            Some(_) => return stop(alert, SslAlert::ILLEGAL_PARAMETER),
        }
        match &self.inquiry {
            Some(inquiry) if inquiry(ssl) => Ok(ClientHelloResponse::RETRY),
            _ => Ok(ClientHelloResponse::SUCCESS),
        }
    }

    fn choose(&self, ssl: &mut SslRef, asked: Option<Box<[u8]>>) -> Result<Choice, ErrorStack> {
        let host = asked.as_deref().and_then(host_name);
        let found = match &host {
            Some(host) => self.index.find(host)?,
            None => None,
        };
        let mut gate = &self.gate;
        let answer = match (found, &host) {
            (Some(found), _) => {
                provider::clear_certificates(ssl);
                for (_, identity) in &found.identities {
                    identity.use_on(ssl)?;
                }
                if found.gate.id() != gate.id() {
                    gate = found.gate;
                    gate.use_on(ssl)?;
                }
                Answer::Named(found.identities.iter().map(|(place, _)| *place).collect())
            }
            (None, Some(host)) if self.default.has(host) => Answer::DefaultByName,
            _ if self.strict && asked.is_some() => Answer::Refused,
            _ => Answer::Default,
        };
        // As a client may resume: under the same name, where the same is demanded (RFC 6066, 3).
        let mut session = Sha256::new();
        session.update(&self.scope);
        session.update(gate.id());
        match (&answer, &host) {
            // Another machine may have another certificate for the name.
            (Answer::Named(_) | Answer::DefaultByName, Some(host)) => {
                session.update(b"name ");
                session.update(host.as_bytes());
            }
            _ => {
                session.update(b"default ");
                session.update(&self.default_id);
                session.update(asked.as_deref().unwrap_or_default());
            }
        }
        provider::set_session_context(ssl, &session.finish())?;
        Ok(Choice { asked, answer })
    }

    /// Shows the OCSP response that belongs to the certificate which was chosen of those offered.
    fn staple(&self, ssl: &mut SslRef) -> Result<bool, ErrorStack> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        let offered = match choice(ssl).map(|choice| &choice.answer) {
            Some(Answer::Named(places)) => places.clone(),
            _ => self.default.places().collect(),
        };
        let catalogue = self.index.catalogue();
        let Some(leaf) = ssl.certificate() else {
            return Ok(false);
        };
        for place in offered {
            if catalogue.identity(place)?.leaf() == leaf
                && let Some(response) = catalogue.staple(place, now)
            {
                let response = response.to_vec();
                ssl.set_ocsp_status(&response)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The host name in the extension server_name: a list in which nothing else has ever been defined, and of which the
/// library takes one name alone. `None`: it is malformed.
fn server_name(extension: &[u8]) -> Option<&[u8]> {
    let list = behind_length(extension)?;
    let (&kind, name) = list.split_first()?;
    let name = behind_length(name)?;
    let is_plausible = !name.is_empty() && name.len() <= LONGEST && !name.contains(&0);
    (kind == HOST_NAME && is_plausible).then_some(name)
}

/// What stands behind a length of two bytes that is all there is.
fn behind_length(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    (usize::from(u16::from_be_bytes(*length)) == rest.len()).then_some(rest)
}

#[cfg(test)]
mod tests;
