//! The hand-over, as the flow orders it: what it needs, how far down the ladder it may go, and what comes of it. The rungs
//! themselves are in `climb`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::climb::{Climb, Opening};
use super::data::Rung;
use super::port::Port;
use super::profile::{self, Profile};
use super::text::State;
use super::{Device, millis};
use crate::error::{Error, Result};
use crate::job::{Endpoint, JobId};
use crate::notice::while_waiting;
use crate::pair::{Apart, ManifestDigest};
use crate::safety::path_trust::{self, Access};
use crate::secret::UnlockCode;

/// Time beyond the device's that a hand-over may take: the client's own limits, a question, a slow machine. When it is over
/// the guard ends by itself.
const BEYOND: Duration = Duration::from_secs(15 * 60);

/// How far down the ladder a run may go: setting `handoff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handoff {
    /// Private ways only.
    Private,
    /// Private ways first; the command line without asking.
    Argv,
    /// Private ways first; the command line if the person at the terminal agrees.
    Auto,
}

/// What [`Device::hand_over`] needs.
pub struct HandOver<'a> {
    /// The proof that code and manifest lie apart. Nothing is handed over without it.
    pub apart: Apart,
    /// Whose device it is: `DeviceId` must be its id.
    pub job: &'a JobId,
    /// The manifest, by an absolute path.
    pub manifest: &'a Path,
    /// Its SHA-256 as it was fetched.
    pub manifest_sha256: &'a ManifestDigest,
    /// The code; wiped as soon as the client's profile is written.
    pub code: UnlockCode,
    /// The device.
    pub endpoint: &'a Endpoint,
    /// How far down the ladder to go.
    pub policy: Handoff,
    /// Asks the person whether the command line may be used. `false` when there is no terminal.
    pub ask: &'a dyn Fn() -> bool,
    /// Called right before the code is written for the client, when the device answers and nothing has changed; an error
    /// keeps it off.
    pub before_code: &'a dyn Fn() -> Result<()>,
    /// Called right before the code is put on a command line for the first time; an error keeps it off.
    pub on_argv: &'a dyn Fn() -> Result<()>,
    /// Counts how long it is on one; the caller's clone tells after an error, too.
    pub exposure: ArgvExposure,
    /// How long a device that is still starting is waited for.
    pub patience: Duration,
    /// Called when the hand-over fails, with what the client wrote into its home, made fit to be kept.
    pub keep_log: &'a dyn Fn(&str),
}

/// For how long the unlock code has been on the client's command line. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct ArgvExposure(Arc<AtomicU64>);

impl ArgvExposure {
    /// Seconds, rounded up; `None` if it never was there.
    #[must_use]
    pub fn seconds(&self) -> Option<u64> {
        let millis = self.0.load(Ordering::Relaxed);
        (millis > 0).then(|| millis.div_ceil(1000))
    }

    /// Counts from here until the result is dropped, whatever the reason.
    pub(super) fn begin(&self) -> impl Drop {
        struct Exposed(ArgvExposure, Instant);
        impl Drop for Exposed {
            fn drop(&mut self) {
                self.0.0.fetch_add(millis(self.1.elapsed()).max(1), Ordering::Relaxed);
            }
        }
        Exposed(self.clone(), Instant::now())
    }
}

/// A device that has been asked to open, or was open or opening already.
pub struct HandedOver {
    pub(super) climb: Climb,
    pub(super) rung: Rung,
    pub(super) state: State,
    pub(super) device_id: Option<String>,
    pub(super) was_open_already: bool,
    pub(super) is_asked: bool,
}

