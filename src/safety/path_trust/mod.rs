//! Path trust: whether anyone but this user and the administrator can change what a path leads to.
//!
//! One rule for all that is read, obeyed, run, followed, written or removed (promise 7). It is asked before the first
//! touch, and it opens, then looks at what was opened:
//!
//! - A path is walked from the root, name by name, each folder opened in the one before, without following links. A folder
//!   in which others could exchange the next name ends the walk before that name is looked up, so what was found stays
//!   what it is for as long as nobody but this user and the administrator moves things.
//! - A link is followed by reading it and walking on, if it belongs to somebody trusted.
//! - Owner, mode, group and access list count; a folder with the sticky bit lets others add, and not exchange.
//! - What was made is looked at too: a file system that knows no owners shows itself there.
//!
//! A group whose only member is this user counts as this user (distributions that make one for each user unpack with umask
//! 002); the administrator's group counts as the administrator while nobody else is in it.
//!
//! `fs-mistrust` was looked at and not taken; config/DEPENDENCIES.md says why.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Why, io_in_words};
use crate::safety::quote::quoted;

#[cfg(unix)]
mod accounts;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
mod removal;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
mod unix_removal;
#[cfg(unix)]
mod unix_rights;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
mod windows_removal;

#[cfg(target_os = "linux")]
use linux as acl;
#[cfg(target_os = "macos")]
use macos as acl;
#[cfg(unix)]
use unix as sys;
#[cfg(unix)]
use unix_removal as sys_removal;
#[cfg(windows)]
use windows as sys;
#[cfg(windows)]
use windows_removal as sys_removal;

#[cfg(target_os = "linux")]
pub(crate) use accounts::is_this_user;
#[cfg(unix)]
pub(crate) use accounts::{runs_as_administrator, this_account, this_uid};
#[cfg(target_os = "linux")]
pub(crate) use linux::socket;
pub(crate) use removal::FolderToRemove;
pub use sys::privacy_flaw;
pub(crate) use sys::{create_private_dir, create_private_file};
pub(crate) use sys::{is_executable, is_still_at, open_to_overwrite};
#[cfg(unix)]
pub(crate) use unix_rights::copy_rights;
#[cfg(windows)]
pub(crate) use windows::{copy_rights, runs_as_administrator};

/// Whose word a thing may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// This user's or the administrator's.
    Own,
    /// The administrator's alone: this user counts as another, unless that is root.
    Administrator,
}

/// What a folder is for, which decides how much others may do in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Position {
    /// It lies on the way: what matters is that nobody exchanges what is in it. A sticky folder such as /tmp will do.
    OnTheWay,
    /// All that is in it counts, so nobody else may even add to it.
    Whole,
}

/// What is wrong with a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its owner is somebody else.
    Owner,
    /// Others may write to it.
    Writable,
    /// Others may open it, though it is to be private.
    Open,
    /// It is a link where none belongs, or one that leads nowhere.
    Link,
    /// It has more than one name.
    Names,
    /// It is not a file, or not a folder.
    Kind,
    /// Its file system keeps no owners.
    NoOwners,
}

/// A fault, and the end of the sentence "`path` …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Which.
    pub fault: Fault,
    /// In words: "can be written by everyone (mode 0666)".
    pub text: String,
    /// The owner's name, if that is the fault.
    pub owner: Option<String>,
}

impl Flaw {
    fn new(fault: Fault, text: impl Into<String>) -> Self {
        Self { fault, text: text.into(), owner: None }
    }

    fn owned_by(owner: String) -> Self {
        Self { fault: Fault::Owner, text: format!("belongs to {owner}"), owner: Some(owner) }
    }
}

/// Why a path is not used.
#[derive(Debug)]
pub struct Refused {
    /// What is at fault: the thing itself, or a folder or link on the way to it.
    pub path: PathBuf,
    /// Why.
    pub cause: Cause,
}

