//! Connections as a client that take up the session of the one before them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslContextRef, SslSession, SslSessionCacheMode,
};

/// For so many different servers a session is kept.
const MOST: usize = 256;

/// A client's context with the last session of each server.
pub struct ClientContext {
    context: SslContext,
    sessions: Arc<Mutex<HashMap<String, SslSession>>>,
}

/// Under which name a connection's session is kept.
static SLOT: OnceLock<Index<Ssl, String>> = OnceLock::new();

impl ClientContext {
    pub fn new(mut context: SslContextBuilder) -> Result<ClientContext, ErrorStack> {
        let slot = Ssl::new_ex_index()?;
        let slot = *SLOT.get_or_init(|| slot);
        let sessions = Arc::new(Mutex::new(HashMap::new()));
        let kept = sessions.clone();
        context
            .set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
        context.set_new_session_callback(move |ssl, session| {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(server) = ssl.ex_data(slot) {
                if kept.len() >= MOST {
                    kept.clear();
                }
                kept.insert(server.clone(), session);
            }
        });
        Ok(ClientContext {
            context: context.build(),
            sessions,
        })
    }

    pub fn context(&self) -> &SslContextRef {
        &self.context
    }

    /// A connection that tries to resume the last session with this server.
    pub fn connection(&self, server: &str) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        let kept = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = kept.get(server) {
            // SAFETY: the session was made by a connection of the same context.
            unsafe { ssl.set_session(session)? };
        }
        if let Some(&slot) = SLOT.get() {
            ssl.set_ex_data(slot, server.to_owned());
        }
        ssl.set_connect_state();
        Ok(ssl)
    }
}
