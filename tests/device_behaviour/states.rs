//! What the device says, and what is made of it.

use std::time::{Duration, Instant};

use snow_onboard::model::HandOverPolicy;

use crate::stage::{CODE, JOB, Stage, code_of};

const WAIT: Duration = Duration::from_secs(60);

#[test]
fn a_device_that_is_open_already_is_not_asked_to_open() {
    let stage = Stage::new("");
    stage.device_says(&["UNLOCKED"]);
    let unlocked = stage.hand_over().unwrap().wait_until_unlocked(WAIT, &|_| ()).unwrap();
    assert!(unlocked.was_open_already);
    assert_eq!((unlocked.device_id.as_deref(), stage.calls("unlock-device")), (Some(JOB), 0));
    stage.assert_nothing_left();
}

#[test]
fn a_device_that_is_opening_already_is_not_asked_again() {
    let stage = Stage::new("");
    stage.device_says(&["UNLOCKING", "UNLOCKING", "UNLOCKED"]);
    let unlocked = stage.hand_over().unwrap().wait_until_unlocked(WAIT, &|_| ()).unwrap();
    assert!(!unlocked.was_open_already);
    assert_eq!((stage.calls("unlock-device"), stage.calls("describe-device")), (0, 3));
}

#[test]
fn the_device_of_another_job_is_left_alone_even_when_open() {
    for state in ["LOCKED", "UNLOCKED"] {
        let stage = Stage::new("id() { printf JID00000000-0000-0000-0000-000000000000; }");
        stage.device_says(&[state]);
        let error = stage.hand_over().err().unwrap();
        assert_eq!(error.code(), "device_is_another");
        assert!(error.to_string().contains("JID00000000-0000-0000-0000-000000000000"), "{error}");
        assert_eq!(stage.calls("unlock-device"), 0);
        stage.assert_nothing_left();
    }
}

#[test]
fn a_device_that_becomes_another_is_noticed() {
    let stage = Stage::new(
        "id() { if grep -q '^args: unlock' \"$W/seen\"; then printf JID-OTHER; else printf %s \"$JOB\"; fi; }",
    );
    let handed = stage.hand_over().unwrap();
    assert_eq!(code_of(handed.wait_until_unlocked(WAIT, &|_| ())), "device_is_another");
    stage.assert_nothing_left();
}

#[test]
fn a_device_that_never_says_whose_it_is_is_no_success() {
    let stage = Stage::new("id() { :; }");
    let handed = stage.hand_over().unwrap();
    assert!(stage.notices.all().iter().any(|notice| notice.contains("reports no job id")));
    assert_eq!(code_of(handed.wait_until_unlocked(WAIT, &|_| ())), "device_unidentified");
    stage.assert_nothing_left();
    // It is open by now.
    assert_eq!(code_of(stage.hand_over()), "device_unidentified");
    assert_eq!(stage.calls("unlock-device"), 1);
    stage.assert_nothing_left();
}

#[test]
fn an_id_that_was_told_once_is_not_forgotten() {
    // Told while it is opening, not when it is open.
    let stage = Stage::new("id() { if grep -q UNLOCKING \"$W/states\"; then printf %s \"$JOB\"; fi; }");
    let unlocked = stage.hand_over().unwrap().wait_until_unlocked(WAIT, &|_| ()).unwrap();
    assert_eq!(unlocked.device_id.as_deref(), Some(JOB));
}

#[test]
fn a_command_to_paste_never_repeats_what_a_device_says() {
    for (id, pasted) in [("JID00000000-0000-0000-0000-000000000000", true), ("JID-1;INVENTED", false)] {
        let stage = Stage::new(&format!("id() {{ printf '%s' '{id}'; }}"));
        let report = stage.hand_over().err().unwrap().report();
        assert_eq!(report.code, "device_is_another");
        assert_eq!(report.hint.contains(&format!("snow-onboard run {id} --endpoint")), pasted, "{}", report.hint);
        assert!(pasted || !report.hint.contains("INVENTED"), "{}", report.hint);
    }
}

#[test]
fn a_success_that_changes_nothing_ends_with_the_time() {
    let stage = Stage::new("unlock() { echo 'INVENTED: fine'; }");
    let handed = stage.hand_over().unwrap();
    let error = handed.wait_until_unlocked(Duration::from_secs(4), &|_| ()).unwrap_err();
    assert_eq!(error.code(), "device_timeout");
    assert!(error.to_string().contains("LOCKED"), "{error}");
    assert_eq!(stage.calls("unlock-device"), 1);
    assert!(stage.notices.all().iter().any(|notice| notice.contains("to unlock (it reports LOCKED)")));
    stage.assert_nothing_left();
}

