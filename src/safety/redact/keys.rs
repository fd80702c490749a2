//! AWS keys that nobody has registered, since the program that has them failed: by their shape, and by where else they stand.

use std::collections::HashSet;
use std::ops::Range;

/// Of what both outputs of a program hold, shorter words are no part of a key.
const SHORTEST: usize = 4;
/// Characters of a secret key. Session tokens have more.
const SECRET: usize = 40;
/// Characters of an access key id.
const ID: usize = 20;

/// Where `text` holds what is shaped like an access key id, a secret key or a session token, or a word of `beside`.
pub(super) fn find(text: &[u8], beside: &[u8]) -> Vec<Range<usize>> {
    let words_of_it: HashSet<&[u8]> = words(beside).into_iter().map(|at| &beside[at]).collect();
    let is_secret = |word: &[u8]| has_shape(word) || (word.len() >= SHORTEST && words_of_it.contains(word));
    words(text).into_iter().filter(|at| is_secret(&text[at.clone()])).collect()
}

/// Runs of the characters that keys and tokens are made of.
fn words(text: &[u8]) -> Vec<Range<usize>> {
    let is_of_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut found = Vec::new();
    let mut at = 0;
    for word in text.split(|byte| !is_of_key(byte)) {
        if !word.is_empty() {
            found.push(at..at + word.len());
        }
        at += word.len() + 1;
    }
    found
}

fn has_shape(word: &[u8]) -> bool {
    let is_id = (word.len() >= ID)
        && [&b"AKIA"[..], b"ASIA"]
            .iter()
            .any(|kind| word.windows(ID).any(|part| part.starts_with(kind) && is_upper(part)));
    // A path of plain words is none: of random characters so many are never small letters alone.
    is_id || (word.len() >= SECRET && word.iter().any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()))
}

fn is_upper(part: &[u8]) -> bool {
    part.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::redacted_beside;

    fn shown(text: &str, beside: &str) -> String {
        redacted_beside(text.as_bytes(), beside.as_bytes())
    }

    #[test]
    fn what_has_the_shape_of_a_key_goes() {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEX";
        assert_eq!(
            shown(&format!("+ id=AKIAIOSFODNN7EXAMPLE\n+ secret='{secret}' token={secret}{secret}=="), ""),
            "+ id=[AWS secret]\n+ secret='[AWS secret]' token=[AWS secret]=="
        );
        for plain in ["no such file /home/operator/scripts/helpers/credentials", "AKIA is what keys begin with", ""] {
            assert_eq!(shown(plain, ""), plain);
        }
    }

    #[test]
    fn nothing_that_is_not_shown_hides_a_key() {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEX";
        for between in ["\u{1b}[0m\u{1b}[31m", "\u{1b}]0;xx\u{7}", "\u{1b}(B\u{1b}[m", "\u{9b}1m", "\u{200b}"] {
            for size in [3, 8, 39] {
                let parts: Vec<String> =
                    secret.as_bytes().chunks(size).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
                let coloured = parts.join(between);
                assert_eq!(
                    shown(&format!("key {coloured}: no"), ""),
                    "key [AWS secret]: no",
                    "{}",
                    coloured.escape_debug()
                );
                assert_eq!(shown("S3CRET/x", &format!("S3C{between}RET/x")), "[AWS secret]");
                assert_eq!(shown(&format!("S3C{between}RET/x"), "S3CRET/x"), "[AWS secret]");
            }
        }
        assert_eq!(
            shown(&format!("\u{1b}[{secret}"), ""),
            "AWS secret]",
            "what begins like a sequence swallows none of it"
        );
    }

    #[test]
    fn what_is_printed_beside_goes_however_short_the_key() {
        let beside = r#"{"AccessKeyId":"AK1D","SecretAccessKey":"S3CRET/x","SessionToken":"T0ken-of_mine"}"#;
        assert_eq!(
            shown("+ echo AK1D S3CRET/x T0ken-of_mine: no", beside),
            "+ echo [AWS secret] [AWS secret] [AWS secret]-of_[AWS secret]: no"
        );
    }
}
