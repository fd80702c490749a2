//! By which method the code reaches the client, and what others get to see of it.

use std::cell::Cell;
use std::time::Duration;

use snow_onboard::device::{ArgvExposure, ClientSettings};
use snow_onboard::error::Error;
use snow_onboard::model::{HandOverMethod, HandOverPolicy, Origin, Sourced};

use crate::stage::{CODE, JOB, Stage, code_of};

const WAIT: Duration = Duration::from_secs(60);

/// A client that keeps its settings in its own form: it does not take a profile that it did not write.
const OWN_FORM: &str = r#"
known() { grep -q "written by the client: $CODE" "$(config)"; }
ask() { printf '%s ' "$1"; read -r answer || exit 5; }
converse() {
  echo "Configuration will stored at $(config)"
  ask 'Snowball Edge Manifest Path:'; manifest=$answer
  ask 'Unlock Code:'; code=$answer
  [ "$code" = "$CODE" ] || { echo "INVENTED: $code does not fit" >&2; exit 6; }
  ask 'Default Endpoint:'
  [ -f "$(config)" ] && exit 7
  printf 'written by the client: %s %s %s\n' "$code" "$manifest" "$answer" >"$(config)"
}
"#;

#[test]
fn by_a_profile_in_a_home_with_a_space_and_an_umlaut() {
    let stage =
        Stage::new("version() { ls -ldR \"$home\" >\"$W/home\"; echo 'Snowball client version: 1.2.0  Build 254'; }");
    let device = stage.prepare().unwrap();
    assert_eq!(device.client_version(), Some("1.2.0"));
    assert!(device.home().starts_with(stage.place().canonicalize().unwrap()));
    drop(device);
    stage.assert_nothing_left();

    let handed = stage.hand_over().unwrap();
    assert_eq!(handed.method(), HandOverMethod::Profile);
    assert!(
        stage.homes_told().iter().all(|home| home.parent().unwrap().ends_with("Jürgen Müller")),
        "as told to the client"
    );
    let homes = stage.homes();
    let profile = homes[0].join(".aws/snowball/config/snowball-edge.config");
    assert_eq!(homes.len(), 1);
    assert_eq!(snow_onboard::safety::path_trust::privacy_flaw(&homes[0]).unwrap(), None);
    assert_eq!(snow_onboard::safety::path_trust::privacy_flaw(&profile).unwrap(), None);
    assert!(std::fs::read_to_string(&profile).unwrap().contains(CODE));
    let unlocked = handed.wait_until_unlocked(WAIT, &|_| ()).unwrap();
    assert_eq!((unlocked.device_id.as_deref(), unlocked.method), (Some(JOB), HandOverMethod::Profile));
    assert_eq!((unlocked.argv_seconds, unlocked.was_open_already), (None, false));
    assert!(stage.homes().is_empty(), "gone at once, not some time after");
    assert_eq!(stage.calls("unlock-device"), 1);
    stage.assert_the_code_was_private();
    stage.assert_nothing_left();
}

#[test]
fn the_client_sees_an_allow_list_and_stands_nowhere() {
    let stage = Stage::new("");
    let _handed = stage.hand_over().unwrap();
    let seen = stage.seen();
    let home = stage.homes()[0].canonicalize().unwrap();
    for line in seen.lines() {
        if let Some(folder) = line.strip_prefix("cwd: ") {
            assert_eq!(folder, "/");
        } else if let Some(umask) = line.strip_prefix("umask: ") {
            assert_eq!(umask.trim_start_matches('0'), "77");
        } else if let Some((name, _)) = line.strip_prefix("env: ").and_then(|line| line.split_once('=')) {
            let allowed = [
                "PATH",
                "TMPDIR",
                "LANG",
                "LC_ALL",
                "HOME",
                "USERPROFILE",
                "JAVA_TOOL_OPTIONS",
                "PWD",
                "OLDPWD",
                "SHLVL",
                "_",
            ];
            assert!(allowed.contains(&name), "{name}");
        }
    }
    assert!(seen.contains(&format!("env: HOME={}\n", home.display())), "{seen}");
    assert!(seen.contains("env: LC_ALL=C.UTF-8\n"));
}

