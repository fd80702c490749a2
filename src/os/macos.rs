//! macOS alone: process hardening.
#![allow(unsafe_code)]

use std::io;

/// See [`crate::harden::harden`].
pub(crate) fn harden_process() -> io::Result<()> {
    // SAFETY: PT_DENY_ATTACH takes no process, no address and no data (ptrace(2)), so nothing is read or written.
    let answer = unsafe { libc::ptrace(libc::PT_DENY_ATTACH, 0, std::ptr::null_mut(), 0) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    super::unix::limit_core_and_umask(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    #[test]
    fn hardening_is_allowed_and_sets_the_core_limit() {
        super::harden_process().unwrap();
        assert_eq!(rustix::process::getrlimit(rustix::process::Resource::Core).maximum, Some(0));
    }
}
