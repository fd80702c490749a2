//! Which of the stored jobs `forget --returned` and `forget --expired` remove, and the one question before anything goes.

use time::OffsetDateTime;

use crate::cloud::Cloud;
use crate::error::{Error, Result};
use crate::model::{ManifestDigest, Readiness, Record, TargetId, estimated_expiry};
use crate::report::{Ask, Reporter, utc_in_words};
use crate::settings::Settings;

/// Asks once whether `what` is to be removed, of which `rows` say more. Every form of `forget` asks so, unless `--yes` was given;
/// where nobody can be asked, which is `None` as well, the command itself is the answer, as it is in a script.
///
/// `pairs` looks at what is stored. A question may stand for an hour, and what another run fetched meanwhile was not agreed to.
///
/// # Errors
/// [`Error::Cancelled`] if it is not to be; those of `pairs`.
pub(crate) fn confirm_removal(
    ask: Option<&dyn Ask>,
    rows: &[String],
    what: &str,
    pairs: impl Fn() -> Result<Vec<(TargetId, Option<ManifestDigest>)>>,
) -> Result<()> {
    let Some(ask) = ask else { return Ok(()) };
    let rows: String = rows.iter().map(|row| format!("  {row}\n")).collect();
    let shown = pairs()?;
    if !ask.ask(&format!("{rows}Remove {what} from this machine?")) {
        return Err(Error::Cancelled {
            why: "The answer was not “yes”.".to_owned(),
            hint: "To remove it, repeat the command and type the whole word yes, or add --yes.".to_owned(),
        });
    }
    if pairs()? != shown {
        return Err(Error::Cancelled {
            why: "What is stored has changed since you were asked.".to_owned(),
            hint: "To be asked about what is stored now, repeat the same command.".to_owned(),
        });
    }
    Ok(())
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
        record
            .access_keys
            .as_ref()
            .and_then(|keys| counted(keys.ids.len(), "access key of the device", "access keys of the device")),
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

    /// By the estimate, from what the records say. A job whose creation is not recorded stays.
    pub(crate) fn expired(stored: Vec<(TargetId, Option<Record>)>, now: OffsetDateTime) -> Self {
        let mut choice = Self::default();
        for (job, record) in stored {
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
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Says(bool);

    impl Ask for Says {
        fn ask(&self, _: &str) -> bool {
            self.0
        }
    }

    #[test]
    fn what_was_fetched_while_the_question_stood_was_not_agreed_to() {
        let Ok(job) = "JID00000000-0000-4000-8000-000000000001".parse::<TargetId>() else { panic!("it is one") };
        let looks = Cell::new(0_u8);
        let answered = |ask: Option<&dyn Ask>, changes: bool| {
            let pairs = || {
                looks.set(looks.get() + 1);
                let digest = [if changes { looks.get() } else { 0 }; 32];
                Ok(vec![(job.clone(), ManifestDigest::of(&digest[..]).ok())])
            };
            confirm_removal(ask, &[], "it", pairs).map_err(|error| error.to_string())
        };
        assert_eq!(answered(Some(&Says(true)), false), Ok(()));
        let changed = "What is stored has changed since you were asked. Nothing was done.";
        assert_eq!(answered(Some(&Says(true)), true), Err(changed.to_owned()));
        assert_eq!(answered(Some(&Says(false)), false), Err("The answer was not “yes”. Nothing was done.".to_owned()));
        assert_eq!(answered(None, true), Ok(()), "where nobody is asked the command is the answer");
    }
}
