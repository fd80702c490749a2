//! What the kernel's keyrings look like from outside the library under test.

use std::os::unix::process::CommandExt as _;

use linux_keyutils::{Key, KeyPermissions, KeyRing, KeyRingIdentifier};

use super::*;

const JOIN_SESSION_KEYRING: libc::c_int = 1;
const REVOKE: libc::c_int = 3;
const SESSION: libc::c_int = -3;

/// Gives this thread, and those it starts, a new session keyring (keyctl(2)); there is no safe wrapper.
#[allow(unsafe_code)]
pub(super) fn join_session() -> bool {
    // SAFETY: the operation takes a name, and a null one makes an anonymous keyring; no memory is touched.
    unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) >= 0 }
}

/// The same with a keyring of this name.
#[allow(unsafe_code)]
fn join_session_called(name: &str) -> String {
    let name = std::ffi::CString::new(name).unwrap();
    // SAFETY: the kernel reads a string that ends with a NUL.
    let joined = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    format!("joined: {}", joined >= 0)
}

/// Adds a key of this name, which need be no text.
#[allow(unsafe_code)]
fn add_key(name: &[u8]) -> Key {
    let (name, value) = (std::ffi::CString::new(name).unwrap(), b"x");
    // SAFETY: the kernel reads two strings that end with a NUL, and a value of the length that it is told.
    let key = unsafe {
        libc::syscall(libc::SYS_add_key, c"user".as_ptr(), name.as_ptr(), value.as_ptr(), value.len(), SESSION)
    };
    assert!(key > 0, "{}", std::io::Error::last_os_error());
    Key::from_id(i32::try_from(key).unwrap().into())
}

/// `None` for one that was removed and waits to be collected.
#[allow(unsafe_code)]
fn is_keyring(key: i32) -> Option<bool> {
    const DESCRIBE: libc::c_int = 6;
    let mut text = [0_u8; 8192];
    // SAFETY: the kernel writes no more than there is room for.
    let length = unsafe { libc::syscall(libc::SYS_keyctl, DESCRIBE, key, text.as_mut_ptr(), text.len()) };
    (length > 0).then(|| text.starts_with(b"keyring;"))
}

#[allow(unsafe_code)]
pub(super) fn revoke_session() {
    // SAFETY: the operation takes a key's number alone.
    unsafe { libc::syscall(libc::SYS_keyctl, REVOKE, SESSION) };
}

/// Does a step that is about keyrings.
pub(super) fn act(step: &str, job: &str) -> Option<String> {
    let description = format!("snow-onboard:{job}");
    Some(match step.split_once(':').unwrap_or((step, "")) {
        ("store-alone", _) => store(&description, CODE_A),
        ("fill-quota", _) => fill_quota(),
        ("show-keys", _) => perms_of(job).join(" "),
        ("look", _) => as_it_is(&description),
        ("plant" | "plant-names" | "spy", _) => by_another_user(step, job),
        ("join-long", _) => join_session_called(&format!("{job};{}", "A".repeat(600))),
        ("show-session", _) => in_session(),
        ("command", verb) => by_command(verb, job),
        ("let-ring", perms) => let_be(Key::from_id((KeyRingIdentifier::Session as i32).into()), perms),
        ("let-key", perms) => let_be(session().search(&description).unwrap(), perms),
        _ => return None,
    })
}

/// Stores a key as it is.
fn store(description: &str, value: &str) -> String {
    let session = KeyRing::from_special_id(KeyRingIdentifier::Session, false).unwrap();
    session.add_key(description, value).unwrap();
    "stored".to_owned()
}

