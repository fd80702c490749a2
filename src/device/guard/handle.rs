//! The agent's end of the pipe to its guard.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::device::client::own_profiles::{OwnProfile, OwnProfiles};
use crate::device::guard::process::GUARD_ARGUMENT;
use crate::device::guard::protocol::{HomeFault, Order, Place, Ran, Report, Run, VERSION};
use crate::device::guard::{child, environment, home};
use crate::device::sys;
use crate::error::{Error, Result, io_in_words};
use crate::report::{Event, Notify};

/// How long the guard may take to answer where it does not wait for the client.
const PROMPT: Duration = Duration::from_secs(20);
/// How long the guard may take beyond the client's own limit: ending it, and a machine that swaps.
const SLACK: Duration = Duration::from_secs(15);
/// How long a guard that has said its last word may take to end.
const COLLECT: Duration = Duration::from_secs(2);

/// The guard, as long as it lives. Dropping it ends the client and removes the home.
pub(in crate::device) struct GuardHandle {
    guard: Child,
    /// `None` once it is closed, which alone makes the guard end.
    orders: Option<ChildStdin>,
    reports: Receiver<Report>,
    home: PathBuf,
    in_memory: bool,
    passed_over: Vec<String>,
    left_out: Option<String>,
    notify: Arc<dyn Notify>,
    /// Process group of a client that may still run.
    group: Option<u32>,
    /// The home is gone, or has been seen to.
    is_over: bool,
}

