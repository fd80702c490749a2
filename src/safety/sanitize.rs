//! Text from outside, made fit for a terminal and for a record: an argument, a server's message, a client's output.

use std::borrow::Cow;

use crate::model::is_code_for_answer;
use crate::safety::escapes::{Strings, sequence};
use crate::safety::redact::redacted;

/// Longest sanitized text, in characters.
const LIMIT: usize = 500;

/// Longest beginning of a secret that may not be known for one yet: a session token has some hundred characters, seldom a
/// few thousand.
const MAX_BEGINNING: usize = 16 * 1024;

/// Makes foreign text safe to show and to keep: one line, no terminal sequences, control or direction-changing
/// characters, no presigned URL, no secret of this run ([`redacted`]), at most some 500 characters.
#[must_use]
pub fn sanitize(text: &str) -> String {
    // A pathological answer is cut before the work, and once more after it.
    let cut = text.char_indices().nth(LIMIT * 64).map(|(end, _)| end);
    // What begins like a sequence may swallow the beginning of a secret, which is none then.
    let start = without_sequences(&without_secrets(&text[..cut.unwrap_or(text.len())]), Strings::Dropped);
    let (mut sanitized, mut last_word) = (String::new(), 0);
    for word in start.split(|c: char| c.is_whitespace() || c.is_control()) {
        let word: String = word.chars().filter(|c| !is_invisible(*c)).collect();
        last_word = sanitized.len();
        if word.is_empty() {
            continue;
        }
        if !sanitized.is_empty() {
            sanitized.push(' ');
        }
        sanitized.push_str(&without_bearer(&word));
    }
    if cut.is_some() {
        // Much of nothing may have stood before it, so that it would be shown, and it may be half of a code.
        sanitized.truncate(sanitized.floor_char_boundary(last_word.max(sanitized.len().saturating_sub(MAX_BEGINNING))));
        sanitized.push('…');
    }
    // Only now: what was taken out of the middle of a code may have hidden it.
    sanitized = without_secrets(&sanitized);
    if let Some((end, _)) = sanitized.char_indices().nth(LIMIT) {
        sanitized.truncate(end);
        sanitized.push('…');
    }
    sanitized
}

/// The same for what was typed where no unlock code belongs. One is left out where it is exact; one that was copied badly, or that
/// stands there in disguise, is one nearly.
pub(crate) fn sanitize_typed(text: &str) -> String {
    if is_code_for_answer(text) { "…".to_owned() } else { sanitize(text) }
}

/// The same for text of several lines that is ours but quotes what was typed, such as a complaint of the command-line
/// parser: the lines and their indentation stay.
#[must_use]
pub fn sanitize_lines(text: &str) -> String {
    let sanitize_line = |line: &str| {
        let line = without_sequences(&without_secrets(line), Strings::Kept);
        let visible: String = line.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
        let words = visible.split(' ').map(without_bearer);
        without_secrets(&words.collect::<Vec<_>>().join(" "))
    };
    text.lines().flat_map(|line| [sanitize_line(line), "\n".to_owned()]).collect()
}

/// The same without an empty line at its end. Nothing is cut: what is told may have to be compared.
#[must_use]
pub(crate) fn sanitize_sentences(text: &str) -> String {
    sanitize_lines(text).trim_end().to_owned()
}

/// Foreign text for use inside a sentence: sanitized, and without a full stop at its end.
pub(crate) fn phrase(foreign: &str) -> String {
    let mut phrase = sanitize(foreign);
    phrase.truncate(phrase.trim_end_matches(['.', ' ']).len());
    phrase
}

/// [`phrase`], or `instead` where nothing remains.
pub(crate) fn phrase_or(text: Option<&str>, instead: &str) -> String {
    Some(phrase(text.unwrap_or_default())).filter(|text| !text.is_empty()).unwrap_or_else(|| instead.to_owned())
}

