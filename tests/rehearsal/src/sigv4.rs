//! AWS Signature Version 4: enough of it to check a request that somebody else signed, and to sign an address.
//!
//! Written from the public specification ("AWS Signature Version 4 for API requests", General Reference) and proved
//! against the two worked examples that AWS publishes. Nothing is shared with the SDK under test: a stand-in that
//! signed with the same library would agree with its mistakes.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::{digest, hmac};
use time::{OffsetDateTime, PrimitiveDateTime, format_description::FormatItem, macros::format_description};

/// The one algorithm of Signature Version 4.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How far a request's date may lie from the server's clock: 15 minutes either way.
pub const MAX_SKEW: time::Duration = time::Duration::minutes(15);

/// What stands for the body's digest in a presigned URL, whose body is not known when it is signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

const STAMP: &[FormatItem<'static>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// Everything but the unreserved characters of RFC 3986.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An access key with its secret, and a session token if the key is a temporary one.
#[derive(Clone)]
pub struct Keys {
    /// `AKIA…` or `ASIA…`.
    pub access_key: String,
    /// The secret that signs.
    pub secret: String,
    /// Has to accompany every request made with a temporary key.
    pub session_token: Option<String>,
}

/// What a signing key is good for: one day, one region, one service.
#[derive(Clone, PartialEq, Eq)]
pub struct Scope {
    /// `YYYYMMDD`.
    pub day: String,
    /// For example `us-east-1`.
    pub region: String,
    /// The service's signing name, for example `snowball`.
    pub service: String,
}

impl Scope {
    /// The scope as it stands in a credential and in the string to sign.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }
}

/// A request as far as its signature covers it.
pub struct Parts<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// The path as sent, already percent-encoded.
    pub path: &'a str,
    /// The query as sent, without the question mark and without the signature itself.
    pub query: &'a str,
    /// Name in lower case, value; only the headers that are signed.
    pub headers: &'a [(String, String)],
    /// Hex SHA-256 of the body, or [`UNSIGNED_PAYLOAD`].
    pub payload: &'a str,
}

impl Parts<'_> {
    /// The canonical request of the specification.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut headers: Vec<(&str, String)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), squeeze(value))).collect();
        headers.sort();
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let mut names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        names.dedup();
        let path = if self.path.is_empty() { "/" } else { self.path };
        format!(
            "{}\n{path}\n{}\n{lines}\n{}\n{}",
            self.method,
            canonical_query(self.query),
            names.join(";"),
            self.payload
        )
    }

    /// The signature in hex: of these parts, at this moment, with this secret.
    #[must_use]
    pub fn sign(&self, secret: &str, stamp: &str, scope: &Scope) -> String {
        hex::encode(hmac::sign(&signing_key(secret, scope), self.string_to_sign(stamp, scope).as_bytes()))
    }

    /// Whether `signature` is the one [`sign`](Self::sign) gives, compared in constant time.
    #[must_use]
    pub fn verify(&self, signature: &str, secret: &str, stamp: &str, scope: &Scope) -> bool {
        let Ok(signature) = hex::decode(signature) else {
            return false;
        };
        hmac::verify(&signing_key(secret, scope), self.string_to_sign(stamp, scope).as_bytes(), &signature).is_ok()
    }

    fn string_to_sign(&self, stamp: &str, scope: &Scope) -> String {
        format!("{ALGORITHM}\n{stamp}\n{}\n{}", scope.text(), sha256_hex(self.canonical().as_bytes()))
    }
}

/// An `Authorization` header taken apart.
pub struct Authorization {
    /// Whose key signed.
    pub access_key: String,
    /// What the key was derived for.
    pub scope: Scope,
    /// Names of the signed headers, in the order given.
    pub signed_headers: Vec<String>,
    /// Hex.
    pub signature: String,
}

impl Authorization {
    /// Takes `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…` apart.
    ///
    /// # Errors
    /// Gives the name of the part that is missing or malformed.
    pub fn parse(header: &str) -> Result<Self, &'static str> {
        let rest = header.strip_prefix(ALGORITHM).ok_or("Algorithm")?;
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for part in rest.split(',').map(str::trim) {
            match part.split_once('=') {
                Some(("Credential", value)) => credential = Some(value),
                Some(("SignedHeaders", value)) => signed = Some(value),
                Some(("Signature", value)) => signature = Some(value),
                _ => return Err("Authorization"),
            }
        }
        let (access_key, scope) = parse_credential(credential.ok_or("Credential")?).ok_or("Credential")?;
        Ok(Self {
            access_key,
            scope,
            signed_headers: signed.ok_or("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: signature.ok_or("Signature")?.to_owned(),
        })
    }
}

