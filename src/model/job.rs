//! What a job is called and what state it is in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::looks_like_code;
use super::typed::{meant_by, odd_character, tidy};

/// A job id: `JID` or `MID` and a lower-case UUID, 39 characters (Snowball API, JobId).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

/// A cluster id: `CID` and a lower-case UUID, 39 characters (Snowball API, ClusterId).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterId(String);

/// Why a text is no id or address. `why` ends the sentence "`text` …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// For example "has 38 characters where a job id has 39".
    pub why: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl JobId {
    /// Characters of every job id.
    pub const LENGTH: usize = 39;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As people type it ([`typed_id`]).
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn typed(text: &str) -> Result<Self, Malformed> {
        typed_id(text).parse()
    }
}

impl FromStr for JobId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        check_id(text, &IdKind::JOB)?;
        Ok(Self(text.to_owned()))
    }
}

impl ClusterId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        check_id(text, &IdKind::CLUSTER)?;
        Ok(Self(text.to_owned()))
    }
}

/// What an id may be where it is asked for.
pub(super) struct IdKind {
    /// What it may begin with.
    prefixes: &'static [&'static str],
    /// What it is called.
    what: &'static str,
    /// What it begins with, as people are told it: nobody has a device of a `MID`.
    begins: &'static str,
}

impl IdKind {
    const JOB: Self = Self { prefixes: JOBS, what: "a job id", begins: "JID, as a job id does" };
    const CLUSTER: Self = Self { prefixes: CLUSTERS, what: "a cluster id", begins: "CID, as a cluster id does" };
    /// A job, where a cluster may be named as well.
    pub(super) const TARGET: Self = Self { begins: "JID (a job) or CID (a cluster)", ..Self::JOB };
}

const JOBS: &[&str] = &["JID", "MID"];
pub(super) const CLUSTERS: &[&str] = &["CID"];

/// An id as people type it: without what they copied with it ([`tidy`]), and with small letters in its UUID, where a label printer or
/// a spreadsheet has made capital ones. Nobody but people writes it so: what AWS or a device says is taken as it is.
pub(super) fn typed_id(text: &str) -> String {
    let text = tidy(text);
    let is_known = |prefix: &&str| JOBS.contains(prefix) || CLUSTERS.contains(prefix);
    let Some((prefix, uuid)) = text.split_at_checked(3).filter(|(prefix, _)| is_known(prefix)) else { return text };
    let small = |c: char| if c.is_ascii_hexdigit() { c.to_ascii_lowercase() } else { c };
    format!("{prefix}{}", uuid.chars().map(small).collect::<String>())
}

pub(super) fn check_id(text: &str, kind: &IdKind) -> Result<(), Malformed> {
    let IdKind { prefixes, what, begins } = kind;
    let refuse = |why: String| Err(Malformed { why });
    if let Some(why) = odd_character(text) {
        return refuse(why);
    }
    if looks_like_code(text) {
        return refuse("contains what looks like an unlock code. Never type one, and remove this line from the history of your shell".to_owned());
    }
    let Some(rest) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) else {
        // A UUID alone is what is left when the three letters were not copied.
        let meant = prefixes.first().map(|prefix| format!("{prefix}{}", text.to_ascii_lowercase()));
        let meant = meant.filter(|meant| check_id(meant, kind).is_ok());
        let tip = meant.map(|meant| format!("; perhaps {meant} was meant")).unwrap_or_default();
        return refuse(format!("does not begin with {begins}{tip}"));
    };
    let length = text.chars().count();
    if length != JobId::LENGTH {
        return refuse(format!("has {length} characters where {what} has {}", JobId::LENGTH));
    }
    let is_hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let wrong = rest.char_indices().find(|(at, c)| match c {
        '-' => !is_hyphen(*at),
        '0'..='9' | 'a'..='f' => is_hyphen(*at),
        _ => true,
    });
    match wrong {
        None => Ok(()),
        Some((at, c)) => {
            let belongs = if is_hyphen(at) { "a hyphen" } else { "a digit or a small letter from a to f" };
            let place = at + text.len() - rest.len() + 1;
            if let Some((_, what)) = meant_by(c).filter(|(meant, _)| !is_hyphen(at) && meant.is_ascii_digit()) {
                return refuse(format!("has {what} (character {place})"));
            }
            refuse(format!("has “{c}” as character {place}, where {what} has {belongs}"))
        }
    }
}

