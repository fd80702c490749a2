//! The vendor's client `snowballEdge`, and through it the device: find, check, hand over the code, wait.
//!
//! The only module that starts processes. Plain blocking code: the runtime of the cloud phase is gone by now.
//!
//! | folder | what |
//! | --- | --- |
//! | `client` | find it; integrity of its files; what differs between clients (`config/clients/*.toml`); its output, its profile |
//! | `session` | from the device's port to UNLOCKED: open by a hand-over method, describe, unlock, wait, close |
//! | `guard` | the second process, which owns home and client: handle, protocol, private home, redaction |
//! | `unix`, `linux`, `macos`, `windows` | where homes are, and what outlived a session |

mod client;
mod guard;
mod session;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux::end_those_at_home_in;
#[cfg(all(unix, not(target_os = "linux")))]
mod macos;
#[cfg(all(unix, not(target_os = "linux")))]
use macos::end_those_at_home_in;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix::{homes, may_run};
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows::{end_those_at_home_in, homes, may_run};

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

pub use client::data::ClientData;
pub use client::find::{Client, ClientSettings};
pub use client::output::Described;
pub use client::output::State;
pub(crate) use client::own_profiles::OwnProfiles;
pub use guard::handle::ClientStreams;
pub(crate) use guard::handle::SignalSender;
pub use guard::home::Places;
pub(crate) use guard::home::remove_homes;
pub(crate) use guard::process::GUARD_ARGUMENT;
pub use guard::process::guard_main;
pub use guard::stale_homes::remove_stale_homes;
pub(crate) use guard::stale_homes::{is_home_name, remove_stale_home};
pub use session::Session;
pub use session::cluster::ClusterOrder;
pub(crate) use session::cluster::answering;
pub use session::open::{ArgvExposure, HandOver};
pub(crate) use session::ports::wait_for_ports;
pub(crate) use session::reach::check_address;
pub use session::reach::reach;
pub use session::run::ClientExit;
pub use session::wait::DeviceUnlocked;

use client::output;
use guard::environment::{self, JvmOptions};
use guard::handle::{EndSender, GuardHandle};
use guard::protocol::{Place, Ran, Reads, Run};

use crate::error::{Error, Result, io_in_words};
use crate::model::KnownClient;
use crate::os::{process, threads};
use crate::report::{Event, Notify, while_waiting};

/// What [`Device::prepare`] needs.
pub struct Preparation<'a> {
    /// The client, found and safe.
    pub client: Client,
    /// What clients answered in earlier runs, if that may be used.
    pub known: Vec<KnownClient>,
    /// Folders in which the private home must not lie, such as the state folder.
    pub keep_away: &'a [&'a Path],
    /// Where it may lie.
    pub places: Places,
    /// Asks the person whether it may lie on a disk though the system has memory for it, with the reason. `false` when there
    /// is no terminal.
    pub on_disk: &'a (dyn Fn(&Error) -> bool + Sync),
    /// Program whose main function calls [`guard_main`] for its argument; this program if `None`.
    pub guard: Option<PathBuf>,
    /// Who is told what goes on.
    pub notify: Arc<dyn Notify>,
}

/// A private home that was made to see whether it can be, and is gone again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HomeProbe {
    /// The folder that it was made in.
    pub folder: PathBuf,
    /// Whether that lies in memory.
    pub in_memory: bool,
    /// Why it is not in a place that would have been better, each a clause.
    pub rejected: Vec<String>,
}

impl HomeProbe {
    /// Has a guard make a home, as a run does that may use a disk or not, and remove it.
    ///
    /// # Errors
    /// [`Error::PrivateHomeImpossible`], [`Error::PrivateHomeUnusable`], [`Error::PrivateHomeOnDisk`],
    /// [`Error::GuardLost`].
    pub(crate) fn make(keep_away: &[&Path], places: &Places, on_disk: bool, notify: Arc<dyn Notify>) -> Result<Self> {
        let (guard, places) = (this_program()?, places.outside(keep_away));
        let handle = while_waiting(&*notify, "the private folder for the client", || {
            GuardHandle::start(&guard, places, on_disk, Arc::clone(&notify))
        })?;
        handle.left_out().iter().for_each(|left_out| notify.notify(Event::Warning((*left_out).to_owned())));
        Ok(Self {
            folder: handle.home().parent().unwrap_or(handle.home()).to_owned(),
            in_memory: handle.is_in_memory(),
            rejected: handle.rejected().to_vec(),
        })
    }
}