/// Why a path is not used.
#[derive(Debug)]
pub enum Cause {
    /// Somebody else can change it, or it is not what it should be.
    Flaw(Flaw),
    /// The system would not let us look.
    Io(io::Error),
}

impl Refused {
    fn flaw(path: &Path, flaw: Flaw) -> Self {
        Self { path: path.to_owned(), cause: Cause::Flaw(flaw) }
    }

    fn io(path: &Path, error: io::Error) -> Self {
        Self { path: path.to_owned(), cause: Cause::Io(error) }
    }

    /// There is nothing at `path`.
    pub(crate) fn nothing_at(path: &Path) -> Self {
        Self::io(path, io::ErrorKind::NotFound.into())
    }

    /// What is to be said instead where it is no fault of the path: see [`Error::if_too_many_files`].
    pub(crate) fn too_many_files(&self) -> Option<Error> {
        match &self.cause {
            Cause::Io(error) => Error::if_too_many_files(error),
            Cause::Flaw(_) => None,
        }
    }

    /// The end of the sentence "`self.path` …".
    #[must_use]
    pub fn why(&self) -> String {
        match &self.cause {
            Cause::Flaw(flaw) => flaw.text.clone(),
            Cause::Io(error) if error.kind() == io::ErrorKind::NotFound => "is not there".to_owned(),
            Cause::Io(error) => format!("can't be opened: {}", io_in_words(error)),
        }
    }

    /// The same for the sentence "`asked` can't be used: …": names the path only where it is another one.
    #[must_use]
    pub(crate) fn clause(&self, asked: &Path) -> String {
        match &self.cause {
            _ if self.path != asked => self.to_string(),
            Cause::Flaw(flaw) => format!("it {}", flaw.text),
            Cause::Io(error) if error.kind() == io::ErrorKind::NotFound => "it is not there".to_owned(),
            Cause::Io(error) => io_in_words(error),
        }
    }

    /// The same with what the system said as its source.
    pub(crate) fn into_why(self, asked: &Path) -> Why {
        match self.cause {
            Cause::Io(error) if self.path == asked && error.kind() != io::ErrorKind::NotFound => error.into(),
            _ => Why::Refused(self.clause(asked), self.mend(asked)),
        }
    }

    /// The same as a whole clause: "`what` can't be used: …".
    pub(crate) fn into_why_of(self, what: &str, asked: &Path) -> Why {
        let said = if what == asked.display().to_string() { self.clause(asked) } else { self.to_string() };
        Why::Refused(format!("{what} can't be used: {said}"), self.mend(asked))
    }

    /// The command that mends the fault, as lines of a hint; empty where there is none.
    fn mend(&self, asked: &Path) -> String {
        let Cause::Flaw(flaw) = &self.cause else { return String::new() };
        let path = quoted(&self.path.display().to_string());
        match flaw.fault {
            _ if cfg!(windows) => String::new(),
            // Folders of the system and of all users are as they are for good reasons: /, /tmp, /etc.
            Fault::Writable | Fault::Open | Fault::Owner if !self.is_own_place() => {
                "Name a file or folder in a folder of your own.".to_owned()
            }
            Fault::Writable => format!(
                "Check that nobody has changed what is in it. Then take the right to change it away from others:\n  chmod go-w {path}"
            ),
            Fault::Open => format!("Take the right to open it away from others:\n  chmod go-rwx {path}"),
            // A folder above may be somebody's home, which is not to be taken from them.
            Fault::Owner if self.path != asked => {
                "Copy what you need, once you have checked it, to a folder of your own.".to_owned()
            }
            Fault::Owner => format!(
                "If the administrator made it for you, check what is in it, and have it given to you:\n  sudo chown \"$(id -un)\" {path}"
            ),
            Fault::Link | Fault::Names | Fault::Kind | Fault::NoOwners => String::new(),
        }
    }

