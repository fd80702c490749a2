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
    pub(super) fn read(self, text: &[u8], mut each: impl FnMut(u8, Range<usize>)) {
        match self {
            Self::Letters { decoded, without } if self.is_in_context() => letters(text, decoded, without, each),
            _ => {
                for at in 0..text.len() {
                    let byte = counted(text, at, self.table());
                    if byte != 0 {
                        each(byte, at..at + 1);
                    }
                }
            }
        }
    }

    /// Whether what a byte counts as depends on those before it.
    fn is_in_context(self) -> bool {
        matches!(self, Self::Letters { decoded, without } if decoded || without)
    }

    /// What each byte counts as that stands for itself.
    fn table(self) -> &'static [u8; 256] {
        match self {
            Self::Letters { .. } => &LETTERS,
            Self::Hex => &HEX,
            Self::Base64 => &BASE64,
        }
    }
}

/// What each byte counts as among letters and digits, among hexadecimal ones, and in base64; zero for nothing.
const LETTERS: [u8; 256] = table(Reading::Letters { decoded: false, without: false });
const HEX: [u8; 256] = table(Reading::Hex);
const BASE64: [u8; 256] = table(Reading::Base64);

/// A zero among hexadecimal digits: it counts unless it begins a number ("0x63").
const ZERO: u8 = 1;

