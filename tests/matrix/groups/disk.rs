//! This program's files and folders.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::run_tool;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::row::Verb::{Fetch, Forget, Jobs, Refresh, Run};
use crate::row::{Cast, Fault, Given, Kept, Row};
use crate::scene::Scene;

pub(crate) fn rows() -> Vec<Row> {
    let row = |verb, name: &str, what, undo| Row::new(verb, name, Fault::Do(what, undo)).given(Given::Pair);
    vec![
        row(Run, "others may open the state folder", |it| mode(&it.folder(), 0o755), |it| mode(&it.folder(), 0o700))
            .fails(9, "state_folder_bad"),
        row(Fetch, "others may open the state folder", |it| mode(&it.folder(), 0o755), |it| mode(&it.folder(), 0o700))
            .fails(9, "state_folder_bad"),
        row(Jobs, "others may open the state folder", |it| mode(&it.folder(), 0o755), |it| mode(&it.folder(), 0o700))
            .fails(9, "state_folder_bad"),
        row(
            Run,
            "others may open the job's folder",
            |it| mode(&it.job_folder(), 0o755),
            |it| mode(&it.job_folder(), 0o700),
        )
        .fails(9, "state_folder_bad"),
        row(Run, "a link in place of the state folder", |it| link(it, &it.folder()), |it| unlink(it, &it.folder()))
            .fails(9, "state_folder_bad"),
        row(
            Run,
            "a link in place of the job's folder",
            |it| link(it, &it.job_folder()),
            |it| unlink(it, &it.job_folder()),
        )
        .fails(9, "state_folder_bad"),
        row(
            Forget,
            "a link in place of the job's folder",
            |it| link(it, &it.job_folder()),
            |it| unlink(it, &it.job_folder()),
        )
        .fails(9, "state_folder_bad"),
        row(Run, "a link in place of the manifest", |it| link(it, &it.manifest()), |it| unlink(it, &it.manifest()))
            .fails(9, "file_aliased"),
        row(Run, "a link in place of the record", |it| link(it, &it.record()), |it| unlink(it, &it.record()))
            .fails(9, "file_aliased"),
        row(Run, "the manifest has a second name", |it| second(it, &it.manifest()), unsecond).fails(9, "file_aliased"),
        row(Run, "a file in place of the state folder", |it| file_for(it, &it.folder()), |it| unlink(it, &it.folder()))
            .fails(9, "state_folder_bad")
            .kept(Kept::AsItWas),
        row(Run, "a foreign file beside the manifest", foreign, no_longer_foreign).fails(10, "not_apart"),
        row(Forget, "a foreign file beside the manifest", foreign, no_longer_foreign).fails(9, "foreign_file"),
        row(Run, "a folder beside the manifest", foreign_folder, no_longer_foreign_folder).fails(10, "not_apart"),
        row(
            Run,
            "a folder in place of the manifest",
            |it| folder_for(it, &it.manifest()),
            |it| unfolder(it, &it.manifest()),
        )
        .fails(9, "file_aliased")
        .kept(Kept::AsItWas),
        row(Run, "a folder in place of the audit log", |it| folder_for(it, &audit(it)), |it| unfolder(it, &audit(it)))
            .fails(9, "disk"),
        Row::new(Fetch, "a folder in place of the audit log", Fault::Do(audit_is_a_folder, audit_is_none))
            .fails(9, "disk"),
        row(Run, "another one is at work on the job", other_at_work, other_ends).fails(15, "busy"),
        row(Refresh, "another one is at work on the job", other_at_work, other_ends).fails(15, "busy"),
        row(Forget, "another one is at work on the job", other_at_work, other_ends).fails(15, "busy"),
    ]
}