    /// Whether what is at fault may be mended: a file, a folder below this user's home, one of this program's.
    fn is_own_place(&self) -> bool {
        let home = std::env::home_dir().filter(|home| home.parent().is_some());
        !self.path.is_dir()
            || self.path.file_name().is_some_and(|name| name == "snow-onboard")
            || home.is_some_and(|home| self.path.starts_with(home))
    }

    /// The same for what must be the administrator's alone.
    pub(crate) fn into_why_of_administrator(self, asked: &Path) -> Why {
        let path = quoted(&self.path.display().to_string());
        let clause = format!("{}, so not only an administrator may have written it", self.clause(asked));
        let mend = match &self.cause {
            Cause::Flaw(flaw) if flaw.fault == Fault::Owner && !cfg!(windows) => {
                format!("Ask the administrator to check what is in it, and to take it over:\n  sudo chown root {path}")
            }
            Cause::Flaw(flaw) if flaw.fault == Fault::Writable && !cfg!(windows) => format!(
                "Ask the administrator to check what is in it, and to take the right to change it away from others:\n  sudo chmod go-w {path}"
            ),
            _ => String::new(),
        };
        Why::Refused(clause, mend)
    }

    /// Whether there is nothing.
    #[must_use]
    pub(crate) fn is_missing(&self) -> bool {
        matches!(&self.cause, Cause::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the system would not let us look, so that nothing is known of whose it is.
    #[must_use]
    pub(crate) fn is_io(&self) -> bool {
        matches!(self.cause, Cause::Io(_))
    }

    /// Whether the system does not let this user get there.
    #[must_use]
    pub(crate) fn is_out_of_reach(&self) -> bool {
        matches!(&self.cause, Cause::Io(error) if error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Whether this is what is wrong.
    #[must_use]
    pub(crate) fn is_of(&self, fault: Fault) -> bool {
        matches!(&self.cause, Cause::Flaw(flaw) if flaw.fault == fault)
    }

    /// The owner's name, if the fault is that a thing belongs to somebody else.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        match &self.cause {
            Cause::Flaw(flaw) => flaw.owner.as_deref(),
            Cause::Io(_) => None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.why())
    }
}

/// The way from the root to a thing, as the system goes it. Every folder and link on it is trusted.
#[derive(Debug)]
pub(crate) struct ResolvedPath {
    /// The folder in which the last name was looked up: where there is nothing, the one that it could be made in.
    pub(crate) last: PathBuf,
    /// How many links were followed.
    pub(crate) links: usize,
    /// What it leads to, without links; `None` where there is nothing.
    pub(crate) target: Option<PathBuf>,
}

/// Walks to `path`. That there is nothing is no failure; see [`ResolvedPath::target`].
///
/// # Errors
/// The first folder or link on the way that somebody other than `whose` can change.
pub(crate) fn resolve(path: &Path, whose: Whose) -> Result<ResolvedPath, Refused> {
    sys::resolve(path, whose)
}

/// Opens a file that is trusted. `None` if there is nothing under its name; a link that leads nowhere is refused.
///
/// # Errors
/// A folder or link on the way, or the file, that somebody other than `whose` can change; what is no file; what the
/// system says. Neither a pipe nor a device is waited for.
pub(crate) fn open_file(path: &Path, whose: Whose) -> Result<Option<File>, Refused> {
    sys::open_file(path, whose)
}

/// Reads a file that is trusted, of at most `most` bytes. `None` if there is nothing under its name.
///
/// # Errors
/// Those of [`open_file`]; a file that is larger.
pub(crate) fn read_file(path: &Path, whose: Whose, most: u64) -> Result<Option<Vec<u8>>, Refused> {
    let Some(file) = open_file(path, whose)? else { return Ok(None) };
    read_bounded(file, most).map(Some).map_err(|error| Refused::io(path, error))
}

/// Reads what is left of a file, of at most `most` bytes.
///
/// # Errors
/// What the system says; that it is larger.
pub(crate) fn read_bounded(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(most + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most {
        return Err(io::Error::other(format!("it is larger than {} KiB", most / 1024)));
    }
    Ok(content)
}

/// Opens whatever file a path leads to, for a look that nothing is decided by. `None` if it is no file.
///
/// # Errors
/// What the system says. Neither a pipe nor a device is waited for.
pub(crate) fn open_untrusted(path: &Path) -> io::Result<Option<File>> {
    sys::open_untrusted(path)
}

/// How a file of ours is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenMode {
    /// To read it.
    Read,
    /// To read it, and to write over it.
    Write,
    /// To read it, and to write at its end.
    Append,
}

/// Opens a file that this program made in a folder that is trusted. `None` if there is nothing under its name.
///
/// # Errors
/// A link, a second name, another owner, a file that others can write; what the system says.
pub(crate) fn open_own(path: &Path, access: OpenMode) -> Result<Option<File>, Refused> {
    sys::open_own(path, access)
}

/// As [`open_own`], for a file anywhere that is to be private: the way to it is walked too, and nobody else may even open
/// the file. It is made if there is nothing under its name.
///
/// # Errors
/// Those of [`resolve`] and [`open_own`]; a file that others may open.
pub(crate) fn open_private(path: &Path, access: OpenMode) -> Result<File, Refused> {
    let path = std::path::absolute(path).map_err(|error| Refused::io(path, error))?;
    let folder = path.parent().unwrap_or(&path);
    let Some(folder) = resolve(folder, Whose::Own)?.target else {
        return Err(Refused::nothing_at(folder));
    };
    folder_at(&folder, Whose::Own, Position::OnTheWay)?;
    let real = folder.join(path.file_name().unwrap_or_default());
    match create_private_file(&real) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Refused::io(&path, error)),
        Ok(_) => {}
    }
    let Some(file) = open_own(&real, access)? else {
        return Err(Refused::nothing_at(&path));
    };
    match sys::privacy_of(&file).map_err(|error| Refused::io(&path, error))? {
        None => Ok(file),
        Some(flaw) => Err(Refused::flaw(&path, flaw)),
    }
}

