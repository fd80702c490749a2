//! The two wire protocols of the Snowball API, and STS's (`query`): how a request names its operation, how values and errors are written.
//!
//! Facts from the service model of botocore and from the sources of the Rust SDK; what neither fixes is marked
//! `[invented]` in the text it produces.

use ciborium::value::Value as Cbor;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::{Map, Value as Json, json};

use super::query;
use crate::{
    body::{Body, full},
    log::Protocol,
};

const TARGET: &str = "AWSIESnowballJobManagementService";
const JSON_TYPE: &str = "application/x-amz-json-1.1";
const CBOR_TYPE: &str = "application/cbor";
const CBOR_PROTOCOL: &str = "rpc-v2-cbor";

/// A value on its way out, before it is written in either protocol.
#[derive(Clone)]
pub(crate) enum Value {
    Bool(bool),
    Int(i64),
    Text(String),
    /// Seconds since 1970: a bare number in JSON, tag 1 in CBOR.
    Time(f64),
    List(Vec<Value>),
    Map(Vec<(&'static str, Value)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Value {
    fn json(&self) -> Json {
        match self {
            Self::Bool(value) => json!(value),
            Self::Int(value) => json!(value),
            Self::Text(value) => json!(value),
            Self::Time(value) => json!(value),
            Self::List(values) => values.iter().map(Self::json).collect(),
            Self::Map(members) => {
                members.iter().map(|(name, value)| ((*name).to_owned(), value.json())).collect::<Map<_, _>>().into()
            }
        }
    }

    fn cbor(&self) -> Cbor {
        match self {
            Self::Bool(value) => Cbor::from(*value),
            Self::Int(value) => Cbor::from(*value),
            Self::Text(value) => Cbor::from(value.as_str()),
            Self::Time(value) => Cbor::Tag(1, Box::new(Cbor::from(*value))),
            Self::List(values) => Cbor::Array(values.iter().map(Self::cbor).collect()),
            Self::Map(members) => {
                Cbor::Map(members.iter().map(|(name, value)| (Cbor::from(*name), value.cbor())).collect())
            }
        }
    }

    fn bytes(&self, protocol: Protocol, operation: &str) -> Vec<u8> {
        match protocol {
            Protocol::Query => query::answer(operation, &self.json()).into_bytes(),
            Protocol::Json => self.json().to_string().into_bytes(),
            Protocol::Cbor => {
                let mut bytes = Vec::new();
                ciborium::into_writer(&self.cbor(), &mut bytes).expect("a vector takes every byte");
                bytes
            }
        }
    }
}

/// An error as the service words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Modelled exceptions spell `Message`, the generic ones `message`.
    pub(crate) modelled: bool,
    pub(crate) resource_type: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: &str) -> Self {
        let message = format!("{message} [invented]");
        Self { status, code, message, modelled: false, resource_type: None }
    }

    /// One of the exceptions that the service model knows; 400 all of them.
    pub(crate) fn modelled(code: &'static str, message: &str) -> Self {
        Self { modelled: true, ..Self::new(400, code, message) }
    }
}

/// What a request wants, as far as its head says.
pub(crate) struct Call {
    pub(crate) protocol: Protocol,
    /// Empty in the query protocol, whose body names it.
    pub(crate) operation: String,
}

impl Call {
    /// Reads protocol and operation from path and headers; `None` if it speaks neither protocol.
    pub(crate) fn read(method: &str, path: &str, headers: &HeaderMap) -> Option<Self> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if method != "POST" {
            return None;
        }
        if header("content-type").split(';').next() == Some(query::FORM) {
            return (path == "/").then(|| Self { protocol: Protocol::Query, operation: String::new() });
        }
        if let Some(rest) = path.strip_prefix("/service/") {
            let operation = rest.strip_prefix(TARGET)?.strip_prefix("/operation/")?;
            let right = header("smithy-protocol") == CBOR_PROTOCOL && header("content-type") == CBOR_TYPE;
            return right.then(|| Self { protocol: Protocol::Cbor, operation: operation.to_owned() });
        }
        let operation = header("x-amz-target").strip_prefix(TARGET)?.strip_prefix('.')?;
        let right = path == "/" && header("content-type") == JSON_TYPE;
        right.then(|| Self { protocol: Protocol::Json, operation: operation.to_owned() })
    }
}

/// Reads a request's members; both protocols come out as JSON values. `None` if the body can't be read.
pub(crate) fn decode(protocol: Protocol, body: &[u8]) -> Option<Map<String, Json>> {
    if body.is_empty() {
        return Some(Map::new());
    }
    match protocol {
        Protocol::Json => serde_json::from_slice(body).ok(),
        Protocol::Query => query::decode(body),
        Protocol::Cbor => match ciborium::from_reader::<Cbor, _>(body).ok()?.deserialized::<Json>().ok()? {
            Json::Object(members) => Some(members),
            _ => None,
        },
    }
}

/// A successful answer.
pub(crate) fn answer(protocol: Protocol, operation: &str, value: &Value) -> Response<Body> {
    respond(protocol, 200, value.bytes(protocol, operation))
}

