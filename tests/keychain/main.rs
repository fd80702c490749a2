//! The keychain against real keychains of Linux: GNOME Keyring on a bus of its own, and the kernel.
//!
//! Each keychain lives in a child process (this binary again), because the libraries read the bus's address from the
//! environment, and because a process that ends is part of what is promised.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod again;
mod buses;
#[path = "../keyring_bus/mod.rs"]
mod keyring_bus;
mod keyrings;
#[path = "../leak/process.rs"]
#[allow(dead_code, reason = "the leak tests use the rest")]
mod process;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyring_bus::{Keyring, KeyringBus};
use snow_onboard::keychain::{Keychain, KeychainItem, KeychainSettings, PlainKeyring, Prepared};
use snow_onboard::model::{KeychainKind, ManifestDigest, TargetId, UnlockCode};
use snow_onboard::report::{Event, Notify};

const JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";
const CODE_A: &str = "12345-abcde-12345-ABCDE-12345";
const CODE_B: &str = "a6gt3-8suds-kshd6-7hhas-876as";

/// What a child is to do: its kind of keychain, job, deadline in seconds, whether plain will do, and its steps.
const SCRIPT: &str = "SNOW_ONBOARD_TEST_KEYCHAIN";

struct Script<'s> {
    kind: &'s str,
    job: &'s str,
    deadline: u64,
    allow_plain: bool,
    steps: &'s str,
}

impl Script<'_> {
    const SYSTEM: Script<'static> = Script { kind: "system", job: JOB, deadline: 60, allow_plain: false, steps: "" };

    /// Runs it in a child and gives its answers, one a step.
    fn run_in(&self, bus: Option<&KeyringBus>) -> Vec<String> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        if let Some(bus) = bus {
            bus.inside(&mut command);
        }
        self.run_as(command)
    }

    /// The same, with some variables that lead elsewhere.
    fn run_moved(&self, bus: &KeyringBus, moved: Vec<(&str, PathBuf)>) -> Vec<String> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        bus.inside(&mut command).envs(moved);
        self.run_as(command)
    }

    fn run_with(&self, environment: Vec<(&str, OsString)>) -> Vec<String> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env_clear().envs(environment);
        self.run_as(command)
    }

    fn run_as(&self, mut command: Command) -> Vec<String> {
        command.args(["--exact", "in_a_child", "--ignored", "--nocapture"]);
        let Self { kind, job, deadline, allow_plain, steps } = self;
        command.env(SCRIPT, format!("{kind} {job} {deadline} {allow_plain} {steps}"));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text.lines().filter_map(|line| line.strip_prefix(">> ").map(str::to_owned)).collect()
    }
}

fn run(bus: &KeyringBus, steps: &str) -> Vec<String> {
    Script { steps, ..Script::SYSTEM }.run_in(Some(bus))
}

struct Telling;
impl Notify for Telling {
    fn notify(&self, event: Event) {
        match event {
            Event::Warning(text) => println!(">> warning: {text}"),
            Event::Waiting { what, .. } => println!(">> waiting for {what}"),
            _ => {}
        }
    }
}

