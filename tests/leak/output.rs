//! Neither stdout nor stderr holds the code or the address's signature, whatever the libraries are told to log.

use std::process::Output;

use snow_rehearsal::{ClientOptions, Command, Fault, Operation, Rehearsal, Times, Trick};

use crate::needles::Needles;
use crate::stage::Stage;
use crate::table;

/// How the agent can be made to speak: nothing, or options of its own.
const VOICES: [&[&str]; 6] = [&[], &["--quiet"], &["--json"], &["-v"], &["-vv"], &["-vv", "--json"]];

/// What makes the SDK and its like talk.
const TALKATIVE: [&[(&str, &str)]; 3] = [
    &[("LOG_SENSITIVE_BODIES", "true")],
    &[("RUST_LOG", "trace")],
    &[("RUST_LOG", "trace"), ("LOG_SENSITIVE_BODIES", "true"), ("RUST_BACKTRACE", "full")],
];

/// Runs the agent in every voice and surroundings; `succeeds` says how it is to end, `says` what it is to say, plainly.
#[track_caller]
fn quiet_about(stage: &Stage, what: &str, secrets: &[(&str, Needles)], succeeds: bool, says: &str) {
    let run = |mode: &[&str], variables: &[(&str, &str)]| -> Vec<u8> {
        // Open again for the next one.
        stage.rehearsal.device().power_loss();
        let Output { status, mut stdout, stderr } =
            stage.run().args(mode).envs(variables.iter().copied()).output().unwrap();
        stdout.extend(stderr);
        let text = String::from_utf8_lossy(&stdout);
        assert_eq!(status.success(), succeeds, "{what}: {text}");
        assert!(!mode.is_empty() || text.contains(says), "{what}: “{says}” is not in {text}");
        stdout
    };
    let mut text = Vec::new();
    // Each voice once, and each of the surroundings once.
    for (mode, variables) in VOICES.iter().zip(TALKATIVE.into_iter().cycle()) {
        text.extend(run(mode, variables));
    }
    text.extend(run(VOICES[0], TALKATIVE[2]));
    let signature = stage.rehearsal.issued_addresses().last().map(|_| ("signature", Needles::of(&stage.signature())));
    for (secret, needles) in secrets.iter().chain(&signature) {
        table::none(
            secret,
            &format!("stdout and stderr: {what}"),
            needles.count(&text),
            planted(stage, &text, needles),
        );
    }
}

/// The same text with the secrets in it, seen by the same look.
fn planted(stage: &Stage, text: &[u8], needles: &Needles) -> usize {
    let mut text = text.to_vec();
    let addresses = stage.rehearsal.issued_addresses().concat();
    text.extend(format!("\n{}{}\n{addresses}\n", stage.rehearsal.job().unlock_code(), FOREIGN).bytes());
    needles.count(&text)
}

/// What another program kept where the code belongs: a secret of theirs, of which nothing is to be shown either.
const FOREIGN: &str = "hunter2-and-a-half-dozen-more";

#[test]
fn a_good_answer() {
    let stage = Stage::without_keychain(Rehearsal::builder());
    quiet_about(&stage, "a good answer", &[("code", stage.code())], true, "is UNLOCKED");
}

#[test]
fn an_answer_that_can_t_be_decoded() {
    for operation in [Operation::GetJobUnlockCode, Operation::GetJobManifest] {
        let stage = Stage::without_keychain(Rehearsal::builder());
        stage.rehearsal.plant(operation, Fault::MalformedBody, Times::Always);
        let what = format!("an undecodable {operation}");
        quiet_about(&stage, &what, &[("code", stage.code())], false, "Error: ");
    }
}

#[test]
fn a_code_of_another_shape() {
    let stage = Stage::without_keychain(Rehearsal::builder());
    let text = format!("{}-", stage.rehearsal.job().unlock_code());
    stage.rehearsal.plant(Operation::GetJobUnlockCode, Fault::Text(text), Times::Always);
    quiet_about(&stage, "a code of another shape", &[("code", stage.code())], false, "30");
}

#[test]
fn a_keychain_item_that_is_no_code() {
    let stage = Stage::with_keyring(Rehearsal::builder());
    stage.bus.as_ref().unwrap().store(&["--label", "of another program"], &stage.id(), &[], FOREIGN);
    let secrets = [("foreign secret", Needles::of(FOREIGN)), ("code", stage.code())];
    quiet_about(&stage, "a keychain item that is no code", &secrets, false, "Error: ");
}

#[test]
fn a_client_that_prints_the_code() {
    // The manifest is gone when it is to unlock: it says so, with the code.
    let client = ClientOptions { tells_code: true, ..ClientOptions::default() };
    let client = client.trick(Command::DescribeDevice, Trick::DeleteManifest);
    let stage = Stage::without_keychain(Rehearsal::builder().client(client));
    quiet_about(&stage, "a client that prints the code", &[("code", stage.code())], false, "[invented]");
}

#[test]
fn a_client_that_says_the_code_to_a_look_or_a_command() {
    let client = ClientOptions::default().trick(Command::DescribeDevice, Trick::SayCode);
    let stage = Stage::with_keyring(Rehearsal::builder().client(client));
    assert!(stage.run().status().unwrap().success());
    let (id, mut text) = (stage.id(), Vec::new());
    for voice in VOICES {
        for (verb, for_client) in [(&["status"][..], &[][..]), (&["client", &id], &["describe-device"])] {
            let Output { status, stdout, stderr } = stage
                .with_client(&[verb, voice].concat(), for_client)
                .envs(TALKATIVE[2].iter().copied())
                .output()
                .unwrap();
            let said = [stdout, stderr].concat();
            let shown = String::from_utf8_lossy(&said);
            assert!(status.success(), "{verb:?} {voice:?}: {shown}");
            if !for_client.is_empty() {
                assert!(shown.contains("[invented] using [unlock code]"), "the client's words were passed on: {shown}");
            }
            text.extend(said);
        }
    }
    let (needles, place) = (stage.code(), "stdout and stderr: a client that says the code to a look or a command");
    table::none("code", place, needles.count(&text), planted(&stage, &text, &needles));
}