#[test]
fn by_configure_on_a_pipe() {
    let stage = Stage::new(&format!("{OWN_FORM}\nconfigure() {{ converse; }}"));
    let handed = stage.hand_over().unwrap();
    assert_eq!(handed.method(), HandOverMethod::Configure);
    let home = &stage.homes()[0];
    let written = std::fs::read_to_string(home.join(".aws/snowball/config/snowball-edge.config")).unwrap();
    let expected = format!("written by the client: {CODE} {} https://{}\n", stage.manifest().display(), stage.endpoint);
    assert_eq!(written, expected);
    let files: Vec<_> = std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!files.iter().any(|name| name == "code"), "our own file is gone: {files:?}");
    handed.wait_until_unlocked(WAIT, &|_| ()).unwrap();
    stage.assert_the_code_was_private();
    stage.assert_nothing_left();
}

#[test]
fn by_configure_on_a_terminal_without_echo_where_a_pipe_is_not_taken() {
    let stage = Stage::new(&format!(
        r#"{OWN_FORM}
configure() {{
  if ! [ -t 0 ] || ! [ -t 1 ]; then echo 'INVENTED: this wants a terminal' >&2; exit 1; fi
  stty -a >"$W/terminal"
  ps -o tty= -p $$ >"$W/tty"
  converse
}}"#
    ));
    let handed = stage.hand_over().unwrap();
    assert_eq!((handed.method(), stage.calls("configure")), (HandOverMethod::Configure, 2));
    let terminal = std::fs::read_to_string(stage.work().join("terminal")).unwrap();
    assert!(terminal.split_whitespace().any(|word| word.trim_end_matches(';') == "-echo"), "{terminal}");
    let mut ps = std::process::Command::new("ps");
    let ours = ps.args(["-o", "tty=", "-p", &std::process::id().to_string()]).output().unwrap().stdout;
    let ours = String::from_utf8(ours).unwrap();
    let theirs = std::fs::read_to_string(stage.work().join("tty")).unwrap();
    assert_ne!(ours.trim(), theirs.trim(), "the operator's terminal is not the client's to open");
    handed.wait_until_unlocked(WAIT, &|_| ()).unwrap();
    stage.assert_the_code_was_private();
    stage.assert_nothing_left();
}

#[test]
fn by_configure_on_a_terminal_where_a_pipe_holds_the_prompts_back() {
    let stage =
        Stage::new(&format!("{OWN_FORM}\nconfigure() {{ if [ -t 1 ]; then converse; else cat >/dev/null; fi; }}"));
    let handed = stage.hand_over().unwrap();
    assert_eq!((handed.method(), stage.calls("configure")), (HandOverMethod::Configure, 2));
    stage.assert_the_code_was_private();
}

#[test]
fn a_configure_that_refuses_the_code_twice_ends_the_run_within_a_minute() {
    let start = std::time::Instant::now();
    let stage = Stage::new(&format!("{OWN_FORM}\nconfigure() {{ CODE=another; converse; }}"));
    let error = stage.hand_over_by(HandOverPolicy::Argv, &|| true).err().unwrap();
    assert_eq!(error.code(), "pair_refused");
    assert!(error.to_string().contains("[unlock code] does not fit"), "{error}");
    assert!(error.report().hint.contains(&format!("fetch --refresh {JOB}")), "{}", error.report().hint);
    assert_eq!(stage.calls("configure"), 2);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    stage.assert_the_code_was_private();
    stage.assert_nothing_left();
}

/// One that never worked says nothing of the pair.
#[test]
fn one_refusal_of_configure_does_not_end_the_run() {
    let stage = Stage::new(&format!(
        r#"{OWN_FORM}
known() {{ [ -e "$W/up" ] && grep -q "$CODE" "$(config)"; }}
configure() {{ : >"$W/up"; CODE=another; converse; }}"#
    ));
    let handed = stage.hand_over().unwrap();
    assert_eq!((handed.method(), stage.calls("configure")), (HandOverMethod::Profile, 1));
    handed.wait_until_unlocked(WAIT, &|_| ()).unwrap();
    stage.assert_the_code_was_private();
    stage.assert_nothing_left();
}

