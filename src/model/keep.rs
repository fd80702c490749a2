//! How long a pair is kept.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::Malformed;

/// For so long from the creation of a job its code and manifest can be had (Snowball API, GetJobManifest). When the device stops
/// taking them is an estimate by the same number.
const RELEASED: Duration = Duration::days(360);

/// How long code and manifest are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Keep {
    /// Until somebody removes them.
    UntilForgotten,
    /// Until the device has said UNLOCKED.
    UntilUnlocked,
    /// So many days since they were fetched.
    Days(u16),
}

impl Keep {
    /// Most days.
    const MAX_DAYS: u16 = 3650;

    /// Whether it has been kept for longer than that many days, if it is days.
    pub(crate) fn is_over(self, fetched_at: OffsetDateTime, now: OffsetDateTime) -> bool {
        self.ends(fetched_at).is_some_and(|end| end <= now)
    }

    /// When the days are over, if it is days.
    pub(crate) fn ends(self, fetched_at: OffsetDateTime) -> Option<OffsetDateTime> {
        match self {
            Self::Days(days) => fetched_at.checked_add(Duration::days(days.into())),
            Self::UntilForgotten | Self::UntilUnlocked => None,
        }
    }
}

/// When code and manifest of a job are of no more use, by an estimate.
pub(crate) fn estimated_expiry(created: OffsetDateTime) -> Option<OffsetDateTime> {
    created.checked_add(RELEASED)
}

impl FromStr for Keep {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let days = |text: &str| {
            let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|days| all_digits && (1..=Self::MAX_DAYS).contains(days)).map(Self::Days)
        };
        match text {
            "until-forgotten" => Some(Self::UntilForgotten),
            "until-unlocked" => Some(Self::UntilUnlocked),
            text => text.strip_prefix("days:").and_then(days),
        }
        .ok_or_else(|| Malformed {
            why: format!("is not until-forgotten, until-unlocked, or days:N with N from 1 to {}", Self::MAX_DAYS),
        })
    }
}

impl TryFrom<String> for Keep {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> Self {
        keep.to_string()
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UntilForgotten => f.write_str("until-forgotten"),
            Self::UntilUnlocked => f.write_str("until-unlocked"),
            Self::Days(days) => write!(f, "days:{days}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_keep_is_read_and_written_or_refused_with_the_reason() {
        for text in ["until-forgotten", "until-unlocked", "days:1", "days:30", "days:3650"] {
            assert_eq!(text.parse::<Keep>().unwrap().to_string(), text);
        }
        for text in ["", "days", "days:", "days:0", "days:3651", "days:-1", "days:+7", "days:1.5", "30", "forever"] {
            assert!(text.parse::<Keep>().unwrap_err().why.contains("from 1 to 3650"), "{text}");
        }
    }

    #[test]
    fn days_are_over_after_so_many_days_and_the_others_never() {
        let fetched = OffsetDateTime::UNIX_EPOCH;
        let after = |days: i64| fetched + Duration::days(days);
        assert!(!Keep::Days(30).is_over(fetched, after(30) - Duration::SECOND));
        assert!(Keep::Days(30).is_over(fetched, after(30)));
        assert!(!Keep::Days(1).is_over(fetched, after(-400)), "a clock that was set back");
        assert!(
            !Keep::UntilForgotten.is_over(fetched, after(9999)) && !Keep::UntilUnlocked.is_over(fetched, after(9999))
        );
        assert_eq!(estimated_expiry(fetched).unwrap(), after(360));
    }
}
