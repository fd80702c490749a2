//! System calls: which ones leave a trace, and what they were about.

use libc::c_long;

use crate::tracer::Stop;

/// How calls are counted. A run is never quite like the one before, since its threads are not; what it does to files and
/// what it says to others comes in nearly the same order each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Opens, changes or syncs a file, or says something to another process.
    Deed,
    /// Everything else.
    Other,
}

/// What a call is about: where its argument with a path is, or the one with a descriptor.
#[derive(Clone, Copy)]
enum About {
    /// A path, which begins at the folder of the working directory.
    Path(usize),
    /// A descriptor that must be of a regular file, or the call is no deed.
    RegularFile(usize),
    /// Any descriptor.
    Descriptor(usize),
}

use About::{Descriptor, Path, RegularFile};

/// All deeds.
const DEEDS: &[(c_long, &str, About)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, "creat", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, "rename", Path(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "unlink", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "mkdir", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, "rmdir", Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_link, "link", Path(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_symlink, "symlink", Path(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, "chmod", Path(0)),
    (libc::SYS_openat, "openat", Path(1)),
    (libc::SYS_renameat, "renameat", Path(3)),
    (libc::SYS_renameat2, "renameat2", Path(3)),
    (libc::SYS_unlinkat, "unlinkat", Path(1)),
    (libc::SYS_mkdirat, "mkdirat", Path(1)),
    (libc::SYS_linkat, "linkat", Path(3)),
    (libc::SYS_symlinkat, "symlinkat", Path(2)),
    (libc::SYS_fchmodat, "fchmodat", Path(1)),
    (libc::SYS_fchmod, "fchmod", Descriptor(0)),
    (libc::SYS_fsync, "fsync", Descriptor(0)),
    (libc::SYS_fdatasync, "fdatasync", Descriptor(0)),
    (libc::SYS_ftruncate, "ftruncate", Descriptor(0)),
    (libc::SYS_flock, "flock", Descriptor(0)),
    (libc::SYS_write, "write", RegularFile(0)),
    (libc::SYS_writev, "writev", RegularFile(0)),
    (libc::SYS_pwrite64, "pwrite64", RegularFile(0)),
    (libc::SYS_pwritev, "pwritev", RegularFile(0)),
    (libc::SYS_pwritev2, "pwritev2", RegularFile(0)),
    (libc::SYS_copy_file_range, "copy_file_range", RegularFile(2)),
    (libc::SYS_sendfile, "sendfile", RegularFile(0)),
    (libc::SYS_connect, "connect", Descriptor(0)),
    (libc::SYS_sendto, "sendto", Descriptor(0)),
    (libc::SYS_sendmsg, "sendmsg", Descriptor(0)),
];

/// What kind of call a thread stands before.
pub(crate) fn kind(stop: &Stop) -> Kind {
    match DEEDS.iter().find(|deed| deed.0 == stop.number) {
        Some((_, _, RegularFile(at))) if !stop.is_regular_file(stop.args[*at]) => Kind::Other,
        Some(_) => Kind::Deed,
        None => Kind::Other,
    }
}

/// The call for people: its name, and what it is about.
pub(crate) fn in_words(stop: &Stop) -> String {
    match DEEDS.iter().find(|deed| deed.0 == stop.number) {
        Some((_, name, Path(at))) => format!("{name} {}", stop.text(stop.args[*at])),
        Some((_, name, RegularFile(at) | Descriptor(at))) => {
            format!("{name} {}", stop.descriptor(stop.args[*at]).unwrap_or_default().display())
        }
        None => format!("system call {}", stop.number),
    }
}
