//! The bucket's stand-in: manifests under presigned URLs.
//!
//! That `ManifestURI` is a presigned S3 address for `<JobId>_manifest.bin`, good for 60 minutes, is documented; whether
//! the object carries an `ETag` or a checksum is not, so both can be switched off. Errors are S3's XML.

use std::{future::pending, io, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::{
    Request as HttpRequest, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderMap, HeaderName, HeaderValue},
    http::request,
};
use ring::digest;
use time::OffsetDateTime;

use crate::{
    body::{Body, fed, full},
    faults::BucketFault,
    log::{Request, Server},
    range::{self, Range},
    server::{host, version},
    sigv4::{self, Parts, Scope, UNSIGNED_PAYLOAD},
    world::{World, lock},
};

/// Signs an address for `path` that a `GET` may use for `expires` seconds.
pub(crate) fn presign(world: &World, path: &str, expires: u32) -> String {
    let host = world.bucket.get().expect("the bucket listens before the API answers");
    let stamp = sigv4::stamp(world.api_now());
    let scope = Scope { day: stamp[..8].to_owned(), region: world.region.clone(), service: "s3".to_owned() };
    let keys = &world.bucket_keys;
    let credential = sigv4::encode(&format!("{}/{}", keys.access_key, scope.text()));
    let mut query = format!(
        "X-Amz-Algorithm={}&X-Amz-Credential={credential}&X-Amz-Date={stamp}&X-Amz-Expires={expires}\
         &X-Amz-SignedHeaders=host",
        sigv4::ALGORITHM
    );
    if let Some(token) = keys.session_token.as_deref().filter(|_| world.settings().session_token) {
        query = format!("{query}&X-Amz-Security-Token={}", sigv4::encode(token));
    }
    let headers = [("host".to_owned(), host.clone())];
    let parts = Parts { method: "GET", path, query: &query, headers: &headers, payload: UNSIGNED_PAYLOAD };
    let signature = parts.sign(&keys.secret, &stamp, &scope);
    format!("https://{host}{path}?{query}&X-Amz-Signature={signature}")
}

/// Answers one request, or ends its connection with an error.
pub(crate) async fn handle(world: Arc<World>, request: HttpRequest<Incoming>) -> io::Result<Response<Body>> {
    let (head, _) = request.into_parts();
    let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut entry = Request {
        at: OffsetDateTime::now_utc(),
        server: Server::Bucket,
        operation: head.method.to_string(),
        job_id: head.uri.path().trim_start_matches('/').strip_suffix("_manifest.bin").map(str::to_owned),
        protocol: None,
        http: version(head.version),
        identity: None,
        claim: None,
        status: 0,
        error: None,
        authorization: head.headers.contains_key(header::AUTHORIZATION),
        range: text(header::RANGE),
        user_agent: text(header::USER_AGENT),
        role: None,
    };
    tokio::time::sleep(world.settings().latency).await;
    let response = match serve(&world, &head, &mut entry).await {
        Ok(Some(response)) => response,
        Ok(None) => {
            world.record(entry);
            return pending().await;
        }
        Err(refusal) => {
            entry.error = Some(refusal.code.to_owned());
            refusal.response()
        }
    };
    entry.status = response.status().as_u16();
    entry.at = OffsetDateTime::now_utc();
    world.record(entry);
    Ok(response)
}

/// What S3 says no with.
struct Refusal {
    status: u16,
    code: &'static str,
    message: &'static str,
    /// More elements of the XML, whole.
    more: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message, more: String::new(), headers: Vec::new() }
    }

    fn response(self) -> Response<Body> {
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>{}\
             <RequestId>REHEARSAL0000000</RequestId><HostId>[invented]</HostId></Error>",
            self.code, self.message, self.more
        );
        let mut response = Response::new(full(xml));
        *response.status_mut() = StatusCode::from_u16(self.status).expect("statuses are written in this file");
        response.headers_mut().extend(self.headers);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        response
    }
}

