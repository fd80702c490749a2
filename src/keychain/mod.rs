//! Where unlock codes are kept: the operating system's keychain, the kernel's keyring, or nowhere.
//!
//! Only this module knows the keyring crates and D-Bus. All calls are made on one plain thread (`thread`), each with a
//! deadline, because a keychain may wait for a person who never comes, and because the D-Bus library must not be called
//! inside a tokio runtime. Nothing here falls back from one keychain to another: who chose one is told why it fails.

mod backend;
mod item;
mod secret_keys;
mod thread;

#[cfg(target_os = "linux")]
mod linux_kernel;
#[cfg(target_os = "linux")]
mod linux_keyring_files;
#[cfg(target_os = "linux")]
mod linux_kwallet;
#[cfg(target_os = "linux")]
mod linux_provider;
#[cfg(target_os = "linux")]
mod linux_secret_service;
#[cfg(target_os = "linux")]
mod linux_session_bus;
#[cfg(target_os = "linux")]
use linux_secret_service as system;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use macos as system;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;

#[cfg(not(target_os = "linux"))]
mod linux_kernel {
    //! Only Linux keeps keys in its kernel.

    use std::sync::Arc;

    use super::backend::Opened;
    use crate::error::{Error, Result};
    use crate::report::Notify;

    pub(super) fn open(_: &Arc<dyn Notify>) -> Result<Opened> {
        Err(Error::KeychainUnsupported { which: "kernel".to_owned() })
    }
}

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

#[cfg_attr(not(doc), allow(unused_imports, reason = "the documentation names errors"))]
use crate::error::Error;
use crate::error::Result;
use crate::model::{KeychainKind, ManifestDigest, TargetId, UnlockCode};
use crate::report::Notify;
use backend::{Asking, Backend, CurrentPrompt, ItemId, KeychainFailure, Opened, Removal, Stored};
pub use item::KeychainItem;
use item::{Content, PLACEHOLDER};
use thread::KeychainThread;

/// The service under which every item is stored; the user name is the job id, and of a device's secret key that and the id of the
/// access key. So
/// `secret-tool search service snow-onboard` and its like on other systems show what is kept.
pub const SERVICE: &str = "snow-onboard";

/// How to open a [`Keychain`].
#[derive(Debug, Clone, Copy)]
pub struct KeychainSettings {
    /// Which keychain it is.
    pub kind: KeychainKind,
    /// How long each call may take, a person's answer to a prompt included.
    pub deadline: Duration,
    /// What of a keyring without a password, which keeps in clear.
    pub plain: PlainKeyring,
}

/// Whether a keyring without a password, which keeps in clear, will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainKeyring {
    /// Nothing is stored there.
    Refused,
    /// Somebody allowed it.
    Allowed,
    /// What is there is read or removed, whoever allowed it: that makes it no less safe.
    AsItIs,
}

/// What a backend is told when it is opened.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the others have nothing to ask and nothing to judge"))]
struct Opening {
    plain: PlainKeyring,
    notify: Arc<dyn Notify>,
    current_prompt: CurrentPrompt,
}

/// A keychain, open and ready.
///
/// Dropping it ends its thread and its connection, whose buffers have held codes: drop it before anything long-lived.
pub struct Keychain {
    kind: KeychainKind,
    name: String,
    /// `None` for [`KeychainKind::None`]: there is nobody to talk to.
    thread: Option<KeychainThread>,
}

/// What [`Keychain::prepare`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// The job had no item; it has one now, stored and read back, that holds no code yet.
    Made,
    /// The job has an item, and it was read.
    WasThere,
    /// Nothing is kept.
    Nothing,
}

/// What [`Keychain::forget`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// How many items are gone.
    pub removed: usize,
    /// What the person should know of: what could not be removed, by its name; where old versions still are.
    pub warnings: Vec<String>,
    /// Other collections in which something is stored for the job, by what a person calls them. It was not touched.
    pub elsewhere: Vec<String>,
}

impl Forgotten {
    /// Both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.removed += other.removed;
        for (all, more) in [(&mut self.warnings, other.warnings), (&mut self.elsewhere, other.elsewhere)] {
            for text in more {
                if !all.contains(&text) {
                    all.push(text);
                }
            }
        }
        self
    }
}

