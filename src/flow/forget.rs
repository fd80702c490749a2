//! What is stored of a job, removed: the code first, then the manifest and the record.

use std::path::PathBuf;

use super::forget_choice::Agreed;
use super::setup_profile::{RemovedProfiles, remove_profiles, warn_of_edits, written_profiles};
use crate::device::OwnProfiles;
use crate::error::{Error, Result};
use crate::keychain::Keychain;
use crate::model::{AccessKeyId, KeychainKind, Record, TargetId};
use crate::report::{Event, Notify, Reporter};
use crate::safety::quote::removal_of;
use crate::settings::{Settings, setting};
use crate::store::{Audit, AuditStep, JobFolder, StateFolder};

/// What was removed of one job.
#[derive(Debug)]
pub(crate) struct RemovedJob {
    /// The keychains that the code was removed from, as a person calls them.
    pub code_removed_from: Vec<String>,
    /// Whether the manifest and the record were.
    pub files_removed: bool,
    /// What became of the code, as the end of "the unlock code was", and of the files.
    pub code: String,
    pub files: &'static str,
    /// The profiles for the device that were taken out of other programs' files.
    pub profiles: RemovedProfiles,
    /// The keychains that were not searched, since another was named, and in which the record says a code is.
    pub stays_in: Vec<KeychainKind>,
    /// Where a half of the pair still is that is not ours to remove, with the command that does.
    pub copies_elsewhere: Vec<String>,
}

impl RemovedJob {
    /// That not all of it was removed, if a code stays.
    pub(crate) fn error_beside_it(&self, job: &TargetId) -> Option<Error> {
        let kinds: Vec<String> = self.stays_in.iter().map(|kind| format!("“{kind}”")).collect();
        (!kinds.is_empty()).then(|| Error::CodeStays { job: job.to_string(), keychains: kinds.join(" and ") })
    }
}