/// Rows whose fault takes root to bring about.
pub(crate) fn rows_of_root() -> Vec<Row> {
    let small = || Cast { small_disk: true, ..Cast::default() };
    let row = |verb, name: &str, what, undo| Row::new(verb, name, Fault::Do(what, undo)).cast(small());
    vec![
        row(Run, "the state folder is another's", |it| owner(it, "12345"), |it| owner(it, "0"))
            .given(Given::Pair)
            .fails(9, "run_as_another"),
        row(Refresh, "the state folder is another's", |it| owner(it, "12345"), |it| owner(it, "0"))
            .given(Given::Stale)
            .fails(9, "run_as_another"),
        row(Run, "the disk is read-only", |it| remount(it, "ro"), |it| remount(it, "rw"))
            .given(Given::Pair)
            .fails(9, "disk"),
        row(Fetch, "the disk is read-only", |it| remount(it, "ro"), |it| remount(it, "rw"))
            .fails(9, "state_folder_bad"),
        row(Forget, "the disk is read-only", |it| remount(it, "ro"), |it| remount(it, "rw"))
            .given(Given::Pair)
            .fails(9, "disk"),
        row(Run, "the disk is full", |it| fill(it, 0), unfill).fails(9, "disk"),
        row(Fetch, "the disk has room for half a manifest", |it| fill(it, 15), unfill).fails(9, "disk"),
        row(Fetch, "the disk has room for the manifest and not for the record", |it| fill(it, 26), unfill)
            .fails(9, "disk"),
        row(Refresh, "the disk is full", |it| fill(it, 0), unfill).given(Given::Stale).fails(9, "disk"),
        row(Refresh, "the disk has room for half a manifest", |it| fill(it, 12), unfill)
            .given(Given::Stale)
            .fails(9, "disk"),
        row(Refresh, "the disk has room for the manifest and not for the record", |it| fill(it, 25), unfill)
            .given(Given::Stale)
            .fails(9, "disk"),
        row(Run, "the disk is full", |it| fill(it, 0), unfill).given(Given::Pair).fails(9, "disk"),
        row(Forget, "the disk is full", |it| fill(it, 0), unfill).given(Given::Pair).well(),
    ]
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

/// Where something is put aside, out of the state folder.
fn aside(scene: &Scene<'_>) -> PathBuf {
    scene.rehearsal.home().join("aside")
}

/// What lies at `path` now lies elsewhere, with a link in its place.
fn link(scene: &Scene<'_>, path: &Path) {
    fs::rename(path, aside(scene)).unwrap();
    symlink(aside(scene), path).unwrap();
}

fn unlink(scene: &Scene<'_>, path: &Path) {
    fs::remove_file(path).unwrap();
    fs::rename(aside(scene), path).unwrap();
}

fn file_for(scene: &Scene<'_>, path: &Path) {
    fs::rename(path, aside(scene)).unwrap();
    fs::write(path, "").unwrap();
}

fn folder_for(scene: &Scene<'_>, path: &Path) {
    fs::rename(path, aside(scene)).unwrap();
    fs::create_dir(path).unwrap();
}

fn unfolder(scene: &Scene<'_>, path: &Path) {
    fs::remove_dir(path).unwrap();
    fs::rename(aside(scene), path).unwrap();
}

fn second(scene: &Scene<'_>, path: &Path) {
    fs::hard_link(path, aside(scene)).unwrap();
}

fn unsecond(scene: &Scene<'_>) {
    fs::remove_file(aside(scene)).unwrap();
}

fn notes(scene: &Scene<'_>) -> PathBuf {
    scene.job_folder().join("notes.txt")
}

fn foreign(scene: &Scene<'_>) {
    fs::write(notes(scene), "mine").unwrap();
}

fn no_longer_foreign(scene: &Scene<'_>) {
    assert_eq!(fs::read(notes(scene)).unwrap(), b"mine", "it was not touched");
    fs::remove_file(notes(scene)).unwrap();
}

fn foreign_folder(scene: &Scene<'_>) {
    fs::create_dir(notes(scene)).unwrap();
}

fn no_longer_foreign_folder(scene: &Scene<'_>) {
    fs::remove_dir(notes(scene)).unwrap();
}

fn audit(scene: &Scene<'_>) -> PathBuf {
    scene.folder().join("audit.jsonl")
}

fn audit_is_a_folder(scene: &Scene<'_>) {
    fs::create_dir(scene.folder()).unwrap();
    mode(&scene.folder(), 0o700);
    fs::create_dir(audit(scene)).unwrap();
}

fn audit_is_none(scene: &Scene<'_>) {
    fs::remove_dir(audit(scene)).unwrap();
}

/// One that waits for a keyring that never answers; it has the lock by then.
fn other_at_work(scene: &Scene<'_>) {
    let bus = KeyringBus::start(Keyring::Silent);
    let mut other = scene.agent(Refresh, &[]);
    other.envs(bus.environment().into_iter().filter(|(name, _)| *name == "DBUS_SESSION_BUS_ADDRESS"));
    let null = std::process::Stdio::null;
    let other = other.stdout(null()).stderr(null()).spawn().unwrap();
    let lock = scene.folder().join("locks").join(scene.id());
    let pid = other.id().to_string();
    crate::process::wait_until("the other agent to be at work", || {
        fs::read_to_string(&lock).is_ok_and(|text| text.trim() == pid)
    });
    scene.change(|state| {
        state.other_agent = Some(other);
        state.around.other_keychain = Some(bus);
    });
    // The other one has its bus; this one is to have the usual.
    let usual = scene.bus.environment().into_iter().find(|(name, _)| *name == "DBUS_SESSION_BUS_ADDRESS").unwrap().1;
    scene.env("DBUS_SESSION_BUS_ADDRESS", usual.to_str());
}

fn other_ends(scene: &Scene<'_>) {
    scene.change(|state| {
        let mut other = state.other_agent.take().unwrap();
        assert!(other.try_wait().unwrap().is_none(), "it was at work all the time");
        other.kill().unwrap();
        other.wait().unwrap();
        state.around.other_keychain = None;
        state.env.remove("DBUS_SESSION_BUS_ADDRESS");
    });
}

fn owner(scene: &Scene<'_>, user: &str) {
    run_tool(Command::new("chown").args(["-R", user]).arg(scene.folder()));
}

fn remount(scene: &Scene<'_>, how: &str) {
    run_tool(Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(scene.rehearsal.state_home()));
}

fn filler(scene: &Scene<'_>) -> PathBuf {
    scene.rehearsal.state_home().join("filler")
}

/// Leaves so many blocks of 4 KiB.
fn fill(scene: &Scene<'_>, blocks: u64) {
    let stat = rustix::fs::statvfs(scene.rehearsal.state_home()).unwrap();
    let bytes = (stat.f_bavail - blocks) * stat.f_frsize;
    fs::write(filler(scene), vec![0; usize::try_from(bytes).unwrap()]).unwrap();
}

fn unfill(scene: &Scene<'_>) {
    fs::remove_file(filler(scene)).unwrap();
}