/// A device that starts has an open port long before its services, and a client whose `configure` fails, early or late, says
/// nothing of the pair: as long as it contacts the device, that is waited for.
#[test]
fn a_device_that_boots_with_its_port_open_is_opened_whatever_configure_does() {
    let configures = [
        "converse() { echo \"Configuration will stored at $(config)\"; for a in 'Manifest Path:' 'Unlock Code:' 'Default Endpoint:'; do printf '%s ' \"$a\"; read -r x; done; rm -f \"$(config)\"; exit 6; }; converse",
        "echo INVENTED: no configure here >&2; return 4",
        "echo 'Configuration will stored at /nowhere'; read -r x",
    ];
    let boots = |configure: &str| {
        let stage = Stage::new(&format!(
            r#"
describe() {{
  known "$@" || {{ echo 'INVENTED: no such profile' >&2; return 3; }}
  address=$(sed -n 's|.*"defaultEndpoint":"https://\([^"]*\)".*|\1|p' "$(config)")
  case $address in *:*) ;; *) address=$address:9091 ;; esac
  bash -c "exec 3<>/dev/tcp/${{address%:*}}/${{address##*:}}" || return 5
  [ -n "$(find "$W/off" -mmin -0.5)" ] && {{ echo 'INVENTED: services not up' >&2; return 5; }}
  printf '{{"DeviceId":"%s","UnlockStatus":{{"State":"%s"}}}}\n' "$JOB" "$(state)"
}}
configure() {{ {configure}; }}"#
        ));
        std::fs::write(stage.work().join("off"), "").unwrap();
        let handed = stage.hand_over().unwrap();
        assert_eq!(handed.method(), HandOverMethod::Profile, "{configure}");
        handed.wait_until_unlocked(WAIT, &|_| ()).unwrap();
        stage.assert_the_code_was_private();
        stage.assert_nothing_left();
    };
    std::thread::scope(|scope| {
        for configure in configures {
            scope.spawn(move || boots(configure));
        }
    });
}