fn answer<R>(result: snow_onboard::error::Result<R>, tell: impl FnOnce(R) -> String) -> String {
    match result {
        Ok(value) => tell(value),
        Err(error) => {
            let report = error.report();
            format!("{}: {}", report.code, report.sentence)
        }
    }
}

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn in_a_child() {
    let Ok(script) = std::env::var(SCRIPT) else { return };
    let mut words = script.split_whitespace();
    let mut word = || words.next().unwrap();
    let kind: KeychainKind = word().parse().unwrap();
    let job: TargetId = word().parse().unwrap();
    let deadline = Duration::from_secs(word().parse().unwrap());
    let plain = if word() == "true" { PlainKeyring::Allowed } else { PlainKeyring::Refused };
    let settings = KeychainSettings { kind, deadline, plain };
    let sockets_before = sockets();
    let steps: Vec<&str> = words.collect();
    // In a runtime, as in the program: the D-Bus library must not notice.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        if steps.contains(&"join-session") {
            println!(">> session {}", if keyrings::join_session() { "joined" } else { "refused" });
        }
        for done in steps.iter().filter_map(|step| keyrings::act(step.strip_prefix("before-")?, job.as_str())) {
            println!(">> {done}");
        }
        if steps.contains(&"end-session") {
            keyrings::revoke_session();
        }
        let keychain = match Keychain::open(settings, Arc::new(Telling)) {
            Ok(keychain) => keychain,
            error => return println!(">> {}", answer(error, |_| String::new())),
        };
        println!(">> {}", keychain.name());
        for step in &steps {
            let code = |text: &str| UnlockCode::take(text).unwrap();
            println!(
                ">> {}",
                match *step {
                    "prepare" => answer(keychain.prepare(&job), |prepared| match prepared {
                        Prepared::Made => "made".to_owned(),
                        Prepared::WasThere => "was there".to_owned(),
                        Prepared::Nothing => "nothing".to_owned(),
                    }),
                    "withdraw" =>
                        answer(keychain.withdraw(&job), |warnings| format!("withdrawn {}", warnings.join(" "))),
                    "try" => answer(keychain.try_out(&job), |was_tried| format!("tried: {was_tried}")),
                    "keep-a" =>
                        answer(keychain.keep(&job, &code(CODE_A), &manifest('a'), None), |()| "kept".to_owned()),
                    "keep-b" =>
                        answer(keychain.keep(&job, &code(CODE_B), &manifest('b'), None), |()| "kept".to_owned()),
                    "recall" =>
                        answer(keychain.recall(&job), |found| match &found.iter().map(told).collect::<Vec<_>>()[..] {
                            [] => "none".to_owned(),
                            found => found.join("+"),
                        }),
                    "forget" => answer(keychain.forget(&job), |forgotten| {
                        forgotten.warnings.iter().for_each(|warning| println!(">> warning: {warning}"));
                        forgotten.removed.to_string()
                    }),
                    "sleep" => {
                        std::thread::sleep(Duration::from_secs(1));
                        "slept".to_owned()
                    }
                    "lock" => {
                        let login = "array:objpath:/org/freedesktop/secrets/collection/login";
                        let mut lock = Command::new("dbus-send");
                        lock.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"]);
                        lock.args(["/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock", login]);
                        assert!(lock.output().unwrap().status.success());
                        "locked".to_owned()
                    }
                    other => match keyrings::act(other, job.as_str()) {
                        Some(done) => done,
                        None => continue,
                    },
                }
            );
        }
        drop(keychain);
        println!(">> {}", if closes_what_it_opened(sockets_before) { "closed" } else { "left open" });
    });
}

/// A manifest of its own for each code.
fn manifest(of: char) -> ManifestDigest {
    ManifestDigest::of(of.to_string().as_bytes()).unwrap()
}

/// Which code it is, and whether its manifest came with it.
fn told(item: &KeychainItem) -> String {
    let code = |text: &str| UnlockCode::take(text).unwrap();
    for (name, text) in [('a', CODE_A), ('b', CODE_B)] {
        if item.code.is_same_as(&code(text)) {
            return match item.manifest {
                Some(digest) if digest == manifest(name) => name.to_string(),
                Some(_) => format!("{name} of another manifest"),
                None => format!("{name} alone"),
            };
        }
    }
    "another code".to_owned()
}

fn sockets() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| entry.ok()?.path().read_link().ok());
    links.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

fn closes_what_it_opened(sockets_before: usize) -> bool {
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "keychain" || name.starts_with("zbus")).count()
    };
    let start = Instant::now();
    while (threads() > 0 || sockets() > sockets_before) && start.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(10));
    }
    threads() == 0 && sockets() <= sockets_before
}

#[test]
fn a_code_is_kept_where_other_programs_find_it() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    assert_eq!(
        run(&bus, "recall prepare recall keep-a recall"),
        ["GNOME Keyring “Login”", "none", "made", "none", "kept", "a", "closed"]
    );
    assert_eq!(bus.item(JOB), Some(format!("{CODE_A}\n{}", manifest('a'))));
    let found = bus.search(None);
    assert!(found.contains(&format!("label = snow-onboard unlock code for {JOB}")), "{found}");
    assert_eq!(found.matches("label =").count(), 1, "the job's own item is the only one: {found}");
    let on_disk = std::fs::read(bus.keyrings().join("login.keyring")).unwrap();
    assert!(!on_disk.windows(CODE_A.len()).any(|bytes| bytes == CODE_A.as_bytes()));

    assert_eq!(run(&bus, "recall prepare keep-b recall")[1..], ["a", "was there", "kept", "b", "closed"]);
    assert_eq!(bus.lookup(JOB).as_deref(), Some(CODE_B));
    assert_eq!(run(&bus, "forget forget recall")[1..], ["1", "0", "none", "closed"]);
    assert_eq!(bus.search(None), "");
    assert_eq!(run(&bus, "try prepare withdraw")[1..], ["tried: true", "made", "withdrawn ", "closed"]);
    assert_eq!(bus.search(None), "", "nothing is left of what no code came for");
}

