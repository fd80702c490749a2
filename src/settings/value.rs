//! What a setting can be: a type for each kind of value, parsed once, and written in one form.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::error::io_in_words;
use crate::model::{
    AuditCopy, ClientDigest, Endpoint, HandOverPolicy, Keep, KeychainKind, Malformed, PrivateHome, Region, tidy,
    trimmed, typed_path,
};

/// A type that a setting can have.
pub(super) trait Kind: Into<Value> {
    /// The words that a value may be, if those are few.
    const WORDS: &'static [&'static str] = &[];

    /// Parses what was written, or says why it is no such value, as the end of the sentence "the value “…” of … …".
    fn parse(text: &str) -> Result<Self, String>;

    /// Out of a value of this type.
    fn of(value: Value) -> Option<Self>;
}

macro_rules! values {
    ($($(#[$doc:meta])* $variant:ident($type:ty): $parse:expr, $written:expr $(, $words:expr)?;)+) => {
        /// A value of any setting.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum Value { $($(#[$doc])* $variant($type)),+ }

        impl Value {
            /// The form in which it is written, for example on a command line.
            pub(crate) fn written(&self) -> String {
                match self { $(Self::$variant(value) => $written(value)),+ }
            }
        }

        $(
            impl From<$type> for Value {
                fn from(value: $type) -> Self {
                    Self::$variant(value)
                }
            }

            impl Kind for $type {
                $(const WORDS: &'static [&'static str] = $words;)?

                fn parse(text: &str) -> Result<Self, String> {
                    $parse(text)
                }

                fn of(value: Value) -> Option<Self> {
                    if let Value::$variant(value) = value { Some(value) } else { None }
                }
            }
        )+
    };
}
values! {
    Address(Endpoint): address, ToString::to_string;
    Region(Region): region, ToString::to_string;
    /// What it may be is for somebody else to say.
    Name(String): |text: &str| Ok(text.to_owned()), String::clone;
    /// Absolute: it is to mean the same wherever it is said again.
    Path(PathBuf): path, |path: &PathBuf| path.display().to_string();
    YesNo(bool): yes_or_no, ToString::to_string;
    Time(Duration): time, time_written;
    Bytes(u64): bytes, ToString::to_string;
    Count(usize): count, ToString::to_string;
    Digest(ClientDigest): from_str, ToString::to_string;
    Keychain(KeychainKind): from_str, ToString::to_string, KeychainKind::WORDS;
    HandOver(HandOverPolicy): hand_over::parse, hand_over::written, hand_over::WORDS;
    PrivateHome(PrivateHome): private_home::parse, private_home::written, private_home::WORDS;
    Keep(Keep): from_str, ToString::to_string;
    AuditCopy(AuditCopy): audit_copy::parse, audit_copy::written, audit_copy::WORDS;
}

macro_rules! words {
    ($kind:ident of $type:ident: $($word:literal = $variant:ident),+) => {
        mod $kind {
            use super::$type;

            pub(super) const WORDS: &[&str] = &[$($word),+];

            pub(super) fn parse(text: &str) -> Result<$type, String> {
                match super::trimmed(text) {
                    $($word => Ok($type::$variant),)+
                    _ => Err(format!("is not one of {}", WORDS.join(", "))),
                }
            }

            pub(super) fn written(value: &$type) -> String {
                match value { $($type::$variant => $word),+ }.to_owned()
            }
        }
    };
}
words!(hand_over of HandOverPolicy: "private" = Private, "argv" = Argv, "auto" = Auto);
words!(audit_copy of AuditCopy: "none" = None, "system" = System);
words!(private_home of PrivateHome: "memory" = Memory, "ask" = Ask, "disk" = Disk);

fn from_str<T: FromStr<Err = Malformed>>(text: &str) -> Result<T, String> {
    tidy(text).parse().map_err(|malformed: Malformed| malformed.why)
}

/// As a person writes it, which is another matter than what a profile may have for a service of its own.
fn region(text: &str) -> Result<Region, String> {
    let region: Region = from_str(text)?;
    if region.has_usual_form() {
        return Ok(region);
    }
    Err(match region.nearest_known() {
        Some(meant) => format!("is no AWS region; did you mean {meant}?"),
        None => "is no AWS region, such as eu-central-1".to_owned(),
    })
}

fn address(text: &str) -> Result<Endpoint, String> {
    Endpoint::typed(text).map_err(|malformed| malformed.why)
}

fn path(text: &str) -> Result<PathBuf, String> {
    std::path::absolute(typed_path(text)).map_err(|error| format!("is not a path: {}", io_in_words(&error)))
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match trimmed(text) {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err("is neither true nor false".to_owned()),
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    trimmed(text).parse().ok().filter(|bytes| *bytes > 0).ok_or_else(|| "is not a number of bytes".to_owned())
}

/// How many at once: each is a JVM.
fn count(text: &str) -> Result<usize, String> {
    let count = trimmed(text).parse().ok().filter(|count| (1..=64).contains(count));
    count.ok_or_else(|| "is not a number from 1 to 64".to_owned())
}

/// `90`, `90s`, `15m`, `8h`: at least a second, at most a week.
fn time(text: &str) -> Result<Duration, String> {
    let text = trimmed(text);
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        _ => (text, 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let in_bounds = seconds.filter(|seconds| (1..=7 * 24 * 3600).contains(seconds));
    let why = "is not a time from one second to a week, such as 90, 90s, 15m or 8h";
    in_bounds.map(Duration::from_secs).ok_or_else(|| why.to_owned())
}

fn time_written(time: &Duration) -> String {
    match time.as_secs() {
        seconds if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        seconds if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_bounds() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("8h", 28_800)] {
            assert_eq!(Duration::parse(text).unwrap().as_secs(), seconds);
        }
        for text in ["", "0", "s", "-1", "1d", "1.5h", "99999999999999999999h", "200h", "5ß"] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_region_has_the_form_that_regions_have() {
        for text in ["eu-central-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1", "xx-new-12"] {
            assert!(Region::parse(text).is_ok(), "{text}");
        }
        for text in ["eu-central1", "eucentral-1", "eu-central-", "1-eu-1", "eu"] {
            assert!(Region::parse(text).is_err(), "{text}");
        }
        assert_eq!(Region::parse("eu-central1"), Err("is no AWS region; did you mean eu-central-1?".to_owned()));
    }

    #[test]
    fn two_ways_to_write_a_value_are_one_value() {
        fn one<K: Kind>(a: &str, b: &str) -> bool {
            let parsed = |text| -> Value { K::parse(text).unwrap().into() };
            parsed(a) == parsed(b)
        }
        assert!(one::<Duration>("2m", "120") && !one::<Duration>("2m", "2h"));
        assert!(one::<bool>("yes", "true") && !one::<bool>("1", "0"));
        assert!(one::<ClientDigest>(&"AB".repeat(32), &"ab".repeat(32)));
        assert!(one::<u64>("007", "7"));
        assert!(!one::<PathBuf>("/a", "/b"));
    }

    #[test]
    fn what_is_written_is_parsed_to_the_same_value() {
        fn check<K: Kind>(text: &str, written: &str) {
            let value: Value = K::parse(text).unwrap().into();
            assert_eq!(value.written(), written);
            assert_eq!(K::parse(written).map(Into::into), Ok(value));
        }
        for (text, written) in [("120", "2m"), ("7200s", "2h"), ("90m", "90m"), ("61", "61s")] {
            check::<Duration>(text, written);
        }
        check::<bool>("yes", "true");
        check::<Endpoint>("https://192.0.2.10", "192.0.2.10");
        HandOverPolicy::WORDS.iter().for_each(|word| check::<HandOverPolicy>(word, word));
        PrivateHome::WORDS.iter().for_each(|word| check::<PrivateHome>(word, word));
        AuditCopy::WORDS.iter().for_each(|word| check::<AuditCopy>(word, word));
        check::<Keep>(" days:30 ", "days:30");
        <KeychainKind as Kind>::WORDS.iter().for_each(|word| check::<KeychainKind>(word, word));
    }
}