const fn table(reading: Reading) -> [u8; 256] {
    let (is_hex, is_base64) = (matches!(reading, Reading::Hex), matches!(reading, Reading::Base64));
    let mut table = [0; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = match byte {
            b'-' | b'+' if is_base64 => b'+',
            b'_' | b'/' if is_base64 => b'/',
            b'0' if is_hex => ZERO,
            b'x' | b'X' if is_hex => 0,
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

/// What the byte at this place counts as.
fn counted(text: &[u8], at: usize, table: &[u8; 256]) -> u8 {
    match table[usize::from(text[at])] {
        ZERO if matches!(text.get(at + 1), Some(b'x' | b'X')) => 0,
        ZERO => b'0',
        byte => byte,
    }
}

fn letters(text: &[u8], decoded: bool, without: bool, mut each: impl FnMut(u8, Range<usize>)) {
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

/// What is looked for in one way of reading. Wiped when dropped.
pub(super) struct Needles {
    /// Sorted.
    all: Vec<Zeroizing<Vec<u8>>>,
    /// A bit of any three bytes that stand in a row among the first [`HEAD`] of one. Few texts have so many of these one after the
    /// other as one needle has, and no other texts are looked at further.
    threes: Zeroizing<Vec<u64>>,
}

/// No needle is shorter.
const HEAD: usize = 8;

/// So many threes are in so many bytes.
const ROW: usize = HEAD - 2;

/// Three times five bits: large and small letters are the same in these.
const THREES: usize = 1 << 15;

impl Needles {
    pub(super) fn of(needles: impl Iterator<Item = Zeroizing<Vec<u8>>>) -> Self {
        let mut all: Vec<_> = needles.collect();
        all.sort_unstable_by(|one, other| one.cmp(other));
        let mut threes = Zeroizing::new(vec![0; THREES / 64]);
        for head in all.iter().filter_map(|needle| needle.get(..HEAD)) {
            for row in head.windows(3) {
                let three = row.iter().fold(0, |three, byte| pushed(three, *byte));
                threes[three / 64] |= 1 << (three % 64);
            }
        }
        Self { all, threes }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().map(|needle| &needle[..])
    }

    /// What counts last in `text`, and whether one of them may be in it. That none is, is certain.
    pub(super) fn scan(&self, reading: Reading, text: &[u8]) -> (TextEnd, bool) {
        if !reading.is_in_context() {
            return (TextEnd::of(reading, text), self.may_be_in(text, reading.table()));
        }
        let (mut three, mut row, mut is_hit) = (0, 0, false);
        let end = TextEnd::reading(reading, text, |byte| {
            three = pushed(three, byte);
            row = if self.has(three) { row + 1 } else { 0 };
            is_hit |= row == ROW;
        });
        (end, is_hit)
    }

    fn has(&self, three: usize) -> bool {
        self.threes[three / 64] >> (three % 64) & 1 == 1
    }

    fn may_be_in(&self, text: &[u8], table: &[u8; 256]) -> bool {
        let Ok(threes) = <&[u64; THREES / 64]>::try_from(&self.threes[..]) else { return true };
        let (mut three, mut row) = (0, 0);
        // Each byte that the client says comes through here three times: no calls, and nothing that can fail.
        for (at, byte) in text.iter().enumerate() {
            let mut byte = table[usize::from(*byte)];
            if byte <= ZERO {
                if byte != ZERO || matches!(text.get(at + 1), Some(b'x' | b'X')) {
                    continue;
                }
                byte = b'0';
            }
            three = pushed(three, byte);
            if threes[three / 64] >> (three % 64) & 1 == 0 {
                row = 0;
                continue;
            }
            row += 1;
            if row == ROW {
                return true;
            }
        }
        false
    }

    /// Whether one of them begins with these bytes, and is longer.
    fn begin_with(&self, bytes: &[u8]) -> bool {
        let three = bytes.first_chunk::<3>().map(|three| three.iter().fold(0, |three, byte| pushed(three, *byte)));
        if three.is_some_and(|three| !self.has(three)) {
            return false;
        }
        let first = self.all.partition_point(|needle| needle[..] < *bytes);
        let mut same = self.all[first..].iter().take_while(|needle| needle.starts_with(bytes));
        same.any(|needle| needle.len() > bytes.len())
    }
}

#[inline]
fn pushed(three: usize, byte: u8) -> usize {
    (three << 5 | usize::from(byte & 31)) % THREES
}

/// What counts last in a text, which may be the beginning of something.
pub(super) struct TextEnd {
    /// How many of these there are.
    length: usize,
    last: Zeroizing<[u8; LAST]>,
    starts: [usize; LAST],
}

impl TextEnd {
    pub(super) fn of(reading: Reading, text: &[u8]) -> Self {
        if reading.is_in_context() {
            return Self::reading(reading, text, |_| ());
        }
        let (mut last, mut starts) = (Zeroizing::new([0; LAST]), [0; LAST]);
        let (table, mut at, mut free) = (reading.table(), text.len(), LAST);
        while free > 0 && at > 0 {
            at -= 1;
            if table[usize::from(text[at])] == 0 {
                continue;
            }
            let byte = counted(text, at, table);
            if byte != 0 {
                free -= 1;
                (last[free], starts[free]) = (byte, at);
            }
        }
        last.rotate_left(free);
        starts.rotate_left(free);
        Self { length: LAST - free, last, starts }
    }

    /// Of all of it, read in order.
    fn reading(reading: Reading, text: &[u8], mut each: impl FnMut(u8)) -> Self {
        let (mut last, mut starts, mut count) = (Zeroizing::new([0; LAST]), [0; LAST], 0);
        reading.read(text, |byte, place| {
            (last[count % LAST], starts[count % LAST]) = (byte, place.start);
            count += 1;
            each(byte);
        });
        if count > LAST {
            last.rotate_left(count % LAST);
            starts.rotate_left(count % LAST);
        }
        Self { length: count.min(LAST), last, starts }
    }

    /// Whether its last byte is this one.
    pub(super) fn ends_with(&self, byte: u8) -> bool {
        self.last[..self.length].last() == Some(&byte)
    }

    /// Moves `from` to where one of the needles may have begun, in all of it or in all but its last byte.
    pub(super) fn begin(&self, needles: &Needles, but_last: bool, from: &mut usize) {
        let end = self.length - usize::from(but_last);
        let begun = (0..end).find(|start| needles.begin_with(&self.last[*start..end]));
        if let Some(start) = begun {
            *from = (*from).min(self.starts[start]);
        }
    }
}
