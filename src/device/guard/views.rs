//! A text as it may be read: what counts in it, character by character, with where each stands. One pass tells whether a code may
//! be in it and where one may have begun; most text holds none, and is looked at no further.

use std::ops::Range;

use zeroize::Zeroizing;

/// Longer than anything that is looked for.
const LAST: usize = 64;

/// The ways in which a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Letters and digits in small letters; `decoded` with escapes as what they stand for, and `without` terminal sequences.
    Letters { decoded: bool, without: bool },
    /// Hexadecimal digits, without what stands between or before them ("0x63, 0x30", "63:30").
    Hex,
    /// Characters of base64 in either alphabet, without line ends and whatever else stands between.
    Base64,
}

impl Reading {
    /// Every way to read letters in `text` that differs from the others: with the terminal sequences as well, since what begins like
    /// one may swallow digits of the code.
    pub(super) fn of_letters(text: &[u8]) -> impl Iterator<Item = Self> {
        let has_escapes = memchr::memchr3_iter(b'%', b'\\', b'&', text).any(|at| escaped(&text[at..]).is_some());
        let has_sequences = memchr::memchr_iter(0x1b, text).any(|at| sequence(&text[at..]) > 1);
        [(false, false), (false, true), (true, false), (true, true)]
            .into_iter()
            .filter(move |(decoded, without)| (!decoded || has_escapes) && (!without || has_sequences))
            .map(|(decoded, without)| Self::Letters { decoded, without })
    }

    /// Gives what counts in `text`, in order.
    pub(super) fn read(self, text: &[u8], each: impl FnMut(u8, Range<usize>)) {
        match self {
            Self::Letters { decoded, without } => letters(text, decoded, without, each),
            Self::Hex => hex(text, each),
            Self::Base64 => counting(text, &BASE64, each),
        }
    }
}

/// What each byte counts as among letters and digits, and in base64; zero for nothing.
const LETTERS: [u8; 256] = table(false);
const BASE64: [u8; 256] = table(true);

const fn table(is_base64: bool) -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = match byte {
            b'-' | b'+' if is_base64 => b'+',
            b'_' | b'/' if is_base64 => b'/',
            _ if !byte.is_ascii_alphanumeric() => 0,
            _ if is_base64 => byte,
            _ => byte.to_ascii_lowercase(),
        };
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

fn letters(text: &[u8], decoded: bool, without: bool, mut each: impl FnMut(u8, Range<usize>)) {
    if !decoded && !without {
        return counting(text, &LETTERS, each);
    }
    let mut at = 0;
    while at < text.len() {
        let (mut byte, mut length) = (text[at], 1);
        if decoded && matches!(byte, b'%' | b'\\' | b'&') {
            (byte, length) = escaped(&text[at..]).unwrap_or((byte, length));
        }
        if LETTERS[usize::from(byte)] != 0 {
            each(LETTERS[usize::from(byte)], at..at + length);
        }
        at += if without && text[at] == 0x1b { sequence(&text[at..]) } else { length };
    }
}

fn hex(text: &[u8], mut each: impl FnMut(u8, Range<usize>)) {
    counting(text, &LETTERS, |byte, place| {
        let begins_number = || byte == b'0' && matches!(text.get(place.end), Some(b'x' | b'X'));
        if byte != b'x' && !begins_number() {
            each(byte, place);
        }
    });
}

fn counting(text: &[u8], table: &[u8; 256], mut each: impl FnMut(u8, Range<usize>)) {
    for (at, byte) in text.iter().enumerate() {
        let byte = table[usize::from(*byte)];
        if byte != 0 {
            each(byte, at..at + 1);
        }
    }
}

/// The byte that an escape at the start of `text` stands for, and the escape's length.
pub(super) fn escaped(text: &[u8]) -> Option<(u8, usize)> {
    let number = |digits: &[u8], radix| u8::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok();
    let hex = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        Some((number(digits, 16)?, to))
    };
    match text {
        [b'%', ..] => hex(1, 3),
        [b'\\', b'x', ..] => hex(2, 4),
        [b'\\', b'u', b'0', b'0', ..] => hex(4, 6),
        [b'&', b'#', b'x' | b'X', rest @ ..] => {
            let end = rest.iter().take(3).position(|byte| *byte == b';')?;
            hex(3, 3 + end).map(|(byte, length)| (byte, length + 1))
        }
        [b'&', b'#', rest @ ..] => {
            let end = rest.iter().take(4).position(|byte| *byte == b';')?;
            let digits = rest[..end].iter().all(u8::is_ascii_digit).then_some(&rest[..end])?;
            Some((number(digits, 10)?, end + 3))
        }
        _ => None,
    }
}

