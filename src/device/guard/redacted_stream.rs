//! The redaction of what the client says while it says it: a code that comes in two pieces is found, and a prompt appears.

use std::ops::Range;

use zeroize::Zeroizing;

use crate::device::guard::redaction::{INSTEAD, Redaction};

/// Takes the code out of what comes piece by piece. What may be the beginning of one is held back until more has come.
pub(in crate::device) struct RedactedStream {
    redaction: Option<Redaction>,
    /// What may be the beginning of a code.
    tail: Zeroizing<Vec<u8>>,
    /// Bytes of it that were passed on since nothing followed them for a while, or that [`INSTEAD`] was passed on for.
    passed: usize,
    /// The last of those were replaced.
    is_replaced: bool,
    /// Binary data is not looked at.
    passes_binary: bool,
    /// The last piece was binary.
    was_binary: bool,
}

impl RedactedStream {
    /// Most that is held back: more than a code takes up in any spelling.
    const MAX_HELD: usize = 8 * 1024;

    /// Nothing is taken out where no code is known, nor of binary data if that is said.
    pub(in crate::device) fn new(redaction: Option<Redaction>, passes_binary: bool) -> Self {
        let tail = Zeroizing::default();
        Self { redaction, tail, passed: 0, is_replaced: false, passes_binary, was_binary: false }
    }

    /// Whether something is held back.
    pub(in crate::device) fn holds(&self) -> bool {
        self.passed < self.tail.len()
    }

    /// Takes the next piece, and gives what may be passed on.
    pub(in crate::device) fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let is_binary = self.passes_binary && is_binary(piece);
        // The first one is looked at, as what stands before it may be text.
        if std::mem::replace(&mut self.was_binary, is_binary) && is_binary {
            let mut out = self.flush();
            out.extend_from_slice(piece);
            self.tail.clear();
            (self.passed, self.is_replaced) = (0, false);
            return out;
        }
        let Some(redaction) = &self.redaction else { return piece.to_vec() };
        self.tail.extend_from_slice(piece);
        let (found, mut open) = redaction.look(&self.tail);
        // A code that is still going on is replaced once.
        if let Some(last) = found.iter().find(|at| at.start < open && open <= at.end) {
            open = last.start;
        }
        if self.tail.len() - open > Self::MAX_HELD {
            open = self.tail.len();
        }
        let out = self.pass_on(&found, open);
        self.tail.drain(..open);
        self.passed = self.passed.saturating_sub(open);
        out
    }

    /// Gives what was held back: nothing has followed for a while, as after a prompt. It is still known as the beginning of a
    /// code that may go on.
    pub(in crate::device) fn flush(&mut self) -> Vec<u8> {
        let Some(redaction) = &self.redaction else { return Vec::new() };
        let found = redaction.find(&self.tail);
        self.pass_on(&found, self.tail.len())
    }

    /// Gives what of the tail up to `end` was not passed on yet.
    fn pass_on(&mut self, found: &[Range<usize>], end: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(end.saturating_sub(self.passed));
        let mut at = self.passed;
        for found in found.iter().filter(|found| found.end > self.passed && found.start < end) {
            out.extend_from_slice(self.tail.get(at..found.start).unwrap_or_default());
            if !(self.is_replaced && found.start < self.passed) {
                out.extend_from_slice(INSTEAD.as_bytes());
            }
            at = found.end;
        }
        out.extend_from_slice(self.tail.get(at..end).unwrap_or_default());
        if end > self.passed {
            self.is_replaced = found.iter().any(|found| found.start < end && end <= found.end);
            self.passed = end;
        }
        out
    }
}

