//! What stands between the characters of a text and shows nothing: the escape sequences of terminals, and the spellings that a
//! program which logs gives to a character. One parser for what takes sequences out and for what looks for secrets.

const BEL: u8 = 0x07;
const CANCEL: u8 = 0x18;
const SUBSTITUTE: u8 = 0x1a;
const ESC: u8 = 0x1b;
/// The control that ends a string.
const ST: u8 = 0x9c;
/// No ASCII character and no control.
const OTHER: u8 = 0xff;

/// One character of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    /// An ASCII character or a control of C1 (0x80 to 0x9f); above these for every other.
    pub(crate) byte: u8,
    /// Bytes of the text that it takes up.
    pub(crate) length: usize,
}

impl Unit {
    fn of(code: u32, length: usize) -> Self {
        Self { byte: u8::try_from(code).ok().filter(|byte| *byte <= 0x9f).unwrap_or(OTHER), length }
    }

    fn begins_sequence(self) -> bool {
        matches!(self.byte, ESC | 0x80..=0x9f)
    }
}

/// What an escape stands for that a text may begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// A character, or one byte of it in UTF-8.
    Is { code: u32, is_byte: bool, length: usize },
    /// The text ends before it does.
    Begun,
    /// The text begins with none.
    No,
}

/// More bytes than any escape has.
pub(crate) const MAX_ESCAPE: usize = 20;

/// How the strings of a terminal are read, such as the title of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strings {
    /// They are a part of the sequence, as terminals take them.
    Dropped,
    /// Only what begins one is: what a terminal doesn't show stays.
    Kept,
}

/// A terminal sequence that a text begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) length: usize,
    /// Whether it ends before the text does. The length of one that doesn't is all of the text.
    pub(crate) is_ended: bool,
}

/// The bytes that an escape may begin with.
pub(crate) fn begins_escape(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&' | b'^')
}

/// Where such a byte stands in `text`.
fn places_of_escapes(text: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memchr3_iter(b'%', b'\\', b'&', text).chain(memchr::memchr_iter(b'^', text))
}

/// Whether anything in `text` is an escape.
pub(crate) fn has_escapes(text: &[u8]) -> bool {
    places_of_escapes(text).any(|at| matches!(escape(&text[at..]), Escape::Is { .. }))
}

/// Whether anything in `text` begins a terminal sequence.
pub(crate) fn has_sequences(text: &[u8], decoded: bool) -> bool {
    // Most text has no other controls: those of C1 are no ASCII.
    let has_c1 = || {
        text.utf8_chunks().any(|chunk| {
            let valid = chunk.valid().as_bytes();
            memchr::memchr_iter(0xc2, valid).any(|at| valid.get(at + 1).is_some_and(|byte| *byte <= 0x9f))
                || chunk.invalid().iter().any(|byte| matches!(byte, 0x80..=0x9f))
        })
    };
    let is_raw = memchr::memchr(ESC, text).is_some() || (!text.is_ascii() && has_c1());
    is_raw || (decoded && places_of_escapes(text).any(|at| unit(&text[at..], true).begins_sequence()))
}

/// The character at the start of `text`, which is not empty; `decoded` with an escape as what it stands for.
pub(crate) fn unit(text: &[u8], decoded: bool) -> Unit {
    let first = text[0];
    if decoded && begins_escape(first) {
        match escape(text) {
            Escape::Is { code, is_byte: true, length } => return unit_of_bytes(code, length, text),
            Escape::Is { code, length, .. } => return Unit::of(code, length),
            Escape::Begun | Escape::No => {}
        }
    }
    if first.is_ascii() {
        return Unit { byte: first, length: 1 };
    }
    let length = 1 + following(first.into());
    let character = text.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()?.chars().next());
    // In a text that is not UTF-8 the controls are bytes.
    character.map_or_else(|| Unit::of(first.into(), 1), |character| Unit::of(character.into(), length))
}

/// How many bytes follow this one in a character of UTF-8.
fn following(first: u32) -> usize {
    match first {
        0xc2..=0xdf => 1,
        0xe0..=0xef => 2,
        0xf0..=0xf4 => 3,
        _ => 0,
    }
}

