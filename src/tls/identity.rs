//! A certificate chain and its key as OpenSSL wants them. The key stands for the one that the keeper has.
#![forbid(unsafe_code)]

use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Params, Private};
use openssl::ssl::{SslContextBuilder, SslRef};
use openssl::stack::Stack;
use openssl::x509::{X509, X509Ref};

use super::provider;

pub struct Identity {
    leaf: X509,
    others: Stack<X509>,
    key: PKey<Private>,
    kind: Id,
    dh: Option<Dh<Params>>,
}

impl Identity {
    /// The first certificate is that of the key of this number. DH parameters are PEM, or nothing.
    pub fn new(
        key: u16,
        certificates: impl IntoIterator<Item = X509>,
        dh: &[u8],
    ) -> Result<Identity, ErrorStack> {
        provider::install()?;
        let mut certificates = certificates.into_iter();
        // There is none without a certificate; if there were, there would be no reason to give.
        let leaf = certificates.next().ok_or_else(ErrorStack::get)?;
        let mut others = Stack::new()?;
        for certificate in certificates {
            others.push(certificate)?;
        }
        let public = leaf.public_key()?;
        let dh = (!dh.is_empty()).then(|| Dh::params_from_pem(dh));
        Ok(Identity {
            key: provider::private_key(key, &public)?,
            kind: public.id(),
            leaf,
            others,
            dh: dh.transpose()?,
        })
    }

    /// Which kind of key it has: a connection may have one of each.
    pub fn kind(&self) -> Id {
        self.kind
    }

    pub fn leaf(&self) -> &X509Ref {
        &self.leaf
    }

    pub fn chain(&self) -> impl Iterator<Item = &X509Ref> {
        std::iter::once(&*self.leaf).chain(&self.others)
    }

    /// For all connections that are given no other.
    pub fn use_by_default(&self, context: &mut SslContextBuilder) -> Result<(), ErrorStack> {
        provider::use_by_default(context, &self.leaf, &self.others, &self.key)?;
        match &self.dh {
            Some(dh) => context.set_tmp_dh(dh),
            None => Ok(()),
        }
    }

    /// For one connection, beside those of other kinds.
    pub fn use_on(&self, ssl: &mut SslRef) -> Result<(), ErrorStack> {
        provider::use_identity(ssl, &self.leaf, &self.others, &self.key)?;
        match &self.dh {
            Some(dh) => ssl.set_tmp_dh(dh),
            None => Ok(()),
        }
    }
}
