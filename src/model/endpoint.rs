//! Where a device stands in the local network.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::job::Malformed;
use super::typed::{meant_by, odd_character, tidy};
use super::{TargetId, holds_hidden_code, looks_like_code};

/// The address of a device on the local network, as its display shows it: an IP address or a local host name, with
/// an optional port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
    pub(crate) const MANAGEMENT_PORT: u16 = 9091;

    /// The address of our texts, which no device has.
    pub(crate) fn example() -> Option<Self> {
        "192.0.2.10".parse().ok()
    }

    /// As people type it: with what they copied around it, and without a port that is another service's.
    ///
    /// # Errors
    /// Why it is no address of a device.
    pub(crate) fn typed(text: &str) -> Result<Self, Malformed> {
        let text = tidy(text);
        // A host might be called so, but it is a column too far, or a line that a quote has joined to another.
        if TargetId::typed(&text).is_ok() {
            return Err(Malformed { why: "is a job id and no address".to_owned() });
        }
        if holds_hidden_code(&text) {
            return Err(Malformed { why: HOLDS_CODE.to_owned() });
        }
        let endpoint: Self = text.parse()?;
        match endpoint.port {
            Some(port @ (8080 | 8443)) => Err(Malformed {
                why: format!("names port {port}, which is the one of the device's S3 service; leave the port out"),
            }),
            _ => Ok(endpoint),
        }
    }

    /// Host part.
    #[must_use]
    pub fn host(&self) -> &EndpointHost {
        &self.host
    }

    /// Whether its host is an address, and no name.
    #[must_use]
    pub(crate) fn is_by_number(&self) -> bool {
        matches!(self.host, EndpointHost::Address(_))
    }

    /// The port to reach the device on: the given one or 9091.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(Self::MANAGEMENT_PORT)
    }

    /// With the port, also where none was given: for messages of what was tried.
    #[must_use]
    pub(crate) fn with_port(&self) -> String {
        Self { host: self.host.clone(), port: Some(self.port()) }.to_string()
    }

    /// The same with this address as its host: what a name led to.
    #[must_use]
    pub fn at(&self, address: IpAddr) -> Self {
        Self { host: EndpointHost::Address(address), port: self.port }
    }

    /// The one at this address, with no port named.
    #[must_use]
    pub(crate) fn of(address: IpAddr) -> Self {
        Self { host: EndpointHost::Address(address), port: None }
    }

    /// Whether it leads to the same place, however it is written.
    #[must_use]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.host == other.host && self.port() == other.port()
    }

    /// As the vendor's client takes the address of a cluster's node: the address alone, with a port only if it is another than
    /// the management service's.
    #[must_use]
    pub(crate) fn as_node(&self) -> String {
        match (&self.host, self.port()) {
            (EndpointHost::Address(address), Self::MANAGEMENT_PORT) => address.to_string(),
            (EndpointHost::Name(name), Self::MANAGEMENT_PORT) => name.clone(),
            _ => self.to_string(),
        }
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

impl TryFrom<String> for Endpoint {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> String {
        endpoint.to_string()
    }
}

impl FromStr for Endpoint {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let refuse = |why: &str| Err(Malformed { why: why.to_owned() });
        if text.is_empty() {
            return refuse("is empty");
        }
        // A code pasted in the wrong place would be a host name, asked of a name server and shown to the client.
        if looks_like_code(text.strip_prefix("https://").unwrap_or(text)) {
            return refuse(HOLDS_CODE);
        }
        if let Some(why) = odd_character(text) {
            return refuse(&why);
        }
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest.strip_suffix('/').unwrap_or(rest),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => {
                return refuse("is an http address; a device is reached by https only");
            }
            Some(_) => return refuse("begins with something other than https://"),
            None => text,
        };
        if rest.contains('@') {
            return refuse("carries a user name, which a device's address never has");
        }
        if let Some(at) = rest.find(['/', '?', '#', '\\']) {
            let is_host = !rest[..at].is_empty() && (rest.len() < text.len() || rest[..at].contains(['.', ':']));
            return refuse(if is_host { "carries a path, which a device's address never has" } else { NEITHER });
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

const HOLDS_CODE: &str = "contains what looks like an unlock code; never type an unlock code";
const NEITHER: &str = "is neither an IP address nor a host name";

fn parse_host(host: &str) -> Result<EndpointHost, Malformed> {
    let refuse = |why: &str| Err(Malformed { why: why.to_owned() });
    if let Ok(address) = host.parse::<IpAddr>() {
        return usable_address(address);
    }
    if host.is_empty() {
        return refuse("names no host");
    }
    let meant: String = host.chars().map(|c| meant_by(c).map_or(c, |(meant, _)| meant)).collect();
    if let Some((_, what)) = host.chars().find_map(meant_by).filter(|_| meant.parse::<std::net::Ipv4Addr>().is_ok()) {
        return refuse(&format!("has {what}"));
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
    if let Some(last) = host.rsplit('.').next().filter(|last| last.starts_with(|c: char| c.is_ascii_digit())) {
        // Not quoted where it may be a part of a code.
        let which = if last.len() <= 3 { format!(" (“{last}”)") } else { String::new() };
        let why = format!("is not an IPv4 address, and no host name ends in a part that begins with a digit{which}");
        return refuse(&why);
    }
    if host.len() > 253 || !host.split('.').all(label_is_fine) {
        return refuse(NEITHER);
    }
    Ok(EndpointHost::Name(host.to_ascii_lowercase()))
}

fn usable_address(address: IpAddr) -> Result<EndpointHost, Malformed> {
    let refuse = |why: &str| Err(Malformed { why: why.to_owned() });
    // Two spellings of one place: what is written as IPv6 around an IPv4 address is that address.
    let address = address.to_canonical();
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
    fn a_node_s_address_has_a_port_only_if_it_is_another() {
        for (text, node) in [
            ("192.0.2.10", "192.0.2.10"),
            ("192.0.2.10:9091", "192.0.2.10"),
            ("192.0.2.10:9092", "192.0.2.10:9092"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:1", "[2001:db8::1]:1"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().as_node(), node);
        }
        let (one, other): (Endpoint, Endpoint) = ("192.0.2.10".parse().unwrap(), "192.0.2.10:9091".parse().unwrap());
        assert!(one.is_same(&other) && one != other);
        for mapped in ["[::ffff:192.0.2.10]:9091", "[::FFFF:c000:20a]", "::ffff:192.0.2.10"] {
            assert!(mapped.parse::<Endpoint>().unwrap().is_same(&one), "{mapped}");
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
            ("192.0.2.10:9091/unlock", "path"),
            ("?", "neither"),
            ("n/a", "neither"),
            ("#REF!", "neither"),
            ("-/-", "neither"),
            ("[::ffff:0.0.0.0]", "no host"),
            ("192.0.2.300", "not an IPv4"),
            ("192.0.2", "not an IPv4"),
            ("192.0.2.010", "not an IPv4"),
            ("192.0.2.1O", "the letter O where a 0"),
            ("l92.0.2.10", "the letter l where a 1"),
            ("192,0,2,10", "a comma where a dot"),
            ("HTTP://192.0.2.10", "https only"),
            ("192.0.2.1x", "“1x”"),
            ("snow.2nd", "begins with a digit"),
            ("snow\u{430}.lan", "U+0430"),
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
    fn a_typed_address_loses_what_was_copied_with_it_and_has_no_port_of_another_service() {
        for text in [
            "192.0.2.10 ",
            "\u{a0}192.0.2.10\r\n",
            "https://192.0.2.10/ ",
            "“192.0.2.10”,",
            "192.0.2.10/",
            "HTTPS://192.0.2.10.",
        ] {
            assert_eq!(Endpoint::typed(text).unwrap().to_string(), "192.0.2.10", "{text:?}");
        }
        assert_eq!(Endpoint::typed("snow\u{2011}1.lan").unwrap().to_string(), "snow-1.lan");
        for port in ["8443", "8080"] {
            let refusal = Endpoint::typed(&format!("192.0.2.10:{port}")).unwrap_err();
            assert!(refusal.why.contains("S3") && refusal.why.contains(port), "{refusal}");
        }
        assert_eq!(Endpoint::typed("192.0.2.10:9092").unwrap().port(), 9092);
        for id in ["JID123e4567-e89b-12d3-a456-426655440000", "CID123E4567-E89B-12D3-A456-426655440000"] {
            assert!(Endpoint::typed(id).unwrap_err().why.contains("is a job id"), "{id}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_stable(text in "\\PC{0,60}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.as_url().parse::<Endpoint>().unwrap(), endpoint);
            }
        }

        #[test]
        fn every_address_is_an_endpoint_and_comes_back(address: std::net::IpAddr, port in proptest::option::of(1_u16..)) {
            let address = address.to_canonical();
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
