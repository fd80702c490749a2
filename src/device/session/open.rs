//! Opening a session: what it needs, which hand-over methods it may use, and what is looked at right before. The methods
//! themselves are in `methods`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Session;
use super::cluster::{Cluster, ClusterOrder};
use super::port::Port;
use crate::device::client::find::Client;
use crate::device::client::output::{Described, State};
use crate::device::client::profile::{self, Profile};
use crate::device::guard::home;
use crate::device::{Device, millis};
use crate::error::{Error, Result};
use crate::model::{Endpoint, HandOverMethod, HandOverPolicy, JobId, ManifestDigest, TargetId, UnlockCode};
use crate::report::{Notify, while_waiting};
use crate::safety::path_trust::{self, OpenMode};
use crate::safety::separation::Separation;

/// Time beyond the device's that a hand-over may take: the client's own limits, a question, a slow machine. When it is over
/// the guard ends by itself.
const BEYOND: Duration = Duration::from_secs(15 * 60);

/// What [`Session::open`] needs.
pub struct HandOver<'a> {
    /// The proof that code and manifest are stored separately. Nothing is handed over without it.
    pub separation: Separation,
    /// Whose device it is: `DeviceId` must be its id.
    pub job: &'a TargetId,
    /// The manifest, by an absolute path.
    pub manifest: &'a Path,
    /// Its SHA-256 as it was fetched.
    pub manifest_sha256: &'a ManifestDigest,
    /// The code; wiped as soon as the client's profile is written.
    pub code: UnlockCode,
    /// The device.
    pub endpoint: &'a Endpoint,
    /// The nodes, if it is a cluster; `endpoint` counts for nothing then.
    pub cluster: Option<ClusterOrder<'a>>,
    /// Which methods may be used.
    pub policy: HandOverPolicy,
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
    /// Whether one whose port answers, and the client gets nothing from it, counts as starting. Else that is the end.
    pub waits_for_services: bool,
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
    pub(in crate::device) fn begin(&self) -> impl Drop {
        struct Exposed(ArgvExposure, Instant);
        impl Drop for Exposed {
            fn drop(&mut self) {
                self.0.0.fetch_add(millis(self.1.elapsed()).max(1), Ordering::Relaxed);
            }
        }
        Exposed(self.clone(), Instant::now())
    }
}

