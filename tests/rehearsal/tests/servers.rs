//! API and bucket, spoken to over the wire in both protocols.

#![allow(clippy::unwrap_used)]

mod common;

use common::{call, call_as, get, keys};
use serde_json::json;
use snow_rehearsal::{BucketFault, Fault, Job, Operation, Protocol, Rehearsal, Server, Times, sigv4::Keys};
use time::{Duration, OffsetDateTime};

const BOTH: [Protocol; 2] = [Protocol::Json, Protocol::Cbor];

fn one_job() -> Rehearsal {
    Rehearsal::builder().start().unwrap()
}

fn manifest_address(rehearsal: &Rehearsal) -> String {
    let reply = call(rehearsal, Protocol::Json, "GetJobManifest", &json!({"JobId": rehearsal.job().id()}));
    reply.json()["ManifestURI"].as_str().unwrap().to_owned()
}

#[test]
fn a_job_is_described_and_its_pair_handed_out_in_both_protocols() {
    let rehearsal = one_job();
    let job = rehearsal.job();
    for protocol in BOTH {
        let reply = call(&rehearsal, protocol, "DescribeJob", &json!({"JobId": job.id()}));
        assert_eq!(reply.status, 200);
        let value = reply.value(protocol);
        assert_eq!(value["JobMetadata"]["JobId"], job.id());
        assert_eq!(value["JobMetadata"]["JobState"], "WithCustomer");
        assert!(value["JobMetadata"]["CreationDate"].as_f64().unwrap() > 1.6e9);
        let shipment = &value["JobMetadata"]["ShippingDetails"]["OutboundShipment"];
        assert_eq!(shipment["TrackingNumber"], "1Z999AA10123456784");

        let code = call(&rehearsal, protocol, "GetJobUnlockCode", &json!({"JobId": job.id()}));
        assert_eq!(code.value(protocol)["UnlockCode"], job.unlock_code());
        assert_eq!(protocol == Protocol::Cbor, code.head.contains("smithy-protocol: rpc-v2-cbor"));

        let address = call(&rehearsal, protocol, "GetJobManifest", &json!({"JobId": job.id()}));
        let address = address.value(protocol)["ManifestURI"].as_str().unwrap().to_owned();
        assert_eq!(get(&rehearsal, &address, &[]).body, job.manifest());
        assert!(rehearsal.issued_addresses().contains(&address));
    }
    let log = rehearsal.requests();
    assert!(log.iter().all(|request| request.status == 200 && request.identity.is_some()));
    assert!(log.iter().filter(|request| request.server == Server::Api).all(|request| request.authorization));
    assert!(log.iter().filter(|request| request.server == Server::Bucket).all(|request| !request.authorization));
    assert_eq!(rehearsal.count(Operation::DescribeJob), 2);
    assert_eq!(rehearsal.downloads(), 2);
}

#[test]
fn errors_have_each_protocols_shape() {
    let rehearsal = Rehearsal::builder().job(Job::new().state("New")).start().unwrap();
    for (protocol, prefix) in BOTH.into_iter().zip(["", "com.amazonaws.snowball#"]) {
        let unknown = json!({"JobId": "JID00000000-0000-0000-0000-000000000000"});
        let reply = call(&rehearsal, protocol, "DescribeJob", &unknown);
        let value = reply.value(protocol);
        assert_eq!(reply.status, 400);
        assert_eq!(value["__type"], format!("{prefix}InvalidResourceException"));
        assert!(value["Message"].is_string() && value["ResourceType"].is_string());

        let early = call(&rehearsal, protocol, "GetJobUnlockCode", &json!({"JobId": rehearsal.job().id()}));
        assert_eq!(early.value(protocol)["__type"], format!("{prefix}InvalidJobStateException"));

        for wrong in [json!({}), json!({"JobId": "JID-1"}), json!({"JobId": 1})] {
            let reply = call(&rehearsal, protocol, "DescribeJob", &wrong);
            assert_eq!(reply.value(protocol)["__type"], format!("{prefix}ValidationError"));
            assert!(reply.value(protocol)["message"].is_string());
        }
        let reply = call(&rehearsal, protocol, "DestroyJob", &json!({}));
        assert_eq!(reply.value(protocol)["__type"], format!("{prefix}UnknownOperationException"));
    }
}

