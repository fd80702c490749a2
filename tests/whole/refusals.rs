//! Bad input and bad answers: a clear error that names the value's origin, an exit code, nothing written, no device
//! touched.

use snow_rehearsal::{BucketFault, ClientOptions, Fault, Job, Operation, Rehearsal, State, Times, VersionText};

use crate::agent::{Agent, files, files_with, state};

const NONE: &[&str] = &["--keychain", "none"];

/// After a refusal: the device was not touched, and no manifest, record or code lies anywhere.
#[track_caller]
fn nothing_happened(rehearsal: &Rehearsal) {
    assert_eq!(rehearsal.device().state(), State::Locked);
    assert_eq!(rehearsal.device().unlock_requests(), 0);
    let left: Vec<_> = files(&state(rehearsal))
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !path.parent().unwrap().ends_with("locks"))
        .collect();
    assert!(left.is_empty(), "left behind: {}", left.iter().map(|path| path.display().to_string()).collect::<String>());
    assert!(files_with(rehearsal.home(), &rehearsal.job().unlock_code()).is_empty());
    // The private home lies in memory where there is such a place; only the client knows where.
    for call in rehearsal.client_invocations().unwrap() {
        assert!(!call.user_home.exists(), "the private home is still there");
    }
}

#[test]
fn what_is_mistyped_is_refused_before_anything_is_asked() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let job = rehearsal.job().id().to_owned();
    let endpoint = rehearsal.device().endpoint();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["run", "JID123", "--endpoint", &endpoint], 2, "“JID123” (argument JOB)"),
        (&["run", &job], 2, "No device address"),
        (&["run", &job, "--endpoint", "https://admin@192.0.2.1"], 2, "(--endpoint) carries a user name"),
        (&["run", &job, "--endpoint", "192.0.2.1/unlock"], 2, "(--endpoint) carries a path"),
        (&["run", &job, "--endpoint", "[2001:db8::1"], 2, "(--endpoint) has an opening bracket"),
        (&["run", &job, "--endpoint", "192.0.2.300"], 2, "(--endpoint) is not an IPv4 address"),
        (&["run", &job, "--endpoint", "8.8.8.8"], 2, "8.8.8.8 is outside the local network"),
        (&["run", &job, "--endpoint", "192.0.2.10"], 2, "192.0.2.10 is an example"),
        (&["run", &job, "--endpoint", "192.0.2.10", "--allow-public-endpoint"], 2, "192.0.2.10 is an example"),
        (&["fetch", &job, "--keychain", "none"], 2, "keep it nowhere"),
        (&["fetch", &job, "--region", "eu-central1"], 3, "did you mean eu-central-1?"),
        (&["fetch", &job, "--network-timeout", "soon"], 3, "“soon” of network_timeout (--network-timeout)"),
        (&["run", &job, "--endpoint", &endpoint, "--client-sha256", "abc"], 3, "(--client-sha256)"),
        (&["run", &job, "--allow-argv", "--handoff", "private"], 2, "cannot be used with"),
        (&["run", &job, "7c0e1-bab84-f7675-0a2b6-f8b33"], 2, "contains what looks like an unlock code"),
    ];
    for (args, exit, words) in cases {
        Agent::new(&rehearsal, *args).end().failed(*exit, words);
    }
    Agent::new(&rehearsal, ["jobs"])
        .env("SNOW_ONBOARD_ENDPOINT", "http://192.0.2.1")
        .end()
        .failed(2, "SNOW_ONBOARD_ENDPOINT");
    let config = rehearsal.home().join("snow-onboard");
    std::fs::create_dir(&config).unwrap();
    std::fs::write(config.join("config.toml"), "\n\nkeychian = \"none\"\n").unwrap();
    #[cfg(target_os = "linux")]
    Agent::new(&rehearsal, ["jobs"]).env("XDG_CONFIG_HOME", rehearsal.home()).end().failed(3, "config.toml:3");
    assert!(rehearsal.requests().is_empty(), "nothing was asked of AWS");
    nothing_happened(&rehearsal);
}

#[test]
fn a_bad_ca_file_is_an_error_with_its_origin() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bad = rehearsal.home().join("ca.pem");
    let missing = rehearsal.home().join("missing.pem");
    let job = rehearsal.job().id().to_owned();
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for content in ["", "no certificate here", garbage] {
        std::fs::write(&bad, content).unwrap();
        let agent = Agent::bare(["run", &job, "--endpoint", &rehearsal.device().endpoint(), "--keychain", "none"]);
        let agent = rehearsal.env().into_iter().fold(agent, |agent, (name, value)| agent.env(name, value));
        let ended = agent.arg("--client").arg(rehearsal.client_path()).env("AWS_CA_BUNDLE", &bad).end();
        assert!(ended.failed(3, "AWS_CA_BUNDLE").stderr.contains("ca.pem"));
    }
    let agent = Agent::bare(["jobs", "--ca-bundle"]).arg(&missing);
    let agent = rehearsal.env().into_iter().fold(agent, |agent, (name, value)| agent.env(name, value));
    agent.end().failed(3, "--ca-bundle");
    nothing_happened(&rehearsal);
}

