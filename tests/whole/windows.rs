//! What is different on Windows: the Credential Manager, folders that were moved, launchers that are batch files, `cmd`, and a
//! process that ends without a signal.

use std::fs;
use std::os::windows::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use snow_rehearsal::{ClientOptions, Rehearsal, State, Trick};

use crate::agent::{Agent, Ended, contains, files, files_with, state};

/// As people are called, which no shell and no old code page likes.
const NAME: &str = "Jürgen & Zoë Müller";

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the Credential Manager holds for the job, asked by another program than the agent: this test.
fn stored(job: &str) -> Option<Vec<u8>> {
    keyring::Entry::store_status().as_ref().unwrap();
    match keyring_core::Entry::new("snow-onboard", job).unwrap().get_secret() {
        Ok(secret) => Some(secret),
        Err(keyring_core::Error::NoEntry) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_code_is_in_the_credential_manager_and_goes_with_forget() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let (id, code) = (rehearsal.job().id().to_owned(), rehearsal.job().unlock_code());
    Agent::run(&rehearsal, &["--keychain", "system"]).end().done();
    let item = stored(&id).expect("an item for the job");
    assert!(contains(&item, &code), "the control: the code can be found");
    assert!(files(&state(&rehearsal)).iter().any(|(path, _)| path.ends_with(format!("{id}_manifest.bin"))));
    assert_eq!(files_with(rehearsal.root(), &code), Vec::<PathBuf>::new());
    Agent::new(&rehearsal, ["forget", &id, "--keychain", "system"]).end().done();
    assert_eq!(stored(&id), None);
}

/// A user's folders, all of them below one with such a name, and without the folder Temp that is usually there.
fn moved(rehearsal: &Rehearsal) -> Vec<(&'static str, String)> {
    let home = rehearsal.root().join(NAME);
    let folders = ["USERPROFILE", "LOCALAPPDATA", "APPDATA"].map(|variable| (variable, home.join(variable)));
    folders
        .into_iter()
        .map(|(variable, folder)| {
            fs::create_dir_all(&folder).unwrap();
            (variable, folder.to_str().unwrap().to_owned())
        })
        .collect()
}

#[test]
fn folders_that_were_moved_to_a_name_with_an_umlaut_a_blank_and_an_ampersand_will_do() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let nowhere = rehearsal.root().join("a folder that is not there");
    for temporary in [None, nowhere.to_str()] {
        let folders = moved(&rehearsal);
        let mut agent = Agent::run(&rehearsal, &["--keychain", "none"]).envs(folders.clone()).without_env("TEMP");
        if let Some(folder) = temporary {
            agent = agent.env("TEMP", folder).env("TMP", folder);
        }
        agent.end().done();
        assert_eq!(rehearsal.device().state(), State::Unlocked);
        let homes = rehearsal.client_invocations().unwrap().into_iter().map(|call| call.user_home);
        let ours: Vec<_> = homes.filter(|home| home.to_string_lossy().contains(NAME)).collect();
        assert!(!ours.is_empty(), "the private home lies in the folders that were moved");
        assert!(ours.iter().all(|home| !home.exists()), "and is gone");
        rehearsal.device().power_loss_for(Duration::ZERO);
    }
}

/// As [`Path::join`], past the old limit of 260 characters.
fn long(folder: &Path) -> PathBuf {
    (0..6).fold(folder.to_owned(), |folder, _| folder.join("a-folder-with-a-name-of-fifty-characters-as-some-have"))
}

#[test]
fn a_state_folder_with_a_path_longer_than_260_characters_will_do() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let folder = long(rehearsal.root());
    fs::create_dir_all(&folder).unwrap();
    if folder.canonicalize().is_err() {
        snow_rehearsal::skipped("this system can't say where a path of over 260 characters leads, as Wine 8 can't");
        return;
    }
    let job = rehearsal.job();
    let state_dir = folder.to_str().unwrap();
    assert!(state_dir.len() > 300);
    let run = || Agent::run(&rehearsal, &["--keychain", "system", "--state-dir", state_dir]).end().done();
    run();
    rehearsal.device().power_loss_for(Duration::ZERO);
    let asked = rehearsal.requests().len();
    run();
    assert_eq!(rehearsal.device().state(), State::Unlocked);
    assert_eq!(rehearsal.requests().len(), asked, "what is kept is found again");
    Agent::new(&rehearsal, ["forget", job.id(), "--keychain", "system", "--state-dir", state_dir]).end().done();
}