/// Leaves this user hardly a byte for keys, until this process ends.
fn fill_quota() -> String {
    let ring = KeyRing::from_special_id(KeyRingIdentifier::Process, true).unwrap();
    let (mut size, mut number) = (16_384, 0);
    while size > 0 {
        match ring.add_key(&number.to_string(), &vec![b'x'; size]) {
            Ok(_) => number += 1,
            Err(_) => size /= 2,
        }
    }
    "full".to_owned()
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
    let listed = || -> Vec<String> {
        // Names may be no text, those of other tests' keys too.
        let list = std::fs::read("/proc/keys").unwrap_or_default();
        let list = String::from_utf8_lossy(&list);
        let keys = list.lines().filter(|line| line.contains(job));
        let fields = keys.map(|line| line.split_whitespace().collect::<Vec<_>>());
        // The flag i is a key that is invalidated and waits to be collected.
        fields.filter(|fields| !fields[1].contains('i')).map(|fields| fields[4].to_owned()).collect()
    };
    // The list may leave some out where others are made and removed while it is read.
    let mut lists = std::iter::repeat_with(|| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        listed()
    });
    lists.by_ref().take(20).find(|keys| !keys.is_empty()).unwrap_or_default()
}

fn session() -> KeyRing {
    KeyRing::from_special_id(KeyRingIdentifier::Session, false).unwrap()
}

fn perms(hexadecimal: &str) -> KeyPermissions {
    KeyPermissions::from_u32(u32::from_str_radix(hexadecimal, 16).unwrap())
}

/// Changes what a key or a keyring lets others do.
fn let_be(key: Key, hexadecimal: &str) -> String {
    key.set_perms(perms(hexadecimal)).unwrap();
    "let".to_owned()
}

/// What a key holds that is found in the session, whoever's it is.
fn as_it_is(description: &str) -> String {
    let value = session().search(description).unwrap().read_to_vec().unwrap();
    String::from_utf8(value).unwrap().lines().next().unwrap().to_owned()
}

/// How many keys are linked in the session's keyring, and how many keyrings.
fn in_session() -> String {
    let mut links = [0_u8; 4096];
    let length = Key::from_id(SESSION.into()).read(&mut links).unwrap();
    let links = links[..length].as_chunks().0.iter().map(|link| i32::from_ne_bytes(*link));
    let (keyrings, keys): (Vec<bool>, Vec<bool>) = links.filter_map(is_keyring).partition(|is_keyring| *is_keyring);
    format!("{} keys, {} keyrings", keys.len(), keyrings.len())
}

/// The program's answer in this session, where the kernel's own list of keys is hidden as in a container.
fn by_command(verb: &str, job: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", "mount --bind /dev/null /proc/keys && exec \"$@\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_snow-onboard")).arg(verb);
    match verb {
        "forget" => command.args([job, "--yes", "--keychain", "kernel", "--json"]),
        _ => command.args([job, "--keychain", "kernel"]),
    };
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", folder.path());
    let output = command.env("XDG_STATE_HOME", folder.path()).output().unwrap();
    let audit = std::fs::read_to_string(folder.path().join("snow-onboard/audit.jsonl")).unwrap_or_default();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).replace('\n', " ");
    format!("{:?}, {} in the audit: {text}", output.status.code(), audit.matches("\"forgotten\"").count())
}

/// A user whose quota no other test needs.
const WITH_ROOM: u32 = 65_517;

/// What [`another_user`] is to do.
const ACT: &str = "SNOW_ONBOARD_TEST_ANOTHER_USER";

/// A process of another user in this session, as `sudo -u` starts one.
fn by_another_user(act: &str, job: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "keyrings::another_user", "--ignored", "--nocapture"]);
    let user = if act == "plant-names" { WITH_ROOM } else { ANOTHER_USER };
    let output = command.env(ACT, format!("{act} {job}")).uid(user).gid(user).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix(">> ").map(str::to_owned)).unwrap_or(text)
}