impl GuardHandle {
    /// Starts `program` as the guard and has it make a home in one of `places`; where that would be `on_disk` though the system
    /// has memory for it, only if that is agreed to.
    pub(in crate::device) fn start(
        program: &Path,
        places: Vec<Place>,
        on_disk: bool,
        notify: Arc<dyn Notify>,
    ) -> Result<Self> {
        let lost = |why: String| Error::GuardLost { why };
        let (variables, left_out) = environment::trusted(std::env::vars_os());
        if let Some(sentence) = &left_out {
            notify.notify(Event::Warning(sentence.clone()));
        }
        let mut command = Command::new(program);
        command
            .arg(GUARD_ARGUMENT)
            .env_clear()
            .envs(variables)
            .current_dir(child::neutral_folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        sys::prepare_guard(&mut command);
        let mut guard =
            command.spawn().map_err(|error| lost(format!("it can't be started ({})", io_in_words(&error))))?;
        let (Some(orders), Some(stdout)) = (guard.stdin.take(), guard.stdout.take()) else {
            return Err(Error::Internal { what: "a child without the pipes it was given".to_owned() });
        };
        let (sender, reports) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let report = line.ok().and_then(|line| serde_json::from_str(&line).ok());
                let Some(report) = report else { return };
                if sender.send(report).is_err() {
                    return;
                }
            }
        });
        let mut link = Self {
            guard,
            orders: Some(orders),
            reports,
            home: PathBuf::new(),
            in_memory: false,
            passed_over: Vec::new(),
            left_out,
            notify,
            group: None,
            is_over: false,
        };
        link.order(&Order::Begin { places, on_disk, version: VERSION.to_owned() })?;
        match link.report(PROMPT)? {
            Report::Home { path, in_memory, passed_over } => {
                tracing::debug!(home = path, in_memory, "the private home is made");
                (link.home, link.in_memory, link.passed_over) = (PathBuf::from(path), in_memory, passed_over);
                Ok(link)
            }
            Report::NoHome(HomeFault::Impossible { why }) => Err(Error::PrivateHomeImpossible { why }),
            Report::NoHome(HomeFault::OnDisk { folder, why }) => Err(Error::PrivateHomeOnDisk { folder, why }),
            Report::NoHome(HomeFault::Unusable { path, why }) => Err(Error::PrivateHomeUnusable { path, why }),
            Report::NotStarted { why } => Err(lost(why)),
            _ => Err(link.lost("it spoke out of turn")),
        }
    }

    pub(in crate::device) fn home(&self) -> &Path {
        &self.home
    }

    pub(in crate::device) fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// What was warned of that the client does not get.
    pub(in crate::device) fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    /// Why the home is not in a place that was better.
    pub(in crate::device) fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// Runs a command of the client. `Err(ClientUnusable)` if it can't even be started.
    pub(in crate::device) fn run(&mut self, run: Run) -> Result<Ran> {
        let (program, limit) = (run.program.clone(), Duration::from_millis(run.limit_ms));
        // The first argument names the command; later ones may stand for the code.
        let command = run.args.first().cloned().unwrap_or_default();
        tracing::debug!(command, program, "the client is started");
        match self.converse(&Order::Run(run), limit + SLACK)? {
            Report::Ran(ran) => {
                let Ran { code, signal, timed_out, millis, dropped, .. } = ran;
                tracing::info!(command, exit = code, signal, timed_out, millis, dropped, "the client has ended");
                if !ran.succeeded() {
                    tracing::debug!(command, said = crate::device::client::output::said(&ran), "the client has failed");
                }
                Ok(ran)
            }
            Report::NotStarted { why } => Err(Error::ClientUnusable { path: program, why }),
            _ => Err(self.lost("it spoke out of turn")),
        }
    }

    /// Has the guard take the code from `file` in its home, which alone knows it from then on.
    pub(in crate::device) fn take_code(&mut self, file: &Path) -> Result<()> {
        let Some(file) = file.to_str() else {
            return Err(Error::Internal { what: "a home whose path is not Unicode".to_owned() });
        };
        match self.converse(&Order::TakeCode { file: file.to_owned() }, PROMPT)? {
            Report::CodeTaken => Ok(()),
            Report::NotStarted { why } => Err(Error::GuardLost { why }),
            _ => Err(self.lost("it spoke out of turn")),
        }
    }

    /// What the client logged in these folders of the home, fit to be kept.
    pub(in crate::device) fn read_log(&mut self, folders: &[Vec<String>]) -> Option<String> {
        match self.converse(&Order::ReadLog { folders: folders.to_vec() }, PROMPT) {
            Ok(Report::Log(log)) => log,
            // A home that is gone has nothing to tell.
            _ => None,
        }
    }

    /// Where the code stands in clear in the operator's own files.
    pub(in crate::device) fn find_code(&mut self, files: &OwnProfiles) -> Vec<OwnProfile> {
        match self.converse(&Order::FindCode { files: files.to_tell() }, PROMPT) {
            Ok(Report::Found(found)) => found,
            _ => Vec::new(),
        }
    }

    /// Has the guard end by itself when `time` has passed.
    pub(in crate::device) fn end_within(&mut self, time: Duration) -> Result<()> {
        self.order(&Order::EndWithin { ms: crate::device::millis(time) })
    }

    /// Gives an order and waits for the report that ends it.
    pub(in crate::device) fn converse(&mut self, order: &Order, limit: Duration) -> Result<Report> {
        self.order(order)?;
        let until = Instant::now() + limit;
        loop {
            match self.report(until.saturating_duration_since(Instant::now()))? {
                Report::Started { group } => self.group = Some(group),
                report => {
                    self.group = None;
                    return Ok(report);
                }
            }
        }
    }

    fn order(&mut self, order: &Order) -> Result<()> {
        let written = serde_json::to_vec(order).map_err(std::io::Error::other).and_then(|mut line| {
            line.push(b'\n');
            match &mut self.orders {
                Some(orders) => orders.write_all(&line).and_then(|()| orders.flush()),
                None => Err(std::io::ErrorKind::BrokenPipe.into()),
            }
        });
        written.map_err(|_| self.lost("it takes no more orders"))
    }

    fn report(&mut self, limit: Duration) -> Result<Report> {
        self.reports.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Disconnected => self.lost("it has ended"),
            RecvTimeoutError::Timeout => self.lost("it no longer answers"),
        })
    }

    /// Has the home removed and the guard ended. After an `Ok` the home is gone.
    pub(in crate::device) fn close(mut self) -> Result<()> {
        if self.order(&Order::End).is_err() {
            return self.home_is_gone();
        }
        self.orders = None;
        let fault = match self.report(PROMPT) {
            Ok(Report::Gone { fault }) => fault,
            _ => {
                self.end_all();
                return self.home_is_gone();
            }
        };
        // Collected below, so that neither its number nor its session's is its own any longer: nothing is ended by them
        // from here on. A guard that has seen to the home has ended the client before.
        self.is_over = true;
        self.collect();
        if fault.is_some() {
            // It may be that somebody else's hands are off it by now.
            let _ = home::remove(&self.home);
        }
        self.home_is_gone()
    }

    fn home_is_gone(&self) -> Result<()> {
        if self.home.symlink_metadata().is_ok() {
            let why = std::io::Error::other("it is still there; remove it by hand, it may hold the code");
            return Err(Error::disk("Removing", &self.home, why));
        }
        Ok(())
    }

    /// The guard failed: does its work in its stead, and says so.
    fn lost(&mut self, why: &str) -> Error {
        let status = self.end_all();
        let detail = status.map(|status| format!(" ({status})")).unwrap_or_default();
        match self.home_is_gone() {
            Ok(()) => Error::GuardLost { why: format!("{why}{detail}") },
            Err(error) => error,
        }
    }

    /// Ends guard and client and removes the home, whatever state they are in. Gives the guard's exit status.
    fn end_all(&mut self) -> Option<std::process::ExitStatus> {
        if self.is_over {
            return None;
        }
        self.is_over = true;
        self.orders = None;
        // A guard that is well needs no more than its pipe closed; give it the time it promises.
        let until = Instant::now() + Duration::from_secs(1);
        while sys::is_running(&mut self.guard) && Instant::now() < until {
            match self.reports.recv_timeout(Duration::from_millis(20)) {
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                // Its end of the pipe is closed: it is ending, or has ended and waits to be collected.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        // Not collected yet, so its number is still its own.
        sys::end_without_guard(self.guard.id(), self.group.take());
        let _ = self.guard.kill();
        let status = self.collect();
        if !self.home.as_os_str().is_empty() {
            let _ = home::remove(&self.home);
        }
        status
    }

    /// Waits for the guard's end, ends it when that takes too long, and in the end leaves it to the system: one that
    /// hangs in the kernel is not ended by anything.
    fn collect(&mut self) -> Option<std::process::ExitStatus> {
        for _ in 0..2 {
            let until = Instant::now() + COLLECT;
            loop {
                match self.guard.try_wait() {
                    Ok(Some(status)) => return Some(status),
                    Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
                    _ => break,
                }
            }
            let _ = self.guard.kill();
        }
        None
    }

    /// Lets time pass, and notices at once when the guard is gone meanwhile.
    pub(in crate::device) fn pause(&mut self, time: Duration) -> Result<()> {
        match self.reports.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(self.lost("it has ended")),
            Ok(_) => Err(self.lost("it spoke out of turn")),
        }
    }
}

