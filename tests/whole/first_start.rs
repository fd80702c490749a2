//! The main job.

use std::time::Duration;

use snow_rehearsal::{ClientOptions, DeviceOptions, Mode, Operation, Rehearsal, State, Unlocking};

use crate::agent::{Agent, contains, files, files_with, state};

#[test]
fn a_device_is_opened_and_the_code_is_nowhere() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let code = rehearsal.job().unlock_code();
    let ended = Agent::run(&rehearsal, &["--keychain", "none"]).end().done();
    assert_eq!(rehearsal.device().state(), State::Unlocked);
    assert!(ended.stdout.contains("is UNLOCKED"), "{}", ended.stdout);

    let invocations = rehearsal.client_invocations().unwrap();
    assert!(invocations.iter().any(|call| call.argv.iter().any(|arg| arg == "unlock-device")), "a control: seen");
    for call in &invocations {
        assert!(!call.argv.iter().any(|arg| arg.contains(&code)), "the code is in argv");
        assert!(!call.env.values().any(|value| value.contains(&code)), "the code is in the environment");
        for name in call.env.keys() {
            assert!(
                !name.starts_with("AWS_") && name != "CLASSPATH" && !name.starts_with("LD_"),
                "{name} was passed on"
            );
        }
        if cfg!(target_os = "linux") {
            assert_eq!(call.descriptors, [0, 1, 2], "no descriptor but its three is passed on");
        }
        assert!(!call.user_home.starts_with(state(&rehearsal)), "the private home lies outside the state folder");
        assert!(!call.user_home.exists(), "the private home is gone");
        assert!(!call.cwd.starts_with(&call.user_home) && !call.cwd.starts_with(state(&rehearsal)));
    }
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains(&code));
    }
    for folder in [rehearsal.home(), rehearsal.state_home()] {
        assert!(files_with(folder, &code).is_empty());
    }
    // `none` keeps nothing: neither half, and no folder of the job.
    assert!(!files(&state(&rehearsal)).iter().any(|(path, _)| path.to_string_lossy().contains("_manifest.bin")));
    let audit = std::fs::read(state(&rehearsal).join("audit.jsonl")).unwrap();
    assert!(contains(&audit, "\"unlocked\"") && contains(&audit, rehearsal.job().id()));
}

#[test]
#[cfg(target_os = "linux")]
fn a_descriptor_that_the_caller_left_open_does_not_reach_the_client() {
    // A control: the stand-in would tell of it.
    let rehearsal = Rehearsal::builder().start().unwrap();
    let with_a_ninth = "exec 9</dev/null; exec \"$0\" version";
    let mut client = std::process::Command::new("sh");
    client.args(["-c", with_a_ninth]).arg(rehearsal.client_path()).stdout(std::process::Stdio::null());
    assert!(client.status().unwrap().success());
    assert!(rehearsal.client_invocations().unwrap()[0].descriptors.contains(&9));

    let agent = Agent::run(&rehearsal, &["--keychain", "none"]).with_a_descriptor_too_many();
    agent.end().done();
    let calls = rehearsal.client_invocations().unwrap();
    assert!(calls.len() > 3 && calls[1..].iter().all(|call| call.descriptors == [0, 1, 2]), "it goes no further");
}

#[test]
fn the_two_answers_and_the_download_are_each_asked_for_once() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    Agent::run(&rehearsal, &["--keychain", "none"]).end().done();
    for operation in [Operation::DescribeJob, Operation::GetJobManifest, Operation::GetJobUnlockCode] {
        assert_eq!(rehearsal.count(operation), 1, "{operation}");
    }
    assert_eq!(rehearsal.downloads(), 1);
    assert!(rehearsal.requests().iter().all(|request| request.identity.is_some() || !request.authorization));
}

#[test]
fn an_open_device_is_left_alone() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    rehearsal.device().open();
    let ended = Agent::run(&rehearsal, &["--keychain", "none", "--json"]).end().done();
    assert_eq!(ended.json("result")["was_open_already"], true);
    assert_eq!(rehearsal.device().unlock_requests(), 0);
}