impl Keychain {
    /// Opens the keychain: reachable, of this very user, its default collection there, seen not to keep in clear, unlocked. If it
    /// is locked, the person is asked to unlock it, here and at most once in the life of this value. Nothing is written.
    ///
    /// # Errors
    /// Any of the `Keychain…` errors of [`Error`].
    pub fn open(settings: KeychainSettings, notify: Arc<dyn Notify>) -> Result<Self> {
        let KeychainSettings { kind, deadline, plain } = settings;
        let current_prompt = CurrentPrompt::an_answer_of("the keychain");
        let how = Opening { plain, notify: Arc::clone(&notify), current_prompt: current_prompt.clone() };
        let start = |open: fn(&Opening) -> Result<Opened>| {
            KeychainThread::start(deadline, notify, current_prompt, move || open(&how))
                .map(|(name, thread)| (name, Some(thread)))
        };
        let (name, thread) = match kind {
            KeychainKind::None => ("memory only".to_owned(), None),
            KeychainKind::Kernel => start(|how| linux_kernel::open(&how.notify))?,
            KeychainKind::System => start(system::open)?,
        };
        Ok(Self { kind, name, thread })
    }

    /// What a person calls it: "macOS Keychain", "GNOME Keyring “Login”", "memory only".
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which kind of keychain it is.
    #[must_use]
    pub fn kind(&self) -> KeychainKind {
        self.kind
    }

    /// Makes sure, before anything is fetched, that the job's code can be kept. Only a write tells a working keychain from one
    /// that was never created, since both answer a read with "no such item". But an item that is stored to try a keychain out
    /// has to be removed, and KeePassXC asks a person before it removes. So what is written is the job's own item, with a
    /// placeholder: written, read back, compared, looked at for how it is kept. An item that is there already is read, for
    /// which KeePassXC asks as well, and written again as it is where only that shows how it is kept.
    ///
    /// # Errors
    /// [`Error::KeychainForeignItem`] if the keychain has one item a job, and it holds something that is no code;
    /// [`Error::KeychainNotStored`], [`Error::KeychainInClear`] (a keyring's file may come to be by the first write), or
    /// whatever else went wrong.
    pub fn prepare(&self, job: &TargetId) -> Result<Prepared> {
        let Some(thread) = &self.thread else { return Ok(Prepared::Nothing) };
        let user = job.as_str().to_owned();
        self.on(thread, "storing the job's item", job.as_str(), move |backend| {
            let found = read_all(backend, &user)?;
            let of_use = |value: &[u8]| !matches!(Content::of(value), Content::Foreign);
            if let Some(there) = found.iter().find(|it| of_use(&it.value)) {
                backend.prove(&user, there)?;
                return Ok(Prepared::WasThere);
            }
            if !found.is_empty() && !backend.holds_several() {
                return Err(KeychainFailure::Foreign { holds_several: false });
            }
            write_and_verify(backend, &user, &label_for(&user), PLACEHOLDER, None)?;
            Ok(Prepared::Made)
        })
    }

    /// Takes back what [`prepare`](Self::prepare) made, if no code came to be in it. Asks nobody: what can't be removed without
    /// asking stays, and is named, as a sentence.
    ///
    /// # Errors
    /// Whatever the keychain says.
    pub fn withdraw(&self, job: &TargetId) -> Result<Vec<String>> {
        let Some(thread) = &self.thread else { return Ok(Vec::new()) };
        let user = job.as_str().to_owned();
        self.on(thread, "removing the job's empty item", job.as_str(), move |backend| {
            let mut warnings = Vec::new();
            for it in read_all(backend, &user)? {
                if matches!(Content::of(&it.value), Content::Placeholder)
                    && let Removal::Left(name) = backend.remove(&user, &it.id, Asking::Never)?
                {
                    warnings.push(format!("{name} stays in the keychain. It holds no code, and the next run uses it."));
                }
            }
            Ok(warnings)
        })
    }

