//! What the setting `keep` does once a device is unlocked.

use super::keep::remove;
use super::onboard::Unlocked;
use crate::error::Result;
use crate::model::{Keep, KeychainKind};
use crate::report::{Event, Notify, Reporter};
use crate::settings::Settings;
use crate::store::StateFolder;

/// After a device was unlocked: removes its pair where `keep` says so.
///
/// # Errors
/// Those of [`StateFolder::open`]. A half that can't be removed is a warning.
pub(crate) fn keep_after_unlock(unlocked: Unlocked, settings: &Settings, reporter: &Reporter) -> Result<Unlocked> {
    remove_after_unlock(unlocked, settings, reporter, false)
}

/// The same for one of several devices. Of all of them it has been said already what the setting `keep` does.
///
/// # Errors
/// As there.
pub(crate) fn keep_after_one_of_several(
    unlocked: Unlocked,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<Unlocked> {
    remove_after_unlock(unlocked, settings, reporter, settings.keep == Keep::UntilUnlocked)
}

fn remove_after_unlock(
    unlocked: Unlocked,
    settings: &Settings,
    reporter: &Reporter,
    was_told: bool,
) -> Result<Unlocked> {
    if unlocked.keep != Keep::UntilUnlocked || unlocked.manifest.is_none() {
        return Ok(unlocked);
    }
    let job = unlocked.job.clone();
    if !was_told {
        reporter.notify(Event::Warning(format!(
            "The device is UNLOCKED, and the setting keep is {}. After a power cut AWS is needed to unlock it again.",
            Keep::UntilUnlocked
        )));
    }
    let state = StateFolder::open(&settings.state_dir)?;
    let told = if was_told { Event::Fact } else { Event::Warning };
    if !remove(&job, "The device is unlocked", &state, settings, (reporter, told)) {
        return Ok(unlocked);
    }
    let keychain = KeychainKind::None;
    Ok(Unlocked { keychain, keychain_name: keychain.to_string(), manifest: None, was_removed: true, ..unlocked })
}
