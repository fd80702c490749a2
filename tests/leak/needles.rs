//! What a copy of a secret looks like.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem::Finder;

/// Characters in a row that count as a copy: more than any two groups of a code, so that no text holds them by chance.
const RUN: usize = 12;

/// All byte sequences that give a secret away.
pub(crate) struct Needles {
    finders: Vec<Finder<'static>>,
    length: usize,
}

impl Needles {
    /// Any run of [`RUN`] characters, as bytes and as UTF-16; the whole as base64, wherever it begins in what was
    /// encoded.
    pub(crate) fn of(secret: &str) -> Self {
        let mut needles: Vec<Vec<u8>> = Vec::new();
        for run in secret.as_bytes().windows(RUN) {
            needles.push(run.to_vec());
            // Without the last zero byte, so that a needle can't end in memory that was never written.
            needles.push(run.iter().flat_map(|byte| [*byte, 0]).take(2 * RUN - 1).collect());
        }
        for shift in 0..3 {
            let mut text = vec![b'?'; shift];
            text.extend_from_slice(secret.as_bytes());
            // Characters that depend on what stands before or after are not the secret's.
            let own = own_characters(shift, secret.len());
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                needles.push(engine.encode(&text).as_bytes()[own.clone()].to_vec());
            }
        }
        needles.sort();
        needles.dedup();
        let finders = needles.iter().map(|needle| Finder::new(needle).into_owned()).collect();
        Self { finders, length: secret.len() }
    }

    /// Where in `text` copies begin. What overlaps is one copy.
    pub(crate) fn find(&self, text: &[u8]) -> Vec<usize> {
        let mut hits: Vec<usize> =
            self.finders.iter().flat_map(|finder| finder.find_iter(text).collect::<Vec<_>>()).collect();
        hits.sort_unstable();
        let mut last = None;
        hits.retain(|&hit| {
            let new = last.is_none_or(|last| hit - last >= 2 * self.length);
            if new {
                last = Some(hit);
            }
            new
        });
        hits
    }

    pub(crate) fn count(&self, text: &[u8]) -> usize {
        self.find(text).len()
    }
}

/// The base64 characters that `length` bytes after `shift` others decide alone.
fn own_characters(shift: usize, length: usize) -> Range<usize> {
    (shift * 8).div_ceil(6)..(shift + length) * 8 / 6
}

const PLANTED: &str = "a6gt3-8suds-kshd6-7hhas-876as";

#[test]
fn a_copy_is_found_in_every_form() {
    let needles = Needles::of(PLANTED);
    let utf16: Vec<u8> = PLANTED.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (form, text) in [
        ("whole", format!("{{\"UnlockCode\":\"{PLANTED}\"}}").into_bytes()),
        ("a run at its start", format!("x{}x", &PLANTED[..RUN]).into_bytes()),
        ("a run at its end", format!("x{}x", &PLANTED[29 - RUN..]).into_bytes()),
        ("UTF-16", utf16),
    ] {
        assert_eq!(needles.count(&text), 1, "{form}");
    }
    for before in ["", "a", "ab", "abc", "code="] {
        for after in ["", "z", "zy"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{PLANTED}{after}"));
            assert_eq!(needles.count(encoded.as_bytes()), 1, "base64 after “{before}”, before “{after}”");
        }
    }
    assert_eq!(needles.count(format!("{PLANTED}{}{PLANTED}", "-".repeat(60)).as_bytes()), 2);
}

#[test]
fn other_text_is_no_copy() {
    let needles = Needles::of(PLANTED);
    assert_eq!(needles.count(b"12345-abcde-12345-ABCDE-12345"), 0);
    assert_eq!(needles.count(&PLANTED.as_bytes()[..RUN - 1]), 0);
}
