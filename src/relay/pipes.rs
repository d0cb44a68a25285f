//! Pipes to splice through. An idle connection has none: they are lent for a turn, and for as long as something is
//! in them.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use super::buffer::BATCH;

pub struct Pipe {
    pub input: OwnedFd,
    pub output: OwnedFd,
    /// Counts the pipes there are.
    _alive: Rc<()>,
}

pub struct Pipes {
    spare: Vec<Pipe>,
    most: usize,
    alive: Rc<()>,
}

impl Pipes {
    /// At most so many at once, each of two descriptors and a batch of the kernel's memory.
    pub fn new(most: usize) -> Pipes {
        Pipes {
            spare: Vec::new(),
            most,
            alive: Rc::new(()),
        }
    }

    /// An empty pipe, if there is still one to be had.
    pub fn take(&mut self) -> Option<Pipe> {
        self.spare.pop().or_else(|| self.open())
    }

    /// It must be empty. Who drops a pipe instead may leave something in it.
    pub fn give_back(&mut self, pipe: Pipe) {
        self.spare.push(pipe);
    }

    fn open(&self) -> Option<Pipe> {
        if Rc::strong_count(&self.alive) > self.most {
            return None;
        }
        let (output, input) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).ok()?;
        // The kernel may refuse, then it stays as it is.
        let _ = fcntl(&input, FcntlArg::F_SETPIPE_SZ(BATCH as i32));
        Some(Pipe {
            input,
            output,
            _alive: Rc::clone(&self.alive),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_than_are_allowed_and_a_dropped_one_makes_room() {
        let mut pipes = Pipes::new(2);
        let (first, second) = (pipes.take().unwrap(), pipes.take().unwrap());
        assert!(pipes.take().is_none());
        drop(first);
        let third = pipes.take().unwrap();
        assert!(pipes.take().is_none());
        pipes.give_back(second);
        assert!(pipes.take().is_some());
        drop(third);
    }
}
