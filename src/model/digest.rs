//! The digest by which a client is pinned.

use std::fmt;
use std::str::FromStr;

use crate::model::Malformed;

/// SHA-256 over the tree of the vendor's client: 64 hexadecimal digits, lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientDigest(String);

impl FromStr for ClientDigest {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(Malformed { why: "is not a SHA-256: 64 hexadecimal digits".to_owned() })
        }
    }
}

impl fmt::Display for ClientDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
