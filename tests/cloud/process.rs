//! A profile's `credential_process`: how it is started, what is taken from it, and that nothing of it outlives us.

use std::path::Path;
use std::time::{Duration, Instant};

use snow_rehearsal::Rehearsal;

use crate::child::{Call, Outcome};

fn one() -> Rehearsal {
    Rehearsal::builder().start().unwrap()
}

/// A call whose profile runs this as a program of its own, with these words after it, and the folder for what it writes down.
fn with_script(world: &Rehearsal, script: &str, words: &str) -> (Call, tempfile::TempDir) {
    let call = Call::new(world, "job", world.job().id());
    let folder = tempfile::tempdir().unwrap();
    let script = script.replace("PIDS", &folder.path().join("pids").to_string_lossy());
    let program = call.file("a program/helper.sh", script);
    let config = format!("[profile p]\ncredential_process = sh \"{}\" {words}\n", program.display());
    (call.profiles(&config).set("profile", "p"), folder)
}

fn answer(world: &Rehearsal, more: &str) -> String {
    let (id, secret) = (world.access_key(), world.secret_key());
    format!(r#"{{"Version":1,"AccessKeyId":"{id}","SecretAccessKey":"{secret}"{more}}}"#)
}

/// The program prints this.
fn printing(world: &Rehearsal, answer: &str) -> Outcome {
    let (call, _) = with_script(world, &format!("cat <<'END'\n{answer}\nEND\n"), "");
    call.run()
}

/// The processes that wrote their numbers down.
fn noted(pids: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(pids).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// Nothing of what ran is left.
#[track_caller]
fn all_gone(pids: &Path, at_least: usize) {
    let pids = noted(pids);
    assert!(pids.len() >= at_least, "a control: it ran, and wrote down who it is: {pids:?}");
    let start = Instant::now();
    let lives = |pid: &&u32| {
        let state = std::process::Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
        let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
        !state.is_empty() && !state.starts_with('Z')
    };
    while let Some(pid) = pids.iter().find(lives) {
        assert!(start.elapsed() < Duration::from_secs(3), "{pid} of {pids:?} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const AT_THE_TERMINAL: &str = "echo $$ >> 'PIDS'; read line; read line </dev/tty; exit 1\n";
const FOR_EVER: &str = "echo $$ >> 'PIDS'; while :; do sleep 1; done\n";
/// A child that ignores what it can, and on Linux has left for a session of its own.
const STUBBORN: &str = "#\ntrap '' TERM HUP INT
if [ \"$(uname)\" = Linux ]; then away=setsid; fi
$away sh -c 'trap \"\" TERM HUP INT; echo $$ >> \"PIDS\"; exec sleep 600' & echo $$ >> 'PIDS'; wait\n";

#[test]
fn what_does_not_end_is_ended_whole_at_the_deadline_and_the_failure_names_it() {
    for (script, processes) in [(AT_THE_TERMINAL, 1), (FOR_EVER, 1), (STUBBORN, 2)] {
        let world = one();
        let (call, folder) = with_script(&world, script, "--token t0ken-of-mine");
        let outcome = call.set("timeout_ms", 4000).run().expect("credentials_failed");
        for said in
            ["credential_process of profile “p” (sh, line 2 of ", "did not end within 3 seconds", "--network-timeout"]
        {
            assert!(outcome.sentence.contains(said), "{}", outcome.sentence);
        }
        outcome.never_says("t0ken-of-mine");
        assert!(outcome.took < Duration::from_secs(6), "{:?}", outcome.took);
        all_gone(&folder.path().join("pids"), processes);
        assert!(world.requests().is_empty());
    }
}

#[test]
fn what_it_leaves_running_is_ended_and_does_not_hold_up_the_call() {
    let world = one();
    let script = format!(
        "echo $$ >> 'PIDS'; sh -c 'echo $$ >> \"PIDS\"; exec sleep 600' & sleep 0.3; echo '{}'\n",
        answer(&world, "")
    );
    let (call, folder) = with_script(&world, &script, "");
    let outcome = call.run().expect("ok");
    assert!(outcome.took < Duration::from_secs(8), "{:?}", outcome.took);
    all_gone(&folder.path().join("pids"), 2);
}

#[test]
fn the_agent_s_end_is_its_end_whatever_that_was() {
    for signal in ["-INT", "-TERM", "-KILL"] {
        for (script, processes) in [(AT_THE_TERMINAL, 1), (FOR_EVER, 1), (STUBBORN, 2)] {
            let world = one();
            let (call, folder) = with_script(&world, script, "");
            let pids = folder.path().join("pids");
            let mut agent = call.agent(&world, &["jobs"]).spawn().unwrap();
            let start = Instant::now();
            while noted(&pids).len() < processes {
                assert!(start.elapsed() < Duration::from_secs(20), "it was not run");
                std::thread::sleep(Duration::from_millis(10));
            }
            let sent = std::process::Command::new("kill").args([signal, &agent.id().to_string()]).status().unwrap();
            assert!(sent.success() && !agent.wait().unwrap().success());
            all_gone(&pids, processes);
        }
    }
}

#[test]
fn words_are_split_as_the_aws_cli_does_and_no_shell_sees_them() {
    let world = one();
    let script = format!("for word; do echo \"<$word>\"; done > 'PIDS'; echo '{}'\n", answer(&world, ""));
    let words = r#"'a b' "c \"d\"" e\ f $HOME & ; #g * `id` '' | > x"#;
    let (call, folder) = with_script(&world, &script, words);
    call.run().expect("ok");
    let found = std::fs::read_to_string(folder.path().join("pids")).unwrap();
    let expected = ["a b", "c \"d\"", "e f", "$HOME", "&", ";", "#g", "*", "`id`", "", "|", ">", "x"];
    assert_eq!(found.lines().collect::<Vec<_>>(), expected.map(|word| format!("<{word}>")));
    for (line, why) in [("'open quote", "leaves a quote open"), ("", "names no program")] {
        let config = format!("[profile p]\nregion = x\ncredential_process = {line}\n");
        let call = Call::new(&world, "job", world.job().id()).profiles(&config).set("profile", "p");
        let outcome = call.run().expect("credentials_failed");
        assert!(outcome.sentence.contains("line 3 of ") && outcome.sentence.contains(why), "{}", outcome.sentence);
    }
}

#[test]
fn what_it_prints_is_checked_and_never_said() {
    let world = one();
    for form in ["2099-01-01T00:00:00Z", "2099-01-01T00:00:00+0000", "2099-01-01 00:00:00 UTC"] {
        printing(&world, &answer(&world, &format!(r#","Expiration":"{form}""#))).expect("ok");
    }
    let at_the_end = answer(&world, "").replace(world.secret_key(), &format!("{}\\r\\n", world.secret_key()));
    printing(&world, &at_the_end).expect("ok");
    let secret = "s3cretPart";
    for (inside, said) in [("\\r", "a carriage return"), (" ", "a blank"), ("\\u200b", "the character U+200B")] {
        for part in ["AccessKeyId", "SecretAccessKey", "SessionToken"] {
            let mut keys = serde_json::json!({
                "Version": 1, "AccessKeyId": "AKIDX", "SecretAccessKey": "x", "SessionToken": "x"
            });
            keys[part] = "PLACE".into();
            let outcome = printing(&world, &keys.to_string().replace("PLACE", &format!("{secret}{inside}{secret}")));
            let outcome = outcome.expect("credentials_failed");
            for said in ["profile “p” (sh, line 2 of ", part, said] {
                assert!(outcome.sentence.contains(said), "{}", outcome.sentence);
            }
            outcome.never_says(secret);
        }
    }
    for (printed, said) in [
        (format!("{secret}\n"), "printed no JSON"),
        (answer(&world, "").replace("\"Version\":1", "\"Version\":3"), "printed Version 3"),
        (format!(r#"{{"Version":1,"AccessKeyId":"{secret}"}}"#), "without Version, AccessKeyId and SecretAccessKey"),
        (answer(&world, r#","Expiration":"2020-01-01T00:00:00Z""#), "have expired already"),
        (answer(&world, r#","Expiration":"s3cretPart""#), "an Expiration that is no time"),
    ] {
        let outcome = printing(&world, &printed).expect("credentials_failed");
        assert!(outcome.sentence.contains(said), "{}", outcome.sentence);
        outcome.never_says(secret);
    }
    let (call, _) = with_script(&world, "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; exit 7", "");
    let outcome = call.run().expect("credentials_failed");
    assert!(outcome.sentence.contains("status 7"), "{}", outcome.sentence);
    let config = "[profile p]\ncredential_process = /nowhere/helper\n";
    let call = Call::new(&world, "job", world.job().id()).profiles(config).set("profile", "p");
    let outcome = call.run().expect("credentials_failed");
    assert!(outcome.sentence.contains("helper"), "{}", outcome.sentence);
}

#[test]
fn a_role_is_assumed_with_what_it_prints() {
    let world = one();
    let call = Call::new(&world, "job", world.job().id());
    let printed = call.file("answer.json", answer(&world, ""));
    let config = format!(
        "[profile p]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n\
         [profile base]\ncredential_process = cat \"{}\"\n",
        printed.display()
    );
    call.profiles(&config).set("profile", "p").run().expect("ok");
    let who: Vec<_> = world.requests().into_iter().map(|request| (request.operation, request.identity)).collect();
    assert_eq!(who[0], ("AssumeRole".to_owned(), Some(world.access_key().to_owned())));
    assert!(who[1..].iter().all(|(_, identity)| *identity != who[0].1), "{who:?}");
}

#[test]
fn what_a_program_that_fails_shows_of_its_keys_is_said_to_nobody() {
    let world = one();
    let (id, secret) = (world.access_key(), world.secret_key());
    let script = format!(
        "set -x\nkey='{id}'\nsecret='{secret}'\nother=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEX\n\
         echo \"{{ \\\"S\\\": \\\"$secret\\\", \\\"T\\\": \\\"sh0rt\\\"}}\"\necho 'no luck with sh0rt' >&2\nexit 1\n"
    );
    let (call, _folder) = with_script(&world, &script, "");
    let outcome = call.run().expect("credentials_failed");
    assert!(outcome.sentence.contains("ended with status 1 and said: "), "{}", outcome.sentence);
    for hidden in [secret, "wJalrXUtnFEMI", "sh0rt"] {
        outcome.never_says(hidden);
    }
}

#[test]
#[cfg(unix)]
fn a_helper_that_is_stopped_is_ended_with_its_program() {
    let world = one();
    let script = "echo $$ >> 'PIDS'; echo $PPID >> 'PIDS'; kill -STOP $PPID; while :; do sleep 1; done\n";
    let (call, folder) = with_script(&world, script, "");
    call.set("timeout_ms", 2000).run();
    all_gone(&folder.path().join("pids"), 2);
}

#[test]
#[cfg(unix)]
fn a_program_makes_files_as_its_user_does() {
    let world = one();
    let script = format!("umask >> 'PIDS'\ncat <<'END'\n{}\nEND\n", answer(&world, ""));
    let (call, folder) = with_script(&world, &script, "");
    let agent = call.agent(&world, &["jobs"]);
    let mut shell = std::process::Command::new("sh");
    shell.env_clear().envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.args(["-c", "umask 026; exec \"$@\"", "sh"]).arg(agent.get_program()).args(agent.get_args());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("pids")).unwrap().trim(), "0026");
}

#[test]
#[cfg(unix)]
fn a_program_is_found_in_absolute_folders_and_gets_no_others() {
    let world = one();
    let script = format!("echo \"$0:$PATH\" >> 'PIDS'\ncat <<'END'\n{}\nEND\n", answer(&world, ""));
    let (call, folder) = with_script(&world, &script, "");
    // A folder with another program of the name, where the call is made.
    let here = tempfile::tempdir_in(".").unwrap();
    std::fs::write(here.path().join("sh"), "#!/bin/sh\nexit 3\n").unwrap();
    std::fs::set_permissions(here.path().join("sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let relative = here.path().file_name().unwrap().to_string_lossy().into_owned();
    assert!(Path::new(&relative).join("sh").exists(), "a control");
    call.env("PATH", format!("{relative}::{}:", std::env::var("PATH").unwrap())).run().expect("ok");
    let path = std::fs::read_to_string(folder.path().join("pids")).unwrap();
    assert!(path.trim_end().split(':').all(|entry| entry.starts_with('/')), "{path}");
}