fn this_program() -> Result<PathBuf> {
    process::own_program().map_err(|error| Error::GuardNotStarted {
        why: format!("this program can't find itself ({})", io_in_words(&error)),
    })
}

/// A [`Device`] whose client is being asked its version and its commands, which takes a JVM seconds, on threads of their own.
///
/// Dropping it waits for the answer, then ends the guard and removes the home.
pub struct Preparing {
    home: PathBuf,
    /// Taken by [`Preparing::finish`] and by drop alone.
    device: Option<ClientAnswer>,
}

enum ClientAnswer {
    Known(Box<Device>),
    Asked(JoinHandle<Result<Device>>),
}

impl Preparing {
    /// The private home.
    #[must_use]
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Whether the answer is known, so that there is nothing to wait for.
    #[must_use]
    pub(crate) fn is_known(&self) -> bool {
        matches!(self.device, Some(ClientAnswer::Known(_)))
    }

    /// One whose client has answered.
    #[must_use]
    pub(crate) fn of(device: Device) -> Self {
        Self { home: device.home().to_owned(), device: Some(ClientAnswer::Known(Box::new(device))) }
    }

    /// Waits for the client's answer.
    ///
    /// # Errors
    /// [`Error::ClientUnusable`], [`Error::ClientUnknown`] unless such a client is allowed, [`Error::ClientTooOld`],
    /// [`Error::ClientHung`], [`Error::GuardLost`].
    pub(crate) fn finish(mut self) -> Result<Device> {
        match self.device.take() {
            Some(ClientAnswer::Known(device)) => Ok(*device),
            Some(ClientAnswer::Asked(thread)) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => Err(Error::Internal { what: "the client's answer was taken twice".to_owned() }),
        }
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        if let Some(ClientAnswer::Asked(thread)) = self.device.take() {
            // With what it gives, the guard ends; left alone, the thread would be cut off in the middle of that.
            drop(thread.join());
        }
    }
}

/// A client that is ready to be given a code: guard at work, private home made, version known.
///
/// Dropping it ends the guard and removes the home.
pub struct Device {
    client: Client,
    version: Option<String>,
    warnings: Vec<String>,
    /// With which its JVM starts.
    jvm: JvmOptions,
    /// It listed the commands that are needed.
    lists_commands: bool,
    handle: GuardHandle,
    notify: Arc<dyn Notify>,
}

impl Device {
    /// Starts the guard, makes the home, and asks the client's version in it.
    ///
    /// # Errors
    /// Those of `Device::begin` and of `Preparing::finish`.
    pub fn prepare(preparation: Preparation<'_>) -> Result<Self> {
        Self::begin(preparation)?.finish()
    }

    /// Starts the guard, makes the home, and begins to ask the client's version in it.
    ///
    /// # Errors
    /// [`Error::PrivateHomeImpossible`], [`Error::PrivateHomeUnusable`], [`Error::PrivateHomeOnDisk`] unless that is
    /// agreed to, [`Error::GuardLost`]; [`Error::ClientUnsafe`] if a file of the client can't be read.
    pub fn begin(preparation: Preparation<'_>) -> Result<Preparing> {
        let Preparation { client, known, keep_away, places, on_disk, guard, notify } = preparation;
        let guard = match guard {
            Some(guard) => guard,
            None => this_program()?,
        };
        let places = places.outside(keep_away);
        let memory_was_wanted = places.iter().any(|place| place.memory_only);
        let start = |on_disk| {
            while_waiting(&*notify, "the private folder for the client", || {
                GuardHandle::start(&guard, places.clone(), on_disk, notify.clone())
            })
        };
        let (handle, on_disk) = match start(false) {
            Err(error @ Error::PrivateHomeOnDisk { .. }) if on_disk(&error) => (start(true)?, true),
            result => (result?, false),
        };
        if memory_was_wanted && !handle.is_in_memory() {
            notify.notify(Event::Warning(format!(
                "The private folder for the client is on a disk and not in memory: {}. It is removed when the device is unlocked. Deleted blocks are protected only by disk encryption.",
                handle.rejected().join("; ")
            )));
        }
        let left_out: Vec<String> =
            handle.left_out().map(str::to_owned).into_iter().chain(client.notes().to_vec()).collect();
        let warnings = Vec::new();
        let mut device =
            Self { client, version: None, warnings, jvm: JvmOptions::All, lists_commands: false, handle, notify };
        left_out.into_iter().for_each(|left_out| device.warn(left_out));
        if device.client.is_alone() {
            device.warn(format!(
                "The client {} is not inside an unpacked Snowball Edge client package. That nobody else can change it was checked of this file, of what runs it and of what it may load beside it, and not of what it loads from elsewhere.",
                device.client.program()
            ));
        }
        if let Some(known) = device.find_in(known)? {
            device.jvm = if known.jvm_is_bare { JvmOptions::HomeAlone } else { JvmOptions::All };
            device.version = Some(known.version);
            device.lists_commands = true;
            return Ok(Preparing::of(device));
        }
        let home = device.home().to_owned();
        let help = HelpAsked::begin(guard, places, on_disk, device.help_run(), Arc::clone(&device.notify));
        let asking = threads::begin(move || {
            device.version = device.read_version()?;
            device.read_help(help)?;
            Ok(device)
        });
        let thread = asking.map_err(|error| Error::of_system("a thread that waits for the client", &error))?;
        Ok(Preparing { home, device: Some(ClientAnswer::Asked(thread)) })
    }

