//! SHA-256 digests as types: written as 64 hexadecimal digits, in lower case.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::model::Malformed;

/// SHA-256 over the tree of the vendor's client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientDigest([u8; 32]);

impl ClientDigest {
    /// From a finished hasher.
    #[must_use]
    pub(crate) fn from_hasher(hasher: sha2::Sha256) -> Self {
        Self(sha2::Digest::finalize(hasher).into())
    }

    /// The first digits, for people.
    #[must_use]
    pub(crate) fn short(&self) -> String {
        to_hex(&self.0[..6])
    }
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn from_hex(text: &str) -> Result<[u8; 32], Malformed> {
    let malformed = || Malformed { why: "is not a SHA-256: 64 hexadecimal digits".to_owned() };
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed());
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| malformed())?;
    }
    Ok(bytes)
}

/// Reads and writes a type of 32 bytes as its text.
macro_rules! hex_text {
    ($($of:ident),*) => {$(
        impl std::fmt::Display for $of {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::model::digest::to_hex(&self.0))
            }
        }
        impl std::str::FromStr for $of {
            type Err = $crate::model::Malformed;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::model::digest::from_hex(text).map(Self)
            }
        }
        impl TryFrom<String> for $of {
            type Error = $crate::model::Malformed;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl From<$of> for String {
            fn from(value: $of) -> String {
                value.to_string()
            }
        }
    )*};
}
pub(super) use hex_text;
hex_text!(ClientDigest);