impl Device {
    /// Waits for the device's port, looks once more at what is handed over and to whom, then gives the code to the client and
    /// has it ask the device to open, once.
    ///
    /// A device that is open or opening already is not asked. Whatever the outcome, the code handed in is wiped; what
    /// the private home holds of it goes when the result is dropped or the device is open.
    ///
    /// # Errors
    /// [`Error::ClientChanged`], [`Error::ClientUnsafe`] and [`Error::PairMismatch`] when the client or the manifest is not
    /// what it was; [`Error::HandOverRefused`] when no permitted way works; [`Error::DeviceIsAnother`] before anything is asked of
    /// it; [`Error::DeviceUnidentified`] when it is open and does not say whose it is; [`Error::DeviceUnreachable`],
    /// [`Error::DeviceRefused`], [`Error::DeviceTimeout`], [`Error::ClientHung`], [`Error::EndpointPublic`],
    /// [`Error::ProfileLeaked`] when the client wrote the code past our home, [`Error::GuardLost`],
    /// [`Error::StateFolderBad`] if the manifest's path can't be told to the client; what `before_code` and `on_argv` say.
    pub fn hand_over(self, order: HandOver<'_>) -> Result<HandedOver> {
        let HandOver {
            apart: _proven,
            job,
            manifest,
            manifest_sha256,
            code,
            endpoint,
            policy,
            ask,
            before_code,
            on_argv,
            exposure,
            patience,
            keep_log,
        } = order;
        let manifest_path = manifest;
        let Some(manifest) = manifest_path.to_str() else {
            let (path, why) = (manifest.display().to_string(), "its path is not valid Unicode".to_owned());
            return Err(Error::StateFolderBad { path, why });
        };
        let mut link = self.link;
        link.end_within(patience + BEYOND)?;
        let mut port = Port::new(endpoint.clone(), patience, Arc::clone(&self.notify));
        port.wait(&mut link)?;
        // Hours may have passed since they were looked at.
        self.client.check_unchanged(&*self.notify)?;
        while_waiting(&*self.notify, "the manifest to be read", || {
            check_unchanged(manifest_path, manifest_sha256, job)
        })?;
        // Notices a guard that is gone: without it nothing would remove what is written now.
        link.pause(Duration::ZERO)?;
        before_code()?;
        let name = profile::new_name();
        let profile = Profile { name: &name, job, manifest, endpoint: port.address() };
        let written = profile::write(link.home(), &self.client.data.profile, &profile, code)?;
        link.take_code(&written)?;
        let mut climb = Climb {
            client: self.client,
            jvm: self.jvm,
            look: Duration::ZERO,
            link,
            notify: self.notify,
            job: job.clone(),
            manifest: manifest.to_owned(),
            port,
            profile: name,
            exposure,
            may_show: policy != Handoff::Private,
            log: None,
            in_clear: Vec::new(),
            not_answered: None,
        };
        let asked = climb.up(policy, ask, on_argv).and_then(|(rung, first)| climb.open(rung, first));
        climb.tell_of_codes_in_clear();
        match asked {
            Ok(Opening { rung, state, device_id, was_open_already, is_asked }) => {
                Ok(HandedOver { climb, rung, state, device_id, was_open_already, is_asked })
            }
            Err(error) => {
                climb.leave(keep_log);
                Err(error)
            }
        }
    }
}

/// Promise 2: the manifest is the one that came with the code, right before it is handed over.
fn check_unchanged(manifest: &Path, expected: &ManifestDigest, job: &JobId) -> Result<()> {
    let mismatch = |why: String| Err(Error::PairMismatch { job: job.to_string(), why });
    let file = path_trust::open_own(manifest, Access::Read)
        .map_err(|refused| Error::refused("Reading", manifest, &refused))?;
    let Some(file) = file else { return mismatch("the manifest is no longer there".to_owned()) };
    let found = ManifestDigest::of(file).map_err(|error| Error::disk("Reading", manifest, &error))?;
    if found == *expected {
        return Ok(());
    }
    mismatch(format!(
        "the manifest has changed since it was fetched (its SHA-256 begins with {}, not with {})",
        found.short(),
        expected.short()
    ))
}

impl HandedOver {
    /// The rung that was used.
    #[must_use]
    pub fn rung(&self) -> Rung {
        self.rung
    }
}
