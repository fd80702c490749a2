//! Secrets without a shape: the AWS keys and session tokens of this run, looked for as they are.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use memchr::memmem;
use zeroize::Zeroizing;

/// Shorter ones are left alone: AWS makes none (secret keys have 40 characters, session tokens hundreds), and replacing short
/// text would tell where else it stands.
const SHORTEST: usize = 16;

/// How many are kept, of which the oldest go first: what was renewed hundreds of times since has expired.
const MAX_KNOWN: usize = 1024;

static KNOWN: RwLock<VecDeque<Zeroizing<Vec<u8>>>> = RwLock::new(VecDeque::new());

/// Has the text of this secret taken out of everything that is said from now on. One shorter than 16 bytes is left alone.
pub fn register(secret: &str) {
    let secret = secret.as_bytes();
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if secret.len() >= SHORTEST && !known.iter().any(|known| known.as_slice() == secret) {
        if known.len() == MAX_KNOWN {
            known.pop_front();
        }
        known.push_back(Zeroizing::new(secret.to_vec()));
    }
}

/// Where `text` holds what was registered; stretches may overlap.
pub(super) fn find(text: &[u8]) -> Vec<Range<usize>> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let of = |secret: &Zeroizing<Vec<u8>>| {
        let length = secret.len();
        memmem::find_iter(text, secret.as_slice()).map(|at| at..at + length).collect::<Vec<_>>()
    };
    known.iter().flat_map(of).collect()
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
    fn what_is_registered_is_taken_out() {
        let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert_eq!(shown(key), key, "a control: nobody has said that it is secret");
        register(key);
        register("short");
        assert_eq!(shown(&format!("key {key}, short")), "key [AWS secret], short");
        assert_eq!(shown(&format!("x={key}&y={key}")), "x=[AWS secret]&y=[AWS secret]");
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