    /// The private home. Gone once the device is open, or this is dropped.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.handle.home()
    }

    /// Whether the home lies in memory, and so is never written to a disk (save by swapping).
    #[must_use]
    pub fn home_is_in_memory(&self) -> bool {
        self.handle.is_in_memory()
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether its JVM starts with no option of ours but its home.
    #[must_use]
    pub(crate) fn jvm_is_bare(&self) -> bool {
        self.jvm == JvmOptions::HomeAlone
    }

    /// What the client answered in an earlier run, if it would answer the same now: it is the same to the last bit, its JVM
    /// included, and would be asked the same.
    fn find_in(&self, mut known: Vec<KnownClient>) -> Result<Option<KnownClient>> {
        let asked = self.asked();
        known.retain(|known| known.asked == asked && self.client.data.knows(&known.version));
        if known.is_empty() || !self.client.has_own_java() {
            return Ok(None);
        }
        let digest = self.client.sha256(&*self.notify)?;
        Ok(known.into_iter().find(|known| known.client_sha256 == digest))
    }

    /// What the client has answered, for later runs. `None` for one that starts a JVM of the system, which may be another by
    /// then, for one that was allowed though unknown, and for one that did not list its commands.
    ///
    /// # Errors
    /// [`Error::ClientUnsafe`] if a file of it can't be read.
    pub fn known(&self) -> Result<Option<KnownClient>> {
        let version = self.version.as_ref().filter(|version| self.client.data.knows(version));
        let may_keep = self.client.has_own_java() && self.lists_commands;
        let Some(version) = version.filter(|_| may_keep) else { return Ok(None) };
        Ok(Some(KnownClient {
            client_sha256: self.client.sha256(&*self.notify)?,
            asked: self.asked(),
            version: version.clone(),
            jvm_is_bare: self.jvm_is_bare(),
        }))
    }

    fn asked(&self) -> String {
        let data = &self.client.data;
        let asked: Vec<String> = data.version.args.iter().chain(&data.help.args).cloned().collect();
        environment::said_of(&asked, &data.java_options)
    }

    /// The client's version as it says it, such as `1.2.0`; `None` for one that was allowed though unknown.
    #[must_use]
    pub fn client_version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// What [`Device::prepare`] warned of that is about the client itself.
    #[must_use]
    pub(crate) fn client_warnings(&self) -> &[String] {
        &self.warnings
    }

    fn warn(&mut self, warning: String) {
        self.notify.notify(Event::Warning(warning.clone()));
        self.warnings.push(warning);
    }

    fn version_run(&self) -> Run {
        let data = &self.client.data;
        Run {
            program: self.client.program().to_owned(),
            args: data.version.args.clone(),
            java_options: data.java_options.clone(),
            jvm: self.jvm,
            limit_ms: Some(millis(data.version.limit())),
            reads: Reads::Nothing,
            live: None,
        }
    }

    fn start_version(&mut self) -> Result<Ran> {
        let run = self.version_run();
        let handle = &mut self.handle;
        while_waiting(&*self.notify, "the client to say its version", || handle.run(run))
    }

    fn read_version(&mut self) -> Result<Option<String>> {
        let mut ran = self.start_version()?;
        if !ran.succeeded() && !ran.timed_out {
            // Its JVM may know none of our options.
            self.jvm = JvmOptions::HomeAlone;
            let again = self.start_version()?;
            if again.succeeded() {
                ran = again;
            } else {
                self.jvm = JvmOptions::All;
            }
        }
        let client = &self.client.data;
        let data = &client.version;
        let version = client.version_said(&ran.stdout).or_else(|| client.version_said(&ran.stderr));
        if version.as_deref().is_some_and(|version| client.knows(version)) {
            return Ok(version);
        }
        if ran.timed_out {
            return Err(Error::ClientHung { what: data.args.join(" "), seconds: data.limit().as_secs() });
        }
        let path = self.client.program().to_owned();
        if version.is_none() && !ran.succeeded() {
            return Err(self.does_not_run(&ran));
        }
        if self.client.allows_unknown() {
            self.warn(format!(
                "The client {path} did not report a version that this program knows as {}; it is used anyway.",
                self.client.data.name
            ));
            return Ok(version);
        }
        let (what, hint) = client.unknown_in_words(version.as_deref());
        Err(Error::ClientUnknown { path, what, said: output::client_output(&ran), hint })
    }

    /// For one that ended without saying what it is, so that nothing is known of it but that.
    fn does_not_run(&self, ran: &Ran) -> Error {
        let asked = self.client.data.version.args.join(" ");
        let ended = match (ran.code, ran.signal) {
            (Some(126), _) => "exit status 126: a program that it starts may not be run".to_owned(),
            (Some(127), _) => "exit status 127: a program that it starts is not there".to_owned(),
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no exit status".to_owned(),
        };
        let why = format!("`{asked}` ended with {ended} (it said: {})", output::client_output(ran));
        // Its words choose no more than a sentence of the hint.
        let looks_elsewhere = !self.client.has_own_java() || why.contains("JAVA_HOME");
        client::find::unusable(self.client.program(), why, !looks_elsewhere)
    }

    fn help_run(&self) -> Run {
        let help = &self.client.data.help;
        Run { args: help.args.clone(), limit_ms: Some(millis(help.limit())), ..self.version_run() }
    }

    /// Before anything is fetched: one that lists commands and lacks those that are needed is of no use. One that lists none may
    /// do its work all the same, only is it not given the code on its command line.
    fn read_help(&mut self, asked: HelpAsked) -> Result<()> {
        let run = self.help_run();
        let (jvm, handle) = (self.jvm, &mut self.handle);
        let ran = while_waiting(&*self.notify, "the client to list its commands", || {
            // With options with which its JVM does not start it said nothing, nor did it where that guard failed.
            let answer = if jvm == JvmOptions::All { asked.answer() } else { None };
            answer.map_or_else(|| handle.run(run), Ok)
        })?;
        if !ran.succeeded() {
            return Ok(());
        }
        let listed = self.client.data.commands_in(&ran.stdout, &ran.stderr, false);
        self.lists_commands = listed.missing.is_none();
        match listed.missing.filter(|_| listed.is_list) {
            Some(command) => Err(Error::ClientTooOld { path: self.client.program().to_owned(), command }),
            None => Ok(()),
        }
    }
}

