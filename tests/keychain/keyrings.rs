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
