//! Programs that give out credentials, at a terminal.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use snow_rehearsal::{Fault, MFA_CODE, MFA_DEVICE, Rehearsal, Times};

use crate::pty::{CTRL_Z, Terminal};
use crate::stage::agent;

#[test]
fn a_credential_process_that_asks_takes_nothing_of_what_is_typed() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let home = tempfile::tempdir().unwrap();
    let (config, begun) = (home.path().join("config"), home.path().join("begun"));
    let script = format!("echo >\"{}\"; read a; read b </dev/tty; read c", begun.display());
    std::fs::write(&config, format!("[profile p]\ncredential_process = sh -c '{script}'\n")).unwrap();
    let agent = agent(&rehearsal, ["jobs", "--profile", "p", "--network-timeout", "3s", "--no-input"]);
    let mut shell = Command::new("sh");
    shell.env_clear().envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("AWS_CONFIG_FILE", &config).args(["-c", "\"$@\"; echo \"ended $?\"; read line; echo \"<$line>\"", "sh"]);
    shell.arg(agent.get_program()).args(agent.get_args());
    let mut terminal = Terminal::start(shell, 100, 30);
    terminal.wait_until("the program", |_| begun.exists());
    terminal.type_line("the next line").wait_for("ended 4").wait_for("<the next line>");
    assert!(terminal.screen().contains("did not end within 2 seconds"), "{}", terminal.screen());
    assert_eq!(terminal.end(), 0);
}

/// The agent with a profile whose role is for those who have a code, and one beyond it.
fn with_code(rehearsal: &Rehearsal, home: &Path, words: &[&str]) -> Command {
    let config = format!(
        "[profile base]\naws_access_key_id = {}\naws_secret_access_key = {}\n\
         [profile p]\nregion = {}\nrole_arn = arn:aws:iam::123456789012:role/with-code\nsource_profile = base\n\
         mfa_serial = {MFA_DEVICE}\nduration_seconds = 1800\n\
         [profile site]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = p\n",
        rehearsal.access_key(),
        rehearsal.secret_key(),
        rehearsal.region(),
    );
    std::fs::write(home.join("config"), config).unwrap();
    let mut command = agent(rehearsal, words);
    command.env("AWS_CONFIG_FILE", home.join("config"));
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        command.env_remove(name);
    }
    command
}

#[test]
fn a_one_time_code_is_asked_for_once_and_used_once() {
    for (profile, verb) in [("p", "jobs"), ("site", "jobs"), ("p", "doctor")] {
        let rehearsal = Rehearsal::builder().start().unwrap();
        let home = tempfile::tempdir().unwrap();
        let mut words = vec![verb, "--profile", profile, "--region", rehearsal.region()];
        if verb == "doctor" {
            words.extend(["--keychain", "none"]);
        }
        let mut terminal = Terminal::start(with_code(&rehearsal, home.path(), &words), 100, 50);
        terminal.answer(&format!("One-time code of {MFA_DEVICE}, for profile “p” (not shown):"), "12345");
        terminal.answer("has six digits", MFA_CODE);
        let shown = if verb == "jobs" { rehearsal.job().id().to_owned() } else { "which assumes a role".to_owned() };
        terminal.wait_for(&shown);
        terminal.end();
        let requests = rehearsal.requests();
        let of = |name: &'static str| requests.iter().filter(move |request| request.operation == name);
        assert_eq!(of("AssumeRole").count(), if profile == "p" { 1 } else { 2 }, "{requests:?}");
        assert!(requests.iter().all(|request| request.identity.is_some()), "{requests:?}");
        let mut listed = of("ListJobs");
        assert!(
            listed.all(|request| request.identity.as_deref() != Some(rehearsal.access_key())),
            "with the role's keys"
        );
    }
}

/// The shell has the terminal meanwhile, with what it shows as it was; and a process that reads there is stopped again.
#[test]
fn after_ctrl_z_a_code_is_not_shown_and_a_question_ends_when_it_is_told_to() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let home = tempfile::tempdir().unwrap();
    let agent = with_code(&rehearsal, home.path(), &["jobs", "--profile", "p"]);
    let words = std::iter::once(agent.get_program()).chain(agent.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let script = home.path().join("ask");
    std::fs::write(&script, format!("exec {}\n", words.join(" "))).unwrap();
    let mut shell = Command::new("bash");
    shell.env_clear().envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PS1", "$ ").args(["--norc", "--noprofile", "--noediting", "-i"]);
    let ask = format!("bash '{}'", script.display());
    let mut terminal = Terminal::start(shell, 100, 50);
    let times = |text: &'static str, count: usize| {
        move |screen: &vt100::Screen| screen.contents().matches(text).count() == count
    };

    terminal.type_line(&ask).wait_for("(not shown):").press(CTRL_Z).wait_for("Stopped");
    terminal.type_line("echo 'it shows' what is typed").wait_for("it shows what is typed");
    assert!(terminal.transcript().contains("echo 'it shows'"), "{}", terminal.screen());
    terminal.type_line("fg").wait_until("the question again", times("(not shown):", 2));
    terminal.type_line(MFA_CODE).wait_for(rehearsal.job().id());
    let shown = terminal.transcript();
    assert!(["): ", "):"].iter().all(|end| !shown.contains(&format!("{end}{MFA_CODE}"))), "{}", terminal.screen());

    terminal.type_line(&ask).wait_until("the question anew", times("(not shown):", 3));
    terminal.press(CTRL_Z).wait_until("the stop", times("Stopped", 2));
    terminal.type_line("kill %1; wait %1; echo \"ended $?\"").wait_for("ended 143");
}

