//! Takes the secrets of this run out of text that is about to leave the process.
//!
//! What leaves is looked at as a whole, whatever it is made of and however it was cut into writes ([`Redacting`]): the
//! unlock code by its shape, presigned URLs by the names of their parameters, and the AWS secret key and session
//! token by keyed hashes of their pieces ([`register`]). Each also where it is percent-encoded or in base64, or one in the
//! other. Nothing here holds a secret.

mod encoded;
mod pieces;
mod writer;

use std::ops::Range;

pub use pieces::register;
pub use writer::Redacting;

use crate::model::{UnlockCode, has_shape_of_code};

/// What stands in the place of an unlock code.
const UNLOCK_CODE: &str = "[unlock code]";
/// What stands in the place of an AWS secret key or session token.
const AWS_SECRET: &str = "[AWS secret]";
/// What stands in the place of a signing parameter's value.
const SIGNED: &str = "[signed]";

/// Encodings that are looked through, one in the other: base64 in a query is percent-encoded as well.
const DEPTH: u8 = 2;

/// Parameters of a presigned URL whose values let somebody else use it, or name the account (Signature Version 4,
/// "Authenticating requests: using query parameters"; `Signature` is that of version 2 and of the header).
const SIGNING: [&[u8]; 4] = [b"x-amz-signature=", b"x-amz-security-token=", b"x-amz-credential=", b"signature="];

/// A stretch of text to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    at: Range<usize>,
    instead: &'static str,
}

/// The text without the secrets of this run. Everything else stays as it is, byte for byte.
#[must_use]
pub fn redacted(text: &[u8]) -> Vec<u8> {
    replace(text, &secrets(text), 0..text.len())
}

/// Where text is shaped like an unlock code. Where shapes overlap they are one stretch: one of them is the code, and the
/// rest of another would tell its last group.
fn codes(text: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    // The first hyphen of a shape is its sixth byte; looking for hyphens skips most text.
    for hyphen in memchr::memchr_iter(b'-', text) {
        let Some(start) = hyphen.checked_sub(5) else { continue };
        let end = start + UnlockCode::LENGTH;
        if text.get(start..end).is_some_and(has_shape_of_code) {
            match found.last_mut() {
                Some(last) if start < last.end => last.end = end,
                _ => found.push(start..end),
            }
        }
    }
    found
}

/// Whether a byte can be a part of a secret, of any of its encodings, or of a presigned URL: what can't ends a word,
/// and no secret goes over the end of a word.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'{' | b'}' | b'|' | b'\\' | b'^')
}

/// What is secret in `text`: in order, apart from each other.
fn secrets(text: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let known = pieces::known();
    for word in runs(text, is_of_word) {
        // The shortest secret is a piece; the shortest parameter with a value is about as long.
        if word.len() >= pieces::LENGTH.min(SIGNING[3].len()) {
            let here = look(&text[word.clone()], DEPTH, &known);
            found.extend(here.into_iter().map(|found| shifted(found, word.start)));
        }
    }
    merged(found)
}

/// What is secret in `text`, in any order, possibly overlapping.
fn look(text: &[u8], depth: u8, known: &pieces::Known) -> Vec<Found> {
    let mut found: Vec<Found> = codes(text).into_iter().map(|at| Found { at, instead: UNLOCK_CODE }).collect();
    found.extend(signing_values(text).into_iter().map(|at| Found { at, instead: SIGNED }));
    found.extend(known.find(text).into_iter().map(|at| Found { at, instead: AWS_SECRET }));
    if depth > 0 {
        found.extend(encoded::percent(text, |view| look(view, depth - 1, known)));
        found.extend(encoded::base64(text, |view| look(view, depth - 1, known)));
    }
    found
}

/// Values of the parameters that sign.
fn signing_values(text: &[u8]) -> Vec<Range<usize>> {
    let mut values: Vec<Range<usize>> = Vec::new();
    for equals in memchr::memchr_iter(b'=', text) {
        let (name, value) = text.split_at(equals + 1);
        let signs = SIGNING.iter().any(|signing| {
            name.len().checked_sub(signing.len()).is_some_and(|from| name[from..].eq_ignore_ascii_case(signing))
        });
        // What was taken out before stays as it is.
        let is_out = value.starts_with(&SIGNED.as_bytes()[..SIGNED.len() - 1]);
        if signs && !is_out && values.last().is_none_or(|last| last.end < name.len()) {
            let length = value.iter().take_while(|byte| is_of_word(**byte) && !b"&,;)]".contains(byte)).count();
            values.extend((length > 0).then_some(name.len()..name.len() + length));
        }
    }
    values
}