#[test]
fn an_item_of_another_program_keeps_its_label_and_one_that_is_no_code_its_content() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    bus.store(&["--label=my own"], JOB, &[], CODE_A);
    assert_eq!(run(&bus, "recall keep-b")[1..3], ["a alone", "kept"]);
    let found = bus.search(Some(JOB));
    assert!(found.contains("label = my own") && found.contains(CODE_B), "{found}");

    bus.store(&["--label=my own"], JOB, &[], "a shopping list");
    let answers = run(&bus, "recall prepare keep-a recall");
    assert!(answers[1].starts_with("keychain_foreign_item: ") && !answers.concat().contains("shopping"), "{answers:?}");
    assert_eq!(answers[2..5], ["made", "kept", "a"], "it is stored beside it");
    assert!(bus.search(Some(JOB)).contains("secret = a shopping list"));
    assert_eq!(run(&bus, "forget keep-a recall")[1..4], ["2", "kept", "a"]);
}

#[test]
fn an_item_that_a_person_edited_is_read() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    for edited in [format!("{CODE_A}\r\n{}\r\n", manifest('a')), format!("{CODE_A} \n\n{}\n", manifest('a'))] {
        bus.store(&["--label=edited"], JOB, &[], &edited);
        assert_eq!(run(&bus, "recall")[1], "a", "{}", edited.escape_debug());
    }
    bus.store(&["--label=edited"], JOB, &[], &format!("{CODE_A}\n"));
    assert_eq!(run(&bus, "recall")[1], "a alone");
}

#[test]
fn of_two_items_both_are_read_and_none_is_lost_until_the_job_is_forgotten() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    bus.store(&["--label=one"], JOB, &["copy", "1"], CODE_A);
    bus.store(&["--label=two"], JOB, &["copy", "2"], CODE_B);
    let answers = run(&bus, "recall prepare");
    assert!(["a alone+b alone", "b alone+a alone"].contains(&&*answers[1]), "{answers:?}");
    assert_eq!(answers[2], "was there");
    assert_eq!(run(&bus, "keep-a")[1], "kept");
    let found = bus.search(Some(JOB));
    assert_eq!(found.matches("label =").count(), 3, "the new one lies beside the others: {found}");
    assert_eq!(run(&bus, "forget recall")[1..3], ["3", "none"]);
    assert_eq!(bus.search(None), "");
}

#[test]
fn items_of_other_collections_are_neither_read_nor_touched() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    bus.store(&["--label=passing", "--collection=session"], JOB, &[], CODE_A);
    assert_eq!(run(&bus, "recall prepare keep-b recall forget")[1..6], ["none", "made", "kept", "b", "1"]);
    assert_eq!(bus.lookup(JOB).as_deref(), Some(CODE_A), "what was there is left as it was");
}

#[test]
fn a_keyring_without_a_password_is_refused_unless_it_is_allowed() {
    let bus = KeyringBus::start(Keyring::Plain);
    let file = bus.keyrings().join("Default_keyring.keyring");
    let answers = run(&bus, "prepare keep-a");
    assert!(answers[0].starts_with("keychain_in_clear: "), "{answers:?}");
    assert!(answers[0].contains(file.to_str().unwrap()), "{answers:?}");
    assert_eq!(answers.len(), 1);
    assert_eq!(bus.search(None), "", "nothing was written");

    let allowed = Script { allow_plain: true, steps: "prepare keep-a recall", ..Script::SYSTEM };
    let answers = allowed.run_in(Some(&bus));
    assert!(answers[0].starts_with("warning: ") && answers[0].contains("unencrypted"), "{answers:?}");
    assert_eq!(answers[1..], ["GNOME Keyring “Default keyring”", "made", "kept", "a", "closed"]);
    assert_eq!(bus.lookup(JOB).as_deref(), Some(CODE_A));
}

