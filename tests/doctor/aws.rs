//! Credentials, permissions, region, clock, and the way to AWS.

use snow_rehearsal::Operation;

use crate::keyring_bus::{Keyring, KeyringBus};
use crate::row::Verb::Run;
use crate::row::{Fault, Row};
use crate::scene::Scene;
use crate::visit::{Line, done, env, known, nothing, visit};

const CALLS: [&str; 4] = ["list_jobs", "describe_job", "get_job_manifest", "get_job_unlock_code"];

/// The four calls, all with the same verdict, and further lines.
fn calls(verdict: &'static str, words: &'static [&'static str], more: Vec<Line>) -> Vec<Line> {
    CALLS.into_iter().map(|call| Line(call, verdict, words, &[], None)).chain(more).collect()
}

#[test]
fn everything_is_as_it_should_be() {
    let report = visit(&nothing(), &[], 0, &[]);
    assert_eq!(report.text("region"), "us-east-1, from AWS_REGION");
    assert!(
        report.text("ca_certificates").starts_with("1 certificate of ")
            && report.text("ca_certificates").ends_with("ca.pem (--ca-bundle)")
    );
    assert_eq!(
        report.text("credentials"),
        "arn:aws:iam::123456789012:user/operator of account 123456789012, from the environment (AWS_ACCESS_KEY_ID)"
    );
    assert!(report.text("keychain").contains("ready (test item stored and read back)"));
    assert!(report.text("client").contains("version 1.2.0") && report.text("client").contains("not pinned, SHA-256 "));
    assert!(report.text("private_folder").ends_with(", in memory"), "{}", report.text("private_folder"));
    assert!(report.text("state_folder").contains("does not exist yet and can be created"));
    assert!(report.text("memory").contains("never in a core file") || report.line("memory")["verdict"] == "warning");
    assert!(!report.ended.stdout.contains("\"event\":\"error\"") && report.ended.stderr.is_empty());
}

#[test]
fn no_credentials() {
    let row = known("credentials", "no credentials");
    let missing = Line(
        "credentials",
        "fails",
        &["No AWS credentials were found"],
        &["aws configure sso"],
        Some("credentials_missing"),
    );
    let more = vec![
        missing,
        Line("aws", "skipped", &["no credentials to ask with"], &[], None),
        Line("clock", "skipped", &["AWS's time is not known"], &[], None),
    ];
    visit(&row, &[], 4, &calls("skipped", &["valid AWS credentials are needed"], more));
}

#[test]
fn a_sign_in_that_has_expired() {
    let row = known("credentials", "a sign-in of last year");
    let expired = Line(
        "credentials",
        "fails",
        &["has expired"],
        &["\n  aws sso login --profile field"],
        Some("credentials_expired"),
    );
    let more = vec![expired, Line("aws", "skipped", &[], &[], None), Line("clock", "skipped", &[], &[], None)];
    visit(&row, &[], 4, &calls("skipped", &[], more));
}

#[test]
fn a_wrong_secret() {
    let row = known("credentials", "a wrong secret");
    let refused =
        Line("credentials", "fails", &["does not accept"], &["aws configure list"], Some("credentials_refused"));
    // AWS answered: the way there is fine, and so is the clock.
    visit(&row, &[], 4, &calls("skipped", &["valid AWS credentials"], vec![refused]));
}

#[test]
fn a_profile_that_is_not_there() {
    let report = visit(
        &nothing(),
        &["--profile", "nobody"],
        4,
        &calls(
            "skipped",
            &["correct the failed check first"],
            vec![
                Line("region", "skipped", &["see Credentials"], &[], None),
                Line("aws", "skipped", &[], &[], None),
                Line("clock", "skipped", &[], &[], None),
                Line(
                    "credentials",
                    "fails",
                    &["no profile “nobody”"],
                    &["snow-onboard doctor --profile NAME"],
                    Some("credentials_failed"),
                ),
            ],
        ),
    );
    assert_eq!(report.result()["failed"], 1);
}

#[test]
fn each_action_that_is_denied_is_named_with_its_statement() {
    for (operation, check, statement, kms) in [
        (Operation::DescribeJob, "describe_job", "\"Action\": \"snowball:DescribeJob\"", ""),
        (Operation::GetJobManifest, "get_job_manifest", "\"Action\": \"snowball:GetJobManifest\"", "kms:Decrypt"),
        (
            Operation::GetJobUnlockCode,
            "get_job_unlock_code",
            "\"Action\": \"snowball:GetJobUnlockCode\"",
            "kms:Decrypt",
        ),
    ] {
        let row = Row::new(
            Run,
            "denied",
            Fault::Api(operation, snow_rehearsal::Fault::AccessDenied, snow_rehearsal::Times::Always),
        );
        let report = visit(&row, &[], 4, &[Line(check, "fails", &["not allowed"], &[], Some("access_denied"))]);
        assert!(report.text(check).contains(&format!("snowball:{operation}")), "{}", report.text(check));
        let hint = report.line(check)["hint"].as_str().unwrap();
        assert!(hint.contains(statement) && hint.contains("\"Resource\": \"*\"") && hint.contains(kms), "{hint}");
        assert_eq!(hint.contains("kms"), !kms.is_empty(), "{hint}");
    }
}

#[test]
fn listing_that_is_denied_is_a_warning_for_a_run_that_is_told_its_job_lists_none() {
    let fault = Fault::Api(Operation::ListJobs, snow_rehearsal::Fault::AccessDenied, snow_rehearsal::Times::Always);
    let row = Row::new(Run, "denied", fault);
    let words = &["snowball:ListJobs", "not allowed", "Only listing needs it"];
    let line = Line("list_jobs", "warning", words, &["\"Action\": \"snowball:ListJobs\""], None);
    visit(&row, &[], 0, &[line]);
    let bus = KeyringBus::start(Keyring::Unlocked);
    let scene = Scene::set(&row, &bus);
    scene.strike(&row);
    let ran = scene.run(Run, &[], std::time::Duration::from_secs(170));
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
}

#[test]
fn sts_that_is_blocked_is_a_warning_and_so_is_its_plain_address() {
    let row = env(&[("AWS_ENDPOINT_URL_STS", Some("https://127.0.0.1:9"))]);
    let words = &["the environment (AWS_ACCESS_KEY_ID)", "AWS STS at 127.0.0.1:9 gave no answer"];
    visit(&row, &[], 0, &[Line("credentials", "warning", words, &["aws sts get-caller-identity"], None)]);
    let row = env(&[("AWS_ENDPOINT_URL_STS", Some("http://127.0.0.1:9"))]);
    visit(&row, &[], 0, &[Line("credentials", "warning", &["not an https address"], &["AWS_ENDPOINT_URL_STS"], None)]);
}

#[test]
fn credentials_that_end_soon() {
    fn soon(scene: &Scene<'_>) {
        let end = time::OffsetDateTime::now_utc() + time::Duration::minutes(30);
        let answer = serde_json::json!({
            "Version": 1, "AccessKeyId": scene.rehearsal.access_key(), "SecretAccessKey": scene.rehearsal.secret_key(),
            "Expiration": end.format(&time::format_description::well_known::Rfc3339).unwrap(),
        });
        let folder = scene.rehearsal.home().join(".aws");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("answer.json"), answer.to_string()).unwrap();
        let config = format!("[profile field]\ncredential_process = cat {}\n", folder.join("answer.json").display());
        std::fs::write(folder.join("config"), config).unwrap();
    }
    let words = &["user/operator", "profile “field”, by its credential_process", "valid until ", " min)"];
    visit(
        &done(soon),
        &["--profile", "field"],
        0,
        &[Line("credentials", "warning", words, &["snow-onboard fetch"], None)],
    );
}

