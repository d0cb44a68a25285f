//! Signals as a descriptor; the state that an application must find is put back before it is executed.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that the owner asked for, read from a descriptor instead of interrupting.
pub struct Signals {
    source: SignalFd,
    /// The mask this process was started with.
    inherited: SigSet,
}

impl Signals {
    /// Blocks `wanted` and opens the descriptor they arrive on.
    pub fn catch(wanted: &[Signal]) -> Result<Signals, Errno> {
        let set: SigSet = wanted.iter().copied().collect();
        let inherited = SigSet::thread_get_mask()?;
        set.thread_block()?;
        let source = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { source, inherited })
    }

    /// The next signal that has arrived.
    pub fn next(&self) -> Option<Signal> {
        self.next_with_source().map(|(signal, _)| signal)
    }

    /// The same, and whether a process sent it; otherwise it came from a terminal or the kernel itself.
    pub fn next_with_source(&self) -> Option<(Signal, bool)> {
        let info = self.source.read_signal().ok()??;
        let signal = Signal::try_from(info.ssi_signo as i32).ok()?;
        Some((signal, info.ssi_code <= 0))
    }

    /// The mask that applications get.
    pub fn inherited(&self) -> &SigSet {
        &self.inherited
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

/// Gives every signal its default disposition, except that a write to nobody is an error and not a death.
pub fn reset_dispositions() {
    for signal in Signal::iterator() {
        let handler = match signal {
            Signal::SIGPIPE => SigHandler::SigIgn,
            _ => SigHandler::SigDfl,
        };
        set_disposition(signal, handler);
    }
}

/// For a role that has no terminal and no supervisor of its own: only the listener's end ends it.
pub fn ignore(signals: &[Signal]) {
    for &signal in signals {
        set_disposition(signal, SigHandler::SigIgn);
    }
}

/// Gives one signal its default action back.
pub fn restore(signal: Signal) {
    set_disposition(signal, SigHandler::SigDfl);
}

/// Unblocks everything: for those that read no signals.
pub fn unblock_all() {
    // Cannot fail: the arguments are constants.
    let _ = SigSet::empty().thread_set_mask();
}

fn set_disposition(signal: Signal, handler: SigHandler) {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler function is installed, only the two built-in dispositions. SIGKILL and SIGSTOP refuse.
    let _ = unsafe { sigaction(signal, &action) };
}
