//! The keychain against real keychains of Linux: GNOME Keyring on a bus of its own, and the kernel.
//!
//! Each keychain lives in a child process (this binary again), because the libraries read the bus's address from the
//! environment, and because a process that ends is part of what is promised.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod keyring_bus;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyring_bus::{Keyring, KeyringBus};
use snow_onboard::job::JobId;
use snow_onboard::keychain::{Keychain, KeychainKind, KeychainSettings};
use snow_onboard::notice::{Notice, Notify};
use snow_onboard::secret::UnlockCode;

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
        command.args(["--exact", "in_a_child", "--ignored", "--nocapture"]);
        if let Some(bus) = bus {
            bus.inside(&mut command);
        }
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
    fn notify(&self, notice: Notice) {
        match notice {
            Notice::Warning(text) => println!(">> warning: {text}"),
            Notice::Waiting { what, .. } => println!(">> waiting for {what}"),
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
    let job: JobId = word().parse().unwrap();
    let deadline = Duration::from_secs(word().parse().unwrap());
    let settings = KeychainSettings { kind, deadline, allow_plain: word() == "true" };
    let sockets_before = sockets();
    let steps: Vec<&str> = words.collect();
    // In a runtime, as in the program: the D-Bus library must not notice.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        if steps.contains(&"join-session") {
            println!(">> session {}", if keyrings::join_session() { "joined" } else { "refused" });
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
                    "prove" => answer(keychain.prove(&job), |()| "proven".to_owned()),
                    "keep-a" => answer(keychain.keep(&job, &code(CODE_A)), |()| "kept".to_owned()),
                    "keep-b" => answer(keychain.keep(&job, &code(CODE_B)), |()| "kept".to_owned()),
                    "recall" => answer(keychain.recall(&job), |found| match found {
                        Some(found) if found.is_same_as(&code(CODE_A)) => "a".to_owned(),
                        Some(found) if found.is_same_as(&code(CODE_B)) => "b".to_owned(),
                        Some(_) => "another code".to_owned(),
                        None => "none".to_owned(),
                    }),
                    "forget" => answer(keychain.forget(&job), |was_there| was_there.to_string()),
                    "lock" => {
                        let login = "array:objpath:/org/freedesktop/secrets/collection/login";
                        let mut lock = Command::new("dbus-send");
                        lock.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"]);
                        lock.args(["/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock", login]);
                        assert!(lock.output().unwrap().status.success());
                        "locked".to_owned()
                    }
                    "show-keys" => keyrings::perms_of(job.as_str()).join(" "),
                    _ => continue,
                }
            );
        }
        drop(keychain);
        println!(">> {}", if closes_what_it_opened(sockets_before) { "closed" } else { "left open" });
    });
}

fn sockets() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| entry.ok()?.path().read_link().ok());
    links.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

fn closes_what_it_opened(sockets_before: usize) -> bool {
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("keychain") || name.starts_with("zbus")).count()
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
        run(&bus, "prove recall keep-a recall"),
        ["the Secret Service keyring “Login”", "proven", "none", "kept", "a", "closed"]
    );
    assert_eq!(bus.lookup(JOB).as_deref(), Some(CODE_A));
    let found = bus.search(None);
    assert!(found.contains(&format!("label = snow-onboard unlock code for {JOB}")), "{found}");
    assert_eq!(found.matches("label =").count(), 1, "no probe is left: {found}");
    let on_disk = std::fs::read(bus.keyrings().join("login.keyring")).unwrap();
    assert!(!on_disk.windows(CODE_A.len()).any(|bytes| bytes == CODE_A.as_bytes()));

    assert_eq!(run(&bus, "recall keep-b recall")[1..], ["a", "kept", "b", "closed"], "by another process");
    assert_eq!(bus.lookup(JOB).as_deref(), Some(CODE_B));
    assert_eq!(run(&bus, "forget forget recall")[1..], ["true", "false", "none", "closed"]);
    assert_eq!(bus.search(None), "");
}

#[test]
fn an_item_of_another_program_keeps_its_label_and_one_that_is_no_code_its_content() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    bus.store(&["--label=my own"], JOB, &[], CODE_A);
    assert_eq!(run(&bus, "recall keep-b")[1..3], ["a", "kept"]);
    let found = bus.search(Some(JOB));
    assert!(found.contains("label = my own") && found.contains(CODE_B), "{found}");

    bus.store(&["--label=my own"], JOB, &[], "a shopping list");
    let answers = run(&bus, "recall keep-a");
    assert!(answers[1..3].iter().all(|answer| answer.starts_with("keychain_foreign_item: ")), "{answers:?}");
    assert!(!answers.concat().contains("shopping"));
    assert_eq!(bus.lookup(JOB).as_deref(), Some("a shopping list"));
    assert_eq!(run(&bus, "forget keep-a recall")[1..4], ["true", "kept", "a"]);
}

