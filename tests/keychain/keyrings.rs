//! What the kernel's keyrings look like from outside the library under test.

use linux_keyutils::{KeyRing, KeyRingIdentifier};

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

#[allow(unsafe_code)]
pub(super) fn revoke_session() {
    // SAFETY: the operation takes a key's number alone.
    unsafe { libc::syscall(libc::SYS_keyctl, REVOKE, SESSION) };
}

/// Stores a key as it is.
pub(super) fn store(description: &str, value: &str) -> String {
    let session = KeyRing::from_special_id(KeyRingIdentifier::Session, false).unwrap();
    session.add_key(description, value).unwrap();
    "stored".to_owned()
}

/// Leaves this user hardly a byte for keys, until this process ends.
pub(super) fn fill_quota() -> String {
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
    let list = std::fs::read_to_string("/proc/keys").unwrap_or_default();
    let keys = list.lines().filter(|line| line.contains(job));
    let fields = keys.map(|line| line.split_whitespace().collect::<Vec<_>>());
    // The flag i is a key that is invalidated and waits to be collected.
    fields.filter(|fields| !fields[1].contains('i')).map(|fields| fields[4].to_owned()).collect()
}

/// As another user: root's quota is large, and this one is nobody else's. An item with one line grows when it gets its second.
#[test]
fn a_full_quota_of_the_kernel_s_keyrings_costs_no_code() {
    use std::os::unix::process::CommandExt as _;

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
    assert!(answers[4].starts_with("kernel_keyring_closed: ") && answers[4].contains("are full"), "{answers:?}");
    assert_eq!(answers[5..7], ["a alone", "1"], "the code that was there");
}
