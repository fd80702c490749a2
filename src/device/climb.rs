//! The rungs by which the client may get the code, most private first, and the one request to unlock.
//!
//! What is decided here is decided by exit status and `describe-device`, never by what the client says in words.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::Client;
use super::data::{CommandData, Rung, Values};
use super::environment::JvmOptions;
use super::ladder::{ArgvExposure, Handoff};
use super::link::Link;
use super::own_profiles::{OwnProfile, OwnProfiles};
use super::pause::{LONGEST_PAUSE, Pause};
use super::port::Port;
use super::profile::{self, Witness};
use super::protocol::{Configure, Order, Outcome, Ran, Report, Run};
use super::text::{self, Described, State};
use super::{home, millis};
use crate::error::{Error, Result};
use crate::job::JobId;
use crate::notice::{Notice, Notify, while_waiting};

/// Time for the last rung when the device's time was used up by the one before.
const LAST_RUNG: Duration = Duration::from_secs(60);
/// Least time for a look, however near the deadline: a JVM takes seconds to start.
const LEAST_LOOK: Duration = Duration::from_secs(5);

/// What became of one `describe-device`.
pub(super) enum Attempt {
    Described(Described),
    Failed(Ran),
}

/// A device that is open or opening.
pub(super) struct Opening {
    pub(super) rung: Rung,
    pub(super) state: State,
    pub(super) device_id: Option<String>,
    pub(super) was_open_already: bool,
    /// It was asked to open since, and not yet looked at again.
    pub(super) is_asked: bool,
}

/// What a rung led to.
enum Step {
    Found(Described),
    /// The client does not take the code this way; ends the sentence "it …".
    Down(String),
}

/// Everything needed to speak to the client about one device.
pub(super) struct Climb {
    pub(super) client: Client,
    pub(super) link: Link,
    pub(super) notify: Arc<dyn Notify>,
    pub(super) jvm: JvmOptions,
    pub(super) port: Port,
    /// How long the client took for its last look.
    pub(super) look: Duration,
    pub(super) job: JobId,
    pub(super) manifest: String,
    /// Name of this run's profile.
    pub(super) profile: String,
    pub(super) exposure: ArgvExposure,
    /// Whether the last rung may come to be used.
    pub(super) may_show: bool,
    /// What the client had left in the home when that was emptied.
    pub(super) log: Option<String>,
    /// Where the code stood in clear already before it was on a command line; only for that rung.
    pub(super) in_clear: Vec<OwnProfile>,
    /// Why the device gave no answer though the client had written the profile itself: it took the code privately.
    pub(super) not_answered: Option<Error>,
}

impl Climb {
    /// Tries the rungs until one brings an answer from the device.
    pub(super) fn up(
        &mut self,
        policy: Handoff,
        ask: &dyn Fn() -> bool,
        on_argv: &dyn Fn() -> Result<()>,
    ) -> Result<(Rung, Described)> {
        let mut refusals = Vec::new();
        for rung in self.client.data.ladder() {
            let step = match rung {
                Rung::Profile => self.first_look(rung)?,
                Rung::Configure => match self.configure()? {
                    None => self.first_look(rung)?,
                    Some(why) => Step::Down(why),
                },
                Rung::Argv => {
                    let granted = match policy {
                        Handoff::Private => false,
                        Handoff::Argv => true,
                        Handoff::Auto => self.ask(ask)?,
                    };
                    if !granted {
                        continue;
                    }
                    self.notify.notify(Notice::Warning(
                        "The code goes to the client on its command line, where other programs on this machine can read it while the client runs."
                            .to_owned(),
                    ));
                    on_argv()?;
                    self.in_clear = self.codes_in_clear();
                    self.port.until = self.port.until.max(Instant::now() + LAST_RUNG);
                    self.first_look(rung)?
                }
            };
            match step {
                Step::Found(described) => {
                    return Ok((rung, described));
                }
                Step::Down(why) => refusals.push(format!("it {why}")),
            }
        }
        // Where a weaker way was not allowed, it is not for want of one.
        Err(self.not_answered.take().unwrap_or_else(|| Error::HandOverRefused { why: refusals.join("; ") }))
    }

