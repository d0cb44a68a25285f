//! Handshakes of a process with itself, before it forks: OpenSSL looks up and keeps every algorithm the first time it
//! is used, which takes longer than the handshake. What the parent has looked up its children need not.
#![forbid(unsafe_code)]

use openssl::error::ErrorStack;
use openssl::ssl::{
    Ssl, SslContext, SslContextRef, SslMethod, SslOptions, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};

use super::stream::{Got, Shake, Tls, Wire};

/// What present-day clients ask for: version, cipher, group.
const SCENES: [(SslVersion, &str, &str); 6] = [
    (SslVersion::TLS1_3, "TLS_AES_256_GCM_SHA384", "X25519"),
    (SslVersion::TLS1_3, "TLS_AES_128_GCM_SHA256", "P-256"),
    (SslVersion::TLS1_3, "TLS_CHACHA20_POLY1305_SHA256", "X25519"),
    (
        SslVersion::TLS1_3,
        "TLS_AES_256_GCM_SHA384",
        "X25519MLKEM768",
    ),
    (SslVersion::TLS1_2, "ECDHE+AESGCM", "X25519:P-256"),
    (SslVersion::TLS1_2, "ECDHE+AESGCM", "P-256"),
];

/// The kinds of keys, by what a client would accept of them.
const SIGNATURES: [&str; 3] = [
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512",
    "RSA-PSS+SHA256:RSA+SHA256",
    "ed25519",
];

/// A handshake takes two round trips at the most, and a reply to each.
const ROUNDS: usize = 8;

/// Plays all scenes with a fresh signer for each (`before`). One that settings or library do not allow fails and says
/// nothing: it will fail for clients too.
pub fn rehearse(context: &SslContextRef, mut before: impl FnMut()) {
    for (version, cipher, group) in SCENES {
        for signatures in SIGNATURES {
            before();
            if let Ok(client) = client(version, cipher, group, signatures) {
                let _ = play(context, client);
            }
        }
    }
}

fn client(
    version: SslVersion,
    cipher: &str,
    group: &str,
    signatures: &str,
) -> Result<SslStream<Wire>, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_verify(SslVerifyMode::NONE);
    context.set_options(SslOptions::NO_TICKET);
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_min_proto_version(Some(version))?;
    context.set_max_proto_version(Some(version))?;
    match version {
        SslVersion::TLS1_3 => context.set_ciphersuites(cipher)?,
        _ => context.set_cipher_list(cipher)?,
    }
    context.set_groups_list(group)?;
    context.set_sigalgs_list(signatures)?;
    let mut ssl = Ssl::new(&context.build())?;
    ssl.set_connect_state();
    SslStream::new(ssl, Wire::default())
}

/// Shakes hands, says a word each way and closes.
fn play(context: &SslContextRef, mut client: SslStream<Wire>) -> Result<(), ErrorStack> {
    let mut server = Tls::new(context)?;
    for _ in 0..ROUNDS {
        let ready = client.do_handshake().is_ok();
        pass(client.get_mut(), server.wire());
        match server.handshake() {
            Err(_) => return Ok(()),
            Ok(Shake::Done) if ready => break,
            Ok(_) => pass(server.wire(), client.get_mut()),
        }
    }
    let mut word = [0; 16];
    if client.ssl_write(b"word").is_ok() {
        pass(client.get_mut(), server.wire());
        if let Ok(Got::Data(count)) = server.read(&mut word) {
            let _ = server.write(&word[..count]);
        }
        server.close();
    }
    Ok(())
}

fn pass(from: &mut Wire, to: &mut Wire) {
    to.input.append(from.output.as_slice());
    from.output.clear();
}

#[cfg(test)]
mod tests {
    use openssl::asn1::Asn1Time;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use openssl::x509::X509;

    use super::*;

    #[test]
    fn the_scenes_are_played_to_the_end() {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut certificate = X509::builder().unwrap();
        let (start, end) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(1));
        certificate.set_not_before(&start.unwrap()).unwrap();
        certificate.set_not_after(&end.unwrap()).unwrap();
        certificate.set_pubkey(&key).unwrap();
        certificate.sign(&key, MessageDigest::sha256()).unwrap();
        let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
        context.set_certificate(&certificate.build()).unwrap();
        context.set_private_key(&key).unwrap();
        let context = context.build();
        for (version, cipher, group) in [SCENES[0], SCENES[4]] {
            let mut client = client(version, cipher, group, SIGNATURES[0]).unwrap();
            let mut server = Tls::new(&context).unwrap();
            let mut done = false;
            for _ in 0..ROUNDS {
                let ready = client.do_handshake().is_ok();
                pass(client.get_mut(), server.wire());
                done = server.handshake().unwrap() == Shake::Done && ready;
                pass(server.wire(), client.get_mut());
            }
            assert!(done, "{version:?}");
        }
    }
}
