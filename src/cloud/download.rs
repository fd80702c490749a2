//! The download of the manifest from its presigned address.
//!
//! A plain GET by the same HTTP client: no AWS credentials, no cookies, no redirects. What arrives goes to the
//! caller's writer as it comes, except its first 512 bytes, which are looked at before.

use std::io::Write;

use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};

use super::failure::Setting;
use super::http::Https;
use super::logged::millis;
use super::text::{capitalised, clean, clean_or};
use super::wait::Wait;
use crate::error::{Error, Result, io_in_words};
use crate::secret::ManifestUrl;

/// Bytes that decide whether something is text. Encrypted bytes begin with `<`, `{` or `[` once in a hundred devices.
const SNIFFED: usize = 512;

/// Bytes read of a refusal.
const LONGEST_REFUSAL: usize = 8 * 1024;

/// Downloads the manifest into `sink`; gives its length.
///
/// # Errors
/// The `Manifest…` family, [`Error::NotAManifest`], [`Error::Disk`] if `sink` fails (its path is "the manifest"),
/// and the network's.
pub(super) async fn manifest(
    http: &Https,
    url: ManifestUrl,
    limit: u64,
    setting: &Setting,
    wait: &Wait,
    sink: &mut dyn Write,
) -> Result<u64> {
    let what = format!("the manifest's bucket at {}", clean(url.host()));
    let before = wait.begin(what.clone());
    let mut request = url
        .expose(|text| HttpRequest::get(text))
        .map_err(|_| Error::ManifestUrlBad { why: "is not an address".to_owned() })?;
    let host = url.host().to_owned();
    drop(url);
    let started = std::time::Instant::now();
    request.headers_mut().insert("user-agent", concat!("snow-onboard/", env!("CARGO_PKG_VERSION")));
    let response = http.call(request).await.map_err(|error| setting.unanswered(&what, &error, wait))?;
    tracing::info!(
        host = clean(&host),
        status = response.status().as_u16(),
        millis = millis(started),
        "the bucket has answered"
    );
    match response.status().as_u16() {
        200 => {}
        status => return Err(refused(status, &host, &what, response).await),
    }
    let promised = Promised::of(&response);
    if promised.length.is_some_and(|length| length > limit) {
        return Err(Error::ManifestTooLarge { limit });
    }
    let receiver = Receiver { limit, promised, received: 0, start: Vec::with_capacity(SNIFFED), wait, sink };
    let bytes = receiver.run(response.into_body()).await?;
    tracing::info!(bytes, millis = millis(started), "the manifest has arrived");
    // The code may still be on its way.
    wait.begin(before);
    Ok(bytes)
}

/// What the head of the answer says about the body.
struct Promised {
    length: Option<u64>,
    /// SHA-256 of the whole, where the bucket tells it. A checksum of parts ("…-3") can't be compared.
    sha256: Option<(Vec<u8>, Sha256)>,
}

impl Promised {
    fn of(response: &HttpResponse) -> Self {
        let header = |name: &str| response.headers().get(name);
        let sha256 = header("x-amz-checksum-sha256")
            .and_then(|text| aws_smithy_types::base64::decode(text).ok())
            .filter(|digest| digest.len() == 32);
        Self {
            length: header("content-length").and_then(|text| text.parse().ok()),
            sha256: sha256.map(|digest| (digest, Sha256::new())),
        }
    }
}

struct Receiver<'a> {
    limit: u64,
    promised: Promised,
    received: u64,
    /// The first bytes, held back until it is known that they are no text.
    start: Vec<u8>,
    wait: &'a Wait,
    sink: &'a mut dyn Write,
}

