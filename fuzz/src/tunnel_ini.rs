//! `tunnel.ini`, from its bytes to a configuration.
#![forbid(unsafe_code)]

use sslserver::tunnel::Invocation;

use super::temporary::Temporary;

pub fn run(bytes: &[u8]) -> bool {
    let file = Temporary::with(bytes);
    let Ok(invocation) = Invocation::parse(["tunnel".into(), file.path().into()]) else {
        return false;
    };
    assert_eq!(invocation.reparse().as_ref(), Ok(&invocation.config));
    true
}
