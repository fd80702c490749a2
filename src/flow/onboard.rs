//! THE FLOW. One device's first start, from the request to the receipt:
//!
//! `Requested` → [`Checked`] → `Fetched` → [`Kept`] → [`HandedOver`] → [`Unlocked`]
//!
//! Each state is a type, and each step consumes the state before it. `fetch` stops at `Kept`; a run whose pair is
//! kept already goes from `Checked` to `Kept` without a word to AWS.

use std::borrow::Borrow;
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::address::check_address;
use super::cluster;
use super::delivery::fetch_when_delivered;
use super::keep::{About, apply_keep, keep_of, note_keep, warn_until_unlocked};
use super::leftovers::open_state_folder;
use super::open_session::{OpenSession, ReadyPair};
use super::prepare::{SharedClient, SharedKeychains, prepare_client};
use super::recovery::{kept_pair, settle};
use super::run_context::{ClusterRequest, RunContext, version_in_words};
use crate::cloud::{Cloud, ClusterJobs, DescribedJob, FetchedPair, Sink};
use crate::device::{self, Device, Preparing};
use crate::error::{Error, Result};
use crate::keychain::{Keychain, Prepared};
use crate::model::{
    ClusterNode, Endpoint, HandOverPolicy, HandOverRecord, JobFacts, JobId, Keep, KeychainKind, PairRecord, Purpose,
    Record, TargetId, UnlockCode,
};
use crate::os::threads::Beside;
use crate::report::{Ask, Event, Notify, Reporter, Step, age_in_words, duration_in_words};
use crate::safety::separation::Separation;
use crate::settings::Settings;
use crate::store::{Audit, AuditStep, Draft, HomeNote, JobFolder, Manifest, StateFolder};

/// A job was named, and how to go about it is settled. Nothing has been touched.
pub(crate) struct Requested<'a> {
    /// The job.
    pub job: TargetId,
    /// What for.
    pub purpose: Purpose,
    /// How to go about it.
    pub settings: &'a Settings,
    /// Who is told.
    pub reporter: Reporter,
    /// Who is asked.
    pub ask: &'a dyn Ask,
}

/// The keychain answers, the client is safe to run and may still be starting, the job is ours alone. Nothing has been asked of
/// AWS.
pub struct Checked<'a> {
    /// These two before the note of their home, which is to outlive it: fields are dropped in this order.
    pub(super) preparing: Option<Preparing>,
    device: Option<Device>,
    pub(super) context: RunContext<'a>,
    pub(super) keychain: Arc<Keychain>,
}

/// Both halves are here: the manifest whole in a file of its own, the code in memory. Neither is in its place yet.
struct Fetched<'a> {
    checked: Checked<'a>,
    facts: JobFacts,
    /// The nodes, if it is a cluster.
    nodes: ClusterJobs,
    code: UnlockCode,
    manifest: Manifest,
}

/// Both halves are in their places, match and are stored separately.
pub struct Kept<'a> {
    ready: ReadyPair<'a>,
    was_kept_already: bool,
}

/// The vendor's client has the pair; the code is wiped from this process.
pub struct HandedOver<'a>(OpenSession<'a>);

/// The device is open, and the receipt is written.
#[derive(Debug)]
pub struct Unlocked {
    /// The job.
    pub job: TargetId,
    /// Where the code is kept.
    pub keychain: KeychainKind,
    /// The same in words.
    pub keychain_name: String,
    /// Where the manifest is kept; `None` if nothing was kept.
    pub manifest: Option<PathBuf>,
    /// How the hand-over went.
    pub hand_over: HandOverRecord,
    /// Whether the device had been open before.
    pub was_open_already: bool,
    /// How long the pair is to be kept.
    pub keep: Keep,
    /// Whether the pair was removed since, because the setting `keep` says so.
    pub was_removed: bool,
    /// The nodes, if it is a cluster.
    pub nodes: Vec<ClusterNode>,
    /// The jobs of those that are not open, which was agreed to.
    pub missing: Vec<JobId>,
}

