//! Why something failed, as the end of a sentence that keeps what the system said.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::model::JobState;
use crate::safety::quote::quoted;
use crate::safety::sanitize::in_one_line;

/// Why something failed: ends a sentence, without a full stop.
#[derive(Debug, Clone)]
pub enum Why {
    /// What this program found.
    Clause(String),
    /// What the system said.
    Io(Arc<io::Error>),
    /// What path trust found, and what mends it: ends the hint.
    Refused(String, String),
}

/// What is enough for the largest manifest that is taken without being told, with its record and a log.
const ROOM: &str = "100 MB";

impl Why {
    /// What mends it, as further lines of a hint; `path` is what was wanted.
    pub(super) fn mend(&self, path: &str) -> Option<String> {
        let error = match self {
            Self::Clause(_) => return None,
            Self::Refused(_, mend) => return (!mend.is_empty()).then(|| mend.clone()),
            Self::Io(error) => error,
        };
        let look = if cfg!(windows) {
            String::new()
        } else {
            format!(" What is free there:\n  df -h {}", quoted(&holder(path)))
        };
        Some(match error.kind() {
            io::ErrorKind::StorageFull => {
                format!("The disk is full. Free {ROOM} on it, which is enough for a manifest.{look}")
            }
            io::ErrorKind::QuotaExceeded => {
                format!(
                    "Your disk quota is used up. Remove files of yours, or ask the administrator for {ROOM} more.{look}"
                )
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                // Not another state folder: what is stored is in this one.
                "The file system is read-only. Ask the administrator to make it writable.".to_owned()
            }
            _ => return None,
        })
    }
}

/// The folder that is there and holds `path`, which may not be.
fn holder(path: &str) -> String {
    let there = Path::new(path).ancestors().skip(1).find(|folder| folder.is_dir());
    there.unwrap_or(Path::new("/")).display().to_string()
}

impl From<String> for Why {
    fn from(clause: String) -> Self {
        Self::Clause(clause)
    }
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clause(clause) | Self::Refused(clause, _) => f.write_str(clause),
            Self::Io(error) => f.write_str(&io_in_words(error)),
        }
    }
}

/// What a variant of [`Error`](super::Error) can have as a field.
pub(super) trait ErrorField {
    /// Within the sentence, which is one line whatever a file is called.
    fn in_one_line(&self) -> String;

    /// Within the hint, by the field's name. What is not a name of somebody else's may be several lines.
    fn in_hint(&self, name: &str) -> String {
        let _ = name;
        self.in_one_line()
    }

    /// The error that it was made of.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

impl ErrorField for Why {
    fn in_one_line(&self) -> String {
        in_one_line(&self.to_string())
    }

    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Clause(_) | Self::Refused(..) => None,
            Self::Io(error) => Some(&**error),
        }
    }
}

macro_rules! plain_fields { ($($type:ty),*) => { $(
    impl ErrorField for $type {
        fn in_one_line(&self) -> String {
            in_one_line(&self.to_string())
        }

        fn in_hint(&self, name: &str) -> String {
            if matches!(name, "path" | "place" | "folder" | "owner") { self.in_one_line() } else { self.to_string() }
        }
    }
)* } }
plain_fields!(String, &'static str, u16, u32, u64, usize, i32);

impl ErrorField for JobState {
    fn in_one_line(&self) -> String {
        self.as_api().to_owned()
    }
}

/// An I/O error in words for a sentence: no `Os {{ code: 28 … }}`, no trailing "(os error 28)", no page for developers.
#[must_use]
pub(crate) fn io_in_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    // rustls says of a line that was cut: "peer closed connection …: https://docs.rs/rustls/…".
    let words = words.split(": https://docs.rs/").next().unwrap_or_default().trim_end_matches('.');
    // “Device” is the Snowball here, and a name that nobody knows is no failure of a lookup to whoever typed it.
    if error.kind() == io::ErrorKind::StorageFull {
        return "no space is left on the disk".to_owned();
    }
    if error.kind() == io::ErrorKind::FileTooLarge {
        return "no file may be that large here (see “ulimit -f”)".to_owned();
    }
    if words.starts_with("failed to lookup address information") {
        return "the name is not known in this network".to_owned();
    }
    let mut chars = words.chars();
    // "No space left on device" stands after a colon; an acronym such as "TLS" stays as it is.
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_read_as_words() {
        let error = std::io::Error::from_raw_os_error(if cfg!(windows) { 112 } else { 28 });
        let words = io_in_words(&error);
        assert!(!words.contains("os error") && !words.ends_with('.'), "{words}");
        assert!(words.starts_with(|c: char| c.is_lowercase()), "{words}");
        let cut = std::io::Error::other("peer closed connection: https://docs.rs/rustls/latest/x.html#unexpected-eof");
        assert_eq!(io_in_words(&cut), "peer closed connection");
    }
}