/// An answer that holds all of `value` and can't be decoded: one that lost its end in JSON or its beginning in
/// XML, a map that says to have one member more than it has in CBOR.
pub(crate) fn malformed(protocol: Protocol, operation: &str, value: &Value) -> Response<Body> {
    let mut bytes = value.bytes(protocol, operation);
    match protocol {
        Protocol::Json => drop(bytes.pop()),
        // Its end would not be missed by whoever reads element by element.
        Protocol::Query => bytes[0] = b' ',
        Protocol::Cbor => bytes[0] += 1,
    }
    respond(protocol, 200, bytes)
}

/// An error in the protocol's own shape.
pub(crate) fn refuse(protocol: Protocol, refusal: &Refusal) -> Response<Body> {
    if protocol == Protocol::Query {
        let (status, text) = query::refuse(refusal);
        return respond(protocol, status, text.into_bytes());
    }
    let kind = match protocol {
        Protocol::Query | Protocol::Json => refusal.code.to_owned(),
        Protocol::Cbor => format!("com.amazonaws.snowball#{}", refusal.code),
    };
    let message = if refusal.modelled { "Message" } else { "message" };
    let mut members = vec![("__type", Value::Text(kind)), (message, Value::Text(refusal.message.clone()))];
    if let Some(resource) = refusal.resource_type {
        members.push(("ResourceType", resource.into()));
    }
    respond(protocol, refusal.status, Value::Map(members).bytes(protocol, ""))
}

fn respond(protocol: Protocol, status: u16, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(full(bytes));
    *response.status_mut() = StatusCode::from_u16(status).expect("statuses are written in this crate");
    let headers = response.headers_mut();
    match protocol {
        Protocol::Json => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON_TYPE));
        }
        Protocol::Query => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(query::XML));
        }
        Protocol::Cbor => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(CBOR_TYPE));
            headers.insert("smithy-protocol", HeaderValue::from_static(CBOR_PROTOCOL));
        }
    }
    headers.insert("x-amzn-requestid", HeaderValue::from_static("00000000-0000-4000-8000-000000000000"));
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample() -> Value {
        Value::Map(vec![
            ("UnlockCode", "12345-abcde-56789-01234-abcde".into()),
            ("IsMaster", Value::Bool(false)),
            ("CreationDate", Value::Time(1_475_626_164.5)),
            ("List", Value::List(vec![Value::Int(-1)])),
        ])
    }

    #[test]
    fn a_time_is_a_bare_number_in_json_and_tag_1_in_cbor() {
        let json: Json = serde_json::from_slice(&sample().bytes(Protocol::Json, "")).unwrap();
        assert_eq!(json["CreationDate"], json!(1_475_626_164.5));
        let cbor: Cbor = ciborium::from_reader(&sample().bytes(Protocol::Cbor, "")[..]).unwrap();
        let members = cbor.into_map().unwrap();
        assert_eq!(members[2].1, Cbor::Tag(1, Box::new(Cbor::Float(1_475_626_164.5))));
    }

    #[test]
    fn both_protocols_are_read_into_the_same_members() {
        // {_ "JobId": "x", "MaxResults": 2}, of indefinite length as the Rust SDK writes it.
        let cbor = b"\xbf\x65JobId\x61x\x6aMaxResults\x02\xff";
        let json = br#"{"JobId":"x","MaxResults":2}"#;
        assert_eq!(decode(Protocol::Cbor, cbor), decode(Protocol::Json, json));
        assert!(decode(Protocol::Cbor, cbor).unwrap()["MaxResults"].is_u64());
        assert_eq!(decode(Protocol::Cbor, b"\x61x"), None);
        assert_eq!(decode(Protocol::Json, b"[]"), None);
    }

    #[test]
    fn a_malformed_body_holds_the_secret_and_cannot_be_read() {
        for protocol in [Protocol::Json, Protocol::Cbor] {
            let mut bytes = sample().bytes(protocol, "");
            match protocol {
                Protocol::Json | Protocol::Query => drop(bytes.pop()),
                Protocol::Cbor => bytes[0] += 1,
            }
            assert!(bytes.windows(29).any(|window| window == b"12345-abcde-56789-01234-abcde"));
            assert_eq!(decode(protocol, &bytes), None);
        }
    }

    #[test]
    fn what_speaks_neither_protocol_is_not_a_call() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-target", HeaderValue::from_static("AWSIESnowballJobManagementService.ListJobs"));
        assert!(Call::read("POST", "/", &headers).is_none());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON_TYPE));
        assert!(Call::read("GET", "/", &headers).is_none());
        assert_eq!(Call::read("POST", "/", &headers).unwrap().operation, "ListJobs");
        let path = "/service/AWSIESnowballJobManagementService/operation/ListJobs";
        assert!(Call::read("POST", path, &headers).is_none());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CBOR_TYPE));
        headers.insert("smithy-protocol", HeaderValue::from_static(CBOR_PROTOCOL));
        assert!(matches!(Call::read("POST", path, &headers).unwrap().protocol, Protocol::Cbor));
    }
}