macro_rules! text_like {
    ($($id:ty),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $id {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> {
                text.parse()
            }
        }
        impl From<$id> for String {
            fn from(id: $id) -> String {
                id.0
            }
        }
    )*};
}
text_like!(JobId, ClusterId);

/// State of a job (Snowball API, JobState). Says nothing of the device's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// `New`
    New,
    /// `Listing`: an export's bucket is being listed.
    Listing,
    /// `Pending`
    Pending,
    /// `PreparingAppliance`
    PreparingAppliance,
    /// `InProgress`: exporting before shipping, or importing after return, by the kind of job.
    InProgress,
    /// `PreparingShipment`
    PreparingShipment,
    /// `InTransitToCustomer`
    InTransitToCustomer,
    /// `WithCustomer`: the state in which a device is onboarded.
    WithCustomer,
    /// `InTransitToAWS`
    InTransitToAws,
    /// `WithAWSSortingFacility`
    WithAwsSortingFacility,
    /// `WithAWS`
    WithAws,
    /// `Complete`
    Complete,
    /// `Cancelled`
    Cancelled,
    /// A state this version does not know, as the service wrote it.
    Other(String),
}

/// How a state stands to onboarding. A hint for people and for the choice of a job; whether code and manifest can be
/// had is the API's answer alone, since the sources disagree on the states that give them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Not yet here.
    NotYet,
    /// On its way; some pages say the pair can be had already.
    OnItsWay,
    /// Delivered.
    Ready,
    /// On its way back, done, or cancelled.
    TooLate,
    /// The state does not tell.
    Unknown,
}

