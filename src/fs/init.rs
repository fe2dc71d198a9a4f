//! What the kernel and we agree on when a session begins.

use std::io;

use fuser::{InitFlags, KernelConfig};

use super::attr::Ttl;
use super::view::View;

/// Largest read and write request in bytes.
const MAX_REQUEST: u32 = 1 << 20;
/// Most requests that nobody waits for (read-ahead, asynchronous I/O) under way at once.
const MAX_BACKGROUND: u16 = 64;

impl View {
    /// Asks for what we can use of what the kernel offers. Not asked for: the writeback cache (a killed daemon would
    /// lose acknowledged writes, and it excludes passthrough), remote locks (the kernel keeps them), export over NFS.
    pub(super) fn negotiate(&mut self, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = InitFlags::FUSE_ATOMIC_O_TRUNC
            | InitFlags::FUSE_DONT_MASK
            | InitFlags::FUSE_POSIX_ACL
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO
            | InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_ASYNC_DIO
            | InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP
            | InitFlags::FUSE_CACHE_SYMLINKS
            | InitFlags::FUSE_HANDLE_KILLPRIV_V2;
        let able = config.capabilities();
        let supported = |flags: InitFlags| flags & able;
        let mut flags = supported(wanted);
        if self.read_only {
            // A writer may be at work beside us: pages go when size or mtime moved.
            flags |= supported(InitFlags::FUSE_AUTO_INVAL_DATA);
        }
        if rustix::process::geteuid().is_root() && able.contains(InitFlags::FUSE_PASSTHROUGH) {
            flags |= InitFlags::FUSE_PASSTHROUGH;
            self.passthrough = config.set_max_stack_depth(2).is_ok();
        }
        self.ttl = Ttl::new(self.read_only, self.passthrough);
        let refused = |what| io::Error::other(format!("the kernel refused {what}"));
        config
            .add_capabilities(flags)
            .map_err(|_| refused("its own capabilities"))?;
        config
            .set_max_write(MAX_REQUEST)
            .map_err(|_| refused("the request size"))?;
        config
            .set_max_background(MAX_BACKGROUND)
            .map_err(|_| refused("the queue length"))?;
        log::debug!("passthrough: {}", self.passthrough);
        Ok(())
    }
}
