//! What the client logged in its private home when a hand-over failed, made fit to be kept: its logs are often all that
//! the vendor's support has to go by.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use zeroize::{Zeroize, Zeroizing};

use crate::device::guard::redaction::Redaction;
use crate::model::UnlockCode;
use crate::safety::path_trust::{self, OpenMode};
use crate::safety::redact::redacted;
use crate::safety::sanitize::{sanitize, sanitize_lines};

/// Bytes kept of each file: its end, where the failure is.
const OF_EACH: u64 = 64 * 1024;
/// Files looked at. A home holds a few.
const MAX_FILES: usize = 32;
/// Folders one in the other.
const MAX_DEPTH: u32 = 8;

/// The text of all files in the client's log folders, which are named by their parts below `home`. `None` if there is
/// nothing. What else the client left there is not its log, and goes with the home.
///
/// Cleaned and redacted line by line, the files' names too. A line with a part of the code in it, however it is written, is left
/// out whole; if parts stand in lines one after the other, so is all of that file; and if they stand in files one after the
/// other, or in their names, so is everything. Each is looked at as the client wrote it and as it is kept: what is taken out by
/// the cleaning may have stood within the code, and what stays of it as well.
pub(in crate::device) fn read(home: &Path, folders: &[Vec<String>], code: &UnlockCode) -> Option<String> {
    let mut files = Vec::new();
    for folder in folders {
        let folder = folder.iter().fold(home.to_owned(), |path, part| path.join(part));
        // Behind a link are the user's own logs.
        if path_trust::no_link_below(home, &folder.join("log")).is_ok() {
            collect(&folder, 0, &mut files);
        }
    }
    let redaction = Redaction::of(code);
    let (mut text, mut names, mut contents) = (String::new(), Zeroizing::new(String::new()), AsWritten::default());
    for path in &files {
        let Ok((content, length)) = end_of(path) else { continue };
        let written = Zeroizing::new(path.strip_prefix(home).unwrap_or(path).display().to_string());
        let name = Zeroizing::new(sanitize(&written));
        let name = if redaction.is_in(&written) || redaction.is_in(&name) {
            "[a name with the unlock code in it]"
        } else {
            names.push_str(path.file_name().and_then(OsStr::to_str).unwrap_or_default());
            &**name
        };
        let part = if content.len() as u64 == length { String::new() } else { format!(", the last {}", content.len()) };
        text.push_str(&format!("== {name} ({length} bytes{part})\n"));
        let mut kept = AsWritten::default();
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            let cleaned = Zeroizing::new(sanitize_lines(&String::from_utf8_lossy(line)));
            // What has the code's very shape is taken out by itself.
            let written = Zeroizing::new(redacted(line));
            if redaction.is_in_bytes(&written) || redaction.is_in(&cleaned) {
                kept.push(b"\n", "[a line with the unlock code in it]\n");
            } else {
                kept.push(&written, &cleaned);
            }
        }
        if kept.holds(&redaction) {
            kept = AsWritten::default();
            kept.push(b"\n", "[left out: the unlock code is in it]\n");
        }
        text.push_str(&kept.cleaned);
        contents.push(&kept.raw, &kept.cleaned);
    }
    if redaction.is_in(&names) || contents.holds(&redaction) || redaction.is_in(&text) {
        text.zeroize();
        text.push_str("[left out: the unlock code is in these files or their names, taken together]\n");
    }
    (!text.is_empty()).then_some(text)
}

/// What is kept of files, as the client wrote it and cleaned. Wiped when dropped.
#[derive(Default)]
struct AsWritten {
    raw: Zeroizing<Vec<u8>>,
    cleaned: Zeroizing<String>,
}

impl AsWritten {
    fn push(&mut self, raw: &[u8], cleaned: &str) {
        self.raw.extend_from_slice(raw);
        self.cleaned.push_str(cleaned);
    }

    fn holds(&self, redaction: &Redaction) -> bool {
        redaction.is_in_bytes(&self.raw) || redaction.is_in(&self.cleaned)
    }
}

/// The files below `folder`, in the order of their names. Links are not followed.
fn collect(folder: &Path, depth: u32, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => collect(&entry.path(), depth + 1, files),
            Ok(kind) if kind.is_file() && files.len() < MAX_FILES => files.push(entry.path()),
            _ => {}
        }
    }
}