impl JobState {
    /// From the API's spelling.
    #[must_use]
    pub(crate) fn from_api(text: &str) -> Self {
        match text {
            "New" => Self::New,
            "Listing" => Self::Listing,
            "Pending" => Self::Pending,
            "PreparingAppliance" => Self::PreparingAppliance,
            "InProgress" => Self::InProgress,
            "PreparingShipment" => Self::PreparingShipment,
            "InTransitToCustomer" => Self::InTransitToCustomer,
            "WithCustomer" => Self::WithCustomer,
            "InTransitToAWS" => Self::InTransitToAws,
            "WithAWSSortingFacility" => Self::WithAwsSortingFacility,
            "WithAWS" => Self::WithAws,
            "Complete" => Self::Complete,
            "Cancelled" => Self::Cancelled,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The API's spelling.
    #[must_use]
    pub fn as_api(&self) -> &str {
        match self {
            Self::New => "New",
            Self::Listing => "Listing",
            Self::Pending => "Pending",
            Self::PreparingAppliance => "PreparingAppliance",
            Self::InProgress => "InProgress",
            Self::PreparingShipment => "PreparingShipment",
            Self::InTransitToCustomer => "InTransitToCustomer",
            Self::WithCustomer => "WithCustomer",
            Self::InTransitToAws => "InTransitToAWS",
            Self::WithAwsSortingFacility => "WithAWSSortingFacility",
            Self::WithAws => "WithAWS",
            Self::Complete => "Complete",
            Self::Cancelled => "Cancelled",
            Self::Other(text) => text,
        }
    }

    /// In words that end the sentence "the job …", as the AWS console words them where it has words.
    #[must_use]
    pub fn in_words(&self) -> &str {
        match self {
            Self::New => "has been created and is not being prepared yet",
            Self::Listing => "is listing its buckets",
            Self::Pending => "is pending at AWS",
            Self::PreparingAppliance => "is being loaded onto a device at AWS",
            Self::InProgress => "is in progress: AWS copies its data",
            Self::PreparingShipment => "is being prepared for shipment",
            Self::InTransitToCustomer => "is in transit to you",
            Self::WithCustomer => "has been delivered to you",
            Self::InTransitToAws => "is in transit to AWS",
            Self::WithAwsSortingFacility => "is at AWS's sorting facility",
            Self::WithAws => "is back at AWS",
            Self::Complete => "is completed",
            Self::Cancelled => "was cancelled",
            Self::Other(_) => "is in a state this version does not know",
        }
    }

    /// How the state stands to onboarding.
    #[must_use]
    pub(crate) fn readiness(&self) -> Readiness {
        match self {
            Self::New | Self::Listing | Self::Pending | Self::PreparingAppliance | Self::PreparingShipment => {
                Readiness::NotYet
            }
            Self::InTransitToCustomer => Readiness::OnItsWay,
            Self::WithCustomer => Readiness::Ready,
            Self::InTransitToAws | Self::WithAwsSortingFacility | Self::WithAws | Self::Complete | Self::Cancelled => {
                Readiness::TooLate
            }
            // InProgress means exporting before shipping or importing after return: never a reason to onboard, and
            // nothing to be said of when.
            Self::InProgress | Self::Other(_) => Readiness::Unknown,
        }
    }
}

/// What the service says of a job. Its texts are sanitized.
#[derive(Debug, Clone)]
pub struct JobFacts {
    /// The id; a plain text, because ids we receive are shown and not validated.
    pub id: String,
    /// Where the job stands.
    pub state: JobState,
    /// `IMPORT`, `EXPORT`, `LOCAL_USE`, if told.
    pub kind: Option<String>,
    /// Device type, such as `EDGE_S` or `V3_5S`, if told.
    pub device_type: Option<String>,
    /// The customer's own description.
    pub description: Option<String>,
    /// When the job was created.
    pub created: Option<OffsetDateTime>,
    /// Carrier's number of the way to the customer.
    pub tracking_number: Option<String>,
    /// The cluster the job is a node of.
    pub cluster: Option<String>,
    /// The main job of a divided export: it has no device of its own (Snowball API, JobListEntry.IsMaster).
    pub is_main: bool,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";

    #[test]
    fn job_ids_are_taken_or_refused_with_the_reason() {
        assert_eq!(JOB.parse::<JobId>().unwrap().as_str(), JOB);
        assert!("MID123e4567-e89b-12d3-a456-426655440000".parse::<JobId>().is_ok());
        for (text, why) in [
            ("JID123e456-7e89b-12d3-a456-426655440000", "“-” as character 11"),
            ("JID123e4567-e89b-12d3-a456-4266\u{200b}55440000", "invisible"),
            ("", "does not begin with JID, as"),
            ("CID123e4567-e89b-12d3-a456-426655440000", "does not begin with JID, as"),
            ("JID123e4567-e89b-12d3-a456-42665544000", "has 38 characters"),
            ("JID123E4567-e89b-12d3-a456-426655440000", "“E” as character 7"),
            ("JID123e4567-e89b-12d3-a456-42665544000g", "“g” as character 39"),
            ("JID123e4567-e89b-12d3-a456-42665544000ä", "U+00E4"),
        ] {
            let refusal = text.parse::<JobId>().unwrap_err();
            assert!(refusal.why.contains(why), "{text}: {refusal}");
        }
    }

    #[test]
    fn capital_letters_are_small_ones_where_a_person_typed_them_and_nowhere_else() {
        for text in ["JID123E4567-E89B-12D3-A456-426655440000", " “JID123e4567-E89B-12d3-a456-426655440000”. ", JOB]
        {
            assert_eq!(JobId::typed(text).unwrap().as_str(), JOB, "{text}");
        }
        assert!("JID123E4567-E89B-12D3-A456-426655440000".parse::<JobId>().is_err(), "of AWS, and of a device");
        for (text, why) in [
            ("jid123e4567-e89b-12d3-a456-426655440000", "does not begin with JID"),
            ("JID123E4567-E89B-12D3-A456-4266554400O0", "the letter O where a 0"),
            ("JID123E4567-E89B-12D3-A456-42665544000G", "“G” as character 39"),
            ("JIÄ123E4567", "U+00C4"),
        ] {
            let refusal = JobId::typed(text).unwrap_err();
            assert!(refusal.why.contains(why), "{text}: {refusal}");
        }
    }

    #[test]
    fn states_keep_the_service_s_spelling() {
        for state in ["New", "WithAWSSortingFacility", "InTransitToAWS", "Unheard"] {
            assert_eq!(JobState::from_api(state).as_api(), state);
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_is_taken_is_stable(text in "\\PC{0,60}") {
            if let Ok(id) = text.parse::<JobId>() {
                prop_assert_eq!(id.as_str(), text.as_str());
            }
        }

        #[test]
        fn every_uuid_makes_a_job_id(hex in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}") {
            let id = format!("JID{hex}");
            prop_assert!(id.parse::<JobId>().is_ok());
            prop_assert!(hex.parse::<JobId>().is_err());
            let short = id.replacen(&hex[..1], "", 1);
            prop_assert!(short.parse::<JobId>().is_err());
        }
    }
}
