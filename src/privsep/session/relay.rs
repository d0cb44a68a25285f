//! The loop around the pump of one connection: it waits, keeps the times, and gives memory back in quiet ones.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::privsep::message::Ending;
use crate::relay::buffer::Scratch;
use crate::relay::plain::Pipes;
use crate::relay::pump::Pump;
use crate::sys::descriptor::{self, Ready};
use crate::sys::heap;
use crate::tls::stream::TlsError;

/// How long a client may hang on after the application is done and has been heard.
pub const LINGER: Duration = Duration::from_secs(5);
/// How long an application may take to end that has said its own end, before it is told that the peer's was improper.
const DOUBT: Duration = Duration::from_millis(100);
/// How long a ticket waits for data to go with it.
const HOLD: Duration = Duration::from_millis(20);
/// After so much quiet the memory of the last batch is given back.
const QUIET: Duration = Duration::from_millis(250);

/// Relays until both sides are done or one is gone, with so much idle time allowed.
pub fn relay(pump: &mut Pump<Pipes>, idle: Duration, scratch: &mut Scratch) -> Ending {
    let mut verdict = pump.start(scratch);
    let mut lingering: Option<Instant> = None;
    let mut heard = 0;
    let mut doubtful: Option<Instant> = None;
    let mut quiet_since = Instant::now();
    let mut released = false;
    loop {
        if let Err(TlsError(reason)) = verdict {
            return Ending::Broken(reason);
        }
        if pump.is_complete() {
            return match pump.peer_gone() {
                Some(errno) => Ending::ClientGone(errno.desc().to_owned()),
                None => Ending::Complete,
            };
        }
        if pump.is_lingering() && lingering.is_none() {
            lingering = Some(Instant::now() + LINGER);
            heard = pump.counts().0;
        }
        if lingering.is_some() && speaks_to_nobody(pump, heard) {
            return Ending::Complete;
        }
        if pump.has_work() {
            verdict = pump.turn(scratch);
            continue;
        }
        let now = Instant::now();
        if pump.is_in_doubt() && doubtful.is_none() {
            doubtful = Some(now + DOUBT);
        }
        if doubtful.is_some_and(|end| end <= now) {
            pump.believe(scratch);
            doubtful = None;
            continue;
        }
        let ends = [lingering, doubtful].into_iter().flatten();
        let end = ends.fold(quiet_since + idle, Instant::min);
        let left = end.saturating_duration_since(now);
        if left.is_zero() {
            match (lingering, pump.has_input()) {
                // The application was heard to the end; a client that never closes is its own affair.
                (Some(_), _) => return Ending::Complete,
                // First the application is told that nothing more comes; it may have something to say to that.
                (None, true) => pump.end_input(),
                (None, false) => return Ending::Idle,
            }
            quiet_since = now;
            continue;
        }
        let pause = match (pump.is_held(), released) {
            (true, _) => left.min(HOLD),
            (false, false) => left.min(QUIET),
            (false, true) => left,
        };
        let ready = match descriptor::wait(pump.interest(), pause) {
            Ok(ready) => ready,
            Err(errno) => return Ending::Broken(errno.desc().into()),
        };
        if ready.into_iter().any(Ready::is_any) {
            if released {
                *scratch = Scratch::new();
                released = false;
            }
            quiet_since = Instant::now();
            pump.notice(ready);
            verdict = pump.turn(scratch);
        } else if pump.is_held() {
            pump.let_go(scratch);
        } else if !released {
            released = true;
            pump.release();
            *scratch = Scratch::default();
            heap::trim();
        }
    }
}

/// A server goes on although our side has gone, without a word that it might still be reading.
fn speaks_to_nobody(pump: &Pump<Pipes>, heard: u64) -> bool {
    let (received, sent) = pump.counts();
    !pump.tls().ssl().is_server() && sent == 0 && received > heard
}
