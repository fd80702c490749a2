//! The name of a profile that this program writes for others to use.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Malformed, TargetId};

/// A name that every reader of an AWS configuration file takes as it is, unquoted: letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ProfileName(String);

impl ProfileName {
    const MAX_LENGTH: usize = 64;

    /// The one that a job's device has unless another is asked for: short enough to be typed.
    #[must_use]
    pub(crate) fn of(job: &TargetId) -> Self {
        Self(format!("snow-{}", &job.as_str()[3..11]))
    }

    /// As it stands in the file.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProfileName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let why = if text.is_empty() {
            "is empty"
        } else if text.len() > Self::MAX_LENGTH {
            "is longer than 64 characters"
        } else if !text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            "has a character other than letters, digits, “-”, “_” and “.”"
        } else if text.starts_with(['-', '.']) {
            "begins with “-” or “.”"
        } else if text.eq_ignore_ascii_case("default") {
            "is the profile that every command uses unless it is told otherwise"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(Malformed { why: why.to_owned() })
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ProfileName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|malformed: Malformed| format!("the profile name {}", malformed.why))
    }
}

impl From<ProfileName> for String {
    fn from(name: ProfileName) -> Self {
        name.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_needs_no_quotes() {
        let job: TargetId = "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap();
        assert_eq!(ProfileName::of(&job).as_str(), "snow-123e4567");
        for good in ["snow", "a.b_c-d", "9", &"x".repeat(64)] {
            assert_eq!(good.parse::<ProfileName>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "-x", ".x", "default", "DEFAULT", "a]", "ä", "a\n", &"x".repeat(65)] {
            assert!(bad.parse::<ProfileName>().is_err(), "{bad}");
        }
    }
}