/// The text without terminal sequences, as wholes, so that their parameters don't stay behind as text. Of a string that has no end,
/// such as the title of a window, the rest of the text is a part; with `Strings::Kept` it stays.
pub(crate) fn without_sequences(text: &str, endless: Strings) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match sequence(rest.as_bytes(), false, Strings::Dropped) {
            Some(whole) if whole.is_ended => whole.length,
            Some(_) => sequence(rest.as_bytes(), false, endless).map_or(rest.len(), |begin| begin.length),
            None => {
                plain.push(first);
                first.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    plain
}

/// A file's path or another name for the middle of a sentence: what would end the line is told as what it is, so that no name looks
/// like a line of ours.
pub(crate) fn in_one_line(text: &str) -> String {
    let is_line_end = |c: char| matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    text.chars().map(|c| if is_line_end(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// Characters that show nothing or turn the direction of what follows: Unicode's Default_Ignorable_Code_Point with the separators
/// of lines and paragraphs and the marks of annotations.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}

/// A word without what whoever reads it could use: a presigned URL, or the user and password in an address.
fn without_bearer(word: &str) -> Cow<'_, str> {
    if is_presigned_url(word) {
        return "[presigned URL]".into();
    }
    let Some((before, host)) = word.rsplit_once('@') else { return word.into() };
    let (scheme, login) = before.split_once("://").map_or(("", before), |(scheme, login)| (scheme, login));
    // As a hint of ours says where to write it.
    if login == "USER:PASSWORD" {
        return word.into();
    }
    let is_login = match (scheme, login.find('/'), login.find(':')) {
        // A file on Windows, an ARN, an e-mail address: none of these has one colon and no slash.
        ("", slash, colon) => {
            slash.is_none() && colon.is_some() && login.matches(':').count() == 1 && !login.contains('\\')
        }
        // The part of a path, unless a password has slashes of its own.
        (_, Some(slash), colon) => colon.is_some_and(|colon| colon < slash),
        (_, None, _) => true,
    };
    match (is_login, scheme) {
        (false, _) => word.into(),
        // What stands around an address, such as a quotation mark, stays with what it ends.
        (true, "") => format!("…@{host}").into(),
        (true, scheme) => format!("{scheme}://…@{host}").into(),
    }
}

/// A presigned URL or a part of its query. Header names such as `x-amz-date` stay.
fn is_presigned_url(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    (lower.contains("x-amz-") && (lower.contains('=') || lower.contains("%3d"))) || lower.contains("signature=")
}

/// Here and not only on the way out: what is cut off afterwards, or kept in a record, must not hold a part of one.
fn without_secrets(text: &str) -> String {
    String::from_utf8_lossy(&redacted(text.as_bytes())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{UnlockCode, has_shape_of_code};
    use proptest::prelude::*;

    #[test]
    fn foreign_words_fit_into_a_sentence() {
        assert_eq!(phrase("Request has\r\n expired. "), "Request has expired");
        assert_eq!(phrase_or(Some("\n\u{7}"), "no reason given"), "no reason given");
        assert_eq!(phrase_or(None, "no reason given"), "no reason given");
    }

    #[test]
    fn terminals_are_left_alone() {
        for (raw, shown) in [
            ("\u{1b}[31mred\u{1b}[0m \u{202e}evil\r\n  next\u{7}", "red evil next"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("a\u{1b}[2J\r\nb\u{202e}c\tд.", "a bc д."),
            ("\n\u{7}", ""),
        ] {
            assert_eq!(sanitize(raw), shown, "{}", raw.escape_debug());
        }
        assert_eq!(sanitize(&"ä".repeat(600)).chars().count(), LIMIT + 1);
    }

    #[test]
    fn a_quoted_command_line_keeps_its_lines_and_not_its_code() {
        let raw = "error: unexpected argument '7c0e1-bab84-f7675-0a2b6-f8b33' \u{1b}[2Jfound\n\n  Usage: x\n";
        assert_eq!(sanitize_lines(raw), "error: unexpected argument '[unlock code]' found\n\n  Usage: x\n");
    }

    #[test]
    fn signed_addresses_are_taken_out() {
        assert_eq!(
            sanitize("see https://b.example/m.bin?X-Amz-Signature=abc&x=1 or x-amz-date"),
            "see [presigned URL] or x-amz-date"
        );
    }

    #[test]
    fn the_login_in_an_address_is_taken_out() {
        for (raw, shown) in [
            ("at https://user:pa55@device.example:8443/x", "at https://…@device.example:8443/x"),
            ("“http://me@proxy”", "“http://…@proxy”"),
            ("https://user:p/a@ss@10.0.0.1", "https://…@10.0.0.1"),
            ("user:pa55@10.0.0.1", "…@10.0.0.1"),
            ("endpoint=user:pa55@10.0.0.1", "…@10.0.0.1"),
        ] {
            assert_eq!(sanitize(raw), shown);
            assert_eq!(sanitize_lines(raw), format!("{shown}\n"));
        }
        for other in [
            "me@example.com",
            "arn:aws:sts::123456789012:assumed-role/Admin/me@example.com",
            "C:\\Users\\me@corp\\x",
            "https://host.example/a@2",
            "git@host:path",
            "http://USER:PASSWORD@HOST:PORT",
        ] {
            assert_eq!(sanitize(other), other);
        }
    }

    #[test]
    fn what_shows_nothing_is_left_out() {
        let ranges =
            [(0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x3164, 0x3164)];
        let more = [(0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)];
        for (first, last) in ranges.into_iter().chain(more) {
            for character in (first..=last).filter_map(char::from_u32) {
                assert_eq!(sanitize(&format!("a{character}b")), "ab", "{}", character.escape_unicode());
                assert_eq!(sanitize_lines(&format!("a{character}b")), "ab\n");
            }
        }
        assert_eq!(sanitize("Gerät ⚠ 日本語 e\u{301}"), "Gerät ⚠ 日本語 e\u{301}");
    }

    #[test]
    fn a_name_stays_in_its_line() {
        assert_eq!(in_one_line("/a/b c\n\n  curl x | sh\r\u{2028}ü"), "/a/b c\\n\\n  curl x | sh\\r\\u{2028}ü");
    }

    #[test]
    fn codes_are_taken_out_wherever_they_stand() {
        let code = "7c0e1-bab84-f7675-0a2b6-f8b33";
        assert_eq!(sanitize(&format!("bad code {code}!")), "bad code [unlock code]!");
        assert_eq!(sanitize(&format!("xx{code}{code}!")), "xx[unlock code][unlock code]!");
        assert_eq!(sanitize(&format!("abcde-{code}-x")), "[unlock code]-x", "overlapping shapes go whole");
        assert_eq!(sanitize(&code.replace('a', "a\u{200B}")), "[unlock code]", "put together by the cleaning");
        assert_eq!(sanitize(&code.replace('a', "a\u{1b}[31m")), "[unlock code]", "split by a colour");
        let cut = sanitize(&format!("{} {code}", "x".repeat(LIMIT - 20)));
        assert!(cut.contains("[unlock code]") && !cut.contains(&code[..5]), "{cut}");
        let job = "job JID123e4567-e89b-12d3-a456-426655440000";
        assert_eq!(sanitize(job), job, "a job id has another shape");
    }

    #[test]
    fn what_is_cut_for_its_length_leaves_no_half_of_a_code() {
        let code = "7c0e1-bab84-f7675-0a2b6-f8b33";
        for filler in [" ", "\u{200B}", "\u{1b}[31m"] {
            let length = LIMIT * 64 / filler.chars().count();
            for before in length - 30..=length {
                let sanitized = sanitize(&format!("first\n{}{code} last", filler.repeat(before)));
                assert!(!sanitized.contains("7c0e1-"), "{sanitized}");
                assert!(sanitized.starts_with("first"), "{sanitized}");
            }
        }
        assert_eq!(sanitize(&"x".repeat(LIMIT * 100)).chars().count(), LIMIT + 1, "one endless word is still shown");
    }

    proptest! {
        #[test]
        fn no_code_and_no_control_character_survives(
            before in "\\PC{0,40}", code in "[0-9a-zA-Z]{5}(-[0-9a-zA-Z]{5}){4}", after in ".{0,40}"
        ) {
            let sanitized = sanitize(&format!("{before}{code}{after}"));
            prop_assert!(!sanitized.as_bytes().windows(UnlockCode::LENGTH).any(has_shape_of_code), "{}", sanitized);
            prop_assert!(!sanitized.chars().any(char::is_control));
        }
    }
}
