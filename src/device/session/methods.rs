//! The methods by which the client may get the code, most private first.
//!
//! What is decided here is decided by exit status and `describe-device`, never by what the client says in words.

use std::path::Path;
use std::time::{Duration, Instant};

use super::contact::{ContactPort, replace_endpoint};
use super::port::{FIRST_PAUSE, MAX_PAUSE};
use super::{Attempt, Session};
use crate::device::client::data::Values;
use crate::device::client::find::unusable;
use crate::device::client::output::{self, Described};
use crate::device::client::profile::ProfileSnapshot;
use crate::device::guard::home;
use crate::device::guard::protocol::{Configure, Order, Outcome, Ran, Report};
use crate::device::millis;
use crate::error::{Error, Result};
use crate::model::{HandOverMethod, HandOverPolicy};
use crate::report::{Backoff, Event, while_waiting};
use crate::safety::sanitize::phrase;

/// Time for the last method when the device's time was used up by the one before.
const LAST_METHOD: Duration = Duration::from_secs(60);

/// Between two refusals of `configure`: long enough for a service that was just starting, and all together with a JVM's starts
/// well within a minute.
const BETWEEN_REFUSALS: [Duration; 3] = [Duration::from_secs(3), Duration::from_secs(5), Duration::from_secs(7)];

/// How long the port may answer and the client fail before its words are shown. A look and a pause more are within a minute.
const SHOW_WORDS_AFTER: Duration = Duration::from_secs(30);

/// How long the client may take to contact a port of this machine: a JVM's start on a slow one.
const CONTACT_TIME: Duration = Duration::from_secs(20);

/// What came of `configure`.
enum Configured {
    /// The client wrote the profile.
    Written,
    /// It was given the code, and failed then.
    Refused(Ran),
    /// It does not take the code so; ends the sentence "it …".
    Down(String),
    /// It took the code and wrote it somewhere else; ends the same sentence. What is there now it may read, too.
    Elsewhere(String),
}

/// What a method led to.
enum MethodResult {
    Found(Described),
    /// The client does not take the code by this method; ends the sentence "it …".
    Down(String),
}

impl Session {
    /// Tries the methods until one brings an answer from the device.
    pub(super) fn choose(
        &mut self,
        policy: HandOverPolicy,
        ask: &dyn Fn() -> bool,
        on_argv: &dyn Fn() -> Result<()>,
    ) -> Result<Described> {
        let mut refusals = Vec::new();
        for method in self.client.data.methods() {
            self.method = method;
            let step = match method {
                HandOverMethod::Profile => self.first_look()?,
                HandOverMethod::Configure => self.by_configure()?,
                HandOverMethod::Argv => {
                    // A device that gave no answer is no reason for a weaker method, where that is not allowed.
                    if policy == HandOverPolicy::Private && self.not_answered.is_some() {
                        continue;
                    }
                    // Also where it is not allowed: what fails is then told with the way to allow it.
                    self.check_commands()?;
                    let granted = match policy {
                        HandOverPolicy::Private => false,
                        HandOverPolicy::Argv => true,
                        HandOverPolicy::Auto => self.ask(ask)?,
                    };
                    if !granted {
                        continue;
                    }
                    // The methods before, or the person, may have taken their time.
                    self.check_unchanged()?;
                    self.guard.pause(Duration::ZERO)?;
                    self.notify.notify(Event::Warning(
                        "The unlock code is now on the client's command line. Other programs on this machine can read it while the client runs."
                            .to_owned(),
                    ));
                    on_argv()?;
                    self.in_clear = self.codes_in_clear();
                    self.port.until = self.port.until.max(Instant::now() + LAST_METHOD);
                    self.first_look()?
                }
            };
            match step {
                MethodResult::Found(described) => return Ok(described),
                MethodResult::Down(why) => refusals.push(format!("it {why}")),
            }
        }
        // Where a weaker method was not allowed, it is not for want of one.
        Err(self.not_answered.take().unwrap_or_else(|| Error::HandOverRefused { why: refusals.join("; ") }))
    }