#[test]
#[ignore = "run by the steps plant and spy, in a process of another user"]
fn another_user() {
    let Ok(act) = std::env::var(ACT) else { return };
    let (act, job) = act.split_once(' ').unwrap();
    let description = format!("snow-onboard:{job}");
    if act == "plant" {
        let key = session().add_key(&description, "planted").unwrap();
        key.set_perms(perms("3f3f3f3f")).unwrap();
        return println!(">> planted");
    }
    if act == "plant-names" {
        let long = format!("{description} {}", "X".repeat(600));
        let forged = format!("x: 1\n2ff76318 I--Q--- 1 perm 003f0000 0 0 user {description} ");
        let other = format!("{description}é of somebody").replace("JID1", "JID2");
        for name in [long.as_bytes(), &[forged.as_bytes(), &[0xff; 2000]].concat(), other.as_bytes()] {
            add_key(name).set_perms(perms("3f3f3f3f")).unwrap();
        }
        return println!(">> planted");
    }
    let found = session().search(&description).and_then(|key| key.read_to_vec());
    println!(">> {}", found.map_or_else(|_| "denied".to_owned(), |value| String::from_utf8(value).unwrap()));
}

/// A script of the kernel's keychain that has processes of another user, if this system has keyrings.
fn with_another_user(test: &str, number: u8, steps: &str) -> Option<Vec<String>> {
    if !process::is_root_or_rerun(&format!("keyrings::{test}")) {
        return None;
    }
    let (_folder, program) = for_another_user();
    let job = job_of_this_run(number);
    let answers = Script { kind: "kernel", job: &job, steps, ..Script::SYSTEM }.run_as(Command::new(&program));
    if answers[0] == "session refused" {
        snow_rehearsal::skipped("the kernel gives this user no session keyring");
        return None;
    }
    // Nothing of a run that fails stays in the user's persistent keyring.
    Script { kind: "kernel", job: &job, steps: "join-session forget", ..Script::SYSTEM }.run_in(None);
    Some(answers)
}

#[test]
fn a_process_of_another_user_in_this_session_reads_no_code() {
    let steps = "join-session keep-a spy recall keep-b spy let-key:3f010000 spy recall spy";
    let test = "a_process_of_another_user_in_this_session_reads_no_code";
    let Some(answers) = with_another_user(test, 4, steps) else { return };
    assert_eq!(answers[2..6], ["kept", "denied", "a", "kept"]);
    assert_eq!(answers[6..8], ["denied", "let"]);
    assert!(answers[8].starts_with(CODE_B), "a control: a key as the kernel makes it is read: {answers:?}");
    assert_eq!(answers[9..11], ["b", "denied"], "it is closed before it is used");
}

#[test]
fn a_session_keyring_that_others_may_use_is_refused_also_if_it_is_opened_meanwhile() {
    let test = "a_session_keyring_that_others_may_use_is_refused_also_if_it_is_opened_meanwhile";
    let Some(answers) = with_another_user(test, 5, "join-session before-let-ring:3f3f0808 keep-a") else { return };
    let is_refused = |answer: &str| {
        answer.starts_with("kernel_keyring_closed: ")
            && answer.contains("open to other users of this machine (permissions ")
    };
    assert!(is_refused(&answers[2]) && answers.len() == 3, "{answers:?}");
    let steps = "join-session keep-a let-ring:3f3f0800 keep-b recall prepare forget let-ring:3f3f0000 recall forget";
    let Some(answers) = with_another_user(test, 5, steps) else { return };
    assert!(answers[4..8].iter().all(|answer| is_refused(answer)), "{answers:?}");
    assert_eq!(answers[8..11], ["let", "a", "1"], "as it was");
}

#[test]
fn an_item_of_another_user_is_neither_read_nor_written_nor_removed() {
    let test = "an_item_of_another_user_is_neither_read_nor_written_nor_removed";
    let steps = "join-session before-plant prepare recall keep-a forget look show-keys";
    let Some(answers) = with_another_user(test, 6, steps) else { return };
    assert_eq!(answers[1], "planted");
    for answer in &answers[3..7] {
        let is_foreign = answer.starts_with("keychain_foreign_item: ");
        assert!(is_foreign && answer.contains(&format!("another user (uid {ANOTHER_USER})")), "{answers:?}");
    }
    assert_eq!(answers[7..9], ["planted", "3f3f3f3f"], "as it was");
}

