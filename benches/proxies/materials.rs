//! What every run needs before the first proxy starts: throw-away identities.
#![forbid(unsafe_code)]

use std::fs;
use std::path::PathBuf;

use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;

use crate::common::scratch::Scratch;
use crate::identity;
use crate::rows::Key;

pub struct Materials {
    pub scratch: Scratch,
    p256: Served,
    rsa2048: Served,
    rsa4096: Served,
}

pub struct Served {
    /// Key and certificate in one file, as most proxies want them.
    pub pem: PathBuf,
    /// What clients must see.
    pub certificate_der: Vec<u8>,
}

impl Materials {
    pub fn make() -> Result<Materials, String> {
        let scratch = Scratch::make()?;
        Ok(Materials {
            p256: served(&scratch, "p256", &identity::p256()?)?,
            rsa2048: served(&scratch, "rsa2048", &rsa(2048)?)?,
            rsa4096: served(&scratch, "rsa4096", &rsa(4096)?)?,
            scratch,
        })
    }

    pub fn served(&self, key: Key) -> &Served {
        match key {
            Key::P256 => &self.p256,
            Key::Rsa2048 => &self.rsa2048,
            Key::Rsa4096 => &self.rsa4096,
        }
    }
}

fn rsa(bits: u32) -> Result<PKey<Private>, String> {
    Rsa::generate(bits)
        .and_then(PKey::from_rsa)
        .map_err(|e| format!("unable to make a key: {e}"))
}

fn served(scratch: &Scratch, name: &str, key: &PKey<Private>) -> Result<Served, String> {
    let identity = identity::make(scratch, name, key)?;
    let mut both = Vec::new();
    for file in [&identity.key, &identity.certificate] {
        let part = fs::read(file).map_err(|e| format!("unable to read {}: {e}", file.display()))?;
        both.extend(part);
    }
    Ok(Served {
        pem: scratch.write(&format!("{name}.pem"), &both)?,
        certificate_der: identity.certificate_der,
    })
}