/// The character whose first byte is an escape.
fn unit_of_bytes(first: u32, length: usize, text: &[u8]) -> Unit {
    let (mut end, mut last) = (length, 0);
    for _ in 0..following(first) {
        match escape(&text[end..]) {
            Escape::Is { code: code @ 0x80..=0xbf, is_byte: true, length } => (end, last) = (end + length, code),
            _ => return Unit { byte: OTHER, length },
        }
    }
    Unit::of(if first == 0xc2 { last } else { first }, end)
}

/// The escape at the start of `text`: of an address (`%2D`), of a program's text (`\u002d`, `\u{2d}`, `\x2d`, `\055`, `\e`, `\n`), of
/// a page (`&#45;`, `&#x2d;`, `&shy;`), or a control as `cat -v` shows it (`^[`).
pub(crate) fn escape(text: &[u8]) -> Escape {
    const CONTROLS: &[u8; 7] = b"abtnvfr";
    let is = |code, length| Escape::Is { code, is_byte: false, length };
    match text {
        [b'%', ..] => fixed(text, 1, 2, true),
        [b'^' | b'\\'] | [b'\\', b'x' | b'u'] | [b'&'] | [b'&', b'#'] => Escape::Begun,
        [b'^', b'[', ..] => is(ESC.into(), 2),
        [b'\\', b'x' | b'u', b'{', ..] => delimited(text, 3, 6, 16, b'}'),
        [b'\\', b'x', ..] => fixed(text, 2, 2, true),
        [b'\\', b'u', ..] => fixed(text, 2, 4, false),
        [b'\\', b'U', ..] => fixed(text, 2, 8, false),
        [b'\\', b'e' | b'E', ..] => is(ESC.into(), 2),
        [b'\\', b'0'..=b'3', ..] => {
            let count = text[1..].iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            if count < 3 && text.len() == 1 + count {
                return Escape::Begun;
            }
            let code = text[1..=count].iter().fold(0, |code, digit| code * 8 + u32::from(digit - b'0'));
            Escape::Is { code, is_byte: true, length: 1 + count }
        }
        [b'\\', letter, ..] => {
            CONTROLS.iter().zip(7..).find(|(name, _)| *name == letter).map_or(Escape::No, |(_, code)| is(code, 2))
        }
        [b'&', b'#', b'x' | b'X', ..] => delimited(text, 3, 6, 16, b';'),
        [b'&', b'#', ..] => delimited(text, 2, 7, 10, b';'),
        [b'&', ..] => {
            let count = text[1..].iter().take(MAX_ESCAPE - 3).take_while(|byte| byte.is_ascii_alphanumeric()).count();
            match text.get(1 + count) {
                None => Escape::Begun,
                Some(b';') if count > 1 => is(OTHER.into(), count + 2),
                Some(_) => Escape::No,
            }
        }
        _ => Escape::No,
    }
}

/// An escape of so many hexadecimal digits.
fn fixed(text: &[u8], from: usize, count: usize, is_byte: bool) -> Escape {
    let digits = &text[from..text.len().min(from + count)];
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Escape::No;
    }
    if digits.len() < count {
        return Escape::Begun;
    }
    Escape::Is { code: number(digits, 16), is_byte, length: from + count }
}

/// An escape of at most so many digits before what ends it.
fn delimited(text: &[u8], from: usize, most: usize, radix: u32, end: u8) -> Escape {
    let count = text[from..].iter().take(most).take_while(|byte| char::from(**byte).is_digit(radix)).count();
    match text.get(from + count) {
        None => Escape::Begun,
        Some(byte) if *byte == end && count > 0 => {
            let code = number(&text[from..from + count], radix);
            Escape::Is { code, is_byte: false, length: from + count + 1 }
        }
        Some(_) => Escape::No,
    }
}

fn number(digits: &[u8], radix: u32) -> u32 {
    let digit = |byte: &u8| char::from(*byte).to_digit(radix).unwrap_or_default();
    digits.iter().fold(0_u32, |number, byte| number.saturating_mul(radix).saturating_add(digit(byte)))
}

