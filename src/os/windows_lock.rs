//! Windows: a lock that leaves nothing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION};
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_DELETE_ON_CLOSE;

/// Takes a lock that goes by `folder`, which is there; `None` while another process holds it. It ends with the file that is
/// given, and so with the process at the latest. A folder itself can't be locked here, so a file in it is, which the system
/// removes with its last handle.
///
/// # Errors
/// What CreateFile says.
pub(crate) fn lock_folder(folder: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).share_mode(0).custom_flags(FILE_FLAG_DELETE_ON_CLOSE);
    match options.open(folder.join("snow-onboard.lock")) {
        Ok(file) => Ok(Some(file)),
        // Held, or just being removed.
        Err(error)
            if [ERROR_SHARING_VIOLATION, ERROR_ACCESS_DENIED]
                .map(u32::cast_signed)
                .map(Some)
                .contains(&error.raw_os_error()) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
