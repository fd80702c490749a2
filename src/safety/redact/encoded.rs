//! Looking through encodings. A view is the decoded text; what is found in it is told by its place in the encoded one.

use super::{Found, runs};

/// Base64 characters that can hold the shortest of what is looked for (a piece of 16 bytes).
const SHORTEST_BASE64: usize = 22;

/// What `look` finds in the text with every `%XX` decoded; nothing if there is none.
pub(super) fn percent(text: &[u8], look: impl Fn(&[u8]) -> Vec<Found>) -> Vec<Found> {
    let mut view = Vec::new();
    // Where each byte of the view begins in the text, and where the text ends.
    let mut starts = Vec::new();
    if memchr::memchr(b'%', text).is_none() {
        return Vec::new();
    }
    let mut at = 0;
    while at < text.len() {
        starts.push(at);
        let decoded = match text[at..] {
            [b'%', high, low, ..] => digit(high).zip(digit(low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        view.push(decoded.unwrap_or(text[at]));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    starts.push(text.len());
    let back = |found: Found| Found { at: starts[found.at.start]..starts[found.at.end], ..found };
    if view.len() == text.len() { Vec::new() } else { look(&view).into_iter().map(back).collect() }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// What `look` finds in what the text's base64, of either alphabet, stands for. Where in a run of such characters the
/// encoded text began is not known, so all four ways to group them are tried.
pub(super) fn base64(text: &[u8], look: impl Fn(&[u8]) -> Vec<Found>) -> Vec<Found> {
    let mut found = Vec::new();
    for run in runs(text, |byte| sextet(byte).is_some()) {
        if run.len() < SHORTEST_BASE64 {
            continue;
        }
        for phase in 0..4 {
            let start = run.start + phase;
            let back = |found: Found| {
                // Three bytes are four characters; a character that holds a single bit of it goes with it.
                let at = start + found.at.start * 8 / 6..(start + (found.at.end * 8).div_ceil(6)).min(run.end);
                Found { at, ..found }
            };
            found.extend(look(&decoded(&text[start..run.end])).into_iter().map(back));
        }
    }
    found
}

fn decoded(characters: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(characters.len() / 4 * 3 + 3);
    let (mut held, mut bits) = (0_u32, 0);
    for sextet in characters.iter().filter_map(|byte| sextet(*byte)) {
        held = held << 6 | u32::from(sextet);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    bytes
}

/// What a character of base64 stands for, in the alphabet of RFC 4648's section 4 or in that of section 5.
fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_as_others_encode_it() {
        for text in ["", "a", "ab", "abc", "any text at all\u{ff}\u{3ff}"] {
            let encoded = aws_smithy_types::base64::encode(text);
            assert_eq!(decoded(encoded.trim_end_matches('=').as_bytes()), text.as_bytes());
        }
    }

    #[test]
    fn places_are_told_in_the_encoded_text() {
        let all = |view: &[u8]| vec![Found { at: 1..view.len() - 1, instead: "" }];
        assert_eq!(percent(b"a%2Db%", all), [Found { at: 1..5, instead: "" }]);
        assert_eq!(percent(b"100% of it", all), [], "nothing is encoded");
        let text = aws_smithy_types::base64::encode("0123456789abcdefgh");
        assert_eq!(base64(text.as_bytes(), all)[0].at, 1..23);
    }
}
