//! Limits of resources: what a role never needs is limited to nothing, for it and for what it forks.
#![forbid(unsafe_code)]

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What no role needs: a picture of its memory on the disk, files that grow, memory that is never swapped, queues.
pub fn usual() {
    for resource in [
        Resource::RLIMIT_CORE,
        Resource::RLIMIT_FSIZE,
        Resource::RLIMIT_MEMLOCK,
        Resource::RLIMIT_MSGQUEUE,
    ] {
        lower(resource, 0);
    }
}

/// No further process and no further thread. The kernel does not count those of root.
pub fn no_processes() {
    lower(Resource::RLIMIT_NPROC, 0);
}

/// New descriptors have numbers below this one. Those that are there stay; poll(2) takes no more than so many.
pub fn descriptors(most: u64) {
    lower(Resource::RLIMIT_NOFILE, most);
}

/// Lowering a limit cannot fail, and one that is lower already is left alone.
fn lower(resource: Resource, most: u64) {
    if let Ok((_, hard)) = getrlimit(resource) {
        let most = most.min(hard);
        let _ = setrlimit(resource, most, most);
    }
}
