//! The clients' side of TLS, for those benchmarks whose servers speak it.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::pkey::Id;
use openssl::ssl::{
    ShutdownState, Ssl, SslContext, SslMethod, SslMode, SslSession, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};

/// More than are ever under way at once.
const MOST_SESSIONS: usize = 64;

pub struct Tls {
    context: SslContext,
    version: SslVersion,
    groups: Groups,
    certificate: Vec<u8>,
    /// The latest that the server gave to come back with.
    sessions: Arc<Mutex<VecDeque<SslSession>>>,
}

/// For the key exchange.
#[derive(Clone, Copy)]
pub struct Groups {
    /// What the client offers; None: what its library offers if nobody says anything.
    pub offered: Option<&'static str>,
    /// The kind of key that the server chooses of it.
    pub becomes: Id,
}

impl Tls {
    /// One version and one cipher, so that every server does the same work.
    pub fn new(version: SslVersion, groups: Groups, certificate: &[u8]) -> Result<Tls, String> {
        let sessions: Arc<Mutex<VecDeque<SslSession>>> = Arc::default();
        let context = context(version, groups, Arc::clone(&sessions))
            .map_err(|e| format!("unable to prepare TLS: {e}"))?;
        Ok(Tls {
            context,
            version,
            groups,
            certificate: certificate.to_owned(),
            sessions,
        })
    }

    /// TLS that has said nothing yet, with a session to come back with or without.
    pub fn over(
        &self,
        stream: TcpStream,
        session: Option<&SslSession>,
    ) -> Result<SslStream<TcpStream>, String> {
        let trouble = |e: ErrorStack| format!("unable to prepare TLS: {e}");
        let mut ssl = Ssl::new(&self.context).map_err(trouble)?;
        if let Some(session) = session {
            // SAFETY: the session comes from the callback of this context and no other.
            #[allow(unsafe_code, reason = "there is no safe way to resume a session")]
            unsafe { ssl.set_session(session) }.map_err(trouble)?;
        }
        SslStream::new(ssl, stream).map_err(trouble)
    }

    pub fn session(&self) -> Result<SslSession, String> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        // OpenSSL uses a ticket of TLS 1.3 once only. The server gives another each time, with TLS 1.2 only now and then.
        let session = if self.version == SslVersion::TLS1_3 {
            sessions.pop_front()
        } else {
            sessions.back().cloned()
        };
        session.ok_or_else(|| "the server gave no session to come back with".to_owned())
    }

    /// After the handshake: that it was the one asked for.
    pub fn check(&self, stream: &SslStream<TcpStream>, resumed: bool) -> Result<(), String> {
        let ssl = stream.ssl();
        if ssl.version2() != Some(self.version) {
            return Err(format!("the handshake led to {}", ssl.version_str()));
        }
        if ssl.session_reused() != resumed {
            return Err(if resumed {
                "the session was not resumed".to_owned()
            } else {
                "the handshake was not a full one".to_owned()
            });
        }
        // TLS 1.2 exchanges no key when it resumes.
        let group = ssl.peer_tmp_key().map(|key| key.id());
        if !resumed && group.ok() != Some(self.groups.becomes) {
            return Err("the key exchange was not in the group that was expected".to_owned());
        }
        let seen = ssl
            .peer_certificate()
            .and_then(|certificate| certificate.to_der().ok());
        if seen.as_ref() != Some(&self.certificate) {
            return Err("it showed another certificate".to_owned());
        }
        Ok(())
    }
}

fn context(
    version: SslVersion,
    groups: Groups,
    sessions: Arc<Mutex<VecDeque<SslSession>>>,
) -> Result<SslContext, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_min_proto_version(Some(version))?;
    context.set_max_proto_version(Some(version))?;
    context.set_ciphersuites("TLS_AES_256_GCM_SHA384")?;
    context.set_cipher_list("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384")?;
    if let Some(offered) = groups.offered {
        context.set_groups_list(offered)?;
    }
    // The certificate is compared byte for byte after the handshake, which says more than a check of its chain.
    context.set_verify(SslVerifyMode::NONE);
    context.set_read_ahead(true);
    // What is written again after a wait is made anew.
    context.set_mode(SslMode::ACCEPT_MOVING_WRITE_BUFFER);
    context.set_session_cache_mode(SslSessionCacheMode::CLIENT);
    context.set_new_session_callback(move |_, session| {
        let mut kept = sessions.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(session);
        if kept.len() > MOST_SESSIONS {
            kept.pop_front();
        }
    });
    Ok(context.build())
}

/// The end was said inside TLS, so nobody cut the bytes off.
pub fn check_end(stream: &mut SslStream<TcpStream>) -> Result<(), String> {
    let said = stream.get_shutdown().contains(ShutdownState::RECEIVED);
    // The library keeps no session of a connection that was not ended in order; that the socket may be closed by now is no matter.
    let _ = stream.shutdown();
    if said {
        Ok(())
    } else {
        Err("the bytes ended without close_notify".to_owned())
    }
}
