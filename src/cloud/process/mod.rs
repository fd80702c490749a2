//! A profile's `credential_process`, run by a [helper] of ours and not by the SDK, which starts it through a shell, at the
//! operator's terminal, and never ends it.

mod answer;
mod helper;

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use time::OffsetDateTime;

pub(crate) use helper::CREDENTIALS_ARGUMENT;
pub use helper::credentials_main;
use helper::{HelperReport, ProcessOrder, ProgramEnd};

use crate::error::io_in_words;
use crate::os::process;
#[cfg(unix)]
use crate::safety::interpreter;
use crate::safety::path_trust::{self, Refused, Whose};
use crate::safety::redact::redacted_beside;
use crate::safety::sanitize::phrase;
use crate::safety::search_path::{self, TrustedFolders};

/// Characters quoted of what a program says of its failure.
const QUOTED: usize = 300;

/// How long a helper has to end what it runs, and itself.
const HELPER_ENDS: Duration = Duration::from_secs(1);

/// The most that a helper's report can be: bytes are spelled as numbers in it.
const LONGEST_REPORT: u64 = 1 << 20;

/// Why a program is not run for credentials.
pub(super) enum UnfitProgram {
    /// Somebody else can change it, or a file that it is told to read.
    Refused(PathBuf, Refused),
    /// It names a program that somebody else can change: a whole clause, and what mends that.
    Runs(String, String),
    /// It is a script, and this is wrong with what runs it: a whole clause.
    #[cfg_attr(windows, allow(dead_code, reason = "Windows knows no such scripts"))]
    Script(String),
}

impl fmt::Display for UnfitProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(_, refused) => refused.fmt(f),
            Self::Script(why) | Self::Runs(why, _) => f.write_str(why),
        }
    }
}

/// Checks that nobody else can change `program`, what runs it if it is a script, and the files among its `arguments`, which
/// may be scripts for it to run.
///
/// # Errors
/// The first of which that is not so.
pub(super) fn check_program(
    program: &Path,
    arguments: &[String],
    folders: &TrustedFolders,
) -> Result<(), UnfitProgram> {
    let refused = |of: &Path, refused| UnfitProgram::Refused(of.to_owned(), refused);
    path_trust::open_file(program, Whose::Own).map_err(|error| refused(program, error))?;
    #[cfg(unix)]
    interpreter::check(program, &|| folders.path.clone())
        .map_err(|unfit| UnfitProgram::Script(format!("{} {}", unfit.script.display(), unfit.why)))?;
    for (name, doubtful) in folders.doubtful() {
        let is_named = search_path::is_named_in(name, &search_path::script_text(program))
            || arguments.iter().any(|argument| search_path::is_named_in(name, argument.as_bytes()));
        if is_named {
            let why = format!("it would run {}, which {}", doubtful.path.display(), doubtful.why);
            return Err(UnfitProgram::Runs(why, doubtful.mend.clone()));
        }
    }
    for argument in arguments {
        let value = argument.split_once('=').map(|(_, value)| value);
        for file in [Some(argument.as_str()), value].into_iter().flatten().map(Path::new) {
            // Folders are not judged, /tmp among them; nor is what would be made. The program finds a relative one from where this
            // one was started.
            if file.is_file() {
                let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
                path_trust::beside_program(&file).map_err(|error| refused(&file, error))?;
            }
        }
    }
    Ok(())
}

/// One profile's `credential_process`.
#[derive(Clone)]
pub(super) struct ProcessProvider {
    /// Which, in words: "the credential_process of profile “field” (helper, line 3 of /x)".
    pub(super) name: String,
    /// Program and arguments. They may hold secrets.
    pub(super) words: Vec<String>,
    /// How long it may take.
    pub(super) limit: Duration,
    /// The program that is to be the helper; this one if `None`.
    pub(super) helper: Option<PathBuf>,
}

impl fmt::Debug for ProcessProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessProvider({}, …)", self.name)
    }
}

impl ProvideCredentials for ProcessProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.obtain())
    }
}

impl ProcessProvider {
    async fn obtain(&self) -> provider::Result {
        let failed = |why: String| self.failed(why, String::new());
        // Dropped with this future, which ends the program: nobody waits for it any more.
        let (_guard, running) = self.start().map_err(failed)?;
        let report = tokio::task::spawn_blocking(move || running.report()).await;
        match report.ok().flatten() {
            Some(HelperReport::Ended(ran)) => self.judged(ran),
            Some(HelperReport::NotStarted { why }) => Err(failed(format!("can't be started: {why}"))),
            None => Err(failed("was ended from outside".to_owned())),
        }
    }

    /// Starts the helper and gives it its order: on a pipe, since other users see arguments, the program's descendants inherit
    /// variables, and what the files say by now may be another command than the one that was checked. The pipe's end is what
    /// tells the helper that the agent is gone.
    fn start(&self) -> Result<(HelperGuard, RunningHelper), String> {
        let lost = |error: std::io::Error| format!("can't be started: {}", io_in_words(&error));
        let program = self.helper.clone().map_or_else(process::own_program, Ok).map_err(lost)?;
        let mut command = Command::new(program);
        command.arg(CREDENTIALS_ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        process::prepare_helper(&mut command);
        // What was checked is what runs: found by the same rule, started by its path, and with no other folders to find more in.
        let folders = TrustedFolders::of_caller();
        command.env("PATH", &folders.path).envs(search_path::settings(cfg!(windows)));
        folders.dropped.iter().for_each(|name| _ = command.env_remove(name));
        let mut words = self.words.clone();
        if let Some((name, arguments)) = words.split_first_mut() {
            let found = search_path::program(name, &folders.path)
                .ok_or_else(|| format!("can't be started: {}", folders.why_not_found(name)))?;
            check_program(&found, arguments, &folders).map_err(|unfit| format!("can't be started: {unfit}"))?;
            *name =
                found.into_os_string().into_string().map_err(|_| "can't be started: its path is not valid Unicode")?;
        }
        let mut child = command.spawn().map_err(lost)?;
        let (pid, pipes) = (child.id(), (child.stdin.take(), child.stdout.take()));
        let child = Arc::new(Mutex::new(Some(child)));
        let running = RunningHelper { child: Arc::clone(&child), stdout: pipes.1 };
        let Some(mut orders) = pipes.0 else { return Err("has no input".to_owned()) };
        let limit = u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX);
        let order = ProcessOrder { words, umask: process::umask_of_caller(), limit };
        let mut line = zeroize::Zeroizing::new(serde_json::to_vec(&order).map_err(|error| lost(error.into()))?);
        line.push(b'\n');
        orders.write_all(&line).map_err(lost)?;
        Ok((HelperGuard { orders: Some(orders), pid, child }, running))
    }