    /// Stores the code of a job with the digest of its manifest, and reads it back and compares. It takes the place of the code
    /// that came with the manifest `replaced`, or of a placeholder, or of the only code there is; where several are and it can't
    /// be told which it replaces, it is stored beside them. Another code for the same manifest is removed. What can't be verified
    /// is removed again, and what was there before is put back.
    ///
    /// # Errors
    /// [`Error::KeychainForeignItem`] if the keychain has one item a job, and it holds something that is no code (it is left as
    /// it is), [`Error::KeychainNotStored`], or whatever else went wrong.
    pub fn keep(
        &self,
        job: &TargetId,
        code: &UnlockCode,
        manifest: &ManifestDigest,
        replaced: Option<ManifestDigest>,
    ) -> Result<()> {
        let Some(thread) = &self.thread else { return Ok(()) };
        let user = job.as_str().to_owned();
        // The call may outlive this one if its deadline passes, so it needs a value of its own to wipe.
        let (value, digest) = (item::value(code, manifest), *manifest);
        self.on(thread, "storing the unlock code", job.as_str(), move |backend| {
            let found = read_all(backend, &user)?;
            let over = item_to_replace(&found, replaced);
            if over.is_none() && !found.is_empty() && !backend.holds_several() {
                return Err(KeychainFailure::Foreign { holds_several: false });
            }
            let kept = write_and_verify(backend, &user, &label_for(&user), &value, over)?;
            for other in found.iter().filter(|it| it.id != kept && is_of(it, &digest)) {
                // AWS has just said which code belongs to this manifest. One that can't be removed now is refused when it is
                // found beside the right one.
                let _ = backend.remove(&user, &other.id, Asking::Never);
            }
            backend.sync();
            Ok(())
        })
    }

    /// Writes the second line of an item that has none.
    ///
    /// # Errors
    /// As [`keep`](Self::keep).
    pub fn complete(&self, job: &TargetId, item: &KeychainItem, manifest: &ManifestDigest) -> Result<()> {
        let Some(thread) = &self.thread else { return Ok(()) };
        let (user, id) = (job.as_str().to_owned(), item.id.clone());
        let value = item::value(&item.code, manifest);
        self.on(thread, "storing the manifest's digest with the code", job.as_str(), move |backend| {
            let before = backend.read(&user, &id)?;
            write_and_verify(backend, &user, &label_for(&user), &value, before.as_ref())?;
            backend.sync();
            Ok(())
        })
    }

    /// The codes that are kept for a job. As a rule one or none; which one is right if there are more, the manifest tells.
    ///
    /// # Errors
    /// [`Error::KeychainForeignItem`] if the job has items, and all hold something else, or whatever else went wrong.
    pub fn recall(&self, job: &TargetId) -> Result<Vec<KeychainItem>> {
        let Some(thread) = &self.thread else { return Ok(Vec::new()) };
        let user = job.as_str().to_owned();
        self.on(thread, "reading the unlock code", job.as_str(), move |backend| {
            let (mut codes, mut foreign) = (Vec::new(), false);
            for Stored { id, value } in read_all(backend, &user)? {
                match Content::of(&value) {
                    Content::Code(code, manifest) => codes.push(KeychainItem { id, code, manifest }),
                    Content::Foreign => foreign = true,
                    Content::Placeholder => {}
                }
            }
            let holds_several = backend.holds_several();
            if codes.is_empty() && foreign { Err(KeychainFailure::Foreign { holds_several }) } else { Ok(codes) }
        })
    }

    /// Removes all that is kept for a job, be it a code or not.
    ///
    /// # Errors
    /// Whatever the keychain says. What it does not remove is no error: it is in [`Forgotten::warnings`].
    pub fn forget(&self, job: &TargetId) -> Result<Forgotten> {
        let Some(thread) = &self.thread else { return Ok(Forgotten::default()) };
        let (user, probe) = (job.as_str().to_owned(), probe_for(job));
        self.on(thread, "removing the unlock code", job.as_str(), move |backend| {
            let mut forgotten = Forgotten { elsewhere: backend.elsewhere(&user)?, ..Forgotten::default() };
            // The second name is that of the item with which earlier versions tried a keychain out, if one was killed.
            for user in [user, probe] {
                secret_keys::remove_all(backend, &user, &mut forgotten)?;
            }
            backend.sync();
            Ok(forgotten)
        })
    }

    /// The jobs of which something is stored, be it a code, a device's secret key or a test item, sorted. Of a keychain with several
    /// collections also those whose items are in another one than the default.
    ///
    /// # Errors
    /// Whatever the keychain says.
    pub(crate) fn jobs(&self) -> Result<Vec<TargetId>> {
        let Some(thread) = &self.thread else { return Ok(Vec::new()) };
        let users = self.on(thread, "listing its items", SERVICE, |backend| backend.users())?;
        let jobs: BTreeSet<TargetId> = users.iter().filter_map(|user| job_of(user)).collect();
        Ok(jobs.into_iter().collect())
    }

