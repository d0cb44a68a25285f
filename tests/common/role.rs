//! A role that is a process of its own: this program once more, which becomes the role before it has a second thread.
#![forbid(unsafe_code)]

use super::peers::wait;
use super::{LIMIT, Process};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

pub struct RoleProcess(Child);

impl RoleProcess {
    /// With the words that make this program the role, and the end of a channel as its descriptor 0.
    pub fn start(words: &[String], end: OwnedFd) -> RoleProcess {
        let child = Command::new(std::env::current_exe().expect("our own program"))
            .args(words)
            .stdin(Stdio::from(end))
            .spawn();
        RoleProcess(child.expect("the role"))
    }

    pub fn process(&self) -> Process {
        Process::read(self.0.id() as i32).expect("the role lives")
    }

    /// Waits for the end; the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        wait(&mut self.0, LIMIT).expect("an end").code()
    }
}

impl Drop for RoleProcess {
    fn drop(&mut self) {
        // Not to be waited for where a test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
