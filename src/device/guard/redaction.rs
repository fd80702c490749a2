//! Takes the unlock code out of what the client says, in the guard, which knows the code: the client may say it whole, in
//! part, spaced out, encoded, in capital letters, or in any mixture of these.
//!
//! The rule: any [`RUN`] of the code's letters and digits in a row, after all that is neither letter nor digit is dropped; the
//! same as hexadecimal digits, and in base64; and all of these also after escapes are decoded (`%2D`, `\u002d`, `\x2d`, `&#45;`)
//! and without terminal sequences ([`escapes`](crate::safety::escapes)). Of 1,000 documented outputs it touches none: eight
//! characters in a row come together by chance once in a trillion.

use std::ops::Range;

use memchr::memmem;
use zeroize::{Zeroize, Zeroizing};

use crate::device::guard::views::{Alphabet, Needles, Reading, TextEnd};
use crate::model::UnlockCode;
use crate::safety::escapes::{Escape, MAX_ESCAPE, begins_escape, escape};

/// Letters and digits of the code in a row that may not be said.
const RUN: usize = 8;
/// What stands in their place.
pub(super) const INSTEAD: &str = "[unlock code]";

/// What there is of one code to be looked for. Wiped when dropped.
pub(in crate::device) struct Redaction {
    /// Each [`RUN`] of its letters and digits alone, in small letters.
    plain: Needles,
    /// Each [`RUN`] of it as it is, in small and in capital letters, with its hyphens and without, as hexadecimal digits.
    hex: Needles,
    /// The same in base64.
    base64: Needles,
}

impl Redaction {
    pub(in crate::device) fn of(code: &UnlockCode) -> Self {
        let spelled = |change: fn(&u8) -> u8, hyphens: bool| {
            code.expose(|code| {
                let mut text = Zeroizing::new(Vec::with_capacity(UnlockCode::LENGTH));
                text.extend(code.bytes().filter(|byte| hyphens || *byte != b'-').map(|byte| change(&byte)));
                text
            })
        };
        let changes: [fn(&u8) -> u8; 3] = [|byte| *byte, u8::to_ascii_lowercase, u8::to_ascii_uppercase];
        let spellings: Vec<_> =
            changes.into_iter().flat_map(|change| [spelled(change, true), spelled(change, false)]).collect();
        let mut runs: Vec<&[u8]> = spellings.iter().flat_map(|spelling| runs(spelling)).collect();
        runs.sort_unstable();
        runs.dedup();
        let plain = spelled(u8::to_ascii_lowercase, false);
        Self {
            plain: Needles::of(plain.windows(RUN).map(|run| Zeroizing::new(run.to_vec()))),
            hex: Needles::of(runs.iter().map(|run| hex_of(run))),
            base64: Needles::of(runs.iter().flat_map(|run| (0..3).map(|shift| base64_of(run, shift)))),
        }
    }

    /// Takes the code out of `text`, which is wiped where it was in it.
    pub(in crate::device) fn redact(&self, text: &mut String) {
        let found = self.find(text.as_bytes());
        if found.is_empty() {
            return;
        }
        let mut redacted = String::with_capacity(text.len());
        let mut from = 0;
        for at in found {
            // Every stretch begins and ends with an ASCII character.
            redacted.push_str(text.get(from..at.start).unwrap_or_default());
            redacted.push_str(INSTEAD);
            from = at.end;
        }
        redacted.push_str(text.get(from..).unwrap_or_default());
        text.zeroize();
        *text = redacted;
    }

    /// Whether the code, or so much of it that it may not be said, is in `text`.
    pub(in crate::device) fn is_in(&self, text: &str) -> bool {
        self.is_in_bytes(text.as_bytes())
    }

    /// The same in what may be no text.
    pub(in crate::device) fn is_in_bytes(&self, text: &[u8]) -> bool {
        !self.find(text).is_empty()
    }

