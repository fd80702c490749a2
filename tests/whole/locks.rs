//! The settings file of the whole system, which lies below /etc: what it locks, and who may write it. Each run sees an /etc
//! of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use snow_rehearsal::{Rehearsal, State};
use tempfile::TempDir;

use crate::agent::{Agent, files, state};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::process::may_mount_or_rerun;
use crate::secret_service::on_the_bus;

/// This machine's /etc, with a settings file in it.
struct Etc(TempDir);

impl Etc {
    fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = Command::new("cp").arg("-a").arg("/etc").arg(folder.path()).status().unwrap();
        assert!(copy.success());
        let etc = Self(folder);
        fs::create_dir_all(etc.file().parent().unwrap()).unwrap();
        fs::write(etc.file(), text).unwrap();
        etc.chmod(&etc.file(), 0o644);
        etc.chmod(etc.file().parent().unwrap(), 0o755);
        etc
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("etc")
    }

    fn file(&self) -> PathBuf {
        self.path().join("snow-onboard/config.toml")
    }

    fn chmod(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn no_flag_and_no_variable_goes_before_a_lock() {
    if !may_mount_or_rerun("locks::no_flag_and_no_variable_goes_before_a_lock") {
        return;
    }
    let rehearsal = Rehearsal::builder().start().unwrap();
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let etc =
        Etc::with(&format!("[locked]\nhandoff = \"private\"\nkeychain = \"none\"\nclient_sha256 = \"{digest}\"\n"));
    let run = |more: &[&str]| Agent::run(&rehearsal, more).with_etc(&etc.path());
    for (flags, said) in [
        (&["--allow-argv"][..], "/etc/snow-onboard/config.toml:2), so --allow-argv can't be used"),
        (&["--handoff", "auto"], "so --handoff auto can't be used"),
        (&["--keychain", "kernel"], "config.toml:3), so --keychain kernel can't"),
        (&["--client-sha256", &"0".repeat(64)], "config.toml:4), so --client-sha256 0000"),
    ] {
        run(flags).end().failed(3, said);
    }
    let variable = Agent::run(&rehearsal, &[]).env("SNOW_ONBOARD_HANDOFF", "argv").with_etc(&etc.path());
    let refused = variable.end().failed(3, "SNOW_ONBOARD_HANDOFF=argv can't be used");
    assert!(refused.stderr.contains("ask the administrator of this machine"), "{}", refused.stderr);
    // The pin holds for the client that the operator names.
    run(&["--keychain", "none"]).end().failed(11, digest);
    assert!(rehearsal.requests().is_empty(), "nothing was asked of AWS");
    assert_eq!(rehearsal.device().state(), State::Locked);

    let shown = Agent::new(&rehearsal, ["settings", "--json"]).with_etc(&etc.path()).end().done().json("result");
    let row = shown["settings"].as_array().unwrap().iter().find(|row| row["key"] == "handoff").unwrap();
    assert_eq!((&row["locked"], &row["origin"]), (&true.into(), &"/etc/snow-onboard/config.toml:2".into()));

    fs::write(etc.file(), "[locked]\nhandoff = \"private\"\nkeychain = \"none\"\n").unwrap();
    run(&[]).end().done();
    assert_eq!(rehearsal.device().state(), State::Unlocked);
    let kept: Vec<PathBuf> = files(&state(&rehearsal)).into_iter().map(|(path, _)| path).collect();
    assert!(kept.iter().all(|path| !path.ends_with("record.json")), "the locked keychain keeps nothing");
}

#[test]
fn a_hint_names_no_flag_whose_setting_is_locked() {
    if !may_mount_or_rerun("locks::a_hint_names_no_flag_whose_setting_is_locked") {
        return;
    }
    let rehearsal = Rehearsal::builder().start().unwrap();
    let fails = |etc: &Etc| {
        let agent =
            Agent::new(&rehearsal, ["run", rehearsal.job().id(), "--endpoint", "127.0.0.1:9", "--keychain", "none"]);
        agent.with_etc(&etc.path()).end().failed(11, "was not found").stderr
    };
    let hint = fails(&Etc::with(""));
    assert!(hint.contains("--client /path/to"), "{hint}");
    let hint = fails(&Etc::with("[locked]\nclient = \"/nowhere/snowballEdge\"\n"));
    assert!(hint.contains("has locked client. Ask the administrator") && !hint.contains("--client /"), "{hint}");
}

#[test]
fn a_locked_bundle_goes_before_every_variable() {
    if !may_mount_or_rerun("locks::a_locked_bundle_goes_before_every_variable") {
        return;
    }
    let (rehearsal, other) = (Rehearsal::builder().start().unwrap(), Rehearsal::builder().start().unwrap());
    let jobs = |trusted: &Rehearsal, others: &Path| {
        let etc = Etc::with(&format!("[locked]\nca_bundle = \"{}\"\n", trusted.ca_bundle().display()));
        let agent = Agent::bare(["jobs"]).env("AWS_CA_BUNDLE", others).env("SSL_CERT_FILE", others);
        rehearsal
            .env()
            .into_iter()
            .fold(agent, |agent, (name, value)| agent.env(name, value))
            .with_etc(&etc.path())
            .end()
    };
    jobs(&rehearsal, other.ca_bundle()).done();
    jobs(&other, rehearsal.ca_bundle()).failed(5, "is not trusted");
}

#[test]
fn a_system_file_that_others_can_write_is_refused_with_what_is_wrong() {
    if !may_mount_or_rerun("locks::a_system_file_that_others_can_write_is_refused_with_what_is_wrong") {
        return;
    }
    let rehearsal = Rehearsal::builder().start().unwrap();
    let etc = Etc::with("[locked]\nhandoff = \"private\"\n");
    let settings = || Agent::new(&rehearsal, ["settings"]).with_etc(&etc.path()).end();
    settings().done();
    etc.chmod(&etc.file(), 0o666);
    settings().failed(3, "/etc/snow-onboard/config.toml can't be used: it can be written by everyone");
    etc.chmod(&etc.file(), 0o644);
    etc.chmod(etc.file().parent().unwrap(), 0o777);
    settings().failed(3, "/etc/snow-onboard can be written by everyone");
    etc.chmod(etc.file().parent().unwrap(), 0o755);
    std::os::unix::fs::chown(etc.file(), Some(54_321), None).unwrap();
    settings().failed(3, "it belongs to uid 54321, so not only an administrator may have written it");
}

#[test]
fn a_code_that_a_lock_came_too_late_for_can_still_be_forgotten() {
    if !may_mount_or_rerun("locks::a_code_that_a_lock_came_too_late_for_can_still_be_forgotten") {
        return;
    }
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    let etc = Etc::with("[locked]\nkeychain = \"none\"\n");
    let free = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).end();
    let locked = |args: &[&str]| on_the_bus(Agent::new(&rehearsal, args), &bus).with_etc(&etc.path()).end();
    free(&["fetch", &id]).done();
    locked(&["fetch", &id, "--keychain", "system"]).failed(3, "is locked to “none”");
    assert!(bus.lookup(&id).is_some());
    locked(&["forget", &id]).done();
    assert_eq!(bus.lookup(&id), None, "the record names the keychain");

    free(&["fetch", &id]).done();
    locked(&["forget", &id, "--keychain", "system"]).done();
    assert_eq!(bus.lookup(&id), None, "and so may whoever types it");
}
