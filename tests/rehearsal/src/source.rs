//! Where ids, codes, keys and manifests come from: the system's randomness, or a seed for a rehearsal that is to
//! look the same twice.

use std::sync::Mutex;

use ring::rand::{SecureRandom, SystemRandom};

/// A source of bytes.
pub(crate) enum Source {
    /// The operating system's.
    System(SystemRandom),
    /// SplitMix64: small, public, and good enough for names; nothing in a seeded rehearsal is a real secret.
    Seeded(Mutex<u64>),
}

impl Source {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        seed.map_or_else(|| Self::System(SystemRandom::new()), |seed| Self::Seeded(Mutex::new(seed)))
    }

    /// `N` fresh bytes.
    pub(crate) fn array<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Fills `bytes`.
    ///
    /// # Panics
    /// If the system has no randomness to give: a rehearsal with guessable codes would prove nothing.
    pub(crate) fn fill(&self, bytes: &mut [u8]) {
        match self {
            Self::System(random) => random.fill(bytes).expect("the system's random source answers"),
            Self::Seeded(state) => {
                let mut state = state.lock().expect("no holder of the seed panics");
                for chunk in bytes.chunks_mut(8) {
                    let next = split_mix(&mut state).to_le_bytes();
                    chunk.copy_from_slice(&next[..chunk.len()]);
                }
            }
        }
    }

    /// `JID` (or another prefix) and a lower-case hex UUID: the form that the service model fixes.
    pub(crate) fn id(&self, prefix: &str) -> String {
        let hex = hex::encode(self.array::<16>());
        format!("{prefix}{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// An unlock code as real ones look: five groups of five lower-case hex digits.
    pub(crate) fn code(&self) -> String {
        let hex = hex::encode(self.array::<13>());
        let groups: Vec<&str> = (0..5).map(|group| &hex[group * 5..group * 5 + 5]).collect();
        groups.join("-")
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_forms(source: &Source) {
        let id = source.id("JID");
        assert_eq!(id.len(), 39);
        assert!(id[3..].chars().all(|c| matches!(c, '0'..='9' | 'a'..='f' | '-')));
        let code = source.code();
        assert_eq!(code.len(), 29);
        assert!(code.split('-').all(|group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_hexdigit())));
        assert_eq!(code.split('-').count(), 5);
    }

    #[test]
    fn forms() {
        assert_forms(&Source::new(None));
        assert_forms(&Source::new(Some(7)));
    }

    #[test]
    fn a_seed_repeats_itself_and_differs_from_another() {
        let code = |seed| Source::new(Some(seed)).code();
        assert_eq!(code(1), code(1));
        assert_ne!(code(1), code(2));
        let source = Source::new(Some(1));
        assert_ne!(source.code(), source.code());
    }
}