impl Session {
    /// Waits for the device's port, looks once more at what is handed over and to whom, and gives the code to the client by the
    /// first method that brings an answer from the device. It is not asked to open yet.
    ///
    /// Whatever the outcome, the code handed in is wiped; what the private home holds of it goes with the session.
    ///
    /// # Errors
    /// [`Error::ClientChanged`], [`Error::ClientUnsafe`] and [`Error::PairMismatch`] when the client or the manifest is not
    /// what it was; [`Error::HandOverRefused`] when no permitted method works; [`Error::DeviceIsAnother`];
    /// [`Error::DeviceUnidentified`] when it is open and does not say whose it is; [`Error::DeviceUnreachable`],
    /// [`Error::DeviceRefused`], [`Error::DeviceTimeout`], [`Error::ClientHung`], [`Error::EndpointPublic`],
    /// [`Error::DeviceGivesNoAnswer`], [`Error::ProfileLeaked`] when the client wrote the code past our home, [`Error::GuardLost`],
    /// [`Error::StateFolderBad`] if the manifest's path can't be told to the client; what `before_code` and `on_argv` say.
    pub fn open(device: Device, order: HandOver<'_>) -> Result<Self> {
        let HandOver { job, manifest, endpoint, patience, .. } = order;
        let Some(manifest_text) = manifest.to_str() else {
            let (path, why) = (manifest.display().to_string(), "its path is not valid Unicode".to_owned());
            return Err(Error::StateFolderBad { path, why: why.into() });
        };
        let Device { client, jvm, handle: mut guard, notify, .. } = device;
        guard.end_within(patience + BEYOND)?;
        let cluster =
            order.cluster.as_ref().map(|nodes| Cluster::wait(nodes, &mut guard, patience, &*notify)).transpose()?;
        let endpoint = cluster.as_ref().and_then(Cluster::endpoint).unwrap_or(endpoint);
        let mut port = Port::new(endpoint.clone(), patience, Arc::clone(&notify));
        port.wait(&mut guard)?;
        // Hours may have passed since they were looked at.
        check_unchanged(&client, (manifest, order.manifest_sha256), job, &*notify)?;
        // Notices a guard that is gone: without it nothing would remove what is written now.
        guard.pause(Duration::ZERO)?;
        // The client has run in it: what it left there may be a link to the user's own folder, or stand in the profile's place.
        let home = guard.home();
        home::empty(home).map_err(|error| Error::disk("Emptying", home, error))?;
        (order.before_code)()?;
        let name = profile::new_name();
        let nodes = cluster.as_ref().map(Cluster::for_client).unwrap_or_default();
        let of_job = cluster.as_ref().and_then(Cluster::job).map_or(job.as_str(), JobId::as_str);
        let profile =
            Profile { name: &name, job: of_job, manifest: manifest_text, endpoint: port.address(), nodes: &nodes };
        let written = profile::write(guard.home(), &client.data.profile, &profile, order.code)?;
        guard.take_code(&written)?;
        let mut session = Self {
            client,
            guard,
            notify,
            jvm,
            port,
            cluster,
            took: Duration::ZERO,
            job: job.clone(),
            manifest: manifest_text.to_owned(),
            manifest_sha256: *order.manifest_sha256,
            checked_at: Instant::now(),
            profile: name,
            exposure: order.exposure,
            waits_for_services: order.waits_for_services,
            may_show: order.policy != HandOverPolicy::Private,
            log: None,
            in_clear: Vec::new(),
            not_answered: None,
            reads_profile: false,
            method: HandOverMethod::Profile,
            device: Described { device_id: None, state: State::Other("not told".to_owned()) },
            was_open_already: false,
            is_asked: false,
        };
        let first = session.choose(order.policy, order.ask, order.on_argv);
        let begun = first.and_then(|first| session.set_initial_state(first));
        session.warn_of_codes_in_clear();
        match begun {
            Ok(()) => Ok(session),
            Err(error) => {
                session.save_log(order.keep_log);
                Err(error)
            }
        }
    }
}

impl Session {
    /// The same look as before the hand-over, after a wait that may have taken hours.
    ///
    /// # Errors
    /// [`Error::ClientChanged`], [`Error::ClientUnsafe`], [`Error::PairMismatch`].
    pub(super) fn check_unchanged(&mut self) -> Result<()> {
        check_unchanged(&self.client, (Path::new(&self.manifest), &self.manifest_sha256), &self.job, &*self.notify)?;
        self.checked_at = Instant::now();
        Ok(())
    }

    /// The same, if the last look was long ago: before what acts on the device with the pair.
    pub(super) fn check_again_if_long_ago(&mut self) -> Result<()> {
        if self.checked_at.elapsed() < LONG_AGO { Ok(()) } else { self.check_unchanged() }
    }
}

/// A device that answers at once is asked to unlock sooner than this after the look before the hand-over.
const LONG_AGO: Duration = Duration::from_secs(30);

/// Promise 2: client and manifest are what they were, right before they are used.
fn check_unchanged(
    client: &Client,
    (manifest, expected): (&Path, &ManifestDigest),
    job: &TargetId,
    notify: &dyn Notify,
) -> Result<()> {
    client.check_unchanged(notify)?;
    while_waiting(notify, "the manifest to be read", || check_manifest(manifest, expected, job))
}

/// The manifest is the one that came with the code.
fn check_manifest(manifest: &Path, expected: &ManifestDigest, job: &TargetId) -> Result<()> {
    let mismatch = |why: String| Err(Error::PairMismatch { job: job.to_string(), why });
    let file = path_trust::open_own(manifest, OpenMode::Read)
        .map_err(|refused| Error::refused("Reading", manifest, refused))?;
    let Some(file) = file else { return mismatch("the manifest is no longer there".to_owned()) };
    let found = ManifestDigest::of(file).map_err(|error| Error::disk("Reading", manifest, error))?;
    if found == *expected {
        return Ok(());
    }
    mismatch(format!(
        "the manifest has changed since it was fetched (its SHA-256 begins with {}, not with {})",
        found.short(),
        expected.short()
    ))
}
