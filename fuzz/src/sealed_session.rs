//! Sessions that lie in a store, which may bring back anything: nothing is opened that was not sealed.
#![forbid(unsafe_code)]

use sslserver::tls::sessions::{MAX_SEALED, SessionId, seal};
use sslserver::tls::tickets::TicketKey;

const ID: SessionId = [1; 32];
/// Of the seed that can be opened, too.
const KEY: TicketKey = TicketKey {
    name: [2; 16],
    cipher: [3; 32],
    mac: [4; 32],
};

pub fn run(bytes: &[u8]) -> bool {
    let open = |id: &SessionId, sealed: &[u8]| {
        let keys = |name| Some(KEY).filter(|key| key.name == name);
        seal::open(keys, id, sealed)
    };
    let opened = open(&ID, bytes);
    if let Some(sealed) = seal::seal(&KEY, &ID, bytes).unwrap() {
        assert!(sealed.len() <= MAX_SEALED);
        assert_eq!(open(&ID, &sealed).as_deref(), Some(bytes));
        assert_eq!(open(&[9; 32], &sealed), None);
        let mut damaged = sealed;
        let place = bytes.len() % damaged.len();
        damaged[place] ^= 1;
        assert_eq!(open(&ID, &damaged), None);
    }
    opened.is_some()
}