    /// Where the code stands in `text`: in order, apart from each other.
    pub(super) fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        self.look(text).0
    }

    /// The same, and where the last part of `text` begins that may be the beginning of a code: its length where there is none.
    pub(super) fn look(&self, text: &[u8]) -> (Vec<Range<usize>>, usize) {
        let begun = begun_escape(text);
        let mut from = begun.unwrap_or(text.len());
        let mut found = Vec::new();
        for reading in Reading::of(text) {
            let needles = self.needles(reading.alphabet);
            let (end, may_be_in) = needles.scan(reading, text);
            let begins = |end: &TextEnd, from: &mut usize| {
                end.begin(needles, false, from);
                // Whether a zero belongs to "0x" is known only when what follows it has come.
                if reading.alphabet == Alphabet::Hex && end.ends_with(b'0') {
                    end.begin(needles, true, from);
                }
            };
            begins(&end, &mut from);
            // And so is what an escape stands for.
            if let Some(begun) = begun {
                begins(&TextEnd::of(reading, &text[..begun]), &mut from);
            }
            if may_be_in {
                let view = View::of(reading, text);
                needles.all().for_each(|run| view.find(run, &mut found));
            }
        }
        (merged(found), from)
    }

    fn needles(&self, alphabet: Alphabet) -> &Needles {
        match alphabet {
            Alphabet::Letters => &self.plain,
            Alphabet::Hex => &self.hex,
            Alphabet::Base64 => &self.base64,
        }
    }
}

/// Where an escape begins at the very end of `text` that is not whole yet.
fn begun_escape(text: &[u8]) -> Option<usize> {
    let from = text.len().saturating_sub(MAX_ESCAPE);
    (from..text.len()).find(|at| begins_escape(text[*at]) && escape(&text[*at..]) == Escape::Begun)
}

/// The stretches of a spelling that hold [`RUN`] letters or digits.
fn runs(spelling: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_letter = |at: &usize| spelling[*at].is_ascii_alphanumeric();
    (0..spelling.len()).filter(is_letter).filter_map(move |start| {
        let last = (start..spelling.len()).filter(is_letter).nth(RUN - 1)?;
        Some(&spelling[start..=last])
    })
}

/// A text reduced to what counts in it, and where each byte that is left stood.
struct View {
    bytes: Zeroizing<Vec<u8>>,
    places: Vec<Range<usize>>,
}

impl View {
    fn of(reading: Reading, text: &[u8]) -> Self {
        // Never moved as it grows, which would leave copies.
        let mut view = Self { bytes: Zeroizing::new(Vec::with_capacity(text.len())), places: Vec::new() };
        reading.read(text, |byte, place| {
            view.bytes.push(byte);
            view.places.push(place);
        });
        view
    }

    fn find(&self, needle: &[u8], found: &mut Vec<Range<usize>>) {
        let mut from = 0;
        while let Some(at) = memmem::find(&self.bytes[from..], needle).map(|at| from + at) {
            found.push(self.places[at].start..self.places[at + needle.len() - 1].end);
            // The next one may begin within this one.
            from = at + 1;
        }
    }
}

fn hex_of(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = Zeroizing::new(Vec::with_capacity(bytes.len() * 2));
    bytes.iter().for_each(|byte| hex.extend([byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])));
    hex
}

/// The characters of base64 that `bytes` alone decide, `shift` bytes after the beginning of a group of three.
fn base64_of(bytes: &[u8], shift: usize) -> Zeroizing<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (first, end) = ((shift * 8).div_ceil(6), (shift + bytes.len()) * 8 / 6);
    let byte_at = |at: usize| at.checked_sub(shift).and_then(|at| bytes.get(at)).copied().unwrap_or_default();
    let mut text = Zeroizing::new(Vec::with_capacity(end - first));
    text.extend((first..end).map(|character| {
        let bit = character * 6;
        let two = u16::from_be_bytes([byte_at(bit / 8), byte_at(bit / 8 + 1)]);
        ALPHABET[usize::from(two >> (10 - bit % 8) & 63)]
    }));
    text
}

