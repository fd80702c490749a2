//! What the client left in its private home when a hand-over failed, made fit to be kept: its logs are often all that
//! the vendor's support has to go by.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::home;
use crate::secret::UnlockCode;
use crate::text::clean_lines;

/// Bytes kept of each file: its end, where the failure is.
const OF_EACH: u64 = 64 * 1024;
/// Files looked at. A home holds a few.
const MOST_FILES: usize = 32;
/// Folders one in the other.
const DEEPEST: u32 = 8;
/// Characters of the code in a row that no line may hold.
const RUN: usize = 12;

/// The text of all files below `home`, save its lock and the files `holding` the code. `None` if there is nothing.
///
/// Cleaned and redacted line by line; a line with a part of the code in it is left out whole.
pub(super) fn read(home: &Path, holding: &[&Path], code: &UnlockCode) -> Option<String> {
    let mut files = Vec::new();
    collect(home, 0, &mut files);
    let mut text = String::new();
    for path in files.iter().filter(|path| !holding.contains(&path.as_path()) && !home::is_lock(path, home)) {
        let Ok((content, length)) = end_of(path) else { continue };
        let name = path.strip_prefix(home).unwrap_or(path).display().to_string();
        let part = if content.len() as u64 == length { String::new() } else { format!(", the last {}", content.len()) };
        text.push_str(&clean_lines(&format!("== {name} ({length} bytes{part})")));
        for line in String::from_utf8_lossy(&content).lines() {
            let holds_a_part = code.expose(|code| code.as_bytes().windows(RUN).any(|run| contains(line, run)));
            let line = if holds_a_part { "[a line with the unlock code in it]" } else { line };
            text.push_str(&clean_lines(line));
        }
    }
    (!text.is_empty()).then_some(text)
}

fn contains(line: &str, part: &[u8]) -> bool {
    memchr::memmem::find(line.as_bytes(), part).is_some()
}

/// The files below `folder`, in the order of their names. Links are not followed.
fn collect(folder: &Path, depth: u32, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEEPEST => collect(&entry.path(), depth + 1, files),
            Ok(kind) if kind.is_file() && files.len() < MOST_FILES => files.push(entry.path()),
            _ => {}
        }
    }
}

/// The end of a file, and the length of the whole.
fn end_of(path: &Path) -> std::io::Result<(Zeroizing<Vec<u8>>, u64)> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(OF_EACH)))?;
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(OF_EACH).unwrap_or_default()));
    file.take(OF_EACH).read_to_end(&mut content)?;
    Ok((content, length))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CODE: &str = "7c0e1-bab84-f7675-0a2b6-f8b33";

    #[test]
    fn logs_are_kept_without_the_code_and_without_what_holds_it() {
        let home = tempfile::tempdir().unwrap();
        let logs = home.path().join(".aws/snowball/logs");
        fs::create_dir_all(&logs).unwrap();
        let profile = home.path().join("profile");
        fs::write(&profile, CODE).unwrap();
        fs::write(home.path().join("empty"), "").unwrap();
        let half = &CODE[3..3 + RUN];
        let log = format!("one\x1b[2J\nwith {CODE}\n{half}\n{}\nlast {}\n", CODE.replace('-', "%2D"), &half[1..]);
        let length = log.len();
        fs::write(logs.join("a.log"), log).unwrap();
        fs::write(logs.join("long.log"), "x".repeat(70_000) + "\nend").unwrap();

        let code = UnlockCode::take(CODE).unwrap();
        let text = read(home.path(), &[&profile], &code).unwrap();
        let name = Path::new(".aws").join("snowball").join("logs").join("a.log").display().to_string();
        let expected = format!(
            "== {name} ({length} bytes)\none[2J\n[a line with the unlock code in it]\n[a line with the unlock code in it]\n[unlock code]\nlast {}\n",
            &half[1..]
        );
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.contains("long.log (70004 bytes, the last 65536)") && text.contains("\nend\n"));
        assert!(text.contains("== empty (0 bytes)\n") && !text.contains("== profile"), "{text}");
        assert!(!code.expose(|code| code.as_bytes().windows(RUN).any(|run| contains(&text, run))));
        assert_eq!(read(&home.path().join("absent"), &[], &code), None);
    }
}
