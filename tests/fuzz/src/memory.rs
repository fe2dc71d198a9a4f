//! An allocator that ends the program where more memory is in use than small inputs may cost.
//!
//! libFuzzer's own limit of single allocations needs a sanitizer, and its limit of resident memory is looked at once a
//! second: what is asked for and never touched would pass.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most bytes in use at a time.
pub const LIMIT: usize = 512 << 20;

static USED: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted.
#[derive(Debug)]
pub struct Counted;

impl Counted {
    fn take(bytes: usize) {
        let before = USED.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > LIMIT {
            // Room for the message, which allocates.
            USED.store(0, Ordering::Relaxed);
            eprintln!(
                "ERROR: {bytes} bytes more than the {before} in use are over the limit of {LIMIT}"
            );
            std::process::abort();
        }
    }
}

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::take(layout.size());
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::take(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::take(size);
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}