/// The environment of the program is another one than the daemon's, as in a snap's terminal, and leads to a keyring of the
/// same name that has a password.
#[test]
fn a_keyring_without_a_password_is_refused_whatever_the_environment_says() {
    let bus = KeyringBus::start(Keyring::Plain);
    let decoy = bus.decoy("Default_keyring");
    for variables in [vec!["XDG_DATA_HOME"], vec!["HOME"], vec!["HOME", "XDG_DATA_HOME"]] {
        let moved = variables.iter().map(|name| match *name {
            "HOME" => ("HOME", decoy.join("home")),
            name => (name, decoy.join("data")),
        });
        let answers = Script { steps: "prepare keep-a", ..Script::SYSTEM }.run_moved(&bus, moved.collect());
        assert!(answers[0].starts_with("keychain_in_clear: "), "{variables:?}: {answers:?}");
        assert_eq!(answers.len(), 1);
    }
    assert_eq!(bus.search(None), "", "nothing was written");
}

/// A keyring's file that can't be found is not taken for an encrypted one.
#[test]
fn a_keyring_whose_file_is_not_found_is_refused_and_every_place_named() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    std::fs::rename(bus.keyrings(), bus.keyrings().with_extension("gone")).unwrap();
    let answers = run(&bus, "prepare keep-a");
    assert!(answers[0].starts_with("keychain_unseen: "), "{answers:?}");
    assert!(answers[0].contains(bus.keyrings().to_str().unwrap()), "{answers:?}");
    assert!(answers[0].contains(".local/share/keyrings"), "{answers:?}");
}

/// “nobody”: known to the machine, which D-Bus wants, and with no home that there is.
const ANOTHER_USER: u32 = 65_534;

/// systemd's manager of a user, as far as it is asked.
struct UserManager(Vec<String>);

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl UserManager {
    #[zbus(property)]
    fn environment(&self) -> Vec<String> {
        self.0.clone()
    }
}

/// Where the user manager leads.
const MANAGER: &str = "SNOW_ONBOARD_TEST_MANAGER";

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn a_user_manager() {
    let Ok(data) = std::env::var(MANAGER) else { return };
    let manager = UserManager(vec![format!("XDG_DATA_HOME={data}"), "HOME=/nonexistent".to_owned()]);
    let connection = zbus::blocking::connection::Builder::session().unwrap();
    let connection = connection.serve_at("/org/freedesktop/systemd1", manager).unwrap();
    let _connection = connection.name("org.freedesktop.systemd1").unwrap().build().unwrap();
    println!(">> ready");
    loop {
        std::thread::park();
    }
}

/// A session of another user, in which the keyring's daemon has the capability that Ubuntu gives it: its environment can't be
/// read, so where its files are has to be found out otherwise.
struct Capable {
    bus: KeyringBus,
    program: PathBuf,
    _folder: tempfile::TempDir,
    manager: Option<std::process::Child>,
}

/// This program where another user can start it: the build's own folder may be one that only its owner can enter.
fn for_another_user() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = folder.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    (folder, program)
}

impl Drop for Capable {
    fn drop(&mut self) {
        self.end_manager();
    }
}

impl Capable {
    fn start(keyring: Keyring) -> Self {
        let bus = KeyringBus::start_as(Some(ANOTHER_USER), keyring);
        let (folder, program) = for_another_user();
        let this = Self { bus, program, _folder: folder, manager: None };
        let environment = format!("/proc/{}/environ", this.bus.keyring_pid());
        let read = this.bus.inside(Command::new("cat").arg(environment)).output().unwrap();
        assert!(!read.status.success(), "a control: the daemon's environment can't be read");
        this
    }

    /// From now on there is a user manager, and this is where it leads.
    fn manager_leads_to(&mut self, data: &std::path::Path) {
        self.end_manager();
        let mut command = Command::new(&self.program);
        command.args(["--exact", "a_user_manager", "--ignored", "--nocapture"]);
        let command = self.bus.inside(&mut command).env(MANAGER, data).stdout(std::process::Stdio::piped());
        let mut manager = command.spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(manager.stdout.take().unwrap()));
        assert!(lines.any(|line| line.unwrap() == ">> ready"));
        self.manager = Some(manager);
    }

    fn end_manager(&mut self) {
        if let Some(mut manager) = self.manager.take() {
            manager.kill().unwrap();
            manager.wait().unwrap();
        }
    }

    /// Runs a script whose own environment leads to `data`.
    fn run(&self, steps: &str, data: &std::path::Path) -> Vec<String> {
        let mut command = Command::new(&self.program);
        self.bus.inside(&mut command).env("XDG_DATA_HOME", data).env("HOME", data);
        Script { steps, ..Script::SYSTEM }.run_as(command)
    }
}