    /// Asks the person. A question may stand for minutes, so meanwhile the code lies nowhere but in the guard's memory.
    fn ask(&mut self, ask: &dyn Fn() -> bool) -> Result<bool> {
        self.log = self.read_log();
        // All of it: the client may have written a profile of its own.
        let home = self.link.home();
        home::empty(home).map_err(|error| Error::disk("Emptying", home, &error))?;
        let is_granted = ask();
        // Notices a guard that is gone.
        self.link.pause(Duration::ZERO)?;
        Ok(is_granted)
    }

    /// Has the device that was described open, unless it is open or opening already.
    pub(super) fn open(&mut self, rung: Rung, first: Described) -> Result<Opening> {
        self.check_identity(&first)?;
        if first.device_id.is_none() {
            if first.state == State::Unlocked {
                return Err(self.unidentified());
            }
            self.notify.notify(Notice::Warning(format!(
                "The device at {} does not say whose it is; whether it is the one of {} could not be checked.",
                self.port.endpoint(),
                self.job
            )));
        }
        let Described { device_id, state } = first;
        let was_open_already = state == State::Unlocked;
        if matches!(state, State::Unlocked | State::Unlocking) {
            return Ok(Opening { rung, state, device_id, was_open_already, is_asked: false });
        }
        let later = self.unlock(rung)?;
        let is_asked = later.is_none();
        let told = later.as_ref().and_then(|later| later.device_id.clone());
        let state = later.map_or(state, |later| later.state);
        Ok(Opening { rung, state, device_id: told.or(device_id), was_open_already, is_asked })
    }

    /// Asks the device to open. Never a second time by itself: what a wrong code costs is documented nowhere. Gives what
    /// the device says of itself where it had to be asked.
    fn unlock(&mut self, rung: Rung) -> Result<Option<Described>> {
        let command = self.client.data.commands.unlock.clone();
        let args = self.args(&command, rung);
        let run = self.command(args, command.limit());
        let ran = self.run(run, rung, "the client to pass on the request to open")?;
        if ran.succeeded() {
            return Ok(None);
        }
        // The request may have arrived all the same, or somebody else's may have. Only the device knows.
        let until = Instant::now() + self.client.data.commands.describe.limit();
        if let Attempt::Described(described) = self.describe(rung, until)? {
            self.check_identity(&described)?;
            if matches!(described.state, State::Unlocked | State::Unlocking) {
                return Ok(Some(described));
            }
        }
        let what = "unlock-device".to_owned();
        Err(if ran.timed_out {
            Error::ClientHung { what, seconds: command.limit().as_secs() }
        } else {
            self.refused(&what, &ran)
        })
    }

    /// Gives away what the client left in its home, before that goes.
    pub(super) fn leave(&mut self, keep_log: &dyn Fn(&str)) {
        let now = self.read_log();
        let logs: Vec<String> = self.log.take().into_iter().chain(now).collect();
        if !logs.is_empty() {
            keep_log(&logs.concat());
        }
    }

    fn read_log(&mut self) -> Option<String> {
        self.link.read_log(&self.client.data.profile.folders)
    }

    fn codes_in_clear(&mut self) -> Vec<OwnProfile> {
        self.link.find_code(&OwnProfiles::of_this_user())
    }

    /// After the last rung: a client that ignores our home may save what it is told in the operator's own.
    pub(super) fn tell_of_codes_in_clear(&mut self) {
        if self.exposure.seconds().is_none() {
            return;
        }
        let now = self.codes_in_clear();
        for found in now.iter().filter(|found| !self.in_clear.contains(found)) {
            self.notify.notify(Notice::Warning(found.warning(&self.job)));
        }
        self.in_clear = now;
    }

