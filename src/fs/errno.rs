//! Error numbers: the one table from the store's errors to what the kernel hands to programs.

use std::io;

use fuser::Errno;

use crate::store::Error;

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        let errno = match &error {
            Error::Io(e) => of_io(e),
            Error::NotFound => Self::ENOENT,
            Error::Exists => Self::EEXIST,
            Error::NotDirectory => Self::ENOTDIR,
            Error::IsDirectory => Self::EISDIR,
            Error::NotEmpty => Self::ENOTEMPTY,
            Error::NameTooLong => Self::ENAMETOOLONG,
            Error::ReadOnly => Self::EROFS,
            Error::CrossDevice => Self::EXDEV,
            Error::Denied => Self::EPERM,
            Error::Invalid => Self::EINVAL,
            Error::NoData => Self::NO_XATTR,
            Error::Unsupported => Self::EOPNOTSUPP,
            Error::NoOffset => Self::ENXIO,
            Error::Damaged { .. }
            | Error::Format { .. }
            | Error::Newer { .. }
            | Error::NoStore { .. }
            | Error::Locked { .. }
            | Error::Policy { .. } => Self::EIO,
        };
        if errno == Self::EIO {
            log::warn!("{error}");
        }
        errno
    }
}

/// The error number of an I/O error: the medium's own where it has one.
fn of_io(error: &io::Error) -> Errno {
    if let Some(code) = error.raw_os_error() {
        return Errno::from_i32(code);
    }
    match error.kind() {
        io::ErrorKind::NotFound => Errno::ENOENT,
        io::ErrorKind::AlreadyExists => Errno::EEXIST,
        io::ErrorKind::PermissionDenied => Errno::EACCES,
        io::ErrorKind::NotADirectory => Errno::ENOTDIR,
        io::ErrorKind::IsADirectory => Errno::EISDIR,
        io::ErrorKind::DirectoryNotEmpty => Errno::ENOTEMPTY,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => Errno::EINVAL,
        io::ErrorKind::StorageFull => Errno::ENOSPC,
        io::ErrorKind::QuotaExceeded => Errno::EDQUOT,
        io::ErrorKind::FileTooLarge => Errno::EFBIG,
        io::ErrorKind::ReadOnlyFilesystem => Errno::EROFS,
        io::ErrorKind::CrossesDevices => Errno::EXDEV,
        io::ErrorKind::TooManyLinks => Errno::EMLINK,
        io::ErrorKind::ResourceBusy => Errno::EBUSY,
        io::ErrorKind::ExecutableFileBusy => Errno::ETXTBSY,
        io::ErrorKind::WouldBlock => Errno::EAGAIN,
        io::ErrorKind::Interrupted => Errno::EINTR,
        io::ErrorKind::OutOfMemory => Errno::ENOMEM,
        io::ErrorKind::Unsupported => Errno::EOPNOTSUPP,
        _ => Errno::EIO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mediums_own_code_is_passed_on() {
        for code in [libc::ENOSPC, libc::EDQUOT, libc::ENXIO, libc::EMLINK] {
            let error = Error::Io(io::Error::from_raw_os_error(code));
            assert_eq!(Errno::from(error).code(), code);
        }
    }

    #[test]
    fn errors_without_a_code_get_one_by_kind() {
        let full = Error::Io(io::ErrorKind::StorageFull.into());
        assert_eq!(Errno::from(full).code(), libc::ENOSPC);
        let odd = Error::Io(io::Error::other("short chunk"));
        assert_eq!(Errno::from(odd).code(), libc::EIO);
    }

    #[test]
    fn damage_is_an_io_error_and_absence_is_not() {
        let damaged = Error::Damaged {
            name: "cat.jpg".into(),
            what: "9 of 14 chunks".into(),
        };
        assert_eq!(Errno::from(damaged).code(), libc::EIO);
        assert_eq!(Errno::from(Error::NotFound).code(), libc::ENOENT);
        assert_eq!(Errno::from(Error::NoData).code(), libc::ENODATA);
        assert_eq!(Errno::from(Error::ReadOnly).code(), libc::EROFS);
    }
}
