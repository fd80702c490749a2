//! A device's own access key: its id, which is no secret, and the secret key that goes with it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::Malformed;
use super::typed::odd_character;

/// Id of an access key: 16 to 128 letters, digits and underscores (IAM API, accessKeyIdType). It goes into argument lists and names
/// of keychain items, and can be neither an option nor two words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccessKeyId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if let Some(why) = odd_character(text) {
            return Err(Malformed { why });
        }
        if let Some(other) = text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
            return Err(Malformed { why: format!("contains “{other}”, which no access key id does") });
        }
        if !(16..=128).contains(&text.len()) {
            let length = text.len();
            return Err(Malformed { why: format!("has {length} characters where an access key id has 16 to 128") });
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for AccessKeyId {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<AccessKeyId> for String {
    fn from(id: AccessKeyId) -> Self {
        id.0
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secret half of an access key: whoever holds it can read and change what the device stores. Treated like
/// [`UnlockCode`](super::UnlockCode): no `Clone`, `Display`, `Serialize` or revealing `Debug`; wiped when dropped.
///
/// Its form is documented nowhere for a device. AWS makes 40 characters; taken is what could be one: 16 to 128 visible
/// ASCII characters, in one word.
pub(crate) struct SecretKey(Zeroizing<Vec<u8>>);

/// Why a text is not a secret key. Says how long it was, never what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotASecretKey {
    /// Length of the refused text in bytes.
    pub(crate) length: usize,
}

impl SecretKey {
    /// Takes the key out of `source` and wipes `source`, whether it was a key or not.
    ///
    /// # Errors
    /// [`NotASecretKey`] if it can't be one.
    pub(crate) fn take(source: impl Into<Vec<u8>>) -> Result<Self, NotASecretKey> {
        let source = Zeroizing::new(source.into());
        let could_be = (16..=128).contains(&source.len()) && source.iter().all(u8::is_ascii_graphic);
        if could_be { Ok(Self(source)) } else { Err(NotASecretKey { length: source.len() }) }
    }

    /// Lends the key to `use_it`. What the closure copies is the closure's to wipe.
    pub(crate) fn expose<R>(&self, use_it: impl FnOnce(&str) -> R) -> R {
        use_it(std::str::from_utf8(&self.0).expect("the shape admits only ASCII"))
    }
}

impl ZeroizeOnDrop for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::use_debug)]
mod tests {
    use super::*;
    use impls::impls;

    #[test]
    fn an_id_is_one_word_that_is_no_option() {
        for id in ["AKIAIOSFODNN7EXAMPLE", "ABCDEFGHIJKLMNOP", &"a_9".repeat(42)] {
            assert_eq!(id.parse::<AccessKeyId>().unwrap().as_str(), id);
        }
        for (text, why) in [
            ("", "has 0 characters"),
            ("AKIA", "has 4 characters"),
            ("--profile-of-another", "contains “-”"),
            ("AKIAIOSFODNN7 EXAMPLE", "contains"),
            ("AKIAIOSFODNN7EXAMPLÉ", "only looks like"),
            (&"A".repeat(129), "has 129 characters"),
        ] {
            let refusal = text.parse::<AccessKeyId>().unwrap_err().why;
            assert!(refusal.contains(why), "{text}: {refusal}");
        }
        assert!(serde_json::from_str::<AccessKeyId>("\"../../etc\"").is_err());
    }

    #[test]
    fn what_can_be_no_key_is_refused_without_an_echo() {
        let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert!(SecretKey::take(key).unwrap().expose(|text| text == key));
        for text in ["", "short", "two words of a key", "wJalrXUtnFEMI/K7MDENG\n", &"x".repeat(129)] {
            assert_eq!(SecretKey::take(text).unwrap_err(), NotASecretKey { length: text.len() });
        }
        assert_eq!(format!("{:?}", SecretKey::take(key).unwrap()), "SecretKey(…)");
    }

    #[test]
    fn a_key_can_be_neither_copied_nor_shown_nor_written_out() {
        assert!(!impls!(SecretKey: Clone | fmt::Display | serde::Serialize | PartialEq));
        assert!(!impls!(SecretKey: std::ops::Deref | AsRef<str> | AsRef<[u8]> | std::borrow::Borrow<str>));
        assert!(impls!(String: Clone) && impls!(String: AsRef<str>), "a control: it is seen where there is one");
    }
}