/// As a client of a Snowcone does.
#[test]
fn configure_may_name_another_file_in_the_home_and_none_elsewhere() {
    let other = OWN_FORM.replace("Snowball Edge Manifest Path:", "Snowcone Manifest Path:");
    let other = other.replacen(
        "known()",
        "config() { printf %s \"$home/.aws/snowball/config/snowball-.config\"; }\nknown()",
        1,
    );
    let stage = Stage::new(&format!("{other}\nconfigure() {{ converse; }}"));
    let handed = stage.hand_over().unwrap();
    assert_eq!(handed.method(), HandOverMethod::Configure);
    handed.wait_until_unlocked(WAIT, &|_| ()).unwrap();
    stage.assert_the_code_was_private();
    // A link of that name that leads out of it.
    let out = format!("{other}\nconfigure() {{ ln -s \"$W/out\" \"$(config)\"; converse; }}")
        .replace(r#"[ -f "$(config)" ] && exit 7"#, "");
    let stage = Stage::new(&out);
    let error = stage.hand_over().err().unwrap();
    assert!(error.to_string().contains("somewhere else"), "{error}");
}

/// A stale manifest, or another device: code and manifest belong together, the port answers, and nothing comes of it.
#[test]
fn what_the_client_says_of_a_device_that_answers_is_shown_within_a_minute_and_the_wait_goes_on() {
    let stage = Stage::new(&format!(
        r#"{OWN_FORM}
describe() {{ [ -e "$W/up" ] || {{ echo "INVENTED: not with $CODE" >&2; return 5; }}; printf '{{"DeviceId":"%s","UnlockStatus":{{"State":"%s"}}}}\n' "$JOB" "$(state)"; }}
configure() {{ converse; }}"#
    ));
    let (work, notices, start) = (stage.work(), std::sync::Arc::clone(&stage.notices), std::time::Instant::now());
    let shown =
        move || notices.all().into_iter().filter(|notice| notice.contains("The client said:")).collect::<Vec<_>>();
    let watched = shown.clone();
    let watching = std::thread::spawn(move || {
        crate::stage::wait_for("the client's words", Duration::from_secs(60), || !watched().is_empty());
        let took = start.elapsed();
        std::fs::write(work.join("up"), "").unwrap();
        took
    });
    let mut stage = stage;
    stage.patience = Duration::from_secs(180);
    let handed = stage.hand_over().unwrap();
    assert!(watching.join().unwrap() < Duration::from_secs(60));
    let [words] = &shown()[..] else { panic!("shown once: {:?}", shown()) };
    assert!(words.contains("INVENTED: not with [unlock code]") && words.contains("fetch --refresh"), "{words}");
    handed.wait_until_unlocked(WAIT, &|_| ()).unwrap();
    stage.assert_the_code_was_private();
}

/// Takes its home from the password database, as a JVM does that nobody told otherwise.
pub const IGNORES_OUR_HOME: &str = r#"
home="$W/real-home"
configure() { echo "Configuration will be stored at $(config)"; printf 'Snowball Edge Manifest Path: '; read -r x && echo "$x" >"$W/told"; }
"#;

#[test]
fn a_client_that_ignores_our_home_learns_nothing_by_private_ways() {
    let stage = Stage::new(IGNORES_OUR_HOME);
    let error = stage.hand_over().err().unwrap();
    assert_eq!(error.code(), "hand_over_refused");
    let text = error.to_string();
    assert!(text.contains("real-home") && text.contains("INVENTED: no such profile"), "{text}");
    assert!(!stage.work().join("told").exists(), "not even the manifest's path");
    assert_eq!(stage.calls("unlock-device"), 0);
    stage.assert_the_code_was_private();
    stage.assert_nothing_left();
}

/// Before the question the home is emptied; what was logged until then is not lost by that.
#[test]
fn the_log_survives_a_question_that_is_answered_by_no() {
    let log = r#"describe() { echo 'INVENTED: no such profile' >"$HOME/.aws/snowball/logs/today"; return 3; }"#;
    let stage = Stage::new(&format!("{IGNORES_OUR_HOME}{log}"));
    assert_eq!(code_of(stage.hand_over_by(HandOverPolicy::Auto, &|| false)), "hand_over_refused");
    let logs = stage.logs.lock().unwrap().clone();
    assert!(matches!(&logs[..], [log] if log.contains("INVENTED: no such profile")), "{logs:?}");
}

#[test]
fn the_command_line_is_used_by_leave_alone_and_its_time_is_told() {
    let stage = Stage::new(IGNORES_OUR_HOME);
    let asked = Cell::new(0);
    let refuse = || {
        asked.set(asked.get() + 1);
        false
    };
    assert_eq!(code_of(stage.hand_over_by(HandOverPolicy::Auto, &refuse)), "hand_over_refused");
    assert_eq!(asked.get(), 1);
    stage.assert_the_code_was_private();

    let handed = stage.hand_over_by(HandOverPolicy::Auto, &|| true).unwrap();
    assert_eq!(handed.method(), HandOverMethod::Argv);
    let unlocked = handed.wait_until_unlocked(WAIT, &|_| ()).unwrap();
    assert!(unlocked.argv_seconds.is_some_and(|seconds| (1..60).contains(&seconds)), "{unlocked:?}");
    assert_eq!(stage.calls("unlock-device"), 1);
    let with_code: Vec<String> = stage.seen().lines().filter(|line| line.contains(CODE)).map(str::to_owned).collect();
    assert!(with_code.iter().all(|line| line.starts_with("args: ") && !line.contains("--profile")), "{with_code:?}");
    assert!(stage.notices.all().iter().any(|notice| notice.starts_with("warning: The unlock code is now on")));
    stage.assert_nothing_left();

    let again = stage.hand_over_by(HandOverPolicy::Argv, &|| panic!("handoff = argv asks nothing")).unwrap();
    assert_eq!(again.method(), HandOverMethod::Argv);
}

#[test]
fn a_client_that_does_not_read_what_it_wrote_gets_the_code_on_the_command_line_by_leave() {
    let mut stage = Stage::new(&format!(
        r#"{OWN_FORM}
known() {{ case " $* " in *" --unlock-code $CODE "*) ;; *) return 3 ;; esac; }}
configure() {{ converse; }}"#
    ));
    stage.patience = Duration::from_secs(3);
    let asked = Cell::new(0);
    let grant = || {
        asked.set(asked.get() + 1);
        true
    };
    assert_eq!(stage.hand_over_by(HandOverPolicy::Auto, &grant).unwrap().method(), HandOverMethod::Argv);
    assert_eq!((asked.get(), stage.calls("configure"), stage.calls("unlock-device")), (1, 1, 1));
}