/// In order, and what overlaps or touches as one.
fn merged(mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_by_key(|at| (at.start, at.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for next in found {
        match merged.last_mut() {
            Some(last) if next.start <= last.end => last.end = last.end.max(next.end),
            _ => merged.push(next),
        }
    }
    merged
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    const CODE: &str = "7c0e1-Bab84-f7675-0a2B6-f8b33";

    fn shown(text: &str) -> String {
        let mut text = text.to_owned();
        Redaction::of(&UnlockCode::take(CODE).unwrap()).redact(&mut text);
        text
    }

    #[test]
    fn what_begins_like_a_terminal_sequence_hides_no_digit() {
        let code = "12345-67890-12345-a2b6c-f8b33";
        let redaction = Redaction::of(&UnlockCode::take(code).unwrap());
        for spelling in [code.to_owned(), code.replace('-', ""), code.replace('-', " ")] {
            for begin in ["\u{1b}[", "\u{1b}[0;", "\u{1b}[?"] {
                let mut text = format!("{begin}{spelling}\n");
                redaction.redact(&mut text);
                assert_eq!(text, format!("{begin}[unlock code]\n"));
                assert!(redaction.look(format!("{begin}{}", &spelling[..7]).as_bytes()).1 <= begin.len());
            }
        }
    }

    /// As the rule says it: every reading, and every run in it.
    fn by_the_rule(redaction: &Redaction, text: &[u8]) -> (Vec<Range<usize>>, usize) {
        let (mut found, mut from) = (Vec::new(), begun_escape(text).unwrap_or(text.len()));
        let whole = &text[..from];
        let mut look = |view: &View, needles: &[&[u8]], is_whole: bool| {
            for needle in needles {
                if is_whole {
                    found.extend(
                        (0..view.bytes.len())
                            .filter(|at| view.bytes[*at..].starts_with(needle))
                            .map(|at| view.places[at].start..view.places[at + needle.len() - 1].end),
                    );
                }
                let longest = (1..needle.len()).rev().find(|length| view.bytes.ends_with(&needle[..*length]));
                longest.inspect(|length| from = from.min(view.places[view.bytes.len() - length].start));
            }
        };
        for reading in Reading::all() {
            let needles: Vec<&[u8]> = redaction.needles(reading.alphabet).all().collect();
            for (text, is_whole) in [(text, true), (whole, false)] {
                let mut view = View::of(reading, text);
                look(&view, &needles, is_whole);
                if reading.alphabet == Alphabet::Hex && view.bytes.last() == Some(&b'0') {
                    view.bytes.pop();
                    view.places.pop();
                    look(&view, &needles, false);
                }
            }
        }
        (merged(found), from)
    }

    proptest::proptest! {
        #[test]
        fn one_pass_finds_what_the_rule_says(
            parts in proptest::collection::vec((0..16_usize, 0..29_usize, 1..30_usize), 0..12),
            noise in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        ) {
            let redaction = Redaction::of(&UnlockCode::take(CODE).unwrap());
            let mut text = Vec::new();
            for (kind, from, length) in parts {
                let part = &CODE.as_bytes()[from..(from + length).min(CODE.len())];
                match kind {
                    0 => text.extend(&noise),
                    1 => text.extend(b"\x1b[0;1"),
                    2 => text.extend(b"0x"),
                    3 => text.extend(b"%&\\"),
                    4 => text.extend(hex_of(part).iter()),
                    5 => text.extend(part.iter().flat_map(|byte| format!("0x{byte:02x} ").into_bytes())),
                    6 => text.extend(part.iter().flat_map(|byte| format!("%{byte:02X}").into_bytes())),
                    7 => text.extend(part.iter().flat_map(|byte| format!("&#{byte};").into_bytes())),
                    8 => text.extend(STANDARD.encode(part).into_bytes()),
                    9 => text.extend(part.to_ascii_uppercase()),
                    10 => text.extend(b"\x1b]0;x\x07"),
                    11 => text.extend("\u{9b}1m\x1b(B\\u001b[0m".as_bytes()),
                    12 => text.extend(b"\x9b0m\\e]"),
                    _ => text.extend(part),
                }
            }
            proptest::prop_assert_eq!(redaction.look(&text), by_the_rule(&redaction, &text));
        }
    }

    /// Letters and digits of the code that are left in a row.
    fn left(text: &str) -> usize {
        let plain = CODE.replace('-', "").to_ascii_lowercase();
        let text: String = text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        (0..=plain.len())
            .rev()
            .find(|length| {
                plain
                    .as_bytes()
                    .windows((*length).max(1))
                    .any(|run| *length == 0 || memmem::find(text.as_bytes(), run).is_some())
            })
            .unwrap()
    }

    #[test]
    fn a_code_in_many_spellings_does_not_come_out() {
        let bare = CODE.replace('-', "");
        let each = |form: fn(u8) -> String, of: &str| of.bytes().map(form).collect::<Vec<_>>();
        let spaced = bare.chars().map(|c| c.to_string()).collect::<Vec<_>>();
        let hex = each(|byte| format!("{byte:02x}"), CODE).concat();
        let said = [
            CODE.to_owned(),
            bare.clone(),
            CODE.to_uppercase(),
            bare.to_lowercase(),
            CODE.replace('-', " "),
            CODE.replace('-', "%2D"),
            CODE.replace('-', "\\u002d"),
            CODE.replace('-', "\u{2011}"),
            spaced.join(" "),
            spaced.join("\n"),
            spaced.join("\u{1b}[2m"),
            bare[..12].to_owned(),
            bare[bare.len() - RUN..].to_owned(),
            CODE[3..14].to_owned(),
            CODE.split('-').map(|group| format!("[\"{group}\"]")).collect::<Vec<_>>().join(","),
            each(|byte| format!("\\u{byte:04x}"), CODE).concat(),
            each(|byte| format!("%{byte:02X}"), CODE).concat(),
            each(|byte| format!("&#{byte};"), CODE).concat(),
        ];
        for text in &said {
            let shown = shown(&format!("before {text} after"));
            assert!(shown.starts_with("before [") && shown.contains(INSTEAD) && left(&shown) < RUN, "{text}: {shown}");
            assert!(shown.ends_with("after"), "{text}: {shown}");
        }
        for text in [
            hex.clone(),
            hex.to_uppercase(),
            each(|byte| format!("{byte:02x}"), &bare).join(" "),
            each(|byte| format!("0x{byte:02x}"), CODE).join(", "),
            each(|byte| format!("\\x{byte:02x}"), CODE).concat(),
            each(|byte| format!("{byte:02x}"), &bare.to_uppercase()).join(":"),
        ] {
            let shown = shown(&format!("before {text} after"));
            let digits: String = shown.chars().filter(char::is_ascii_hexdigit).collect();
            assert!(shown.contains(INSTEAD) && !digits.contains(&hex[..16]) && shown.len() < 60, "{text}: {shown}");
        }
        for before in ["", "a", "ab", "{\"code\":\""] {
            for code in [CODE.to_owned(), bare.clone(), bare.to_uppercase()] {
                let inside = format!("{before}{code}\"}}");
                for text in [STANDARD.encode(&inside), URL_SAFE_NO_PAD.encode(&inside)] {
                    for wrapped in [text.clone(), format!("{}\n{}", &text[..10], &text[10..])] {
                        let shown = shown(&wrapped);
                        assert!(shown.contains(INSTEAD) && shown.len() < text.len(), "{wrapped}: {shown}");
                    }
                }
            }
        }
    }

    /// What shows nothing on a terminal, as it is and as programs write it.
    fn sequences() -> Vec<Vec<u8>> {
        let raw = [
            "\x1b[31m",
            "\x1b[0m\x1b[K",
            "\x1b[?25l",
            "\x1b[1 q",
            "\x1b(B\x1b[m",
            "\x1bM",
            "\x1b7",
            "\x1b%G",
            "\x1b#8",
            "\x1b\\",
            "\x1b]0;xx\x07",
            "\x1b]8;;http://x\x1b\\",
            "\x1bPq1a\x1b\\",
            "\x1b_abc\x1b\\",
            "\x1b^abc\x1b\\",
            "\x1bXabc\x1b\\",
            "\x1bkabc\x1b\\",
            "\x1b]R",
            "\x1b]P1ffffff",
            "\u{9b}1m",
            "\u{9d}0;x\u{9c}",
            "\u{90}q\u{9c}",
            "\u{85}",
            "\x1b[3\n1m",
            "\x1b\0[\x003\x001\0m\0",
            "\x1b[3\x1b[1m",
            "\x1b]0;x\x1b[1m",
            "\x1b[1\x18",
            "\x1b\x1b[1m",
        ];
        let mut all: Vec<Vec<u8>> = raw.map(|text| text.as_bytes().to_vec()).to_vec();
        all.extend([&b"\x9b31m"[..], b"\x9d0;xx\x9c", b"\xff\x9b0m"].map(<[u8]>::to_vec));
        let spelled = [
            "\\u001b",
            "\\x1b",
            "\\033",
            "\\33",
            "\\e",
            "\\E",
            "\\u{1b}",
            "\\x{1B}",
            "\\U0000001b",
            "%1B",
            "&#27;",
            "&#x1b;",
            "^[",
        ];
        for escape in spelled {
            all.extend(
                ["[0m", "[1;31m", "(B", "M", "]0;xx\\u0007", "]0;xx\\a"]
                    .map(|rest| format!("{escape}{rest}").into_bytes()),
            );
            all.push(format!("{escape}]0;xx{escape}\\").into_bytes());
            all.push(format!("{escape}]0;xx{escape}\\\\").into_bytes());
        }
        let other = [
            "\\u009b0m",
            "%C2%9B0m",
            "\\xc2\\x9b0m",
            "\\x9b1m",
            "&#155;1m",
            "%1b%5B31m",
            "\\u200b",
            "%E2%80%8B",
            "\\u{200b}",
            "&shy;",
            "&ZeroWidthSpace;",
            "&#8209;",
            "\\n",
            "\\r\\n",
            "\\t",
        ];
        all.extend(other.map(|text| text.as_bytes().to_vec()));
        all
    }

    #[test]
    fn no_sequence_between_hides_the_code() {
        let redaction = Redaction::of(&UnlockCode::take(CODE).unwrap());
        let bare = CODE.replace('-', "");
        let hex: String = CODE.bytes().map(|byte| format!("{byte:02x}")).collect();
        for between in sequences() {
            for (text, size) in
                [(CODE, 6), (CODE, 5), (&bare, 1), (&bare, 3), (&hex, 2), (&hex, 3), (&STANDARD.encode(CODE), 4)]
            {
                let parts: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
                let raw = [b"before ", &parts.join(&between[..])[..], b" after"].concat();
                let found = redaction.find(&raw);
                let shown = String::from_utf8_lossy(&raw).escape_debug().to_string();
                assert_eq!(found.len(), 1, "{shown}: {found:?}");
                // All but a group that is not whole at its ends.
                assert!(found[0].start < 7 + 4 && found[0].end + 11 >= raw.len(), "{shown}: {found:?}");
            }
        }
    }

    #[test]
    fn what_is_sanitized_afterwards_holds_no_part_of_it() {
        let bare = CODE.replace('-', "").to_ascii_lowercase();
        for between in sequences() {
            let parts: Vec<&[u8]> = CODE.as_bytes().chunks(5).collect();
            let mut said = String::from_utf8_lossy(&parts.join(&between[..])).into_owned();
            Redaction::of(&UnlockCode::take(CODE).unwrap()).redact(&mut said);
            let sanitized = crate::safety::sanitize::sanitize(&said).to_ascii_lowercase();
            assert!(
                left(&sanitized) < RUN && !sanitized.contains(&bare[8..12]),
                "{}: {sanitized}",
                said.escape_debug()
            );
        }
    }

    #[test]
    fn two_that_share_a_letter_both_go() {
        let bare = CODE.replace('-', "");
        let (one, rest) = (&bare[12..20], &bare[13..20]);
        assert!(one.ends_with('6') && one.starts_with('6'));
        assert_eq!(shown(&format!("{one}{rest}")), INSTEAD);
    }

    #[test]
    fn less_than_eight_and_other_texts_stay() {
        let bare = CODE.replace('-', "");
        for text in
            ["", "nothing", &bare[..RUN - 1], "JID123e4567-e89b-12d3-a456-426655440000", "100 %", "&#;&#x;\\u00"]
        {
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown(&format!("ü {bare} ü")), "ü [unlock code] ü");
    }

    /// Numbers that look random and are the same in each run (xorshift).
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn text(&mut self, alphabet: &str, length: usize) -> String {
            let pick =
                |_| char::from(alphabet.as_bytes()[usize::try_from(self.next() % alphabet.len() as u64).unwrap()]);
            (0..length).map(pick).collect()
        }
    }

    #[test]
    fn a_thousand_documented_outputs_are_untouched() {
        const HEX: &str = "0123456789abcdef";
        const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        for round in 0..1000 {
            let groups: Vec<String> = (0..5).map(|_| numbers.text(&BASE64[..62], 5)).collect();
            let redaction = Redaction::of(&UnlockCode::take(groups.join("-")).unwrap());
            let id = format!(
                "JID{}-{}-{}-{}-{}",
                numbers.text(HEX, 8),
                numbers.text(HEX, 4),
                numbers.text(HEX, 4),
                numbers.text(HEX, 4),
                numbers.text(HEX, 12)
            );
            let output = match round % 5 {
                0 => format!(
                    "{{\n  \"DeviceId\" : \"{id}\",\n  \"UnlockStatus\" : {{ \"State\" : \"UNLOCKING\" }},\n  \"PhysicalNetworkInterfaces\" : [ {{ \"PhysicalNetworkInterfaceId\" : \"s.ni-{}\", \"MacAddress\" : \"{}\" }} ]\n}}\n",
                    numbers.text(HEX, 17),
                    numbers.text(HEX, 12)
                ),
                1 => format!(
                    "{{ \"AccessKeyIds\" : [ \"AKIA{}\" ] }}\n",
                    numbers.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)
                ),
                2 => format!(
                    "[snowballEdge]\naws_access_key_id = AKIA{}\naws_secret_access_key = {}\n\n",
                    numbers.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
                    numbers.text(BASE64, 40)
                ),
                3 => format!(
                    "{{ \"Certificates\" : [ {{ \"CertificateArn\" : \"arn:aws:snowball-device:::certificate/{}\", \"SubjectAlternativeNames\" : [ \"ID:{id}\" ] }} ] }}\n",
                    numbers.text(HEX, 96)
                ),
                _ => format!(
                    "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                    (0..20).map(|_| numbers.text(BASE64, 64)).collect::<Vec<_>>().join("\n")
                ),
            };
            let mut said = output.clone();
            redaction.redact(&mut said);
            assert_eq!(said, output);
            // A control: the same output with the code in it is.
            said.push_str(&groups.join(" "));
            redaction.redact(&mut said);
            assert_eq!(said, format!("{output}{INSTEAD}"));
        }
    }
}