impl Receiver<'_> {
    async fn run(mut self, mut body: SdkBody) -> Result<u64> {
        while let Some(frame) = body.frame().await {
            // Whatever broke the connection: what the person needs to know is how far it came.
            let frame = frame.map_err(|_| self.cut())?;
            if let Ok(data) = frame.into_data() {
                self.take(&data)?;
                self.wait.received(self.received, self.promised.length);
            }
        }
        self.finish()
    }

    fn take(&mut self, mut data: &[u8]) -> Result<()> {
        self.received += data.len() as u64;
        if self.received > self.limit {
            return Err(Error::ManifestTooLarge { limit: self.limit });
        }
        if let Some((_, hasher)) = &mut self.promised.sha256 {
            hasher.update(data);
        }
        if self.start.len() < SNIFFED {
            let (first, rest) = data.split_at(data.len().min(SNIFFED - self.start.len()));
            self.start.extend_from_slice(first);
            data = rest;
            if self.start.len() < SNIFFED {
                return Ok(());
            }
            self.release_start()?;
        }
        self.sink.write_all(data).map_err(|error| sink_failed(&error))
    }

    fn finish(mut self) -> Result<u64> {
        if self.promised.length.is_some_and(|length| length != self.received) {
            return Err(self.cut());
        }
        if self.received == 0 {
            return Err(Error::NotAManifest { why: "it is empty".to_owned() });
        }
        if self.start.len() < SNIFFED {
            self.release_start()?;
        }
        if let Some((digest, hasher)) = self.promised.sha256
            && hasher.finalize()[..] != digest[..]
        {
            return Err(Error::ManifestDamaged { why: "its SHA-256 is not the one that the bucket names".to_owned() });
        }
        self.sink.flush().map_err(|error| sink_failed(&error))?;
        Ok(self.received)
    }

    fn release_start(&mut self) -> Result<()> {
        if is_text(&self.start) {
            return Err(Error::NotAManifest { why: "it is text, not encrypted data".to_owned() });
        }
        self.sink.write_all(&self.start).map_err(|error| sink_failed(&error))
    }

    fn cut(&self) -> Error {
        let expected =
            self.promised.length.map_or_else(|| "an unknown number of".to_owned(), |length| length.to_string());
        Error::ManifestCut { got: self.received, expected }
    }
}

fn sink_failed(error: &std::io::Error) -> Error {
    Error::Disk { what: "Writing".to_owned(), path: "the manifest".to_owned(), why: io_in_words(error) }
}

/// Whether all of it is printable text: UTF-8, without control characters but tab and line breaks. A character that
/// is cut by the end is text as well.
fn is_text(bytes: &[u8]) -> bool {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{c}'))
}

/// Why the bucket did not give the manifest.
async fn refused(status: u16, asked: &str, what: &str, response: HttpResponse) -> Error {
    if (300..400).contains(&status) {
        let target = response.headers().get("location").and_then(|text| text.parse::<http::Uri>().ok());
        return match target.as_ref().and_then(http::Uri::host) {
            Some(host) if host.eq_ignore_ascii_case(asked) => Error::ManifestRefused {
                status,
                why: "it redirects to another address, which is not followed".to_owned(),
            },
            Some(host) => Error::ManifestRedirected { host: clean(host) },
            None => Error::ManifestRefused { status, why: "it redirects without saying where to".to_owned() },
        };
    }
    let phrase = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let text = start_of(response.into_body()).await;
    let (code, message) = (element(&text, "Code"), element(&text, "Message"));
    let why = match (code, message) {
        (Some(code), Some(message)) => format!("{}: {}", clean(code), clean(message)),
        (either, other) => clean_or(either.or(other).or(phrase), "no reason given"),
    };
    match status {
        429 => Error::ApiThrottled { what: capitalised(what) },
        _ if code == Some("SlowDown") => Error::ApiThrottled { what: capitalised(what) },
        500.. => Error::ApiFailed { what: capitalised(what), why },
        _ => Error::ManifestRefused { status, why },
    }
}

async fn start_of(mut body: SdkBody) -> String {
    let mut start = Vec::new();
    while let Some(Ok(frame)) = body.frame().await
        && start.len() < LONGEST_REFUSAL
    {
        start.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
    }
    start.truncate(LONGEST_REFUSAL);
    String::from_utf8_lossy(&start).into_owned()
}

/// The text of an S3 error's element: they have no attributes and no children.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    after.split_once(&format!("</{name}>")).map(|(text, _)| text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_told_from_encrypted_bytes() {
        for text in ["<html>", "{}", "Grüße\r\n\t", "x"] {
            assert!(is_text(text.as_bytes()), "{text}");
        }
        assert!(is_text(&"ä".as_bytes()[..1]), "a character cut by the end");
        assert!(!is_text(b"<\x00"));
        assert!(!is_text(b"<html>\xff\xfe"));
        assert!(!is_text(b"{\x1b}"));
    }

    #[test]
    fn a_refusal_is_read_from_s3_s_xml() {
        let xml =
            "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
        assert_eq!(element(xml, "Message"), Some("Request has expired"));
        assert_eq!(element(xml, "Code"), Some("AccessDenied"));
        assert_eq!(element("<Code></Code>", "Code"), None);
        assert_eq!(element("<Code>", "Code"), None);
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(xml in "\\PC{0,200}") {
            let _ = element(&xml, "Code");
        }

        // 512 random bytes are valid UTF-8 without control characters once in far more devices than there are.
        #[test]
        fn encrypted_bytes_are_no_text(bytes in proptest::collection::vec(any::<u8>(), SNIFFED)) {
            prop_assert!(!is_text(&bytes));
        }
    }
}
