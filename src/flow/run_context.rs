//! What every state of the flow carries on, and what is told and put down of a run that fails.

use crate::device::{ArgvExposure, Device, OwnProfiles};
use crate::error::Result;
use crate::keychain::Keychain;
use crate::model::{
    AuditHead, ClientDigest, Endpoint, HandOverMethod, HandOverRecord, JobFacts, JobId, KeychainKind, ManifestDigest,
    Record, UnlockCode,
};
use crate::report::{Ask, Event, Notify, Reporter};
use crate::safety::sanitize::sanitize;
use crate::settings::Settings;
use crate::store::{Audit, AuditSession, AuditStep, HomeNote, JobFolder, StateFolder};

/// What an operator says of a cluster, beyond its id.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClusterRequest {
    /// Where its nodes are, all of them; where there are none, those of the last time are meant.
    pub(crate) addresses: Vec<Endpoint>,
    /// Goes on at once with the nodes that answer, and ends well with them.
    pub(crate) without_missing: bool,
    /// The node whose pair is taken without comparing it with the others'.
    pub(crate) pair_of: Option<JobId>,
}

/// What every state carries on.
pub(super) struct RunContext<'a> {
    pub(super) settings: &'a Settings,
    pub(super) reporter: Reporter,
    pub(super) ask: &'a dyn Ask,
    pub(super) audit: Audit,
    pub(super) state: StateFolder,
    pub(super) folder: JobFolder,
    /// What was said of the cluster, if it is one.
    pub(super) request: ClusterRequest,
    /// Where the private home is, until the run is over.
    pub(super) _note: Option<HomeNote>,
}

impl RunContext<'_> {
    /// Tells and puts down for how long the code stood on a command line, if it did, in a run that fails.
    pub(super) fn record_exposure(&self, record: &Record, mut hand_over: HandOverRecord, exposure: &ArgvExposure) {
        let Some(seconds) = exposure.seconds() else { return };
        hand_over.argv_seconds = Some(seconds);
        self.reporter.notify(Event::Warning(format!(
            "The unlock code was on the client's command line for {seconds} s. Other programs on this machine could read it."
        )));
        // The run fails for a reason of its own, which is the one to tell; the audit log has the exposure already.
        if let Err(error) = self.folder.write_record(&record.with(&hand_over)) {
            self.reporter.notify(Event::Warning(format!("That could not be recorded: {error}")));
        }
    }

    /// From here on the audit log's lines name the device at these addresses, and the client and, once it is known, the method of
    /// this hand-over.
    pub(super) fn name_session(
        &mut self,
        addresses: Vec<Endpoint>,
        hand_over: &HandOverRecord,
        method: Option<HandOverMethod>,
    ) {
        let HandOverRecord { client_version, client_sha256, .. } = hand_over;
        let (client_version, client_sha256) = (client_version.clone(), *client_sha256);
        self.audit.name_session(AuditSession { addresses, method, client_version, client_sha256 });
    }

    /// Puts a step with the pair into the audit log.
    pub(super) fn note(&self, step: AuditStep, manifest: &ManifestDigest) -> Result<()> {
        self.audit.note(&self.folder, step, Some(manifest)).map(drop)
    }

    /// The same, with a `record` to be written that has the line as its own. It is written all the same where the line can't be,
    /// which is what is told then.
    pub(super) fn note_and_record(
        &self,
        step: AuditStep,
        manifest: &ManifestDigest,
        record: impl FnOnce(Option<AuditHead>) -> Result<()>,
    ) -> Result<()> {
        let noted = self.audit.note(&self.folder, step, Some(manifest));
        record(noted.as_ref().ok().copied())?;
        noted.map(drop)
    }

    /// The same for a hand-over.
    pub(super) fn note_hand_over(
        &self,
        step: AuditStep,
        manifest: &ManifestDigest,
        record: &Record,
        hand_over: &mut HandOverRecord,
    ) -> Result<()> {
        self.note_and_record(step, manifest, |head| {
            hand_over.audit_head = head.or(hand_over.audit_head);
            self.folder.write_record(&record.with(hand_over))
        })
    }

    /// Puts a failure into the audit log. The run has that failure to tell; that it could not be put down is told beside it.
    pub(super) fn note_failure(&self, step: AuditStep, manifest: &ManifestDigest) {
        if let Err(error) = self.note(step, manifest) {
            self.reporter.notify(Event::Warning(format!("The failure is not in the audit log: {error}")));
        }
    }

    /// Keeps what the client logged in a run that fails. That run has a reason of its own, which is the one to tell.
    pub(super) fn keep_client_log(&self, log: &str) {
        if self.settings.keychain == KeychainKind::None {
            // Which keeps nothing, by its name; the folder goes with the run.
            return;
        }
        self.reporter.notify(match self.folder.write_client_log(log) {
            Ok(path) => {
                Event::Fact(format!("The client's log is in {}. The unlock code was removed from it.", path.display()))
            }
            Err(error) => Event::Warning(format!("The client's log could not be saved: {error}")),
        });
    }

    /// Keeps what the client answered, for later runs, which it saves time and nothing else: that it can't be kept is no matter.
    pub(super) fn keep_known_client(&self, device: &Device) {
        if self.settings.keychain == KeychainKind::None {
            return;
        }
        let known = device.known().ok().flatten().filter(|known| !self.state.known_clients().contains(known));
        if let Some(Err(error)) = known.map(|known| self.state.keep_known_client(self.folder.job(), known)) {
            tracing::debug!(why = %error, "what the client answered is not kept");
        }
    }

    /// Has the client asked anew by the next run: it no longer is as it was.
    pub(super) fn forget_known_client(&self, digest: &ClientDigest) {
        if let Err(error) = self.state.forget_known_client(self.folder.job(), digest) {
            tracing::debug!(why = %error, "what is known of the client stays");
        }
    }

    /// Takes the job's empty item out of the keychain in a run that fails before there is a code for it. That run has a reason of
    /// its own, which is the one to tell.
    pub(super) fn withdraw(&self, keychain: &Keychain) {
        for warning in keychain.withdraw(self.folder.job()).unwrap_or_default() {
            self.reporter.notify(Event::Warning(warning));
        }
    }

    /// Says where else on this machine the job's code stands in clear: where the client or OpsHub, used by hand, put it.
    pub(super) fn warn_of_codes_in_clear(&self, code: &UnlockCode) {
        for found in OwnProfiles::of_this_user().with_code(code) {
            self.reporter.notify(Event::Warning(found.warning(self.folder.job())));
        }
    }
}

/// What the client says of itself.
pub(super) fn version_in_words(device: &Device) -> String {
    device.client_version().map_or_else(|| "unknown".to_owned(), sanitize)
}

/// The job in one line: what the service says of it.
pub(super) fn job_in_words(facts: &JobFacts) -> String {
    let mut text = format!("{} {}", sanitize(&facts.id), facts.state.in_words());
    let details: Vec<String> = [&facts.device_type, &facts.kind, &facts.description]
        .into_iter()
        .flatten()
        .map(|text| sanitize(text))
        .collect();
    if !details.is_empty() {
        text.push_str(&format!(" ({})", details.join(", ")));
    }
    text
}