#[test]
fn a_daemon_whose_environment_can_t_be_read_is_judged_by_the_user_manager_s_and_by_the_file_that_changes() {
    if !process::is_root_or_rerun(
        "a_daemon_whose_environment_can_t_be_read_is_judged_by_the_user_manager_s_and_by_the_file_that_changes",
    ) {
        return;
    }
    let nowhere = std::path::Path::new("/nonexistent");
    let mut capable = Capable::start(Keyring::Unlocked);
    let data = capable.bus.keyrings().parent().unwrap().to_owned();
    let ours_alone = capable.run("prepare keep-a recall forget", &data);
    assert_eq!(ours_alone[1..5], ["made", "kept", "a", "1"], "the file that our environment leads to changes");
    capable.manager_leads_to(&data);
    for own in [&*data, nowhere] {
        let answers = capable.run("prepare keep-a recall forget", own);
        assert_eq!(answers[1..5], ["made", "kept", "a", "1"], "{answers:?}");
    }
    // The daemon keeps its keyring elsewhere than the manager and we think.
    let decoy = capable.bus.decoy("login").join("data");
    capable.manager_leads_to(&decoy);
    let answers = capable.run("prepare", &decoy);
    assert!(answers[1].starts_with("keychain_unseen: ") && answers[1].contains("another file"), "{answers:?}");
    assert_eq!(capable.bus.search(None), "", "and nothing is left");
}

#[test]
fn a_keyring_without_a_password_is_refused_also_if_the_daemon_s_environment_can_t_be_read() {
    if !process::is_root_or_rerun(
        "a_keyring_without_a_password_is_refused_also_if_the_daemon_s_environment_can_t_be_read",
    ) {
        return;
    }
    let mut capable = Capable::start(Keyring::Plain);
    let data = capable.bus.keyrings().parent().unwrap().to_owned();
    let decoy = capable.bus.decoy("Default_keyring").join("data");
    let answers = capable.run("prepare keep-a", &data);
    assert!(answers[0].starts_with("keychain_in_clear: "), "{answers:?}");
    let answers = capable.run("prepare", &decoy);
    assert!(answers[1].starts_with("keychain_unseen: ") && answers[1].contains("another file"), "{answers:?}");
    capable.manager_leads_to(&data);
    let answers = capable.run("prepare keep-a", &decoy);
    assert!(answers[0].starts_with("keychain_in_clear: "), "{answers:?}");
    capable.manager_leads_to(&decoy);
    let answers = capable.run("prepare keep-a", &decoy);
    assert!(answers[1].starts_with("keychain_unseen: "), "{answers:?}");
    assert_eq!(capable.bus.search(None), "", "nothing is left");
}

/// The child sees another folder where the daemon's environment leads, as in another mount namespace: with an encrypted keyring of
/// the same name, in which nothing is ever stored.
#[test]
fn a_daemon_that_stores_elsewhere_than_its_environment_leads_is_found_out_before_a_code_is_fetched() {
    if !process::may_mount_or_rerun(
        "a_daemon_that_stores_elsewhere_than_its_environment_leads_is_found_out_before_a_code_is_fetched",
    ) {
        return;
    }
    for (keyring, name) in [(Keyring::Unlocked, "login"), (Keyring::Plain, "Default_keyring")] {
        let bus = KeyringBus::start(keyring);
        let decoy = bus.decoy(name).join("data/keyrings");
        let run = |steps: &str, allow_plain| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"", "sh"]);
            command.arg(&decoy).arg(bus.keyrings()).arg(std::env::current_exe().unwrap());
            bus.inside(&mut command);
            Script { steps, allow_plain, ..Script::SYSTEM }.run_as(command)
        };
        let answers = run("prepare", false);
        assert!(answers[1].starts_with("keychain_unseen: ") && answers[1].contains("another file"), "{answers:?}");
        assert_eq!(bus.search(None), "", "and nothing is left");
        bus.store(&["--label=there before"], JOB, &[], CODE_A);
        let answers = run("prepare", false);
        assert!(answers[1].starts_with("keychain_unseen: "), "also with an item that is there: {answers:?}");
        assert_eq!(bus.lookup(JOB).as_deref(), Some(CODE_A), "which is as it was");
        let answers = run("prepare", true);
        assert!(answers[1].starts_with("warning: This program could not determine"), "{answers:?}");
        assert_eq!(answers[2], "was there");
    }
}

