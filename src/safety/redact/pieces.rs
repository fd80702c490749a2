//! Secrets without a shape, known by keyed hashes of their pieces.
//!
//! A secret is cut into pieces of [`LENGTH`] bytes that don't overlap (but for the last), and of each are kept the top
//! bits of a rolling hash, which tell cheaply where to look, and an HMAC that decides. The key is of this process alone.
//! Whoever read all of it from memory would have to guess a piece as a whole: 16 characters of base64 are 96 bits.
//! Overlapping pieces would give a secret away character by character, beginning with what all session tokens begin with.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Bytes of a piece. A stretch of a secret is found from twice that on, less one; a shorter secret can't be registered.
pub(super) const LENGTH: usize = 16;

/// Bits kept of a rolling hash: enough that an HMAC is seldom computed in vain, too few to tell of the piece.
const HINT_BITS: u32 = 24;

/// Pieces kept. Long-lived credentials are two secrets; this is for those that are renewed a thousand times.
const MOST: usize = 64 * 1024;

/// Has the text of this secret taken out of everything that is said from now on. Keeps keyed hashes of it only.
///
/// One shorter than 16 bytes is left alone: AWS makes none (secret keys have 40 characters, session tokens hundreds),
/// and replacing short text would tell where else it stands.
pub fn register(secret: &str) {
    let secret = secret.as_bytes();
    let Some(last) = secret.len().checked_sub(LENGTH) else { return };
    let mut known = registry().write().unwrap_or_else(PoisonError::into_inner);
    for at in (0..=last).step_by(LENGTH).chain([last]) {
        known.add(&secret[at..at + LENGTH]);
    }
}

/// What was registered, to be looked for.
pub(super) fn known() -> RwLockReadGuard<'static, Known> {
    registry().read().unwrap_or_else(PoisonError::into_inner)
}

fn registry() -> &'static RwLock<Known> {
    static REGISTRY: OnceLock<RwLock<Known>> = OnceLock::new();
    REGISTRY.get_or_init(|| RwLock::new(Known::new()))
}

/// Hashes of pieces.
pub(super) struct Known {
    key: [u8; 32],
    /// Of the rolling hash; odd.
    base: u64,
    /// `base` to the power of [`LENGTH`].
    leaving: u64,
    /// By hint, the HMACs, shortened.
    pieces: BTreeMap<u32, Vec<[u8; 16]>>,
    count: usize,
}

impl Known {
    fn new() -> Self {
        let mut random = [0_u8; 40];
        // Without randomness there is no key, and then no TLS either: nothing secret is ever obtained.
        if getrandom::fill(&mut random).is_err() {
            random.fill(0x5a);
        }
        let (key, base) = random.split_at(32);
        let base = base.iter().fold(0, |base, byte| base << 8 | u64::from(*byte)) | 1;
        let leaving = (0..LENGTH).fold(1_u64, |power, _| power.wrapping_mul(base));
        let mut this = Self { key: [0; 32], base, leaving, pieces: BTreeMap::new(), count: 0 };
        this.key.copy_from_slice(key);
        this
    }

    fn add(&mut self, piece: &[u8]) {
        let mac = self.mac(piece);
        let rolled = piece.iter().fold(0, |hash, byte| self.rolled(hash, *byte));
        let macs = self.pieces.entry(hint(rolled)).or_default();
        if self.count < MOST && !macs.contains(&mac) {
            macs.push(mac);
            self.count += 1;
        }
    }

    /// Where `text` holds a piece: the whole of what surrounds it and could belong to the same secret.
    pub(super) fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        if self.count == 0 {
            return found;
        }
        let mut hash = 0_u64;
        for (at, byte) in text.iter().enumerate() {
            hash = self.rolled(hash, *byte);
            let Some(start) = (at + 1).checked_sub(LENGTH) else { continue };
            if let Some(gone) = start.checked_sub(1).map(|gone| text[gone]) {
                hash = hash.wrapping_sub(self.leaving.wrapping_mul(u64::from(gone) + 1));
            }
            // What surrounded the one before is replaced already.
            let is_covered = found.last().is_some_and(|last| at < last.end);
            if !is_covered
                && self.pieces.get(&hint(hash)).is_some_and(|macs| macs.contains(&self.mac(&text[start..=at])))
            {
                let belongs = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/_-%".contains(byte);
                let before = text[..start].iter().rev().take_while(belongs).count();
                let rest = &text[at + 1..];
                let after = rest.iter().take_while(belongs).count();
                let after = after + rest[after..].iter().take_while(|byte| **byte == b'=').count();
                found.push(start - before..at + 1 + after);
            }
        }
        found
    }

    fn rolled(&self, hash: u64, byte: u8) -> u64 {
        hash.wrapping_mul(self.base).wrapping_add(u64::from(byte) + 1)
    }

    fn mac(&self, piece: &[u8]) -> [u8; 16] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(piece);
        let full = mac.finalize().into_bytes();
        let mut short = [0; 16];
        short.copy_from_slice(&full[..16]);
        short
    }
}

/// The low bits of such a hash hang on the last bytes alone.
fn hint(hash: u64) -> u32 {
    (hash >> (64 - HINT_BITS)) as u32
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::redacted;
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        String::from_utf8(redacted(text.as_bytes())).unwrap()
    }

    #[test]
    fn what_is_registered_is_taken_out_also_encoded_and_in_parts() {
        let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert_eq!(shown(key), key, "a control: nobody has said that it is secret");
        register(key);
        register("short");
        assert_eq!(shown(&format!("key {key}, short")), "key [AWS secret], short");
        assert_eq!(shown(&format!("x={}&y", key.replace('/', "%2F").replace('+', "%2B"))), "x=[AWS secret]&y");
        for before in ["", "a", "ab", "abc"] {
            let text = shown(&aws_smithy_types::base64::encode(format!("{before}{key}")));
            assert!(text.contains("[AWS secret]") && text.len() < 30, "{text}");
        }
        for length in 31..key.len() {
            for start in 0..=key.len() - length {
                assert_eq!(shown(&key[start..start + length]), "[AWS secret]");
            }
        }
    }

    proptest! {
        #[test]
        fn no_token_survives(
            token in "[A-Za-z0-9+/]{16,700}={0,2}", before in "[ -~]{0,40} ", after in "[ \",:\n][ -~]{0,40}"
        ) {
            register(&token);
            let text = shown(&format!("{before}{token}{after}"));
            prop_assert!(!text.contains(&token));
            prop_assert_eq!(text, format!("{before}[AWS secret]{after}"));
        }
    }
}
