//! Going to the background: the program forks, and whoever started it waits until the fork says that it serves, so that
//! what goes wrong until then is seen and told by the exit code.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, Pid, chdir, pipe2, read, setsid, write};

use super::{descriptor, process};

/// Whoever started the program, held back until it serves.
pub struct Starter {
    end: OwnedFd,
}

/// Goes to the background. This returns in the daemon alone, which has a session of its own, and still the standard
/// streams and the directory it was started with. What was started waits for no longer than `patience` and leaves:
/// with 0 when the daemon is ready, after a line on standard output whose fifth word is the daemon's number and a full
/// stop, which is where start scripts look for it; with 1 when the daemon has ended, or is not ready in time.
///
/// To be called while there is one thread.
pub fn detach(program: &str, patience: Duration) -> Result<Starter, Errno> {
    let (ready, end) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: single-threaded, see above: both processes may go on using everything.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => {
            drop(end);
            // Nothing is dropped: files and sockets are the daemon's now.
            process::leave(attend(program, child, &ready, patience))
        }
        ForkResult::Child => {
            setsid()?;
            Ok(Starter { end })
        }
    }
}

impl Starter {
    /// Lets the starter go with success. Nothing holds on to where we came from any more: standard streams and
    /// directory are given up first.
    pub fn release(self) -> io::Result<()> {
        chdir("/")?;
        descriptor::null_on(&[0, 1, 2])?;
        // A starter that was killed meanwhile is not our affair.
        let _ = write(&self.end, b"R");
        Ok(())
    }
}

/// What the starter does. Answers its exit code.
fn attend(program: &str, daemon: Pid, ready: &OwnedFd, patience: Duration) -> u8 {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = descriptor::wait([Some((ready.as_fd(), PollFlags::POLLIN))], left);
        if waited.is_ok_and(|[ready]| ready.readable) {
            break;
        }
        if left.is_zero() || waited.is_err() {
            let _ = writeln!(
                io::stderr(),
                "{program}: ended because it was not ready within {} seconds",
                patience.as_secs()
            );
            let _ = kill(daemon, Signal::SIGKILL);
            return 1;
        }
    }
    match read(ready, &mut [0]) {
        Ok(1) => {
            let mut output = io::stdout();
            let _ = writeln!(output, "{program}: running as process {daemon}.");
            let _ = output.flush();
            0
        }
        // It is gone, and has said why.
        _ => 1,
    }
}
