//! Whose credentials are used, and what is said when there are none.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

use snow_rehearsal::Rehearsal;

use crate::child::Call;

fn one() -> Rehearsal {
    Rehearsal::builder().start().unwrap()
}

fn job(world: &Rehearsal) -> Call {
    Call::new(world, "job", world.job().id())
}

fn keys(world: &Rehearsal) -> String {
    format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", world.access_key(), world.secret_key())
}

#[test]
fn without_credentials_it_says_so_at_once_and_asks_no_metadata_service() {
    let world = one();
    let outcome = job(&world).profiles("").run().expect("credentials_missing");
    assert!(outcome.took < Duration::from_millis(900), "{:?}", outcome.took);
    assert!(
        outcome.sentence.contains("AWS_ACCESS_KEY_ID") && outcome.sentence.contains("“default”"),
        "{}",
        outcome.sentence
    );
    let outcome = job(&world).profiles("[profile p]\nregion = us-east-1\n").set("profile", "p").run();
    assert!(outcome.expect("credentials_missing").sentence.contains("looked in profile “p”"));
    assert!(world.requests().is_empty());
}

#[test]
fn a_profile_named_by_flag_wins_over_the_environment_and_one_of_aws_profile_does_not() {
    let world = one();
    let config = format!(
        "[profile right]\n{}[profile wrong]\naws_access_key_id = AKIAX\naws_secret_access_key = x\n",
        keys(&world)
    );
    let wrong_keys = |call: Call| call.env("AWS_ACCESS_KEY_ID", "AKIAWRONG").env("AWS_SECRET_ACCESS_KEY", "wrong");
    wrong_keys(job(&world).profiles(&config)).set("profile", "right").run().expect("ok");
    wrong_keys(job(&world).profiles(&config)).env("AWS_PROFILE", "right").run().expect("credentials_refused");
    job(&world).profiles(&config).env("AWS_PROFILE", "right").run().expect("ok");
    job(&world).profiles(&config).set("profile", "wrong").run().expect("credentials_refused");
}

#[test]
fn a_profile_that_does_not_exist_is_named() {
    let world = one();
    for call in [job(&world).set("profile", "none"), job(&world).profiles("").env("AWS_PROFILE", "none")] {
        let outcome = call.run().expect("credentials_failed");
        assert!(outcome.sentence.contains("no profile “none”"), "{}", outcome.sentence);
    }
}

#[test]
fn keys_in_variables_are_used_in_place_of_a_profile_that_is_not_there_and_it_is_told() {
    let world = one();
    let (id, secret) = (world.access_key().to_owned(), world.secret_key().to_owned());
    let told = |name: &str| {
        let call = job(&world).profiles("[profile here]\nregion = us-east-1\n").env("AWS_PROFILE", name);
        call.env("AWS_ACCESS_KEY_ID", &id).env("AWS_SECRET_ACCESS_KEY", &secret).run().expect("ok").notices
    };
    let is_told = |notices: &[String]| notices.iter().any(|notice| notice.contains("no AWS profile"));
    let gone = told("gone");
    assert!(is_told(&gone) && gone.iter().any(|notice| notice.contains("“gone”")), "{gone:?}");
    assert!(!is_told(&told("here")));
}

#[test]
fn temporary_credentials_and_a_secret_that_is_wrong() {
    let world = Rehearsal::builder().temporary_credentials().start().unwrap();
    job(&world).run().expect("ok");
    let outcome = job(&world).env("AWS_SECRET_ACCESS_KEY", "not-the-secret").run().expect("credentials_refused");
    outcome.never_says("not-the-secret");
}

#[test]
fn the_region_is_asked_for_and_checked() {
    let world = one();
    job(&world).without("AWS_REGION").profiles(&format!("[default]\n{}", keys(&world))).run().expect("region_missing");
    let config = format!("[default]\nregion = {}\n{}", world.region(), keys(&world));
    job(&world).without("AWS_REGION").profiles(&config).run().expect("ok");
    job(&world).without("AWS_REGION").env("AWS_DEFAULT_REGION", world.region()).run().expect("ok");
    job(&world).env("AWS_REGION", "eu-north-1").set("region", world.region()).run().expect("ok");
    let outcome = job(&world).env("AWS_REGION", "us-east-1/../x").run().expect("setting_invalid");
    assert!(outcome.sentence.contains("AWS_REGION"), "{}", outcome.sentence);
}

