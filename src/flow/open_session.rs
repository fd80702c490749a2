//! Opening a session with the client for a pair that is kept: what `run` and `unlock` have the device opened by, and what looks
//! at a device or runs another command of the client.

use std::cell::Cell;
use std::time::Duration;

use time::OffsetDateTime;

use super::cluster;
use super::run_context::{RunContext, version_in_words};
use crate::device::{self, ArgvExposure, ClusterOrder, Device, Session};
use crate::error::{Error, Result};
use crate::model::{
    ClusterNode, Endpoint, HandOverMethod, HandOverPolicy, HandOverRecord, JobId, PairRecord, Record, TargetId,
    UnlockCode,
};
use crate::safety::separation::Separation;
use crate::store::AuditStep;

/// How long a device may take to answer a look or a command: nobody who asks for one waits for it to start.
pub(super) const SHORT_PATIENCE: Duration = Duration::from_secs(60);

/// A pair that is in its places, and the client that may get it.
pub(super) struct ReadyPair<'a> {
    /// Before the note of its home, which is in the context: fields are dropped in this order.
    pub(super) device: Option<Device>,
    pub(super) context: RunContext<'a>,
    pub(super) record: Record,
    pub(super) pair: PairRecord,
    pub(super) code: UnlockCode,
    pub(super) keychain: String,
    pub(super) separation: Separation,
}

/// The vendor's client has the pair; the code is wiped from this process. The device is as it was.
pub(crate) struct OpenSession<'a> {
    /// Before the note of its home, as above.
    pub session: Session,
    pub(super) context: RunContext<'a>,
    /// As it was before this hand-over.
    pub(super) record: Record,
    pub(super) hand_over: HandOverRecord,
    pub(super) pair: PairRecord,
    pub(super) keychain: String,
    pub(super) exposure: ArgvExposure,
}

impl<'a> ReadyPair<'a> {
    /// Gives both halves to the vendor's client, which finds the device at `endpoint`. A device that does not answer yet is waited
    /// for as long as `patience`; one of which only the port answers, where it `waits_for_services`. The code is gone from this
    /// process when it returns.
    ///
    /// # Errors
    /// Those of the client, the hand-over and the device.
    pub(super) fn open_session(
        self,
        endpoint: &Endpoint,
        policy: HandOverPolicy,
        patience: Duration,
        waits_for_services: bool,
    ) -> Result<OpenSession<'a>> {
        let Self { mut context, record, pair, code, keychain, device, separation } = self;
        let Some(device) = device else {
            return Err(Error::Internal { what: "a hand-over without a preflight of the client".to_owned() });
        };
        let client = device.client();
        let is_cluster = context.folder.job().job().is_none();
        let addresses = if is_cluster { cluster::addresses(&context, &record, endpoint)? } else { Vec::new() };
        let jobs = |nodes: &[ClusterNode]| nodes.iter().map(|node| node.job.clone()).collect::<Vec<JobId>>();
        let (jobs, former) = (jobs(&record.nodes), jobs(&record.former_nodes));
        let mut hand_over = HandOverRecord {
            at: OffsetDateTime::now_utc(),
            endpoint: addresses.first().unwrap_or(endpoint).clone(),
            nodes: if is_cluster { record.last_addresses() } else { Vec::new() },
            method: HandOverMethod::Profile,
            argv_seconds: None,
            client: client.launcher().to_owned(),
            client_version: version_in_words(&device),
            client_sha256: client.sha256(&context.reporter)?,
            client_jvm_is_bare: device.jvm_is_bare(),
            was_open_already: false,
            device_id: None,
            unlocked_at: None,
            audit_head: None,
        };
        let looked_for = if is_cluster { addresses.clone() } else { vec![endpoint.clone()] };
        context.name_session(looked_for, &hand_over, None);
        let ask = || {
            context.ask.ask(
                "The client takes the unlock code only on its command line, where other programs of this machine \
                 can read it while it runs.\nPass the unlock code on the command line?",
            )
        };
        let exposure = ArgvExposure::default();
        let digest = &pair.manifest_sha256;
        let begun = Cell::new(None);
        let opened = Session::open(
            device,
            device::HandOver {
                separation,
                job: context.folder.job(),
                manifest: &context.folder.manifest_path(),
                manifest_sha256: digest,
                code,
                endpoint,
                cluster: match context.folder.job() {
                    TargetId::Job(_) => None,
                    TargetId::Cluster(id) => {
                        let without_missing = context.request.without_missing;
                        Some(ClusterOrder { id, jobs: &jobs, former: &former, addresses: &addresses, without_missing })
                    }
                },
                policy,
                ask: &ask,
                before_code: &|| {
                    context.note(AuditStep::HandOverBegun, digest)?;
                    begun.set(Some(OffsetDateTime::now_utc()));
                    Ok(())
                },
                // Before it happens: an exposure is on record whatever becomes of the run.
                on_argv: &|| context.note(AuditStep::HandedOverOnCommandLine, digest),
                exposure: exposure.clone(),
                patience,
                waits_for_services,
                keep_log: &|log| context.keep_client_log(log),
            },
        );
        // A device may have been waited for until then.
        hand_over.at = begun.get().unwrap_or(hand_over.at);
        match opened {
            Ok(session) => {
                hand_over.method = session.method();
                if is_cluster {
                    hand_over.endpoint = session.endpoint().clone();
                    hand_over.nodes = cluster::remember(&mut record.clone(), &session.nodes(), &session.looked_for());
                }
                let answered = if is_cluster { hand_over.nodes.clone() } else { vec![endpoint.clone()] };
                context.name_session(answered, &hand_over, Some(hand_over.method));
                Ok(OpenSession { session, context, record, hand_over, pair, keychain, exposure })
            }
            Err(error) => {
                if begun.get().is_some() {
                    context.note_failure(AuditStep::HandOverFailed, digest);
                }
                note_failed(&context, &record, hand_over, &exposure, &error);
                Err(error)
            }
        }
    }
}

impl OpenSession<'_> {
    /// Has the device open. See [`Session::unlock`].
    ///
    /// # Errors
    /// As there; what is left of the session goes with the next drop.
    pub(super) fn unlock(&mut self) -> Result<()> {
        let Self { session, context, record, hand_over, pair, exposure, .. } = self;
        session.unlock(&|log| context.keep_client_log(log)).inspect_err(|error| {
            context.note_failure(AuditStep::HandOverFailed, &pair.manifest_sha256);
            note_failed(context, record, hand_over.clone(), exposure, error);
        })
    }

    /// Ends the client and removes the home of a session that did what it was for, other than to unlock the device.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(crate) fn close(self) -> Result<()> {
        self.end().map(drop)
    }
}

impl<'a> OpenSession<'a> {
    /// The same, for what goes on with the job after the session. The job stays locked.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(super) fn end(self) -> Result<(RunContext<'a>, Record, PairRecord)> {
        let Self { session, context, record, pair, .. } = self;
        session.close()?;
        context.note(AuditStep::HandedOver, &pair.manifest_sha256)?;
        Ok((context, record, pair))
    }
}

fn note_failed(
    context: &RunContext<'_>,
    record: &Record,
    hand_over: HandOverRecord,
    exposure: &ArgvExposure,
    error: &Error,
) {
    if matches!(error, Error::ClientUnusable { .. } | Error::ClientHung { .. } | Error::HandOverRefused { .. }) {
        context.forget_known_client(&hand_over.client_sha256);
    }
    context.record_exposure(record, HandOverRecord { method: HandOverMethod::Argv, ..hand_over }, exposure);
}
