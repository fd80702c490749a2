//! Why a file of the client is refused, and what mends that.

use std::path::{Path, PathBuf};

use crate::error::{Error, io_in_words};
#[cfg(unix)]
use crate::safety::interpreter::UnfitScript;
use crate::safety::path_trust::{Cause, Fault, Refused};
use crate::safety::quote::quoted;

/// What is wrong with a file, before it is known what mends that.
pub(super) struct Unsafe {
    path: PathBuf,
    why: String,
    fault: Option<Fault>,
    /// What mends it, where it is not the client's own file that is at fault.
    hint: Option<String>,
    /// It is not the file's fault, but this.
    instead: Option<Box<Error>>,
}

#[cfg(unix)]
impl From<UnfitScript> for Unsafe {
    fn from(unfit: UnfitScript) -> Self {
        const HINT: &str = "Unpack the vendor's package anew, whose launcher is run by /bin/sh. If the first line is your own, have it name a program by its whole path that only you or an administrator can change, such as #!/bin/sh.";
        Self { path: unfit.script, why: unfit.why, fault: None, hint: Some(HINT.to_owned()), instead: unfit.instead }
    }
}

impl Unsafe {
    /// `package` is the folder that the client was unpacked to, if it is known to be one: what is wrong in it is wrong with all that
    /// was unpacked together. A command that changes a whole tree is given for that alone: any other folder, such as /tmp or what a
    /// link leads to, is as it is for others' sake.
    pub(super) fn into_error(self, package: Option<&Path>) -> Error {
        if let Some(instead) = self.instead {
            return *instead;
        }
        const ELSEWHERE: &str = "Unpack the client where only you or an administrator can write.";
        let package = package.filter(|package| self.path.starts_with(package));
        let package = package.map(|package| quoted(&package.display().to_string()));
        let hint = match (self.fault, package) {
            _ if cfg!(windows) => format!(
                "{ELSEWHERE} On Windows such a folder is one in your user profile, from which nobody else has been given access."
            ),
            _ if self.hint.is_some() => self.hint.unwrap_or_default(),
            (Some(Fault::Owner), Some(package)) => format!(
                "If you or an administrator unpacked it, give it to yourself:\n  sudo chown -R \"$(id -un)\" {package}\nElse unpack it anew, as yourself."
            ),
            (Some(Fault::Writable), Some(package)) => format!(
                "{ELSEWHERE} If the folder belongs to you, remove write permission for others:\n  chmod -R go-w {package}"
            ),
            _ => ELSEWHERE.to_owned(),
        };
        Error::ClientUnsafe { path: self.path.display().to_string(), why: self.why, hint }
    }
}

pub(super) fn not_safe(refused: &Refused) -> Unsafe {
    let fault = match &refused.cause {
        Cause::Flaw(flaw) => Some(flaw.fault),
        Cause::Io(_) => None,
    };
    let instead = refused.too_many_files().map(Box::new);
    Unsafe { path: refused.path.clone(), why: refused.why(), fault, hint: None, instead }
}

pub(super) fn cannot_look(path: &Path, error: &std::io::Error) -> Unsafe {
    cannot(path, "be looked at", error)
}

pub(super) fn cannot_read(path: &Path, error: &std::io::Error) -> Unsafe {
    cannot(path, "be read", error)
}

fn cannot(path: &Path, what: &str, error: &std::io::Error) -> Unsafe {
    let refused = unsafe_because(path, &format!("can't {what}: {}", io_in_words(error)));
    Unsafe { instead: Error::if_too_many_files(error).map(Box::new), ..refused }
}

pub(super) fn unsafe_because(path: &Path, why: &str) -> Unsafe {
    Unsafe { path: path.to_owned(), why: why.to_owned(), fault: None, hint: None, instead: None }
}
