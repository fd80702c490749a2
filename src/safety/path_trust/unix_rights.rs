//! Linux and macOS: the rights of a file that takes the place of another.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;

use rustix::fs::{Gid, Mode, fchmod, fchown, fstat};

use super::acl;

/// Gives the file `to`, which was made privately, the rights of the file that it takes the place of.
///
/// # Errors
/// What the system says.
pub(crate) fn copy_rights(from: &File, to: &File) -> io::Result<()> {
    let (from_stat, to_stat) = (fstat(from)?, fstat(to)?);
    let keeps_group =
        from_stat.st_gid == to_stat.st_gid || fchown(to, None, Some(Gid::from_raw(from_stat.st_gid))).is_ok();
    // What can't be given to that group is given to no other one.
    let kept = if keeps_group { 0o777 } else { 0o707 };
    fchmod(to, Mode::from_raw_mode(from_stat.st_mode & kept))?;
    if keeps_group { acl::copy_access_list(from.as_fd(), to.as_fd()) } else { Ok(()) }
}
