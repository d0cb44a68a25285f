//! The heap of processes that fork many children, and of those children.

/// Keeps large pieces out of the heap for good. The library would begin to take them from it once one was given back,
/// and a child's large buffers would come from memory that has to be copied and cleared instead of untouched pages.
pub fn keep_large_apart() {
    /// Where the library itself begins.
    const LARGE: libc::c_int = 128 * 1024;
    // SAFETY: changes a number, before there is a second thread.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Gives memory back that was freed and not taken again.
pub fn trim() {
    // SAFETY: only unused pages go.
    unsafe { libc::malloc_trim(0) };
}

/// Makes what children allocate come from fresh memory in one piece: takes all that lies free between living data out
/// of use, for good, and gives the free end back. Without this a child's small allocations are spread over the holes
/// that the parent's start left, and each touches another page, which has to be copied for it first.
pub fn settle() {
    /// Larger holes are pages of their own and cost nobody anything.
    const LARGEST: usize = 2048;
    /// Fits into no hole, so it lies at the start of what was never used.
    const PROBE: usize = 96 * 1024;
    // SAFETY: the pieces are never written to; only their addresses are compared. All but the last of each size stay
    // allocated on purpose.
    unsafe {
        let probe = libc::malloc(PROBE);
        libc::free(probe);
        for size in (24..=LARGEST).step_by(16) {
            let mut piece = libc::malloc(size);
            while !piece.is_null() && piece < probe {
                piece = libc::malloc(size);
            }
            libc::free(piece);
        }
    }
    trim();
    // The next piece of the heap is asked of the kernel here, once, and not by each child.
    ahead(|_, _| ());
}

/// Has the kernel make the pages at once that a session is going to write to, instead of each when it is reached.
pub fn make_ready() {
    ahead(|start, length| {
        // SAFETY: free memory of the heap; an older kernel refuses.
        unsafe { libc::madvise(start, length, libc::MADV_POPULATE_WRITE) };
    });
}

/// What lies at the free end of the heap, in whole pages.
fn ahead(then: fn(*mut libc::c_void, usize)) {
    const PAGE: usize = 4096;
    // As much as a handshake takes, and not so much that giving it back gives it to the kernel.
    const LENGTH: usize = 15 * PAGE;
    // SAFETY: the piece is ours in between, and what is asked for lies within it.
    unsafe {
        let piece = libc::malloc(LENGTH);
        if !piece.is_null() {
            let skipped = piece.align_offset(PAGE);
            then(piece.byte_add(skipped), LENGTH - PAGE);
            libc::free(piece);
        }
    }
}
