//! What people type and paste: the one rule for what stands around it, and for characters that only look right.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::safety::sanitize::is_invisible;

/// Without what a copy out of a mail or a page brings along: blanks of every kind, line ends, marks without width.
#[must_use]
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c))
}

/// The same, without quotes around it and what ends a sentence or a folder's name after it, and each hyphen that a word processor
/// made is the one of the keyboard. For what has none of these itself: an id, an address, a word.
#[must_use]
pub(crate) fn tidy(text: &str) -> String {
    let mut bare = trimmed(text);
    loop {
        let inner = trimmed(bare.trim_matches(is_like_a_quote).trim_end_matches([',', ';', '.', '/']));
        if inner.len() == bare.len() {
            return bare.chars().map(|c| if is_like_a_hyphen(c) { '-' } else { c }).collect();
        }
        bare = inner;
    }
}

/// A quotation mark of any language, or what stands around an address in a mail.
fn is_like_a_quote(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '`' | '\u{b4}' | '<' | '>' | '\u{ab}' | '\u{bb}' | '\u{2018}'
            ..='\u{201f}' | '\u{2039}' | '\u{203a}'
    )
}

/// What was meant by a character that is easily typed for another, and how it is called in the sentence "has … where …".
#[must_use]
pub(crate) fn meant_by(c: char) -> Option<(char, &'static str)> {
    Some(match c {
        'O' | 'o' => ('0', "the letter O where a 0 (zero) is expected"),
        'l' => ('1', "the letter l where a 1 (one) is expected"),
        'I' => ('1', "the letter I where a 1 (one) is expected"),
        ',' => ('.', "a comma where a dot is expected"),
        _ => return None,
    })
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

/// A path in a variable of the AWS CLI, as that expands it: `$NAME` and `${NAME}` of what is set, then `~`.
///
/// # Errors
/// It begins with the home of another user, as a clause that follows the variable's name.
pub(crate) fn expanded_path(path: OsString) -> Result<PathBuf, &'static str> {
    expanded_by(path, |name| std::env::var(name).ok())
}

fn expanded_by(path: OsString, value: impl Fn(&str) -> Option<String>) -> Result<PathBuf, &'static str> {
    let Some(text) = path.to_str() else { return Ok(path.into()) };
    let (mut expanded, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, length) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let length = after.find(|c| !is_of_name(c)).unwrap_or(after.len());
                (&after[..length], length)
            }
        };
        // One that is not set stays as it is written.
        match value(name).filter(|_| !name.is_empty()) {
            Some(value) => expanded.push_str(&value),
            None => expanded.push_str(&rest[before.len()..=before.len() + length]),
        }
        rest = &after[length..];
    }
    expanded.push_str(rest);
    let first = expanded.split(std::path::is_separator).next().unwrap_or_default();
    if first.starts_with('~') && first != "~" {
        return Err("begins with the home of another user (“~name”); write the whole path");
    }
    Ok(below_home(expanded.into()))
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
        for text in [
            "\"a-b\"",
            "'a-b',",
            " \u{201c}a-b\u{201d}. ",
            "\u{2018} a-b \u{2019}",
            "<a-b/>",
            "a-b;",
            "\u{201e}a-b.\u{201c}",
            "a-b./",
        ] {
            assert_eq!(tidy(text), "a-b", "{text:?}");
        }
        for text in ["\"", "..", ""] {
            assert_eq!(tidy(text), "", "{text:?}");
        }
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
    fn variables_in_a_path_are_expanded_as_python_does() {
        let value = |name: &str| match name {
            "A" => Some("/a b".to_owned()),
            "B-C" => Some("x".to_owned()),
            "TILDE" => Some("~other".to_owned()),
            _ => None,
        };
        for (text, path) in [
            ("$A/creds", "/a b/creds"),
            ("${A}creds", "/a bcreds"),
            ("$AB/$A", "$AB//a b"),
            ("${B-C}$", "x$"),
            ("${A", "${A"),
            ("/$$A/ü$é", "/$/a b/ü$é"),
            ("/x/~/y", "/x/~/y"),
        ] {
            assert_eq!(expanded_by(text.into(), value), Ok(PathBuf::from(path)), "{text}");
        }
        for text in ["~root/creds", "$TILDE/creds"] {
            assert!(expanded_by(text.into(), value).is_err(), "{text}");
        }
        if let Some(home) = std::env::home_dir() {
            assert_eq!(expanded_by("~/x".into(), value), Ok(home.join("x")));
        }
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