    fn failed(&self, why: String, said: String) -> CredentialsError {
        CredentialsError::provider_error(ProgramFailed { why: format!("{} {why}", self.name), said })
    }

    fn judged(&self, ran: ProgramEnd) -> provider::Result {
        let failed = |why: String| self.failed(why, String::new());
        let ProgramEnd { code, signal, timed_out, stdout, stderr } = ran;
        let (stdout, stderr) = (zeroize::Zeroizing::new(stdout), zeroize::Zeroizing::new(stderr));
        if timed_out {
            return Err(failed(format!(
                "did not end within {} seconds and was ended with all that it started; it can't ask at this terminal, \
                 so sign in with its own command first, or allow more time with --network-timeout",
                self.limit.as_secs().max(1)
            )));
        }
        let status = match (code, signal) {
            (Some(0), _) => return answer::parse(&stdout, OffsetDateTime::now_utc()).map_err(failed),
            (Some(code), _) => format!("ended with status {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "was ended".to_owned(),
        };
        let said = phrase(&redacted_beside(&stderr, &stdout));
        let mut quoted: String = said.chars().take(QUOTED).collect();
        if quoted.len() < said.len() {
            quoted.push('…');
        }
        let said = if quoted.is_empty() { " and printed nothing".to_owned() } else { format!(" and said: {quoted}") };
        Err(self.failed(status, said))
    }
}

/// Why a program gave no credentials.
pub(super) struct ProgramFailed {
    why: String,
    /// How it explained itself, as what follows. The SDK logs the errors that it is given, and this is for the message alone.
    said: String,
}

impl ProgramFailed {
    /// All of it, for the person.
    pub(super) fn in_words(&self) -> String {
        format!("{}{}", self.why, self.said)
    }
}

impl fmt::Debug for ProgramFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProgramFailed({}, …)", self.why)
    }
}

impl fmt::Display for ProgramFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for ProgramFailed {}

/// A helper that is not collected yet.
type SharedHelper = Arc<Mutex<Option<Child>>>;

/// Ends a helper at the latest when it is dropped.
struct HelperGuard {
    /// Closed, it tells the helper that nobody waits any more.
    orders: Option<ChildStdin>,
    pid: u32,
    child: SharedHelper,
}

impl Drop for HelperGuard {
    /// One that is stopped, or hangs, does not see the pipe end, and is ended from here.
    fn drop(&mut self) {
        self.orders = None;
        let until = Instant::now() + HELPER_ENDS;
        loop {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(helper) = child.as_mut() else { return };
            let is_running = process::is_running(helper);
            if !is_running || Instant::now() >= until {
                if is_running {
                    process::end_without_helper(self.pid, None);
                    let _ = helper.kill();
                }
                return;
            }
            drop(child);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A helper at work.
struct RunningHelper {
    child: SharedHelper,
    stdout: Option<ChildStdout>,
}

impl RunningHelper {
    /// Waits for its report. `None` if it ended without one.
    fn report(mut self) -> Option<HelperReport> {
        let mut report = zeroize::Zeroizing::new(Vec::new());
        let stdout = self.stdout.take()?;
        stdout.take(LONGEST_REPORT).read_to_end(&mut report).ok()?;
        serde_json::from_slice(&report).ok()
    }
}

impl Drop for RunningHelper {
    /// It has nothing more to tell: it is through, or was ended from outside. Then what it ran is ended here.
    fn drop(&mut self) {
        if let Some(mut helper) = self.child.lock().unwrap_or_else(PoisonError::into_inner).take() {
            process::end_without_helper(helper.id(), None);
            let _ = helper.kill();
            let _ = helper.wait();
        }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_among_the_arguments_is_judged_however_it_is_spelled() {
        // Here: a relative path leads on from the working directory.
        let folder = tempfile::tempdir_in(".").unwrap();
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        let file = folder.path().join("get.sh");
        std::fs::write(&file, "").unwrap();
        let absolute = std::path::absolute(&file).unwrap().display().to_string();
        let with = |mode: u32, argument: &str| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            check_program(Path::new("/bin/sh"), &[argument.to_owned()], &TrustedFolders::of_caller())
        };
        let spelled = [absolute, format!("{name}/get.sh"), format!("./{name}/../{name}/get.sh")];
        for argument in spelled.iter().flat_map(|file| [file.clone(), format!("--config={file}")]) {
            assert!(with(0o600, &argument).is_ok(), "{argument}");
            let Err(UnfitProgram::Refused(of, _)) = with(0o666, &argument) else { panic!("{argument} is taken") };
            assert!(of.is_absolute(), "{argument}");
        }
        // A folder is not, and what is not there is no file.
        for other in [name, "get.sh", "-c", "=", ""] {
            assert!(with(0o666, other).is_ok(), "{other}");
        }
    }
}