    /// The command line is offered only for a client that has shown, in this run, that it runs and knows the commands, never as
    /// a way round another failure.
    fn check_commands(&mut self) -> Result<()> {
        let help = self.client.data.help.clone();
        let run = self.command(help.args.clone(), help.limit());
        let guard = &mut self.guard;
        let ran = while_waiting(&*self.notify, "the client to list its commands", || guard.run(run))?;
        let why = match self.client.data.commands_in(&ran.stdout, &ran.stderr, self.cluster.is_some()).missing {
            _ if !ran.succeeded() => {
                format!("it fails when asked for its help (it said: {})", output::client_output(&ran))
            }
            Some(name) => format!("it does not list {name} in its help"),
            None => return Ok(()),
        };
        Err(Error::ClientCommandsMissing { path: self.client.program().to_owned(), why })
    }

    /// Asks the person. A question may stand for minutes, so meanwhile the code lies nowhere but in the guard's memory.
    fn ask(&mut self, ask: &dyn Fn() -> bool) -> Result<bool> {
        self.log = self.read_log();
        // All of it: the client may have written a profile of its own.
        let home = self.guard.home();
        home::empty(home).map_err(|error| Error::disk("Emptying", home, error))?;
        let is_granted = ask();
        // Notices a guard that is gone.
        self.guard.pause(Duration::ZERO)?;
        Ok(is_granted)
    }

    /// The first `describe-device` on a method, as often as a device that is still starting wants.
    fn first_look(&mut self) -> Result<MethodResult> {
        let mut pause = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
        let mut failures = 0;
        let mut words = WordsShown::default();
        loop {
            self.port.wait(&mut self.guard)?;
            // Each look gives the pair to whatever the client is by now, for as long as the device takes to start.
            self.check_again_if_long_ago()?;
            let ran = match self.attempt(self.port.until)? {
                Attempt::Described(described) => return Ok(MethodResult::Found(described)),
                Attempt::Failed(ran) => ran,
            };
            // One that went down while it was asked says nothing of the client.
            if self.port.refusal()?.is_none() {
                failures += 1;
                if ran.timed_out {
                    return Err(self.out_of_time(&ran));
                }
                let down =
                    |what: &str| Ok(MethodResult::Down(format!("{what} (it said: {})", output::client_output(&ran))));
                match self.method {
                    // Its services may have come up just after the client gave up, so once more before a weaker method.
                    HandOverMethod::Profile if failures == 2 && !self.reads_profile => {
                        return down("does not read a profile from the private folder");
                    }
                    // The client wrote the profile, so it takes the code privately, and it is the device that is not
                    // ready: one that is starting has an open port long before its services. Only when all its time is
                    // over it may be the client after all.
                    HandOverMethod::Configure if Instant::now() >= self.port.until && self.may_show => {
                        self.not_answered = Some(self.refused("describe-device", &ran));
                        return down("cannot reach the device with a profile that it wrote itself");
                    }
                    // Each try shows the code on a command line anew.
                    HandOverMethod::Argv if failures == 3 => return Err(self.refused("describe-device", &ran)),
                    _ => {}
                }
                if Instant::now() >= self.port.until {
                    return Err(self.refused("describe-device", &ran));
                }
                if !self.waits_for_services && (self.method == HandOverMethod::Configure || self.reads_profile) {
                    return Err(Error::DeviceGivesNoAnswer {
                        job: self.job.to_string(),
                        endpoint: self.port.endpoint().to_string(),
                        said: phrase(&output::client_output(&ran)),
                    });
                }
                if failures > 1 {
                    self.port.say_starting();
                }
                if self.method == HandOverMethod::Configure || self.reads_profile {
                    self.show_words(&mut words, &ran);
                }
            }
            let pause = pause.next();
            // A device that is starting is not helped by three looks in three seconds, each of which shows the code.
            let pause = if self.method == HandOverMethod::Argv { MAX_PAUSE } else { pause };
            self.guard.pause(pause.min(self.port.left()))?;
        }
    }

