//! What the rows are played on: Linux with a keyring of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus};

use tempfile::TempDir;

use crate::keyring_bus::Keyring;
pub(crate) use crate::keyring_bus::KeyringBus as Keychain;

/// The keychain that rows share; each has a job of its own in it.
#[allow(dead_code, reason = "the surface has one for each case")]
pub(crate) fn keychain() -> Keychain {
    Keychain::start(Keyring::Unlocked)
}

/// In memory, as a session manager makes one; the private home comes to lie in it.
pub(crate) fn runtime_folder() -> TempDir {
    tempfile::Builder::new().prefix("snow-matrix-").tempdir_in("/dev/shm").unwrap()
}

/// Makes a folder nobody else's business.
pub(crate) fn keep_private(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
}

/// The signal that ended a process.
pub(crate) fn signal(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// What a fault may change about the agent's process.
#[derive(Default)]
pub(crate) struct Surroundings {
    /// Instead of the shared one.
    pub(crate) other_keychain: Option<Keychain>,
    pub(crate) session: Session,
    /// How many files and connections the agent may have open at a time.
    pub(crate) open_files: Option<u32>,
}

impl Surroundings {
    /// The agent, with no variable but those of its keychain and its temporary folders.
    pub(crate) fn agent(&self, shared: &Keychain, temporary: &Path, runtime: &Path) -> Command {
        let agent = env!("CARGO_BIN_EXE_snow-onboard");
        let mut command = Command::new(if self.open_files.is_some() { "sh" } else { agent });
        if let Some(limit) = self.open_files {
            command.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\""), agent]);
        }
        command.env_clear();
        let of_the_keyring = |name: &&str| matches!(*name, "DBUS_SESSION_BUS_ADDRESS" | "XDG_DATA_HOME");
        let keychain = self.other_keychain.as_ref().unwrap_or(shared);
        command.envs(keychain.environment().into_iter().filter(|(name, _)| of_the_keyring(name)));
        command.env("TMPDIR", temporary).env("XDG_RUNTIME_DIR", runtime);
        enter(self.session, &mut command);
        command
    }
}

pub(crate) use crate::process::wait_until;

/// Where a row has a disk of its own, of a megabyte.
pub(crate) fn mount_small_disk(folder: &Path) {
    mounts_of_its_own();
    let size = "size=1m,mode=700";
    run_tool(Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(folder));
}

/// The opposite; else the folder could not be removed.
pub(crate) fn unmount_small_disk(folder: &Path) {
    let _ = Command::new("umount").arg(folder).status();
}

/// The kernel's session keyring of the agent.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Session {
    #[default]
    AsItIs,
    /// One of its own.
    Own,
    /// None: it was revoked.
    Revoked,
}

/// Runs a tool of the system that can't but succeed.
#[track_caller]
pub(crate) fn run_tool(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{}", command.get_program().to_string_lossy());
}

/// What this thread mounts is seen by it and by the processes that it starts, and gone with them.
#[allow(unsafe_code)]
pub(crate) fn mounts_of_its_own() {
    // SAFETY: the call takes flags alone and changes nothing but what this thread sees of the file system.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    run_tool(Command::new("mount").args(["--make-rprivate", "/"]));
}

const JOIN_SESSION_KEYRING: libc::c_int = 1;
const REVOKE: libc::c_int = 3;
const SESSION: libc::c_int = -3;

/// Gives this process a new session keyring (keyctl(2)); there is no safe wrapper.
#[allow(unsafe_code)]
fn join_session() -> std::io::Result<()> {
    // SAFETY: the operation takes a name, and a null one makes an anonymous keyring; no memory is touched.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets a process begin with such a session keyring.
#[allow(unsafe_code)]
fn enter(session: Session, command: &mut Command) {
    let begin = move || match session {
        Session::AsItIs => Ok(()),
        Session::Own => join_session(),
        Session::Revoked => {
            // Where there are no keyrings at all there is none to revoke either.
            if join_session().is_ok() {
                // SAFETY: the operation takes a key's number alone.
                unsafe { libc::syscall(libc::SYS_keyctl, REVOKE, SESSION) };
            }
            Ok(())
        }
    };
    if session != Session::AsItIs {
        // SAFETY: between fork and exec it makes two system calls and allocates nothing.
        unsafe { command.pre_exec(begin) };
    }
}

/// Whether this system gives a process a session keyring.
pub(crate) fn has_session_keyrings() -> bool {
    let mut command = Command::new("true");
    enter(Session::Own, &mut command);
    command.status().is_ok_and(|status| status.success())
}