#[test]
fn a_device_that_locks_itself_again_is_told() {
    let stage = Stage::new("unlock() { printf 'UNLOCKING\\nLOCKED\\n' >\"$W/states\"; }");
    assert_eq!(code_of(stage.hand_over().unwrap().wait_until_unlocked(WAIT, &|_| ())), "device_relocked");
    assert_eq!(stage.calls("unlock-device"), 1);
    stage.assert_nothing_left();
}

#[test]
fn a_refused_request_is_not_repeated_and_its_text_is_cleaned() {
    let stage = Stage::new("unlock() { printf 'INVENTED: \\033[31mnot with %s\\n' \"$CODE\" >&2; return 9; }");
    let error = stage.hand_over().err().unwrap();
    assert_eq!(error.code(), "device_refused");
    assert!(error.to_string().ends_with("` failed: INVENTED: not with [unlock code]"), "{error}");
    assert_eq!(stage.calls("unlock-device"), 1);
    stage.assert_nothing_left();
}

#[test]
fn what_the_client_logged_is_given_away_before_its_home_goes() {
    let log = "printf 'INVENTED: opening with %s\\n' \"$CODE\" >\"$HOME/.aws/snowball/logs/today\"";
    let refuses = Stage::new(&format!("unlock() {{ {log}; return 9; }}"));
    assert_eq!(code_of(refuses.hand_over()), "device_refused");
    let locks_again = Stage::new(&format!("unlock() {{ {log}; printf 'UNLOCKING\\nLOCKED\\n' >\"$W/states\"; }}"));
    let handed = locks_again.hand_over().unwrap();
    assert!(locks_again.logs.lock().unwrap().is_empty(), "nothing has failed yet");
    assert_eq!(code_of(handed.wait_until_unlocked(WAIT, &locks_again.keep_log())), "device_relocked");
    for stage in [refuses, locks_again] {
        let logs = stage.logs.lock().unwrap().clone();
        let [log] = &logs[..] else { panic!("one log: {logs:?}") };
        assert!(log.contains("/logs/today (") && log.contains("opening with [unlock code]"), "{log}");
        assert!(!log.contains(&CODE[..12]), "{log}");
        stage.assert_nothing_left();
    }
}

#[test]
fn a_request_that_fails_but_arrives_counts() {
    let stage = Stage::new("unlock() { printf 'UNLOCKING\\nUNLOCKED\\n' >\"$W/states\"; return 9; }");
    stage.hand_over().unwrap().wait_until_unlocked(WAIT, &|_| ()).unwrap();
    assert_eq!(stage.calls("unlock-device"), 1);
}

#[test]
fn a_device_that_is_still_starting_is_waited_for() {
    // Nothing answers at first, and when the port does, the services behind it are not up yet.
    let (stage, plug_in) = Stage::new("
known() { [ -e \"$W/up\" ] || { echo 'INVENTED: connection refused' >&2; return 1; }; grep -q \"$CODE\" \"$(config)\"; }").unplug().split();
    let work = stage.work();
    let device = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1500));
        let port = plug_in();
        std::thread::sleep(Duration::from_millis(300));
        std::fs::write(work.join("up"), "").unwrap();
        port
    });
    stage.hand_over().unwrap().wait_until_unlocked(WAIT, &|_| ()).unwrap();
    device.join().unwrap();
    assert!(stage.notices.all().iter().any(|notice| notice.contains("to start")));
    assert_eq!(stage.calls("configure"), 0, "no weaker way was tried for want of a device");
}

#[test]
fn the_client_is_told_nothing_before_the_device_answers() {
    let (mut stage, _) = Stage::new("").unplug().split();
    stage.patience = Duration::from_secs(3);
    assert_eq!(code_of(stage.hand_over_by(HandOverPolicy::Argv, &|| true)), "device_unreachable");
    assert_eq!((stage.calls("describe-device"), stage.calls("configure")), (0, 0));
    // A name that can't be looked up is no device that starts (RFC 6761: "invalid" never leads anywhere).
    let mut stage = Stage::new("");
    stage.patience = Duration::from_secs(3);
    stage.endpoint = "device.invalid:9091".parse().unwrap();
    let start = std::time::Instant::now();
    let error = stage.hand_over().err().unwrap();
    assert_eq!(error.code(), "device_name_unknown");
    assert!(error.to_string().contains("looked up") && start.elapsed() < Duration::from_secs(15), "{error}");
    assert_eq!((stage.calls("describe-device"), stage.calls("version")), (0, 1));
    stage.assert_nothing_left();
}

#[test]
fn a_device_that_never_starts_is_unreachable() {
    let (mut stage, _) = Stage::new("known() { return 1; }").unplug().split();
    stage.patience = Duration::from_secs(3);
    let start = Instant::now();
    assert_eq!(code_of(stage.hand_over()), "device_unreachable");
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(stage.calls("configure"), 0);
    stage.assert_nothing_left();
}
