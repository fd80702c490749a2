//! Why something failed, as the end of a sentence that keeps what the system said.

use std::fmt;
use std::io;

use crate::model::JobState;

/// Why something failed: ends a sentence, without a full stop.
#[derive(Debug)]
pub enum Why {
    /// What this program found.
    Clause(String),
    /// What the system said.
    Io(io::Error),
}

impl From<String> for Why {
    fn from(clause: String) -> Self {
        Self::Clause(clause)
    }
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clause(clause) => f.write_str(clause),
            Self::Io(error) => f.write_str(&io_in_words(error)),
        }
    }
}

/// What a variant of [`Error`](super::Error) can have as a field, with the error that it was made of.
pub(super) trait WithSource {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

impl WithSource for Why {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Clause(_) => None,
            Self::Io(error) => Some(error),
        }
    }
}

macro_rules! without_source { ($($type:ty),*) => { $( impl WithSource for $type {} )* } }
without_source!(String, JobState, u16, u32, u64, usize, i32);

/// An I/O error in words for a sentence: no `Os {{ code: 28 … }}`, no trailing "(os error 28)", no page for developers.
#[must_use]
pub(crate) fn io_in_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    // rustls says of a line that was cut: "peer closed connection …: https://docs.rs/rustls/…".
    let words = words.split(": https://docs.rs/").next().unwrap_or_default().trim_end_matches('.');
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