/// Whether a piece is compressed, encrypted or the like from its beginning to its end: none of its blocks is text in any
/// encoding, that of Windows with a zero in every second byte among them.
fn is_binary(piece: &[u8]) -> bool {
    const BLOCK: usize = 4 * 1024;
    // Among random bytes it is each tenth.
    const RARE: usize = 32;
    let has_controls = |block: &[u8]| {
        let in_no_text = |byte: &&u8| matches!(byte, 1..=6 | 14..=26 | 28..=31);
        block.iter().filter(in_no_text).count() * RARE > block.len()
    };
    let Some(last) = piece.len().checked_sub(BLOCK) else { return false };
    piece.chunks_exact(BLOCK).all(has_controls) && has_controls(&piece[last..])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::model::UnlockCode;

    const CODE: &str = "7c0e1-Bab84-f7675-0a2B6-f8b33";

    fn stream() -> RedactedStream {
        RedactedStream::new(Some(Redaction::of(&UnlockCode::take(CODE).unwrap())), false)
    }

    fn shown<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut stream = stream();
        let mut out: Vec<u8> = pieces.into_iter().flat_map(|piece| stream.push(piece)).collect();
        out.extend(stream.flush());
        out
    }

    fn spellings() -> Vec<String> {
        let bare = CODE.replace('-', "");
        let each = |form: fn(u8) -> String| CODE.bytes().map(form).collect::<Vec<_>>();
        vec![
            CODE.to_owned(),
            bare.clone(),
            CODE.to_uppercase(),
            CODE.replace('-', " "),
            bare.chars().map(|c| c.to_string()).collect::<Vec<_>>().join("\u{1b}[2m"),
            CODE.replace('-', "%2D"),
            CODE.replace('-', "\u{1b}]0;xx\u{7}"),
            CODE.replace('-', "\u{1b}]0;xx\u{1b}\\"),
            CODE.replace('-', "\u{1b}M"),
            CODE.replace('-', "\u{1b}(B\u{1b}[m"),
            CODE.replace('-', "\u{9b}1m"),
            CODE.replace('-', "\\u001b[0m-\\u001b[31m"),
            CODE.replace('-', "&#27;[0m"),
            each(|byte| format!("{byte:02x}\u{1b}[0m")).concat(),
            bare[..8].to_owned(),
            CODE[14..].to_owned(),
            each(|byte| format!("\\u{byte:04x}")).concat(),
            each(|byte| format!("&#{byte};")).concat(),
            each(|byte| format!("{byte:02x}")).concat(),
            each(|byte| format!("0x{byte:02X}")).join(", "),
            STANDARD.encode(format!("code={CODE}")),
        ]
    }

    #[test]
    fn a_code_in_two_pieces_or_in_many_is_replaced_as_a_whole_one_is() {
        for spelling in spellings() {
            let text = format!("before {spelling} after\n");
            let mut whole = text.clone();
            Redaction::of(&UnlockCode::take(CODE).unwrap()).redact(&mut whole);
            assert!(whole.contains("[unlock code]"), "a control: {whole}");
            for at in 0..=text.len() {
                let (one, two) = text.as_bytes().split_at(at);
                let shown = shown([one, two]);
                assert_eq!(String::from_utf8(shown).unwrap(), whole, "{spelling} parted at {at}");
            }
            for size in [1, 3] {
                let shown = shown(text.as_bytes().chunks(size));
                assert_eq!(String::from_utf8(shown).unwrap(), whole, "{spelling} in pieces of {size}");
            }
        }
    }

    /// However long the client waits: no eight characters in a row.
    #[test]
    fn after_a_pause_a_begun_code_is_still_one() {
        for size in 1..12 {
            let mut stream = stream();
            let mut out = Vec::new();
            for piece in format!("code: {CODE}\n").as_bytes().chunks(size) {
                out.extend(stream.push(piece));
                out.extend(stream.flush());
                assert!(!stream.holds());
            }
            let out = String::from_utf8(out).unwrap();
            let begun = out.strip_prefix("code: ").unwrap().split_once("[unlock code]").unwrap().0;
            assert!(begun.chars().filter(char::is_ascii_alphanumeric).count() < 8, "in pieces of {size}: {out}");
            let stays = CODE.split('-').skip(2).any(|group| out.contains(group));
            assert!(!stays, "in pieces of {size}: {out}");
        }
    }

    #[test]
    fn other_bytes_are_passed_on_as_they_are() {
        for (size, length) in [(1, 300), (7, 3000), (8192, 70_000)] {
            let all: Vec<u8> = (0..=255).cycle().take(length).collect();
            assert!(shown(all.chunks(size)) == all, "in pieces of {size}");
        }
        let prompt = b"Unlock code: \xff7c0e";
        let mut stream = stream();
        let mut out = stream.push(prompt);
        assert!(stream.holds() && out.len() < prompt.len(), "what may be a beginning is held back");
        out.extend(stream.flush());
        assert_eq!(out, prompt);
    }

    #[test]
    fn no_more_is_held_back_than_a_code_can_take_up() {
        let mut stream = stream();
        stream.push(b"7c0e1");
        let zeros = [0; RedactedStream::MAX_HELD];
        assert_eq!(stream.push(&zeros).len(), 5 + zeros.len());
        assert!(!stream.holds());
    }

    /// What comes out for these pieces, where binary data is not looked at.
    fn to_a_file(pieces: &[&[u8]]) -> Vec<u8> {
        let mut stream = RedactedStream { passes_binary: true, ..stream() };
        let mut out: Vec<u8> = pieces.iter().flat_map(|piece| stream.push(piece)).collect();
        out.extend(stream.flush());
        out
    }

    /// No text: every byte there is, in turn, with `inside` in the middle.
    fn noise(inside: &[u8]) -> Vec<u8> {
        let half: Vec<u8> = (0..=255).cycle().take(16 * 1024).collect();
        [&half, inside, &half].concat()
    }

    #[test]
    fn binary_data_after_binary_data_is_not_looked_at() {
        let (noise, with_code) = (noise(b""), noise(CODE.as_bytes()));
        assert!(to_a_file(&[&noise, &with_code]) == [&noise[..], &with_code].concat());
        assert!(shown([&noise[..], &with_code]) != [&noise[..], &with_code].concat(), "but it is where it is shown");
        // What was held back comes first, and once.
        let begun = [&noise[..], b"7c0e1-ba"].concat();
        assert!(to_a_file(&[&begun, &noise, &noise]) == [&begun[..], &noise, &noise].concat());
    }

    #[test]
    fn text_beside_binary_data_is_looked_at() {
        let noise = noise(b"");
        let wide: Vec<u8> = CODE.bytes().chain(*b"; ").cycle().take(4096).flat_map(|byte| [byte, 0]).collect();
        let long: Vec<u8> = CODE.bytes().chain(*b"; ").cycle().take(8192).collect();
        let within = [&noise[..], &long, &noise].concat();
        for text in [CODE.as_bytes(), &wide, &long, &within] {
            for pieces in [&[text][..], &[&noise, text], &[&noise, &noise, text, &noise], &[text, &noise, &noise]] {
                let out = to_a_file(pieces);
                assert!(memchr::memmem::find(&out, b"[unlock code]").is_some());
                let halves = [&CODE.as_bytes()[..12], &CODE.as_bytes()[17..]];
                assert!(halves.iter().all(|half| memchr::memmem::find(&out, half).is_none()));
            }
        }
        let (begin, end) = CODE.split_at(14);
        let out = to_a_file(&[&noise, &noise, begin.as_bytes(), &[end.as_bytes(), &noise].concat()]);
        assert!(memchr::memmem::find(&out, b"0a2B6").is_none(), "across two pieces");
    }
}
