//! awsQuery, as STS speaks it: a form with the operation's name among its members, XML as the answer.
//!
//! Facts from the API reference of STS ("Making query requests", GetCallerIdentity, common errors) and the service model
//! of botocore.

use serde_json::{Map, Value as Json};

use super::wire::Refusal;
use crate::sigv4::query_pairs;

/// What a request is.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// What an answer is.
pub(super) const XML: &str = "text/xml";

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const VERSION: &str = "2011-06-15";
const REQUEST: &str = "00000000-0000-4000-8000-000000000000";

/// The operation that the form names, or nothing if it is not one of this version of the API.
pub(super) fn action(body: &[u8]) -> String {
    let members = decode(body).unwrap_or_default();
    let text = |name| members.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    if text("Version") == VERSION { text("Action") } else { String::new() }
}

/// The form's members; `None` if it is not text.
pub(super) fn decode(body: &[u8]) -> Option<Map<String, Json>> {
    let form = std::str::from_utf8(body).ok()?;
    Some(query_pairs(form).into_iter().map(|(name, value)| (name, Json::from(value))).collect())
}

/// `value`, which has texts and structures as members, as the answer to `operation`.
pub(super) fn answer(operation: &str, value: &Json) -> String {
    let members = members(value);
    format!(
        "<{operation}Response xmlns=\"{NAMESPACE}\"><{operation}Result>{members}</{operation}Result>\
         <ResponseMetadata><RequestId>{REQUEST}</RequestId></ResponseMetadata></{operation}Response>"
    )
}

fn members(value: &Json) -> String {
    let member = |(name, value): (&String, &Json)| {
        let inner = value.as_str().map_or_else(|| members(value), escape);
        format!("<{name}>{inner}</{name}>")
    };
    value.as_object().into_iter().flatten().map(member).collect()
}

/// Status and XML of an error. The services with JSON call some of them by other names, and give them 400.
pub(super) fn refuse(refusal: &Refusal) -> (u16, String) {
    let (status, code) = match refusal.code {
        "UnrecognizedClientException" => (403, "InvalidClientTokenId"),
        // A signature that is too old is one that does not match: STS says so in its message alone.
        "InvalidSignatureException" | "RequestExpired" => (403, "SignatureDoesNotMatch"),
        "MissingAuthenticationTokenException" => (403, "MissingAuthenticationToken"),
        "IncompleteSignatureException" => (400, "IncompleteSignature"),
        "AccessDeniedException" => (403, "AccessDenied"),
        "ThrottlingException" => (400, "Throttling"),
        "UnknownOperationException" => (400, "InvalidAction"),
        code => (refusal.status, code),
    };
    let kind = if status < 500 { "Sender" } else { "Receiver" };
    let message = escape(&refusal.message);
    let xml = format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{kind}</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>{REQUEST}</RequestId></ErrorResponse>"
    );
    (status, xml)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_names_its_operation_in_one_version_of_the_api() {
        assert_eq!(action(b"Action=GetCallerIdentity&Version=2011-06-15"), "GetCallerIdentity");
        assert_eq!(action(b"Action=GetCallerIdentity&Version=2010-05-08"), "");
        assert_eq!(action(b"\xff"), "");
    }

    #[test]
    fn texts_are_xml_when_they_go_out() {
        let xml = answer("X", &serde_json::json!({"Arn": "a<b&c"}));
        assert!(xml.contains("<XResult><Arn>a&lt;b&amp;c</Arn></XResult>"), "{xml}");
        let (status, xml) = refuse(&Refusal::new(400, "UnrecognizedClientException", "who?"));
        assert!(status == 403 && xml.contains("<Code>InvalidClientTokenId</Code>"), "{xml}");
    }
}
