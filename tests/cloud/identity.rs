//! Whose credentials they are, where they come from, and by which clock AWS goes.

use std::net::TcpListener;

use snow_rehearsal::{Fault, Operation, Protocol, Rehearsal, Times};

use crate::child::Call;

fn one() -> Rehearsal {
    Rehearsal::builder().start().unwrap()
}

fn identity(world: &Rehearsal) -> Call {
    Call::new(world, "identity", "")
}

fn keys(world: &Rehearsal) -> String {
    format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", world.access_key(), world.secret_key())
}

#[test]
fn sts_says_who_it_is() {
    let world = one();
    let outcome = identity(&world).run().expect("ok");
    assert_eq!(outcome.answer["account"], "123456789012");
    assert_eq!(outcome.answer["arn"], "arn:aws:iam::123456789012:user/operator");
    assert_eq!(outcome.answer["source"], "the environment (AWS_ACCESS_KEY_ID)");
    assert_eq!(outcome.answer["temporary"], false);
    let separation = outcome.answer["clocks_apart"].as_i64().unwrap();
    assert!(separation.abs() < 60, "{separation}");
    let requests = world.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].protocol, Some(Protocol::Query));
    assert!(requests[0].identity.is_some(), "it was signed, and for sts");
}

#[test]
fn the_source_is_named_and_when_it_ends() {
    let world = Rehearsal::builder().temporary_credentials().start().unwrap();
    let outcome = identity(&world).run().expect("ok");
    assert_eq!((&outcome.answer["temporary"], &outcome.answer["expires"]), (&true.into(), &serde_json::Value::Null));
    let world = one();
    let config = format!("[profile field]\n{}", keys(&world));
    let outcome = identity(&world).profiles(&config).set("profile", "field").run().expect("ok");
    assert_eq!(outcome.answer["source"], "profile “field”, by the keys in it");
}

#[cfg(unix)]
#[test]
fn a_credential_process_says_when_its_credentials_end() {
    let world = Rehearsal::builder().temporary_credentials().start().unwrap();
    let call = identity(&world).without("AWS_SESSION_TOKEN");
    let answer = serde_json::json!({
        "Version": 1, "AccessKeyId": world.access_key(), "SecretAccessKey": world.secret_key(),
        "SessionToken": world.session_token().unwrap(), "Expiration": "2099-01-01T00:00:00Z",
    });
    let answer = call.file("answer.json", answer.to_string());
    let config = format!("[profile p]\ncredential_process = cat {}\n", answer.display());
    let outcome = call.profiles(&config).set("profile", "p").run().expect("ok");
    assert_eq!(outcome.answer["source"], "profile “p”, by its credential_process");
    assert_eq!(outcome.answer["expires"], 4_070_908_800_i64);
    outcome.never_says(world.session_token().unwrap());
}

#[test]
fn what_sts_says_against_it_is_told_as_of_any_other_service() {
    let world = one();
    identity(&world).env("AWS_SECRET_ACCESS_KEY", "wrong").run().expect("credentials_refused");
    identity(&world).env("AWS_ACCESS_KEY_ID", "AKIAWRONG").run().expect("credentials_refused");
    identity(&world).profiles("").run().expect("credentials_missing");
    world.plant(Operation::GetCallerIdentity, Fault::AccessDenied, Times::Always);
    let outcome = identity(&world).run().expect("access_denied");
    assert!(outcome.sentence.contains("sts:GetCallerIdentity"), "{}", outcome.sentence);
    world.heal();
    world.plant(Operation::GetCallerIdentity, Fault::Throttled, Times::First(3));
    identity(&world).run().expect("ok");
    world.plant(Operation::GetCallerIdentity, Fault::MalformedBody, Times::Always);
    let outcome = identity(&world).run().expect("answer_malformed");
    assert!(outcome.sentence.starts_with("STS GetCallerIdentity"), "{}", outcome.sentence);
    world.heal();
    world.plant(Operation::GetCallerIdentity, Fault::Hang, Times::Always);
    let outcome = identity(&world).set("timeout_ms", 3000).run().expect("api_timeout");
    assert!(outcome.sentence.starts_with("AWS STS at 127.0.0.1:"), "{}", outcome.sentence);
}

#[test]
fn its_address_can_be_set_and_has_to_be_https() {
    let world = one();
    let gone = format!("https://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let outcome = identity(&world).env("AWS_ENDPOINT_URL_STS", gone).run().expect("api_unreachable");
    assert!(outcome.sentence.starts_with("AWS STS at 127.0.0.1:"), "{}", outcome.sentence);
    let plain = world.endpoint_url().replace("https", "http");
    for url in [plain.as_str(), "http://sts.example", "sts.example"] {
        let outcome = identity(&world).env("AWS_ENDPOINT_URL_STS", url).run().expect("sts_not_https");
        assert!(outcome.hint.contains("AWS_ENDPOINT_URL_STS"), "{}", outcome.hint);
        // The Snowball API is not concerned.
        Call::new(&world, "job", world.job().id()).env("AWS_ENDPOINT_URL_STS", url).run().expect("ok");
    }
    let config = format!(
        "[profile p]\nservices = s\n{}[services s]\nsts =\n  endpoint_url = http://sts.example\n",
        keys(&world)
    );
    let call = identity(&world).profiles(&config).set("profile", "p").without("AWS_ENDPOINT_URL_STS");
    assert!(call.run().expect("sts_not_https").sentence.contains("http://sts.example"));
    assert_eq!(world.count(Operation::GetCallerIdentity), 0);
    identity(&world).without("AWS_ENDPOINT_URL_STS").env("AWS_ENDPOINT_URL", world.endpoint_url()).run().expect("ok");
}

#[test]
fn an_unknown_job_is_told_with_who_asked_and_where_and_not_hidden_if_that_can_t_be_told() {
    let world = one();
    let unknown = "JID00000000-0000-0000-0000-000000000000";
    let told = || Call::new(&world, "job", unknown).run().expect("job_unknown").sentence;
    let sentence = told();
    assert!(sentence.contains(&format!("in region {}", world.region())), "{sentence}");
    assert!(sentence.contains("(asked as arn:aws:iam::123456789012:user/operator)"), "{sentence}");
    for fault in [Fault::AccessDenied, Fault::Throttled, Fault::Hang] {
        world.plant(Operation::GetCallerIdentity, fault, Times::Always);
        let sentence = told();
        assert!(sentence.ends_with("in region us-east-1."), "{sentence}");
        world.heal();
    }
}

#[test]
fn the_clock_of_the_service_is_told() {
    let world = one();
    world.set_api_clock(time::Duration::minutes(9));
    let outcome = identity(&world).run().expect("ok");
    let separation = outcome.answer["clocks_apart"].as_i64().unwrap();
    assert!((8 * 60..=10 * 60).contains(&separation), "{separation}");
}
