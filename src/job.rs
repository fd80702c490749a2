//! What a job is called, what state it is in, and where its device stands: parsed once, valid ever after.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::secret::looks_like_code;

/// A job id: `JID` or `MID` and a lower-case UUID, 39 characters (Snowball API, JobId).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

/// A cluster id: `CID` and a lower-case UUID, 39 characters (Snowball API, ClusterId).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
}

impl FromStr for JobId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        check_id(text, &["JID", "MID"], "a job id")?;
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
        check_id(text, &["CID"], "a cluster id")?;
        Ok(Self(text.to_owned()))
    }
}

fn check_id(text: &str, prefixes: &[&str], what: &str) -> Result<(), Malformed> {
    let refuse = |why: String| Err(Malformed { why });
    let Some(rest) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) else {
        return refuse(format!("does not begin with {}, as {what} does", prefixes.join(" or ")));
    };
    let length = text.chars().count();
    if length != JobId::LENGTH {
        return refuse(format!("has {length} characters where {what} has {}", JobId::LENGTH));
    }
    let is_uuid = rest.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    });
    if is_uuid {
        Ok(())
    } else if rest.bytes().any(|byte| byte.is_ascii_uppercase()) {
        refuse(format!("has capital letters after its first three characters, which {what} never has"))
    } else {
        refuse(format!("is not {}123e4567-e89b-12d3-a456-426655440000 in shape", prefixes[0]))
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
pub enum Readiness {
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
    pub fn from_api(text: &str) -> Self {
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
            Self::InProgress => "is being copied at AWS",
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
    pub fn readiness(&self) -> Readiness {
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

/// What the service says of a job. Texts are the service's own and not cleaned for a terminal.
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

/// The address of a device on the local network, as its display shows it: an IP address or a local host name, with
/// an optional port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: EndpointHost,
    port: Option<u16>,
}

/// Host part of an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointHost {
    /// An address, what the device's display shows.
    Address(IpAddr),
    /// A name, lower case. Whether it leads into the local network is known only once it is looked up.
    Name(String),
}

impl Endpoint {
    /// Port of the device's management service, where the client goes when the address names none.
    pub const MANAGEMENT_PORT: u16 = 9091;

    /// Host part.
    #[must_use]
    pub fn host(&self) -> &EndpointHost {
        &self.host
    }

    /// The port to reach the device on: the given one or 9091.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(Self::MANAGEMENT_PORT)
    }

    /// The same with this address as its host: what a name led to.
    #[must_use]
    pub fn at(&self, address: IpAddr) -> Self {
        Self { host: EndpointHost::Address(address), port: self.port }
    }

    /// As the vendor's client takes it: `https://192.0.2.10`, with a port only if one was given.
    #[must_use]
    pub fn as_url(&self) -> String {
        format!("https://{self}")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            EndpointHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            EndpointHost::Address(address) => write!(f, "{address}")?,
            EndpointHost::Name(name) => f.write_str(name)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for Endpoint {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let refuse = |why: &str| Err(Malformed { why: why.to_owned() });
        if text.is_empty() {
            return refuse("is empty");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refuse("contains white space");
        }
        // A code pasted in the wrong place would be a host name, asked of a name server and shown to the client.
        if looks_like_code(text.strip_prefix("https://").unwrap_or(text)) {
            return refuse("contains what looks like an unlock code, which is never typed anywhere");
        }
        let rest = match text.split_once("://") {
            Some(("https", rest)) => rest.strip_suffix('/').unwrap_or(rest),
            Some(("http", _)) => return refuse("is an http address; a device is reached by https only"),
            Some(_) => return refuse("begins with something other than https://"),
            None => text,
        };
        if rest.contains('@') {
            return refuse("carries a user name, which a device's address never has");
        }
        if rest.contains(['/', '?', '#', '\\']) {
            return refuse("carries a path, which a device's address never has");
        }
        // A bare IPv6 address is full of colons; none of them sets off a port.
        if let Ok(address) = rest.parse::<Ipv6Addr>() {
            return Ok(Self { host: usable_address(IpAddr::V6(address))?, port: None });
        }
        let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
            let Some((address, after)) = bracketed.split_once(']') else {
                return refuse("has an opening bracket without a closing one");
            };
            let port = match after.strip_prefix(':') {
                Some(port) => Some(port),
                None if after.is_empty() => None,
                None => return refuse("has something other than a port after the closing bracket"),
            };
            if address.contains('%') {
                return refuse("carries an interface name (%); use the device's global or IPv4 address");
            }
            let Ok(address) = address.parse::<Ipv6Addr>() else {
                return refuse("has no IPv6 address between its brackets");
            };
            (usable_address(IpAddr::V6(address))?, port)
        } else {
            let (host, port) = match rest.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return refuse("is no IPv6 address, and has more than one colon");
                }
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            };
            (parse_host(host)?, port)
        };
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return refuse("has no port number from 1 to 65535 after its colon"),
        };
        Ok(Self { host, port })
    }
}