/// `None` stands for no answer at all.
async fn serve(world: &World, head: &request::Parts, entry: &mut Request) -> Result<Option<Response<Body>>, Refusal> {
    entry.identity = Some(verify(world, head)?);
    let id = entry.job_id.clone().ok_or_else(no_such_key)?;
    let manifest = lock(&world.account).find(&id).map(|job| job.pair.manifest.clone()).ok_or_else(no_such_key)?;
    let fault = lock(&world.bucket_faults).strike(|job| job.is_none() || *job == entry.job_id);
    let settings = world.settings();
    let mut headers = HeaderMap::new();
    if settings.etag {
        headers.insert(header::ETAG, value(&format!("\"{}\"", &sigv4::sha256_hex(&manifest)[..32])));
    }
    if settings.checksum {
        let digest = STANDARD.encode(digest::digest(&digest::SHA256, &manifest));
        headers.insert("x-amz-checksum-sha256", value(&digest));
    }
    match fault {
        None => {}
        Some(BucketFault::Hang) => return Ok(None),
        Some(BucketFault::Delay(pause)) => tokio::time::sleep(pause).await,
        Some(fault) => return faulty(&fault, manifest, headers, head).map(Some),
    }
    let wanted = head.headers.get(header::IF_MATCH);
    if wanted.is_some_and(|wanted| headers.get(header::ETAG) != Some(wanted)) {
        let message = "At least one of the pre-conditions you specified did not hold";
        return Err(Refusal::new(412, "PreconditionFailed", message));
    }
    // Checksums are of whole objects: S3 sends none with a part.
    let asked = entry.range.as_deref().map_or(Range::Whole, |text| range::parse(text, manifest.len() as u64));
    match asked {
        Range::Whole => Ok(Some(object(200, headers, full(manifest)))),
        Range::Part { first, last } => {
            headers.remove("x-amz-checksum-sha256");
            let of = manifest.len();
            headers.insert(header::CONTENT_RANGE, value(&format!("bytes {first}-{last}/{of}")));
            let part = manifest.slice(first as usize..=last as usize);
            Ok(Some(object(206, headers, full(part))))
        }
        Range::Outside => {
            let mut refusal = Refusal::new(416, "InvalidRange", "The requested range is not satisfiable");
            refusal.more = format!("<ActualObjectSize>{}</ActualObjectSize>", manifest.len());
            let range = value(&format!("bytes */{}", manifest.len()));
            refusal.headers.push((header::CONTENT_RANGE, range));
            Err(refusal)
        }
    }
}

/// Checks the signature in the address and gives the key that made it.
fn verify(world: &World, head: &request::Parts) -> Result<String, Refusal> {
    let pairs = sigv4::query_pairs(head.uri.query().unwrap_or_default());
    let query = |name: &str| pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    if query("X-Amz-Algorithm").is_none() {
        return Err(Refusal::new(403, "AccessDenied", "Access Denied"));
    }
    if head.headers.contains_key(header::AUTHORIZATION) {
        let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query \
                       string parameter or the Authorization header should be specified";
        return Err(Refusal::new(400, "InvalidArgument", message));
    }
    let malformed = || {
        let message = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                       X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.";
        Refusal::new(400, "AuthorizationQueryParametersError", message)
    };
    let stamp = query("X-Amz-Date").ok_or_else(malformed)?;
    let at = sigv4::parse_stamp(stamp).ok_or_else(malformed)?;
    let expires: u32 = query("X-Amz-Expires").and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
    let (key, scope) = query("X-Amz-Credential").and_then(sigv4::parse_credential).ok_or_else(malformed)?;
    let signature = query("X-Amz-Signature").ok_or_else(malformed)?;

    let now = world.bucket_now();
    if now > at + Duration::from_secs(expires.into()) {
        let mut refusal = Refusal::new(403, "AccessDenied", "Request has expired");
        refusal.more = format!(
            "<X-Amz-Expires>{expires}</X-Amz-Expires><Expires>{}</Expires><ServerTime>{}</ServerTime>",
            sigv4::stamp(at + Duration::from_secs(expires.into())),
            sigv4::stamp(now)
        );
        return Err(refusal);
    }
    let keys = &world.bucket_keys;
    if key != keys.access_key {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        return Err(Refusal::new(403, "InvalidAccessKeyId", message));
    }
    let host = host(head);
    let signed = query("X-Amz-SignedHeaders").ok_or_else(malformed)?.split(';').map(|name| {
        let text = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let value = if name == "host" { &host } else { text(name).unwrap_or_default() };
        (name.to_owned(), value.to_owned())
    });
    let unsigned = head.uri.query().unwrap_or_default().split('&');
    let unsigned: Vec<&str> = unsigned.filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
    let headers: Vec<_> = signed.collect();
    let parts = Parts {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: &unsigned.join("&"),
        headers: &headers,
        payload: UNSIGNED_PAYLOAD,
    };
    if scope.service == "s3" && parts.verify(signature, &keys.secret, stamp, &scope) {
        return Ok(key);
    }
    let message = "The request signature we calculated does not match the signature you provided. Check your key and \
                   signing method.";
    Err(Refusal::new(403, "SignatureDoesNotMatch", message))
}

