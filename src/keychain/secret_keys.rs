//! The secret keys of a job's device: items of their own beside the unlock code's, under the names of job and access key. Unlike
//! a code, each can be had again from the device, so that what is found damaged is replaced.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::backend::{Asking, Backend, KeychainFailure, Removal, Stored};
use super::{Forgotten, Keychain, read_all, write_and_verify};
use crate::error::Result;
use crate::model::{AccessKeyId, SecretKey, TargetId};

impl Keychain {
    /// Stores a secret key, in place of what is stored under its name, and reads it back and compares.
    ///
    /// # Errors
    /// Whatever the keychain says.
    pub(crate) fn keep_secret_key(&self, job: &TargetId, id: &AccessKeyId, key: &SecretKey) -> Result<()> {
        let Some(thread) = &self.thread else { return Ok(()) };
        let (user, label) = (user_for(job, id), label_for(job, id));
        let value = Zeroizing::new(key.expose(|key| key.as_bytes().to_vec()));
        self.on(thread, "storing the secret key", job.as_str(), move |backend| {
            let found = read_all(backend, &user)?;
            let kept = write_and_verify(backend, &user, &label, &value, found.first()).map_err(not_of_a_code)?;
            for other in found.iter().filter(|it| it.id != kept) {
                // The device has just said which key it is. An older one that stays is told from it by no one.
                let _ = backend.remove(&user, &other.id, Asking::Never);
            }
            backend.sync();
            Ok(())
        })
    }

    /// The secret key that is stored for an access key, if there is one. What can be none counts as none.
    ///
    /// # Errors
    /// Whatever the keychain says.
    pub(crate) fn recall_secret_key(&self, job: &TargetId, id: &AccessKeyId) -> Result<Option<SecretKey>> {
        let Some(thread) = &self.thread else { return Ok(None) };
        let user = user_for(job, id);
        self.on(thread, "reading the secret key", job.as_str(), move |backend| {
            // A person may have opened the item in the keychain's own app, where a line's end is easily added.
            let key = |item: Stored| SecretKey::take(item.value.trim_ascii()).ok();
            Ok(read_all(backend, &user)?.into_iter().find_map(key))
        })
    }

    /// Whether a person is asked before a new connection, and so every call of `credentials`, may read a secret key. Asks nobody,
    /// unless the keychain as a whole is locked.
    ///
    /// # Errors
    /// Whatever the keychain says.
    pub(crate) fn asks_before_reading(&self, job: &TargetId, id: &AccessKeyId) -> Result<bool> {
        let Some(thread) = &self.thread else { return Ok(false) };
        let user = user_for(job, id);
        self.on(thread, "looking at the secret key", job.as_str(), move |backend| backend.asks_before_reading(&user))
    }

    /// Removes the secret keys that are stored for these access keys.
    ///
    /// # Errors
    /// As [`Keychain::forget`].
    pub(crate) fn forget_secret_keys(&self, job: &TargetId, ids: &[AccessKeyId]) -> Result<Forgotten> {
        let Some(thread) = self.thread.as_ref().filter(|_| !ids.is_empty()) else { return Ok(Forgotten::default()) };
        let users: BTreeSet<String> = ids.iter().map(|id| user_for(job, id)).collect();
        self.on(thread, "removing the secret keys", job.as_str(), move |backend| {
            let mut forgotten = Forgotten::default();
            for user in users {
                forgotten.elsewhere.extend(backend.elsewhere(&user)?);
                remove_all(backend, &user, &mut forgotten)?;
            }
            backend.sync();
            Ok(forgotten)
        })
    }

    /// The access keys of which the keychain lists a secret for the job's device: the record that names them may be gone.
    ///
    /// # Errors
    /// Whatever the keychain says.
    pub(crate) fn listed_secret_keys(&self, job: &TargetId) -> Result<Vec<AccessKeyId>> {
        let Some(thread) = &self.thread else { return Ok(Vec::new()) };
        let users = self.on(thread, "listing the secret keys", job.as_str(), |backend| backend.users())?;
        let of_the_device = |user: &String| parts_of(user).filter(|(of, _)| of == job).map(|(_, id)| id);
        Ok(users.iter().filter_map(of_the_device).collect())
    }
}

/// Removes all that is stored under a name, and adds what became of it.
pub(super) fn remove_all(
    backend: &mut dyn Backend,
    user: &str,
    forgotten: &mut Forgotten,
) -> std::result::Result<(), KeychainFailure> {
    for id in backend.find(user)? {
        match backend.remove(user, &id, Asking::Allowed)? {
            Removal::Gone => forgotten.removed += 1,
            Removal::Archived(where_it_is) => {
                forgotten.removed += 1;
                if !forgotten.warnings.contains(&where_it_is) {
                    forgotten.warnings.push(where_it_is);
                }
            }
            Removal::Left(name) => forgotten.warnings.push(format!(
                "{name} could not be removed. It holds no secret any more; remove it in the keychain's own app."
            )),
        }
    }
    Ok(())
}

/// No job id and no access key id has a blank in it.
fn user_for(job: &TargetId, id: &AccessKeyId) -> String {
    format!("{job} {id}")
}

/// The job and the access key that such a name is of.
pub(super) fn parts_of(user: &str) -> Option<(TargetId, AccessKeyId)> {
    let (job, id) = user.split_once(' ')?;
    Some((job.parse().ok()?, id.parse().ok()?))
}

fn label_for(job: &TargetId, id: &AccessKeyId) -> String {
    format!("snow-onboard secret key of {id} for {job}")
}

/// What is advised where a code can't be kept, to do without a keychain, is no help with a key.
fn not_of_a_code(failure: KeychainFailure) -> KeychainFailure {
    match failure {
        KeychainFailure::NotStored(why) => {
            KeychainFailure::Failed(format!("it accepted the item but did not store it correctly: {why}"))
        }
        failure => failure,
    }
}