impl<'a> Requested<'a> {
    /// Preflight without a device, for `fetch`.
    ///
    /// # Errors
    /// Those of the keychain and the state folder; [`Error::Busy`].
    pub(crate) fn check(self) -> Result<Checked<'a>> {
        warn_until_unlocked(self.settings, &self.reporter);
        self.check_sharing(&SharedKeychains::default())
    }

    /// The same with keychains that other jobs of this command may have opened already.
    ///
    /// # Errors
    /// Those of [`Requested::check`].
    pub(crate) fn check_sharing(self, keychains: &SharedKeychains) -> Result<Checked<'a>> {
        let (state, folder) = self.open_folder()?;
        Audit::of(&state, self.settings.audit_copy).check()?;
        let keychain = self.open_keychain(&folder, keychains)?;
        Ok(Checked { preparing: None, context: self.context(state, folder, None), keychain, device: None })
    }

    /// Preflight with a device, for `run`: the client is found and looked at while the keychain is opened.
    ///
    /// # Errors
    /// Those of [`Requested::check`], and of the client and its private home; [`Error::EndpointPublic`],
    /// [`Error::EndpointExample`].
    pub(crate) fn check_with_device(self, endpoint: &Endpoint) -> Result<Checked<'a>> {
        check_address(endpoint, self.settings, self.ask)?;
        self.check_with_device_at(endpoint)
    }

    /// The same sharing keychains and a client with other jobs of this command. Only the job is locked until `before` has returned.
    ///
    /// # Errors
    /// As there, and those of `before`.
    pub(crate) fn check_device_sharing(
        self,
        endpoint: &Endpoint,
        keychains: &SharedKeychains,
        client: &SharedClient,
        before: impl FnOnce() -> Result<()>,
    ) -> Result<Checked<'a>> {
        check_address(endpoint, self.settings, self.ask)?;
        self.check_both(endpoint, keychains, Some(client), before)
    }

    /// The same at an address that was checked. Its errors are those.
    pub(super) fn check_with_device_at(self, endpoint: &Endpoint) -> Result<Checked<'a>> {
        warn_until_unlocked(self.settings, &self.reporter);
        self.check_both(endpoint, &SharedKeychains::default(), None, || Ok(()))
    }

    fn check_both(
        self,
        endpoint: &Endpoint,
        keychains: &SharedKeychains,
        client: Option<&SharedClient>,
        before: impl FnOnce() -> Result<()>,
    ) -> Result<Checked<'a>> {
        let (state, folder) = self.open_folder()?;
        Audit::of(&state, self.settings.audit_copy).check()?;
        before()?;
        self.reporter.begin(Step::Client);
        // A client's files take a while to look at, and a person at a keychain prompt may take minutes.
        let (preparing, keychain) = std::thread::scope(|scope| {
            let preparing = Beside::begin(scope, || self.prepare_device(&state, endpoint, client));
            let keychain = self.open_keychain(&folder, keychains);
            (preparing.join(), keychain)
        });
        let (keychain, preparing) = (keychain?, preparing?);
        let note = state.note_home(preparing.home())?;
        let (preparing, context) = (Some(preparing), self.context(state, folder, Some(note)));
        Ok(Checked { preparing, context, keychain, device: None })
    }

    fn open_folder(&self) -> Result<(StateFolder, JobFolder)> {
        let state = open_state_folder(&self.settings.state_dir, &self.reporter)?;
        let about = if self.purpose == Purpose::Fetch { About::Fetches(&self.job) } else { About::Opens(&self.job) };
        apply_keep(&state, self.settings, about, &self.reporter);
        if let Some(flaw) = state.network_location() {
            let path = state.path().display();
            self.reporter
                .notify(Event::Warning(format!("The state folder {path} {flaw}. Use another one with --state-dir.")));
        }
        let folder = match self.settings.keychain {
            KeychainKind::None => state.job_for_once(&self.job)?,
            KeychainKind::System | KeychainKind::Kernel => state.job(&self.job)?,
        };
        Ok((state, folder))
    }

    /// Opens the keychain: the one that was chosen, else the one in which the code is. An unfinished change is settled
    /// first, with the keychain that it was for.
    fn open_keychain(&self, folder: &JobFolder, keychains: &SharedKeychains) -> Result<Arc<Keychain>> {
        let open = |kind| keychains.open(self.settings.keychain_settings(kind), self.reporter.shared());
        let record = || match folder.record() {
            // Of no use to anyone any more; a newer one is.
            Err(Error::RecordUnreadable { .. }) => Ok(None),
            result => result,
        };
        let mut keychain = None;
        if let Some(PairRecord { keychain: kind, .. }) = record()?.and_then(|record| record.incoming) {
            match open(kind) {
                Ok(opened) => {
                    settle(folder, &opened.recall(folder.job())?, &self.reporter)?;
                    keychain = Some(opened);
                }
                // Whoever chose another keychain may have no other one; the change stays unfinished until then.
                Err(error) if self.settings.keychain_was_chosen() && self.settings.keychain != kind => {
                    self.reporter
                        .notify(Event::Warning(format!("An interrupted change could not be finished: {error}")));
                }
                Err(error) => return Err(error),
            }
        } else if folder.record().is_ok() {
            // Of a run that was killed before it had written down what it was about to keep. A record that can't be read may
            // have written it down: then the manifest may be the last one that fits the keychain's code.
            folder.discard_incoming()?;
        }
        let kept_in = record()?.and_then(|record| record.pair).map(|pair| pair.keychain);
        let kind = self.settings.keychain_for(kept_in);
        if let Some(other) = kept_in.filter(|other| *other != kind && kind != KeychainKind::None) {
            self.reporter.notify(Event::Warning(format!(
                "The keychain “{other}” also contains an earlier code of this job. It was not removed."
            )));
        }
        match keychain.filter(|keychain| keychain.kind() == kind) {
            Some(keychain) => Ok(keychain),
            None => open(kind),
        }
    }

    fn prepare_device(
        &self,
        state: &StateFolder,
        endpoint: &Endpoint,
        client: Option<&SharedClient>,
    ) -> Result<Preparing> {
        let preparing = match client {
            Some(client) => client.prepare(self.settings, &self.reporter, self.ask, state),
            None => prepare_client(self.settings, &self.reporter, self.ask, state),
        }?;
        match device::reach(endpoint, &self.reporter) {
            Ok(_) => {}
            // It may still be starting, which takes 10 to 20 minutes; fetching the pair meanwhile loses nothing.
            Err(error @ Error::DeviceUnreachable { .. }) => {
                self.reporter.notify(Event::Warning(format!(
                    "{error} The run continues, because the device may still be starting."
                )));
            }
            Err(error) => return Err(error),
        }
        Ok(preparing)
    }

    fn context(self, state: StateFolder, folder: JobFolder, note: Option<HomeNote>) -> RunContext<'a> {
        RunContext {
            settings: self.settings,
            reporter: self.reporter,
            ask: self.ask,
            audit: Audit::of(&state, self.settings.audit_copy).with_purpose(self.purpose),
            state,
            folder,
            request: ClusterRequest::default(),
            _note: note,
        }
    }
}

