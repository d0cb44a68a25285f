//! The one step of a client that the openssl crate takes for unsafe.

use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslSession};

/// Has a connection ask for a session again that was got from a connection of the same context.
pub fn ask_for(ssl: &mut Ssl, session: &SslSession) -> Result<(), ErrorStack> {
    // SAFETY: crowds have one context each, from whose callback all their sessions come.
    unsafe { ssl.set_session(session) }
}
