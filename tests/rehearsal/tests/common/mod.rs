//! A small HTTPS client of the tests' own, so that no SDK stands between them and the wire.

#![allow(clippy::unwrap_used)]
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::{
    fs,
    io::{BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use snow_rehearsal::{
    Protocol, Rehearsal,
    sigv4::{self, Keys, Parts, Scope},
};
use time::OffsetDateTime;
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether the server closed TLS in order.
    pub(crate) orderly: bool,
}

impl Reply {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body of either protocol as JSON; tags are dropped.
    pub(crate) fn value(&self, protocol: Protocol) -> serde_json::Value {
        match protocol {
            Protocol::Json => self.json(),
            Protocol::Cbor => untagged(ciborium::from_reader(&self.body[..]).unwrap()).deserialized().unwrap(),
            Protocol::Query => panic!("XML, to be read as text"),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn untagged(value: ciborium::Value) -> ciborium::Value {
    use ciborium::Value::{Array, Map, Tag};
    match value {
        Tag(_, inner) => untagged(*inner),
        Array(values) => Array(values.into_iter().map(untagged).collect()),
        Map(members) => Map(members.into_iter().map(|(name, value)| (name, untagged(value))).collect()),
        other => other,
    }
}

/// The client's side of TLS: trusts the rehearsal's authority, speaks HTTP/1.1.
pub(crate) fn client_config(rehearsal: &Rehearsal) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let pem = fs::read(rehearsal.ca_bundle()).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// Sends one request over HTTP/1.1 and reads until the server closes.
pub(crate) fn send(
    rehearsal: &Rehearsal,
    url: &str,
    method: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Option<Reply> {
    let rest = url.strip_prefix("https://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let config = client_config(rehearsal);
    let host = authority.split(':').next().unwrap().to_owned();
    let tls = ClientConnection::new(Arc::new(config), ServerName::try_from(host).unwrap()).unwrap();
    let mut stream = StreamOwned::new(tls, TcpStream::connect(authority).unwrap());

    let path = if path.is_empty() { "/" } else { path };
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("content-length: {}\r\n\r\n", body.len());
    stream.write_all(request.as_bytes()).unwrap();
    stream.write_all(body).unwrap();

    let mut bytes = Vec::new();
    let orderly = BufReader::new(stream).read_to_end(&mut bytes).is_ok();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, head, body: bytes[end + 4..].to_vec(), orderly })
}

/// Calls an operation, signed with these keys at this moment.
pub(crate) fn call_as(
    rehearsal: &Rehearsal,
    protocol: Protocol,
    operation: &str,
    input: &serde_json::Value,
    keys: &Keys,
    at: OffsetDateTime,
) -> Option<Reply> {
    const SERVICE: &str = "AWSIESnowballJobManagementService";
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let endpoint = rehearsal.endpoint_url();
    let (path, body, mut headers) = match protocol {
        Protocol::Json => (
            "/".to_owned(),
            input.to_string().into_bytes(),
            vec![
                pair("content-type", "application/x-amz-json-1.1"),
                pair("x-amz-target", &format!("{SERVICE}.{operation}")),
            ],
        ),
        Protocol::Cbor => {
            let mut body = Vec::new();
            ciborium::into_writer(input, &mut body).unwrap();
            let headers = vec![
                pair("content-type", "application/cbor"),
                pair("accept", "application/cbor"),
                pair("smithy-protocol", "rpc-v2-cbor"),
            ];
            (format!("/service/{SERVICE}/operation/{operation}"), body, headers)
        }
        Protocol::Query => {
            let body = format!("Action={operation}&Version=2011-06-15").into_bytes();
            ("/".to_owned(), body, vec![pair("content-type", "application/x-www-form-urlencoded")])
        }
    };
    let stamp = sigv4::stamp(at);
    headers.push(pair("x-amz-date", &stamp));
    headers.extend(keys.session_token.as_deref().map(|token| pair("x-amz-security-token", token)));
    let mut signed = headers.clone();
    signed.push(pair("host", endpoint.strip_prefix("https://").unwrap()));
    signed.sort();
    let names: Vec<&str> = signed.iter().map(|(name, _)| name.as_str()).collect();
    let service = if protocol == Protocol::Query { "sts" } else { "snowball" }.to_owned();
    let scope = Scope { day: stamp[..8].to_owned(), region: rehearsal.region().to_owned(), service };
    let payload = sigv4::sha256_hex(&body);
    let parts = Parts { method: "POST", path: &path, query: "", headers: &signed, payload: &payload };
    let authorization = format!(
        "{} Credential={}/{}, SignedHeaders={}, Signature={}",
        sigv4::ALGORITHM,
        keys.access_key,
        scope.text(),
        names.join(";"),
        parts.sign(&keys.secret, &stamp, &scope)
    );
    headers.push(pair("authorization", &authorization));
    send(rehearsal, &format!("{endpoint}{path}"), "POST", &headers, &body)
}

/// The caller's keys.
pub(crate) fn keys(rehearsal: &Rehearsal) -> Keys {
    Keys {
        access_key: rehearsal.access_key().to_owned(),
        secret: rehearsal.secret_key().to_owned(),
        session_token: rehearsal.session_token().map(str::to_owned),
    }
}

/// Calls an operation the way it should be called.
pub(crate) fn call(rehearsal: &Rehearsal, protocol: Protocol, operation: &str, input: &serde_json::Value) -> Reply {
    call_as(rehearsal, protocol, operation, input, &keys(rehearsal), OffsetDateTime::now_utc()).unwrap()
}

/// Downloads what an address names.
pub(crate) fn get(rehearsal: &Rehearsal, url: &str, headers: &[(&str, &str)]) -> Reply {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    send(rehearsal, url, "GET", &headers, b"").unwrap()
}
