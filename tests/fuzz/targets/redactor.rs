//! What leaves the process as text: the redactor, its writer, and the cleaning of foreign text.

use std::io::Write as _;
use std::sync::Once;

use snow_onboard::model::has_shape_of_code;
use snow_onboard::safety::redact::{Redacting, redacted, register};
use snow_onboard::safety::sanitize::{sanitize, sanitize_lines};

use super::said::{holds, no_code};

const CODE: &str = "7c0e1-bab84-f7675-0a2b6-f8b33";

/// A secret key as AWS documents it; known to the redactor, as one that was found would be.
const KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Longest word that the writer promises to see as a whole.
const MAX_WORD: usize = 64 * 1024;

fn know_the_key() {
    static KNOWN: Once = Once::new();
    KNOWN.call_once(|| register(KEY));
}

/// No code gets through, however it is written and cut; what is no secret stays as it is.
pub(super) fn redactor(input: &[u8]) {
    know_the_key();
    let out = redacted(input);
    no_code(&out);
    assert!(!holds(&out, KEY.as_bytes()), "the key");
    if is_plain(input) {
        assert!(out == input, "changed: {}", out.escape_ascii());
    }
    if input.len() <= MAX_WORD {
        let written = written(input);
        assert!(written == out, "cut: {}\nwhole: {}", written.escape_ascii(), out.escape_ascii());
    }
    if let [form, at, rest @ ..] = input {
        let (before, after) = rest.split_at(usize::from(*at).min(rest.len()));
        planted(if form & 1 == 0 { CODE } else { KEY }, before, after);
    }
}

/// Whether nothing in it could be a secret: read in another way than the redactor does.
fn is_plain(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    let signs = [&b"signature="[..], b"x-amz-security-token=", b"x-amz-credential="];
    !signs.iter().any(|name| holds(&lower, name))
        && !text.windows(CODE.len()).any(has_shape_of_code)
        && !holds(text, KEY.as_bytes())
}

/// Written in pieces whose lengths the text itself gives.
fn written(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Redacting::new(&mut out);
    let mut rest = text;
    while let Some(length) = rest.first() {
        let (piece, after) = rest.split_at((1 + usize::from(*length) % 61).min(rest.len()));
        writer.write_all(piece).unwrap();
        writer.flush().unwrap();
        rest = after;
    }
    drop(writer);
    out
}

/// A secret that stands between `before` and `after` does not come through.
fn planted(secret: &str, before: &[u8], after: &[u8]) {
    let text = [before, secret.as_bytes(), after].concat();
    let out = redacted(&text);
    assert!(!holds(&out, secret.as_bytes()), "{}", out.escape_ascii());
    no_code(&out);
    // Not even its ends, unless they stand elsewhere as well.
    for end in [&secret.as_bytes()[..14], &secret.as_bytes()[secret.len() - 14..]] {
        let elsewhere = [before, after].iter().any(|text| holds(text, end));
        assert!(elsewhere || !holds(&out, end), "an end: {}", out.escape_ascii());
    }
}

/// One line, for any terminal, of bounded length, without a secret: whatever a server or a client says.
pub(super) fn foreign_text(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    fit(&sanitize(&text));
    let lines = sanitize_lines(&text);
    no_code(lines.as_bytes());
    assert!(!lines.chars().any(|c| c.is_control() && c != '\n'), "a control character: {}", lines.escape_debug());
    // A code at the end of much that is not shown: what is cut off for its length must not cut the code in two.
    if let [low, high, rest @ ..] = input
        && let Some((filler, after)) = String::from_utf8_lossy(rest).split_at_checked(rest.len().min(4))
    {
        let length = usize::from(u16::from_le_bytes([*low, *high])) / filler.chars().count().max(1);
        let cleaned = sanitize(&format!("{}{CODE}{after}", filler.repeat(length)));
        fit(&cleaned);
        // Only the code has a hyphen then, so two groups of it are of the code.
        let elsewhere = filler.contains('-') || after.contains('-');
        assert!(elsewhere || !cleaned.contains(&CODE[..11]), "a piece of the code: {cleaned}");
    }
}

fn fit(cleaned: &str) {
    no_code(cleaned.as_bytes());
    assert!(cleaned.chars().count() <= 501, "{} characters", cleaned.chars().count());
    let hidden =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}');
    assert!(!cleaned.chars().any(hidden), "not fit for a terminal: {}", cleaned.escape_debug());
    let words = cleaned.split(' ').collect::<Vec<_>>();
    assert!(cleaned.is_empty() || !words.contains(&""), "more than one space: {}", cleaned.escape_debug());
}