#[test]
fn a_code_that_sts_refuses_is_not_asked_for_again() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(with_code(&rehearsal, home.path(), &["jobs", "--profile", "p"]), 100, 50);
    terminal.answer("One-time code of", "000000");
    terminal.wait_for("wrong, or was used already");
    terminal.wait_for("Wait until your MFA app or token shows the next one");
    assert_eq!(terminal.end(), 4, "{}", terminal.screen());
}

#[test]
fn a_code_that_nothing_comes_back_for_is_sent_once() {
    for fault in [Fault::CutOff, Fault::Internal] {
        let rehearsal = Rehearsal::builder().start().unwrap();
        rehearsal.plant_everywhere(fault.clone(), Times::Always);
        let home = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::start(with_code(&rehearsal, home.path(), &["jobs", "--profile", "p"]), 200, 50);
        terminal.answer("One-time code of", MFA_CODE);
        terminal
            .wait_for("was sent to AWS, which did not answer")
            .wait_for("Wait until your MFA app or token shows the next one");
        assert_eq!(terminal.end(), 4, "{}", terminal.screen());
        let requests = rehearsal.requests();
        assert_eq!(requests.iter().filter(|request| request.operation == "AssumeRole").count(), 1, "{fault:?}");
    }
}

#[test]
fn a_one_time_code_is_not_shown_and_the_terminal_echoes_again_whatever_ends_the_question() {
    // An answer, the end of the input, Ctrl-C, a signal.
    for ended_by in [format!("{MFA_CODE}\r"), "\x04".to_owned(), "\x03".to_owned(), String::new()] {
        let rehearsal = Rehearsal::builder().start().unwrap();
        let home = tempfile::tempdir().unwrap();
        let agent = with_code(&rehearsal, home.path(), &["jobs", "--profile", "p"]);
        let mut shell = Command::new("sh");
        shell.env_clear().envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
        // It outlives the Ctrl-C.
        let script = "trap : INT; sh -c 'echo $$ >\"$PID\"; exec \"$@\"' sh \"$@\"; stty -a | grep -o -e '-*echo ' | tr -d '\\n'; echo modes";
        shell.env("PID", home.path().join("pid")).args(["-c", script, "sh"]);
        shell.arg(agent.get_program()).args(agent.get_args());
        let mut terminal = Terminal::start(shell, 100, 30);
        terminal.wait_for("(not shown):");
        if ended_by.is_empty() {
            let pid = std::fs::read_to_string(home.path().join("pid")).unwrap();
            assert!(Command::new("kill").arg(pid.trim()).status().unwrap().success());
        } else {
            terminal.press(&ended_by);
        }
        terminal.wait_for("modes");
        let screen = terminal.screen();
        assert!(screen.contains("echo modes") && !screen.contains("-echo"), "{ended_by:?}: {screen}");
        let asked = screen.lines().find(|line| line.contains("One-time code of")).unwrap();
        assert!(asked.trim_end().ends_with("(not shown):"), "{screen}");
        terminal.end();
    }
}

#[test]
fn where_none_is_typed_nobody_is_said_to_be_away() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(with_code(&rehearsal, home.path(), &["jobs", "--profile", "p"]), 200, 50);
    terminal.wait_for("One-time code of").press("\x04").wait_for("and none was given");
    assert_eq!(terminal.end(), 4, "{}", terminal.screen());
    let mut terminal = Terminal::start(with_code(&rehearsal, home.path(), &["jobs", "--profile", "p"]), 200, 50);
    terminal.answer("One-time code of", "no").answer("has six digits", "12").answer("has six digits", "34");
    terminal.wait_for("what was typed is not a code of six digits");
    assert_eq!(terminal.end(), 4, "{}", terminal.screen());
}

#[test]
fn what_the_hint_says_works_as_it_is_pasted() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let home = tempfile::tempdir().unwrap();
    // What the AWS CLI would print after it has asked.
    let (bin, role) = (home.path().join("bin"), home.path().join("role"));
    std::fs::create_dir(&bin).unwrap();
    let (id, secret) = (rehearsal.access_key(), rehearsal.secret_key());
    let script = format!(
        "#!/bin/sh\necho \"$*\" >'{}'\necho export AWS_ACCESS_KEY_ID={id}\necho export AWS_SECRET_ACCESS_KEY={secret}\n",
        role.display()
    );
    std::fs::write(bin.join("aws"), script).unwrap();
    std::fs::set_permissions(bin.join("aws"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_snow-onboard"), bin.join("snow-onboard")).unwrap();
    for named in [true, false] {
        let mut command = with_code(&rehearsal, home.path(), &["jobs", "--no-input"]);
        // The profile's region counts.
        command.env_remove("AWS_REGION");
        if named {
            command.args(["--profile", "p"])
        } else {
            command.env("AWS_PROFILE", "p")
        };
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{said}");
        let lines: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("  ")).map(str::trim).collect();
        assert!(lines.len() == 2, "{said}");
        let mut shell = Command::new("sh");
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let path = std::env::join_paths(
            [bin.clone()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        let output = shell.env("PATH", path.unwrap()).args(["-ec", &lines.join("\n")]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && told.contains(rehearsal.job().id()), "{lines:?} {output:?}");
        assert_eq!(
            std::fs::read_to_string(&role).unwrap().trim(),
            "configure export-credentials --profile p --format env"
        );
    }
}

#[test]
fn the_secret_key_of_a_device_is_not_shown_at_a_terminal() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let mut terminal = Terminal::start(agent(&rehearsal, ["credentials", rehearsal.job().id()]), 100, 30);
    assert_eq!(terminal.end(), 2);
    let screen = terminal.screen();
    assert!(screen.contains("a terminal would show") && screen.contains("snow-onboard setup-profile JID"), "{screen}");
    assert!(!rehearsal.state_home().join("snow-onboard").exists());
}
