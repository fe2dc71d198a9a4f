//! Signals that end a mount: waited for on a thread of their own, so that no handler runs anywhere.

use std::io;
use std::mem::MaybeUninit;
use std::thread;

/// The signals that ask a daemon to end, blocked in this thread and in all it starts.
#[derive(Clone, Copy)]
pub struct Signals(libc::sigset_t);

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signals(TERM, INT, HUP)")
    }
}

impl Signals {
    /// Blocks SIGTERM, SIGINT and SIGHUP, and ignores SIGIO (which ends a lease and would end us). Must come before
    /// the first thread is started: threads inherit the mask of their parent.
    ///
    /// # Errors
    /// Those of `pthread_sigmask`(3).
    #[expect(
        unsafe_code,
        reason = "signal sets and masks have no safe interface here"
    )]
    pub fn block() -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set that it is given, before it is used; the other calls get valid
        // pointers, and a null pointer where one is allowed.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            let mut set = set.assume_init();
            for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
                libc::sigaddset(&raw mut set, signal);
            }
            match libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) {
                0 => {}
                code => return Err(io::Error::from_raw_os_error(code)),
            }
            libc::signal(libc::SIGIO, libc::SIG_IGN);
            Ok(Self(set))
        }
    }

    /// Starts a thread that calls `act` at each of these signals.
    ///
    /// # Errors
    /// When no thread can be started.
    #[expect(unsafe_code, reason = "sigwait(3) has no safe interface here")]
    pub fn each(self, mut act: impl FnMut() + Send + 'static) -> io::Result<()> {
        let wait = move || {
            let mut signal = 0;
            // SAFETY: both pointers are to live, initialised values.
            while unsafe { libc::sigwait(&raw const self.0, &raw mut signal) } == 0 {
                log::info!("signal {signal}: unmounting");
                act();
            }
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(wait)?;
        Ok(())
    }
}
