//! The writer that everything leaves through.

use std::io::{self, Write};

use super::{is_of_word, redacted, replace, secrets};

/// Longest word that is held back until its end is there. A presigned URL has at most 16 KiB
/// ([`ManifestUrl::MAX_LENGTH`](crate::model::ManifestUrl::MAX_LENGTH)).
const MAX_WORD: usize = 64 * 1024;

/// Of a longer word, how much is held back: more than any secret needs to be recognised. A session token has some hundred
/// characters, seldom a few thousand.
const HELD: usize = 16 * 1024;

/// Passes on what is written, without the secrets of this run.
///
/// What could be the beginning of a secret, the last word as long as it has no end, is held back until its end has come;
/// so it does not matter how the text was cut into writes. A flush does not let it out, since a flush may come between
/// the halves of a secret. Dropping the writer, or [`Redacting::finish`], does.
#[derive(Debug)]
pub struct Redacting<W: Write> {
    inner: W,
    /// The word that has no end yet.
    held: Vec<u8>,
    /// What was replaced last had no end yet: the rest of the word goes as well.
    swallowing: bool,
}

impl<W: Write> Redacting<W> {
    /// A writer to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, held: Vec::new(), swallowing: false }
    }

    /// Writes what is held back: there is no more to come that could belong to it.
    ///
    /// # Errors
    /// What the inner writer says.
    pub fn finish(&mut self) -> io::Result<()> {
        self.swallowing = false;
        let word = zeroize::Zeroizing::new(std::mem::take(&mut self.held));
        self.inner.write_all(&redacted(&word)).and_then(|()| self.inner.flush())
    }

    /// Lets the beginning of an overlong word out.
    fn shorten(&mut self) -> io::Result<()> {
        let found = secrets(&self.held);
        let mut until = self.held.len() - HELD;
        if let Some(over) = found.iter().find(|found| found.at.start <= until && until < found.at.end) {
            until = over.at.end;
            self.swallowing = until == self.held.len();
        }
        let out = replace(&self.held, &found, 0..until);
        self.forget(until);
        self.inner.write_all(&out)
    }

    /// Wipes the first `length` held bytes and moves the rest up.
    fn forget(&mut self, length: usize) {
        let rest = self.held.split_off(length);
        let _wiped = zeroize::Zeroizing::new(std::mem::replace(&mut self.held, rest));
    }

    fn take(&mut self, mut text: &[u8]) -> io::Result<()> {
        if self.swallowing {
            let rest = text.iter().position(|byte| !is_of_word(*byte)).unwrap_or(text.len());
            self.swallowing = rest == text.len();
            text = &text[rest..];
        }
        let Some(end) = text.iter().rposition(|byte| !is_of_word(*byte)) else {
            self.held.extend_from_slice(text);
            return if self.held.len() > MAX_WORD { self.shorten() } else { Ok(()) };
        };
        let (whole, begun) = text.split_at(end + 1);
        self.held.extend_from_slice(whole);
        // One write, so that a line stays one beside those of others.
        let out = redacted(&self.held);
        self.forget(self.held.len());
        self.held.extend_from_slice(begun);
        self.inner.write_all(&out)
    }
}

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        // In pieces, so that a single write can't make a word longer than it may be held.
        for piece in text.chunks(MAX_WORD) {
            self.take(piece)?;
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Drop for Redacting<W> {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::safety::redact::register;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    const CODE: &str = "7c0e1-bab84-f7675-0a2b6-f8b33";

    fn written<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Redacting::new(&mut out);
        for piece in pieces {
            writer.write_all(piece).unwrap();
            writer.flush().unwrap();
        }
        drop(writer);
        out
    }

    /// `text` cut at some places.
    fn cut<'a>(text: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
        let mut places: Vec<usize> = places.iter().map(|place| place.index(text.len() + 1)).collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        places.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
    }

    #[test]
    fn a_line_goes_out_when_it_ends_and_a_question_when_it_is_asked() {
        let mut out = Vec::new();
        let mut writer = Redacting::new(&mut out);
        writer.write_all(b"Really? [y/N] ").unwrap();
        assert_eq!(writer.inner.as_slice(), b"Really? [y/N] ");
        writer.write_all(b"a line\nand a be").unwrap();
        assert!(writer.inner.ends_with(b"a line\nand a "));
        writer.finish().unwrap();
        assert!(writer.inner.ends_with(b"and a be"));
    }

    #[test]
    fn words_of_any_length_are_no_way_around() {
        let filler = "x".repeat(3 * MAX_WORD);
        let text = format!("{filler}{CODE}{filler}");
        let plain = format!("{filler}[unlock code]{filler}");
        for size in [1000, MAX_WORD - 7, MAX_WORD * 2, text.len()] {
            assert!(written(text.as_bytes().chunks(size)) == plain.as_bytes(), "{size}");
        }
        // Where an overlong word is cut must not be in the middle of the longest secret.
        let token = "0123456789abcdef".repeat(200);
        register(&token);
        let tokens = written(format!("{filler}{token}{filler}").as_bytes().chunks(1000));
        assert!(tokens == format!("{filler}[AWS secret]{filler}").as_bytes());
        let endless = format!("a?X-Amz-Signature={filler} next");
        assert_eq!(written(endless.as_bytes().chunks(5000)), b"a?X-Amz-Signature=[signed] next");
        assert!(written([filler.as_bytes()]) == filler.as_bytes(), "plain text stays, however long");
    }

    #[test]
    fn of_an_overlong_word_only_the_end_is_held_back() {
        let mut out = Vec::new();
        let mut writer = Redacting::new(&mut out);
        for _ in 0..3 * MAX_WORD / 1000 {
            writer.write_all(&[b'x'; 1000]).unwrap();
            assert!(writer.held.len() <= MAX_WORD);
        }
        assert!(writer.inner.len() > MAX_WORD);
        drop(writer);
        // A secret that has just ended is no reason to take what follows it for its rest.
        let filler = "x".repeat(MAX_WORD);
        let text = written([filler.as_bytes(), CODE.as_bytes(), b"the rest"]);
        assert!(text == format!("{filler}[unlock code]the rest").as_bytes());
    }

    #[test]
    fn a_flush_goes_on_to_what_is_written_to() {
        let inner = io::BufWriter::new(Vec::new());
        let mut writer = Redacting::new(inner);
        writer.write_all(b"a line\n").unwrap();
        assert!(writer.inner.get_ref().is_empty(), "the control");
        writer.flush().unwrap();
        assert_eq!(writer.inner.get_ref().as_slice(), b"a line\n");
    }

    #[test]
    fn the_time_grows_with_the_length_and_no_faster() {
        register("a secret that is looked for 0123456789");
        let time = |length: usize| {
            let text = ["one%20Two/three+", "word ", "-a-b-c-d", "x-amz-signature=", "\n"].concat().repeat(length / 46);
            let start = Instant::now();
            written(text.as_bytes().chunks(100));
            written(text.replace([' ', '\n'], "_").as_bytes().chunks(100));
            start.elapsed()
        };
        let short = time(50_000);
        let long = time(500_000);
        assert!(long < short * 40 + Duration::from_millis(500), "{} and {} ms", short.as_millis(), long.as_millis());
    }

    proptest! {
        #[test]
        fn however_it_is_cut_no_secret_gets_through_and_nothing_else_is_lost(
            before in "(\\PC{0,60}[ \n\",=])?", after in "([ \n\",&]\\PC{0,60})?",
            code in "[0-9a-zA-Z]{5}(-[0-9a-zA-Z]{5}){4}",
            places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            prop_assume!(!before.to_ascii_lowercase().contains("signature="));
            let text = format!("{before}{code}{after}");
            let out = String::from_utf8(written(cut(text.as_bytes(), &places))).unwrap();
            prop_assert!(!out.contains(&code[..11]), "{}", out);
            prop_assert!(out.starts_with(&before) && out.ends_with(&after), "{}", out);
            prop_assert!(out.contains("[unlock code]"));
        }

        #[test]
        fn however_it_is_cut_plain_text_stays(
            text in "\\PC{0,300}|([a-z%/+=]{0,60}[ \n]){0,9}",
            places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            prop_assume!(!text.to_ascii_lowercase().contains("signature="));
            prop_assert_eq!(written(cut(text.as_bytes(), &places)), text.as_bytes());
        }
    }
}