/// Maximal runs of bytes that belong together.
fn runs(text: &[u8], belongs: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    while let Some(skipped) = text[start..].iter().position(|byte| belongs(*byte)) {
        start += skipped;
        let length = text[start..].iter().position(|byte| !belongs(*byte)).unwrap_or(text.len() - start);
        runs.push(start..start + length);
        start += length;
    }
    runs
}

fn shifted(found: Found, by: usize) -> Found {
    Found { at: found.at.start + by..found.at.end + by, ..found }
}

/// In order, and what overlaps as one.
fn merged(mut found: Vec<Found>) -> Vec<Found> {
    // Of two that begin together the longer names the replacement.
    found.sort_by_key(|found| (found.at.start, std::cmp::Reverse(found.at.end)));
    let mut merged: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        match merged.last_mut() {
            Some(last) if next.at.start < last.at.end => last.at.end = last.at.end.max(next.at.end),
            _ => merged.push(next),
        }
    }
    merged
}

/// The part `within` of `text` with what was found replaced; no find may cross its ends.
fn replace(text: &[u8], found: &[Found], within: Range<usize>) -> Vec<u8> {
    let mut result = Vec::with_capacity(within.len());
    let mut from = within.start;
    for Found { at, instead } in found.iter().filter(|found| within.contains(&found.at.start)) {
        result.extend_from_slice(&text[from..at.start]);
        result.extend_from_slice(instead.as_bytes());
        from = at.end;
    }
    result.extend_from_slice(&text[from..within.end]);
    result
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CODE: &str = "7c0e1-bab84-f7675-0a2b6-f8b33";

    fn shown(text: &str) -> String {
        String::from_utf8(redacted(text.as_bytes())).unwrap()
    }

    #[test]
    fn codes_go_by_their_shape() {
        assert_eq!(shown(&format!("a {CODE}, b")), "a [unlock code], b");
        assert_eq!(shown(&format!("x{CODE}{CODE}y")), "x[unlock code][unlock code]y");
        assert_eq!(shown(&format!("abcde-{CODE}-x")), "[unlock code]-x", "overlapping shapes go whole");
        assert_eq!(shown("JID123e4567-e89b-12d3-a456-426655440000"), "JID123e4567-e89b-12d3-a456-426655440000");
    }

    #[test]
    fn encoded_codes_are_seen_through() {
        let percent = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        assert_eq!(shown(&format!("code={}&x", CODE.replace('-', "%2D"))), "code=[unlock code]&x");
        assert_eq!(shown(&percent(CODE)), "[unlock code]");
        for before in ["", "a", "ab", "abc", "{\"code\":\"", "abcde"] {
            for after in ["", "x", "\"}", "-tail-of-it"] {
                let inside = aws_smithy_types::base64::encode(format!("{before}{CODE}{after}"));
                for text in [
                    inside.clone(),
                    inside.replace('+', "-").replace('/', "_"),
                    inside.replace('=', "%3D"),
                    format!("key={inside}"),
                    aws_smithy_types::base64::encode(&inside),
                    format!("ab{inside}"),
                ] {
                    assert!(shown(&text).contains(UNLOCK_CODE), "{before} {after}: {text}");
                }
                assert!(shown(&percent(&inside)).contains(UNLOCK_CODE));
            }
        }
    }

    #[test]
    fn signing_parameters_keep_their_names_alone() {
        let url = "https://b.example/m.bin?X-Amz-Date=1&X-Amz-Credential=AKIA%2Fx&X-Amz-Security-Token=abc%2F&X-Amz-Signature=0f0f";
        assert_eq!(
            shown(&format!("at {url}.")),
            "at https://b.example/m.bin?X-Amz-Date=1&X-Amz-Credential=[signed]&X-Amz-Security-Token=[signed]&X-Amz-Signature=[signed]"
        );
        assert_eq!(shown(&shown(url)), shown(url), "a second time changes nothing");
        assert_eq!(
            shown("u=https%3A%2F%2Fb%3Fx-amz-signature%3D0f0f%26y"),
            "u=https%3A%2F%2Fb%3Fx-amz-signature%3D[signed]%26y"
        );
        assert!(!shown(&aws_smithy_types::base64::encode(url)).contains(&aws_smithy_types::base64::encode("0f0f")));
        assert_eq!(shown("header x-amz-date: 5"), "header x-amz-date: 5");
    }

    proptest! {
        #[test]
        fn plain_text_passes_unchanged(text in "\\PC{0,300}|[a-zA-Z0-9+/%= \n-]{0,400}") {
            prop_assume!(!text.to_ascii_lowercase().contains("signature="));
            prop_assert_eq!(shown(&text), text);
        }

        #[test]
        fn bytes_of_any_kind_are_no_trouble(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = redacted(&bytes);
        }
    }
}
