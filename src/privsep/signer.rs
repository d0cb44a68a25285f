//! The signer: a child of the keeper that shares its keys and serves one worker, so that no worker's signature waits
//! behind another's. It has no network and answers nothing but handshakes and tickets.
#![forbid(unsafe_code)]

use super::message::{KeeperToTerminator, SignerToWorker};
use super::role;
use super::safe::{self, Safe};
use super::sandbox;

/// Tells the worker what everybody may know, then serves it to its end.
pub fn run(safe: &mut Safe, publish: KeeperToTerminator, worker: SignerToWorker) -> u8 {
    role::rename(c"ssl-signer");
    sandbox::confine_child();
    for part in safe.set.parts() {
        if publish.send(part, &[]).is_err() {
            return 0;
        }
    }
    // What was told stays: it is the keeper's memory, and freeing it here would be what copies it.
    drop(publish);
    // Ends when the worker does, or breaks its word.
    while let Ok((request, _)) = worker.receive() {
        let Safe { set, tickets } = safe;
        let sign = |key: u16, scheme, message: &[u8]| set.sign(key.into(), scheme, message);
        let Ok(reply) = safe::answer(request, sign, tickets) else {
            // Whoever asks for that is no worker of ours any more.
            return 111;
        };
        if worker.send(&reply, &[]).is_err() {
            return 0;
        }
    }
    0
}
