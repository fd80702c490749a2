//! The session: a client that has been given one job's pair, its guard, its home, its profile for one device.
//!
//! [`Session::open`] hands the pair over by the most private method that works, [`Session::unlock`] asks the device to open,
//! [`Session::wait_until_unlocked`] watches it; closing, or dropping it, ends the client and removes the home.
//!
//! What is decided here is decided by exit status and `describe-device`, never by what the client says in words.

mod access_keys;
mod advice;
pub(in crate::device) mod cluster;
pub(in crate::device) mod contact;
mod methods;
mod node;
pub(in crate::device) mod open;
pub(in crate::device) mod port;
pub(in crate::device) mod ports;
pub(in crate::device) mod reach;
pub(in crate::device) mod run;
mod services;
pub(in crate::device) mod wait;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::device::client::data::{CommandData, Values};
use crate::device::client::find::{Client, unusable};
use crate::device::client::output::{self, Described, State};
use crate::device::client::own_profiles::{OwnProfile, OwnProfiles};
use crate::device::client::profile;
use crate::device::guard::environment::JvmOptions;
use crate::device::guard::handle::GuardHandle;
use crate::device::guard::protocol::{Ran, Reads, Run};
use crate::device::millis;
use crate::error::{Error, Result, longer_than};
use crate::model::{Endpoint, HandOverMethod, JobId, ManifestDigest, TargetId};
use crate::report::{Event, Notify, while_waiting};
use crate::safety::path_trust;
use cluster::Cluster;
use open::ArgvExposure;
use port::Port;

/// Least time for a look, however near the deadline: a JVM takes seconds to start.
const MIN_DESCRIBE_TIME: Duration = Duration::from_secs(5);

/// What became of one `describe-device`.
enum Attempt {
    Described(Described),
    Failed(Ran),
}

/// A client that has been given one job's pair, and all that is needed to speak to it about one device.
///
/// Dropping it ends the guard, which ends the client and removes the home.
pub struct Session {
    client: Client,
    guard: GuardHandle,
    notify: Arc<dyn Notify>,
    jvm: JvmOptions,
    port: Port,
    /// Its nodes, where it is a cluster.
    cluster: Option<Cluster>,
    /// How long the client took for its last look.
    took: Duration,
    job: TargetId,
    manifest: String,
    /// As it was fetched.
    manifest_sha256: ManifestDigest,
    /// When that and the client were looked at last.
    checked_at: Instant,
    /// Name of this run's profile.
    profile: String,
    exposure: ArgvExposure,
    /// Whether a device that the client gets nothing from is waited for.
    waits_for_services: bool,
    /// Whether the last method may come to be used.
    may_show: bool,
    /// What the client had left in the home when that was emptied.
    log: Option<String>,
    /// Where the code stood in clear already before it was on a command line; only for that method.
    in_clear: Vec<OwnProfile>,
    /// Why the device gave no answer though the client had written the profile itself: it took the code privately.
    not_answered: Option<Error>,
    /// The client contacts the device with our profile, whatever its `configure` does.
    reads_profile: bool,
    /// The one that is tried, or that worked.
    method: HandOverMethod,
    /// What the device said of itself; its id as it was told last.
    device: Described,
    was_open_already: bool,
    /// It was asked to open since it was described.
    is_asked: bool,
}

impl Session {
    /// The hand-over method that worked.
    #[must_use]
    pub fn method(&self) -> HandOverMethod {
        self.method
    }

