//! Places that are not this program's to touch, whoever made them so.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::process::may_trace_or_rerun;
use crate::scene::{Scene, listing, open};
use crate::users::{User, Users, run};

/// Whoever runs the tests, with nobody else about.
fn alone() -> Scene {
    Scene::for_user(&User {
        name: "",
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
    })
}

/// A folder of somebody's that is named as the state folder, or has things in it that only look like ours.
#[test]
fn what_is_in_a_folder_that_is_no_state_folder_stays() {
    let scene = alone();
    let project = scene.base.join("proj");
    let homes = project.join("homes");
    fs::create_dir_all(&homes).unwrap();
    let diary = scene.base.join("diary");
    fs::write(&diary, "dear diary").unwrap();
    fs::write(homes.join("n.txt"), "x").unwrap();
    fs::write(homes.join("snow-onboard-0123456789ab"), "torn").unwrap();
    symlink(&diary, homes.join("snow-onboard-0123456789cd")).unwrap();
    run("mkfifo", &[homes.join("snow-onboard-0123456789ef").to_str().unwrap()], &[0]);
    fs::File::create(homes.join("snow-onboard-0123456789gh")).unwrap().set_len(8 << 30).unwrap();
    let before = listing(&project);
    let state = project.to_str().unwrap().to_owned();
    let job = scene.rehearsal.job().id().to_owned();
    let commands: [&[&str]; 8] = [
        &["doctor", "--keychain", "none"],
        &["settings"],
        &["exit-codes"],
        &["completions", "bash"],
        &["--version"],
        &["jobs"],
        &["fetch", &job],
        &["forget", &job],
    ];
    // A folder that others can enter is no state folder of ours.
    open(&project, 0o755);
    for args in commands {
        let run =
            scene.run(args).env("SNOW_ONBOARD_STATE_DIR", &state).env("AWS_CA_BUNDLE", scene.rehearsal.ca_bundle());
        let ended = run.end();
        assert!(ended.code.is_some(), "{args:?}: {}", ended.said);
        assert_eq!(listing(&project), before, "{args:?}: {}", ended.said);
    }
    // Private, it is used, and still what is not ours by name and kind stays.
    for folder in [&project, &homes] {
        open(folder, 0o700);
    }
    fs::remove_file(homes.join("snow-onboard-0123456789ab")).unwrap();
    let before = listing(&homes);
    let ended = scene.first_start().with_ca().env("SNOW_ONBOARD_STATE_DIR", &state).end();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert_eq!(listing(&homes), before);
    assert_eq!(fs::read_to_string(&diary).unwrap(), "dear diary");
}

/// Commands that are about this program alone open nothing under the state folder; those that tell of jobs change nothing.
#[test]
fn commands_that_only_tell_open_nothing_under_the_state_folder() {
    if !may_trace_or_rerun("places::commands_that_only_tell_open_nothing_under_the_state_folder") {
        return;
    }
    let scene = alone();
    assert_eq!(scene.first_start().with_ca().end().code, Some(0));
    let state = scene.state();
    let opened = |args: &[&str]| {
        let trace = scene.base.join("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-s", "4096", "-e", "trace=%file", "-o"]).arg(&trace);
        let ours = scene.run(args);
        command.arg(ours.command.get_program()).args(args).env_clear();
        command.envs(ours.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("AWS_CA_BUNDLE", scene.rehearsal.ca_bundle());
        let output = command.output().unwrap();
        assert!(output.status.code().is_some(), "{args:?}");
        let text = String::from_utf8_lossy(&fs::read(&trace).unwrap()).into_owned();
        assert!(text.contains("execve"), "a control: {args:?} was traced");
        let name = state.to_str().unwrap();
        let named = format!("<{}>", state.parent().unwrap().display());
        // By its path, or by its name in a folder that is open.
        text.lines()
            .filter(|line| line.contains(name) || (line.contains(&named) && line.contains("\"snow-onboard\"")))
            .count()
    };
    assert!(opened(&["jobs", "--keychain", "none"]) > 0, "a control: a command that looks is seen");
    let before = listing(&state);
    for args in [
        &["settings"][..],
        &["settings", "--sample"],
        &["settings", "--json"],
        &["exit-codes"],
        &["completions", "bash"],
        &["completions", "powershell"],
        &["--version"],
        &["--help"],
        &["help", "run"],
        &["run", "--help"],
        &["no-such-verb"],
    ] {
        assert_eq!(opened(args), 0, "{args:?}");
    }
    for args in [&["jobs"][..], &["doctor", "--keychain", "none"]] {
        opened(args);
        assert_eq!(listing(&state), before, "{args:?}");
    }
    fs::remove_dir_all(&state).unwrap();
    for args in [&["jobs"][..], &["doctor", "--keychain", "none"], &["settings"], &["forget", "nonsense"]] {
        opened(args);
        assert!(!state.exists(), "{args:?} makes none");
    }
}