/// Length of the terminal sequence at the start of `text`, which begins with ESC.
fn sequence(text: &[u8]) -> usize {
    match text.get(1) {
        // ECMA-48, 5.4: parameters, intermediates, a final byte. At the very end the rest may still come.
        Some(b'[') => {
            let among = |from: usize, bytes: std::ops::RangeInclusive<u8>| {
                from + text[from..].iter().take_while(|byte| bytes.contains(byte)).count()
            };
            let end = among(among(2, 0x30..=0x3f), 0x20..=0x2f);
            match text.get(end) {
                Some(b'@'..=b'~') => end + 1,
                Some(_) => 1,
                None => text.len(),
            }
        }
        _ => 1,
    }
}

/// The first bytes of each thing that is looked for, [`HEAD`] of each.
pub(super) struct Heads {
    keys: Zeroizing<Vec<u64>>,
    /// Whether a byte stands in any of them, by which nearly all of other texts is told at once.
    bytes: Zeroizing<Vec<u8>>,
}

const HEAD: usize = 8;

impl Heads {
    pub(super) fn of<'a>(needles: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut this = Self { keys: Zeroizing::default(), bytes: Zeroizing::new(vec![0; 256]) };
        for head in needles.filter_map(|needle| needle.get(..HEAD)) {
            this.keys.push(head.iter().fold(0, |key, byte| pushed(key, *byte)));
            head.iter().for_each(|byte| this.bytes[usize::from(*byte)] = 1);
        }
        this.keys.sort_unstable();
        this.keys.dedup();
        this
    }
}

fn pushed(key: u64, byte: u8) -> u64 {
    key << 8 | u64::from(byte)
}

/// One reading of a text, of which no more is kept than what may be the beginning of something.
pub(super) struct Pass {
    hit: bool,
    /// How many were kept.
    length: usize,
    last: Zeroizing<[u8; LAST]>,
    starts: [usize; LAST],
}

impl Pass {
    pub(super) fn of(reading: Reading, text: &[u8], heads: &Heads) -> Self {
        // What counts stands close together in most text.
        const NEAR: usize = 8 * LAST;
        let this = Self::keeping(reading, text, heads, text.len().saturating_sub(NEAR));
        if this.length < LAST && text.len() > NEAR { Self::keeping(reading, text, heads, 0) } else { this }
    }

    /// Of what stands before `from` nothing is kept.
    fn keeping(reading: Reading, text: &[u8], heads: &Heads, from: usize) -> Self {
        let mut this = Self { hit: false, length: 0, last: Zeroizing::new([0; LAST]), starts: [0; LAST] };
        let (mut key, mut row) = (0, 0_usize);
        reading.read(text, |byte, place| {
            key = pushed(key, byte);
            row = if heads.bytes[usize::from(byte)] == 0 { 0 } else { row + 1 };
            if row >= HEAD && heads.keys.binary_search(&key).is_ok() {
                this.hit = true;
            }
            if place.start >= from {
                this.last[this.length % LAST] = byte;
                this.starts[this.length % LAST] = place.start;
                this.length += 1;
            }
        });
        this
    }

    /// Whether the first part of something is in it that is looked for.
    pub(super) fn hits(&self) -> bool {
        self.hit
    }

    /// Whether its last byte is this one.
    pub(super) fn ends_with(&self, byte: u8) -> bool {
        self.length > 0 && self.last[(self.length - 1) % LAST] == byte
    }

    /// Moves `from` to where one of the needles may have begun, in all of it or in all but its last byte.
    pub(super) fn begin<'a>(&self, needles: impl Iterator<Item = &'a [u8]>, but_last: bool, from: &mut usize) {
        let end = self.length - usize::from(but_last);
        let known = end.min(LAST - usize::from(but_last));
        let mut tail = Zeroizing::new([0; LAST]);
        let tail = &mut tail[..known];
        tail.iter_mut().zip(end - known..end).for_each(|(byte, at)| *byte = self.last[at % LAST]);
        for needle in needles {
            let longest = (1..needle.len()).rev().find(|length| tail.ends_with(&needle[..*length]));
            if let Some(length) = longest {
                *from = (*from).min(self.starts[(end - length) % LAST]);
            }
        }
    }
}
