//! What the rows are played on: Windows with its Credential Manager.

use std::os::windows::io::{FromRawHandle as _, OwnedHandle};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use windows_sys::Win32::Foundation::WAIT_TIMEOUT;
use windows_sys::Win32::System::Threading::{OpenProcess, PROCESS_SYNCHRONIZE, WaitForSingleObject};

/// The keychain that rows share; each has a job of its own in it, whose item is looked at by this test, not by the agent.
pub(crate) struct Keychain;

/// See [`Keychain`].
pub(crate) fn keychain() -> Keychain {
    keyring::Entry::store_status().as_ref().unwrap();
    Keychain
}

impl Keychain {
    fn entry(user: &str) -> keyring_core::Entry {
        keyring_core::Entry::new("snow-onboard", user).unwrap()
    }

    /// The code of a job.
    pub(crate) fn lookup(&self, user: &str) -> Option<String> {
        match Self::entry(user).get_secret() {
            Ok(secret) => Some(String::from_utf8_lossy(&secret).lines().next().unwrap_or_default().to_owned()),
            Err(keyring_core::Error::NoEntry) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Stores an item the way another program would. There are no options here.
    pub(crate) fn store(&self, _options: &[&str], user: &str, _more: &[&str], secret: &str) {
        Self::entry(user).set_secret(secret.as_bytes()).unwrap();
    }

    /// Removes a job's item the way another program would.
    pub(crate) fn clear(&self, user: &str) {
        match Self::entry(user).delete_credential() {
            Ok(()) | Err(keyring_core::Error::NoEntry) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Nothing of the agent's lies in it here.
pub(crate) fn runtime_folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// What is made below the user's own folder is private already.
pub(crate) fn keep_private(_folder: &Path) {}

/// There are none.
pub(crate) fn signal(_status: ExitStatus) -> Option<i32> {
    None
}

/// What a fault may change about the agent's process: nothing, here.
#[derive(Default)]
pub(crate) struct Surroundings;

impl Surroundings {
    /// The agent, with no variable but those that a program needs to start, and its temporary folder.
    pub(crate) fn agent(&self, _shared: &Keychain, temporary: &Path, _runtime: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snow-onboard"));
        command.env_clear();
        for kept in ["SystemRoot", "WINEPREFIX"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.env("TEMP", temporary).env("TMP", temporary);
        command
    }
}

/// No row that is played here has one.
pub(crate) fn mount_small_disk(folder: &Path) {
    panic!("{} can't be a disk of its own here", folder.display());
}

/// See [`mount_small_disk`].
pub(crate) fn unmount_small_disk(_folder: &Path) {}

/// Whether there is such a process.
#[allow(unsafe_code)]
pub(crate) fn is_alive(pid: u32) -> bool {
    // SAFETY: the calls take numbers alone; the handle is one that was just made, and closed by its owner.
    unsafe {
        let handle = OpenProcess(PROCESS_SYNCHRONIZE, 0, pid);
        if handle.is_null() {
            return false;
        }
        let _owner = OwnedHandle::from_raw_handle(handle);
        WaitForSingleObject(handle, 0) == WAIT_TIMEOUT
    }
}

/// Waits until `condition` holds, generously.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
