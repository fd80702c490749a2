//! Mutations of a corpus: the same ones for the same name and corpus, so that a failure comes again.

/// Bytes and texts that mean something to one of the targets or to many.
const TOKENS: &[&[u8]] = &[
    b"-",
    b"%",
    b"%2D",
    b"%25",
    b"=",
    b"==",
    b"+",
    b"/",
    b"\\",
    b"\"",
    b"'",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"&",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b"\x00",
    b"\x1b[31m",
    b"\x1b]0;",
    b"\x07",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xc3\xa4",
    b"\xe2\x80\xae",
    b"\xe2\x80\x8b",
    b"\xf0\x9f\x98\x80",
    b"signature=",
    b"X-Amz-Credential=",
    b"[signed",
    b"null",
    b"true",
    b"\\u0000",
    b"\\ud800",
    b"JID",
    b"MID",
    b"https://",
    b"::",
    b"0",
    b"-1",
    b"9999999999999999999",
    b"1e999",
    b"\x9f",
    b"\xbf",
    b"\x5f",
    b"\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\xc1\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00",
    b"UNLOCKED",
    b"DeviceId",
    b"\"State\":",
    b"version: ",
    b"12345-abcde-",
];

/// Longest input made, but for the stretched ones.
const LONGEST: usize = 4 * 1024;

/// Longest of those that are made to show how time and memory grow.
const STRETCHED: usize = 64 * 1024;

/// One in so many is stretched.
const STRETCHES: usize = 128;

pub(crate) struct Mutator<'a> {
    corpus: &'a [Vec<u8>],
    state: u64,
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(name: &str, corpus: &'a [Vec<u8>]) -> Self {
        // FNV-1a of the name.
        let state = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        Self { corpus, state }
    }

    /// The next case.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut input = self.seed();
        for _ in 0..=self.below(5) {
            self.mutate(&mut input);
        }
        if self.below(STRETCHES) == 0 {
            let part = self.part(&input);
            let (at, times) = (self.below(input.len() + 1), STRETCHED / part.len().max(1));
            input.splice(at..at, part.repeat(times));
            input.truncate(STRETCHED);
        } else {
            input.truncate(LONGEST);
        }
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let length = input.len();
        let at = self.below(length + 1);
        match self.below(10) {
            0 if length > 0 => input[at % length] ^= 1 << self.below(8),
            1 if length > 0 => input[at % length] = self.byte(),
            2 => input.insert(at, self.byte()),
            3 => drop(input.drain(at..(at + 1 + self.below(8)).min(length))),
            4 => input.truncate(at),
            // The same again, somewhere else.
            5 => drop(input.splice(at..at, self.part(&input.clone()))),
            // A piece of another seed, in place of what is there or beside it.
            6 => {
                let other = self.seed();
                let part = self.part(&other);
                let until = if self.below(2) == 0 { at } else { (at + part.len()).min(length) };
                input.splice(at..until, part);
            }
            // The end of another seed.
            7 => {
                let other = self.seed();
                input.truncate(at);
                input.extend_from_slice(&other[self.below(other.len() + 1)..]);
            }
            _ => {
                let token = TOKENS[self.below(TOKENS.len())];
                let until = if self.below(2) == 0 { at } else { (at + token.len()).min(length) };
                input.splice(at..until, token.iter().copied());
            }
        }
    }

    fn seed(&mut self) -> Vec<u8> {
        self.corpus[self.below(self.corpus.len())].clone()
    }

    fn part(&mut self, of: &[u8]) -> Vec<u8> {
        let from = self.below(of.len() + 1);
        of[from..from + self.below(of.len() - from + 1)].to_vec()
    }

    fn byte(&mut self) -> u8 {
        self.random().to_le_bytes()[0]
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random() % bound as u64).unwrap()
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