#[test]
fn an_http_address_of_the_api_is_refused() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    for variable in ["AWS_ENDPOINT_URL_SNOWBALL", "AWS_ENDPOINT_URL"] {
        Agent::run(&rehearsal, NONE)
            .without_env("AWS_ENDPOINT_URL_SNOWBALL")
            .env(variable, rehearsal.endpoint_url().replace("https", "http"))
            .end()
            .failed(3, "not an https address");
    }
    assert!(rehearsal.requests().is_empty());
    nothing_happened(&rehearsal);
}

#[test]
fn a_job_that_is_not_ready_says_its_state_and_tracking_number() {
    let job = Job::new().state("PreparingShipment").tracking(Some("1Z999AA10123456784"));
    let rehearsal = Rehearsal::builder().job(job).start().unwrap();
    let ended = Agent::run(&rehearsal, NONE).end().failed(6, "being prepared for shipment");
    assert!(ended.stderr.contains("1Z999AA10123456784"), "{}", ended.stderr);
    rehearsal.job().set_state("WithAWS");
    Agent::run(&rehearsal, NONE).end().failed(6, "back at AWS");
    nothing_happened(&rehearsal);
}

#[test]
fn bad_answers_of_the_api_cost_nothing() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let code = rehearsal.job().unlock_code();
    let wrong_shape = "abcde-12345-abcde-12345";
    let cases: &[(Operation, Fault, i32, &str)] = &[
        (Operation::GetJobManifest, Fault::MissingMember, 7, "answered without"),
        (Operation::GetJobUnlockCode, Fault::MissingMember, 7, "answered without"),
        (Operation::GetJobUnlockCode, Fault::Text(wrong_shape.to_owned()), 7, "which are not an unlock code"),
        (Operation::GetJobUnlockCode, Fault::MalformedBody, 7, "cannot be parsed"),
        (Operation::GetJobManifest, Fault::Text("http://127.0.0.1/x".to_owned()), 7, "not an https address"),
        (Operation::GetJobUnlockCode, Fault::AccessDenied, 4, "snowball:GetJobUnlockCode"),
    ];
    for (operation, fault, exit, words) in cases {
        rehearsal.plant(*operation, fault.clone(), Times::Always);
        let ended = Agent::run(&rehearsal, NONE).end().failed(*exit, words);
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains(&code) && !text.contains(wrong_shape), "{operation}: echoed");
            assert!(!text.contains("X-Amz-Signature"), "{operation}: the presigned URL is shown");
        }
        rehearsal.heal();
        nothing_happened(&rehearsal);
    }
}

#[test]
fn bad_downloads_cost_nothing() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let cases: &[(BucketFault, i32, &str)] = &[
        (BucketFault::Truncated, 5, "was interrupted"),
        (BucketFault::WrongLength, 5, "was interrupted"),
        (BucketFault::Damaged, 7, "damaged"),
        (BucketFault::Empty, 7, "not a manifest"),
        (BucketFault::Html, 7, "not a manifest"),
        (BucketFault::Text, 7, "not a manifest"),
        (BucketFault::Redirect(None), 7, "another host"),
        (BucketFault::TooLarge(65 * 1024 * 1024), 7, "larger than the limit"),
    ];
    for (fault, exit, words) in cases {
        rehearsal.plant_in_bucket(fault.clone(), Times::Always);
        Agent::run(&rehearsal, NONE).arg("--network-timeout").arg("4s").end().failed(*exit, words);
        rehearsal.heal();
        nothing_happened(&rehearsal);
    }
}

#[test]
fn clients_that_can_t_be_trusted_or_known_are_refused_before_anything_is_fetched() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let with_client = |client: &std::path::Path| {
        let args = ["run", rehearsal.job().id(), "--endpoint", &rehearsal.device().endpoint()].map(str::to_owned);
        Agent::new(&rehearsal, args).arg("--keychain").arg("none").arg("--client").arg(client).end()
    };
    with_client(&rehearsal.home().join("nowhere")).failed(11, "was not found");
    let unknown = ClientOptions { version: VersionText::Other("Frostball 7".to_owned()), ..ClientOptions::default() };
    let unknown = rehearsal.install_client("unknown", &unknown).unwrap();
    with_client(&unknown).failed(11, "version");
    // Asked for the job while the client was starting; not for what is meant for a client that can be used.
    assert_eq!(rehearsal.count(Operation::DescribeJob), 1);
    assert_eq!(rehearsal.requests().len(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open = rehearsal.install_client("open", &ClientOptions::default()).unwrap();
        std::fs::set_permissions(open.parent().unwrap(), std::fs::Permissions::from_mode(0o777)).unwrap();
        with_client(&open).failed(11, "can be written by everyone");
    }
    assert_eq!(rehearsal.requests().len(), 1, "nothing more was asked of AWS");
    // What is wrong with the client is told, whatever is wrong at AWS.
    rehearsal.plant(Operation::DescribeJob, Fault::MissingMember, Times::Always);
    with_client(&unknown).failed(11, "version");
    nothing_happened(&rehearsal);
}

#[test]
fn what_a_path_would_do_to_a_terminal_is_not_said() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    for args in [["jobs", "--ca-bundle", "\u{1b}]0;x\u{7}.pem"], ["jobs", "--state-dir", "/dev/null/\u{1b}]0;x\u{7}"]] {
        let ended = Agent::bare(args).envs(rehearsal.env()).end();
        assert!(!ended.status.success());
        assert!(ended.stderr.contains("0;x"), "the control: {}", ended.stderr);
        assert!(!ended.stderr.contains(['\u{1b}', '\u{7}']), "{}", ended.stderr.escape_debug());
    }
}