#[test]
fn while_the_question_stands_the_code_is_in_no_file() {
    // A client that leaves a copy of its own, too.
    let mut stage = Stage::new(&format!(
        r#"{OWN_FORM}
known() {{ case " $* " in *" --unlock-code $CODE "*) ;; *) return 3 ;; esac; }}
configure() {{ converse; }}"#
    ));
    stage.patience = Duration::from_secs(3);
    for answer in [false, true] {
        let asked = Cell::new(0);
        let ask = || {
            asked.set(asked.get() + 1);
            assert_eq!(stage.homes().len(), 1, "a control");
            assert!(!stage.content().iter().any(|text| text.contains(CODE)));
            answer
        };
        let result = stage.hand_over_by(HandOverPolicy::Auto, &ask);
        assert_eq!(asked.get(), 1);
        match result {
            Ok(handed) => assert_eq!((handed.method(), answer), (HandOverMethod::Argv, true)),
            Err(error) => assert_eq!((error.code(), answer), ("device_refused", false)),
        }
    }
    stage.assert_nothing_left();
}

#[test]
fn a_guard_that_is_lost_while_the_question_stands_is_noticed_before_anything_is_written() {
    let stage = Stage::new(IGNORES_OUR_HOME);
    let ask = || {
        let guard = rustix::process::Pid::from_raw(stage.number("guard").unwrap()).unwrap();
        rustix::process::kill_process(guard, rustix::process::Signal::KILL).unwrap();
        crate::stage::wait_for("the end of the guard", crate::stage::A_SECOND, || {
            !crate::stage::is_alive(guard.as_raw_nonzero().get())
        });
        // Its end of the pipe is read by a thread of ours.
        std::thread::sleep(Duration::from_millis(200));
        true
    };
    assert_eq!(code_of(stage.hand_over_by(HandOverPolicy::Auto, &ask)), "guard_lost");
    assert!(!stage.seen().contains("--unlock-code"));
    stage.assert_nothing_left();
}

#[test]
fn the_time_on_the_command_line_is_told_after_an_error_too() {
    let stage = Stage::new(&format!(
        "{IGNORES_OUR_HOME}
unlock() {{ return 9; }}"
    ));
    let exposure = ArgvExposure::default();
    let noted = Cell::new(0);
    let note = || {
        assert!(!stage.seen().contains(CODE), "before and not after");
        noted.set(noted.get() + 1);
        Ok(())
    };
    let device = stage.prepare().unwrap();
    let result = stage.hand_over_with(device, HandOverPolicy::Argv, &|| true, &note, exposure.clone());
    assert_eq!((code_of(result), noted.get()), ("device_refused", 1));
    assert!(exposure.seconds().is_some_and(|seconds| (1..60).contains(&seconds)));

    let stage = Stage::new(IGNORES_OUR_HOME);
    let exposure = ArgvExposure::default();
    let fail = || Err(Error::Internal { what: "no audit".to_owned() });
    let device = stage.prepare().unwrap();
    let result = stage.hand_over_with(device, HandOverPolicy::Argv, &|| true, &fail, exposure.clone());
    assert_eq!((code_of(result), exposure.seconds()), ("internal", None));
    stage.assert_the_code_was_private();
}

