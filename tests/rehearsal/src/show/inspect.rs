//! Looking through folders for files that must not hold the code.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// No client home is deeper, and none of its files longer.
const DEPTH: usize = 12;
const LONGEST: u64 = 16 << 20;

/// All files below `folder` that hold `needle`.
///
/// # Errors
/// If something below can't be read: then nobody can say that it is not there.
pub(super) fn files_with(folder: &Path, needle: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    search(folder, needle.as_bytes(), DEPTH, &mut found)?;
    Ok(found)
}

/// The same for what appeared in a folder that others use too since a moment; what can't be read there is theirs.
pub(super) fn new_files_with(folder: &Path, needle: &str, since: SystemTime) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let recent = entries.filter(|entry| {
        entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|modified| modified >= since)
    });
    let mut found = Vec::new();
    for entry in recent {
        let _ = search(&entry.path(), needle.as_bytes(), DEPTH, &mut found);
    }
    found
}

/// What vanishes while it is looked at is no longer there, which is all that is asked.
fn search(path: &Path, needle: &[u8], depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    match look(path, needle, depth, found) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn look(path: &Path, needle: &[u8], depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() && depth > 0 {
        for entry in fs::read_dir(path)? {
            search(&entry?.path(), needle, depth - 1, found)?;
        }
    } else if metadata.is_file() && metadata.len() <= LONGEST {
        let bytes = fs::read(path)?;
        if bytes.windows(needle.len()).any(|window| window == needle) {
            found.push(path.to_owned());
        }
    }
    Ok(())
}

/// `0600`, on systems that have such modes.
pub(super) fn mode(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).ok()?.permissions().mode();
        Some(format!("{:04o}", mode & 0o7777))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_needle_however_deep() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a").join("b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("with"), b"\xff needle").unwrap();
        fs::write(deep.join("without"), b"hay").unwrap();
        assert_eq!(files_with(dir.path(), "needle").unwrap(), [deep.join("with")]);
        assert_eq!(new_files_with(dir.path(), "needle", SystemTime::UNIX_EPOCH), [deep.join("with")]);
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        assert!(new_files_with(dir.path(), "needle", later).is_empty());
    }
}
