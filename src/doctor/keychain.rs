//! Whether the code can be kept, by keeping something of no value.

use std::sync::Arc;

use super::{Check, Heard, Subject};
use crate::error::{Error, Result};
use crate::job::JobId;
use crate::notice::Notify;
use crate::settings::Settings;
use crate::vault::{KeychainKind, Vault};

/// The probe goes by a job that does not exist, so that it is in no run's way, and by one of each process: two of these at
/// the same time would each find the other's probe, or none, and take a good keychain for one that keeps nothing.
fn no_job() -> Result<JobId> {
    let id = format!("JID00000000-0000-0000-0000-{:012x}", std::process::id());
    id.parse().map_err(|_| Error::Internal { what: "the probe's job id has another shape".to_owned() })
}

/// Opens the keychain as a run would, which may ask somebody to unlock it, and has it keep a probe for a moment.
pub(super) fn keeps(settings: &Settings, heard: &Arc<Heard>) -> Check {
    const SUBJECT: Subject = Subject::Keychain;
    if settings.keychain == KeychainKind::None {
        return Check::skipped(SUBJECT, "not used: nothing is to be kept (keychain = none), so each run fetches anew");
    }
    match try_out(settings, heard) {
        Err(error) => Check::failed(SUBJECT, &error),
        Ok(name) => {
            let until = match settings.keychain {
                KeychainKind::Kernel => ", until the next reboot at the latest",
                KeychainKind::System | KeychainKind::None => "",
            };
            let text = format!("{name} is open and keeps what it is given{until}");
            match &heard.warnings()[..] {
                [] => Check::ok(SUBJECT, text),
                warnings => Check::warning(
                    SUBJECT,
                    format!("{text}. {}", warnings.join(" ")),
                    "Set a password for it (in “Passwords and Keys”: right click, Change Password).",
                ),
            }
        }
    }
}

fn try_out(settings: &Settings, heard: &Arc<Heard>) -> Result<String> {
    let job = no_job()?;
    let vault = Vault::open(settings.vault(settings.keychain), Arc::clone(heard) as Arc<dyn Notify>)?;
    vault.prove(&job)?;
    Ok(vault.name().to_owned())
}
