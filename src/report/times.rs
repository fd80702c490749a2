//! Moments and durations as a person says them.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment as it is shown: 2026-01-31 14:05:09 UTC
#[must_use]
pub(crate) fn utc_in_words(time: OffsetDateTime) -> String {
    let seconds = time.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(time);
    seconds.format(&Rfc3339).map_or_else(|_| "unknown".to_owned(), |text| text.replace('T', " ").replace('Z', " UTC"))
}

/// A duration as a person says it: "12 s", "3 min 5 s".
#[must_use]
pub(crate) fn duration_in_words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// How long ago, as a person says it.
pub(crate) fn age_in_words(age: time::Duration) -> String {
    match age.whole_days() {
        ..=0 => match age.whole_minutes() {
            ..=0 => "just now".to_owned(),
            minutes @ 1..120 => format!("{minutes} min ago"),
            minutes => format!("{} h ago", minutes / 60),
        },
        1 => "yesterday".to_owned(),
        days => format!("{days} days ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        for (seconds, words) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (185, "3 min 5 s")] {
            assert_eq!(duration_in_words(Duration::from_secs(seconds)), words);
        }
    }
}
