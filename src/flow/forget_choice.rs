//! Which of the stored jobs `forget --returned` and `forget --expired` remove, and the one question before anything goes.

use std::path::Path;

use time::OffsetDateTime;

use crate::cloud::Cloud;
use crate::error::{Error, Result};
use crate::model::{ManifestDigest, Readiness, Record, TargetId, estimated_expiry};
use crate::report::{Ask, Reporter, utc_in_words};
use crate::settings::Settings;
use crate::store::StateFolder;

/// What was stored when somebody agreed to its removal; where nobody was asked, the command itself was the answer.
pub(crate) struct Agreed(Option<Vec<(TargetId, Option<ManifestDigest>)>>);

impl Agreed {
    /// To whatever is stored.
    pub(crate) const UNASKED: Self = Self(None);

    /// Refuses where what is stored of a job is another pair than the one that was there: a question may stand for an hour, and what
    /// another run fetched meanwhile was not agreed to. To be asked with the job locked, so that nothing comes after it.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(super) fn check(&self, job: &TargetId, record: Option<&Record>) -> Result<()> {
        let Some(shown) = &self.0 else { return Ok(()) };
        let before = shown.iter().find(|(shown, _)| shown == job).and_then(|(_, digest)| *digest);
        if before == digest_of(record) {
            return Ok(());
        }
        Err(Error::Cancelled {
            why: format!("What is stored of {job} has changed since you were asked."),
            hint: "To be asked about what is stored now, repeat the same command.".to_owned(),
        })
    }
}

/// By which a pair is told from the one before it.
fn digest_of(record: Option<&Record>) -> Option<ManifestDigest> {
    record?.pair.as_ref().map(|pair| pair.manifest_sha256)
}

/// Asks once whether `what` is to be removed, of which `rows` say more. Every form of `forget` asks so, unless `--yes` was given;
/// where nobody can be asked, which is `None` as well, the command itself is the answer, as it is in a script.
///
/// # Errors
/// [`Error::Cancelled`] if it is not to be; those of the state folder.
pub(crate) fn confirm_removal(ask: Option<&dyn Ask>, rows: &[String], what: &str, state_dir: &Path) -> Result<Agreed> {
    let Some(ask) = ask else { return Ok(Agreed::UNASKED) };
    let rows: String = rows.iter().map(|row| format!("  {row}\n")).collect();
    let shown = StateFolder::kept_below(state_dir)?;
    let shown = shown.into_iter().map(|(job, record)| (job, digest_of(record.as_ref()))).collect();
    if ask.ask(&format!("{rows}Remove {what} from this machine?")) {
        return Ok(Agreed(Some(shown)));
    }
    Err(Error::Cancelled {
        why: "The answer was not “yes”.".to_owned(),
        hint: "To remove it, repeat the command and type the whole word yes, or add --yes.".to_owned(),
    })
}