/// `sudo -E`: root, with the places of somebody else.
#[test]
fn root_makes_nothing_in_another_user_s_home() {
    let Some(users) = Users::make() else { return };
    let scene = Scene::for_user(&users.anna);
    let places = [scene.rehearsal.home(), scene.rehearsal.state_home(), scene.rehearsal.runtime_dir()];
    for with_settings in [true, false] {
        if !with_settings {
            fs::remove_file(scene.settings_file()).unwrap();
        }
        let before = places.map(listing);
        let (owner, job) = ("snow-anna (uid 61641)", scene.rehearsal.job().id().to_owned());
        for args in [&["fetch", &job][..], &["jobs"], &["forget", &job]] {
            let ended = scene.run(args).with_ca().end();
            assert_eq!(ended.code, Some(9), "{args:?}: {}", ended.said);
            assert!(ended.said.contains(&format!("belongs to {owner}")), "{args:?}: {}", ended.said);
            assert!(ended.said.contains("without sudo"), "{args:?}: {}", ended.said);
        }
        assert_eq!(scene.first_start().with_ca().end().code, Some(9));
        assert_eq!(places.map(listing), before, "nothing was made");
    }
    // What an earlier version left that way is told for what it is.
    fs::create_dir(scene.state()).unwrap();
    let ended = scene.first_start().with_ca().by(&users.anna);
    assert!(ended.code == Some(9) && ended.said.contains("belongs to root, not to you"), "{}", ended.said);
    assert!(ended.said.contains("sudo chown -R"), "{}", ended.said);
    // And in one of the files.
    users.anna.own(&scene.state());
    open(&scene.state(), 0o700);
    assert_eq!(scene.first_start().with_ca().by(&users.anna).code, Some(0));
    std::os::unix::fs::chown(scene.state().join("audit.jsonl"), Some(0), Some(0)).unwrap();
    let ended = scene.first_start().with_ca().by(&users.anna);
    assert!(ended.code == Some(9) && ended.said.contains("belongs to root"), "{}", ended.said);
}

#[test]
fn a_path_that_is_not_unicode_is_refused_before_aws_is_asked() {
    let scene = alone();
    let state = scene.base.join(OsStr::from_bytes(b"caf\xe9"));
    for args in [&["doctor", "--keychain", "none"][..], &["fetch", scene.rehearsal.job().id()]] {
        let ended = scene.run(args).with_ca().env("XDG_STATE_HOME", &state).end();
        assert!(ended.said.contains("not valid Unicode"), "{args:?}: {}", ended.said);
        assert_eq!(ended.code, Some(9), "{args:?}");
    }
    let ended = scene.first_start().with_ca().env("XDG_STATE_HOME", &state).end();
    assert!(ended.code == Some(9) && ended.said.contains("not valid Unicode"), "{}", ended.said);
    assert!(!state.exists());
    assert_eq!(scene.rehearsal.downloads(), 0);
}

#[test]
fn a_log_file_with_a_second_name_is_not_written() {
    let scene = alone();
    let diary = scene.base.join("diary");
    fs::write(&diary, "dear diary").unwrap();
    open(&diary, 0o600);
    let log = scene.base.join("log");
    fs::hard_link(&diary, &log).unwrap();
    for path in [log.clone(), scene.base.join("link")] {
        if path != log {
            symlink(&diary, &path).unwrap();
        }
        let ended = scene.run(&["jobs"]).with_ca().arg("--log-file").arg(&path).end();
        assert_eq!(ended.code, Some(3), "{}: {}", path.display(), ended.said);
        assert_eq!(fs::read_to_string(&diary).unwrap(), "dear diary");
    }
}

/// A launcher that lies in no package, beside something of another user's.
#[test]
fn a_launcher_beside_others_files_is_refused() {
    let Some(users) = Users::make() else { return };
    let scene = Scene::for_user(&users.anna);
    let tools = scene.base.join("tools");
    fs::create_dir(&tools).unwrap();
    let launcher = tools.join("snowballEdge");
    let script = format!("#!/bin/sh\nexec {} \"$@\"\n", scene.rehearsal.client_path().display());
    fs::write(&launcher, script).unwrap();
    open(&launcher, 0o755);
    let start = || {
        let (job, endpoint) = (scene.rehearsal.job(), scene.rehearsal.device().endpoint());
        let run = scene.run(&["run", job.id(), "--endpoint", &endpoint, "--keychain", "none"]).with_ca();
        run.arg("--client").arg(&launcher).by(&users.anna)
    };
    let well = start();
    assert_eq!(well.code, Some(0), "a control: {}", well.said);
    let jar = tools.join("lib.jar");
    fs::write(&jar, "x").unwrap();
    users.bert.own(&jar);
    let ended = start();
    assert!(ended.code == Some(11) && ended.said.contains("lib.jar belongs to snow-bert"), "{}", ended.said);
    fs::remove_file(&jar).unwrap();
    run("setfacl", &["-m", "u:snow-bert:rwx", tools.to_str().unwrap()], &[0]);
    let ended = start();
    assert!(ended.code == Some(11) && ended.said.contains("can be written by snow-bert"), "{}", ended.said);
}

/// What the pin of the client is of.
#[test]
fn the_pin_covers_the_right_to_run_and_what_linked_folders_hold() {
    let scene = alone();
    let outside = scene.base.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("cacerts"), "one").unwrap();
    symlink(&outside, scene.package().join("jre/security")).unwrap();
    let digest_of = |said: &str| {
        let words = said.split(|c: char| !c.is_ascii_hexdigit()).map(str::to_owned);
        words.filter(|word| word.len() == 64 && *word != "0".repeat(64)).collect::<Vec<_>>()
    };
    let none = "0".repeat(64);
    let pinned = |pin: &str| scene.first_start().with_ca().env("SNOW_ONBOARD_CLIENT_SHA256", pin).end();
    let refused = pinned(&none);
    assert_eq!(refused.code, Some(11), "{}", refused.said);
    let pin = digest_of(&refused.said).remove(0);
    assert_eq!(pinned(&pin).code, Some(0));
    fs::write(outside.join("cacerts"), "two").unwrap();
    assert_eq!(pinned(&pin).code, Some(11), "what a linked folder holds");
    fs::write(outside.join("cacerts"), "one").unwrap();
    assert_eq!(pinned(&pin).code, Some(0));
    let jar = scene.package().join("lib/snowball-client-1.2.0.jar");
    open(&jar, 0o755);
    assert_eq!(pinned(&pin).code, Some(11), "the right to run");
}