    /// The first `describe-device` on a rung, as often as a device that is still starting wants.
    fn first_look(&mut self, rung: Rung) -> Result<Step> {
        let mut pause = Pause::new();
        let mut failures = 0;
        loop {
            self.port.wait(&mut self.link)?;
            let ran = match self.describe(rung, self.port.until)? {
                Attempt::Described(described) => return Ok(Step::Found(described)),
                Attempt::Failed(ran) => ran,
            };
            // One that went down while it was asked says nothing of the client.
            if self.port.refusal()?.is_none() {
                failures += 1;
                if ran.timed_out {
                    return Err(self.out_of_time(&ran));
                }
                let down = |what: &str| Ok(Step::Down(format!("{what} (it said: {})", text::said(&ran))));
                match rung {
                    // Its services may have come up just after the client gave up, so once more before a weaker way.
                    Rung::Profile if failures == 2 => return down("does not take a profile from a folder of ours"),
                    // The client wrote the profile, so it takes the code privately, and it is the device that is not
                    // ready: one that is starting has an open port long before its services. Only when all its time is
                    // over it may be the client after all.
                    Rung::Configure if Instant::now() >= self.port.until && self.may_show => {
                        self.not_answered = Some(self.refused("describe-device", &ran));
                        return down("does not get through with a profile that it wrote itself");
                    }
                    // Each try shows the code on a command line anew.
                    Rung::Argv if failures == 3 => return Err(self.refused("describe-device", &ran)),
                    _ => {}
                }
                if Instant::now() >= self.port.until {
                    return Err(self.refused("describe-device", &ran));
                }
                if failures > 1 {
                    self.port.say_starting();
                }
            }
            let pause = pause.next();
            // A device that is starting is not helped by three looks in three seconds, each of which shows the code.
            let pause = if rung == Rung::Argv { LONGEST_PAUSE } else { pause };
            self.link.pause(pause.min(self.port.left()))?;
        }
    }

    /// For a look that was ended: by the deadline of all, or by its own limit.
    fn out_of_time(&self, ran: &Ran) -> Error {
        if Duration::from_millis(ran.millis) < self.client.data.commands.describe.limit() {
            Error::DeviceTimeout { state: "unknown".to_owned(), seconds: self.port.patience.as_secs() }
        } else {
            let seconds = Duration::from_millis(ran.millis).as_secs();
            Error::ClientHung { what: "describe-device".to_owned(), seconds }
        }
    }

    /// One `describe-device`.
    pub(super) fn describe(&mut self, rung: Rung, until: Instant) -> Result<Attempt> {
        let command = self.client.data.commands.describe.clone();
        let args = self.args(&command, rung);
        // A deadline is no reason not to see it open at the very end.
        let left = until.saturating_duration_since(Instant::now()).max(LEAST_LOOK);
        let run = Run { describes: true, ..self.command(args, command.limit().min(left)) };
        let mut ran = self.run(run, rung, "the client to describe the device")?;
        self.look = Duration::from_millis(ran.millis);
        let described = ran.described.take();
        let state = described.as_ref().map_or("not told", |described| described.state.as_str());
        tracing::info!(state, rung = rung.as_str(), "the device was looked at");
        Ok(described.map_or(Attempt::Failed(ran), Attempt::Described))
    }

    /// Promise 2: `DeviceId` is the job's id. One that is not told is no contradiction.
    pub(super) fn check_identity(&self, described: &Described) -> Result<()> {
        match &described.device_id {
            Some(found) if found != self.job.as_str() => {
                let endpoint = self.port.endpoint().to_string();
                // Nothing that a device says gets into a line to paste, unless it is a job id and nothing else.
                let way_on = match found.parse::<JobId>() {
                    Ok(found) => format!(
                        "Check the address on the display, and the job. If this is the right device, run it with its own job:\n  snow-onboard run {found} --endpoint {endpoint}"
                    ),
                    Err(_) => "Check the address on the display, and the job.".to_owned(),
                };
                let (expected, found) = (self.job.to_string(), crate::text::clean(found));
                Err(Error::DeviceIsAnother { expected, found, endpoint, way_on })
            }
            _ => Ok(()),
        }
    }