/// A launcher like the vendor's: a batch file, whose arguments go through `cmd`.
fn batch_file(rehearsal: &Rehearsal) -> PathBuf {
    let launcher = rehearsal.client_path().with_extension("bat");
    fs::write(&launcher, "@\"%~dp0snowballEdge.exe\" %*\r\n").unwrap();
    launcher
}

#[test]
fn a_launcher_that_is_a_batch_file_is_started_as_well() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let launcher = batch_file(&rehearsal);
    Agent::run_with(&rehearsal, &launcher, &["--keychain", "none"]).envs(moved(&rehearsal)).end().done();
    assert_eq!(rehearsal.device().state(), State::Unlocked);
    for call in rehearsal.client_invocations().unwrap() {
        assert!(!call.argv.iter().any(|argument| argument.contains(&rehearsal.job().unlock_code())), "{:?}", call.argv);
    }
}

/// The line that is there to be pasted, by the shell into which it is pasted.
#[test]
fn the_command_to_repeat_is_one_that_cmd_reads_as_it_was_meant() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let state_dir = rehearsal.root().join("Zoë's & my (new) state^");
    let state_dir = state_dir.to_str().unwrap();
    let more = ["--keychain", "system", "--state-dir", state_dir];
    let first = Agent::run(&rehearsal, &more).end().done();
    let line = first.stdout.lines().find(|line| line.starts_with("  snow-onboard unlock "));
    let line = line.unwrap_or_else(|| panic!("no line to paste in {}", first.stdout)).trim();
    rehearsal.device().power_loss_for(Duration::ZERO);
    let asked = rehearsal.requests().len();

    let program = Path::new(env!("CARGO_BIN_EXE_snow-onboard"));
    let mut cmd = Command::new("cmd");
    cmd.raw_arg(format!("/d /s /c \"{line}\"")).env_clear().envs(rehearsal.env());
    for kept in ["SystemRoot", "TEMP", "WINEPREFIX", "ComSpec", "PATHEXT"] {
        cmd.envs(std::env::var_os(kept).map(|value| (kept, value)));
    }
    let path = std::env::var("PATH").unwrap_or_default();
    cmd.env("PATH", format!("{};{path}", program.parent().unwrap().display()));
    Ended::from(cmd.output().unwrap()).done();
    assert_eq!(rehearsal.device().state(), State::Unlocked);
    assert_eq!(rehearsal.requests().len(), asked, "with the pair that was kept in that folder");
    let job = rehearsal.job();
    let forget = ["forget", job.id(), "--keychain", "system", "--state-dir", state_dir];
    Agent::new(&rehearsal, forget).end().done();
}

/// Whether the program runs: Windows lets nobody write to one that does.
fn is_running(program: &Path) -> bool {
    fs::OpenOptions::new().write(true).open(program).is_err()
}

#[test]
fn an_agent_that_is_ended_takes_client_and_home_along() {
    let hangs = ClientOptions::default().trick(snow_rehearsal::Command::UnlockDevice, Trick::Hang);
    let rehearsal = Rehearsal::builder().client(hangs).start().unwrap();
    let mut agent = Agent::run(&rehearsal, &["--keychain", "none"]).spawn();
    let at_work = || {
        let calls = rehearsal.client_invocations().unwrap();
        calls.into_iter().find(|call| call.argv.iter().any(|argument| argument == "unlock-device"))
    };
    wait_until("the client to be at work", || at_work().is_some());
    let client = at_work().unwrap();
    let program = rehearsal.client_path().to_owned();
    assert!(is_running(&program), "a control");
    let with_code = files_with(&client.user_home, &rehearsal.job().unlock_code());
    assert!(!with_code.is_empty(), "the control: the home is there, with the code");
    // TerminateProcess, as the Task Manager does it.
    agent.kill().unwrap();
    agent.wait().unwrap();
    wait_until("the client to go", || !is_running(&program));
    wait_until("the private home to go", || !client.user_home.exists());
}