impl<'a> Checked<'a> {
    /// The same with what was said of the cluster.
    pub(crate) fn of_cluster(mut self, request: ClusterRequest) -> Self {
        self.context.request = request;
        self
    }

    /// Takes the pair that is kept, or fetches one.
    ///
    /// # Errors
    /// [`Error::PairMismatch`] if what is kept is not a pair; else those of fetching and keeping.
    pub fn keep(self) -> Result<Kept<'a>> {
        match self.kept_or_not()? {
            Ok(kept) => Ok(kept),
            Err(checked) => checked.fetch(None)?.keep(),
        }
    }

    /// The same, where AWS is asked through a connection of the caller's, opened when it comes to that.
    ///
    /// # Errors
    /// Those of `open` and of [`Checked::keep`].
    pub(crate) fn keep_by<'c>(self, open: impl FnOnce() -> Result<&'c Cloud>) -> Result<Kept<'a>> {
        match self.kept_or_not()? {
            Ok(kept) => Ok(kept),
            Err(checked) => checked.fetch(Some(open()?))?.keep(),
        }
    }

    /// Takes the pair that is kept. AWS is not asked.
    ///
    /// # Errors
    /// [`Error::PairNotKept`]; [`Error::PairMismatch`] if what is kept is not a pair.
    pub(crate) fn take_kept(self) -> Result<Kept<'a>> {
        self.kept_or_not()?.map_err(|checked| Error::pair_not_kept(checked.context.folder.job()))
    }

    fn kept_or_not(mut self) -> Result<std::result::Result<Kept<'a>, Self>> {
        // Where a pair is kept, AWS is not asked meanwhile, and nobody is to be asked for a code that no client takes.
        let has_pair =
            self.context.folder.record().is_ok_and(|record| record.is_some_and(|record| record.pair.is_some()));
        if has_pair || self.preparing.as_ref().is_some_and(Preparing::is_known) {
            self.finish_device()?;
        }
        let items = self.keychain.recall(self.context.folder.job())?;
        match kept_pair(&self.context.folder, self.keychain.kind(), items, &self.context.reporter)? {
            Some(kept) => {
                self.finish_device()?;
                let (mut record, mut pair, code) = kept.converted(&self.context.folder, &self.keychain)?;
                note_keep(&mut record, &mut pair, self.context.settings, &self.context.folder)?;
                let when = age_in_words(OffsetDateTime::now_utc() - pair.fetched_at);
                self.context
                    .reporter
                    .step(Step::Kept, &format!("code and manifest, fetched {when}; no request to AWS"));
                self.into_kept(record, pair, code, true).map(Ok)
            }
            None => Ok(Err(self)),
        }
    }

    /// Fetches a new pair, whatever is kept. The old one is replaced only when the new one is whole.
    ///
    /// # Errors
    /// Those of fetching and keeping.
    pub(crate) fn refetch(self) -> Result<Kept<'a>> {
        self.fetch(None)?.keep()
    }

    /// Waits until the client has said its version, if there is one. Before that no code is obtained for it.
    fn finish_device(&mut self) -> Result<()> {
        let Some(preparing) = self.preparing.take() else { return Ok(()) };
        let device = preparing.finish()?;
        let version = version_in_words(&device);
        self.context
            .reporter
            .step(Step::Client, &format!("{}, version {version}", device.client().launcher().display()));
        self.context.keep_known_client(&device);
        self.device = Some(device);
        Ok(())
    }

    /// Has AWS asked for the job while the client is still starting.
    fn describe_meanwhile(&mut self) -> Result<Option<(Cloud, DescribedJob)>> {
        if self.preparing.is_none() {
            return Ok(None);
        }
        let RunContext { settings, reporter, folder, .. } = &self.context;
        let Some(job) = folder.job().job() else { return self.finish_device().map(|()| None) };
        let described = Cloud::open(&settings.cloud(), reporter.shared())
            .and_then(|cloud| cloud.describe(job).map(|described| (cloud, described)));
        // What is wrong here is told before what is wrong at AWS.
        self.finish_device()?;
        described.map(Some)
    }

    fn fetch(mut self, shared: Option<&Cloud>) -> Result<Fetched<'a>> {
        let described = self.describe_meanwhile();
        // What a killed run left goes, as what this one makes below does; a code that is stored is not asked for, which may ask somebody.
        if described.is_err()
            && self.context.folder.record().is_ok_and(|record| record.is_none_or(|it| it.pair.is_none()))
        {
            self.context.withdraw(&self.keychain);
        }
        let (first, mut described) = described?.unzip();
        let (settings, reporter, folder) = (self.context.settings, &self.context.reporter, &self.context.folder);
        let mut draft = folder.draft()?;
        // Whoever signs in with a code or a fingerprint is not to do so twice.
        let first = Cell::new(first);
        let open = || match (shared, first.take()) {
            (Some(shared), _) => Ok(Connection::Shared(shared)),
            (None, Some(cloud)) => Ok(Connection::Own(Box::new(cloud))),
            (None, None) => Cloud::open(&settings.cloud(), reporter.shared()).map(Box::new).map(Connection::Own),
        };
        let (keychain, request) = (&mut self.keychain, &self.context.request);
        let fetch = |cloud: &Cloud, has_waited: bool| {
            if has_waited {
                // Hours may have passed, and the screen's lock may have taken the keychain's along.
                *keychain = Keychain::open(settings.keychain_settings(keychain.kind()), reporter.shared())?.into();
            }
            reporter.begin(Step::Keychain);
            // Before anything is fetched.
            let name = keychain.name().to_owned();
            let ready = match keychain.prepare(folder.job())? {
                Prepared::Nothing => "none: the code stays in memory until this run ends".to_owned(),
                Prepared::Made => format!("{name}: ready (this job's item stored and read back)"),
                Prepared::WasThere => format!("{name}: ready (this job's item read)"),
            };
            reporter.step(Step::Keychain, &ready);
            reporter.begin(Step::Job);
            let path = draft.path().display().to_string();
            draft.restart().map_err(|error| Error::disk("Writing", draft.path(), error))?;
            reporter.begin(Step::Manifest);
            cluster::fetch_pair(cloud, folder, request, described.take(), &mut draft).map_err(|error| match error {
                // The cloud knows the draft as something to write to; only here has it a name.
                Error::Disk { what, why, .. } => Error::Disk { what, why, path },
                other => other,
            })
        };
        let fetched = fetch_when_delivered(open, settings.patience_for_delivery(), reporter, fetch);
        let finished = fetched.and_then(|fetched| Ok((fetched, draft.finish()?)));
        let (fetched, manifest) = finished.inspect_err(|_| self.context.withdraw(&self.keychain))?;
        reporter.step(Step::Job, &cluster::fetched_in_words(&fetched, folder.job(), reporter));
        let FetchedPair { facts, code, nodes, .. } = fetched;
        Ok(Fetched { checked: self, facts, nodes, code, manifest })
    }

    fn into_kept(self, record: Record, pair: PairRecord, code: UnlockCode, was_kept_already: bool) -> Result<Kept<'a>> {
        let Self { context, keychain, device, .. } = self;
        let is_kept = keychain.kind() != KeychainKind::None;
        let name = keychain.name().to_owned();
        // Its connection's buffers have held the code.
        drop(keychain);
        let folder = &context.folder;
        let expected = folder.names();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        let home: Vec<_> = device.iter().map(Device::home).collect();
        let separation = Separation::check(folder.job(), folder.path(), &expected, &code, &home)?;
        context.warn_of_codes_in_clear(&code);
        if is_kept {
            context.reporter.pair_is_kept();
        }
        let ready = ReadyPair { device, context, record, pair, code, keychain: name, separation };
        Ok(Kept { ready, was_kept_already })
    }
}

