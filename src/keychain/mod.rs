//! Where unlock codes are kept: the operating system's keychain, the kernel's keyring, or nowhere.
//!
//! Only this module knows the keyring crates. All calls are made on one plain thread (`thread`), each with a
//! deadline, because a keychain may wait for a person who never comes, and because the D-Bus store must not be called
//! inside a tokio runtime. Nothing here falls back from one place to another: who chose the place is told why it fails.

mod backend;
mod thread;

#[cfg(target_os = "linux")]
mod linux_kernel;
#[cfg(target_os = "linux")]
mod linux_secret_service;
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

    use super::backend::Opened;
    use crate::error::{Error, Result};

    pub(super) fn open() -> Result<Opened> {
        Err(Error::KeychainUnsupported { which: "kernel".to_owned() })
    }
}

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::job::{JobId, Malformed};
use crate::notice::Notify;
use crate::secret::UnlockCode;
use backend::{Backend, Failure};
use thread::KeychainThread;

/// The service under which every item is stored; the user name is the job id. So
/// `secret-tool search service snow-onboard` and its like on other systems show what is kept.
pub const SERVICE: &str = "snow-onboard";

/// Which place keeps the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeychainKind {
    /// The operating system's: macOS Keychain, Windows Credential Manager, the Secret Service's default collection.
    #[default]
    System,
    /// The Linux kernel's keyring: gone at the next reboot.
    Kernel,
    /// Nowhere: the code lives in this process only.
    None,
}

impl fmt::Display for KeychainKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::Kernel => "kernel",
            Self::None => "none",
        })
    }
}

impl FromStr for KeychainKind {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        [Self::System, Self::Kernel, Self::None]
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| Malformed { why: "is none of system, kernel and none".to_owned() })
    }
}

/// How to open a [`Keychain`].
#[derive(Debug, Clone, Copy)]
pub struct KeychainSettings {
    /// Which place keeps the code.
    pub kind: KeychainKind,
    /// How long each call may take, a person's answer to a prompt included.
    pub deadline: Duration,
    /// Whether a keyring without a password, which keeps in clear, will do.
    pub allow_plain: bool,
}

/// A place that keeps unlock codes, open and ready.
///
/// Dropping it ends its thread and its connections, whose buffers have held codes: drop it before anything long-lived.
pub struct Keychain {
    kind: KeychainKind,
    name: String,
    /// `None` for [`KeychainKind::None`]: there is nobody to talk to.
    thread: Option<KeychainThread>,
}

impl Keychain {
    /// Opens the place: reachable, its default collection there, not kept in clear, unlocked. If it is locked, the
    /// person is asked to unlock it, here and at most once in the life of this value. Nothing is written.
    ///
    /// # Errors
    /// Any of the `Keychain…` errors of [`Error`], [`Error::KernelKeyringClosed`].
    pub fn open(settings: KeychainSettings, notify: Arc<dyn Notify>) -> Result<Self> {
        let KeychainSettings { kind, deadline, allow_plain } = settings;
        let warn = Arc::clone(&notify);
        let (name, thread) = match kind {
            KeychainKind::None => ("memory only".to_owned(), None),
            KeychainKind::Kernel => KeychainThread::start(deadline, notify, linux_kernel::open).map(keep_thread)?,
            KeychainKind::System => {
                KeychainThread::start(deadline, notify, move || system::open(allow_plain, warn)).map(keep_thread)?
            }
        };
        Ok(Self { kind, name, thread })
    }

    /// What a person calls the place: "macOS Keychain", "the Secret Service keyring “Login”", "memory only".
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which kind of place it is.
    #[must_use]
    pub fn kind(&self) -> KeychainKind {
        self.kind
    }

    /// Proves that the place keeps what it is given, with an item of no value: written, read back on a second
    /// connection, compared, looked at for how it is kept, and removed whatever came of that. Only a write tells a
    /// working keychain from one that was never created, since both answer a read with "no such item". The item goes by the
    /// job, of which one process works at a time: one that a killed run left is taken over, or removed by the next look at
    /// the job's code.
    ///
    /// # Errors
    /// [`Error::KeychainKeepsNothing`], [`Error::KeychainInClear`] (a keyring's file may come to be by the first
    /// write), or whatever else went wrong.
    pub fn prove(&self, job: &JobId) -> Result<()> {
        let Some(thread) = &self.thread else { return Ok(()) };
        let user = probe_of(job);
        let value = format!("{:016x}", random());
        self.on(thread, "trying it out", &user.clone(), move |store| {
            let kept = keep_and_verify(store, &user, "snow-onboard probe (can be removed)", value.as_bytes());
            let removed = store.remove(&user);
            kept?;
            removed.map(drop)
        })
    }

