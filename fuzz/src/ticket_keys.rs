//! The file of ticket keys that machines share.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use sslserver::tls::material::Files;
use sslserver::tls::tickets::{self, TicketSecrets};

use super::temporary::Temporary;

pub fn run(bytes: &[u8]) -> bool {
    let path = PathBuf::from("keys");
    let mut files = Files::default();
    files.opened.insert(path.clone(), Temporary::with(bytes).0);
    let mut secrets = match TicketSecrets::from_file(&files, &path) {
        Ok((secrets, _)) => secrets,
        Err(unusable) => {
            assert!(!unusable.to_string().contains(char::is_control));
            return false;
        }
    };
    let now = tickets::now();
    let key = secrets.fresh(now).unwrap();
    let state = secrets.encode();
    let mut heir = TicketSecrets::decode(&state, now).unwrap();
    assert_eq!(heir.encode(), state);
    assert!(heir.open(key.name, now) == Some(key));
    true
}
