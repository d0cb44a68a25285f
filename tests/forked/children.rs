//! Children of a process, and what they have in common with it.

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use sslserver::sys::counters::Counters;
use sslserver::sys::process;

crate::tests! {
    what_children_count_their_parent_reads
    a_child_that_panics_leaves_its_parents_values_alone
    a_child_that_was_ended_is_gone_and_reaped
    the_number_of_a_child_that_was_reaped_is_not_killed
}

fn fork(body: impl FnOnce() -> u8) -> Pid {
    process::fork_role(Vec::new(), |_| body())
        .map_err(|(errno, _)| errno)
        .unwrap()
}

pub fn exit_code(pid: Pid) -> i32 {
    match waitpid(pid, None).unwrap() {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

fn what_children_count_their_parent_reads() {
    let counters = Counters::<3>::new().unwrap();
    let children: Vec<Pid> = (0..4)
        .map(|_| {
            fork(|| {
                for _ in 0..1000 {
                    counters.add(1, 2);
                }
                0
            })
        })
        .collect();
    for child in children {
        assert_eq!(exit_code(child), 0);
    }
    assert_eq!([0, 1, 2].map(|index| counters.get(index)), [0, 8000, 0]);
}

/// Says on a counter that it was dropped.
struct Witness<'a>(&'a Counters<1>);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        self.0.add(0, 1);
    }
}

fn a_child_that_panics_leaves_its_parents_values_alone() {
    let dropped = Counters::<1>::new().unwrap();
    let witness = Witness(&dropped);
    let child = fork(|| {
        // The words of the panic would only alarm who reads the output of the tests.
        std::panic::set_hook(Box::new(|_| {}));
        panic!()
    });
    assert_eq!(exit_code(child), 101);
    assert_eq!(dropped.get(0), 0);
    drop(witness);
    assert_eq!(dropped.get(0), 1);
}

fn a_child_that_was_ended_is_gone_and_reaped() {
    let child = fork(|| {
        nix::unistd::pause();
        0
    });
    process::end(child);
    assert_eq!(waitpid(child, None), Err(Errno::ECHILD));
}

fn the_number_of_a_child_that_was_reaped_is_not_killed() {
    // Nobody's child of ours, and certainly alive.
    process::end(nix::unistd::getpid());
}
