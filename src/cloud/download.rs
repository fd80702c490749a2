//! The download of the manifest from its presigned URL.
//!
//! A plain GET by the same HTTP client: no AWS credentials, no cookies, no redirects. What arrives goes to the
//! caller's writer as it comes, except its first 512 bytes, which are looked at before. One that breaks off is resumed
//! where it broke, as long as the object is the same by its `ETag`; else it begins anew.

use std::io;
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};

use super::Sink;
use super::causes::passes;
use super::failure::CallContext;
use super::http::Https;
use super::logged::millis;
use super::text::capitalised;
use super::wait::Wait;
use crate::error::{Error, longer_than};
use crate::model::ManifestUrl;
use crate::safety::sanitize::{phrase, phrase_or};

/// Bytes that decide whether something is text. Encrypted bytes begin with `<`, `{` or `[` once in a hundred devices.
const SNIFFED: usize = 512;

/// Bytes read of a refusal.
const MAX_REFUSAL: usize = 8 * 1024;

/// How long a download may bring less than [`MIN_RATE`] before the connection counts as dead, at most.
const SLOW: Duration = Duration::from_secs(20);

/// Bytes a second. A satellite telephone brings ten times as much.
const MIN_RATE: u64 = 256;

/// A manifest on its way.
pub(super) struct Download<'a> {
    http: Https,
    limit: u64,
    setting: &'a CallContext,
    wait: &'a Wait,
    sink: &'a mut dyn Sink,
    received: u64,
    /// The first bytes, held back until it is known that they are no text.
    start: Vec<u8>,
    /// Length of the whole, where the bucket tells it.
    length: Option<u64>,
    /// SHA-256 of the whole, where the bucket tells it. A checksum of parts ("…-3") can't be compared.
    sha256: Option<(Vec<u8>, Sha256)>,
    /// By which a part that comes later is known to be of the same object.
    etag: Option<String>,
}

/// Why an attempt did not bring the whole manifest.
pub(super) enum AttemptFailure {
    /// The same address may bring it.
    Passing(Error),
    /// A new address may bring it: this one has expired, or is said not to be right.
    Address(Error),
    /// Another download may bring it undamaged.
    Damaged(Error),
    /// Nothing will.
    Failed(Error),
}

impl<'a> Download<'a> {
    pub(super) fn new(
        http: Https,
        limit: u64,
        setting: &'a CallContext,
        wait: &'a Wait,
        sink: &'a mut dyn Sink,
    ) -> Self {
        let start = Vec::with_capacity(SNIFFED);
        Self { http, limit, setting, wait, sink, received: 0, start, length: None, sha256: None, etag: None }
    }

    /// From here on over connections of another client.
    pub(super) fn go_over(&mut self, http: Https) {
        self.http = http;
    }

    /// Bytes that need not come again.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Forgets what has come.
    ///
    /// # Errors
    /// [`Error::Disk`] if the sink can't be emptied.
    pub(super) fn restart(&mut self) -> Result<(), Error> {
        self.sink.restart().map_err(sink_failed)?;
        (self.received, self.length, self.sha256, self.etag) = (0, None, None, None);
        self.start.clear();
        Ok(())
    }

    /// One request: for the whole, or for what is missing. Gives the length of the whole when all has come.
    ///
    /// # Errors
    /// The `Manifest…` family, [`Error::NotAManifest`], [`Error::Disk`] if the sink fails (its path is "the manifest"),
    /// and the network's; with what can be done about it.
    pub(super) async fn attempt(&mut self, url: &ManifestUrl) -> Result<u64, AttemptFailure> {
        let what = format!("the manifest's bucket at {}", phrase(url.host()));
        let before = self.wait.begin(what.clone());
        if self.received > 0 && self.etag.is_none() {
            self.restart().map_err(AttemptFailure::Failed)?;
        }
        let started = Instant::now();
        let request = self.request(url).map_err(AttemptFailure::Failed)?;
        let response = self.http.call(request).await.map_err(|error| {
            let passes = passes(&error);
            let error = self.setting.unanswered(&what, &error, self.wait);
            if passes { AttemptFailure::Passing(error) } else { AttemptFailure::Failed(error) }
        })?;
        let status = response.status().as_u16();
        tracing::info!(
            host = phrase(url.host()),
            status,
            from = self.received,
            millis = millis(started),
            "the bucket has answered"
        );
        match status {
            200 => self.begin(&response)?,
            206 if self.continues(&response) => {}
            // Another object has taken its place, or what has come was more than there is.
            206 | 412 | 416 if self.received > 0 => {
                let cut = self.cut();
                self.restart().map_err(AttemptFailure::Failed)?;
                return Err(AttemptFailure::Passing(cut));
            }
            _ => return Err(refused(status, url.host(), &what, response).await),
        }
        let bytes = self.receive(response.into_body()).await?;
        tracing::info!(bytes, millis = millis(started), "the manifest has arrived");
        // The code may still be on its way.
        self.wait.begin(before);
        Ok(bytes)
    }