/// The answers that look like success, or nearly.
fn faulty(
    fault: &BucketFault,
    manifest: Bytes,
    headers: HeaderMap,
    head: &request::Parts,
) -> Result<Response<Body>, Refusal> {
    let size = manifest.len();
    Ok(match fault {
        BucketFault::Unavailable => {
            return Err(Refusal::new(503, "SlowDown", "Please reduce your request rate."));
        }
        BucketFault::Truncated => {
            let pieces = vec![manifest.slice(..size / 2)];
            let mut response = object(200, headers, feed(pieces, Duration::ZERO, true));
            response.headers_mut().insert(header::CONTENT_LENGTH, size.into());
            response
        }
        BucketFault::WrongLength => {
            let mut response = object(200, headers, feed(vec![manifest], Duration::ZERO, false));
            response.headers_mut().insert(header::CONTENT_LENGTH, (size + 1000).into());
            response
        }
        BucketFault::Damaged => {
            let mut damaged = manifest.to_vec();
            let middle = size / 2;
            damaged.iter_mut().skip(middle).take(16).for_each(|byte| *byte ^= 0xff);
            object(200, headers, full(damaged))
        }
        BucketFault::Html => {
            let page = "<!DOCTYPE html><html><head><title>Hotel Guest Wi-Fi</title></head><body>\
                        Please accept our terms. [invented]</body></html>\n";
            let mut response = Response::new(full(page));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
            response
        }
        BucketFault::Empty => object(200, HeaderMap::new(), full(Bytes::new())),
        BucketFault::Text => object(200, HeaderMap::new(), full("All of this is text. [invented]\n".repeat(size / 32))),
        BucketFault::Drip(pause) => {
            let piece = size.div_ceil(16).max(1);
            let pieces = (0..size).step_by(piece).map(|at| manifest.slice(at..size.min(at + piece)));
            let mut response = object(200, headers, feed(pieces.collect(), *pause, false));
            response.headers_mut().insert(header::CONTENT_LENGTH, size.into());
            response
        }
        BucketFault::Redirect(to) => {
            let elsewhere = host(head).replace("127.0.0.1", "localhost");
            let same = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            let to = to.clone().unwrap_or_else(|| format!("https://{elsewhere}{same}"));
            let mut refusal = Refusal::new(307, "TemporaryRedirect", "Please re-send this request elsewhere.");
            refusal.headers.push((header::LOCATION, value(&to)));
            return Err(refusal);
        }
        BucketFault::TooLarge(bytes) => {
            let (whole, rest) = (*bytes / MEBIBYTE, *bytes % MEBIBYTE);
            let block = Bytes::from(manifest.iter().copied().cycle().take(MEBIBYTE as usize).collect::<Vec<_>>());
            let mut pieces = vec![block.clone(); usize::try_from(whole).unwrap_or(usize::MAX)];
            pieces.push(block.slice(..rest as usize));
            let mut response = object(200, HeaderMap::new(), feed(pieces, Duration::ZERO, false));
            response.headers_mut().insert(header::CONTENT_LENGTH, (*bytes).into());
            response
        }
        BucketFault::Delay(_) | BucketFault::Hang => object(200, headers, full(manifest)),
    })
}

const MEBIBYTE: u64 = 1 << 20;

/// A body that comes piece by piece, and may break off at its end.
fn feed(pieces: Vec<Bytes>, pause: Duration, breaks: bool) -> Body {
    let (mut sender, body) = fed();
    tokio::spawn(async move {
        for piece in pieces {
            tokio::time::sleep(pause).await;
            // The reader has gone: nobody is left to feed.
            if sender.send_data(piece).await.is_err() {
                return;
            }
        }
        if breaks {
            // What was sent is to arrive first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            sender.abort(io::Error::other("cut off as scripted"));
        }
    });
    body
}

fn object(status: u16, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("statuses are written in this file");
    *response.headers_mut() = headers;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("binary/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("made of visible ASCII")
}

fn no_such_key() -> Refusal {
    Refusal::new(404, "NoSuchKey", "The specified key does not exist.")
}