impl Drop for GuardHandle {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.end_all();
        // There is no error to tell it by: one is on its way already, or the run is being broken off.
        if let Err(error) = self.home_is_gone() {
            self.notify.notify(Event::Warning(error.to_string()));
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::Kept;
    use std::os::unix::fs::PermissionsExt;

    /// A guard that says it has a home at `home`, and does nothing more than `at_end` when it is told to end.
    fn link(folder: &Path, home: &Path, at_end: &str, notify: Arc<Kept>) -> GuardHandle {
        let script = format!(
            "#!/bin/sh\nread -r x\necho '{{\"Home\":{{\"path\":\"{}\",\"in_memory\":false,\"passed_over\":[]}}}}'\nread -r x\n{at_end}\n",
            home.display()
        );
        let program = folder.join("guard");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        GuardHandle::start(&program, Vec::new(), false, notify).unwrap()
    }

    #[test]
    fn a_home_that_will_not_go_is_told_even_when_nobody_asks() {
        let folder = tempfile::tempdir().unwrap();
        // A file can't be removed as a folder, whoever tries.
        let home = folder.path().join("home");
        std::fs::write(&home, "").unwrap();
        let notices = Arc::new(Kept::default());
        drop(link(folder.path(), &home, "exit 1", notices.clone()));
        let notices = notices.0.lock().unwrap();
        let [Event::Warning(text)] = &notices[..] else { panic!("one warning") };
        assert!(text.contains(&home.display().to_string()) && text.contains("remove it by hand"), "{text}");
    }

    #[test]
    fn a_guard_that_does_not_end_does_not_hold_up_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("gone");
        let notices = Arc::new(Kept::default());
        let gone = "echo '{\"Gone\":{\"fault\":null}}'; exec sleep 600";
        let start = Instant::now();
        link(folder.path(), &home, gone, notices.clone()).close().unwrap();
        assert!(start.elapsed() < Duration::from_secs(60));
        assert!(notices.0.lock().unwrap().is_empty());
    }
}
