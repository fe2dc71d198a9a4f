//! SIGINT: exit code 130 at once, or after tidying up where a verb asks for it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::exit::Code;

static TIDY: AtomicBool = AtomicBool::new(false);
static SEEN: AtomicBool = AtomicBool::new(false);

extern "C" fn on_interrupt(_signal: libc::c_int) {
    if !TIDY.load(Ordering::Relaxed) || SEEN.swap(true, Ordering::Relaxed) {
        #[expect(unsafe_code, reason = "ending from a signal handler")]
        // SAFETY: _exit is async-signal-safe and has no preconditions.
        unsafe {
            libc::_exit(Code::Interrupted as i32)
        }
    }
}

/// Makes SIGINT end the program with its exit code, unless it was started with SIGINT ignored, as shells start
/// background jobs.
pub(super) fn watch() {
    let handler = on_interrupt as extern "C" fn(libc::c_int);
    #[expect(unsafe_code, reason = "installing a signal handler")]
    // SAFETY: the handler touches atomics and calls _exit only, both async-signal-safe.
    unsafe {
        if libc::signal(libc::SIGINT, handler as usize) == libc::SIG_IGN {
            libc::signal(libc::SIGINT, libc::SIG_IGN);
        }
    }
}

/// From now on the first SIGINT only makes [`seen`] true; the caller looks at it and tidies up.
pub(super) fn tidy() {
    TIDY.store(true, Ordering::Relaxed);
}

/// Whether SIGINT came since [`tidy`].
pub(super) fn seen() -> bool {
    SEEN.load(Ordering::Relaxed)
}
