//! Unlock codes in what people type and write: whole, copied badly, or in a spelling that no stretch of 29 characters shows.
//!
//! What programs say goes through [`redact`](crate::safety::redact), byte by byte and by the exact shape alone. What people type is
//! short and comes once, so it is looked at more closely: a code has no place in a plan, in an answer or on a command line, and what
//! stands there is printed and kept.

use super::secret::{UnlockCode, has_shape_of_code, holds_shape_of_code};
use super::typed::is_like_a_hyphen;
use super::{Endpoint, TargetId, tidy};
use crate::safety::sanitize::is_invisible;

/// Letters and digits of a code.
const CHARACTERS: usize = 25;
/// Of each of its groups.
const GROUP: usize = 5;
const GROUPS: usize = CHARACTERS / GROUP;

/// Whether a line that was typed looks like an unlock code, or like one that was copied badly: with a character too many or too
/// few, or without its hyphens. A guess, for questions to which no code is an answer.
#[must_use]
pub(crate) fn looks_like_code(line: &str) -> bool {
    // A word processor or a mail may have put other characters between the groups, and some that are not seen.
    let seen = line.chars().filter(|c| !is_invisible(*c));
    let line: String = seen.map(|c| if c.is_alphanumeric() || c == ' ' { c } else { '-' }).collect();
    let is_exact = holds_shape_of_code(&line);
    let groups: Vec<&str> = line.split(['-', ' ']).collect();
    let is_of_characters = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let is_mixed = line.bytes().any(|byte| byte.is_ascii_digit());
    let count: usize = groups.iter().map(|group| group.len()).sum();
    let is_grouped =
        groups.len() == 1 || (groups.len() == 5 && groups.iter().all(|group| (4..=6).contains(&group.len())));
    is_exact || (is_of_characters && is_mixed && is_grouped && (24..=26).contains(&count))
}

/// The same of an answer that may be a path, which is seldom short and holds what others named.
#[must_use]
pub(crate) fn is_code_for_answer(line: &str) -> bool {
    looks_like_code(line) || !is_path(line) && holds_hidden_code(line)
}

/// Whether a code stands in `text` as a word of its own. A name of five words of five small letters is none: of three thousand codes
/// not one has nothing else.
#[must_use]
pub(crate) fn holds_typed_code(text: &str) -> bool {
    // A dot goes on with a host's name.
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(UnlockCode::LENGTH - 1)).any(|start| {
        let end = start + UnlockCode::LENGTH;
        let is_alone =
            !(start > 0 && is_of_word(bytes[start - 1]) || bytes.get(end).is_some_and(|byte| is_of_word(*byte)));
        let code = &bytes[start..end];
        is_alone && has_shape_of_code(code) && code.iter().any(|byte| !byte.is_ascii_lowercase() && *byte != b'-')
    })
}

/// Whether a code stands on a command line, in one word or in several. A path may have any name in it: of that, the exact shape counts.
/// What stands before a flag does not go on behind it: several addresses stand each behind a flag of its own.
#[must_use]
pub(crate) fn holds_code_in_words(words: &[String]) -> bool {
    if words.iter().any(|word| holds_typed_code(word)) {
        return true;
    }
    let mut texts = vec![String::new()];
    for word in words {
        let value = match flag_of(word) {
            _ if is_path(word) => "",
            Some(value) => value,
            None => {
                texts.last_mut().into_iter().for_each(|text| *text += &format!(" {word}"));
                continue;
            }
        };
        texts.push(value.to_owned());
    }
    texts.iter().any(|text| holds_disguise(&seen(text)))
}

/// What is given with a flag, if the word is one in letters alone.
fn flag_of(word: &str) -> Option<&str> {
    let flag = word.strip_prefix("--").filter(|flag| flag.starts_with(|c: char| c.is_ascii_lowercase()))?;
    let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-').then_some(value)
}