/// Checks that `path`, which has no links in it, is a folder in a `position` that is trusted. The way to it is not walked.
///
/// # Errors
/// Why it is not.
pub(crate) fn folder_at(path: &Path, whose: Whose, position: Position) -> Result<(), Refused> {
    sys::folder_at(path, whose, position)
}

/// Walks to the folder `path` and checks it in its `position`. Gives its path without links.
///
/// # Errors
/// The first fault; that there is nothing.
pub(crate) fn folder(path: &Path, whose: Whose, position: Position) -> Result<PathBuf, Refused> {
    let Some(target) = resolve(path, whose)?.target else {
        return Err(Refused::nothing_at(path));
    };
    folder_at(&target, whose, position)?;
    Ok(target)
}

/// What is to run or to be loaded: a file or folder of a client, at a path without links whose folders were checked.
/// Gives the file, open to be read, or `None` for a folder.
///
/// # Errors
/// Why somebody else can change it.
pub(crate) fn part_of_program(path: &Path) -> Result<Option<File>, Refused> {
    sys::part_of_program(path)
}

/// Checks the same of a thing that lies beside what runs, without opening it: it may not be this user's to read. Links are
/// followed; one that leads nowhere is fine where nobody else can put something there.
///
/// # Errors
/// Why somebody else can change it, or what it leads to.
pub(crate) fn beside_program(path: &Path) -> Result<PathBuf, Refused> {
    let way = resolve(path, Whose::Own)?;
    match way.target {
        // Nobody can put anything there, which is what a name is led there for.
        Some(target) if cfg!(unix) && target == Path::new("/dev/null") => Ok(target),
        Some(target) => sys::judge_closed(&target).map(|()| target),
        None => folder_at(&way.last, Whose::Own, Position::Whole).map(|()| way.last),
    }
}