/// A connection to AWS: for this fetch alone, or for several, so that nobody signs in for each.
enum Connection<'a> {
    Own(Box<Cloud>),
    Shared(&'a Cloud),
}

impl Borrow<Cloud> for Connection<'_> {
    fn borrow(&self) -> &Cloud {
        match self {
            Self::Own(cloud) => cloud,
            Self::Shared(cloud) => cloud,
        }
    }
}

impl<'a> Fetched<'a> {
    /// Puts both halves in their places. Killed anywhere in here, the next run finishes or undoes it.
    fn keep(self) -> Result<Kept<'a>> {
        let Self { checked, facts, nodes, code, manifest } = self;
        let (record, pair) = checked
            .store(&facts, &nodes, &code, &manifest)
            .inspect_err(|_| checked.context.withdraw(&checked.keychain))?;
        checked.into_kept(record, pair, code, false)
    }
}

impl<'a> Kept<'a> {
    /// Whether the pair had been kept before this run.
    #[must_use]
    pub fn was_kept_already(&self) -> bool {
        self.was_kept_already
    }

    /// How many nodes it is the pair of, if it is a cluster's.
    pub(crate) fn nodes(&self) -> usize {
        self.ready.record.nodes.len()
    }

    /// Where they are, as far as that is remembered.
    pub(crate) fn addresses(&self) -> Vec<Endpoint> {
        self.ready.record.last_addresses()
    }