/// `AKID/20150830/us-east-1/iam/aws4_request` into key and scope; `None` if it is anything else.
#[must_use]
pub fn parse_credential(text: &str) -> Option<(String, Scope)> {
    let mut parts = text.split('/');
    let (key, day, region, service, end) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if end != "aws4_request" || parts.next().is_some() || key.is_empty() {
        return None;
    }
    let scope = Scope { day: day.to_owned(), region: region.to_owned(), service: service.to_owned() };
    Some((key.to_owned(), scope))
}

/// `YYYYMMDDTHHMMSSZ`.
#[must_use]
pub fn stamp(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(STAMP).unwrap_or_default()
}

/// The moment that a stamp names; `None` if it is not one.
#[must_use]
pub fn parse_stamp(text: &str) -> Option<OffsetDateTime> {
    PrimitiveDateTime::parse(text, STAMP).ok().map(PrimitiveDateTime::assume_utc)
}

/// Percent-encodes as Signature Version 4 wants it: everything but letters, digits and `-._~`.
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, STRICT).to_string()
}

/// A query string into decoded names and values, in the order sent.
#[must_use]
pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Hex SHA-256.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> =
        query_pairs(query).iter().map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn signing_key(secret: &str, scope: &Scope) -> hmac::Key {
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    for part in [&scope.day, &scope.region, &scope.service, "aws4_request"] {
        let next = hmac::sign(&key, part.as_bytes());
        key = hmac::Key::new(hmac::HMAC_SHA256, next.as_ref());
    }
    key
}

/// Header values are signed without outer blanks and with inner runs of blanks as one.
fn squeeze(value: &str) -> String {
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// The worked example of the General Reference, "Create a signed AWS API request": GET ListUsers.
    #[test]
    fn published_header_example() {
        let headers = headers(&[
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ]);
        let parts = Parts {
            method: "GET",
            path: "/",
            query: "Version=2010-05-08&Action=ListUsers",
            headers: &headers,
            payload: &sha256_hex(b""),
        };
        assert_eq!(
            sha256_hex(parts.canonical().as_bytes()),
            "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
        );
        let header = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                      SignedHeaders=content-type;host;x-amz-date, \
                      Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        let auth = Authorization::parse(header).unwrap();
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert_eq!(auth.access_key, "AKIDEXAMPLE");
        assert_eq!(parts.sign(secret, "20150830T123600Z", &auth.scope), auth.signature);
        assert!(parts.verify(&auth.signature, secret, "20150830T123600Z", &auth.scope));
        assert!(!parts.verify(&auth.signature, "another secret", "20150830T123600Z", &auth.scope));
        assert!(!parts.verify(&auth.signature, secret, "20150830T123601Z", &auth.scope));
        assert!(!parts.verify("not hex", secret, "20150830T123600Z", &auth.scope));
    }

    /// The worked example of the S3 API reference, "Authenticating Requests: Using Query Parameters".
    #[test]
    fn published_presigned_example() {
        let headers = headers(&[("host", "examplebucket.s3.amazonaws.com")]);
        let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256\
                     &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
                     &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host";
        let parts = Parts { method: "GET", path: "/test.txt", query, headers: &headers, payload: UNSIGNED_PAYLOAD };
        let (_, scope) = parse_credential("AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request").unwrap();
        assert_eq!(
            parts.sign("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524T000000Z", &scope),
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn malformed_headers_name_the_part() {
        let part = |text: &str| Authorization::parse(text).err();
        assert_eq!(part("Bearer x"), Some("Algorithm"));
        assert_eq!(part("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00"), Some("Credential"));
        assert_eq!(part("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host"), Some("Signature"));
    }

    #[test]
    fn stamps_go_both_ways() {
        let at = parse_stamp("20150830T123600Z").unwrap();
        assert_eq!(stamp(at), "20150830T123600Z");
        assert!(parse_stamp("2015-08-30T12:36:00Z").is_none());
    }
}
