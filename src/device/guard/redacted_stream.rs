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
}

impl RedactedStream {
    /// Most that is held back: more than a code takes up in any spelling.
    const MAX_HELD: usize = 8 * 1024;

    /// Nothing is taken out where no code is known.
    pub(in crate::device) fn new(redaction: Option<Redaction>) -> Self {
        Self { redaction, tail: Zeroizing::default(), passed: 0, is_replaced: false }
    }

    /// Whether something is held back.
    pub(in crate::device) fn holds(&self) -> bool {
        self.passed < self.tail.len()
    }

    /// Takes the next piece, and gives what may be passed on.
    pub(in crate::device) fn push(&mut self, piece: &[u8]) -> Vec<u8> {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::model::UnlockCode;

    const CODE: &str = "7c0e1-Bab84-f7675-0a2B6-f8b33";

    fn stream() -> RedactedStream {
        RedactedStream::new(Some(Redaction::of(&UnlockCode::take(CODE).unwrap())))
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
}
