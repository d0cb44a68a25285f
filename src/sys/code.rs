//! Program code in huge pages, for a process that forks many children. Each child finds the code that it runs page by
//! page, and its end lets go of it page by page: where 2 MB are one page, the child inherits it ready for use.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;

use nix::unistd::{SysconfVar, sysconf};

const SMALL: usize = 4096;
/// What is huge where pages are that small.
const HUGE: usize = 2 * 1024 * 1024;

/// Moves all code of this process that fills huge pages into some, as far as there are any, and leaves the rest as it
/// is. Constants between the code become executable with it; nothing becomes writable.
///
/// For a process with one thread, before a filter forbids to make memory executable.
pub fn into_huge_pages() {
    if sysconf(SysconfVar::PAGE_SIZE) != Ok(Some(SMALL as i64)) {
        return;
    }
    let mut spans: Vec<Range<usize>> = Vec::new();
    // SAFETY: `find` gets the list as it is given here and does not keep it.
    unsafe { libc::dl_iterate_phdr(Some(find), (&raw mut spans).cast()) };
    for span in spans {
        let mut block = span.start.next_multiple_of(HUGE);
        while block + HUGE <= span.end {
            // SAFETY: the block lies within what is mapped of an object and never written.
            unsafe { move_block(block as *mut c_void) };
            block += HUGE;
        }
    }
}

/// Adds what of an object is read or executed and never written, as far as it has no gap.
///
/// # Safety
/// For `dl_iterate_phdr`, with the list that [`into_huge_pages`] has.
unsafe extern "C" fn find(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    spans: *mut c_void,
) -> c_int {
    // SAFETY: the loader describes one object, with so many parts, as long as this call lasts; nobody else has the list.
    let (base, parts, spans) = unsafe {
        let object = &*object;
        let parts = std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into());
        (
            object.dlpi_addr as usize,
            parts,
            &mut *spans.cast::<Vec<Range<usize>>>(),
        )
    };
    let loaded = parts.iter().filter(|part| part.p_type == libc::PT_LOAD);
    let mut span: Option<Range<usize>> = None;
    for part in loaded.take_while(|part| part.p_flags & libc::PF_W == 0) {
        let start = base + part.p_vaddr as usize;
        let end = start + part.p_memsz as usize;
        span = match span {
            Some(span) if start / SMALL <= span.end.div_ceil(SMALL) => Some(span.start..end),
            None => Some(start..end),
            Some(_) => break,
        };
    }
    spans.extend(span);
    0
}

/// Puts a copy of the block, in a huge page, where the block is.
///
/// # Safety
/// The block is aligned, readable and never written.
unsafe fn move_block(block: *mut c_void) {
    let fresh = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: twice the size has an aligned huge page in it, which is ours until it takes the block's place in one
    // step, with the same bytes in it. Where any step before that fails the block is untouched.
    unsafe {
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        let room = libc::mmap(ptr::null_mut(), 2 * HUGE, writable, fresh, -1, 0);
        if room == libc::MAP_FAILED {
            return;
        }
        let copy = room.byte_add(room.align_offset(HUGE));
        libc::madvise(copy, HUGE, libc::MADV_HUGEPAGE);
        ptr::copy_nonoverlapping(block.cast::<u8>(), copy.cast::<u8>(), HUGE);
        // In small pages it would be worse than before, because a fork copies the entry of each.
        let is_huge = libc::madvise(copy, HUGE, libc::MADV_COLLAPSE) == 0;
        let executable = libc::PROT_READ | libc::PROT_EXEC;
        if is_huge && libc::mprotect(copy, HUGE, executable) == 0 {
            let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
            libc::mremap(copy, HUGE, HUGE, flags, block);
        }
        libc::munmap(room, 2 * HUGE);
    }
}