    fn request(&self, url: &ManifestUrl) -> Result<HttpRequest, Error> {
        let mut request = url
            .expose(|text| HttpRequest::get(text))
            .map_err(|_| Error::ManifestUrlBad { why: "is not an address".to_owned() })?;
        let headers = request.headers_mut();
        headers.insert("user-agent", concat!("snow-onboard/", env!("CARGO_PKG_VERSION")));
        if let Some(etag) = self.etag.clone().filter(|_| self.received > 0) {
            headers.insert("range", format!("bytes={}-", self.received));
            // Else nothing (412), rather than a part of another object.
            headers.insert("if-match", etag);
        }
        Ok(request)
    }

    /// The whole is about to come, whatever has come before.
    fn begin(&mut self, response: &HttpResponse) -> Result<(), AttemptFailure> {
        if self.received > 0 {
            self.restart().map_err(AttemptFailure::Failed)?;
        }
        let header = |name: &str| response.headers().get(name);
        let sha256 = header("x-amz-checksum-sha256")
            .and_then(|text| aws_smithy_types::base64::decode(text).ok())
            .filter(|digest| digest.len() == 32);
        self.sha256 = sha256.map(|digest| (digest, Sha256::new()));
        self.length = header("content-length").and_then(|text| text.parse().ok());
        // A weak one (`W/…`) may stand for other bytes. One that no header can carry back is of no use.
        self.etag = header("etag").filter(|etag| etag.starts_with('"') && etag.is_ascii()).map(str::to_owned);
        if self.length.is_some_and(|length| length > self.limit) {
            return Err(AttemptFailure::Failed(too_large(self.limit)));
        }
        Ok(())
    }

    /// Whether a part begins where the last one ended, in the same object.
    fn continues(&self, response: &HttpResponse) -> bool {
        let header = |name: &str| response.headers().get(name);
        let range = header("content-range").and_then(|text| text.strip_prefix("bytes "));
        let Some((span, whole)) = range.and_then(|range| range.split_once('/')) else { return false };
        let first = span.split_once('-').and_then(|(first, _)| first.trim().parse().ok());
        let same_length = self.length.is_none_or(|length| whole.trim().parse().is_ok_and(|whole: u64| whole == length));
        let same_object = header("etag").is_none_or(|etag| self.etag.as_deref() == Some(etag));
        self.received > 0 && first == Some(self.received) && same_length && same_object
    }

