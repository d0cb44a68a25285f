//! Everything on one core for a while: what it costs to wake another one varies more from run to
//! run than what is measured.
#![forbid(unsafe_code)]

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Holds for this thread and for the threads and processes that it starts, which keep to it.
pub struct OneCore {
    before: CpuSet,
}

const SELF: Pid = Pid::from_raw(0);

impl OneCore {
    pub fn enter() -> Result<OneCore, String> {
        let trouble = |e: Errno| format!("unable to keep to one core: {e}");
        let before = sched_getaffinity(SELF).map_err(trouble)?;
        let mut allowed = (0..CpuSet::count()).rev();
        // The first is where most interrupts go.
        let last = allowed
            .find(|core| before.is_set(*core).unwrap_or(false))
            .ok_or("no core is allowed")?;
        let mut one = CpuSet::new();
        one.set(last).map_err(trouble)?;
        sched_setaffinity(SELF, &one).map_err(trouble)?;
        Ok(OneCore { before })
    }
}

impl Drop for OneCore {
    fn drop(&mut self) {
        if let Err(e) = sched_setaffinity(SELF, &self.before) {
            eprintln!("unable to use all cores again: {e}");
        }
    }
}