#[test]
fn another_device_is_refused_before_it_is_touched() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let other = "JID00000000-0000-4000-8000-000000000000";
    rehearsal.device().set_mode(Mode::OtherDevice(other.to_owned()));
    let ended = Agent::run(&rehearsal, &["--keychain", "none"]).end().failed(13, "is not the device of");
    assert!(ended.stderr.contains(other));
    assert_eq!(rehearsal.device().unlock_requests(), 0);
}

#[test]
fn a_device_that_does_not_open_in_time_has_an_exit_code_of_its_own() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    rehearsal.device().set_mode(Mode::StuckUnlocking);
    Agent::run(&rehearsal, &["--keychain", "none", "--unlock-timeout", "3s"])
        .end()
        .failed(14, "read last is: UNLOCKING");
    assert_eq!(rehearsal.device().unlock_requests(), 1, "a failed unlock is never tried twice by itself");
}

#[test]
fn a_device_that_falls_back_is_a_failure() {
    // Two polls say UNLOCKING first; a LOCKED that nothing preceded would be given a minute's grace.
    let options = DeviceOptions { unlocking: Unlocking::Polls(2), ..DeviceOptions::default() };
    let rehearsal = Rehearsal::builder().device(options).start().unwrap();
    rehearsal.device().set_mode(Mode::FallsBack);
    Agent::run(&rehearsal, &["--keychain", "none"]).end().failed(13, "locked again");
}

#[test]
fn a_device_that_is_still_starting_is_waited_for() {
    // Where a program takes long to start, that must not be all of it.
    let boot = Duration::from_secs(if cfg!(windows) { 12 } else { 3 });
    let rehearsal = Rehearsal::builder().device(DeviceOptions { boot, ..DeviceOptions::default() }).start().unwrap();
    let ended = Agent::run(&rehearsal, &["--keychain", "none"]).end().done();
    assert!(ended.stderr.contains("still be starting"), "{}", ended.stderr);
    assert_eq!(rehearsal.device().state(), State::Unlocked);
}

#[test]
fn a_home_with_spaces_and_umlauts_is_a_home() {
    let options = DeviceOptions { unlocking: Unlocking::Polls(1), ..DeviceOptions::default() };
    let rehearsal = Rehearsal::builder().device(options).start().unwrap();
    let base = rehearsal.home().join("Jürgen Müller");
    std::fs::create_dir(&base).unwrap();
    Agent::run(&rehearsal, &["--keychain", "none"])
        .env("HOME", &base)
        .env("USERPROFILE", &base)
        .env("XDG_STATE_HOME", base.join("state"))
        .env("LOCALAPPDATA", base.join("state"))
        .env("TMPDIR", &base)
        .without_env("XDG_RUNTIME_DIR")
        .end()
        .done();
    assert_eq!(rehearsal.device().state(), State::Unlocked);
}

/// A client that keeps to a home of its own: only the command line is left.
fn stubborn() -> ClientOptions {
    ClientOptions { ignores_our_home: true, ..ClientOptions::default() }
}

#[test]
fn the_command_line_is_used_by_leave_alone_and_the_exposure_is_told() {
    let rehearsal = Rehearsal::builder().client(stubborn()).start().unwrap();
    let code = rehearsal.job().unlock_code();
    let seen_with_code = || {
        let calls = rehearsal.client_invocations().unwrap();
        calls.iter().filter(|call| call.argv.iter().any(|arg| arg.contains(&code))).count()
    };
    let none = ["--keychain", "none", "--unlock-timeout", "20s"];
    // Without a terminal nobody can be asked, so "auto" does not allow it either.
    Agent::run(&rehearsal, &none).end().failed(12, "--allow-argv");
    Agent::run(&rehearsal, &[&none[..], &["--handoff", "private"]].concat()).end();
    assert_eq!(seen_with_code(), 0);
    assert_eq!(rehearsal.device().unlock_requests(), 0);
    // A hand-over that was refused is on record from before the code was tried.
    let refused = ["fetched", "hand_over_begun", "hand_over_failed"];
    assert_eq!(audited(&rehearsal), [refused, refused].concat());

    let ended = Agent::run(&rehearsal, &[&none[..], &["--allow-argv", "--json"]].concat()).end().done();
    assert!(seen_with_code() > 0, "the control: it was there");
    let result = ended.json("result");
    assert_eq!(result["handed_over_by"], "argv");
    assert!(result["argv_seconds"].as_u64().unwrap() >= 1);
    assert!(!ended.stdout.contains(&code) && !ended.stderr.contains(&code));
    let done = ["fetched", "hand_over_begun", "handed_over_on_command_line", "handed_over", "unlocked"];
    assert_eq!(audited(&rehearsal)[6..], done);
}

