//! The setting `keep`: how long code and manifest stay on this machine. What it no longer keeps goes as `forget` removes it, and
//! never without a word.

use time::{Duration, OffsetDateTime};

use super::forget::remove_by_policy;
use crate::error::{Error, Result};
use crate::model::{Keep, KeychainKind, PairRecord, Record, TargetId, estimated_expiry};
use crate::report::{Event, Notify, Reporter, age_in_words, utc_in_words};
use crate::settings::{Settings, setting};
use crate::store::{JobFolder, StateFolder};

/// So long before the estimated end of a pair's use it is told.
const NOTICE: Duration = Duration::days(30);

/// What a command is about, for the setting `keep`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About<'a> {
    /// No job in particular.
    All,
    /// This job, whose device it does not open.
    Job(&'a TargetId),
    /// This job, whose pair it fetches.
    Fetches(&'a TargetId),
    /// This job, whose pair it needs in a moment; and it may be about others as well, which need theirs.
    Opens(&'a TargetId),
}

impl About<'_> {
    fn is(self, job: &TargetId) -> bool {
        matches!(self, Self::Job(about) | Self::Fetches(about) | Self::Opens(about) if about == job)
    }

    fn opens(self) -> bool {
        matches!(self, Self::Fetches(_) | Self::Opens(_))
    }
}

/// Removes the pairs that `keep` no longer keeps: what was said for a pair when it was fetched or last used, else what a settings
/// file or a lock says; what a flag or a variable says of one command concerns only the job that the command names. A run that
/// opens a device says what `keep` will do with that pair, and does not remove it beforehand: without it AWS would be needed. What
/// can't be removed is named, and tried again by the next command.
pub(crate) fn apply_keep(state: &StateFolder, settings: &Settings, about: About<'_>, reporter: &Reporter) {
    let now = OffsetDateTime::now_utc();
    let stored = match about {
        // Its device is to be opened, or it is asked for by every AWS command: the others' records are not read for that.
        About::Opens(job) | About::Job(job) => {
            vec![(job.clone(), StateFolder::record_below(state.path(), job).ok().flatten())]
        }
        // A folder that can't be listed is told by whatever needs it.
        About::All | About::Fetches(_) => state.kept().unwrap_or_default(),
    };
    for (job, record) in stored {
        let Some(record) = record else { continue };
        let of_job = reporter.for_job(&job);
        let (keep, is_of_pair) = keep_of(&record, settings);
        // With `unlock --all` and a plan the next job's device is to be opened in a moment.
        let counts = is_of_pair && !matches!(about, About::Opens(_));
        match reason_to_remove(&record, keep, about.opens(), now) {
            Some(reason) if about.opens() && about.is(&job) => of_job.notify(Event::Warning(format!(
                "{reason}. This run may need the code and manifest of {job}, so they are not removed now. The next command \
                 that does not open a device removes them."
            ))),
            Some(reason) if counts || about.is(&job) => _ = remove(&job, &reason, state, settings, (&of_job, Event::Warning)),
            None if matches!(about, About::All) || about.is(&job) => warn_of_expiry(&job, &record, now, &of_job),
            _ => {}
        }
    }
}

/// Says before a device is opened what `keep` will do then.
pub(super) fn warn_until_unlocked(settings: &Settings, reporter: &Reporter) {
    warn_of_removal(settings, "Once the device is", "", reporter);
}

/// The same, once for all of several devices.
pub(crate) fn warn_all_until_unlocked(settings: &Settings, reporter: &Reporter) {
    let again = " The same command again fetches them anew, also those of devices that are open by then.";
    warn_of_removal(settings, "Once a device is", again, reporter);
}

fn warn_of_removal(settings: &Settings, once: &str, again: &str, reporter: &Reporter) {
    if settings.keep == Keep::UntilUnlocked && settings.keychain != KeychainKind::None {
        reporter.notify(Event::Warning(format!(
            "The setting keep is {}. {once} unlocked, its code and manifest are removed from this machine. After a power cut AWS is \
             needed to unlock it again.{again}",
            Keep::UntilUnlocked
        )));
    }
}

/// How long a record's pair is kept, and whether that was said for it, or for all pairs: not for one command about another job. A
/// lock goes before what was said for the pair.
pub(crate) fn keep_of(record: &Record, settings: &Settings) -> (Keep, bool) {
    match record.pair.as_ref().and_then(|pair| pair.keep) {
        Some(keep) if !settings.is_locked(&setting::keep) => (keep, true),
        _ => (settings.keep, is_for_all_jobs(settings)),
    }
}

/// What this command's flag or variable says of the pair that it fetches or uses.
pub(super) fn keep_said_for_pair(settings: &Settings) -> Option<Keep> {
    (!is_for_all_jobs(settings)).then_some(settings.keep)
}

/// Puts down what this command says of a pair that is kept already.
///
/// # Errors
/// Those of the disk.
pub(super) fn note_keep(
    record: &mut Record,
    pair: &mut PairRecord,
    settings: &Settings,
    folder: &JobFolder,
) -> Result<()> {
    match keep_said_for_pair(settings) {
        Some(keep) if pair.keep != Some(keep) => {
            pair.keep = Some(keep);
            record.pair = Some(pair.clone());
            folder.write_record(record)
        }
        _ => Ok(()),
    }
}

/// Whether what `keep` is was said for all jobs: by a settings file or a lock, not for one command.
fn is_for_all_jobs(settings: &Settings) -> bool {
    settings.is_locked(&setting::keep) || settings.said().all(|(said, _)| said.key != setting::keep.key)
}

/// Whether what this record is of is no longer kept.
pub(super) fn is_over(record: &Record, settings: &Settings) -> bool {
    reason_to_remove(record, keep_of(record, settings).0, false, OffsetDateTime::now_utc()).is_some()
}

/// Why the pair is not kept any longer, as the beginning of a sentence.
fn reason_to_remove(record: &Record, keep: Keep, opens_devices: bool, now: OffsetDateTime) -> Option<String> {
    let pair = record.pair.as_ref()?;
    if now < pair.fetched_at {
        // The clock was wrong then or is wrong now; what it says of an age is no reason to remove the last copy.
        return None;
    }
    let unlocked = record.hand_overs.iter().filter_map(|hand_over| hand_over.unlocked_at).max();
    match keep {
        Keep::Days(_) if keep.is_over(pair.fetched_at, now) => {
            Some(format!("The setting keep is {keep}, and they were fetched {}", age_in_words(now - pair.fetched_at)))
        }
        Keep::UntilUnlocked if !opens_devices && unlocked.is_some_and(|at| at > pair.fetched_at) => Some(format!(
            "The setting keep is {keep}, and the device was unlocked. After a power cut AWS is needed to unlock it again"
        )),
        _ => None,
    }
}

/// Whether it was removed, which is `told` as what it is to whoever reads it.
pub(super) fn remove(
    job: &TargetId,
    reason: &str,
    state: &StateFolder,
    settings: &Settings,
    (reporter, told): (&Reporter, fn(String) -> Event),
) -> bool {
    match remove_by_policy(job, state, settings, reporter) {
        Ok(Some(removed)) => {
            reporter.notify(told(format!(
                "{reason}. The code and manifest of {job} were removed: the code was {}; the files were {}.",
                removed.code, removed.files
            )));
            removed.copies_elsewhere.into_iter().for_each(|warning| reporter.notify(Event::Warning(warning)));
            true
        }
        // A run is at work with them; the next command looks again.
        Err(Error::Busy { .. }) => {
            tracing::debug!(%job, "not removed: another run is at work on it");
            false
        }
        Ok(None) | Err(Error::NotKept { .. }) => false,
        Err(error) => {
            reporter.notify(Event::Warning(format!(
                "{reason}. The code and manifest of {job} could not be removed: {error} The next command tries again."
            )));
            false
        }
    }
}

fn warn_of_expiry(job: &TargetId, record: &Record, now: OffsetDateTime, reporter: &Reporter) {
    let expiry = record.pair.as_ref().and(record.summary.created).and_then(estimated_expiry);
    if let Some(expiry) = expiry.filter(|expiry| *expiry - now < NOTICE) {
        reporter.notify(Event::Warning(format!(
            "AWS releases code and manifest of {job} until {}: 360 days after the job was created. By an estimate the stored ones \
             are of no more use from then on.",
            utc_in_words(expiry)
        )));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn record(fetched_at: &str, unlocked_at: Option<&str>) -> Record {
        let unlocked_at = unlocked_at.map(|at| format!(",\"unlocked_at\":\"{at}\"")).unwrap_or_default();
        let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        serde_json::from_str(&format!(
            "{{\"version\":3,\"job\":\"JID123e4567-e89b-12d3-a456-426655440000\",\"summary\":{{\"state\":\"WithCustomer\"}},\
             \"pair\":{{\"fetched_at\":\"{fetched_at}\",\"keychain\":\"system\",\"manifest_sha256\":\"{digest}\",\"manifest_bytes\":1}},\
             \"hand_overs\":[{{\"at\":\"{fetched_at}\",\"endpoint\":\"192.0.2.10\",\"method\":\"profile\",\"client\":\"/c\",\
             \"client_version\":\"1\",\"client_sha256\":\"{digest}\"{unlocked_at}}}]}}"
        ))
        .unwrap()
    }

    #[test]
    fn a_pair_goes_when_the_policy_says_so_and_never_by_the_estimate() {
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let (old, new) = ("2024-01-01T00:00:00Z", "2026-09-01T00:00:00Z");
        let goes =
            |record: &Record, keep: &str, opens| reason_to_remove(record, keep.parse().unwrap(), opens, now).is_some();
        let unlocked = record(old, Some(new));
        for opens in [true, false] {
            assert!(!goes(&unlocked, "until-forgotten", opens), "however old it is");
            assert!(goes(&unlocked, "days:30", opens));
            assert!(!goes(&record(new, None), "days:30", opens));
            assert!(!goes(&record(old, None), "until-unlocked", opens));
        }
        assert!(goes(&unlocked, "until-unlocked", false));
        assert!(!goes(&unlocked, "until-unlocked", true), "a run that opens devices may need it");
        assert!(!goes(&record(new, Some(old)), "until-unlocked", false), "fetched anew since");
        assert!(!goes(&Record { pair: None, ..unlocked }, "days:1", false));
        let later = record("2027-01-01T00:00:00Z", Some("2027-01-02T00:00:00Z"));
        assert!(!goes(&later, "days:1", false) && !goes(&later, "until-unlocked", false), "the clock is wrong");
    }

    #[test]
    fn what_is_said_for_one_command_is_not_for_all_jobs() {
        use crate::model::Origin;
        use crate::settings::{Flags, Given, ProcessEnvironment};
        let mut flags = Flags::new();
        assert!(is_for_all_jobs(&Settings::resolve(&flags, &ProcessEnvironment::default()).unwrap()));
        flags.insert(Given::read(&setting::keep, "days:1".to_owned(), Origin::Flag("--keep".to_owned())));
        assert!(!is_for_all_jobs(&Settings::resolve(&flags, &ProcessEnvironment::default()).unwrap()));
    }
}