/// The strict form, for text that is kept or printed and in which no code has a place: also where other characters stand between the
/// groups, or between all characters, and where something is glued to a code without hyphens. Ids, addresses, dates, numbers and
/// labels in words are none (see the tests).
#[must_use]
pub(crate) fn holds_hidden_code(text: &str) -> bool {
    let seen = seen(text);
    holds_shape_of_code(&seen) || holds_disguise(&seen)
}

/// Without what is not seen, and with the letters and digits of the wide forms of East Asian keyboards as those that they are.
fn seen(text: &str) -> String {
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    text.chars().filter(|c| !is_invisible(*c)).map(narrow).collect()
}

fn holds_disguise(text: &str) -> bool {
    // An id or an address is known for what it is, and what stands before it does not go on behind it.
    let mut sequences = vec![Vec::new()];
    let mut is_behind_hyphen = false;
    for (word, piece) in text.split(|c: char| c.is_whitespace() || ",;\"".contains(c)).enumerate() {
        if is_known(piece) {
            sequences.push(Vec::new());
            continue;
        }
        let mut tokens = Vec::new();
        for part in piece.split_inclusive(|c: char| !c.is_alphanumeric()) {
            let text = part.trim_end_matches(|c: char| !c.is_alphanumeric());
            if !text.is_empty() {
                tokens.push(Token { text, word, is_behind_hyphen });
                is_behind_hyphen = false;
            }
            is_behind_hyphen |= part.ends_with(|c: char| c == '-' || is_like_a_hyphen(c));
        }
        // A letter of another alphabet is none of a code's.
        if tokens.iter().flat_map(|token| token.text.split(|c: char| !c.is_ascii())).any(is_glued) {
            return true;
        }
        sequences.last_mut().into_iter().for_each(|last| last.append(&mut tokens));
    }
    sequences.iter().any(|tokens| (0..tokens.len()).any(|at| begins_with_code(&tokens[at..])))
}

fn is_path(word: &str) -> bool {
    word.contains(['/', '\\'])
}

/// An id, an address, a UUID, or a MAC.
fn is_known(piece: &str) -> bool {
    let bare = tidy(piece);
    let is_uuid = |text: &str| TargetId::typed(&format!("JID{text}")).is_ok();
    is_uuid(bare.trim_matches(['{', '}', '(', ')']))
        || is_mac(&bare)
        || TargetId::typed(&bare).is_ok()
        || bare.parse::<Endpoint>().is_ok_and(|it| it.is_by_number())
}

/// The address of a network card or of an InfiniBand port, in one of the ways in which it is written.
fn is_mac(text: &str) -> bool {
    let is_of = |separator: char, parts: &[usize], length: usize| {
        let split: Vec<&str> = text.split(separator).collect();
        let is_hex = |part: &&str| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        parts.contains(&split.len()) && split.iter().all(is_hex)
    };
    is_of(':', &[6, 8], 2) || is_of('-', &[6, 8], 2) || is_of('.', &[3], 4)
}

/// Letters and digits without anything between them.
#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    /// In which word of the text it stands.
    word: usize,
    /// Whether there is a hyphen, or what looks like one, between it and the one before.
    is_behind_hyphen: bool,
}

/// How much each of these looks like a group of a code. Names that count on, such as “r1u10 r1u12 r1u14” or “rack1a rack1b rack1c”, are
/// none: two groups of a code that differ in digits alone are one in ten thousand codes, and what they lack the others make up for.
fn weights(tokens: &[Token<'_>]) -> Vec<usize> {
    let is_like = |one: &str, other: &str| is_of_series(one, other) && (one.len() == other.len());
    let weight = |token: &Token<'_>| {
        let like = |how: &dyn Fn(&str, &str) -> bool| tokens.iter().filter(|other| how(token.text, other.text)).count();
        let counts_on = like(&|one, other| is_like(one, other) && without_digits(one) == without_digits(other)) >= 2
            || like(&is_like) >= 3;
        if counts_on { 0 } else { weight(token.text) }
    };
    tokens.iter().map(weight).collect()
}