/// A device whose port is open, and whose services come up at the fifth look: some 15 seconds.
fn slow_device() -> String {
    format!(
        r#"{OWN_FORM}
configure() {{ converse; }}
id() {{ echo x >>"$W/looks"; [ "$(wc -l <"$W/looks")" -ge 5 ] || exit 5; printf %s "$JOB"; }}
describe() {{ known "$@" || return 3; id >/dev/null || return 5; printf '{{"DeviceId":"%s","UnlockStatus":{{"State":"%s"}}}}\n' "$JOB" "$(state)"; }}"#
    )
}

#[test]
fn a_device_whose_services_are_not_up_gets_all_its_time_by_private_ways() {
    let stage = Stage::new(&slow_device());
    let handed = stage.hand_over_by(HandOverPolicy::Argv, &|| panic!("nothing is to be asked")).unwrap();
    assert_eq!(handed.method(), HandOverMethod::Configure);
    stage.assert_the_code_was_private();
}

#[test]
fn a_device_whose_services_do_not_come_up_is_not_said_to_have_a_client_without_a_private_way() {
    let mut stage = Stage::new(&slow_device());
    stage.patience = Duration::from_secs(4);
    let start = std::time::Instant::now();
    // Not that the client can't take the code privately: it did.
    assert_eq!(code_of(stage.hand_over()), "device_refused");
    assert!((Duration::from_secs(4)..Duration::from_secs(60)).contains(&start.elapsed()));
    stage.assert_nothing_left();
}