    /// Stores an item of no value under a name of its own, reads it back and removes it, where that asks nobody. Says whether it
    /// was tried.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn try_out(&self, name: &TargetId) -> Result<bool> {
        let Some(thread) = &self.thread else { return Ok(false) };
        // The name that it had in earlier versions, so that what a killed one left goes too.
        let user = probe_for(name);
        self.on(thread, "storing a test item", name.as_str(), move |backend| {
            if !backend.removes_without_asking() {
                return Ok(false);
            }
            let left_behind = read_all(backend, &user)?.pop();
            let id = write_and_verify(
                backend,
                &user,
                "snow-onboard test item (can be removed)",
                PLACEHOLDER,
                left_behind.as_ref(),
            )?;
            backend.remove(&user, &id, Asking::Never)?;
            Ok(true)
        })
    }

    fn on<R: Send + 'static>(
        &self,
        thread: &KeychainThread,
        what: &str,
        user: &str,
        work: impl FnOnce(&mut dyn Backend) -> Result<R, KeychainFailure> + Send + 'static,
    ) -> Result<R> {
        thread.call(what, work)?.map_err(|failure| failure.into_error(&self.name, what, user))
    }
}

/// How the user name of a test item begins.
const PROBE: &str = "probe for ";

fn probe_for(job: &TargetId) -> String {
    format!("{PROBE}{job}")
}

/// The job that an item is about, from the user name under which it is stored: that of a code, of a device's secret key or of a test
/// item. Any other name is not this program's, whoever put it there.
fn job_of(user: &str) -> Option<TargetId> {
    let job = match (user.strip_prefix(PROBE), secret_keys::parts_of(user)) {
        (Some(job), _) => job.parse(),
        (None, Some((job, _))) => return Some(job),
        (None, None) => user.parse(),
    };
    job.ok()
}

fn label_for(user: &str) -> String {
    format!("snow-onboard unlock code for {user}")
}

/// Of the items there are, the one that a new code takes the place of.
fn item_to_replace(found: &[Stored], replaced: Option<ManifestDigest>) -> Option<&Stored> {
    let is = |wanted: &dyn Fn(&Content) -> bool| found.iter().find(|it| wanted(&Content::of(&it.value)));
    let of_the_pair = || found.iter().find(|it| replaced.is_some_and(|replaced| is_of(it, &replaced)));
    let placeholder = || is(&|content| matches!(content, Content::Placeholder));
    let only_code = || match found {
        [only] if matches!(Content::of(&only.value), Content::Code(..)) => Some(only),
        _ => None,
    };
    of_the_pair().or_else(placeholder).or_else(only_code)
}

/// Whether it holds a code that came with this manifest.
fn is_of(item: &Stored, manifest: &ManifestDigest) -> bool {
    matches!(Content::of(&item.value), Content::Code(_, Some(of)) if of == *manifest)
}

fn read_all(backend: &mut dyn Backend, user: &str) -> Result<Vec<Stored>, KeychainFailure> {
    let mut found = Vec::new();
    for id in backend.find(user)? {
        found.extend(backend.read(user, &id)?);
    }
    Ok(found)
}

/// Stores `value`, reads it back and compares. What turns out not to be kept as promised gives way to what was there before.
fn write_and_verify(
    backend: &mut dyn Backend,
    user: &str,
    label: &str,
    value: &[u8],
    over: Option<&Stored>,
) -> Result<ItemId, KeychainFailure> {
    let id = backend.write(user, label, value, over.map(|it| &it.id))?;
    verify(backend, user, &id, value).inspect_err(|_| {
        // The first failure is the one to tell of.
        let _ = match over {
            Some(before) => backend.write(user, label, &before.value, Some(&before.id)).map(drop),
            None => backend.remove(user, &id, Asking::Never).map(drop),
        };
    })?;
    Ok(id)
}

fn verify(backend: &mut dyn Backend, user: &str, id: &ItemId, value: &[u8]) -> Result<(), KeychainFailure> {
    let Some(Stored { value: back, .. }) = backend.read(user, id)? else {
        return Err(KeychainFailure::NotStored("it was gone when read back".to_owned()));
    };
    let difference = back.iter().zip(value).fold(back.len() ^ value.len(), |sum, (a, b)| sum | usize::from(a ^ b));
    if std::hint::black_box(difference) != 0 {
        return Err(KeychainFailure::NotStored("it was another one when read back".to_owned()));
    }
    backend.check(user, id)
}

#[cfg(test)]
mod tests;