/// A key's name may be longer than a library has room for, look like a line of the kernel's list, or be no text.
#[test]
fn no_name_in_the_session_and_no_hidden_list_breaks_a_removal() {
    let test = "no_name_in_the_session_and_no_hidden_list_breaks_a_removal";
    // Not with --all: the user's persistent keyring has more in it than this test's.
    let steps = "join-session keep-a plant-names command:forget recall show-session";
    let Some(answers) = with_another_user(test, 8, steps) else { return };
    assert_eq!(answers[2..4], ["kept", "planted"]);
    let removed = &answers[4];
    assert!(removed.starts_with("Some(0), 1 in the audit: "), "{removed}");
    assert!(removed.contains("\"code_removed_from\":[\"kernel keyring"), "{removed}");
    assert_eq!(answers[5..7], ["none", "3 keys, 0 keyrings"], "{answers:?}");
}

/// Other programs keep keys of theirs in the user's persistent keyring, and a process of another user may have the session's.
#[test]
fn the_session_s_keyring_is_changed_by_our_own_keys_alone_whatever_it_is_called() {
    let test = "the_session_s_keyring_is_changed_by_our_own_keys_alone_whatever_it_is_called";
    let steps = "show-session command:status recall keep-a show-session recall command:forget show-session";
    for join in ["join-session", "join-session before-join-long"] {
        let Some(answers) = with_another_user(test, 10, &format!("{join} {steps}")) else { return };
        let answers = &answers[if join.ends_with("long") { 3 } else { 2 }..];
        assert_eq!(answers[0], "0 keys, 0 keyrings", "{answers:?}");
        assert!(answers[1].starts_with("Some("), "{answers:?}");
        assert_eq!(answers[2..6], ["none", "kept", "1 keys, 0 keyrings", "a"], "{answers:?}");
        assert!(answers[6].starts_with("Some(0), 1 in the audit: "), "{answers:?}");
        assert_eq!(answers[7], "0 keys, 0 keyrings", "{answers:?}");
    }
}

#[test]
fn a_code_that_others_could_read_is_closed_and_that_is_told() {
    let test = "a_code_that_others_could_read_is_closed_and_that_is_told";
    let steps = "join-session keep-a let-key:3f3f3f3f recall recall let-key:3f3f0002 prepare show-keys let-key:3f000000 recall forget";
    let Some(answers) = with_another_user(test, 7, steps) else { return };
    let is_told =
        |answer: &str| answer.starts_with("warning: ") && answer.contains("could be read or changed by other users");
    assert!(is_told(&answers[4]), "{answers:?}");
    assert_eq!(answers[5..8], ["a", "a", "let"], "once");
    assert!(is_told(&answers[8]), "{answers:?}");
    assert_eq!(
        answers[9..14],
        ["was there", "003f0000", "let", "a", "1"],
        "one of an earlier version is closed in silence"
    );
}

/// As another user: root's quota is large, and this one is nobody else's. An item with one line grows when it gets its second.
#[test]
fn a_full_quota_of_the_kernel_s_keyrings_costs_no_code() {
    if !process::is_root_or_rerun("keyrings::a_full_quota_of_the_kernel_s_keyrings_costs_no_code") {
        return;
    }
    let (_folder, program) = for_another_user();
    let run = |steps| {
        let mut command = Command::new(&program);
        command.uid(ANOTHER_USER).gid(ANOTHER_USER);
        Script { kind: "kernel", job: &job_of_this_run(3), steps, ..Script::SYSTEM }.run_as(command)
    };
    let answers = run("join-session store-alone fill-quota keep-b recall forget");
    if answers[0] == "session refused" {
        snow_rehearsal::skipped("the kernel gives this user no session keyring");
        return;
    }
    assert_eq!(answers[2..4], ["stored", "full"]);
    assert!(answers[4].starts_with("kernel_keyring_full: ") && answers[4].contains("is full"), "{answers:?}");
    assert_eq!(answers[5..7], ["a alone", "1"], "the code that was there");
}
