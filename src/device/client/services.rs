//! What the client tells of a device's services and certificates: the documented JSON, which lines of its JVM may precede, and PEM.

use std::net::{IpAddr, SocketAddr};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::model::{CertificateArn, DeviceService, ServiceEndpoint, ServiceId, StoragePart};
use crate::safety::sanitize::sanitize;

const ACTIVE: &str = "ACTIVE";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceList {
    service_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceDescription {
    service_id: String,
    status: Option<ServiceStatus>,
    #[serde(default)]
    endpoints: Vec<EndpointAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceStatus {
    state: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EndpointAnswer {
    protocol: Option<String>,
    port: Option<u16>,
    host: Option<String>,
    certificate_association: Option<Association>,
    description: Option<String>,
    status: Option<ServiceStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Association {
    certificate_arn: Option<CertificateArn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CertificateList {
    certificates: Vec<ListedCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedCertificate {
    certificate_arn: CertificateArn,
}

/// Reads the output of `list-services`. `None` if it is another one. An id that can be none is passed over: nothing is asked about
/// it.
pub(in crate::device) fn listed_services(stdout: &str) -> Option<Vec<ServiceId>> {
    let list = document::<ServiceList>(stdout, |_| true)?;
    Some(list.service_ids.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Reads the output of `describe-service` about `id`. `None` if it is another one. An endpoint without TLS, or that names no
/// address, is passed over.
pub(in crate::device) fn described_service(stdout: &str, id: &ServiceId) -> Option<DeviceService> {
    let answer = document::<ServiceDescription>(stdout, |answer| answer.service_id == id.as_str())?;
    let state = answer.status.and_then(|status| status.state).unwrap_or_default();
    Some(DeviceService {
        state: sanitize(&state),
        endpoints: answer.endpoints.into_iter().filter_map(EndpointAnswer::read).collect(),
    })
}

/// Reads the output of `list-certificates`. `None` if it is another one.
pub(in crate::device) fn listed_certificates(stdout: &str) -> Option<Vec<CertificateArn>> {
    let list = document::<CertificateList>(stdout, |_| true)?;
    Some(list.certificates.into_iter().map(|certificate| certificate.certificate_arn).collect())
}

/// Reads the output of `get-certificate`: what is one, in PEM with its lines as they are usual, and nothing of what stands around
/// it. `None` if there is none, or one that no TLS library would take.
pub(in crate::device) fn shown_certificate(stdout: &str) -> Option<String> {
    let mut pem = String::new();
    let mut rest = stdout;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (body, after) = after.split_once(END)?;
        let body: String = body.split_ascii_whitespace().collect();
        let mut one = format!("{BEGIN}\n");
        for line in body.as_bytes().chunks(64) {
            one.push_str(std::str::from_utf8(line).ok()?);
            one.push('\n');
        }
        one.push_str(END);
        one.push('\n');
        let certificate = CertificateDer::from_pem_slice(one.as_bytes()).ok()?;
        RootCertStore::empty().add(certificate).ok()?;
        pem.push_str(&one);
        rest = after;
    }
    (!pem.is_empty()).then_some(pem)
}

impl EndpointAnswer {
    fn read(self) -> Option<ServiceEndpoint> {
        let is_tls = self.protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case("https"));
        let host: IpAddr = self.host.filter(|_| is_tls)?.parse().ok()?;
        let description = self.description.unwrap_or_default().to_ascii_lowercase();
        // Two pages of the guide word it differently; that for objects names buckets as well.
        let storage = match (description.contains("object"), description.contains("bucket")) {
            (true, _) => Some(StoragePart::Objects),
            (false, true) => Some(StoragePart::Buckets),
            (false, false) => None,
        };
        let endpoint = ServiceEndpoint {
            at: SocketAddr::new(host, self.port?),
            certificate: self.certificate_association.and_then(|association| association.certificate_arn),
            storage,
            is_active: self.status.and_then(|status| status.state).is_none_or(|state| state == ACTIVE),
        };
        endpoint.is_usable().then_some(endpoint)
    }
}

/// The first JSON document of this form in the text.
fn document<T: DeserializeOwned>(stdout: &str, is_it: impl Fn(&T) -> bool) -> Option<T> {
    stdout.match_indices('{').take(256).find_map(|(start, _)| {
        let mut stream = serde_json::Deserializer::from_str(&stdout[start..]).into_iter::<T>();
        stream.next()?.ok().filter(&is_it)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ARN: &str = "arn:aws:snowball-device:::certificate/6d955EXAMPLEdb71798146EXAMPLE3f0";

    fn id(id: &str) -> ServiceId {
        id.parse().unwrap()
    }

    /// As the guide shows it.
    const STORAGE: &str = r#"Picked up JAVA_TOOL_OPTIONS: { x }
{
  "ServiceId" : "s3-snow",
  "Autostart" : false,
  "Status" : { "State" : "ACTIVATING" },
  "ServiceCapacities" : [ { "Name" : "S3 Storage", "Unit" : "Byte", "Used" : 640303104, "Available" : 219571981512 } ],
  "Endpoints" : [ {
    "Protocol" : "https", "Port" : 443, "Host" : "192.0.2.123",
    "CertificateAssociation" : { "CertificateArn" : "arn:aws:snowball-device:::certificate/6d955EXAMPLEdb71798146EXAMPLE3f0" },
    "Description" : "s3-snow bucket API endpoint (for s3control SDK)",
    "DeviceId" : "JID-beta-207012320001-24-02-05-17-17-26",
    "Status" : { "State" : "ACTIVE" }
  }, {
    "Protocol" : "https", "Port" : 443, "Host" : "192.0.2.202",
    "CertificateAssociation" : { "CertificateArn" : "arn:aws:snowball-device:::certificate/6d955EXAMPLEdb71798146EXAMPLE3f0" },
    "Description" : "s3-snow object & bucket API endpoint (for s3api SDK)",
    "DeviceId" : "JID-beta-207012320001-24-02-05-17-17-26",
    "Status" : { "State" : "ACTIVATING" }
  } ]
}"#;

    #[test]
    fn storage_is_told_apart_by_its_descriptions_and_each_endpoint_has_its_state() {
        let service = described_service(STORAGE, &id("s3-snow")).unwrap();
        assert_eq!(service.state, "ACTIVATING");
        let endpoint = |last: u8, storage, is_active| ServiceEndpoint {
            at: SocketAddr::from(([192, 0, 2, last], 443)),
            certificate: Some(ARN.parse().unwrap()),
            storage: Some(storage),
            is_active,
        };
        let expected = [endpoint(123, StoragePart::Buckets, true), endpoint(202, StoragePart::Objects, false)];
        assert_eq!(service.endpoints, expected);
        assert_eq!(described_service(STORAGE, &id("s3")), None, "about another service");
    }

    #[test]
    fn only_what_answers_over_tls_at_an_address_is_an_endpoint() {
        let endpoints = |endpoints: &str| {
            let text = format!("{{\"ServiceId\":\"s3\",\"Endpoints\":[{endpoints}]}}");
            described_service(&text, &id("s3")).unwrap().endpoints.len()
        };
        assert_eq!(endpoints(r#"{"Protocol":"https","Port":8443,"Host":"192.0.2.1"}"#), 1);
        for other in [
            r#"{"Protocol":"http","Port":8080,"Host":"192.0.2.1"}"#,
            r#"{"Protocol":"https","Port":8443,"Host":"s3.example.com"}"#,
            r#"{"Protocol":"https","Port":8443,"Host":"0.0.0.0"}"#,
            r#"{"Protocol":"https","Port":8443,"Host":"192.0.2.1\nkey = x"}"#,
            r#"{"Protocol":"https","Host":"192.0.2.1"}"#,
        ] {
            assert_eq!(endpoints(other), 0, "{other}");
        }
        let option = r#"{"ServiceId":"s3","Endpoints":[{"Protocol":"https","Port":1,"Host":"192.0.2.1","CertificateAssociation":{"CertificateArn":"--profile"}}]}"#;
        assert_eq!(described_service(option, &id("s3")), None, "what can be no ARN is no documented answer");
    }

    #[test]
    fn the_lists_are_read() {
        let services = "{ \"ServiceIds\" : [ \"greengrass\", \"s3\", \"--all\", \"s3-snow\" ] }";
        let ids: Vec<String> = listed_services(services).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(ids, ["greengrass", "s3", "s3-snow"]);
        let certificates = format!(
            "x {{\n\"Certificates\" : [ {{ \"CertificateArn\" : \"{ARN}\", \"SubjectAlternativeNames\" : [ \"192.0.2.0\" ] }} ] }}"
        );
        assert_eq!(listed_certificates(&certificates).unwrap(), [ARN.parse().unwrap()]);
        for other in ["", "{}", "{\"ServiceIds\":1}", "{\"Certificates\":[{\"CertificateArn\":\"-x\"}]}"] {
            assert!(listed_services(other).is_none() && listed_certificates(other).is_none(), "{other}");
        }
    }

    #[test]
    fn of_a_certificate_s_text_only_the_certificate_is_taken() {
        let pem = include_str!("../../../tests/cloud/authorities/p256-sha512.pem");
        let body = pem.lines().filter(|line| !line.starts_with("---")).collect::<String>();
        let usual = shown_certificate(pem).unwrap();
        for text in [
            format!("Picked up x\n{pem}\nbye"),
            pem.replace('\n', "\r\n"),
            format!("{BEGIN}\n{body}\n{END}"),
            format!("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n{pem}"),
        ] {
            assert_eq!(shown_certificate(&text).as_deref(), Some(&*usual), "{text}");
        }
        assert_eq!(shown_certificate(&format!("{pem}{pem}")).unwrap(), usual.repeat(2));
        assert!(usual.lines().all(|line| line.len() <= 64));
        for other in [
            "",
            BEGIN,
            &format!("{BEGIN}\nAAAA\n{END}"),
            &format!("{BEGIN}\n{END}"),
            &pem.replacen("MII", "MI[", 1),
            &format!("{pem}{BEGIN}"),
        ] {
            assert_eq!(shown_certificate(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_output_makes_the_readers_panic(text in "[{}\\[\\]\":,A-Za-z \\n\\\\-]{0,200}") {
            let _ = (listed_services(&text), described_service(&text, &id("s3")), listed_certificates(&text));
            let _ = (shown_certificate(&text), shown_certificate(&format!("{BEGIN}{text}{END}")));
        }
    }
}
