//! Which keychain keeps a code.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::Malformed;

/// Which place keeps the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeychainKind {
    /// The operating system's: macOS Keychain, Windows Credential Manager, the Secret Service's default collection.
    #[default]
    System,
    /// The Linux kernel's keyring: gone at the next reboot.
    Kernel,
    /// Nowhere: the code lives in this process only.
    None,
}

impl KeychainKind {
    /// The words for them, in settings, records and JSON.
    pub(crate) const WORDS: &'static [&'static str] = &["system", "kernel", "none"];

    /// As people call it, where no more is known of it; after "in".
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::System if cfg!(target_os = "macos") => "the macOS Keychain",
            Self::System if cfg!(windows) => "the Windows Credential Manager",
            Self::System => "the desktop's keychain (Secret Service)",
            Self::Kernel => "kernel memory",
            Self::None => "no keychain",
        }
    }
}

impl fmt::Display for KeychainKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::Kernel => "kernel",
            Self::None => "none",
        })
    }
}

impl FromStr for KeychainKind {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        [Self::System, Self::Kernel, Self::None]
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| Malformed { why: format!("is not one of {}", Self::WORDS.join(", ")) })
    }
}