    /// For a device that is open and never said whose it is.
    pub(super) fn unidentified(&self) -> Error {
        Error::DeviceUnidentified { expected: self.job.to_string(), endpoint: self.port.endpoint().to_string() }
    }

    pub(super) fn argv_seconds(&self) -> Option<u64> {
        self.exposure.seconds()
    }

    fn args(&self, command: &CommandData, rung: Rung) -> Vec<String> {
        let endpoint = self.port.address().as_url();
        command.args(rung, &Values { profile: &self.profile, manifest: &self.manifest, endpoint: &endpoint })
    }

    fn run(&mut self, run: Run, rung: Rung, waiting_for: &str) -> Result<Ran> {
        let link = &mut self.link;
        let _exposed = (rung == Rung::Argv).then(|| self.exposure.begin());
        while_waiting(&*self.notify, waiting_for, || link.run(run))
    }

    fn command(&self, args: Vec<String>, limit: Duration) -> Run {
        Run {
            program: self.client.program().to_owned(),
            args,
            java_options: self.client.data.java_options.clone(),
            jvm: self.jvm,
            limit_ms: millis(limit),
            describes: false,
        }
    }

    /// Has the client write the profile itself. `None` when it did, into our home and nowhere else; else why not, as
    /// the end of the sentence "it …".
    fn configure(&mut self) -> Result<Option<String>> {
        self.port.wait(&mut self.link)?;
        let data = self.client.data.configure.clone();
        let profile = profile::path_in(self.link.home(), &self.client.data.profile);
        // Ours goes, so that a file under its name afterwards is the client's work.
        home::remove_file(&profile).map_err(|error| Error::disk("Removing", &profile, &error))?;
        let witness = Witness::look(&self.client.data.profile);
        let endpoint = self.port.address().as_url();
        let values = Values { profile: &self.profile, manifest: &self.manifest, endpoint: &endpoint };
        let order = Order::Configure(Configure {
            run: self.command(values.fill(&data.args), data.limit()),
            prompts: data.prompts.clone(),
            path_label: data.path_label.clone(),
            prompt_limit_ms: millis(data.prompt_limit()),
            manifest: self.manifest.clone(),
            endpoint: endpoint.clone(),
        });
        // On a pipe and then on a terminal, each with its own limit.
        let limit = data.limit() * 2 + Duration::from_secs(15);
        let link = &mut self.link;
        let report = while_waiting(&*self.notify, "the client to take its settings", || link.converse(&order, limit));
        // Before anything else: whatever it says of itself, this is what it did.
        if let Some(path) = witness.changed(&self.client.data.profile) {
            return Err(Error::ProfileLeaked {
                job: self.job.to_string(),
                path: path.display().to_string(),
                profile: self.profile.clone(),
            });
        }
        let (outcome, ran) = match report? {
            Report::Configured { outcome, ran } => (outcome, ran),
            Report::NotStarted { why } => return Ok(Some(format!("can't be asked to configure itself: {why}"))),
            _ => return Err(Error::GuardLost { why: "it spoke out of turn".to_owned() }),
        };
        match outcome {
            Outcome::Done if profile.is_file() => Ok(None),
            Outcome::Done => Ok(Some("took its settings but wrote them somewhere else".to_owned())),
            // The code and the manifest were looked at and refused; another way of giving them changes nothing.
            Outcome::FailedWithCode => Err(self.refused("configure", &ran)),
            Outcome::Elsewhere { path } => Ok(Some(format!(
                "would write its settings to {} instead of a folder of ours",
                crate::text::clean(&path)
            ))),
            Outcome::NoCodeAsked => Ok(Some("does not ask for the code".to_owned())),
        }
    }

    fn refused(&self, what: &str, ran: &Ran) -> Error {
        Error::DeviceRefused { job: self.job.to_string(), what: what.to_owned(), said: text::said(ran) }
    }
}