#[test]
fn no_region() {
    let row = known("credentials", "no region");
    let more = vec![
        Line("region", "fails", &["No AWS region is set"], &["--region eu-central-1"], Some("region_missing")),
        Line("aws", "skipped", &[], &[], None),
        Line("credentials", "skipped", &[], &[], None),
        Line("clock", "skipped", &[], &[], None),
    ];
    visit(&row, &[], 4, &calls("skipped", &[], more));
}

#[test]
fn a_clock_that_differs_is_a_warning_and_one_that_is_off_fails() {
    let row = done(|scene| scene.rehearsal.set_api_clock(time::Duration::minutes(3)));
    let words = &["UTC here and ", "UTC at AWS"];
    visit(&row, &[], 0, &[Line("clock", "warning", words, &["timedatectl set-ntp true"], None)]);
    // AWS's stand-in takes it still.
    let row = done(|scene| scene.rehearsal.set_api_clock(time::Duration::minutes(-9)));
    visit(&row, &[], 4, &[Line("clock", "fails", words, &["timedatectl set-ntp true"], Some("clock_off"))]);
    let row = done(|scene| scene.rehearsal.set_api_clock(time::Duration::minutes(25)));
    let more = vec![
        Line("clock", "fails", words, &["timedatectl set-ntp true"], Some("clock_off")),
        Line("credentials", "skipped", &["while the clock is wrong"], &[], None),
    ];
    visit(&row, &[], 4, &calls("skipped", &["while the clock is wrong"], more));
}

