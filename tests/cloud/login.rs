//! `aws login`: what the AWS CLI keeps of a sign-in is used, renewed, and asked for when it is over.

use std::net::TcpListener;

use sha2::{Digest as _, Sha256};
use snow_rehearsal::{REFRESH_TOKEN, Rehearsal};

use crate::child::{Call, Outcome};

const SESSION: &str = "arn:aws:iam::123456789012:user/operator";

/// A key that nobody has signed with in earnest.
const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIFDZHUzOG1Pzq+6F0mjMlOSp1syN9LRPBuHMoCFXTcXhoAoGCCqGSM49\n\
AwEHoUQDQgAE9qhj+KtcdHj1kVgwxWWWw++tqoh7H7UHs7oXh8jBbgF47rrYGC+t\ndjiIaHK3dBvvdE7MGj5HsepzLm3Kj91bqA==\n\
-----END EC PRIVATE KEY-----\n";

/// A machine that has signed in, with keys that are good until then.
struct SignedIn {
    world: Rehearsal,
    kept: Option<String>,
    sign_in: String,
}

impl SignedIn {
    fn until(expires: &str, refresh: &str) -> Self {
        let world = Rehearsal::builder().temporary_credentials().start().unwrap();
        let kept = serde_json::json!({
            "accessToken": {
                "accessKeyId": world.access_key(), "secretAccessKey": world.secret_key(),
                "sessionToken": world.session_token().unwrap(), "accountId": "123456789012", "expiresAt": expires,
            },
            "tokenType": "aws_sigv4", "refreshToken": refresh, "idToken": "x", "dpopKey": KEY,
            "clientId": "arn:aws:signin:::devtools/same-device",
        });
        let sign_in = world.endpoint_url();
        Self { world, kept: Some(kept.to_string()), sign_in }
    }

    /// `p` signs in, and `site` borrows from it.
    fn call(&self, what: &str, profile: &str) -> Outcome {
        let config = format!(
            "[profile p]\nlogin_session = {SESSION}\n\
             [profile site]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = p\n"
        );
        let call = Call::new(&self.world, what, self.world.job().id()).profiles(&config).without("AWS_SESSION_TOKEN");
        if let Some(kept) = &self.kept {
            let name: String = Sha256::digest(SESSION).iter().map(|byte| format!("{byte:02x}")).collect();
            call.file(&format!("home/.aws/login/cache/{name}.json"), kept);
        }
        let outcome = call.set("profile", profile).env("AWS_ENDPOINT_URL_SIGNIN", &*self.sign_in).run();
        outcome.never_says(self.world.session_token().unwrap());
        outcome.never_says(self.world.secret_key());
        outcome
    }

    fn asked(&self, operation: &str) -> usize {
        self.world.requests().iter().filter(|request| request.operation == operation).count()
    }
}

#[test]
fn a_sign_in_that_is_kept_is_used_without_asking_anybody() {
    let machine = SignedIn::until("2099-01-01T00:00:00Z", REFRESH_TOKEN);
    machine.call("jobs", "p").expect("ok");
    machine.call("jobs", "site").expect("ok");
    assert_eq!((machine.asked("POST /v1/token"), machine.asked("AssumeRole")), (0, 1));
    let outcome = machine.call("identity", "p").expect("ok");
    assert_eq!(outcome.answer["source"], "profile “p”, signed in with “aws login”");
    assert_eq!(outcome.answer["sign_in"], "aws login --profile p");
    assert_eq!(machine.call("identity", "site").answer["source"], "profile “site”, which assumes a role");
    assert_eq!(outcome.answer["expires"], 4_070_908_800_i64);
}

#[test]
fn one_that_is_over_is_renewed() {
    let machine = SignedIn::until("2020-01-01T00:00:00Z", REFRESH_TOKEN);
    machine.call("jobs", "p").expect("ok");
    machine.call("jobs", "site").expect("ok");
    assert_eq!(machine.asked("POST /v1/token"), 2, "each call has a home of its own");
}

#[test]
fn one_that_can_t_be_renewed_names_the_command_that_signs_in() {
    let over = SignedIn::until("2020-01-01T00:00:00Z", "of-last-year");
    let missing = SignedIn { kept: None, ..SignedIn::until("2099-01-01T00:00:00Z", "") };
    let broken = SignedIn::until("2099-01-01T00:00:00Z", "");
    let cut = broken.kept.as_ref().map(|kept| kept.replace("\"accountId\"", "").replace("\"tokenType\":", ""));
    let broken = SignedIn { kept: cut, ..broken };
    for machine in [over, missing, broken] {
        for profile in ["p", "site"] {
            let outcome = machine.call("jobs", profile).expect("credentials_expired");
            assert!(outcome.hint.ends_with("\n  aws login --profile p"), "{}", outcome.hint);
        }
        assert_eq!(machine.asked("ListJobs"), 0);
    }
}

#[test]
fn where_the_sign_in_service_can_t_be_reached_that_is_said() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let machine =
        SignedIn { sign_in: format!("https://{gone}"), ..SignedIn::until("2020-01-01T00:00:00Z", REFRESH_TOKEN) };
    let outcome = machine.call("jobs", "p").expect("api_unreachable");
    assert!(outcome.sentence.starts_with("The AWS sign-in gave no answer: "), "{}", outcome.sentence);
}
