//! What clients have to show, made ready for OpenSSL: whom their certificates are traced back to, and whose names they
//! are told.
#![forbid(unsafe_code)]

use openssl::error::ErrorStack;
use openssl::sha::Sha256;
use openssl::ssl::{SslContextBuilder, SslRef, SslVerifyMode};
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509Crl};

use super::client::Demand;
use super::provider;

pub struct Gate {
    demand: Demand,
    anchors: X509Store,
    names: Vec<X509>,
    id: [u8; 32],
}

impl Gate {
    /// `names` are those of whom clients are told; their certificates are good if they can be traced back to an anchor
    /// and nobody on the way is revoked.
    pub fn new(
        demand: Demand,
        anchors: &[X509],
        names: &[X509],
        revoked: &[X509Crl],
    ) -> Result<Gate, ErrorStack> {
        let mut id = Sha256::new();
        id.update(&[demand as u8]);
        let mut store = X509StoreBuilder::new()?;
        if demand != Demand::Nothing {
            for anchor in anchors {
                id.update(&anchor.to_der()?);
                store.add_cert(anchor.clone())?;
            }
            for list in revoked {
                id.update(&list.to_der()?);
                provider::add_revoked(&mut store, list)?;
            }
            if !revoked.is_empty() {
                // A revoked authority revokes what it signed.
                store.set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL)?;
            }
        }
        Ok(Gate {
            demand,
            anchors: store.build(),
            names: names.to_vec(),
            id: id.finish(),
        })
    }

    /// For everybody.
    pub fn open() -> Result<Gate, ErrorStack> {
        Gate::new(Demand::Nothing, &[], &[], &[])
    }

    pub fn demand(&self) -> Demand {
        self.demand
    }

    /// Stands for what is demanded: alike on all machines, and after a reload, where the same is.
    pub fn id(&self) -> &[u8; 32] {
        &self.id
    }

    fn mode(&self) -> SslVerifyMode {
        match self.demand {
            Demand::Nothing => SslVerifyMode::NONE,
            Demand::Optional => SslVerifyMode::PEER,
            Demand::Valid | Demand::Named => {
                SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT
            }
        }
    }

    /// For all connections of a context that are given no other.
    pub fn use_by_default(&self, context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        context.set_verify(self.mode());
        if self.demand != Demand::Nothing {
            provider::verify_by_default_against(context, &self.anchors)?;
            for certificate in &self.names {
                context.add_client_ca(certificate)?;
            }
        }
        Ok(())
    }

    /// For one connection, instead of what its context says.
    pub fn use_on(&self, ssl: &mut SslRef) -> Result<(), ErrorStack> {
        ssl.set_verify(self.mode());
        if self.demand != Demand::Nothing {
            provider::verify_against(ssl, &self.anchors)?;
            ssl.set_client_ca_list(Stack::new()?);
            for certificate in &self.names {
                ssl.add_client_ca(certificate)?;
            }
        }
        Ok(())
    }
}
