//! Who asks, and whether AWS lets them.

use std::fs;

use snow_rehearsal::Fault as Answer;
use snow_rehearsal::Operation::{DescribeJob, GetJobManifest, GetJobUnlockCode, ListJobs};
use snow_rehearsal::Times::Always;

use crate::row::Verb::{Fetch, Jobs, Refresh, Run};
use crate::row::{Fault, Given, Row};
use crate::scene::Scene;

const KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

pub(crate) fn rows() -> Vec<Row> {
    let env = |pairs: &[(&'static str, Option<&str>)]| {
        Fault::Env(pairs.iter().map(|(name, value)| (*name, value.map(str::to_owned))).collect())
    };
    let none = || env(&KEYS.map(|name| (name, None)));
    let every = |code| Fault::EveryCall(Answer::Refused(400, code), Always);
    let mut rows = vec![
        Row::new(Run, "no credentials", none()).fails(4, "credentials_missing"),
        Row::new(Refresh, "no credentials", none()).given(Given::Stale).fails(4, "credentials_missing"),
        Row::new(Jobs, "no credentials", none()).fails(4, "credentials_missing"),
        Row::new(Run, "no credentials", none()).given(Given::Pair).well(),
        Row::new(Fetch, "a wrong secret", env(&[("AWS_SECRET_ACCESS_KEY", Some("wrong"))]))
            .fails(4, "credentials_refused"),
        Row::new(Fetch, "a key that is unknown", env(&[("AWS_ACCESS_KEY_ID", Some("AKIA0000000000000000"))]))
            .fails(4, "credentials_refused"),
        Row::new(Fetch, "a session token of nobody", env(&[("AWS_SESSION_TOKEN", Some("nobody's"))]))
            .fails(4, "credentials_refused"),
        Row::new(Fetch, "no region", env(&[("AWS_REGION", None)])).fails(4, "region_missing"),
        Row::new(Run, "a sign-in that has expired", every("ExpiredTokenException")).fails(4, "credentials_expired"),
        Row::new(Refresh, "a sign-in that has expired", every("ExpiredTokenException"))
            .given(Given::Stale)
            .fails(4, "credentials_expired"),
        Row::new(Fetch, "a request that is said to be of another time", every("RequestExpired")).fails(4, "clock_skew"),
        Row::new(Fetch, "an account that is not signed up", every("OptInRequired")).fails(4, "not_activated"),
    ];
    for operation in [DescribeJob, GetJobManifest, GetJobUnlockCode] {
        let denied = Fault::Api(operation, Answer::AccessDenied, Always);
        rows.push(Row::new(Run, format!("{operation} is not allowed"), denied).fails(4, "access_denied"));
    }
    let denied = |operation| Fault::Api(operation, Answer::AccessDenied, Always);
    rows.extend([
        Row::new(Refresh, "GetJobUnlockCode is not allowed", denied(GetJobUnlockCode))
            .given(Given::Stale)
            .fails(4, "access_denied"),
        Row::new(Jobs, "ListJobs is not allowed", denied(ListJobs)).fails(4, "access_denied"),
        Row::new(Jobs, "DescribeJob is not allowed", denied(DescribeJob)).well(),
        Row::new(Fetch, "a profile that is not there", Fault::Do(|scene| sign_in(scene, ""), keys_again))
            .fails(4, "credentials_failed"),
        Row::new(Fetch, "a sign-in that was never made", Fault::Do(|scene| sign_in(scene, SSO), keys_again))
            .fails(4, "credentials_expired"),
        Row::new(Fetch, "a sign-in of last year", Fault::Do(sign_in_of_last_year, keys_again))
            .fails(4, "credentials_expired"),
        Row::new(Fetch, "a credential process that fails", Fault::Do(|scene| sign_in(scene, PROCESS), keys_again))
            .fails(4, "credentials_failed"),
        Row::new(Fetch, "a role that asks for a one-time code", Fault::Do(|scene| sign_in(scene, MFA), keys_again))
            .fails(4, "mfa_code_needed"),
    ]);
    rows
}

const SSO: &str = "[profile field]\nsso_session = field\nsso_account_id = 123456789012\nsso_role_name = operator\n\
                   [sso-session field]\nsso_region = us-east-1\nsso_start_url = https://127.0.0.1:9/start\n";
const PROCESS: &str = if cfg!(windows) {
    "[profile field]\ncredential_process = cmd.exe /c exit 1\n"
} else {
    "[profile field]\ncredential_process = /bin/false\n"
};
const MFA: &str = "[profile field]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n\
                   mfa_serial = arn:aws:iam::123456789012:mfa/operator\n\
                   [profile base]\naws_access_key_id = AKIAX\naws_secret_access_key = x\n";
/// SHA-1 of the session's name, `field`, as the AWS CLI calls the file.
const SSO_FILE: &str = "2da0b68df8841752bb747a76780679bcd87c6215";

/// Uses a profile instead of the keys.
fn sign_in(scene: &Scene<'_>, config: &str) {
    let folder = scene.rehearsal.home().join(".aws");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config"), config).unwrap();
    KEYS.iter().for_each(|name| scene.env(name, None));
    scene.env("AWS_PROFILE", Some("field"));
}

fn sign_in_of_last_year(scene: &Scene<'_>) {
    sign_in(scene, SSO);
    let cache = scene.rehearsal.home().join(".aws/sso/cache");
    fs::create_dir_all(&cache).unwrap();
    let token = r#"{"accessToken": "[invented]", "expiresAt": "2025-01-01T00:00:00Z", "region": "us-east-1", "startUrl": "https://127.0.0.1:9/start"}"#;
    fs::write(cache.join(format!("{SSO_FILE}.json")), token).unwrap();
}

fn keys_again(scene: &Scene<'_>) {
    scene.change(|state| {
        for name in KEYS.into_iter().chain(["AWS_PROFILE"]) {
            state.env.remove(name);
        }
    });
}