    /// Where the code is, in words.
    #[must_use]
    pub fn keychain(&self) -> &str {
        &self.ready.keychain
    }

    /// Where the manifest is.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.ready.context.folder.manifest_path()
    }

    /// The pair's entry in the record.
    #[must_use]
    pub fn pair(&self) -> &PairRecord {
        &self.ready.pair
    }

    /// Gives both halves to the vendor's client. The device may take as long as `patience` to start. The code is gone from this
    /// process when it returns.
    ///
    /// # Errors
    /// Those of the client, the hand-over and the device.
    pub fn hand_over(self, endpoint: &Endpoint, patience: Duration) -> Result<HandedOver<'a>> {
        let RunContext { reporter, settings, .. } = &self.ready.context;
        let stored = match self.ready.pair.keychain {
            KeychainKind::None => "not stored, and kept separately during this run",
            KeychainKind::System | KeychainKind::Kernel => "stored separately",
        };
        reporter.step(Step::Pair, &format!("code and manifest match; {stored}"));
        reporter.begin(Step::HandOver);
        let policy = settings.handoff;
        let mut opened = self.ready.open_session(endpoint, policy, patience, true)?;
        opened.unlock()?;
        let OpenSession { context, record, hand_over, pair, session, .. } = &mut opened;
        context.note_hand_over(AuditStep::HandedOver, &pair.manifest_sha256, record, hand_over)?;
        context.reporter.step(Step::HandOver, session.method().in_words());
        Ok(HandedOver(opened))
    }

    /// Opens a session with the client for a look or a command, and leaves the device as it is. The command line is not used. A
    /// device that does not answer yet is waited for as long as `patience`; one that answers, and not the client, is not.
    ///
    /// # Errors
    /// Those of the client, the hand-over and the device.
    pub(crate) fn open_session(mut self, endpoint: &Endpoint, patience: Duration) -> Result<OpenSession<'a>> {
        // A node that does not answer is no reason not to look at the others.
        self.ready.context.request.without_missing = true;
        self.ready.open_session(endpoint, HandOverPolicy::Private, patience, false).map_err(|error| match error {
            // What would be allowed to `run` is no way out here.
            Error::HandOverRefused { why } => Error::OnlyPrivate { why },
            error => error,
        })
    }
}