/// AWS does not answer: told once.
fn unanswered(words: &'static [&'static str], hints: &'static [&'static str], code: &'static str) -> Vec<Line> {
    let more = vec![
        Line("aws", "fails", words, hints, Some(code)),
        Line("credentials", "skipped", &["AWS does not answer", "the environment"], &[], None),
        Line("clock", "skipped", &[], &[], None),
    ];
    calls("skipped", &["AWS does not answer"], more)
}

#[test]
fn a_proxy_that_is_not_there_or_is_none() {
    let row = env(&[("HTTPS_PROXY", Some("http://anna:secret@127.0.0.1:9")), ("NO_PROXY", Some("example.com"))]);
    let words = &["gave no answer", "the proxy 127.0.0.1:9 (HTTPS_PROXY) can't be reached"];
    let report = visit(&row, &[], 5, &unanswered(words, &["HTTPS_PROXY"], "api_unreachable"));
    assert_eq!(report.text("proxy"), "127.0.0.1:9, from HTTPS_PROXY, but not for example.com (NO_PROXY)");
    assert!(!report.ended.stdout.contains("secret") && !report.ended.stdout.contains("anna"));
    let row = known("network", "a proxy of another kind");
    let more = vec![
        Line("proxy", "fails", &["SOCKS"], &["HTTPS_PROXY"], Some("proxy_bad")),
        Line("aws", "skipped", &[], &[], None),
        Line("credentials", "skipped", &[], &[], None),
        Line("clock", "skipped", &[], &[], None),
    ];
    visit(&row, &[], 3, &calls("skipped", &[], more));
}

#[test]
fn a_login_that_the_proxy_refuses_is_tried_once() {
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in proxy.incoming().flatten() {
            use std::io::{Read as _, Write as _};
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut head = [0; 1024];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        }
    });
    let row = env(&[("HTTPS_PROXY", Some(&format!("http://anna:secret@{address}")))]);
    let words = &["does not accept the user and password in HTTPS_PROXY (407)"];
    let report = visit(&row, &[], 5, &unanswered(words, &["HTTPS_PROXY"], "api_unreachable"));
    assert!(report.text("aws").contains(&format!("the proxy {address} does not")), "{}", report.text("aws"));
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(!report.ended.stdout.contains("secret"));
}

#[test]
fn the_region_of_the_device() {
    let more = vec![
        Line(
            "region",
            "fails",
            &["“snow” (AWS_REGION) is the device"],
            &["--region eu-central-1"],
            Some("region_of_device"),
        ),
        Line("aws", "skipped", &[], &[], None),
        Line("credentials", "skipped", &[], &[], None),
        Line("clock", "skipped", &[], &[], None),
    ];
    visit(&env(&[("AWS_REGION", Some("snow"))]), &[], 3, &calls("skipped", &[], more));
}

#[test]
fn a_ca_file_that_is_none_and_one_of_another_authority() {
    let more = vec![
        Line("ca_certificates", "fails", &["no PEM certificate"], &["--ca-bundle"], Some("ca_file_bad")),
        Line("aws", "skipped", &[], &[], None),
        Line("credentials", "skipped", &[], &[], None),
        Line("clock", "skipped", &[], &[], None),
    ];
    visit(&known("network", "the CA file is no PEM"), &[], 3, &calls("skipped", &[], more));
    let row = known("network", "the CA file is that of another");
    visit(&row, &[], 5, &unanswered(&["is not trusted"], &["add its CA certificate to that file"], "tls_untrusted"));
}

#[test]
fn an_api_that_is_silent_or_is_asked_in_clear() {
    let row = Row::new(Run, "silent", Fault::EveryCall(snow_rehearsal::Fault::Hang, snow_rehearsal::Times::Always))
        .within("4s");
    let report = visit(&row, &[], 5, &unanswered(&["did not answer"], &["--network-timeout"], "api_timeout"));
    assert!(report.events.iter().any(|event| event["event"] == "waiting"), "it says what it waits for");
    let more = vec![
        Line("aws", "fails", &["not an https address"], &["AWS_ENDPOINT_URL_SNOWBALL"], Some("api_not_https")),
        Line("credentials", "skipped", &[], &[], None),
        Line("clock", "skipped", &[], &[], None),
    ];
    visit(&known("network", "the API's address is not https"), &[], 3, &calls("skipped", &[], more));
}

#[test]
fn a_call_that_is_refused_for_another_reason_is_a_warning() {
    let fault = snow_rehearsal::Fault::Refused(400, "NobodyKnows");
    let row = Row::new(Run, "refused", Fault::Api(Operation::GetJobManifest, fault, snow_rehearsal::Times::Always));
    let words = &["whether snowball:GetJobManifest is allowed could not be found out", "NobodyKnows"];
    visit(&row, &[], 0, &[Line("get_job_manifest", "warning", words, &["AWS Support"], None)]);
}
