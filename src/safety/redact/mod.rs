//! Takes the secrets of this run out of text that is about to leave the process.
//!
//! What leaves is looked at as a whole, whatever it is made of and however it was cut into writes ([`Redacting`]): the
//! unlock code by its shape, presigned URLs by the names of their parameters, the AWS secret keys and session tokens of
//! this run as they are ([`register`]). What the vendor's client says in other spellings was taken out before, by its guard,
//! which knows the code.

mod keys;
mod known;
mod writer;

use std::ops::Range;

pub use known::register;
pub use writer::Redacting;

use crate::model::{UnlockCode, has_shape_of_code};
use crate::safety::escapes::Strings;
use crate::safety::sanitize::{is_invisible, without_sequences};

/// What stands in the place of an unlock code.
const UNLOCK_CODE: &str = "[unlock code]";
/// What stands in the place of an AWS secret key or session token.
const AWS_SECRET: &str = "[AWS secret]";
/// What stands in the place of a signing parameter's value.
const SIGNED: &str = "[signed]";

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

/// The same for what a program of the user's says that hands out AWS keys: also without what is shaped like a key, and without
/// every word that stands in `beside` too, which is where it prints them. What shows nothing is left out, as when it is
/// sanitized: it may stand within a key, so it is looked for before and after.
#[must_use]
pub(crate) fn redacted_beside(text: &[u8], beside: &[u8]) -> String {
    let [raw, shown] = [beside.to_vec(), only_shown(beside).into_bytes()].map(zeroize::Zeroizing::new);
    let redacted = |text: &[u8]| {
        let mut all = secrets(text);
        let words = [&raw, &shown].into_iter().flat_map(|beside| keys::find(text, beside));
        all.extend(words.map(|at| Found { at, instead: AWS_SECRET }));
        zeroize::Zeroizing::new(replace(text, &merged(all), 0..text.len()))
    };
    let shown = zeroize::Zeroizing::new(only_shown(&redacted(text)));
    String::from_utf8_lossy(&redacted(shown.as_bytes())).into_owned()
}

/// Without terminal sequences and other characters that show nothing.
fn only_shown(text: &[u8]) -> String {
    let text = zeroize::Zeroizing::new(String::from_utf8_lossy(text).into_owned());
    without_sequences(&text, Strings::Dropped).chars().filter(|c| !is_invisible(*c)).collect()
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

/// Whether a byte can be a part of a secret or of a presigned URL: what can't ends a word, and no secret goes over the end
/// of a word.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'{' | b'}' | b'|' | b'\\' | b'^')
}

/// What is secret in `text`: in order, apart from each other.
fn secrets(text: &[u8]) -> Vec<Found> {
    let found = |instead| move |at| Found { at, instead };
    let mut all: Vec<Found> = codes(text).into_iter().map(found(UNLOCK_CODE)).collect();
    all.extend(signing_values(text).into_iter().map(found(SIGNED)));
    all.extend(known::find(text).into_iter().map(found(AWS_SECRET)));
    merged(all)
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
    fn signing_parameters_keep_their_names_alone() {
        let url = "https://b.example/m.bin?X-Amz-Date=1&X-Amz-Credential=AKIA%2Fx&X-Amz-Security-Token=abc%2F&X-Amz-Signature=0f0f";
        assert_eq!(
            shown(&format!("at {url}.")),
            "at https://b.example/m.bin?X-Amz-Date=1&X-Amz-Credential=[signed]&X-Amz-Security-Token=[signed]&X-Amz-Signature=[signed]"
        );
        assert_eq!(shown(&shown(url)), shown(url), "a second time changes nothing");
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