#[test]
fn of_two_items_none_is_taken() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    bus.store(&["--label=one"], JOB, &["copy", "1"], CODE_A);
    bus.store(&["--label=two"], JOB, &["copy", "2"], CODE_B);
    let answers = run(&bus, "prove recall keep-a forget");
    assert_eq!(answers[1], "proven");
    assert!(answers[2..5].iter().all(|answer| answer.starts_with("keychain_ambiguous: ")), "{answers:?}");
    assert_eq!(bus.search(Some(JOB)).matches("label =").count(), 2, "both are still there");
}

#[test]
fn the_session_keyring_is_no_place_to_keep_a_code() {
    let bus = KeyringBus::start(Keyring::Unlocked);
    bus.store(&["--label=passing", "--collection=session"], JOB, &[], CODE_A);
    let answers = run(&bus, "prove keep-b");
    assert_eq!(answers[1], "proven");
    assert!(answers[2].starts_with("keychain_keeps_nothing: ") && answers[2].contains("log-out"), "{answers:?}");
    assert_eq!(bus.lookup(JOB).as_deref(), Some(CODE_A), "what was there is left as it was");
}

#[test]
fn a_keyring_without_a_password_is_refused_unless_it_is_allowed() {
    let bus = KeyringBus::start(Keyring::Plain);
    let file = bus.keyrings().join("Default_keyring.keyring");
    let answers = run(&bus, "prove keep-a");
    assert!(answers[0].starts_with("keychain_in_clear: "), "{answers:?}");
    assert!(answers[0].contains(file.to_str().unwrap()), "{answers:?}");
    assert_eq!(answers.len(), 1);
    assert_eq!(bus.search(None), "", "nothing was written");

    let allowed = Script { allow_plain: true, steps: "prove keep-a recall", ..Script::SYSTEM };
    let answers = allowed.run_in(Some(&bus));
    assert!(answers[0].starts_with("warning: ") && answers[0].contains("in clear"), "{answers:?}");
    assert_eq!(answers[1..], ["the Secret Service keyring “Default keyring”", "proven", "kept", "a", "closed"]);
    assert_eq!(bus.lookup(JOB).as_deref(), Some(CODE_A));
}

#[test]
fn without_a_default_keyring_none_is_made() {
    let bus = KeyringBus::start(Keyring::NoDefault);
    let answers = run(&bus, "prove keep-a");
    assert!(answers[0].starts_with("keychain_no_collection: "), "{answers:?}");
    let made = std::fs::read_dir(bus.keyrings()).into_iter().flatten().filter_map(Result::ok);
    let made: Vec<_> = made.filter(|entry| entry.path().extension().is_some_and(|it| it == "keyring")).collect();
    assert!(made.is_empty(), "{made:?}");
}

#[test]
fn a_locked_keyring_is_asked_for_once() {
    let mut bus = KeyringBus::start(Keyring::Locked);
    bus.watch_prompts();
    let answers = run(&bus, "prove");
    assert!(answers[0].starts_with("keychain_locked: The Secret Service keyring “Login” is locked"), "{answers:?}");
    assert_eq!(bus.prompts(), 1);
}

#[test]
fn a_keyring_that_locks_itself_during_the_run_is_asked_for_once() {
    let mut bus = KeyringBus::start(Keyring::Unlocked);
    bus.watch_prompts();
    let answers = run(&bus, "keep-a lock recall keep-b forget prove");
    assert_eq!(answers[1..3], ["kept", "locked"]);
    assert!(answers[3..7].iter().all(|answer| answer.starts_with("keychain_locked: ")), "{answers:?}");
    assert_eq!(bus.prompts(), 1);
}

#[test]
fn a_service_that_never_answers_is_given_up_at_the_deadline() {
    let bus = KeyringBus::start(Keyring::Silent);
    let start = Instant::now();
    let answers = Script { deadline: 3, steps: "prove", ..Script::SYSTEM }.run_in(Some(&bus));
    assert_eq!(answers[0], "waiting for you to unlock the keychain");
    assert!(answers[1].starts_with("keychain_timeout: ") && answers[1].contains("3 seconds"), "{answers:?}");
    // The call is still stuck when the process ends: 25 s is D-Bus's own patience.
    assert!(start.elapsed() < Duration::from_secs(15), "the process could not exit: {:?}", start.elapsed());
}