    /// Shows what the client says of a device whose port answers, once and when that changes, no more often than each minute. It
    /// saved the pair or contacts the device with it, so the two belong together; whether the device is starting or another one
    /// only the device can tell.
    fn show_words(&self, words: &mut WordsShown, ran: &Ran) {
        let said = output::client_output(ran);
        let is_due = words.since.elapsed() >= words.at.map_or(SHOW_WORDS_AFTER, |at| at + LAST_METHOD);
        if !is_due || words.said.as_ref() == Some(&said) {
            return;
        }
        self.notify.notify(Event::Warning(format!(
            "The device at {} is on the network but not ready yet. This command waits for it. The client said: {}.\nIf the device has been on for more than 20 minutes, stop this command (Ctrl-C), check that it is the device of {}, and fetch a new pair: snow-onboard fetch --refresh {}",
            self.port.endpoint(), phrase(&said), self.job, self.job
        )));
        words.at = Some(words.since.elapsed());
        words.said = Some(said);
    }

    /// Has the client write the profile, and looks at the device with that.
    ///
    /// It compares code and manifest first, so its refusal tells a damaged half from a device that is still starting. One refusal
    /// may have any cause, and a `configure` that never worked refuses everything: a client that goes to the device with the
    /// profile that is there without it accepts the pair, and it is the device that is waited for.
    fn by_configure(&mut self) -> Result<MethodResult> {
        let mut configured = self.configure()?;
        if let Configured::Refused(first) = &configured {
            tracing::info!(said = output::client_output(first), "the client refuses to save the pair");
            self.method = HandOverMethod::Profile;
            let pauses = if self.waits_for_services { &BETWEEN_REFUSALS[..] } else { &BETWEEN_REFUSALS[..1] };
            for &pause in pauses {
                self.guard.pause(pause)?;
                if let Attempt::Described(described) = self.attempt(self.port.until)? {
                    return Ok(MethodResult::Found(described));
                }
            }
            self.method = HandOverMethod::Configure;
            configured = self.configure()?;
        }
        match configured {
            Configured::Written => return self.first_look(),
            Configured::Elsewhere(why) => return self.without_profile(why),
            Configured::Refused(_) | Configured::Down(_) => {}
        }
        self.method = HandOverMethod::Profile;
        if self.contacts_the_device()? {
            self.reads_profile = true;
            return self.first_look();
        }
        self.method = HandOverMethod::Configure;
        match configured {
            Configured::Refused(ran) => {
                Err(Error::PairRefused { job: self.job.to_string(), said: output::client_output(&ran) })
            }
            Configured::Down(why) | Configured::Elsewhere(why) => self.without_profile(why),
            Configured::Written => self.first_look(),
        }
    }

    /// For a method that needs no profile.
    fn without_profile(&self, why: String) -> Result<MethodResult> {
        remove(&self.profile_file()?)?;
        Ok(MethodResult::Down(why))
    }

    /// Whether the client, with our profile, goes as far as to contact the device. One that does not fails alike at a device that
    /// has started, so there is nothing to wait for. It is seen by a port of ours that the profile names meanwhile; where that
    /// can't be seen, it is taken to.
    fn contacts_the_device(&mut self) -> Result<bool> {
        self.check_again_if_long_ago()?;
        let Some(port) = ContactPort::open() else { return Ok(true) };
        let profile = self.profile_file()?;
        if profile.symlink_metadata().is_err() {
            return Ok(false);
        }
        let endpoint = self.port.address().clone();
        if !replace_endpoint(&profile, &endpoint, &port.endpoint)? {
            return Ok(true);
        }
        let (attempt, is_contacted) = port.watch(|| self.attempt(Instant::now() + CONTACT_TIME));
        let profile = self.profile_file()?;
        if !replace_endpoint(&profile, &port.endpoint, &endpoint)? {
            // It would go on naming a port that is anybody's from now on.
            remove(&profile)?;
            let why = "it changed the profile that it was only to read".to_owned();
            return Err(unusable(self.client.program(), why, false));
        }
        let is_unclear = match attempt? {
            Attempt::Described(_) => true,
            Attempt::Failed(ran) => ran.timed_out,
        };
        tracing::info!(is_contacted, is_unclear, "whether the client contacts a device with this pair");
        Ok(is_contacted || is_unclear)
    }