#[test]
fn sts_tells_whose_keys_these_are_and_answers_in_its_own_protocol_alone() {
    let rehearsal = one_job();
    let none = json!({});
    let reply = call(&rehearsal, Protocol::Query, "GetCallerIdentity", &none);
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("<Arn>arn:aws:iam::123456789012:user/operator</Arn>"), "{}", reply.text());
    assert!(reply.text().contains("<Account>123456789012</Account>"), "{}", reply.text());
    let log = rehearsal.requests().pop().unwrap();
    assert_eq!((log.operation.as_str(), log.protocol), ("GetCallerIdentity", Some(Protocol::Query)));

    for protocol in BOTH {
        let reply = call(&rehearsal, protocol, "GetCallerIdentity", &none);
        assert!(reply.text().contains("UnknownOperationException"), "{}", reply.text());
    }
    let reply = call(&rehearsal, Protocol::Query, "ListJobs", &none);
    assert!(reply.status == 400 && reply.text().contains("<Code>InvalidAction</Code>"), "{}", reply.text());
    let forged = Keys { secret: "x".to_owned(), ..keys(&rehearsal) };
    let now = OffsetDateTime::now_utc();
    let reply = call_as(&rehearsal, Protocol::Query, "GetCallerIdentity", &none, &forged, now).unwrap();
    assert!(reply.status == 403 && reply.text().contains("<Code>SignatureDoesNotMatch</Code>"), "{}", reply.text());
    rehearsal.plant(Operation::GetCallerIdentity, Fault::AccessDenied, Times::Always);
    let reply = call(&rehearsal, Protocol::Query, "GetCallerIdentity", &none);
    assert!(reply.status == 403 && reply.text().contains("sts:GetCallerIdentity"), "{}", reply.text());
}

#[test]
fn an_answer_carries_the_hour_of_the_service_s_clock() {
    let rehearsal = one_job();
    rehearsal.set_api_clock(Duration::days(-400));
    let reply = call(&rehearsal, Protocol::Query, "GetCallerIdentity", &json!({}));
    let date = reply.head.lines().find_map(|line| line.strip_prefix("date: ")).unwrap();
    assert!(date.contains(&(OffsetDateTime::now_utc() - Duration::days(400)).year().to_string()), "{date}");
    assert!(date.ends_with("gmt") && reply.head.matches("\ndate: ").count() == 1, "{date}");
}

