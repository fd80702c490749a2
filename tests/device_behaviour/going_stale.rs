//! Hours may pass until a device answers: nothing is taken for what it was when the run began.

use std::fs;
use std::time::Duration;

use snow_onboard::model::HandOverPolicy;

use crate::handing_over::IGNORES_OUR_HOME;
use crate::stage::{CODE, MANIFEST, Stage, code_of, wait_for};

/// Hands over to a device that answers only after `meanwhile` has been done, and gives what came of it.
fn after_a_wait(stage: Stage, meanwhile: impl FnOnce(&Stage) + Send) -> (Stage, &'static str) {
    let (stage, plug_in) = stage.unplug().split();
    let outcome = std::thread::scope(|scope| {
        // The strongest leave there is: what has changed is no reason for a weaker method.
        let run =
            scope.spawn(|| code_of(stage.hand_over_by(HandOverPolicy::Argv, &|| panic!("nothing is to be asked"))));
        let waits = || stage.notices.all().iter().any(|notice| notice.contains("to start"));
        wait_for("the wait for the device", Duration::from_secs(60), waits);
        let content = stage.content();
        assert!(!content.iter().any(|text| text.contains(CODE)), "the code lies nowhere while nothing answers");
        assert_eq!(stage.homes().len(), 1, "a control");
        meanwhile(&stage);
        let _port = plug_in();
        run.join().unwrap()
    });
    (stage, outcome)
}

#[test]
fn a_pair_and_a_client_that_stay_as_they_are_are_used() {
    let (stage, outcome) = after_a_wait(Stage::new(""), |_| ());
    assert_eq!(outcome, "no error");
    assert_eq!(stage.calls("unlock-device"), 1);
    let before = stage.homes_before_code.lock().unwrap().clone();
    assert!(!before.iter().any(|text| text.contains(CODE)), "nor before it is said that it will be");
    stage.assert_the_code_was_private();
}

#[test]
fn a_client_that_is_replaced_meanwhile_is_not_given_the_code() {
    let (stage, outcome) = after_a_wait(Stage::new(""), |stage| {
        let launcher = fs::read_to_string(stage.launcher()).unwrap();
        fs::write(stage.launcher(), launcher + "\n# another one\n").unwrap();
    });
    assert_eq!(outcome, "client_changed");
    assert_eq!((stage.calls("describe-device"), stage.calls("configure"), stage.calls("unlock-device")), (0, 0, 0));
    assert!(stage.homes_before_code.lock().unwrap().is_empty(), "it was not even said to begin");
    stage.assert_the_code_was_private();
    stage.assert_nothing_left();
}

#[test]
fn a_manifest_that_changes_meanwhile_is_not_handed_over() {
    type Change = fn(&Stage);
    let changes: [Change; 3] = [
        |stage| fs::write(stage.manifest(), b"\x01manifesu").unwrap(),
        |stage| fs::write(stage.manifest(), [MANIFEST, b"!"].concat()).unwrap(),
        |stage| fs::remove_file(stage.manifest()).unwrap(),
    ];
    for change in changes {
        let (stage, outcome) = after_a_wait(Stage::new(""), change);
        assert_eq!(outcome, "pair_mismatch");
        assert_eq!((stage.calls("describe-device"), stage.calls("unlock-device")), (0, 0));
        stage.assert_the_code_was_private();
        stage.assert_nothing_left();
    }
}

#[test]
fn what_changes_while_a_question_stands_gets_no_code_on_a_command_line() {
    type Change = fn(&Stage);
    let changes: [(Change, &str); 2] = [
        (
            |stage| {
                fs::write(stage.launcher(), fs::read_to_string(stage.launcher()).unwrap() + "\n# another one\n")
                    .unwrap()
            },
            "client_changed",
        ),
        (|stage| fs::write(stage.manifest(), b"\x01manifesu").unwrap(), "pair_mismatch"),
    ];
    for (change, code) in changes {
        let stage = Stage::new(IGNORES_OUR_HOME);
        let ask = || {
            change(&stage);
            true
        };
        assert_eq!(code_of(stage.hand_over_by(HandOverPolicy::Auto, &ask)), code);
        stage.assert_the_code_was_private();
        stage.assert_nothing_left();
    }
}

