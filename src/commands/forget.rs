//! `forget`: both halves and the record, gone; or a profile out of the client's own settings.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::Forget;
use crate::device::OwnProfiles;
use crate::error::{Error, Result};
use crate::flow::open_state_folder;
use crate::keychain::{Keychain, KeychainSettings};
use crate::model::{JobId, KeychainKind};
use crate::report::{Event, Notify, Reporter};
use crate::safety::sanitize::sanitize;
use crate::settings::{Settings, setting};
use crate::store::{Audit, AuditStep, JobFolder};
use crate::ui::Ui;

#[derive(Serialize)]
struct ForgetResult<'a> {
    code_removed_from: &'a [String],
    files_removed: bool,
}

pub(super) fn forget(args: &Forget, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<()> {
    let job = super::parse_job(&args.job)?;
    reporter.is_about(&job);
    if let Some(profile) = &args.client_profile {
        return remove_profile(profile, &job, settings, ui, reporter);
    }
    let state = open_state_folder(&settings.state_dir, reporter)?;
    let folder = state.job(&job)?;
    folder.check_all_is_ours()?;
    let kept_in = keychains_of(&folder, reporter)?;
    let look_in = places_to_look_in(&kept_in, settings);
    // The code first: should the keychain fail, the record still says where the code is.
    let (mut removed_from, mut removed_in_words, mut was_there) = (Vec::new(), Vec::new(), false);
    let (mut not_in, mut in_clear) = (Vec::new(), Vec::new());
    let own = OwnProfiles::of_this_user();
    let manifest_copies = copies_of_manifest(&folder, &own);
    for kind in &look_in {
        // Removing something from a keyring that keeps in clear is nothing to refuse.
        let settings = KeychainSettings { allow_plain: true, ..settings.keychain_settings(*kind) };
        let keychain =
            Keychain::open(settings, reporter.shared()).map_err(|error| with_what_remains(error, &folder))?;
        // The last moment at which the code can be compared with anything.
        in_clear.extend(codes_in_clear(&keychain, &job, &own, reporter));
        let forgotten = keychain.forget(&job)?;
        let was_here = forgotten.removed > 0 || !forgotten.warnings.is_empty();
        if !was_here && kept_in.contains(kind) && !forgotten.elsewhere.is_empty() {
            // What is kept on disk is the only note of the code.
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
    let keeps_elsewhere = kept_in.iter().any(|kind| !look_in.contains(kind));
    let files_removed = !keeps_elsewhere && folder.remove()?;
    if !was_there && !files_removed {
        if look_in.is_empty() {
            let text = format!(
                "No manifest and no record of {job} are on this machine. No keychain was searched, because keychain is none. \
                 To search the system's:\n  snow-onboard forget {job} --keychain system"
            );
            ui.result(Some(&job), &text, ForgetResult { code_removed_from: &[], files_removed });
            return Ok(());
        }
        return Err(Error::NotKept { job: job.to_string() });
    }
    Audit::of(&state).note(&job, AuditStep::Forgotten, None)?;
    let code = match (removed_in_words.is_empty(), was_there) {
        (false, _) => format!("removed from {}", removed_in_words.join(" and ")),
        (true, true) => "overwritten".to_owned(),
        (true, false) if not_in.is_empty() => "was in no keychain".to_owned(),
        (true, false) => format!("was not found in {}", not_in.join(" and ")),
    };
    let files = match (files_removed, keeps_elsewhere) {
        (true, _) => "removed",
        (false, true) => "kept, with the code in the other keychain",
        (false, false) => "none were here",
    };
    ui.result(
        Some(&job),
        &format!(
            "The stored data of {job} was removed.\n\n  Unlock code          {code}\n  Manifest and record  {files}"
        ),
        ForgetResult { code_removed_from: &removed_from, files_removed },
    );
    // After the result, which they qualify.
    for warning in in_clear.into_iter().chain(manifest_copies) {
        reporter.notify(Event::Warning(warning));
    }
    Ok(())
}

/// Nothing is removed while the code can't be: what is kept on disk is the only note of it.
fn with_what_remains(error: Error, folder: &JobFolder) -> Error {
    match error {
        Error::KernelKeyringClosed { why, .. } => {
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
            }
        }
        error => error,
    }
}

/// Where else the code stands in clear, each as a warning with the command. The keychain, which may ask for each access, is
/// asked only if there is a file to compare with.
fn codes_in_clear(keychain: &Keychain, job: &JobId, own: &OwnProfiles, reporter: &Reporter) -> Vec<String> {
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
    let remove = if cfg!(windows) { "del" } else { "rm" };
    let warning = |copy: PathBuf| {
        let copy = copy.display();
        format!(
            "{copy} is a copy of the manifest of {}, which was not removed. Remove it with: {remove} \"{copy}\"",
            folder.job()
        )
    };
    copies.into_iter().map(warning).collect()
}

#[derive(Serialize)]
struct ProfileRemovedResult<'a> {
    client_profile: &'a str,
    files: &'a [PathBuf],
}

/// Takes a profile out of the client's own settings, and leaves what is kept here alone.
fn remove_profile(profile: &str, job: &JobId, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<()> {
    let state = open_state_folder(&settings.state_dir, reporter)?;
    // One at a time, as far as it is ours to say.
    let _locked = state.job(job)?;
    let files = OwnProfiles::of_this_user().remove(profile, job)?;
    Audit::of(&state).note(job, AuditStep::ClientProfileRemoved, None)?;
    let places: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    ui.result(
        Some(job),
        &format!("The profile “{}” is no longer in {}.", sanitize(profile), places.join(" and ")),
        ProfileRemovedResult { client_profile: &sanitize(profile), files: &files },
    );
    Ok(())
}

/// The keychain that was chosen, else those that the record names. A lock is no choice for this: it says where codes may be
/// kept from now on, and one that got elsewhere before has to go all the more.
fn places_to_look_in(kept_in: &[KeychainKind], settings: &Settings) -> Vec<KeychainKind> {
    let own = match settings.keychain {
        // Locked, or it would have been refused.
        KeychainKind::None => KeychainKind::System,
        kind => kind,
    };
    match kept_in {
        // Named for what is kept from now on; nothing is removed from a keychain of which the record knows nothing.
        named if settings.keychain == KeychainKind::None && !settings.is_locked(&setting::keychain) => named.to_vec(),
        _ if settings.keychain_was_chosen() && !settings.is_locked(&setting::keychain) => vec![own],
        [] => vec![own],
        named => named.to_vec(),
    }
}

/// The keychains that the record names, for the pair and for an unfinished change.
fn keychains_of(folder: &JobFolder, reporter: &Reporter) -> Result<Vec<KeychainKind>> {
    let record = match folder.record() {
        Err(error @ Error::RecordUnreadable { .. }) => {
            reporter.notify(Event::Warning(format!(
                "{error} The code is looked for in one keychain only; name another with --keychain."
            )));
            None
        }
        result => result?,
    };
    let pairs = record.into_iter().flat_map(|record| [record.pair, record.incoming]).flatten();
    let mut kinds: Vec<KeychainKind> = pairs.map(|pair| pair.keychain).collect();
    kinds.dedup();
    Ok(kinds)
}