#[test]
fn an_echo_that_the_client_turns_on_does_not_reach_the_agent() {
    let stage = Stage::new(&format!(
        r#"{OWN_FORM}
configure() {{
  [ -t 0 ] || exit 1
  stty echo
  converse
}}"#
    ));
    // Between agent and guard a listener that writes down what passes.
    let listener = stage.work().join("listener");
    let script = format!(
        "#!/bin/sh\n'{}' \"$@\" | tee -a '{}'\n",
        env!("CARGO_BIN_EXE_snow-onboard"),
        stage.work().join("passed").display()
    );
    std::fs::write(&listener, script).unwrap();
    std::fs::set_permissions(&listener, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let device = stage.prepare_by(stage.settings(), listener).unwrap();
    let private = || panic!("a private hand-over asks nothing");
    let handed =
        stage.hand_over_with(device, HandOverPolicy::Private, &private, &|| Ok(()), ArgvExposure::default()).unwrap();
    assert_eq!(handed.method(), HandOverMethod::Configure);
    let passed = std::fs::read_to_string(stage.work().join("passed")).unwrap();
    assert!(passed.contains("[unlock code]"), "a control: it was echoed: {}", passed.replace(CODE, "CODE"));
    assert!(!passed.contains(CODE));
}

#[test]
fn a_launcher_that_lies_alone_is_said_to() {
    let stage = Stage::new("");
    drop(stage.prepare().unwrap());
    let says_so =
        || stage.notices.all().iter().any(|notice| notice.contains("was checked of this file, of what runs it"));
    assert!(!says_so());
    let alone = stage.work().join("snowballEdge");
    std::fs::copy(stage.launcher(), &alone).unwrap();
    let settings = ClientSettings {
        client: Some(Sourced { value: alone, origin: Origin::Flag("--client".to_owned()) }),
        ..ClientSettings::default()
    };
    drop(stage.prepare_with(settings).unwrap());
    assert!(says_so());
}

#[test]
fn private_ways_come_first_even_where_the_command_line_is_allowed() {
    let stage = Stage::new("");
    assert_eq!(stage.hand_over_by(HandOverPolicy::Argv, &|| true).unwrap().method(), HandOverMethod::Profile);
    stage.assert_the_code_was_private();
}

#[test]
fn an_unknown_client_is_used_only_by_leave() {
    let stage = Stage::new("version() { echo \"INVENTED 9.9 $CODE\"; }");
    let error = stage.prepare().err().unwrap();
    assert_eq!(error.code(), "client_unknown");
    assert!(error.to_string().contains("INVENTED 9.9 [unlock code]"), "{error}");
    let allowed = ClientSettings { allow_unknown: true, ..stage.settings() };
    assert_eq!(stage.prepare_with(allowed).unwrap().client_version(), None);
    assert!(stage.notices.all().iter().any(|notice| notice.contains("did not report a version")));
}

/// Nothing is known of it, so nothing can be allowed for it.
#[test]
fn a_client_that_does_not_run_is_no_unknown_one_whatever_is_allowed() {
    for (version, told) in [
        ("exit 127", "exit status 127"),
        ("exit 126", "exit status 126"),
        ("echo 'INVENTED: JAVA_HOME is not set' >&2; exit 1", "INVENTED: JAVA_HOME is not set"),
        ("kill -9 $$", "signal 9"),
    ] {
        let stage = Stage::new(&format!("version() {{ {version}; }}"));
        for allow_unknown in [false, true] {
            let error = stage.prepare_with(ClientSettings { allow_unknown, ..stage.settings() }).err().unwrap();
            assert_eq!(error.code(), "client_unusable", "{version}");
            assert!(error.to_string().contains(told), "{error}");
            let hint = error.report().hint;
            assert!(hint.contains("JAVA_HOME is not passed on") && !hint.contains("--allow"), "{hint}");
        }
    }
}

#[test]
fn a_client_that_cannot_be_started_is_told_from_an_unknown_one() {
    let stage = Stage::new("");
    std::fs::write(stage.launcher(), "#!/nonexistent/interpreter\n").unwrap();
    assert_eq!(code_of(stage.prepare()), "client_unusable");
    stage.assert_nothing_left();
}

/// Promise 4: the command line is no way round another failure.
#[test]
fn a_client_that_does_not_list_the_commands_is_not_given_the_code_on_its_command_line() {
    // One that lists commands and lacks one is refused before there is a code for it.
    let stage = Stage::new(&format!("{IGNORES_OUR_HOME}\nhelp() {{ echo INVENTED: describe-device; }}"));
    assert_eq!((code_of(stage.prepare()), stage.calls("help")), ("client_too_old", 1));
    for help in ["echo INVENTED", "exit 3", "echo 'unlock-device describe-device'; return 3"] {
        let stage = Stage::new(&format!("{IGNORES_OUR_HOME}\nhelp() {{ {help}; }}"));
        let ask = || panic!("nothing is to be asked");
        for policy in [HandOverPolicy::Auto, HandOverPolicy::Argv] {
            let error = stage.hand_over_by(policy, &ask).err().unwrap();
            assert_eq!(error.code(), "client_commands_missing");
            assert!(error.to_string().contains("its help"), "{error}");
        }
        // Once before, once anew.
        assert_eq!((stage.calls("help"), stage.calls("unlock-device")), (4, 0));
        stage.assert_the_code_was_private();
    }
    // Nor is the command line offered to it.
    let stage = Stage::new(&format!("{IGNORES_OUR_HOME}\nhelp() {{ exit 3; }}"));
    assert_eq!(code_of(stage.hand_over()), "client_commands_missing");
    let stage = Stage::new(IGNORES_OUR_HOME);
    assert_eq!((code_of(stage.hand_over()), stage.calls("help")), ("hand_over_refused", 2));
}

#[test]
fn a_look_at_a_device_that_takes_no_such_pair_ends_with_the_client_s_words() {
    let mut stage = Stage::new(&format!(
        "{OWN_FORM}\ndescribe() {{ echo 'INVENTED: not this manifest.' >&2; return 5; }}\nconfigure() {{ converse; }}"
    ));
    stage.waits_for_services = false;
    let start = std::time::Instant::now();
    let error = stage.hand_over().err().unwrap();
    assert_eq!(error.code(), "device_gives_no_answer");
    assert!(error.to_string().ends_with("The client said: INVENTED: not this manifest."), "{error}");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert!(!stage.notices.all().iter().any(|notice| notice.contains("to start")));
    stage.assert_nothing_left();
}