/// The terminal sequence at the start of `text`, as ECMA-48 and the state machine of the VT500 have it: controls within one are
/// done and are no end of it.
pub(crate) fn sequence(text: &[u8], decoded: bool, strings: Strings) -> Option<Sequence> {
    let begin = unit(text, decoded);
    begin.begins_sequence().then(|| {
        let mut scan = Scan { text, decoded, at: begin.length };
        let is_ended = scan.end_of(begin.byte, strings).is_some();
        Sequence { length: if is_ended { scan.at } else { text.len() }, is_ended }
    })
}

struct Scan<'a> {
    text: &'a [u8],
    decoded: bool,
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<Unit> {
        self.text.get(self.at..).filter(|rest| !rest.is_empty()).map(|rest| unit(rest, self.decoded))
    }

    /// Goes on to what is no control that a terminal does within a sequence, and stays before it.
    fn peek_past_controls(&mut self) -> Option<Unit> {
        loop {
            let unit = self.peek()?;
            if !matches!(unit.byte, 0..=0x17 | 0x19 | 0x1c..=0x1f | 0x7f) {
                return Some(unit);
            }
            self.at += unit.length;
        }
    }

    /// Takes what has no end but the next character that is none of these.
    fn take_until(&mut self, goes_on: impl Fn(u8) -> bool) -> Option<()> {
        loop {
            let unit = self.peek_past_controls()?;
            let is_last = matches!(unit.byte, 0x30..=0x7e | CANCEL | SUBSTITUTE) && !goes_on(unit.byte);
            if is_last || goes_on(unit.byte) {
                self.at += unit.length;
            }
            if !goes_on(unit.byte) {
                return Some(());
            }
        }
    }

    /// Takes the rest of a sequence that begins with this control. `None` if the text ends before it.
    fn end_of(&mut self, begin: u8, strings: Strings) -> Option<()> {
        let mut control = begin;
        if control == ESC {
            let next = self.peek_past_controls()?;
            control = match next.byte {
                // What ends a string, alone. What follows the backslash is no escape with it.
                _ if self.takes_backslash() => return Some(()),
                0x20..=0x2f => return self.take_until(|byte| matches!(byte, 0x20..=0x2f)),
                b'@'..=b'_' => next.byte + 0x40,
                // The title of a window of `screen`.
                b'k' => b'k',
                0x30..=0x7e | CANCEL | SUBSTITUTE => 0,
                _ => return Some(()),
            };
            self.at += next.length;
        }
        match control {
            0x9b => self.take_until(|byte| matches!(byte, 0x20..=0x3f)),
            0x90 | 0x98 | 0x9d..=0x9f | b'k' => {
                if control == 0x9d && self.takes_palette()? || strings == Strings::Kept {
                    return Some(());
                }
                self.take_string()
            }
            _ => Some(()),
        }
    }

    /// The Linux console has two sequences that begin like a string and have no end.
    fn takes_palette(&mut self) -> Option<bool> {
        let begin = self.at;
        let next = self.peek()?;
        let digits = match next.byte {
            b'R' => 0,
            b'P' => 7,
            _ => return Some(false),
        };
        self.at += next.length;
        for _ in 0..digits {
            let digit = self.peek()?;
            if !digit.byte.is_ascii_hexdigit() {
                self.at = begin;
                return Some(false);
            }
            self.at += digit.length;
        }
        Some(true)
    }

    fn take_string(&mut self) -> Option<()> {
        loop {
            let next = self.peek()?;
            match next.byte {
                BEL | CANCEL | SUBSTITUTE | ST => {
                    self.at += next.length;
                    return Some(());
                }
                ESC => {
                    let end = self.at;
                    self.at += next.length;
                    self.peek()?;
                    if !self.takes_backslash() {
                        // Another sequence begins, which is the end of this one.
                        self.at = end;
                    }
                    return Some(());
                }
                0x80..=0x9f => return Some(()),
                _ => self.at += next.length,
            }
        }
    }

    /// A backslash as it is, as a program's text has it (`\\`), or as another escape.
    fn takes_backslash(&mut self) -> bool {
        let length = match self.text.get(self.at..) {
            Some([b'\\', b'\\', ..]) if self.decoded => 2,
            Some([b'\\', ..]) => 1,
            _ => match self.peek() {
                Some(Unit { byte: b'\\', length }) => length,
                _ => return false,
            },
        };
        self.at += length;
        true
    }
}
