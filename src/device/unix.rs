//! Linux and macOS: the user's homes, and what this user may run.

use std::path::{Path, PathBuf};

/// Where a client may take this user's home to be: `$HOME`, and what the password database says, which is where a JVM
/// looks.
pub(super) fn homes() -> Vec<PathBuf> {
    // Also what a directory service has to say, which is in no file of ours to read.
    let listed = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.dir);
    let mut homes: Vec<PathBuf> = std::env::var_os("HOME").map(PathBuf::from).into_iter().chain(listed).collect();
    homes.retain(|home| home.is_absolute());
    homes.dedup();
    homes
}

/// Whether this user may run the file. What can't be found out is left to the system.
pub(super) fn may_run(file: &Path) -> bool {
    use rustix::io::Errno;
    !matches!(rustix::fs::access(file, rustix::fs::Access::EXEC_OK), Err(Errno::ACCESS))
}