/// The same of what is no link, in a folder at a path without links that was checked whole: no more than the thing itself is asked.
///
/// # Errors
/// Why somebody else can change it.
pub(crate) fn beside_in_trusted_folder(path: &Path) -> Result<(), Refused> {
    sys::judge_closed(path)
}

/// A folder that only this user can enter, as it is or could be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrivatePlace {
    /// Its path without links, so far as it is there.
    pub(crate) real: PathBuf,
    /// Whether it is there.
    pub(crate) exists: bool,
    /// The folder itself, or the last one above it that is there.
    pub(crate) ground: PathBuf,
}

/// Looks at a folder that is to be private, without making it.
///
/// # Errors
/// A folder or link on the way that others can change; one that is there and is not private.
pub(crate) fn look_at_private_folder(path: &Path) -> Result<PrivatePlace, Refused> {
    let way = resolve(path, Whose::Own)?;
    no_link(path)?;
    match way.target {
        Some(real) => {
            sys::private_folder_at(&real)?;
            Ok(PrivatePlace { ground: real.clone(), real, exists: true })
        }
        None => Ok(PrivatePlace { real: path.to_owned(), exists: false, ground: way.last }),
    }
}

/// Opens a folder that is to be private, and makes it and those above it where they are missing. Gives its path without
/// links. Where what was made is not private, because the file system keeps no owners, all that was made goes again.
///
/// # Errors
/// As [`look_at_private_folder`]; what the system says when it is made.
pub(crate) fn private_folder(path: &Path) -> Result<PathBuf, Refused> {
    resolve(path, Whose::Own)?;
    no_link(path)?;
    sys::private_folder(path)
}

/// Makes a folder in one that is private. One that is there already will do if it is private too, and no link.
///
/// # Errors
/// Why it is not; what the system says.
pub(crate) fn private_folder_in_private(path: &Path) -> Result<(), Refused> {
    match create_private_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => sys::private_folder_at(path),
        made => made.map_err(|error| Refused::io(path, error)),
    }
}

/// Checks that neither the private folder `top` nor anything in it on the way to `path` is a link. What is at the end of the way is
/// not looked at, nor has it to be there.
///
/// # Errors
/// The first link; what the system says.
pub(crate) fn no_link_below(top: &Path, path: &Path) -> Result<(), Refused> {
    let way: Vec<&Path> = path.ancestors().skip(1).take_while(|folder| folder.starts_with(top)).collect();
    for folder in way.into_iter().rev() {
        match is_link(folder) {
            Ok(true) => return Err(Refused::flaw(folder, Flaw::new(Fault::Link, "is a symbolic link"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Refused::io(folder, error)),
            Ok(false) => {}
        }
    }
    Ok(())
}

/// What is private is no link: whoever made it would decide what is kept where. For a path whose way was walked.
fn no_link(path: &Path) -> Result<(), Refused> {
    // With a slash at its end it would be asked what the link leads to.
    match path.components().collect::<PathBuf>().symlink_metadata() {
        Ok(meta) if meta.is_symlink() => Err(Refused::flaw(path, Flaw::new(Fault::Link, "is a symbolic link"))),
        _ => Ok(()),
    }
}

/// Whether `path` is a folder of this very user's that nobody else can enter, on a way that nobody else can change.
pub(crate) fn is_own_private_folder(path: &Path) -> bool {
    resolve(path, Whose::Own).is_ok_and(|way| {
        way.links == 0 && way.target.as_deref().is_some_and(|real| sys::private_folder_at(real).is_ok())
    })
}

/// Whether `path` itself is a link; the way to it is not walked.
///
/// # Errors
/// What the system says.
pub(crate) fn is_link(path: &Path) -> io::Result<bool> {
    Ok(path.symlink_metadata()?.is_symlink())
}

/// Whether `path` belongs to this very user, as far as its owner tells; the way to it is not walked.
///
/// # Errors
/// What the system says.
pub(crate) fn is_own(path: &Path) -> io::Result<bool> {
    sys::is_own(path)
}

#[cfg(test)]
mod tests;