impl HandedOver<'_> {
    /// Waits until the device says UNLOCKED, and writes the receipt.
    ///
    /// # Errors
    /// Those of the device. The pair is kept.
    pub(crate) fn wait(self) -> Result<Unlocked> {
        let OpenSession { context, mut record, mut hand_over, pair, keychain, session, exposure } = self.0;
        context.reporter.begin(Step::Device);
        let start = std::time::Instant::now();
        let unlocked =
            match session.wait_until_unlocked(context.settings.unlock_timeout, &|log| context.keep_client_log(log)) {
                Ok(unlocked) => unlocked,
                Err(error) => {
                    context.note_failure(AuditStep::NotUnlocked, &pair.manifest_sha256);
                    context.record_exposure(&record, hand_over, &exposure);
                    return Err(error);
                }
            };
        hand_over.argv_seconds = unlocked.argv_seconds;
        hand_over.nodes = cluster::remember(&mut record, &unlocked.nodes, &unlocked.addresses);
        if let Some(error) = cluster::incomplete(&context, &unlocked, pair.keychain) {
            context.note_hand_over(AuditStep::NotUnlocked, &pair.manifest_sha256, &record, &mut hand_over)?;
            return Err(error);
        }
        let took = duration_in_words(start.elapsed());
        context.reporter.step(
            Step::Device,
            &if unlocked.was_open_already { "UNLOCKED already".to_owned() } else { format!("UNLOCKED after {took}") },
        );
        // Which is the job's, or the wait had failed.
        hand_over.device_id = unlocked.device_id.and_then(|id| id.parse().ok());
        hand_over.was_open_already = unlocked.was_open_already;
        hand_over.unlocked_at = Some(OffsetDateTime::now_utc());
        context.note_hand_over(AuditStep::Unlocked, &pair.manifest_sha256, &record, &mut hand_over)?;
        // Of a failure that is over.
        context.folder.discard_client_log()?;
        let kept = pair.keychain != KeychainKind::None;
        Ok(Unlocked {
            job: context.folder.job().clone(),
            keychain: pair.keychain,
            keychain_name: keychain,
            manifest: kept.then(|| context.folder.manifest_path()),
            hand_over,
            was_open_already: unlocked.was_open_already,
            keep: keep_of(&record, context.settings).0,
            was_removed: false,
            nodes: unlocked.nodes,
            missing: unlocked.missing,
        })
    }
}

impl Sink for Draft {
    fn restart(&mut self) -> std::io::Result<()> {
        Draft::restart(self)
    }
}