    /// Has the client write the profile itself, into our home and nowhere else.
    fn configure(&mut self) -> Result<Configured> {
        self.port.wait(&mut self.guard)?;
        self.check_again_if_long_ago()?;
        let data = self.client.data.configure.clone();
        let profile = self.profile_file()?;
        // Ours is set aside, so that a file under its name afterwards is the client's work.
        let aside = profile.with_extension("aside");
        if profile.symlink_metadata().is_ok() {
            std::fs::rename(&profile, &aside).map_err(|error| Error::disk("Moving", &profile, error))?;
        }
        let snapshot = ProfileSnapshot::look(&self.client.data.profile);
        let endpoint = self.port.address().as_url();
        let values =
            Values { profile: &self.profile, manifest: &self.manifest, endpoint: &endpoint, id: "", nodes: &[] };
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
        let guard = &mut self.guard;
        let report = while_waiting(&*self.notify, "the client to save its settings", || guard.converse(order, limit));
        // Before anything else: whatever it says of itself, this is what it did.
        if let Some(path) = snapshot.changed(&self.client.data.profile) {
            return Err(Error::ProfileLeaked {
                job: self.job.to_string(),
                path: path.display().to_string(),
                profile: self.profile.clone(),
            });
        }
        let profile = self.profile_file()?;
        let (outcome, ran) = match report? {
            Report::Configured { outcome, ran } => (outcome, ran),
            Report::NotStarted { why } => {
                restore(&aside, &profile)?;
                return Ok(Configured::Down(format!("can't be asked to configure itself: {why}")));
            }
            _ => return Err(Error::GuardLost { why: "it spoke out of turn".to_owned() }),
        };
        // Which file that is is for the client to say, as long as it is one in our home.
        if matches!(&outcome, Outcome::Done { path } if is_file_in(self.guard.home(), path)) {
            remove(&aside)?;
            return Ok(Configured::Written);
        }
        restore(&aside, &profile)?;
        Ok(match outcome {
            Outcome::Done { .. } => Configured::Elsewhere("took its settings but wrote them somewhere else".to_owned()),
            Outcome::FailedWithCode => Configured::Refused(ran),
            Outcome::Elsewhere { path } => Configured::Down(format!(
                "would write its settings to {} instead of the private folder",
                crate::safety::sanitize::sanitize(&path)
            )),
            Outcome::NoCodeAsked => Configured::Down("does not ask for the code".to_owned()),
        })
    }
}

fn remove(file: &Path) -> Result<()> {
    match home::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::disk("Removing", file, error)),
        _ => Ok(()),
    }
}

/// Puts our profile back under its name, in place of what the client left there.
fn restore(aside: &Path, profile: &Path) -> Result<()> {
    remove(profile)?;
    match std::fs::rename(aside, profile) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::disk("Moving", profile, error)),
        _ => Ok(()),
    }
}

/// What was shown of the client's words.
struct WordsShown {
    since: Instant,
    said: Option<String>,
    /// When, after `since`.
    at: Option<Duration>,
}

impl Default for WordsShown {
    fn default() -> Self {
        Self { since: Instant::now(), said: None, at: None }
    }
}

/// Whether a path that was found to name something in the home is a file there, and no link out of it.
fn is_file_in(home: &Path, path: &str) -> bool {
    let path = Path::new(path);
    path.is_file()
        && path.canonicalize().ok().zip(home.canonicalize().ok()).is_some_and(|(file, home)| file.starts_with(home))
}