/// The end of a file, and the length of the whole.
fn end_of(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, u64)> {
    // What has another name is not of this home alone.
    let opened = path_trust::open_own(path, OpenMode::Read).ok().flatten();
    let mut file = opened.ok_or(io::ErrorKind::PermissionDenied)?;
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
    const LEFT_OUT: &str = "[a line with the unlock code in it]";

    /// What is kept of a home with this log, and some files that are no log.
    fn kept(log: &str) -> String {
        let home = tempfile::tempdir().unwrap();
        let logs = home.path().join("logs/deep");
        fs::create_dir_all(&logs).unwrap();
        fs::write(home.path().join("profile"), CODE).unwrap();
        fs::write(home.path().join("hs_err.log"), "words of memory").unwrap();
        fs::write(logs.join("a.log"), log).unwrap();
        let text = read(home.path(), &[vec!["logs".to_owned()]], &UnlockCode::take(CODE).unwrap()).unwrap();
        let (head, text) = text.split_once('\n').unwrap();
        let name = Path::new("logs").join("deep").join("a.log").display().to_string();
        assert!(head.starts_with(&format!("== {name} (")), "{head}");
        assert!(!text.contains("profile") && !text.contains("memory"), "{text}");
        text.to_owned()
    }

    #[test]
    fn a_line_with_a_part_of_the_code_is_left_out_however_it_is_written() {
        let bare = CODE.replace('-', "");
        for line in [
            format!("with {CODE} in it"),
            format!("key={bare}"),
            format!("key={}", bare.to_uppercase()),
            CODE.replace('-', " "),
            CODE.replace('-', "%2D"),
            format!("half {}", &CODE[3..14]),
            format!("half {}", &bare[10..18]),
            format!("{}\u{1b}[2m{}", &CODE[..4], &CODE[4..]),
            coloured(CODE),
            coloured(&bare),
            coloured(CODE).replace('\u{1b}', "\\u001b"),
            CODE.replace('-', "\u{1b}]0;xx\u{7}"),
            CODE.replace('-', "\u{1b}(B\u{1b}[m"),
            CODE.replace('-', "\u{9b}1m"),
        ] {
            let text = kept(&format!("before\n{line}\nafter\n"));
            // What has the code's very shape is redacted before.
            let line_is = |shown: &str| text == format!("before\n{shown}\nafter\n");
            assert!(line_is(LEFT_OUT) || line_is("with [unlock code] in it"), "{line}: {text}");
        }
        let harmless = format!("short {}\nJID123e4567-e89b-12d3-a456-426655440000\n", &bare[..7]);
        assert_eq!(kept(&harmless), harmless);
        let over_lines = kept(&format!("{}\n{}\n", &bare[..6], &bare[6..12]));
        assert_eq!(over_lines, "[left out: the unlock code is in it]\n");
        let over_lines = kept(&format!("{}\n{}\n", coloured(&bare[..6]), coloured(&bare[6..12])));
        assert_eq!(over_lines, "[left out: the unlock code is in it]\n");
        assert_eq!(kept("\u{1b}[31mred\u{1b}[0m\r\n\nlast"), "red\n\nlast\n");
    }

    /// In a colour, three characters at a time.
    fn coloured(text: &str) -> String {
        let parts =
            text.as_bytes().chunks(3).map(|part| format!("\u{1b}[31m{}\u{1b}[0m", String::from_utf8_lossy(part)));
        parts.collect()
    }

    /// What is kept of a home with these logs.
    fn kept_of(files: &[(&str, &str)]) -> String {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("logs")).unwrap();
        for (name, text) in files {
            fs::write(home.path().join("logs").join(name), text).unwrap();
        }
        read(home.path(), &[vec!["logs".to_owned()]], &UnlockCode::take(CODE).unwrap()).unwrap()
    }

    #[test]
    #[cfg(unix)]
    fn a_name_is_redacted_and_stays_one_line() {
        let bare = CODE.replace('-', "");
        let text =
            kept_of(&[(&format!("s_{}\nUNLOCKED forged.log", &bare[..20]), "one\n"), ("b\nforged.log", "two\n")]);
        assert!(!text.contains(&bare[..8]) && text.contains("[a name with the unlock code in it]"), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("UNLOCKED") || line.starts_with("forged")), "{text}");
        assert!(text.contains("one\n") && text.contains("two\n"), "{text}");
    }

    #[test]
    fn a_code_over_several_files_or_their_names_leaves_out_everything() {
        let bare = CODE.replace('-', "");
        let pieces: Vec<&str> = (0..3).map(|at| &bare[at * 7..at * 7 + 7]).collect();
        let alone = kept_of(&[("a.log", pieces[0]), ("b.log", "harmless")]);
        assert!(alone.contains(pieces[0]), "a control: {alone}");
        for text in [
            kept_of(&[("a.log", pieces[0]), ("b.log", pieces[1]), ("c.log", pieces[2])]),
            kept_of(&[(pieces[0], "one"), (pieces[1], "two"), (pieces[2], "three")]),
        ] {
            assert!(text.starts_with("[left out:") && pieces.iter().all(|piece| !text.contains(piece)), "{text}");
        }
    }

    #[test]
    fn the_end_of_a_long_log_is_kept() {
        let text = kept(&("x".repeat(70_000) + "\nend"));
        assert!(text.len() <= 65_537 && text.ends_with("\nend\n"));
        let code = UnlockCode::take(CODE).unwrap();
        assert_eq!(read(Path::new("/absent"), &[vec!["logs".to_owned()]], &code), None);
    }
}