#[test]
fn the_client_gets_the_address_that_was_checked_and_not_a_name() {
    let mut stage = Stage::new("");
    let port = stage.endpoint.port();
    stage.endpoint = format!("localhost:{port}").parse().unwrap();
    let _handed = stage.hand_over_by(HandOverPolicy::Private, &|| false).unwrap();
    let profile = stage.content().into_iter().find(|text| text.contains("defaultEndpoint")).unwrap();
    assert!(profile.contains(&format!("\"https://127.0.0.1:{port}\"")), "{}", profile.replace(CODE, "[CODE]"));
    assert!(!profile.contains("localhost"));
}

/// Longer than a look before the hand-over counts for what comes after it.
const LONG: Duration = Duration::from_secs(31);

/// The client's look number `at` lasts longer than that, and the client is another one by then. What the looks lead to is the
/// `variant`'s.
fn replaced_during_look(at: u32, variant: &str) -> (Stage, &'static str) {
    let waits = format!(
        "slowly() {{ echo x >>\"$W/looks\"; [ \"$(wc -l <\"$W/looks\")\" -ne {at} ] || until [ -e \"$W/go\" ]; do sleep 0.2; done; }}\n{variant}"
    );
    let stage = Stage::new(&waits);
    let outcome = std::thread::scope(|scope| {
        let run = scope.spawn(|| code_of(stage.hand_over()));
        let looks = || fs::read_to_string(stage.work().join("looks")).unwrap_or_default().lines().count();
        wait_for("that look", Duration::from_secs(60), || looks() >= at as usize);
        // Under its name; the shell that runs goes on reading the file that it has open.
        let (launcher, new) = (stage.launcher(), stage.work().join("new"));
        fs::copy(&launcher, &new).unwrap();
        fs::write(&new, fs::read_to_string(&launcher).unwrap() + "\n# another one\n").unwrap();
        fs::rename(&new, &launcher).unwrap();
        // It is this time that is looked at, not something that is waited for.
        std::thread::sleep(LONG);
        fs::write(stage.work().join("go"), "").unwrap();
        run.join().unwrap()
    });
    stage.assert_the_code_was_private();
    stage.assert_nothing_left();
    (stage, outcome)
}

const LOOKS_SLOWLY: &str = r#"describe() {
  slowly
  known "$@" || return 3
  printf '{ "DeviceId" : "%s", "UnlockStatus" : { "State" : "%s" } }' "$(id)" "$(state)"
}"#;

#[test]
fn a_client_that_is_replaced_before_the_unlock_request_does_not_send_it() {
    let (stage, outcome) = replaced_during_look(1, LOOKS_SLOWLY);
    assert_eq!((outcome, stage.calls("describe-device"), stage.calls("unlock-device")), ("client_changed", 1, 0));
}

#[test]
fn a_client_that_is_replaced_while_the_device_starts_does_not_look_again() {
    let (stage, outcome) = replaced_during_look(1, "describe() { slowly; echo 'INVENTED: starting' >&2; return 5; }");
    assert_eq!((outcome, stage.calls("describe-device"), stage.calls("configure")), ("client_changed", 1, 0));
}

#[test]
fn a_client_that_is_replaced_before_it_is_to_save_the_pair_is_not_asked_to() {
    let (stage, outcome) = replaced_during_look(2, "describe() { slowly; echo 'INVENTED: starting' >&2; return 5; }");
    assert_eq!((outcome, stage.calls("describe-device"), stage.calls("configure")), ("client_changed", 2, 0));
}