    /// Where the client goes: of a cluster, the first node that answered.
    #[must_use]
    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.port.endpoint()
    }

    /// What the device said of itself when it was asked last.
    #[must_use]
    pub fn device(&self) -> &Described {
        &self.device
    }

    /// Asks the client to describe the device. `None` if it can't at the moment.
    ///
    /// # Errors
    /// [`Error::DeviceIsAnother`], [`Error::ClientUnusable`], [`Error::GuardLost`].
    pub fn describe(&mut self) -> Result<Option<&Described>> {
        let until = Instant::now() + self.client.data.commands.describe.limit();
        Ok(self.look(until)?.then_some(&self.device))
    }

    /// Has the device open, unless it is open or opening already: asked once, and never a second time by itself, since what a
    /// wrong code costs is documented nowhere. When it fails, what the client logged is given to `keep_log`.
    ///
    /// # Errors
    /// [`Error::ClientChanged`], [`Error::ClientUnsafe`] and [`Error::PairMismatch`] after a wait for nodes of a cluster;
    /// [`Error::DeviceRefused`], [`Error::ClientHung`], [`Error::DeviceIsAnother`], [`Error::ClientUnusable`],
    /// [`Error::GuardLost`].
    pub fn unlock(&mut self, keep_log: &dyn Fn(&str)) -> Result<()> {
        let asked = self.wait_for_others().and_then(|()| match self.is_opening() {
            true => Ok(()),
            false => self.send_unlock(),
        });
        self.warn_of_codes_in_clear();
        asked.inspect_err(|_| self.save_log(keep_log))
    }

    /// Ends the client and removes the home. After an `Ok` it is gone.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn close(self) -> Result<()> {
        self.guard.close()
    }

    fn send_unlock(&mut self) -> Result<()> {
        self.check_again_if_long_ago()?;
        let commands = &self.client.data.commands;
        let command = if self.cluster.is_some() { &commands.unlock_cluster } else { &commands.unlock }.clone();
        let run = self.command(self.args(&command), command.limit());
        let ran = self.run_waiting(run, "the client to send the unlock request")?;
        self.is_asked = true;
        if ran.succeeded() {
            return Ok(());
        }
        // The request may have arrived all the same, or somebody else's may have. Only the device knows.
        let until = Instant::now() + self.client.data.commands.describe.limit();
        if self.look(until)? && self.is_opening() {
            return Ok(());
        }
        let what = command.name().to_owned();
        Err(if ran.timed_out {
            Error::ClientHung { what, seconds: command.limit().as_secs() }
        } else {
            self.refused(&what, &ran)
        })
    }

    fn is_opening(&self) -> bool {
        // Of a cluster, some nodes may be on their way and others not.
        matches!(self.device.state, State::Unlocked | State::Unlocking)
            && !self.cluster.as_ref().is_some_and(Cluster::is_locked)
    }

    /// Looks at the device. `false` if it can't be asked at the moment.
    fn look(&mut self, until: Instant) -> Result<bool> {
        let Attempt::Described(described) = self.attempt(until)? else { return Ok(false) };
        self.check_identity(&described)?;
        self.is_asked = false;
        // An id once told was the right one; a later look that leaves it out takes nothing back.
        let device_id = described.device_id.or(self.device.device_id.take());
        self.device = Described { device_id, state: described.state };
        Ok(true)
    }

    /// Takes the first description of the device.
    fn set_initial_state(&mut self, first: Described) -> Result<()> {
        self.check_identity(&first)?;
        if first.device_id.is_none() {
            if first.state == State::Unlocked {
                return Err(self.unidentified());
            }
            self.notify.notify(Event::Warning(format!(
                "The device at {} reports no job id, so this program could not check that it belongs to {}.",
                self.port.endpoint(),
                self.job
            )));
        }
        self.was_open_already = first.state == State::Unlocked;
        self.device = first;
        Ok(())
    }

    /// Gives away what the client left in its home, before that goes.
    fn save_log(&mut self, keep_log: &dyn Fn(&str)) {
        let now = self.read_log();
        let logs: Vec<String> = self.log.take().into_iter().chain(now).collect();
        if !logs.is_empty() {
            keep_log(&logs.concat());
        }
    }

    fn read_log(&mut self) -> Option<String> {
        self.guard.read_log(&self.client.data.profile.folders)
    }

    fn codes_in_clear(&mut self) -> Vec<OwnProfile> {
        self.guard.find_code(&OwnProfiles::of_this_user())
    }

    /// After the last method: a client that ignores our home may save what it is told in the operator's own.
    fn warn_of_codes_in_clear(&mut self) {
        if self.exposure.seconds().is_none() {
            return;
        }
        let now = self.codes_in_clear();
        for found in now.iter().filter(|found| !self.in_clear.contains(found)) {
            self.notify.notify(Event::Warning(found.warning(&self.job)));
        }
        self.in_clear = now;
    }

    /// For a look that was ended: by the deadline of all, or by its own limit.
    fn out_of_time(&self, ran: &Ran) -> Error {
        if Duration::from_millis(ran.millis) < self.client.data.commands.describe.limit() {
            let (seconds, longer) = (self.port.patience.as_secs(), longer_than(self.port.patience, 60));
            Error::DeviceTimeout {
                state: "none, because `snowballEdge describe-device` did not finish".to_owned(),
                seconds,
                longer,
            }
        } else {
            let seconds = Duration::from_millis(ran.millis).as_secs();
            Error::ClientHung { what: "describe-device".to_owned(), seconds }
        }
    }

    /// One `describe-device`.
    fn attempt(&mut self, until: Instant) -> Result<Attempt> {
        if self.cluster.is_some() {
            return self.attempt_cluster(until);
        }
        let command = self.client.data.commands.describe.clone();
        let args = self.args(&command);
        // A deadline is no reason not to see it open at the very end.
        let left = until.saturating_duration_since(Instant::now()).max(MIN_DESCRIBE_TIME);
        let run = Run { reads: Reads::Description, ..self.command(args, command.limit().min(left)) };
        let mut ran = self.run_waiting(run, "the client to describe the device")?;
        self.took = Duration::from_millis(ran.millis);
        let described = ran.described.take();
        let state = described.as_ref().map_or("not told", |described| described.state.as_str());
        tracing::info!(state, method = self.method.as_str(), "the device was looked at");
        Ok(described.map_or(Attempt::Failed(ran), Attempt::Described))
    }

    /// Promise 2: `DeviceId` is the job's id. One that is not told is no contradiction.
    fn check_identity(&self, described: &Described) -> Result<()> {
        if let Some(cluster) = &self.cluster {
            return cluster.check_identity(self.port.endpoint());
        }
        match described.device_id.as_deref().filter(|found| *found != self.job.as_str()) {
            Some(found) => {
                let endpoint = self.port.endpoint().to_string();
                // Nothing that a device says gets into a line to paste, unless it is a job id and nothing else.
                let hint = match found.parse::<JobId>() {
                    Ok(found) => format!(
                        "Check the address on the display, and the job. If this is the right device, run it with its own job:\n  snow-onboard run {found} --endpoint {endpoint}"
                    ),
                    Err(_) => "Check the address on the display, and the job.".to_owned(),
                };
                let (expected, found) = (self.job.to_string(), crate::safety::sanitize::sanitize(found));
                Err(Error::DeviceIsAnother { expected, found, endpoint, hint })
            }
            None => Ok(()),
        }
    }

    /// For a device that is open and never said whose it is.
    fn unidentified(&self) -> Error {
        Error::DeviceUnidentified { expected: self.job.to_string(), endpoint: self.port.endpoint().to_string() }
    }

    fn args(&self, command: &CommandData) -> Vec<String> {
        self.args_about(command, "")
    }

    /// The same of a command about a part of the device, such as an access key.
    fn args_about(&self, command: &CommandData, id: &str) -> Vec<String> {
        let endpoint = self.port.address().as_url();
        let (profile, manifest) = (&*self.profile, &*self.manifest);
        let nodes = self.cluster.as_ref().map(Cluster::for_client).unwrap_or_default();
        command.args(self.method, &Values { profile, manifest, endpoint: &endpoint, id, nodes: &nodes })
    }

    /// Where the profile is in our home. Each run of the client may have made a link of a folder on the way there, through which
    /// the code would get into the user's own.
    fn profile_file(&self) -> Result<PathBuf> {
        let file = profile::path_in(self.guard.home(), &self.client.data.profile);
        path_trust::no_link_below(self.guard.home(), &file).map_err(|refused| {
            let why = format!("it changed the private folder that its profile is in: {refused}");
            unusable(self.client.program(), why, false)
        })?;
        Ok(file)
    }

    fn run_waiting(&mut self, run: Run, waiting_for: &str) -> Result<Ran> {
        let guard = &mut self.guard;
        let _exposed = (self.method == HandOverMethod::Argv).then(|| self.exposure.begin());
        while_waiting(&*self.notify, waiting_for, || guard.run(run))
    }

    fn command(&self, args: Vec<String>, limit: Duration) -> Run {
        Run {
            program: self.client.program().to_owned(),
            args,
            java_options: self.client.data.java_options.clone(),
            jvm: self.jvm,
            limit_ms: Some(millis(limit)),
            reads: Reads::Nothing,
            live: None,
        }
    }

    fn refused(&self, what: &str, ran: &Ran) -> Error {
        let job = self.job.to_string();
        let check = match &self.cluster {
            Some(cluster) => cluster.what_to_check(),
            None => format!(
                "Check that this is the device of {job} (label and display), that the address is right, and that it has started."
            ),
        };
        Error::DeviceRefused { job, what: what.to_owned(), said: output::client_output(ran), check }
    }
}