fn parse_host(host: &str) -> Result<EndpointHost, Malformed> {
    let refuse = |why: &str| Err(Malformed { why: why.to_owned() });
    if let Ok(address) = host.parse::<IpAddr>() {
        return usable_address(address);
    }
    if host.is_empty() {
        return refuse("names no host");
    }
    // 192.0.2.300 and 192.0.2 would pass as names, and some resolvers even read the second one as an address.
    if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return refuse("is not an IPv4 address: it needs four numbers from 0 to 255, without leading zeros");
    }
    let label_is_fine = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label_is_fine) {
        return refuse("is neither an IP address nor a host name");
    }
    Ok(EndpointHost::Name(host.to_ascii_lowercase()))
}

fn usable_address(address: IpAddr) -> Result<EndpointHost, Malformed> {
    let refuse = |why: &str| Err(Malformed { why: why.to_owned() });
    if address.is_unspecified() {
        return refuse("is the address of no host; a device without a network shows it until it has one");
    }
    if address.is_multicast() || matches!(address, IpAddr::V4(v4) if v4.is_broadcast()) {
        return refuse("is an address of many hosts");
    }
    Ok(EndpointHost::Address(address))
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
            ("", "does not begin with JID or MID"),
            ("CID123e4567-e89b-12d3-a456-426655440000", "does not begin with JID or MID"),
            ("JID123e4567-e89b-12d3-a456-42665544000", "has 38 characters"),
            ("JID123E4567-e89b-12d3-a456-426655440000", "capital letters"),
            ("JID123e4567-e89b-12d3-a456-42665544000g", "is not JID123e4567"),
            ("JID123e4567-e89b-12d3-a456-42665544000ä", "is not JID123e4567"),
        ] {
            let refusal = text.parse::<JobId>().unwrap_err();
            assert!(refusal.why.contains(why), "{text}: {refusal}");
        }
    }

    #[test]
    fn endpoints_are_written_the_way_the_client_takes_them() {
        for (text, url, port) in [
            ("192.0.2.10", "https://192.0.2.10", 9091),
            ("https://192.0.2.10/", "https://192.0.2.10", 9091),
            ("https://192.0.2.10:8443", "https://192.0.2.10:8443", 8443),
            ("2001:db8::1", "https://[2001:db8::1]", 9091),
            ("[2001:DB8:0::1]:9091", "https://[2001:db8::1]:9091", 9091),
            ("Snow1.lan", "https://snow1.lan", 9091),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.as_url().as_str(), endpoint.port()), (url, port));
        }
    }

    #[test]
    fn bad_endpoints_are_refused_with_the_reason() {
        for (text, why) in [
            ("", "empty"),
            ("http://192.0.2.10", "https only"),
            ("ftp://192.0.2.10", "other than https"),
            ("https://user@192.0.2.10", "user name"),
            ("https://192.0.2.10/unlock", "path"),
            ("192.0.2.300", "not an IPv4"),
            ("192.0.2", "not an IPv4"),
            ("192.0.2.010", "not an IPv4"),
            ("0.0.0.0", "no host"),
            ("::", "no host"),
            ("224.0.0.1", "many hosts"),
            ("[fe80::1%eth0]", "interface"),
            ("fe80::1%eth0", "more than one colon"),
            ("[2001:db8::1", "closing"),
            ("2001:db8:::1", "more than one colon"),
            ("192.0.2.10:0", "port"),
            ("192.0.2.10:70000", "port"),
            ("192.0.2.10 ", "white space"),
            ("-snow.lan", "neither"),
            ("snow..lan", "neither"),
            ("abcde-01234-ABCDE-01234-abcde", "unlock code"),
            ("https://abcde01234abcde01234abcde", "unlock code"),
            ("https://my-abcde-01234-abcde-01234-abcde.lan", "unlock code"),
        ] {
            let refusal = text.parse::<Endpoint>().unwrap_err();
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
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.as_url().parse::<Endpoint>().unwrap(), endpoint);
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

        #[test]
        fn every_address_is_an_endpoint_and_comes_back(address: std::net::IpAddr, port in proptest::option::of(1_u16..)) {
            prop_assume!(!address.is_unspecified() && !address.is_multicast() && address != IpAddr::from([255, 255, 255, 255]));
            let text = match (address, port) {
                (IpAddr::V6(v6), Some(port)) => format!("[{v6}]:{port}"),
                (address, Some(port)) => format!("{address}:{port}"),
                (address, None) => address.to_string(),
            };
            let endpoint: Endpoint = text.parse().unwrap();
            prop_assert_eq!(endpoint.host(), &EndpointHost::Address(address));
            prop_assert_eq!(endpoint.port(), port.unwrap_or(9091));
        }
    }
}
