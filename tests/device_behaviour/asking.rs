//! What an unknown client is asked before there is a secret: its version and its commands, at the same time.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::stage::{A_SECOND, Stage, code_of, is_alive, wait_for};

/// Long before the client's own limits, and long enough for a machine that runs many tests.
const SOON: Duration = Duration::from_secs(20);

/// Each is answered only when the other has been asked.
const TOGETHER: &str = r#"
await() { for _ in $(seq 200); do [ -e "$W/$1" ] && return 0; sleep 0.05; done; exit 9; }
version() { : >"$W/version-began"; await help-began; echo 'Snowball Edge client version: 1.2.0  Build 661'; }
help() { : >"$W/help-began"; await version-began; printf 'INVENTED: commands\n  describe-device\n  unlock-device\n'; }
"#;

#[test]
fn version_and_commands_are_asked_at_the_same_time_each_in_a_home_of_its_own() {
    let stage = Stage::new(TOGETHER);
    let device = stage.prepare().unwrap();
    assert_eq!(device.client_version(), Some("1.2.0"));
    assert_eq!((stage.calls("version"), stage.calls("help")), (1, 1));
    let told = stage.homes_told();
    assert_ne!(told[0], told[1]);
    assert_eq!(stage.homes(), [device.home()], "the other one is gone");
    drop(device);
    stage.assert_nothing_left();
}

#[test]
fn a_version_that_is_refused_ends_the_other_question_at_once() {
    let hangs = "help() { : >\"$W/help-began\"; sleep 600 & echo $! >>\"$W/pids\"; sleep 600; }";
    for (answer, code) in [("exit 7", "client_unusable"), ("echo 'Frostball client version: 9'", "client_unknown")] {
        let stage = Stage::new(&format!("{TOGETHER}\n{hangs}\nversion() {{ await help-began; {answer}; }}"));
        let start = Instant::now();
        assert_eq!(code_of(stage.prepare()), code);
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        stage.assert_nothing_left();
    }
}

#[test]
fn a_client_without_the_commands_is_told_after_its_version() {
    let old = "help() { printf 'INVENTED: commands\\n  configure\\n  describe-device\\n'; }";
    assert_eq!(code_of(Stage::new(old).prepare()), "client_too_old");
    let stage = Stage::new(&format!("{old}\nversion() {{ sleep 1; exit 7; }}"));
    assert_eq!(code_of(stage.prepare()), "client_unusable", "what fails first is told, whichever is known first");
    stage.assert_nothing_left();
}

/// With options with which its JVM does not start, a client says nothing of its commands.
#[test]
fn commands_are_asked_anew_with_the_options_that_work() {
    let other_jvm = "case $JAVA_TOOL_OPTIONS in *-XX*) echo 'INVENTED: unrecognised option' >&2; exit 1;; esac";
    let old = "help() { echo '  describe-device'; }";
    let stage = Stage::new(&format!("{old}\n{other_jvm}"));
    assert_eq!(code_of(stage.prepare()), "client_too_old");
    assert_eq!((stage.calls("version"), stage.calls("help")), (2, 2));
    stage.assert_nothing_left();
}

#[test]
fn commands_are_asked_anew_where_their_guard_was_killed() {
    let stage = Stage::new("help() { [ -e \"$W/again\" ] && exit 0; : >\"$W/again\"; kill -9 $PPID; sleep 600; }");
    assert_eq!(code_of(stage.prepare()), "no error");
    assert_eq!(stage.calls("help"), 2);
    stage.assert_nothing_left();
}

#[test]
fn when_the_agent_is_killed_neither_question_stays() {
    let stage = Stage::new(
        "version() { sleep 600 & echo $! >>\"$W/pids\"; sleep 600; }
help() { sleep 600 & echo $! >>\"$W/pids\"; sleep 600; }",
    );
    let mut agent = stage.agent_to_be_killed();
    wait_for("both to be asked", Duration::from_secs(60), || stage.pids().len() == 4);
    assert_eq!(stage.homes().len(), 2);
    kill_process(Pid::from_child(&agent), Signal::KILL).unwrap();
    stage.assert_nothing_left();
    let guards = std::fs::read_to_string(stage.work().join("guard")).unwrap();
    let guards: Vec<i32> = guards.lines().map(|pid| pid.parse().unwrap()).collect();
    wait_for("the end of both guards", A_SECOND, || guards.iter().all(|pid| !is_alive(*pid)));
    agent.wait().unwrap();
}