/// A client that is being asked for its commands while it is asked its version, by a guard and in a home of its own: a guard runs one
/// command at a time. There is no secret yet.
///
/// Dropping it ends that guard, and with it the client.
struct HelpAsked {
    end: Receiver<EndSender>,
    /// Taken by [`HelpAsked::answer`] and by drop alone. `None` also where none was to be had.
    thread: Option<JoinHandle<Option<Ran>>>,
}

impl HelpAsked {
    fn begin(guard: PathBuf, places: Vec<Place>, on_disk: bool, run: Run, notify: Arc<dyn Notify>) -> Self {
        let (sender, end) = std::sync::mpsc::channel();
        let thread = threads::begin(move || {
            // Why it failed is told by the device's own guard, which is then asked for the same.
            let mut handle = GuardHandle::start(&guard, places, on_disk, notify).ok()?;
            sender.send(handle.end_sender()).ok()?;
            handle.run(run).ok()
        });
        Self { end, thread: thread.ok() }
    }

    /// Waits for the answer. `None` if there is none.
    fn answer(mut self) -> Option<Ran> {
        self.thread.take()?.join().ok().flatten()
    }
}

impl Drop for HelpAsked {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if let Ok(end) = self.end.recv() {
            end.send();
        }
        drop(thread.join());
    }
}

pub(in crate::device) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
