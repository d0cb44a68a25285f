//! Sessions that clients resume by their id, kept outside of this process: in a store that all workers share.
//!
//! The store is asked between two steps of a handshake. [`inquire`], called by the callback that sees the client's
//! hello first, suspends the handshake; whoever drives it takes the wish ([`take_wish`]), asks the store, hands the
//! answer over ([`supply`]) and goes on. Sessions that are to be kept lie ready after the step that made them
//! ([`take_put`]). Everything here belongs to the one thread that handshakes run in.
//!
//! What the store gets is sealed with a ticket's key, which the keeper derives, for this one session id.
#![forbid(unsafe_code)]

pub mod hello;
pub mod seal;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::OnceLock;

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslOptions, SslRef, SslSession, SslSessionCacheMode,
    SslVersion,
};

use super::provider;

/// What a client names its session with.
pub type SessionId = [u8; 32];

/// The longest sealed session in bytes: room for a client's certificate. A longer one is not kept.
pub const MAX_SEALED: usize = 8192;

/// Sessions that lie ready, of one step; a client gets two as a rule.
const MOST_PUTS: usize = 8;

/// What the callback that sees the hello is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    GoOn,
    /// Answer with [`openssl::ssl::ClientHelloResponse::RETRY`]: the handshake stops with
    /// [`openssl::ssl::ErrorCode::WANT_CLIENT_HELLO_CB`].
    Suspend,
}

/// A session that the store is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    pub id: SessionId,
    /// The session is good for this one connection (TLS 1.3; RFC 8446, C.4).
    pub once: bool,
}

/// A session for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    pub id: SessionId,
    /// In seconds.
    pub lifetime: u32,
    pub sealed: Vec<u8>,
}

/// What a connection knows of the session that its client asked for.
struct Asked {
    wish: Wish,
    sealed: Option<Vec<u8>>,
}

/// Where contexts and connections carry what is ours.
struct Places {
    /// Whether all sessions of the context are in the store.
    stateful: Index<SslContext, bool>,
    asked: Index<Ssl, Option<Asked>>,
}

static PLACES: OnceLock<Places> = OnceLock::new();

thread_local! {
    static WISH: Cell<Option<Wish>> = const { Cell::new(None) };
    static ANSWER: Cell<Option<(SessionId, Option<Vec<u8>>)>> = const { Cell::new(None) };
    static PUTS: RefCell<VecDeque<Put>> = const { RefCell::new(VecDeque::new()) };
}

fn places() -> Result<&'static Places, ErrorStack> {
    if PLACES.get().is_none() {
        let places = Places {
            stateful: SslContext::new_ex_index()?,
            asked: Ssl::new_ex_index()?,
        };
        // Another thread's places are as good.
        let _ = PLACES.set(places);
    }
    PLACES.get().ok_or_else(ErrorStack::get)
}

/// Has new sessions sealed for the store and old ones looked for there. `stateful`: there are no tickets, every
/// session is in the store; otherwise only those of TLS 1.2 clients without tickets are.
///
/// The client-hello callback of the context has to call [`inquire`].
pub fn enable(context: &mut SslContextBuilder, stateful: bool) -> Result<(), ErrorStack> {
    let Places {
        stateful: place,
        asked,
    } = *places()?;
    context.set_ex_data(place, stateful);
    context.set_session_cache_mode(SslSessionCacheMode::SERVER | SslSessionCacheMode::NO_INTERNAL);
    if stateful {
        context.set_options(SslOptions::NO_TICKET);
    }
    context.set_new_session_callback(move |ssl, session| {
        // With TLS 1.3 the new session ends the handshake.
        if let Some(asked) = ssl.ex_data_mut(asked) {
            *asked = None;
        }
        // Without `stateful` a session of TLS 1.3 is in its ticket.
        if stateful || session.protocol_version() != SslVersion::TLS1_3 {
            leave(prepare(&session));
        }
    });
    provider::look_sessions_up(context, move |ssl, id| find(ssl.ex_data_mut(asked)?, id));
    Ok(())
}

/// Lays it ready. Of those that nobody takes the oldest go.
fn leave(put: Option<Put>) {
    PUTS.with_borrow_mut(|puts| {
        puts.extend(put);
        let surplus = puts.len().saturating_sub(MOST_PUTS);
        puts.drain(..surplus);
    });
}

fn prepare(session: &SslSession) -> Option<Put> {
    let id = session.id().try_into().ok()?;
    let key = provider::new_ticket()?;
    let sealed = seal::seal(&key, &id, &session.to_der().ok()?).ok()??;
    Some(Put {
        id,
        lifetime: session.timeout().try_into().ok()?,
        sealed,
    })
}

fn find(asked: &mut Option<Asked>, id: &[u8]) -> Option<Vec<u8>> {
    let Asked { wish, sealed } = asked.as_mut().filter(|asked| asked.wish.id == id)?;
    let session = seal::open(provider::open_ticket, &wish.id, sealed.as_ref()?);
    // A client of TLS 1.3 that was sent back for another key share asks a second time; the others do not.
    if !wish.once {
        *asked = None;
    }
    session
}

/// Looks at the client's hello: names it a session that the store may have, and that was not asked for yet?
pub fn inquire(ssl: &mut SslRef) -> Verdict {
    let Some(places) = PLACES.get() else {
        return Verdict::GoOn;
    };
    let Some(&stateful) = ssl.ssl_context().ex_data(places.stateful) else {
        return Verdict::GoOn;
    };
    let Some(wish) = hello::wish(ssl, stateful) else {
        return Verdict::GoOn;
    };
    let asked = ssl.ex_data(places.asked).and_then(Option::as_ref);
    if asked.is_some_and(|asked| asked.wish == wish) {
        return Verdict::GoOn;
    }
    match ANSWER.take() {
        Some((id, sealed)) if id == wish.id => {
            ssl.set_ex_data(places.asked, Some(Asked { wish, sealed }));
            Verdict::GoOn
        }
        _ => {
            WISH.set(Some(wish));
            Verdict::Suspend
        }
    }
}

/// What the handshake that was just suspended waits for.
pub fn take_wish() -> Option<Wish> {
    WISH.take()
}

/// Hands over the store's answer; the next step of a handshake has to be the one that waits for it. Without an answer
/// in time it is `None`.
pub fn supply(id: SessionId, sealed: Option<Vec<u8>>) {
    ANSWER.set(Some((id, sealed)));
}

/// What the step that was just made left for the store, one after the other: TLS 1.3 may give a client several sessions.
pub fn take_put() -> Option<Put> {
    PUTS.with_borrow_mut(VecDeque::pop_front)
}

#[cfg(test)]
mod tests;