/// A bus of another user, as after `su` or `sudo -E`.
#[test]
fn without_a_default_keyring_none_is_made() {
    let bus = KeyringBus::start(Keyring::NoDefault);
    let answers = run(&bus, "prepare keep-a");
    assert!(answers[0].starts_with("keychain_no_collection: "), "{answers:?}");
    let made = std::fs::read_dir(bus.keyrings()).into_iter().flatten().filter_map(Result::ok);
    let made: Vec<_> = made.filter(|entry| entry.path().extension().is_some_and(|it| it == "keyring")).collect();
    assert!(made.is_empty(), "{made:?}");
}

#[test]
fn a_locked_keyring_is_asked_for_once() {
    let mut bus = KeyringBus::start(Keyring::Locked);
    bus.watch_prompts();
    let answers = run(&bus, "prepare");
    assert!(answers[0].starts_with("keychain_locked: GNOME Keyring “Login” is locked"), "{answers:?}");
    assert_eq!(bus.prompts(), 1);
}

#[test]
fn a_keyring_that_locks_itself_during_the_run_is_asked_for_once() {
    let mut bus = KeyringBus::start(Keyring::Unlocked);
    bus.watch_prompts();
    let answers = run(&bus, "keep-a lock recall keep-b forget prepare");
    assert_eq!(answers[1..3], ["kept", "locked"]);
    assert!(answers[3..7].iter().all(|answer| answer.starts_with("keychain_locked: ")), "{answers:?}");
    assert_eq!(bus.prompts(), 1);
}

#[test]
fn a_service_that_never_answers_is_given_up_at_the_deadline() {
    let bus = KeyringBus::start(Keyring::Silent);
    let start = Instant::now();
    let answers = Script { deadline: 3, steps: "prepare", ..Script::SYSTEM }.run_in(Some(&bus));
    assert_eq!(answers[0], "waiting for GNOME Keyring to answer");
    assert_eq!(answers[1], "keychain_timeout: GNOME Keyring did not answer within 3 seconds (opening the keychain).");
    // The call is still stuck when the process ends: 25 s is D-Bus's own patience.
    assert!(start.elapsed() < Duration::from_secs(15), "the process could not exit: {:?}", start.elapsed());
}

/// A job that no other run of these tests uses: the kernel's keyrings are the user's real ones.
fn job_of_this_run(number: u8) -> String {
    format!("JID{:08x}-0000-4000-8000-0000000000{number:02x}", std::process::id())
}

#[test]
fn the_kernel_keeps_a_code_for_its_session_alone() {
    let job = job_of_this_run(1);
    let script = |steps| Script { kind: "kernel", job: &job, steps, ..Script::SYSTEM };
    let answers = script("join-session prepare recall keep-a recall show-keys keep-b recall forget forget show-keys")
        .run_in(None);
    if answers[0] == "session refused" {
        // No keyrings here at all (a container): then that must be what is said.
        return assert!(answers[1].starts_with("kernel_keyring_closed: "), "{answers:?}");
    }
    assert!(answers[1].starts_with("kernel keyring (until "), "{answers:?}");
    assert_eq!(answers[2..], ["made", "none", "kept", "a", "003f0000", "kept", "b", "1", "0", "", "closed"]);

    let answers = script("join-session keep-a").run_in(None);
    let elsewhere = script("join-session recall forget recall").run_in(None);
    let lasts = answers[1] == "kernel keyring (until log-out or the next reboot)";
    let expected = if lasts { ["a", "1", "none"] } else { ["none", "0", "none"] };
    assert_eq!(elsewhere[2..5], expected, "another session of the same user: {answers:?}");
}

#[test]
fn a_session_without_a_keyring_of_its_own_is_refused_and_nothing_is_left_there() {
    let job = job_of_this_run(2);
    let ended = Script { kind: "kernel", job: &job, steps: "join-session end-session keep-a", ..Script::SYSTEM };
    let answers = ended.run_in(None);
    assert!(answers[1].starts_with("kernel_keyring_closed: ") && answers.len() == 2, "{answers:?}");

    let as_it_is = Script { kind: "kernel", job: &job, steps: "keep-a forget", ..Script::SYSTEM };
    let answers = as_it_is.run_in(None);
    let expected_closed = !keyrings::session_is_own();
    assert_eq!(answers[0].starts_with("kernel_keyring_closed: "), expected_closed, "{answers:?}");
    if !expected_closed {
        assert_eq!(answers[1..3], ["kept", "1"]);
    }
    assert_eq!(keyrings::perms_of(&job), [""; 0]);
}
