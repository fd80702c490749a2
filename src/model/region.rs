//! The one rule for a region, wherever it comes from: a flag, a variable, a profile, an answer.

use std::fmt;
use std::str::FromStr;

use crate::model::typed::odd_character;
use crate::model::{Malformed, looks_like_code};

/// An AWS region, such as `eu-central-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region(String);

impl Region {
    /// How a device calls the region that it is itself: its own services are in it, and no host of AWS.
    pub(crate) const OF_DEVICE: &str = "snow";

    /// Those that AWS has devices in, as the Snowball API's endpoint rules list them.
    const KNOWN: [&str; 27] = [
        "af-south-1",
        "ap-east-1",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ca-central-1",
        "cn-north-1",
        "cn-northwest-1",
        "eu-central-1",
        "eu-north-1",
        "eu-south-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "il-central-1",
        "me-central-1",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-gov-east-1",
        "us-gov-west-1",
        "us-west-1",
        "us-west-2",
    ];

    /// The region that was probably meant, if this is not one that is known. New ones are added, so it may be right.
    pub(crate) fn nearest_known(&self) -> Option<&'static str> {
        if Self::KNOWN.contains(&self.as_str()) {
            return None;
        }
        let alike = Self::KNOWN.iter().map(|known| (strsim::jaro(&self.0, known), *known));
        // A digit more is a new region rather than a slip.
        let nearest = alike.filter(|(likeness, _)| *likeness > 0.85).max_by(|a, b| a.0.total_cmp(&b.0));
        nearest.map(|(_, known)| known)
    }

    /// Words and a number, with hyphens between, as every region of AWS is called.
    pub(crate) fn has_usual_form(&self) -> bool {
        let parts: Vec<&str> = self.0.split('-').collect();
        let is_of = |part: &str, of: fn(&u8) -> bool| !part.is_empty() && part.as_bytes().iter().all(of);
        parts.split_last().is_some_and(|(number, words)| {
            words.len() >= 2
                && is_of(number, u8::is_ascii_digit)
                && words.iter().all(|word| is_of(word, u8::is_ascii_lowercase))
        })
    }

    /// The region as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        // A file from Windows, or a variable, leaves blanks and line breaks around it.
        let text = text.trim();
        if text == Self::OF_DEVICE {
            return Err(Malformed { why: "is the region of the device itself, not the one of its job".to_owned() });
        }
        // It becomes a label of a host name; anything else in it would be a way to another host.
        let is_label = (1..=63).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        // A code pasted in the wrong place would be asked of a name server.
        if is_label && !looks_like_code(text) {
            Ok(Self(text.to_owned()))
        } else {
            let why = odd_character(text).unwrap_or_else(|| "is no AWS region, such as eu-central-1".to_owned());
            Err(Malformed { why })
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mistyped_has_a_nearest_region() {
        let nearest = |text: &str| text.parse::<Region>().ok().and_then(|region| region.nearest_known());
        for (text, meant) in [
            ("eu-west1", Some("eu-west-1")),
            ("eu-cental-1", Some("eu-central-1")),
            ("us-eats-1", Some("us-east-1")),
            ("eu-west-1", None),
            ("local", None),
        ] {
            assert_eq!(nearest(text), meant, "{text}");
        }
    }

    #[test]
    fn a_region_is_a_label_of_a_host_name_and_no_code() {
        for text in ["eu-central-1", "us-gov-west-1", "local"] {
            assert_eq!(text.parse().map(|region: Region| region.to_string()), Ok(text.to_owned()));
            assert_eq!(format!(" {text}\r\n").parse(), text.parse::<Region>());
        }
        let long = "a".repeat(64);
        for text in [
            "",
            "EU-central-1",
            "eu-central-1.evil.example/",
            "-eu",
            "eu-",
            "eu central 1",
            "eu_central_1",
            "ü",
            &long,
            "abcde-01234-abcde-01234-abcde",
            "abcde01234abcde01234abcde",
            "snow",
            " ",
        ] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }
}