/// Whether both begin with the same letters, and have letters and digits at the same places.
fn is_of_series(one: &str, other: &str) -> bool {
    let begin = one.bytes().take_while(u8::is_ascii_alphabetic).count();
    let kinds = |text: &str| text.bytes().map(|byte| byte.is_ascii_digit()).collect::<Vec<_>>();
    begin > 0 && begin < one.len() && one.get(..begin) == other.get(..begin) && kinds(one) == kinds(other)
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// How much a token looks like a group of a code, and not like a word, a number or a word with its number.
fn weight(token: &str) -> usize {
    let bytes = token.as_bytes();
    let letters: Vec<u8> = bytes.iter().copied().filter(u8::is_ascii_alphabetic).collect();
    let is_capital = |letters: &[u8]| letters.iter().all(u8::is_ascii_uppercase);
    let is_small = |letters: &[u8]| letters.iter().all(u8::is_ascii_lowercase);
    let is_ordinary = is_capital(&letters) || is_small(letters.get(1..).unwrap_or_default());
    match (letters.is_empty(), changes(bytes)) {
        // Few number things from 00001.
        (true, _) => 2 + usize::from(bytes[0] == b'0'),
        _ if !is_ordinary => LOOKS_RANDOM,
        (_, 0) => 0,
        // "rack12", "bay3"
        (_, 1) if bytes[0].is_ascii_alphabetic() => 1,
        _ => LOOKS_RANDOM,
    }
}

const LOOKS_RANDOM: usize = 5;

/// How often a letter follows a digit or a digit a letter.
fn changes(bytes: &[u8]) -> usize {
    bytes.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count()
}

/// Whether letters and digits without anything between them are a code, or hold one. What has no small letter has to be as long as one:
/// numbers of devices are written so, and identifiers that programs make.
fn is_glued(token: &str) -> bool {
    const HASHES: [usize; 5] = [32, 40, 64, 96, 128];
    let (bytes, length) = (token.as_bytes(), token.len());
    let is_hash = HASHES.contains(&length) && bytes.iter().all(u8::is_ascii_hexdigit);
    let has_small_letter = bytes.iter().any(u8::is_ascii_lowercase);
    match length {
        CHARACTERS => changes(bytes) >= 2,
        24 | 26 => has_small_letter && changes(bytes) >= 2,
        27.. if !is_hash && has_small_letter => bytes.windows(CHARACTERS).any(|window| changes(window) >= 3),
        _ => false,
    }
}

/// Whether a code begins with the first of these tokens.
fn begins_with_code(tokens: &[Token<'_>]) -> bool {
    is_in_groups(tokens) || is_in_long_parts(tokens) || is_in_small_parts(tokens)
}

/// Its five groups, whatever stands between them; also copied badly, or with something glued to the first and to the last.
fn is_in_groups(tokens: &[Token<'_>]) -> bool {
    let Some(groups) = tokens.get(..GROUPS).filter(|groups| groups.iter().all(|group| group.text.is_ascii())) else {
        return false;
    };
    let lengths: Vec<usize> = groups.iter().map(|group| group.text.len()).collect();
    let count: usize = lengths.iter().sum();
    let weights = weights(groups);
    let weight: usize = weights.iter().sum();
    // Words and numbers alone are a label, unless hyphens part them as they do in a code, or they are those that documents have in
    // the place of one.
    let counts_up = |group: &Token<'_>| group.text.as_bytes().windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1));
    let is_likely = weights.contains(&LOOKS_RANDOM)
        || groups[1..].iter().all(|group| group.is_behind_hyphen)
        || groups.iter().any(counts_up);
    let has_letters = groups.iter().any(|group| group.text.bytes().any(|byte| byte.is_ascii_alphabetic()));
    let is_one_word = groups[0].word == groups[GROUPS - 1].word;
    let is_inside = lengths[1..GROUPS - 1].iter().all(|length| *length == GROUP);
    has_letters
        && is_likely
        && if lengths.iter().all(|length| *length == GROUP) {
            weight >= LOOKS_RANDOM
        } else if lengths.iter().all(|length| (4..=6).contains(length)) && (24..=26).contains(&count) {
            weight >= if is_one_word { LOOKS_RANDOM + 1 } else { 2 * LOOKS_RANDOM }
        } else {
            is_inside && lengths[0] >= GROUP && lengths[GROUPS - 1] >= GROUP && weight >= 2 * LOOKS_RANDOM
        }
}

/// Two to four parts of whole groups, none of which is a word.
fn is_in_long_parts(tokens: &[Token<'_>]) -> bool {
    let tokens = &tokens[..tokens.len().min(GROUPS - 1)];
    let is_part = |(token, weight): &(&Token<'_>, usize)| {
        token.text.is_ascii() && token.text.len().is_multiple_of(GROUP) && *weight > 1
    };
    let (mut count, mut looks_random) = (0, false);
    tokens.iter().zip(weights(tokens)).take_while(is_part).any(|(token, weight)| {
        count += token.text.len();
        looks_random |= weight >= LOOKS_RANDOM;
        count == CHARACTERS && looks_random
    })
}

/// All characters apart, or by twos, threes or fours.
fn is_in_small_parts(tokens: &[Token<'_>]) -> bool {
    let Some(length) = tokens.first().map(|token| token.text.len()).filter(|length| *length < GROUP) else {
        return false;
    };
    let parts = CHARACTERS.div_ceil(length);
    // One that was lost by copying.
    let parts = if length == 1 { parts - 1 } else { parts };
    let Some(parts) = tokens.get(..parts) else { return false };
    let (rest, last) = (&parts[..parts.len() - 1], parts[parts.len() - 1].text);
    let joined: String = parts.iter().map(|part| part.text).collect();
    let is_whole = length == 1 || joined.len() == CHARACTERS;
    let is_even = rest.iter().all(|part| part.text.len() == length) && last.len() <= length;
    // A rack's units, one behind the other.
    let counts_on = length > 1 && rest.iter().all(|part| is_of_series(parts[0].text, part.text));
    joined.is_ascii() && is_whole && is_even && !counts_on && changes(joined.as_bytes()) >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_on_a_command_line_is_one_alone_and_no_name() {
        for code in [
            "01234-abcde-01234-ABCDE-01234",
            "--endpoint=01234-abcde-01234-ABCDE-01234",
            "x abCde-abcde-abcde-abcde-abcde",
        ] {
            assert!(holds_typed_code(code), "{code}");
        }
        for other in [
            "power-users-north-sites-admin",
            "edge1-north-plant-italy-snow1.example",
            "https://edge1-north-plant-italy-snow1-x:9091",
            "JID123e4567-e89b-12d3-a456-426655440000",
        ] {
            assert!(!holds_typed_code(other), "{other}");
        }
    }

    #[test]
    fn a_code_that_was_copied_badly_is_known_for_one() {
        for code in [
            "01234-abcde-01234-ABCDE-01234",
            "01234abcde01234ABCDE01234",
            "1234-abcde-01234-ABCDE-01234",
            "01234-abcde-01234-ABCDE-0123",
            "01234 abcde 01234 ABCDE 01234",
            "the code: 01234-abcde-01234-ABCDE-01234",
            "01234\u{2013}abcde\u{2013}01234\u{2011}ABCDE\u{2212}01234",
            "01234_abcde_01234_ABCDE_01234",
            "01234-\u{ad}abcde-01234-\u{200b}ABCDE-01234",
        ] {
            assert!(looks_like_code(code), "{code}");
        }
        for other in [
            "",
            "192.0.2.10",
            "snowball-edge-warehouse-07",
            "abc-defghi-jklmno-pqrst-uvw1",
            "JID123e4567-e89b-12d3-a456-426655440000",
            "/opt/snowball-client-1.2.0/bin/x",
        ] {
            assert!(!looks_like_code(other), "{other}");
        }
    }

    /// A code, and what it looks like in disguise.
    fn disguises(code: &str) -> Vec<String> {
        let groups: Vec<&str> = code.split('-').collect();
        let bare = groups.concat();
        let by = |length: usize, between: &str| {
            let characters: Vec<char> = bare.chars().collect();
            characters.chunks(length).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>().join(between)
        };
        vec![
            code.to_owned(),
            groups.join(" - "),
            groups.join("  "),
            groups.join(", "),
            groups.join("/"),
            groups.join(" \u{2013} "),
            bare.clone(),
            bare.to_uppercase(),
            by(1, " "),
            by(1, "-"),
            by(2, " "),
            by(3, "."),
            by(4, " "),
            by(10, " "),
            code.chars().map(|c| format!("{c} ")).collect(),
            format!("rack{bare}"),
            format!("{bare}left"),
            format!("gate 4: {bare} (left)"),
            format!("T\u{fc}r{bare}"),
            format!("rack{}left", groups.join(" ")),
            format!("Rack 12, {}", groups.join(" - ")),
            format!("JID123e4567-e89b-12d3-a456-426655440000 {}", groups.join(" ")),
            code.chars()
                .map(|c| if c == '-' { c } else { char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c) })
                .collect(),
            code.replace('-', "\u{200b}-\u{200b}").replace('-', " "),
            groups.join(" \u{2011} "),
            groups.join(";"),
            groups.join("\t"),
            groups.join(" ").to_uppercase(),
            format!("Truck 00012 Halle {}", groups.join(" ")),
            format!("00:1a:2b:3c:4d:5e {}", groups.join(" ")),
            format!("r1u10 r1u12 {}", groups.join(" ")),
            format!("{bare}x"),
        ]
    }

    #[test]
    fn a_code_is_known_in_each_disguise() {
        for code in ["7c0e1-bab84-a7390-0ffee-31337", "7c0e1-bab84-f7675-0a2b6-f8k33", "a6gt3-8suds-kshd6-7hhas-876as"]
        {
            for text in disguises(code) {
                assert!(holds_hidden_code(&text), "{text}");
            }
        }
        // Nobody has one like these, which stand in documents.
        for code in ["12345-abcde-12345-ABCDE-12345", "01234-abcde-ABCDE-56789-fghij"] {
            let bare = code.replace('-', "");
            let apart: String = code.chars().map(|c| format!("{c} ")).collect();
            for text in [code.to_owned(), code.replace('-', " - "), format!("rack{bare}"), bare, apart] {
                assert!(holds_hidden_code(&text), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_code_is_a_label_a_value_or_a_word_of_a_command() {
        for text in [
            "",
            "Rack 12, left, power cord 3 is broken",
            "Rack 12a, U3, row 4b, left side, cable 2",
            "Regal 1234 links unten stehen",
            "Halle 1234 Regal 56789 unten",
            "dock1 rack2 12345 links unten",
            "north-gate-dock12-rack3-left",
            "Tor 3, hinter dem Gabelstapler, Stellplatz 17b (Herr M\u{fc}ller)",
            "Gefahrgutlagerhallenabschnitt7",
            "Gefahrgutlagerabschnitt17",
            "three north docks store south",
            "Order 12345 to 23456, Paris north gates",
            "12345, 12346, 12347, 12348, 12349",
            "2026-11-26",
            "2026-11-26T21:35:07Z to 2026-11-27T08:00:00+01:00",
            "26.11.2026 08:30 bis 27.11.2026 18:00",
            "JID123e4567-e89b-12d3-a456-426655440000",
            "JID123E4567-E89B-12D3-A456-426655440000",
            "CID123e4567-e89b-12d3-a456-426655440000",
            "123e4567-e89b-12d3-a456-426655440000",
            "{123E4567-E89B-12D3-A456-426655440000}",
            "123e4567e89b12d3a456426655440000",
            "JID123e4567-e89b-12d3-a456-426655440000, JID223e4567-e89b-12d3-a456-426655440000",
            "192.0.2.10 192.0.2.11 192.0.2.12:9092",
            "[2001:db8:1234:5678:9abc:def0:1234:5]:9091",
            "00:1a:2b:3c:4d:5e 00:1a:2b:3c:4d:5f",
            "9400111899223197428490",
            "1Z999AA10123456784",
            "420941039405511899223197428490",
            "JD014600006281230704",
            "S/N 207117240049, asset tag 7C0E1B2",
            "SN AB12-CD34-EF56",
            "SNOWBALL-EDGE-00123456",
            "snowball-edge-warehouse-07",
            "ip-10-0-12-34.eu-central-1.compute.internal",
            "AKIAIOSFODNN7EXAMPLE",
            "AWSReservedSSO_AdministratorAccess_1a2b3c4d5e6f7a8b",
            "arn:aws:iam::123456789012:role/SnowballOperators",
            "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            "+49 30 12345 67890 ext 12",
            "DE89 3704 0044 0532 0130 00",
            "100 TB, 80 kg, 208 V, 2x 10GbE, QSFP28",
            "Truck 00012 Halle 00034 links",
            "truck 00012 halle 00034 links",
            "Truck, 00012, Halle, 00034, links",
            "CID123e4567-e89b-12d3-a456-426655440000,r1u10 r1u12 r1u14 r1u16 r1u18",
            "CID123e4567-e89b-12d3-a456-426655440000,r1u10 r1u12 r2u10 r2u12 r3u14,Halle",
            "CID123e4567-e89b-12d3-a456-426655440000;sn7x2 sn8y4 sn9z1 sn7q3 sn1k5",
            "CID123e4567-e89b-12d3-a456-426655440000;r01u10 r01u12 r01u14 r01u16 r01u18;left",
            "rack1a rack1b rack1c rack1d rack1e",
            "a1b10 a1b12 a1b14, front a1b16 rear",
            "r1u1 r1u2 r1u3 r1u4 r1u5 r1u6 r",
            "00:1a:2b:3c:4d:5e;00:1a:2b:3c:4d:5f;1",
            "00-1A-2B-3C-4D-5E 00-1A-2B-3C-4D-5F 1",
            "001a.2b3c.4d5e 001a.2b3c.4d5f 1",
            "SN2023AB12CD34EF56GH78IJ90",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "snow-onboard run --plan pallet.csv --parallel 4 --unlock-timeout 30m",
        ] {
            assert!(!holds_hidden_code(text), "{text}");
        }
    }

    #[test]
    fn a_code_in_the_words_of_a_command_is_seen_and_a_path_is_none() {
        let words = |line: &str| line.split('|').map(str::to_owned).collect::<Vec<_>>();
        for line in [
            "run|7c0e1-bab84-a7390-0ffee-31337",
            "run|7c0e1|bab84|a7390|0ffee|31337",
            "run|7c0e1 - bab84 - a7390 - 0ffee - 31337",
            "run|--profile=7c0e1bab84a73900ffee31337",
            "run|--profile|rack7c0e1bab84a73900ffee31337",
            "unlock|--endpoint|7c0e1|bab84|a7390|0ffee|31337",
            "unlock|--unlock-code=7c0e1|bab84|a7390|0ffee|31337",
            "unlock|--node|7c0e1-bab84-a7390-0ffee-31337",
        ] {
            assert!(holds_code_in_words(&words(line)), "{line}");
        }
        for line in [
            "run|JID123e4567-e89b-12d3-a456-426655440000|--endpoint|edge1-north-plant-italy-snow1.example",
            "run|--profile|power-users-north-sites-admin|--region|eu-central-1",
            "run|--client|/nix/store/0c0e1bab84a73900ffee31337xyzwvut-snowball/bin/snowballEdge",
            "run|--plan|/var/folders/7c/0e1bab84a73900ffee31337k_n0000gn/T/pallet.csv|--parallel|4",
            "unlock|CID123e4567-e89b-12d3-a456-426655440000|--endpoint|r01u10|--node|r01u12|--node|r01u14",
            "unlock|CID123e4567-e89b-12d3-a456-426655440000|--endpoint|a1b2c|--node|d3e4f|--node|g5h6i|--node|j7k8l|--node|m9n0o",
            "unlock|CID123e4567-e89b-12d3-a456-426655440000|--endpoint=a1b2c|--node=d3e4f|--node=g5h6i|--node=j7k8l|--node=m9n0o",
            "audit|verify|--head|2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        ] {
            assert!(!holds_code_in_words(&words(line)), "{line}");
        }
    }
}
