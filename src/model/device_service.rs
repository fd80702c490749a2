//! What a device offers: its services, where each of them answers, and with which certificate.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Malformed;

/// Id of a device's service: letters, digits and hyphens ("s3", "s3-snow"). It goes into argument lists, and can't be an option.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ServiceId(String);

/// What a device calls one of its certificates: an ARN (guide, "list-certificates"). It goes into argument lists, and can't be an
/// option.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct CertificateArn(String);

/// One service as the device describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceService {
    /// Its state, in the device's word: `ACTIVE`, `ACTIVATING`, …
    pub(crate) state: String,
    /// Where it answers over TLS.
    pub(crate) endpoints: Vec<ServiceEndpoint>,
}

/// Where a service answers over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceEndpoint {
    /// Address and port.
    pub(crate) at: SocketAddr,
    /// Which certificate it shows.
    pub(crate) certificate: Option<CertificateArn>,
    /// Which part of S3-compatible storage it is, if any.
    pub(crate) storage: Option<StoragePart>,
    /// Whether the endpoint itself is in use; true where the device says nothing of single ones.
    pub(crate) is_active: bool,
}

/// The two halves of S3-compatible storage, each at a virtual interface of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoragePart {
    /// Objects, and on newer devices buckets too: what the AWS CLI calls `s3` and `s3api`.
    Objects,
    /// Buckets: `s3control`.
    Buckets,
}

impl ServiceEndpoint {
    /// As the AWS CLI takes it.
    #[must_use]
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.at)
    }

    /// Whether its address is one that a device can have.
    #[must_use]
    pub(crate) fn is_usable(&self) -> bool {
        let address: IpAddr = self.at.ip();
        self.at.port() != 0 && !address.is_unspecified() && !address.is_multicast()
    }
}

macro_rules! word_like {
    ($name:ident, $check:expr) => {
        impl $name {
            /// As text.
            #[must_use]
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Malformed { why: "is not in the documented form".to_owned() })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Malformed;

            fn try_from(text: String) -> Result<Self, Malformed> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

word_like!(ServiceId, |text| {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
});

word_like!(CertificateArn, |text| {
    text.len() <= 256
        && text.starts_with("arn:")
        && text.contains(":certificate/")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/-_.".contains(&byte))
});

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_into_an_argument_list_is_one_word_that_is_no_option() {
        for id in ["s3", "s3-snow", "nfs", "a.b_c"] {
            assert_eq!(id.parse::<ServiceId>().unwrap().as_str(), id);
        }
        for id in ["", "-s3", "s 3", "s3\n", "../x", &"x".repeat(65)] {
            assert!(id.parse::<ServiceId>().is_err(), "{id}");
        }
        let arn = "arn:aws:snowball-device:::certificate/6d955EXAMPLEdb71798146EXAMPLE3f0";
        assert_eq!(arn.parse::<CertificateArn>().unwrap().as_str(), arn);
        for other in
            ["", "--x", "arn:aws:s3:::bucket", &format!("{arn} --endpoint x"), &format!("{arn}{}", "0".repeat(256))]
        {
            assert!(other.parse::<CertificateArn>().is_err(), "{other}");
        }
    }

    #[test]
    fn an_address_that_no_device_has_is_not_used() {
        let endpoint =
            |at: &str| ServiceEndpoint { at: at.parse().unwrap(), certificate: None, storage: None, is_active: true };
        assert_eq!(endpoint("[fd00::1]:443").url(), "https://[fd00::1]:443");
        for (at, is_usable) in [
            ("192.0.2.10:8443", true),
            ("127.0.0.1:1", true),
            ("0.0.0.0:443", false),
            ("192.0.2.1:0", false),
            ("224.0.0.1:1", false),
        ] {
            assert_eq!(endpoint(at).is_usable(), is_usable, "{at}");
        }
    }
}
