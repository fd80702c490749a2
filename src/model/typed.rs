//! What people type and paste: the one rule for what stands around it, and for characters that only look right.

use std::path::PathBuf;

use crate::safety::sanitize::is_invisible;

/// Without what a copy out of a mail or a page brings along: blanks of every kind, line ends, marks without width.
#[must_use]
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c))
}

/// The same, and each hyphen that a word processor made is the one of the keyboard. For what has no other hyphens: an id, an
/// address, a word.
#[must_use]
pub(crate) fn tidy(text: &str) -> String {
    trimmed(text).chars().map(|c| if is_like_a_hyphen(c) { '-' } else { c }).collect()
}

/// Whether it looks like the hyphen of the keyboard and is another character.
#[must_use]
pub(crate) fn is_like_a_hyphen(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}')
}

/// A path as it is typed: a shell replaces `~` at the beginning of a word only, so not in `--client=~/x` and in no file.
#[must_use]
pub(crate) fn typed_path(text: &str) -> PathBuf {
    below_home(PathBuf::from(trimmed(text)))
}

/// A path that begins with `~`, as the AWS CLI takes it too: that is the user's home, also where no shell reads it.
#[must_use]
pub(crate) fn below_home(path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

/// The first character that may not be seen for what it is, as the end of the sentence "`text` …": shown alone, such a text would
/// look right.
#[must_use]
pub(crate) fn odd_character(text: &str) -> Option<String> {
    let (at, odd) = text.chars().enumerate().find(|(_, c)| !c.is_ascii_graphic())?;
    let place = at + 1;
    Some(match odd {
        ' ' => format!("contains white space (character {place})"),
        c if c.is_whitespace() || c.is_control() => {
            format!("contains white space (U+{:04X}, character {place})", u32::from(c))
        }
        c if is_invisible(c) => format!("contains an invisible character (U+{:04X}, character {place})", u32::from(c)),
        c => format!(
            "contains a character that only looks like one of the keyboard's (U+{:04X}, character {place})",
            u32::from(c)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_copy_brings_along_goes() {
        for text in ["a-b", " a-b\r\n", "\u{a0}a\u{2011}b\u{a0}", "\u{feff}a\u{2013}b\u{200b}", "\ta\u{2212}b "] {
            assert_eq!(tidy(text), "a-b", "{text:?}");
        }
        assert_eq!(trimmed(" a b \u{2013}"), "a b \u{2013}", "a path keeps what is in it");
    }

    #[test]
    fn a_home_is_put_where_the_shell_did_not() {
        let Some(home) = std::env::home_dir() else { return };
        assert_eq!(typed_path("~/a b"), home.join("a b"));
        assert_eq!(typed_path(" ~ "), home);
        assert_eq!(typed_path("~other/x"), PathBuf::from("~other/x"));
        assert_eq!(typed_path("/x/~/y"), PathBuf::from("/x/~/y"));
    }

    #[test]
    fn what_only_looks_right_is_named() {
        assert_eq!(odd_character("snow-1.lan"), None);
        for (text, named) in
            [("a b", "character 2"), ("\u{408}ID", "U+0408"), ("a\u{200b}", "U+200B"), ("a\u{a0}b", "U+00A0")]
        {
            assert!(odd_character(text).is_some_and(|why| why.contains(named)), "{text}");
        }
    }
}