/// What is stored of a job, as the record has it: what would be removed.
pub(crate) fn stored_in_words(record: Option<&Record>) -> String {
    let Some(record) = record else { return "no record here; the keychain is searched for a code".to_owned() };
    let counted = |count: usize, one: &str, more: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {more}")),
    };
    let parts = [
        record.pair.as_ref().map(|pair| format!("unlock code in {}, manifest", pair.keychain.in_words())),
        counted(
            record.access_keys.iter().map(|keys| keys.ids.len()).sum(),
            "access key of the device",
            "access keys of the device",
        ),
        counted(record.profiles.len(), "profile of setup-profile", "profiles of setup-profile"),
        Some("record".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A job, and why it goes or stays, as the end of a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChosenJob {
    pub job: TargetId,
    pub why: String,
}

/// The stored jobs, parted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ForgetChoice {
    /// Those to be removed.
    pub goes: Vec<ChosenJob>,
    /// Those that are left.
    pub stays: Vec<ChosenJob>,
}

impl ForgetChoice {
    /// By what AWS says of each: those whose device has left, or never came, go. One that AWS does not know stays: it may be
    /// another account's, or another region's.
    ///
    /// # Errors
    /// Those of credentials and network: then nothing is known of any.
    pub(crate) fn returned(stored: Vec<TargetId>, settings: &Settings, reporter: &Reporter) -> Result<Self> {
        let mut choice = Self::default();
        if stored.is_empty() {
            return Ok(choice);
        }
        let cloud = Cloud::open(&settings.cloud(), reporter.shared())?;
        for job in stored {
            const UNKNOWN: &str = "is not known to AWS with these credentials in this region";
            const NOT_SINGLE: &str = "is not a job of a single device";
            let of_device = match &job {
                TargetId::Job(of_device) => of_device,
                TargetId::Cluster(cluster) => {
                    let (part, why) = match cloud.cluster(cluster) {
                        Ok(nodes) => {
                            (&mut choice.stays, format!("has {} nodes here or on their way", nodes.jobs.len()))
                        }
                        Err(Error::JobTooLate { .. }) => (&mut choice.goes, "has no node here any more".to_owned()),
                        Err(Error::JobUnknown { .. }) => (&mut choice.stays, UNKNOWN.to_owned()),
                        Err(error) => return Err(error),
                    };
                    part.push(ChosenJob { job, why });
                    continue;
                }
            };
            match cloud.job(of_device) {
                Ok(facts) => {
                    let why = facts.state.in_words().to_owned();
                    let has_left = facts.state.readiness() == Readiness::TooLate;
                    let part = if has_left { &mut choice.goes } else { &mut choice.stays };
                    part.push(ChosenJob { job, why });
                }
                Err(error @ (Error::JobUnknown { .. } | Error::JobInCluster { .. } | Error::JobIsMain { .. })) => {
                    let why = match error {
                        Error::JobUnknown { .. } => UNKNOWN,
                        _ => NOT_SINGLE,
                    };
                    choice.stays.push(ChosenJob { job, why: why.to_owned() });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(choice)
    }

    /// By the estimate, from what the records say. A job whose creation is not recorded stays, and one whose record can't be used.
    pub(crate) fn expired(stored: Vec<(TargetId, Result<Option<Record>>)>, now: OffsetDateTime) -> Self {
        let mut choice = Self::default();
        for (job, record) in stored {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    choice
                        .stays
                        .push(ChosenJob { job, why: format!("has no time of creation that is known here. {error}") });
                    continue;
                }
            };
            let expiry = record.and_then(|record| record.summary.created).and_then(estimated_expiry);
            match expiry {
                Some(expiry) if expiry <= now => {
                    choice
                        .goes
                        .push(ChosenJob { job, why: format!("expired on {}, by an estimate", utc_in_words(expiry)) });
                }
                Some(expiry) => {
                    choice
                        .stays
                        .push(ChosenJob { job, why: format!("expires on {}, by an estimate", utc_in_words(expiry)) });
                }
                None => choice.stays.push(ChosenJob { job, why: "has no recorded time of creation".to_owned() }),
            }
        }
        choice
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::flow::forget_job;
    use crate::report::{Event, Observer};
    use crate::settings::{Flags, ProcessEnvironment};

    struct Says(bool);

    impl Ask for Says {
        fn ask(&self, _: &str) -> bool {
            self.0
        }
    }

    struct Deaf;

    impl Observer for Deaf {
        fn event(&self, _: Option<&TargetId>, _: &Event) {}
    }

    /// Of a pair whose manifest is `content`.
    fn record(job: &TargetId, content: &[u8]) -> Record {
        let mut record = Record::new(job.clone());
        let pair = serde_json::json!({
            "fetched_at": "2026-02-03T04:05:06Z",
            "keychain": "system",
            "manifest_sha256": ManifestDigest::of(content).unwrap(),
            "manifest_bytes": 4096,
        });
        record.pair = Some(serde_json::from_value(pair).unwrap());
        record
    }

    /// The question is over and the job is not locked yet: what is stored from now on shows only under the lock.
    #[test]
    fn what_was_fetched_after_the_answer_was_not_agreed_to_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::resolve(&Flags::new(), &ProcessEnvironment::default()).unwrap();
        let reporter = Reporter::new(std::sync::Arc::new(Deaf), None);
        let [job, later] = ["JID00000000-0000-4000-8000-000000000001", "JID00000000-0000-4000-8000-000000000002"]
            .map(|id| id.parse::<TargetId>().unwrap());
        let root = folder.path().join("state");
        let state = StateFolder::open(&root).unwrap();
        let store =
            |job: &TargetId, content: &[u8]| state.job(job).unwrap().write_record(&record(job, content)).unwrap();
        store(&job, b"before");
        let confirmed = |ask: Option<&dyn Ask>| confirm_removal(ask, &[], "it", &root);
        let agreed = confirmed(Some(&Says(true))).unwrap();
        let stored = |job: &TargetId| StateFolder::record_below(&root, job).unwrap();
        assert!(agreed.check(&job, stored(&job).as_ref()).is_ok());
        assert!(agreed.check(&later, None).is_ok());
        for of in [&job, &later] {
            store(of, b"after");
            let refused = forget_job(of, &state, &agreed, &settings, &reporter).unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!("What is stored of {of} has changed since you were asked. Nothing was done.")
            );
            assert!(stored(of).unwrap().pair.is_some());
            let unasked = confirmed(None).unwrap();
            assert!(unasked.check(of, stored(of).as_ref()).is_ok(), "where nobody is asked the command is the answer");
        }
        let refused = confirmed(Some(&Says(false))).err().unwrap();
        assert_eq!(refused.to_string(), "The answer was not “yes”. Nothing was done.");
    }
}
