//! Windows: emptying a folder. An open folder can't be renamed there, nor do modes keep its owner out.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::windows::fs::FileTypeExt as _;
use std::path::Path;

use super::removal::{MAX_OVERWRITTEN, length_to_overwrite};

/// Removes all that is in `folder` but `spared`. What will not go does not keep the rest.
pub(super) fn clear(folder: &Path, spared: Option<&OsStr>, overwrite: bool) -> io::Result<()> {
    if overwrite {
        overwrite_below(folder, &mut { MAX_OVERWRITTEN }, 0);
    }
    let mut first = None;
    for entry in fs::read_dir(folder)? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                first.get_or_insert(error);
                continue;
            }
        };
        if spared.is_some_and(|spared| spared == entry.file_name()) {
            continue;
        }
        let path = entry.path();
        let removed = entry.file_type().and_then(|kind| match kind {
            kind if kind.is_dir() => fs::remove_dir_all(path),
            // A junction too. It goes as a folder does, and what it leads to stays.
            kind if kind.is_symlink_dir() => fs::remove_dir(path),
            _ => fs::remove_file(path),
        });
        first = first.or(removed.err());
    }
    first.map_or(Ok(()), Err)
}

/// Overwrites the files below `folder` with zeros. Best effort: the removal that follows is what counts.
fn overwrite_below(folder: &Path, left: &mut u64, depth: u32) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < 32 {
            overwrite_below(&entry.path(), left, depth + 1);
        } else if kind.is_file() {
            let _ = overwrite_file(&entry.path(), left);
        }
    }
}

fn overwrite_file(path: &Path, left: &mut u64) -> io::Result<()> {
    let mut file = super::open_to_overwrite(path)?;
    let length = length_to_overwrite(file.metadata()?.len(), left);
    io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
    file.flush()
}
