//! Both halves into their places: the code into the keychain, the manifest under its name, the record before and after.

use time::OffsetDateTime;

use super::cluster;
use super::keep::keep_said_for_pair;
use super::onboard::Checked;
use crate::cloud::ClusterJobs;
use crate::error::{Error, Result};
use crate::model::{JobFacts, JobSummary, KeychainKind, PairRecord, Record, UnlockCode};
use crate::report::{Event, Notify, Step};
use crate::store::{AuditStep, Manifest};

impl Checked<'_> {
    /// Puts both halves in their places, with a record that knows at each moment where they are. Killed anywhere in here, the next
    /// run finishes or undoes it.
    ///
    /// # Errors
    /// Those of the keychain and the disk.
    pub(super) fn store(
        &self,
        facts: &JobFacts,
        nodes: &ClusterJobs,
        code: &UnlockCode,
        manifest: &Manifest,
    ) -> Result<(Record, PairRecord)> {
        let checked = self;
        let folder = &checked.context.folder;
        // A record that can't be read is of no use to anyone any more; a newer one is.
        let old = match folder.record() {
            Err(Error::RecordUnreadable { .. }) => None,
            result => result?,
        };
        let mut pair = PairRecord {
            fetched_at: OffsetDateTime::now_utc(),
            keychain: checked.keychain.kind(),
            manifest_sha256: manifest.digest,
            manifest_bytes: manifest.bytes,
            tag: None,
            audit_head: None,
            // Said of the pair before, it counts for the one that takes its place.
            keep: keep_said_for_pair(checked.context.settings).or_else(|| old.as_ref()?.pair.as_ref()?.keep),
        };
        let replaced = old.as_ref().and_then(|record| Some(record.pair.as_ref()?.manifest_sha256));
        let earlier = old.as_ref().and_then(|record| Some(record.pair.as_ref()?.keychain));
        let mut record = old.unwrap_or_else(|| Record::new(folder.job().clone()));
        record.summary = JobSummary::from(facts);
        cluster::set_nodes(&mut record, nodes);
        record.incoming = Some(pair.clone());
        folder.write_record(&record).inspect_err(|_| {
            // Nothing has been changed yet. What could not be kept is not left lying on a disk that may be full.
            let _ = folder.discard_incoming();
        })?;

        let reporter = &checked.context.reporter;
        if checked.keychain.kind() != KeychainKind::None {
            reporter.begin(Step::Code);
        }
        checked.keychain.keep(folder.job(), code, &pair.manifest_sha256, replaced)?;
        folder.promote_incoming()?;
        record.incoming = None;
        record.set_pair(pair.clone());
        let step = match pair.keychain {
            KeychainKind::None => AuditStep::Fetched,
            _ => AuditStep::Kept,
        };
        checked.context.note_and_record(step, &manifest.digest, |head| {
            pair.audit_head = head;
            folder.write_record(&Record { pair: Some(pair.clone()), ..record.clone() })
        })?;
        record.pair = Some(pair.clone());
        if checked.keychain.kind() != KeychainKind::None {
            reporter.step(Step::Code, &format!("in {}, read back and compared", checked.keychain.name()));
        }
        reporter
            .step(Step::Manifest, &format!("{} bytes, SHA-256 {}…", pair.manifest_bytes, pair.manifest_sha256.short()));
        // Not before: until here it was the last copy.
        if let Some(other) =
            earlier.filter(|other| *other != pair.keychain && checked.keychain.kind() != KeychainKind::None)
        {
            reporter.notify(Event::Warning(format!(
                "The earlier code is no longer needed. Remove it with: snow-onboard forget {} --keychain {other}",
                folder.job()
            )));
        }
        Ok((record, pair))
    }
}