#[test]
fn a_device_that_does_not_open_is_on_record_too() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    rehearsal.device().set_mode(snow_rehearsal::Mode::StuckUnlocking);
    Agent::run(&rehearsal, &["--keychain", "none", "--unlock-timeout", "2s"])
        .end()
        .failed(14, "did not report UNLOCKED");
    assert_eq!(audited(&rehearsal), ["fetched", "hand_over_begun", "handed_over", "not_unlocked"]);
}

/// The steps in the audit log.
fn audited(rehearsal: &Rehearsal) -> Vec<String> {
    let audit = std::fs::read_to_string(state(rehearsal).join("audit.jsonl")).unwrap();
    let step =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_str().unwrap().to_owned();
    audit.lines().map(step).collect()
}

/// What it is told on its command line such a client may keep, in the operator's own settings.
#[test]
#[cfg(unix)]
fn a_client_that_saves_what_it_was_told_on_its_command_line_is_told_of() {
    use std::os::unix::fs::PermissionsExt;
    let rehearsal = Rehearsal::builder().client(stubborn()).start().unwrap();
    let (id, code) = (rehearsal.job().id().to_owned(), rehearsal.job().unlock_code());
    let config = rehearsal.home().join(".aws/snowball/config");
    let saved = serde_json::json!({"profiles": {"saved": {"jobId": id, "unlockCode": code}}});
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--unlock-code*) mkdir -p '{0}'; echo '{saved}' >'{0}/snowball-edge.config';; esac\nexec '{1}' \"$@\"\n",
        config.display(),
        rehearsal.client_path().display()
    );
    let folder = rehearsal.root().join("wrapped");
    std::fs::create_dir(&folder).unwrap();
    let client = folder.join("snowballEdge");
    std::fs::write(&client, script).unwrap();
    for path in [&folder, &client] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let ended = Agent::run_with(&rehearsal, &client, &["--keychain", "none", "--allow-argv"]).end().done();
    let command = format!("forget {id} --client-profile \"saved\"");
    assert_eq!(ended.stderr.matches(&command).count(), 1, "once: {}", ended.stderr);
    assert!(!ended.stderr.contains(&code) && !ended.stdout.contains(&code));
}

#[test]
fn the_command_to_paste_after_a_power_cut_is_one_that_works() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let client = rehearsal.install_client("my clients", &ClientOptions::default()).unwrap();
    let ended = Agent::run_with(&rehearsal, &client, &["--keychain", "none"]).end().done();
    assert!(ended.stdout.contains("run the same command again"), "{}", ended.stdout);
    #[cfg(target_os = "linux")]
    {
        let bus = crate::keyring_bus::KeyringBus::start(crate::keyring_bus::Keyring::Unlocked);
        let on_the_bus = |agent| crate::secret_service::on_the_bus(agent, &bus);
        let ended = on_the_bus(Agent::run_with(&rehearsal, &client, &[])).end().done();
        let line = ended.stdout.lines().last().unwrap().trim();
        assert!(line.ends_with(&format!("--client '{}'", client.display())), "{line}");
        let json = on_the_bus(Agent::run_with(&rehearsal, &client, &["--json"])).end().done().json("result");
        assert_eq!(json["keychain"], "system");
        assert!(json["keychain_name"].as_str().unwrap().contains("GNOME Keyring"));
    }
}