    /// Keeps the code of a job, in place of any it kept for it before: written, read back on a second connection,
    /// compared in constant time. What can't be verified is removed again, and the code that was there before is put
    /// back.
    ///
    /// # Errors
    /// [`Error::KeychainForeignItem`] if the job's item holds something that is no code (it is left as it is),
    /// [`Error::KeychainKeepsNothing`], or whatever else went wrong.
    pub fn keep(&self, job: &JobId, code: &UnlockCode) -> Result<()> {
        let Some(thread) = &self.thread else { return Ok(()) };
        let user = job.as_str().to_owned();
        // The call may outlive this one if its deadline passes, so it needs a code of its own to wipe.
        let code = code
            .expose(|text| UnlockCode::take(text))
            .map_err(|_| Error::Internal { what: "a code lost its shape".into() })?;
        self.on(thread, "storing the unlock code", job.as_str(), move |store| {
            let before = code_of(store, &user)?;
            let label = format!("snow-onboard unlock code for {user}");
            code.expose(|text| keep_and_verify(store, &user, &label, text.as_bytes())).inspect_err(|_| {
                if let Some(before) = before {
                    // The first failure is the one to tell of; the pair's tag tells what is there now.
                    let _ = before.expose(|text| store.put(&user, &label, text.as_bytes()));
                }
            })
        })
    }

    /// The code kept for a job, if there is one.
    ///
    /// # Errors
    /// [`Error::KeychainForeignItem`] if the job's item holds something else, [`Error::KeychainAmbiguous`] if there
    /// are two, or whatever else went wrong. That there is none is no error.
    pub fn recall(&self, job: &JobId) -> Result<Option<UnlockCode>> {
        let Some(thread) = &self.thread else { return Ok(None) };
        let (user, probe) = (job.as_str().to_owned(), probe_of(job));
        self.on(thread, "reading the unlock code", job.as_str(), move |store| {
            remove_probe(store, &probe);
            code_of(store, &user)
        })
    }

    /// Removes what is kept for a job, be it a code or not. Says whether there was something.
    ///
    /// # Errors
    /// [`Error::KeychainAmbiguous`] if there are two, or whatever else went wrong.
    pub fn forget(&self, job: &JobId) -> Result<bool> {
        let Some(thread) = &self.thread else { return Ok(false) };
        let (user, probe) = (job.as_str().to_owned(), probe_of(job));
        self.on(thread, "removing the unlock code", job.as_str(), move |store| {
            remove_probe(store, &probe);
            store.remove(&user)
        })
    }

    fn on<R: Send + 'static>(
        &self,
        thread: &KeychainThread,
        what: &str,
        user: &str,
        work: impl FnOnce(&mut dyn Backend) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R> {
        thread.call(what, work)?.map_err(|failure| failure.into_error(&self.name, what, user))
    }
}

fn probe_of(job: &JobId) -> String {
    format!("probe for {job}")
}

/// Removes a probe that is there only if a run was killed while it tried the keychain out.
fn remove_probe(store: &mut dyn Backend, probe: &str) {
    // It is of no value; what stands in the way here is told by the call that follows.
    let _ = store.remove(probe);
}

fn keep_thread((name, thread): (String, KeychainThread)) -> (String, Option<KeychainThread>) {
    (name, Some(thread))
}

/// Stores `value`, and removes it again when it turns out not to be kept as promised.
fn keep_and_verify(store: &mut dyn Backend, user: &str, label: &str, value: &[u8]) -> Result<(), Failure> {
    store.put(user, label, value)?;
    verify(store, user, value).inspect_err(|_| {
        // The first failure is the one to tell of.
        let _ = store.remove(user);
    })
}

fn verify(store: &mut dyn Backend, user: &str, value: &[u8]) -> Result<(), Failure> {
    let Some(back) = store.get(user)?.map(Zeroizing::new) else {
        return Err(Failure::KeepsNothing("it was gone when read back on a second connection".to_owned()));
    };
    let difference = back.iter().zip(value).fold(back.len() ^ value.len(), |sum, (a, b)| sum | usize::from(a ^ b));
    if std::hint::black_box(difference) != 0 {
        return Err(Failure::KeepsNothing("it was another one when read back on a second connection".to_owned()));
    }
    store.check(user)
}

fn code_of(store: &mut dyn Backend, user: &str) -> Result<Option<UnlockCode>, Failure> {
    store.get(user)?.map(UnlockCode::take).transpose().map_err(|_| Failure::Foreign)
}

/// A number that is another one each time. Nothing secret hangs on it: it tells this probe from an earlier one.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests;