#[test]
fn without_a_service_or_a_bus_the_cause_is_said() {
    let bus = KeyringBus::start(Keyring::NoService);
    let answers = run(&bus, "prove");
    assert!(answers[0].starts_with("keychain_unavailable: ") && answers[0].contains("no Secret Service runs"));

    let child = |change: &dyn Fn(&mut Command)| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "in_a_child", "--ignored", "--nocapture"]);
        bus.inside(&mut command).env(SCRIPT, format!("system {JOB} 60 false prove"));
        change(&mut command);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let nowhere = tempfile::tempdir().unwrap();
    let text = child(&|command| {
        command.env_remove("DBUS_SESSION_BUS_ADDRESS").env("XDG_RUNTIME_DIR", nowhere.path());
    });
    assert!(text.contains("there is no D-Bus session bus (DBUS_SESSION_BUS_ADDRESS is not set)"), "{text}");
    for address in [format!("unix:path={}/bus", nowhere.path().display()), "nonsense".to_owned()] {
        let text = child(&|command| {
            command.env("DBUS_SESSION_BUS_ADDRESS", &address);
        });
        assert!(text.contains("no D-Bus session bus at the address that DBUS_SESSION_BUS_ADDRESS gives"), "{text}");
    }
}

/// A job that no other run of these tests uses: the kernel's keyrings are the user's real ones.
fn job_of_this_run(number: u8) -> String {
    format!("JID{:08x}-0000-4000-8000-0000000000{number:02x}", std::process::id())
}

#[test]
fn the_kernel_keeps_a_code_for_its_session_alone() {
    let job = job_of_this_run(1);
    let script = |steps| Script { kind: "kernel", job: &job, steps, ..Script::SYSTEM };
    let answers =
        script("join-session prove recall keep-a recall show-keys keep-b recall forget forget show-keys").run_in(None);
    if answers[0] == "session refused" {
        // No keyrings here at all (a container): then that must be what is said.
        return assert!(answers[1].starts_with("kernel_keyring_closed: "), "{answers:?}");
    }
    assert!(answers[1].starts_with("kernel keyring (until "), "{answers:?}");
    assert_eq!(answers[2..], ["proven", "none", "kept", "a", "3f000000", "kept", "b", "true", "false", "", "closed"]);

    let answers = script("join-session keep-a").run_in(None);
    let elsewhere = script("join-session recall forget recall").run_in(None);
    let lasts = answers[1] == "kernel keyring (until the next reboot)";
    let expected = if lasts { ["a", "true", "none"] } else { ["none", "false", "none"] };
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
        assert_eq!(answers[1..3], ["kept", "true"]);
    }
    assert_eq!(keyrings::perms_of(&job), [""; 0]);
}

mod keyrings {
    //! What the kernel's keyrings look like from outside the library under test.

    use linux_keyutils::{KeyRing, KeyRingIdentifier};

    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    const REVOKE: libc::c_int = 3;
    const SESSION: libc::c_int = -3;

    /// Gives this thread, and those it starts, a new session keyring (keyctl(2)); there is no safe wrapper.
    #[allow(unsafe_code)]
    pub(super) fn join_session() -> bool {
        // SAFETY: the operation takes a name, and a null one makes an anonymous keyring; no memory is touched.
        unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) >= 0 }
    }

    #[allow(unsafe_code)]
    pub(super) fn revoke_session() {
        // SAFETY: the operation takes a key's number alone.
        unsafe { libc::syscall(libc::SYS_keyctl, REVOKE, SESSION) };
    }

    pub(super) fn session_is_own() -> bool {
        let id = |which| KeyRing::from_special_id(which, false);
        match (id(KeyRingIdentifier::Session), id(KeyRingIdentifier::UserSession)) {
            (Ok(session), Ok(default)) => session != default,
            (session, _) => session.is_ok(),
        }
    }

    /// The permissions of all living keys for a job, from the kernel's own list.
    pub(super) fn perms_of(job: &str) -> Vec<String> {
        let list = std::fs::read_to_string("/proc/keys").unwrap_or_default();
        let keys = list.lines().filter(|line| line.contains(job));
        let fields = keys.map(|line| line.split_whitespace().collect::<Vec<_>>());
        // The flag i is a key that is invalidated and waits to be collected.
        fields.filter(|fields| !fields[1].contains('i')).map(|fields| fields[4].to_owned()).collect()
    }
}