#[test]
fn lists_come_in_pages_and_a_foreign_token_is_refused() {
    let rehearsal = Rehearsal::builder().job(Job::new()).cluster(Job::new(), 3).export(Job::new(), 2).start().unwrap();
    for protocol in BOTH {
        let (mut ids, mut token) = (Vec::new(), None::<String>);
        loop {
            let input = json!({"MaxResults": 3, "NextToken": token});
            let input = if token.is_some() { input } else { json!({"MaxResults": 3}) };
            let page = call(&rehearsal, protocol, "ListJobs", &input).value(protocol);
            let entries = page["JobListEntries"].as_array().unwrap();
            assert!(entries.len() <= 3);
            ids.extend(entries.iter().map(|entry| entry["JobId"].as_str().unwrap().to_owned()));
            token = page["NextToken"].as_str().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        let expected: Vec<String> = rehearsal.jobs().iter().map(|job| job.id().to_owned()).collect();
        assert_eq!(ids, expected);

        let first = call(&rehearsal, protocol, "ListJobs", &json!({"MaxResults": 1})).value(protocol);
        let cluster = rehearsal.clusters().swap_remove(0);
        let foreign = json!({"ClusterId": cluster, "NextToken": first["NextToken"]});
        for input in [foreign, json!({"ClusterId": cluster, "NextToken": "garbage"})] {
            let reply = call(&rehearsal, protocol, "ListClusterJobs", &input);
            assert!(reply.text().contains("InvalidNextTokenException"), "{}", reply.text());
        }
        let nodes = call(&rehearsal, protocol, "ListClusterJobs", &json!({"ClusterId": cluster})).value(protocol);
        assert_eq!(nodes["JobListEntries"].as_array().unwrap().len(), 3);
        let described = call(&rehearsal, protocol, "DescribeCluster", &json!({"ClusterId": cluster}));
        assert_eq!(described.value(protocol)["ClusterMetadata"]["ClusterState"], "InUse");
    }
}

#[test]
fn a_signature_that_does_not_hold_is_refused_and_gives_nothing_away() {
    let rehearsal = Rehearsal::builder().temporary_credentials().start().unwrap();
    let input = json!({"JobId": rehearsal.job().id()});
    let now = OffsetDateTime::now_utc();
    let good = keys(&rehearsal);
    let wrong_secret = Keys { secret: "x".to_owned(), ..good.clone() };
    let unknown = Keys { access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(), ..good.clone() };
    let no_token = Keys { session_token: None, ..good.clone() };
    for protocol in BOTH {
        for (keys, at, error) in [
            (&wrong_secret, now, "InvalidSignatureException"),
            (&unknown, now, "UnrecognizedClientException"),
            (&no_token, now, "UnrecognizedClientException"),
            (&good, now - Duration::minutes(16), "RequestExpired"),
            (&good, now + Duration::minutes(16), "RequestExpired"),
        ] {
            let reply = call_as(&rehearsal, protocol, "GetJobUnlockCode", &input, keys, at).unwrap();
            assert_eq!(reply.status, 400);
            assert!(reply.text().contains(error), "{}", reply.text());
            assert!(!reply.text().contains(&rehearsal.job().unlock_code()));
        }
        assert_eq!(call(&rehearsal, protocol, "GetJobUnlockCode", &input).status, 200);
    }
    let verified = rehearsal.requests().iter().filter(|request| request.identity.is_some()).count();
    assert_eq!(verified, 2);
    rehearsal.set_api_clock(Duration::minutes(20));
    assert_eq!(call(&rehearsal, Protocol::Json, "ListJobs", &json!({})).status, 400);
}

#[test]
fn an_unsigned_call_and_a_changed_body_are_refused() {
    let rehearsal = one_job();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let bare = [
        header("content-type", "application/x-amz-json-1.1"),
        header("x-amz-target", "AWSIESnowballJobManagementService.ListJobs"),
    ];
    let reply = common::send(&rehearsal, &rehearsal.endpoint_url(), "POST", &bare, b"{}").unwrap();
    assert!(reply.text().contains("MissingAuthenticationTokenException"));
    let reply = common::send(&rehearsal, &rehearsal.endpoint_url(), "GET", &[], b"").unwrap();
    assert_eq!(reply.status, 400);
}

#[test]
fn api_faults_strike_as_planted() {
    let rehearsal = one_job();
    let job = rehearsal.job();
    let input = json!({"JobId": job.id()});
    let code = |protocol| call(&rehearsal, protocol, "GetJobUnlockCode", &input);
    for protocol in BOTH {
        let once = |fault| job.plant(Operation::GetJobUnlockCode, fault, Times::First(1));
        once(Fault::Throttled);
        assert!(code(protocol).text().contains("ThrottlingException"));
        once(Fault::Unavailable);
        assert_eq!(code(protocol).status, 503);
        once(Fault::AccessDenied);
        assert!(code(protocol).text().contains("AccessDeniedException"));
        once(Fault::Refused(400, "ExpiredTokenException"));
        let refused = code(protocol);
        assert!(refused.status == 400 && refused.text().contains("ExpiredTokenException"));
        once(Fault::MissingMember);
        assert!(code(protocol).value(protocol).get("UnlockCode").is_none());
        once(Fault::Text("short".to_owned()));
        assert_eq!(code(protocol).value(protocol)["UnlockCode"], "short");
        once(Fault::MalformedBody);
        let malformed = code(protocol);
        assert_eq!(malformed.status, 200);
        assert!(malformed.text().contains(&job.unlock_code()));
        once(Fault::CutOff);
        let cut =
            call_as(&rehearsal, protocol, "GetJobUnlockCode", &input, &keys(&rehearsal), OffsetDateTime::now_utc());
        assert!(cut.is_none());
        assert_eq!(code(protocol).value(protocol)["UnlockCode"], job.unlock_code());
    }
}

#[test]
fn the_bucket_checks_address_clock_and_headers() {
    let rehearsal = one_job();
    let address = manifest_address(&rehearsal);
    let manifest = rehearsal.job().manifest();

    let whole = get(&rehearsal, &address, &[]);
    assert_eq!(whole.status, 200);
    for expected in [format!("content-length: {}", manifest.len()), "etag: \"".into(), "x-amz-checksum-sha256: ".into()]
    {
        assert!(whole.head.contains(&expected), "{}", whole.head);
    }
    let part = get(&rehearsal, &address, &[("range", "bytes=10-19")]);
    assert_eq!((part.status, &part.body[..]), (206, &manifest[10..20]));
    assert!(part.head.contains(&format!("content-range: bytes 10-19/{}", manifest.len())));
    let outside = get(&rehearsal, &address, &[("range", "bytes=9999999-")]);
    assert_eq!(outside.status, 416);
    assert!(outside.text().contains("<Code>InvalidRange</Code>"));

    let signed = get(&rehearsal, &address, &[("authorization", "AWS4-HMAC-SHA256 Credential=x")]);
    assert_eq!(signed.status, 400);
    assert!(rehearsal.requests().last().unwrap().authorization);
    let head = common::send(&rehearsal, &address, "HEAD", &[], b"").unwrap();
    assert_eq!(head.status, 403);

    let tampered = address.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200");
    assert!(get(&rehearsal, &tampered, &[]).text().contains("<Code>SignatureDoesNotMatch</Code>"));
    let (bare, _) = address.split_once('?').unwrap();
    assert_eq!(get(&rehearsal, bare, &[]).status, 403);

    rehearsal.set_bucket_clock(Duration::minutes(61));
    let late = get(&rehearsal, &address, &[]);
    assert_eq!(late.status, 403);
    assert!(late.text().contains("<Code>AccessDenied</Code><Message>Request has expired</Message>"));
}

#[test]
fn bucket_faults_strike_as_planted() {
    let rehearsal = one_job();
    let address = manifest_address(&rehearsal);
    let manifest = rehearsal.job().manifest();
    let meet = |fault| {
        rehearsal.plant_in_bucket(fault, Times::First(1));
        get(&rehearsal, &address, &[])
    };
    let truncated = meet(BucketFault::Truncated);
    assert!(truncated.body.len() < manifest.len() && !truncated.orderly);
    assert!(truncated.head.contains(&format!("content-length: {}", manifest.len())));
    let longer = meet(BucketFault::WrongLength);
    assert!(longer.head.contains(&format!("content-length: {}", manifest.len() + 1000)));
    let damaged = meet(BucketFault::Damaged);
    assert_eq!(damaged.body.len(), manifest.len());
    assert_ne!(damaged.body, manifest);
    assert!(meet(BucketFault::Html).text().starts_with("<!DOCTYPE html>"));
    assert!(meet(BucketFault::Empty).body.is_empty());
    assert!(meet(BucketFault::Text).body.is_ascii());
    let redirect = meet(BucketFault::Redirect(None));
    assert!(redirect.status == 307 && redirect.head.contains("location: https://localhost:"));
    assert_eq!(meet(BucketFault::TooLarge(3_000_000)).body.len(), 3_000_000);
    assert_eq!(meet(BucketFault::Unavailable).status, 503);
    let drip = meet(BucketFault::Drip(std::time::Duration::from_millis(1)));
    assert_eq!(drip.body, manifest);
    assert_eq!(get(&rehearsal, &address, &[]).body, manifest);
}

#[test]
fn long_addresses_carry_a_session_token() {
    let rehearsal = Rehearsal::builder().long_addresses().bare_bucket().start().unwrap();
    let address = manifest_address(&rehearsal);
    assert!(address.len() > 1024 && address.contains("X-Amz-Security-Token="));
    let reply = get(&rehearsal, &address, &[]);
    assert_eq!(reply.body, rehearsal.job().manifest());
    assert!(!reply.head.contains("etag") && !reply.head.contains("checksum"));
}

#[test]
fn receipt_can_be_reported() {
    let rehearsal = Rehearsal::builder().job(Job::new().state("InTransitToCustomer")).start().unwrap();
    let input = json!({"JobId": rehearsal.job().id(), "ShipmentState": "RECEIVED"});
    assert_eq!(call(&rehearsal, Protocol::Cbor, "UpdateJobShipmentState", &input).status, 200);
    assert_eq!(rehearsal.job().state(), "WithCustomer");
}

#[test]
fn everything_is_gone_afterwards() {
    let rehearsal = one_job();
    let root = rehearsal.root().to_owned();
    let api = rehearsal.endpoint_url();
    drop(rehearsal);
    assert!(!root.exists());
    assert!(std::net::TcpStream::connect(api.strip_prefix("https://").unwrap()).is_err());
}
