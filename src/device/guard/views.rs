//! A text as it may be read: what counts in it, character by character, with where each stands. One pass tells whether a code may
//! be in it and where one may have begun; most text holds none, and is looked at no further.

use std::ops::Range;

use zeroize::Zeroizing;

use crate::safety::escapes::{Strings, Unit, has_escapes, has_sequences, sequence, unit};

/// Longer than anything that is looked for.
const LAST: usize = 64;

/// A way in which a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) alphabet: Alphabet,
    /// Escapes are what they stand for.
    pub(super) decoded: bool,
    /// Terminal sequences are left out; `None` where they count as what they are made of.
    pub(super) without: Option<Strings>,
}

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Letters and digits, in small letters.
    Letters,
    /// Hexadecimal digits, without what stands between or before them ("0x63, 0x30", "63:30").
    Hex,
    /// Characters of base64 in either alphabet, without line ends and whatever else stands between.
    Base64,
}

impl Reading {
    /// Every way to read: with the terminal sequences as well, since what begins like one may swallow digits of the code.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let ways = [None, Some(Strings::Dropped), Some(Strings::Kept)];
        [Alphabet::Letters, Alphabet::Hex, Alphabet::Base64].into_iter().flat_map(move |alphabet| {
            [false, true]
                .into_iter()
                .flat_map(move |decoded| ways.map(move |without| Self { alphabet, decoded, without }))
        })
    }

    /// Those by which `text` is read differently.
    pub(super) fn of(text: &[u8]) -> impl Iterator<Item = Self> {
        let has_escapes = has_escapes(text);
        let has_sequences = [false, true].map(|decoded| (has_escapes || !decoded) && has_sequences(text, decoded));
        Self::all().filter(move |reading| {
            (!reading.decoded || has_escapes)
                && (reading.without.is_none() || has_sequences[usize::from(reading.decoded)])
        })
    }

    /// Gives what counts in `text`, in order.
    pub(super) fn read(self, text: &[u8], mut each: impl FnMut(u8, Range<usize>)) {
        let (table, is_in_context) = (self.table(), self.is_in_context());
        let mut at = 0;
        while at < text.len() {
            let byte = counted(text, at, table);
            if byte != 0 {
                each(byte, at..at + 1);
                at += 1;
            } else if is_in_context {
                at += self.read_other(&text[at..], |byte, length| each(byte, at..at + length));
            } else {
                at += 1;
            }
        }
    }

    /// Reads what counts for nothing as it is. Gives its length.
    fn read_other(self, text: &[u8], each: impl FnOnce(u8, usize)) -> usize {
        let sequence = self.without.and_then(|strings| sequence(text, self.decoded, strings));
        if let Some(sequence) = sequence {
            return sequence.length;
        }
        let Unit { byte, length } = unit(text, self.decoded);
        match self.table()[usize::from(byte)] {
            0 => {}
            ZERO => each(b'0', length),
            byte => each(byte, length),
        }
        length
    }

    /// Whether what a byte counts as depends on those before it.
    fn is_in_context(self) -> bool {
        self.decoded || self.without.is_some()
    }

    /// What each byte counts as that stands for itself.
    fn table(self) -> &'static [u8; 256] {
        match self.alphabet {
            Alphabet::Letters => &LETTERS,
            Alphabet::Hex => &HEX,
            Alphabet::Base64 => &BASE64,
        }
    }
}

/// What each byte counts as among letters and digits, among hexadecimal ones, and in base64; zero for nothing.
const LETTERS: [u8; 256] = table(Alphabet::Letters);
const HEX: [u8; 256] = table(Alphabet::Hex);
const BASE64: [u8; 256] = table(Alphabet::Base64);

/// A zero among hexadecimal digits: it counts unless it begins a number ("0x63").
const ZERO: u8 = 1;

const fn table(alphabet: Alphabet) -> [u8; 256] {
    let (is_hex, is_base64) = (matches!(alphabet, Alphabet::Hex), matches!(alphabet, Alphabet::Base64));
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