#[test]
fn a_code_in_clear_in_the_client_s_own_settings_is_told_with_the_command_that_takes_it_out() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let (id, code) = (rehearsal.job().id().to_owned(), rehearsal.job().unlock_code());
    let file = [".aws", "snowball", "config", "snowball-edge.config"].iter().collect::<std::path::PathBuf>();
    let file = rehearsal.home().join(file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let other = serde_json::json!({"name": "other", "jobId": "JID0", "unlockCode": "00000-11111-22222-33333-44444"});
    let mine = serde_json::json!({"name": "by hand", "jobId": id, "unlockCode": code});
    let document = serde_json::json!({"version": 1, "profiles": {"by hand": mine, "other": other}});
    std::fs::write(&file, document.to_string()).unwrap();

    let ended = Agent::run(&rehearsal, &["--keychain", "none"]).end().done();
    let command = format!("snow-onboard forget {id} --client-profile \"by hand\"");
    assert!(ended.stderr.contains(&command) && ended.stderr.contains(&file.display().to_string()), "{}", ended.stderr);
    assert!(!ended.stderr.contains(&code));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), document.to_string(), "a run never writes it");

    let remove_profile = |name: &str| Agent::new(&rehearsal, ["forget", &id, "--client-profile", name]).end();
    remove_profile("other").failed(2, "is for the job JID0");
    remove_profile("nobody").failed(2, "no profile “nobody”");
    let ended = remove_profile("by hand").done();
    assert!(ended.stdout.contains("is no longer in") && !ended.stdout.contains(&code), "{}", ended.stdout);
    let left: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(left, serde_json::json!({"version": 1, "profiles": {"other": other}}));
    let ended = Agent::run(&rehearsal, &["--keychain", "none"]).end().done();
    assert!(!ended.stderr.contains("unencrypted"), "{}", ended.stderr);
}

/// A package that is upgraded while a command runs takes the program's file away: its guard is of the old one.
#[test]
#[cfg(target_os = "linux")]
fn an_upgrade_in_mid_run_breaks_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let rehearsal = Rehearsal::builder().start().unwrap();
    let folder = rehearsal.root().join("installed");
    std::fs::create_dir(&folder).unwrap();
    let program = folder.join("snow-onboard");
    std::fs::copy(env!("CARGO_BIN_EXE_snow-onboard"), &program).unwrap();
    let newer = folder.join("newer");
    std::fs::write(&newer, "#!/bin/sh\nexit 99\n").unwrap();
    std::fs::set_permissions(&newer, std::fs::Permissions::from_mode(0o755)).unwrap();
    let agent = Agent::run(&rehearsal, &["--keychain", "none"]).by(&program).spawn();
    std::fs::rename(&newer, &program).unwrap();
    let ended: crate::agent::Ended = agent.wait_with_output().unwrap().into();
    ended.done();
    assert_eq!(rehearsal.device().state(), snow_rehearsal::State::Unlocked);
}

#[test]
fn a_jvm_that_knows_none_of_our_options_is_told_of_its_home_alone() {
    for (java_8, other_jvm, expected) in [(false, false, 6), (true, false, 6), (false, true, 0)] {
        let options = ClientOptions { java_8, other_jvm, ..ClientOptions::default() };
        let rehearsal = Rehearsal::builder().client(options).start().unwrap();
        Agent::run(&rehearsal, &["--keychain", "none"]).end().done();
        let calls = rehearsal.client_invocations().unwrap();
        let calls: Vec<_> = calls.iter().filter(|call| !call.argv.contains(&"version".to_owned())).collect();
        assert!(calls.len() >= 3);
        for call in calls {
            let own = call.jvm_options.iter().filter(|option| option.starts_with("-X")).count();
            assert_eq!(own, expected, "{:?}", call.jvm_options);
        }
    }
}

/// Describe, unlock, describe: a device that opens at once is seen to without a pause.
#[test]
fn the_good_path_starts_the_client_for_nothing_else() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    rehearsal.device().set_unlocking(Unlocking::Polls(0));
    Agent::run(&rehearsal, &["--keychain", "none"]).end().done();
    let calls = rehearsal.client_invocations().unwrap();
    let mut commands: Vec<&str> = calls.iter().map(|call| call.argv[1].as_str()).collect();
    // These two at the same time.
    commands[..2].sort_unstable();
    assert_eq!(commands, ["help", "version", "describe-device", "unlock-device", "describe-device"]);
}