#[cfg(unix)]
#[test]
fn a_credential_process_is_run_waited_for_and_quoted_when_it_fails() {
    let world = one();
    let answer =
        format!(r#"{{"Version":1,"AccessKeyId":"{}","SecretAccessKey":"{}"}}"#, world.access_key(), world.secret_key());
    let call = job(&world);
    let answer = call.file("answer.json", answer);
    let config = format!("[profile p]\ncredential_process = sh -c 'sleep 2.5; cat {}'\n", answer.display());
    let outcome = call.profiles(&config).set("profile", "p").run().expect("ok");
    assert_eq!(outcome.notices, ["waiting for the AWS sign-in"]);
    let failing = "[profile p]\ncredential_process = sh -c 'echo token expired >&2; exit 3'\n";
    let outcome = job(&world).profiles(failing).set("profile", "p").run().expect("credentials_failed");
    let told = "the credential_process of profile “p” (sh, line 2 of ";
    assert!(outcome.sentence.contains(told), "{}", outcome.sentence);
    assert!(outcome.sentence.contains("ended with status 3 and said: token expired"), "{}", outcome.sentence);
}

#[test]
fn an_sso_sign_in_that_is_missing_or_over_names_the_command_that_renews_it() {
    let world = one();
    let config = "[profile work]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = r\n\
                  [profile site]\nsource_profile = work\nrole_arn = arn:aws:iam::123456789012:role/x\n\
                  [profile old]\nsso_start_url = https://corp.example/start\nsso_region = us-east-1\n\
                  sso_account_id = 123456789012\nsso_role_name = r\n\
                  [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example/start\n";
    for (profile, signs_in) in [("work", "work"), ("site", "work"), ("old", "old")] {
        let outcome = job(&world).profiles(config).set("profile", profile).run().expect("credentials_expired");
        assert!(outcome.hint.ends_with(&format!("aws sso login --profile {signs_in}")), "{}", outcome.hint);
    }
    let call = job(&world).profiles(config);
    // The cache file's name is the SHA-1 of the session's name, "corp".
    let token = r#"{"accessToken":"t0ken","expiresAt":"2020-01-01T00:00:00Z","region":"us-east-1"}"#;
    call.file("home/.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json", token);
    let outcome = call.set("profile", "work").run().expect("credentials_expired");
    outcome.never_says("t0ken");
    assert!(outcome.sentence.contains("expired"), "{}", outcome.sentence);
    assert!(world.requests().is_empty());
}

#[test]
fn a_role_is_assumed_over_https_with_the_same_client() {
    let world = one();
    let config = format!(
        "[profile base]\n{}[profile p]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n",
        keys(&world)
    );
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sts = |url: String| job(&world).profiles(&config).set("profile", "p").env("AWS_ENDPOINT_URL_STS", url).run();
    let outcome = sts(format!("https://{gone}")).expect("api_unreachable");
    assert!(outcome.sentence.starts_with("The AWS sign-in gave no answer: "), "{}", outcome.sentence);
    sts(world.endpoint_url()).expect("ok");
    let outcome = sts(String::new()).expect("credentials_failed");
    assert!(outcome.sentence.contains("AWS_ENDPOINT_URL_STS is set to nothing"), "{}", outcome.sentence);
    // Loopback is no exception: whoever listens there would be handed the one half of a role's keys, and hand out the other.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let outcome = sts(format!("http://{address}")).expect("credentials_failed");
    assert!(outcome.sentence.contains(&format!("http://{address} is not an https address")), "{}", outcome.sentence);
    assert_eq!(listener.accept().map(drop).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let outcome = sts("http://192.0.2.1".to_owned()).expect("credentials_failed");
    assert!(outcome.sentence.contains("http://192.0.2.1 is not an https address"), "{}", outcome.sentence);
}

/// The program takes them out of its environment when it starts, as to the AWS CLI they are not there.
#[test]
#[cfg(unix)]
fn an_endpoint_that_is_set_to_nothing_is_unset_for_a_role_too() {
    let world = one();
    let config = format!(
        "[profile base]\n{}[profile p]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n",
        keys(&world)
    );
    let call = Call::new(&world, "jobs", "").profiles(&config).set("profile", "p");
    let call = call.env("AWS_ENDPOINT_URL_STS", world.endpoint_url()).env("AWS_ENDPOINT_URL", "");
    assert!(call.agent(&world, &["jobs"]).status().unwrap().success());
}

#[test]
fn container_credentials_named_in_the_environment_are_used() {
    let world = Rehearsal::builder().temporary_credentials().start().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/credentials", server.local_addr().unwrap());
    let body = format!(
        r#"{{"AccessKeyId":"{}","SecretAccessKey":"{}","Token":"{}","Expiration":"2999-01-01T00:00:00Z"}}"#,
        world.access_key(),
        world.secret_key(),
        world.session_token().unwrap()
    );
    std::thread::spawn(move || {
        for mut stream in server.incoming().flatten() {
            let head = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let _ = head.take_while(|line| !line.is_empty()).count();
            let length = body.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nContent-Type: application/json\r\n\r\n");
            let _ = stream.write_all((answer + &body).as_bytes());
        }
    });
    let call = job(&world).without("AWS_SESSION_TOKEN").profiles("");
    call.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri).run().expect("ok");
    let role = "[profile p]\nrole_arn = arn:aws:iam::123456789012:role/r\ncredential_source = EcsContainer\n";
    let call = job(&world).without("AWS_SESSION_TOKEN").profiles(role).set("profile", "p");
    let call = call.env("AWS_ENDPOINT_URL_STS", world.endpoint_url());
    call.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri).run().expect("ok");
}

/// The AWS CLI would take the files below the folder that it is started in: which that is nobody said.
#[cfg(unix)]
#[test]
fn a_home_that_is_no_absolute_path_is_refused_unless_both_files_are_named() {
    let world = Rehearsal::builder().start().unwrap();
    let config = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\nregion = {}\n",
        world.access_key(),
        world.secret_key(),
        world.region()
    );
    let call = || Call::new(&world, "fetch", world.job().id()).profiles(&config);
    call().run().expect("ok");
    for home in [".", "home"] {
        let outcome = call().env("HOME", home).run().expect("credentials_failed");
        assert!(outcome.sentence.contains("HOME is not an absolute path"), "{}", outcome.sentence);
        let call = call();
        let path = call.file("named", &config).to_str().unwrap().to_owned();
        let named =
            call.env("HOME", home).env("AWS_CONFIG_FILE", path.clone()).env("AWS_SHARED_CREDENTIALS_FILE", path);
        named.run().expect("ok");
    }
}
