//! Moments and durations as a person says them.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment as it is shown: 2026-01-31 14:05:09 UTC
#[must_use]
pub(crate) fn utc_in_words(time: OffsetDateTime) -> String {
    let utc = time.checked_to_offset(time::UtcOffset::UTC).unwrap_or(time);
    let seconds = utc.replace_nanosecond(0).unwrap_or(utc);
    // RFC 3339 has no years before 0.
    seconds.format(&Rfc3339).map_or_else(|_| seconds.to_string(), |text| text.replace('T', " ").replace('Z', " UTC"))
}

/// A moment of the system's clock, if it lies between 1970 and the end of the calendar: beyond it a conversion panics.
#[must_use]
pub(crate) fn moment(time: SystemTime) -> Option<OffsetDateTime> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    OffsetDateTime::UNIX_EPOCH.checked_add(since.try_into().ok()?)
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
    fn a_moment_at_the_edge_of_the_calendar_is_shown() {
        for (text, words) in [
            ("2024-10-04T02:00:00.5+02:00", "2024-10-04 00:00:00 UTC"),
            ("0000-01-01T00:00:00+23:59", "-0001-12-31 0:01:00.0 +00:00:00"),
            ("9999-12-31T23:59:59-23:59", "9999-12-31 23:59:59-23:59"),
        ] {
            assert_eq!(OffsetDateTime::parse(text, &Rfc3339).map(utc_in_words), Ok(words.to_owned()));
        }
        let later = |seconds| moment(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(later(253_402_300_799).map(utc_in_words).as_deref(), Some("9999-12-31 23:59:59 UTC"));
        assert_eq!((later(253_402_300_800), later(1 << 60)), (None, None));
        assert_eq!(moment(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), None);
    }

    #[test]
    fn durations_read_as_people_say_them() {
        for (seconds, words) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (185, "3 min 5 s")] {
            assert_eq!(duration_in_words(Duration::from_secs(seconds)), words);
        }
    }
}