/// Removes what is stored of a job, as far as that was agreed to. `None` if nothing was, and no keychain was searched. Where a code
/// stays in a keychain that was not searched, [`RemovedJob::stays_in`] says so.
///
/// # Errors
/// [`Error::Cancelled`] if it is not what was agreed to any more; [`Error::NotKept`]; [`Error::KeychainElsewhere`]; those of the keychain, after which the files are still there.
pub(crate) fn forget_job(
    job: &TargetId,
    state: &StateFolder,
    agreed: &Agreed,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<Option<RemovedJob>> {
    remove_job((job, agreed), state, settings, reporter, AuditStep::Forgotten)
}

/// The same for what the setting `keep` no longer keeps, and no more than that: code and manifest, from the keychains that the
/// record names, whichever this run was told to use. The device's secret keys and the profiles stay, and the record that notes
/// them, by which [`forget_job`] finds them.
///
/// # Errors
/// As there.
pub(super) fn remove_by_policy(
    job: &TargetId,
    state: &StateFolder,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<Option<RemovedJob>> {
    remove_job((job, &Agreed::UNASKED), state, settings, reporter, AuditStep::RemovedByPolicy)
}

fn remove_job(
    (job, agreed): (&TargetId, &Agreed),
    state: &StateFolder,
    settings: &Settings,
    reporter: &Reporter,
    step: AuditStep,
) -> Result<Option<RemovedJob>> {
    let audit = Audit::of(state, settings.audit_copy);
    audit.check()?;
    let folder = state.job(job)?;
    folder.check_all_is_ours()?;
    let mut code_is_gone = false;
    let removed = remove_from((&folder, agreed), state, settings, reporter, (&audit, step), &mut code_is_gone);
    if removed.is_err() && code_is_gone {
        // The code is gone, whatever the rest came to. What failed is the one to tell of, and a log that can't be written now fails
        // the next command.
        let _ = audit.note(&folder, step, None);
    }
    removed
}

/// Sets `code_is_gone` as soon as it is so of one keychain.
fn remove_from(
    (folder, agreed): (&JobFolder, &Agreed),
    state: &StateFolder,
    settings: &Settings,
    reporter: &Reporter,
    (audit, step): (&Audit, AuditStep),
    code_is_gone: &mut bool,
) -> Result<Option<RemovedJob>> {
    let job = folder.job();
    agreed.check(job, folder.record().ok().flatten().as_ref())?;
    let kept_in = keychains_of(folder, settings, reporter)?;
    let is_policy = matches!(step, AuditStep::RemovedByPolicy);
    let look_in = match is_policy {
        true if !kept_in.is_empty() => kept_in.clone(),
        _ => places_to_look_in(&kept_in, folder.path().exists(), settings),
    };
    // The code first: should the keychain fail, the record still says where the code is.
    let (mut removed_from, mut removed_in_words, mut was_there) = (Vec::new(), Vec::new(), false);
    let (mut not_in, mut in_clear) = (Vec::new(), Vec::new());
    let own = OwnProfiles::of_this_user();
    let manifest_copies = copies_of_manifest(folder, &own);
    for kind in &look_in {
        let keychain = Keychain::open(settings.keychain_to_read(*kind), reporter.shared())
            .map_err(|error| with_what_remains(error, folder))?;
        // The last moment at which the code can be compared with anything.
        in_clear.extend(codes_in_clear(&keychain, job, &own, reporter));
        // Listed before anything is gone: what fails by then has changed nothing.
        let keys = if is_policy { Vec::new() } else { secret_keys_in(&keychain, folder, reporter) };
        let mut forgotten = keychain.forget(job)?;
        *code_is_gone |= forgotten.removed > 0;
        forgotten = forgotten.and(keychain.forget_secret_keys(job, &keys)?);
        let was_here = forgotten.removed > 0 || !forgotten.warnings.is_empty();
        if !was_here && (kept_in.contains(kind) || !folder.path().exists()) && !forgotten.elsewhere.is_empty() {
            // What is kept on disk, if anything is, is the only note of the code.
            return Err(Error::KeychainElsewhere {
                job: job.to_string(),
                which: keychain.name().to_owned(),
                places: forgotten.elsewhere.join(" and "),
            });
        }
        was_there |= was_here;
        if !was_here {
            not_in.push(keychain.name().to_owned());
        }
        for place in forgotten.elsewhere {
            reporter.notify(Event::Warning(format!(
                "{place} also contains an item for {job}, which was not removed. Remove it in the keychain's own app."
            )));
        }
        if forgotten.removed > 0 {
            removed_from.push(keychain.name().to_owned());
            removed_in_words.push(match forgotten.removed {
                1 => keychain.name().to_owned(),
                count => format!("{} ({count} items)", keychain.name()),
            });
        }
        for warning in forgotten.warnings {
            reporter.notify(Event::Warning(warning));
        }
    }
    // A keychain that was named and is not the pair's: the pair that is kept stays whole.
    let stays_in: Vec<KeychainKind> = kept_in.into_iter().filter(|kind| !look_in.contains(kind)).collect();
    let keeps_elsewhere = !stays_in.is_empty();
    let record = folder.record().ok().flatten();
    let mut profiles = RemovedProfiles::default();
    if !keeps_elsewhere && !is_policy {
        warn_of_edits(&written_profiles(job, None, record.as_ref()), job, reporter);
        profiles = remove_profiles(job, None, record.as_ref(), state)?;
    }
    let still_notes =
        record.filter(|record| is_policy && (!record.access_keys.is_empty() || !record.profiles.is_empty()));
    let files_removed = match &still_notes {
        Some(record) => folder.remove_pair(record).map(|()| true)?,
        None => !keeps_elsewhere && folder.remove()?,
    };
    let is_something_removed = was_there || files_removed || !profiles.is_empty();
    if is_something_removed {
        audit.note(folder, step, None)?;
    } else if look_in.is_empty() {
        return Ok(None);
    } else if !keeps_elsewhere {
        return Err(Error::NotKept { job: job.to_string() });
    }
    let code = match (removed_in_words.is_empty(), was_there) {
        (false, _) => format!("removed from {}", removed_in_words.join(" and ")),
        (true, true) => "overwritten".to_owned(),
        (true, false) if not_in.is_empty() => "was in no keychain".to_owned(),
        (true, false) => format!("was not found in {}", not_in.join(" and ")),
    };
    let files = match (files_removed, keeps_elsewhere) {
        (true, _) if still_notes.is_some() => {
            "removed, but not the record: it notes access keys or profiles of the device, which stay until forget removes them"
        }
        (true, _) => "removed",
        (false, true) => "kept, with the code in the other keychain",
        (false, false) => "none were here",
    };
    in_clear.extend(manifest_copies);
    in_clear.append(&mut profiles.left);
    Ok(Some(RemovedJob {
        code_removed_from: removed_from,
        files_removed,
        code,
        files,
        profiles,
        stays_in,
        copies_elsewhere: in_clear,
    }))
}

/// The jobs of which something is in the keychain that was chosen, sorted; with none, which is not searched, none.
///
/// # Errors
/// Those of the keychain.
pub(crate) fn jobs_in_keychain(settings: &Settings, reporter: &Reporter) -> Result<Vec<TargetId>> {
    if settings.keychain == KeychainKind::None {
        return Ok(Vec::new());
    }
    Keychain::open(settings.keychain_to_read(settings.keychain), reporter.shared())?.jobs()
}

/// Nothing is removed while the code can't be: what is kept on disk is the only note of it.
fn with_what_remains(error: Error, folder: &JobFolder) -> Error {
    match error {
        Error::KernelKeyringClosed { why, hint, .. } => {
            let files = match folder.record() {
                Ok(None) => String::new(),
                _ => format!(" The manifest and the record are still in {}.", folder.path().display()),
            };
            let job = folder.job();
            Error::KernelKeyringClosed {
                why,
                remains: format!(
                    " Nothing was removed.{files} If a code of {job} was stored in the kernel, it may still be there, until the next reboot at the latest."
                ),
                hint,
            }
        }
        error => error,
    }
}

/// Where else the code stands in clear, each as a warning with the command. The keychain, which may ask for each access, is
/// asked only if there is a file to compare with.
fn codes_in_clear(keychain: &Keychain, job: &TargetId, own: &OwnProfiles, reporter: &Reporter) -> Vec<String> {
    if !own.are_there() {
        return Vec::new();
    }
    match keychain.recall(job) {
        Ok(items) => {
            let found = items.iter().flat_map(|item| own.with_code(&item.code));
            found.map(|found| found.warning(job)).collect()
        }
        Err(error) => {
            reporter.notify(Event::Warning(format!(
                "Whether the client's own settings contain the code unencrypted could not be checked: {error}"
            )));
            Vec::new()
        }
    }
}

/// The copies of the manifest that OpsHub made.
fn copies_of_manifest(folder: &JobFolder, own: &OwnProfiles) -> Vec<String> {
    let pair = folder.record().ok().flatten().and_then(|record| record.pair);
    let copies = pair.map(|pair| own.copies_of(&pair.manifest_sha256, pair.manifest_bytes)).unwrap_or_default();
    let warning = |copy: PathBuf| {
        let copy = copy.display().to_string();
        format!(
            "{copy} is a copy of the manifest of {}, which was not removed. Remove it with: {}",
            folder.job(),
            removal_of(&copy)
        )
    };
    copies.into_iter().map(warning).collect()
}

/// The keychain that was named on the command line, else those that the record names. A lock, a settings file or a variable is no
/// choice for this: it says where codes are kept from now on, and one that got elsewhere before has to go all the more.
fn places_to_look_in(kept_in: &[KeychainKind], has_files: bool, settings: &Settings) -> Vec<KeychainKind> {
    let own = own_keychain(settings);
    match kept_in {
        // Files without a record that names a keychain: they are the only note of a code, so they don't go before it was searched.
        [] if has_files && settings.keychain == KeychainKind::None => vec![own],
        // Named for what is kept from now on; nothing is removed from a keychain of which the record knows nothing.
        named if settings.keychain == KeychainKind::None && !settings.is_locked(&setting::keychain) => named.to_vec(),
        _ if settings.keychain_was_typed() => vec![own],
        [] => vec![own],
        named => named.to_vec(),
    }
}

/// The keychains that the record names, for the pair and for an unfinished change.
fn keychains_of(folder: &JobFolder, settings: &Settings, reporter: &Reporter) -> Result<Vec<KeychainKind>> {
    let record = match folder.record() {
        Err(error @ Error::RecordUnreadable { .. }) => {
            reporter.notify(Event::Warning(format!(
                "{error} The code is looked for in the keychain “{}” only. Name another with --keychain.",
                own_keychain(settings)
            )));
            None
        }
        result => result?,
    };
    let Some(Record { pair, incoming, access_keys, earlier_keychains, .. }) = record else { return Ok(Vec::new()) };
    let pairs = [pair, incoming].into_iter().flatten().map(|pair| pair.keychain);
    let mut kinds: Vec<KeychainKind> =
        pairs.chain(access_keys.into_iter().map(|keys| keys.keychain)).chain(earlier_keychains).collect();
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

/// The device's access keys of which a secret may be in the keychain: those that it lists and those of the record, either of which
/// may know of one that the other does not.
fn secret_keys_in(keychain: &Keychain, folder: &JobFolder, reporter: &Reporter) -> Vec<AccessKeyId> {
    let record = folder.record().ok().flatten();
    let lists = record.map(|record| record.access_keys).unwrap_or_default();
    let mut keys: Vec<AccessKeyId> = lists.into_iter().flat_map(|keys| keys.ids).collect();
    match keychain.listed_secret_keys(folder.job()) {
        Ok(listed) => keys.extend(listed),
        Err(error) => reporter.notify(Event::Warning(format!(
            "Whether more secret keys of the device are stored than the record names could not be checked: {error}"
        ))),
    }
    keys
}

/// The keychain to look in where nothing says in which one a code is.
fn own_keychain(settings: &Settings) -> KeychainKind {
    match settings.keychain {
        KeychainKind::None => KeychainKind::System,
        kind => kind,
    }
}
