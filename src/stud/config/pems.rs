//! Files with certificate and key, and directories of them, put into one list.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::path::PathBuf;

use super::Pem;
use super::draft::{PemFile, Pems, Tls};
use super::folder;
use crate::tls::client::Demand;

/// Every PEM once, however many frontends have it.
#[derive(Default)]
pub struct Collection {
    pub list: Vec<Pem>,
    /// By the certificate's path: thousands would take long to look through.
    places: HashMap<PathBuf, Vec<usize>>,
}

impl Collection {
    pub fn add(&mut self, pem: Pem) -> usize {
        let places = self.places.entry(pem.certificate.clone()).or_default();
        if let Some(known) = places.iter().find(|place| self.list[**place] == pem) {
            return *known;
        }
        places.push(self.list.len());
        self.list.push(pem);
        self.list.len() - 1
    }

    /// The places of all files, in the order in which they are listed.
    pub fn add_all(&mut self, pems: &Pems, tls: &Tls) -> Result<Vec<usize>, String> {
        let mut places = Vec::new();
        for pem in &pems.0 {
            let Some(path) = &pem.certificate.0 else {
                continue;
            };
            match path.is_dir() {
                true => {
                    let files = folder::list(path, None)?;
                    if files.is_empty() {
                        return Err(format!("{} has no PEM file in it", path.display()));
                    }
                    places.extend(files.into_iter().map(plain).map(|pem| self.add(pem)));
                }
                false => places.push(self.add(file(pem, path.clone(), tls)?)),
            }
        }
        Ok(places)
    }
}

/// A block may name authorities of its own for the frontend's demand.
fn file(pem: &PemFile, certificate: PathBuf, tls: &Tls) -> Result<Pem, String> {
    let inherited = pem.authorities.0.as_ref().and(tls.demand);
    let own = &pem.authorities.0;
    let authorities = own.clone().or_else(|| tls.authorities.0.clone());
    let demand = pem.demand.or(inherited);
    if demand.is_some_and(|demand| demand != Demand::Nothing) && authorities.is_none() {
        return Err(format!(
            "clients of {} are asked for certificates: name whom they are traced back to in client-verify-ca",
            certificate.display()
        ));
    }
    Ok(Pem {
        key: pem.key.0.clone().unwrap_or_else(|| certificate.clone()),
        certificate,
        staple: pem.staple.0.clone(),
        demand: demand.map(|demand| (demand, authorities)),
    })
}

/// A file with nothing of its own beside it.
pub fn plain(path: PathBuf) -> Pem {
    Pem {
        key: path.clone(),
        certificate: path,
        staple: None,
        demand: None,
    }
}