    async fn receive(&mut self, mut body: SdkBody) -> Result<u64, AttemptFailure> {
        let patience = SLOW.min(self.wait.limit() / 4);
        let (mut since, mut recent) = (Instant::now(), 0);
        loop {
            let frame = tokio::time::timeout(patience.saturating_sub(since.elapsed()), body.frame()).await;
            match frame {
                Ok(None) => return self.finish(),
                // Whatever broke the connection: what the person needs to know is how far it came.
                Ok(Some(Err(_))) => return Err(AttemptFailure::Passing(self.cut())),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        recent += data.len() as u64;
                        self.take(&data)?;
                        self.wait.received(self.received, self.length);
                    }
                }
                Err(_) => {}
            }
            if since.elapsed() >= patience {
                if recent < MIN_RATE * patience.as_secs().max(1) {
                    return Err(AttemptFailure::Passing(self.slow(patience)));
                }
                (since, recent) = (Instant::now(), 0);
            }
        }
    }

    fn take(&mut self, mut data: &[u8]) -> Result<(), AttemptFailure> {
        self.received += data.len() as u64;
        if self.received > self.limit {
            return Err(AttemptFailure::Failed(too_large(self.limit)));
        }
        if let Some((_, hasher)) = &mut self.sha256 {
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
        self.sink.write_all(data).map_err(|error| AttemptFailure::Failed(sink_failed(error)))
    }

    fn finish(&mut self) -> Result<u64, AttemptFailure> {
        if self.length.is_some_and(|length| length > self.received) {
            return Err(AttemptFailure::Passing(self.cut()));
        }
        if self.received == 0 {
            return Err(AttemptFailure::Failed(Error::NotAManifest { why: "it is empty".to_owned() }));
        }
        if self.start.len() < SNIFFED {
            self.release_start()?;
        }
        let damaged = |why: &str| Err(AttemptFailure::Damaged(Error::ManifestDamaged { why: why.to_owned() }));
        if self.length.is_some_and(|length| length != self.received) {
            return damaged("it is longer than the bucket says");
        }
        if let Some((digest, hasher)) = self.sha256.take()
            && hasher.finalize()[..] != digest[..]
        {
            return damaged("its SHA-256 is not the one that the bucket names");
        }
        self.sink.flush().map_err(|error| AttemptFailure::Failed(sink_failed(error)))?;
        Ok(self.received)
    }

    fn release_start(&mut self) -> Result<(), AttemptFailure> {
        if is_text(&self.start) {
            let why = "it is text, not encrypted data".to_owned();
            return Err(AttemptFailure::Failed(Error::NotAManifest { why }));
        }
        self.sink.write_all(&self.start).map_err(|error| AttemptFailure::Failed(sink_failed(error)))
    }

    fn cut(&self) -> Error {
        Error::ManifestCut { got: self.received, expected: self.expected() }
    }

    fn slow(&self, patience: Duration) -> Error {
        let (seconds, longer) = (patience.as_secs().max(1), longer_than(self.wait.limit(), 10));
        Error::ManifestSlow { got: self.received, expected: self.expected(), seconds, longer }
    }

    fn expected(&self) -> String {
        self.length.map_or_else(|| "an unknown number of".to_owned(), |length| length.to_string())
    }
}

fn sink_failed(error: io::Error) -> Error {
    Error::Disk { what: "Writing".to_owned(), path: "the manifest".to_owned(), why: error.into() }
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
async fn refused(status: u16, asked: &str, what: &str, response: HttpResponse) -> AttemptFailure {
    if (300..400).contains(&status) {
        let target = response.headers().get("location").and_then(|text| text.parse::<http::Uri>().ok());
        return AttemptFailure::Failed(match target.as_ref().and_then(http::Uri::host) {
            Some(host) if host.eq_ignore_ascii_case(asked) => Error::ManifestRefused {
                status,
                why: "it redirects to another address, which is not followed".to_owned(),
            },
            Some(host) => Error::ManifestRedirected { host: phrase(host) },
            None => Error::ManifestRefused { status, why: "it redirects without saying where to".to_owned() },
        });
    }
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let text = start_of(response.into_body()).await;
    let (code, message) = (element(&text, "Code"), element(&text, "Message"));
    let why = match (code, message) {
        (Some(code), Some(message)) => format!("{}: {}", phrase(code), phrase(message)),
        (either, other) => phrase_or(either.or(other).or(reason), "no reason given"),
    };
    match status {
        429 => AttemptFailure::Passing(Error::ApiThrottled { what: capitalised(what) }),
        _ if code == Some("SlowDown") => AttemptFailure::Passing(Error::ApiThrottled { what: capitalised(what) }),
        500.. => AttemptFailure::Passing(Error::ApiFailed { what: capitalised(what), why }),
        // What S3 says of an address that has expired, or was signed with what is no longer valid.
        401 | 403 => AttemptFailure::Address(Error::ManifestRefused { status, why }),
        _ if matches!(code, Some("ExpiredToken" | "InvalidToken" | "RequestTimeTooSkewed")) => {
            AttemptFailure::Address(Error::ManifestRefused { status, why })
        }
        _ => AttemptFailure::Failed(Error::ManifestRefused { status, why }),
    }
}

async fn start_of(mut body: SdkBody) -> String {
    let mut start = Vec::new();
    while let Some(Ok(frame)) = body.frame().await
        && start.len() < MAX_REFUSAL
    {
        start.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
    }
    start.truncate(MAX_REFUSAL);
    String::from_utf8_lossy(&start).into_owned()
}

/// The text of an S3 error's element: they have no attributes and no children.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    after.split_once(&format!("</{name}>")).map(|(text, _)| text.trim()).filter(|text| !text.is_empty())
}

fn too_large(limit: u64) -> Error {
    Error::ManifestTooLarge { limit, more: limit.saturating_mul(4) }
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
