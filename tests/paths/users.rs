//! Two users of this machine, made for a test and removed after it.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A user who may sign in nowhere.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Anna, who runs the agent, and Bert, who would like to have a say in it.
pub(crate) struct Users {
    pub(crate) anna: User,
    pub(crate) bert: User,
    /// Tests run side by side, each in a process of its own, and share the two.
    _lock: File,
}

impl Users {
    /// Makes them, or says why not.
    pub(crate) fn make() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            snow_rehearsal::skipped("two users can be made by root alone");
            return None;
        }
        let lock = File::create(std::env::temp_dir().join("snow-onboard-test-users.lock")).unwrap();
        lock.lock().unwrap();
        let make = |name, uid: u32| {
            let number = uid.to_string();
            // Left by a test that was killed.
            remove(name);
            run("groupadd", &["--gid", &number, name], &[0]);
            run("useradd", &["--no-create-home", "--no-log-init", "--uid", &number, "--gid", &number, name], &[0]);
            User { name, uid, gid: uid }
        };
        Some(Self { anna: make("snow-anna", 61_641), bert: make("snow-bert", 61_642), _lock: lock })
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        [&self.anna, &self.bert].into_iter().for_each(|user| remove(user.name));
    }
}

fn remove(name: &str) {
    run("userdel", &[name], &[]);
    // A group that has somebody else in it stays behind its user.
    run("groupdel", &[name], &[]);
}

impl User {
    /// Has a command run as this user.
    pub(crate) fn as_user<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.uid(self.uid).gid(self.gid)
    }

    /// Gives a thing to this user, itself and nothing below.
    pub(crate) fn own(&self, path: &Path) {
        std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid)).unwrap();
    }
}

/// Runs a tool of the system; `codes` are those with which it may end, any if there are none.
pub(crate) fn run(tool: &str, args: &[&str], codes: &[i32]) {
    let output = Command::new(tool).args(args).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{tool} can't be started: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        codes.is_empty() || codes.iter().any(|code| output.status.code() == Some(*code)),
        "{tool} {args:?}: {said}"
    );
}
