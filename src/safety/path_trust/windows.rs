//! Windows: what access lists mean.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use windows_sys::Win32::Foundation::{GENERIC_ALL, GENERIC_WRITE};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_APPEND_DATA, FILE_DELETE_CHILD, FILE_FLAG_OPEN_REPARSE_POINT, FILE_WRITE_DATA, WRITE_DAC, WRITE_OWNER,
};

use super::{Fault, Flaw, OpenMode, Position, Refused, ResolvedPath, Whose};
use crate::os::{Access, Ace, create_dir, create_file, current_user, is_elevated, is_on_disk, names_of, real};

// Well-known identifiers (Microsoft, "Security identifiers").
const SYSTEM: &str = "S-1-5-18";
const ADMINISTRATORS: &str = "S-1-5-32-544";
const TRUSTED_INSTALLER: &str = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
/// Stands for whoever owns what is made in a folder; who owns the folder is looked at by itself.
const CREATOR_OWNER: &str = "S-1-3-0";
const OWNER_RIGHTS: &str = "S-1-3-4";

impl Access {
    fn privacy_flaw(&self, me: &str) -> Option<Flaw> {
        let ours = [me, SYSTEM, ADMINISTRATORS, CREATOR_OWNER, OWNER_RIGHTS];
        self.owner_flaw(&ours).or_else(|| self.flaw(&ours, Fault::Open, "opened", |_| true))
    }

    /// To make folders in a folder does not count: it is how `C:\` is, for every user, and replaces nothing that is there.
    fn write_flaw(&self, me: &str, is_folder: bool) -> Option<Flaw> {
        let trusted = [me, SYSTEM, ADMINISTRATORS, TRUSTED_INSTALLER, CREATOR_OWNER, OWNER_RIGHTS];
        let writes =
            FILE_WRITE_DATA | FILE_DELETE_CHILD | DELETE | WRITE_DAC | WRITE_OWNER | GENERIC_WRITE | GENERIC_ALL;
        // In a folder the same bit means making folders.
        let writes = if is_folder { writes } else { writes | FILE_APPEND_DATA };
        let counts = |ace: &Ace| ace.effective && ace.mask & writes != 0;
        self.owner_flaw(&trusted).or_else(|| self.flaw(&trusted, Fault::Writable, "written", counts))
    }

    /// To add files does not count: every user may in ProgramData, and owns what he adds.
    fn administered_folder_flaw(&self, elevated: Option<&str>) -> Option<Flaw> {
        self.administered_flaw(elevated, FILE_DELETE_CHILD | DELETE | WRITE_DAC | WRITE_OWNER | GENERIC_ALL)
    }

    fn administered_file_flaw(&self, elevated: Option<&str>) -> Option<Flaw> {
        let writes = FILE_WRITE_DATA | FILE_APPEND_DATA | GENERIC_WRITE;
        self.administered_flaw(elevated, writes | DELETE | WRITE_DAC | WRITE_OWNER | GENERIC_ALL)
    }

    /// `elevated` is this user where he runs this program as an administrator, as root is elsewhere: what is his is the
    /// administrator's then.
    fn administered_flaw(&self, elevated: Option<&str>, writes: u32) -> Option<Flaw> {
        let owners: Vec<&str> = [SYSTEM, ADMINISTRATORS, TRUSTED_INSTALLER].into_iter().chain(elevated).collect();
        let writers = [&owners[..], &[CREATOR_OWNER, OWNER_RIGHTS]].concat();
        let counts = |ace: &Ace| ace.effective && ace.mask & writes != 0;
        self.owner_flaw(&owners).or_else(|| self.flaw(&writers, Fault::Writable, "written", counts))
    }

    fn owner_flaw(&self, trusted: &[&str]) -> Option<Flaw> {
        (!trusted.contains(&&*self.owner.text)).then(|| Flaw::owned_by(self.owner.shown().to_owned()))
    }

    fn flaw(&self, trusted: &[&str], fault: Fault, done: &str, counts: impl Fn(&Ace) -> bool) -> Option<Flaw> {
        let Some(entries) = &self.entries else {
            return Some(Flaw::new(fault, format!("can be {done} by everyone (it has no access list)")));
        };
        let other = entries.iter().find(|ace| !trusted.contains(&&*ace.sid.text) && counts(ace))?;
        Some(Flaw::new(fault, format!("can be {done} by {}", other.sid.shown())))
    }
}

/// The folders above `path` as it is named, and above what it leads to: whoever can change one of them decides where it
/// leads.
pub(super) fn resolve(path: &Path, whose: Whose) -> Result<ResolvedPath, Refused> {
    let named = std::path::absolute(path).map_err(|error| Refused::io(path, error))?;
    let target = match real(&named) {
        Ok(target) => Some(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Refused::io(path, error)),
    };
    let mut folders: Vec<PathBuf> = Vec::new();
    for ancestor in named.ancestors().skip(1).chain(target.iter().flat_map(|target| target.ancestors().skip(1))) {
        if ancestor.symlink_metadata().is_ok() && !folders.iter().any(|folder| folder == ancestor) {
            folders.push(ancestor.to_owned());
        }
    }
    folders.sort_by_key(|folder| folder.components().count());
    for folder in &folders {
        folder_at(folder, whose, Position::OnTheWay)?;
    }
    let links = usize::from(target.as_ref().is_some_and(|target| *target != named));
    let last = folders.pop().unwrap_or_else(|| named.clone());
    Ok(ResolvedPath { last, links, target })
}

pub(super) fn open_file(path: &Path, whose: Whose) -> Result<Option<File>, Refused> {
    let Some(target) = resolve(path, whose)?.target else {
        return match path.symlink_metadata() {
            Err(_) => Ok(None),
            Ok(_) => Err(Refused::flaw(path, Flaw::new(Fault::Link, "is a link that leads nowhere"))),
        };
    };
    let refused = |error: io::Error| Refused::io(&target, error);
    let Some(file) = open_untrusted(&target).map_err(refused)? else {
        return Err(Refused::flaw(&target, not_a_file()));
    };
    let access = Access::of_file(&file).map_err(refused)?;
    let flaw = match whose {
        Whose::Own => access.write_flaw(&current_user().map_err(refused)?, false),
        Whose::Administrator => access.administered_file_flaw(elevated_user().map_err(refused)?.as_deref()),
    };
    flaw.map_or(Ok(Some(file)), |flaw| Err(Refused::flaw(&target, flaw)))
}

/// This user, if this program runs as an administrator.
fn elevated_user() -> io::Result<Option<String>> {
    if is_elevated()? { current_user().map(Some) } else { Ok(None) }
}

fn not_a_file() -> Flaw {
    Flaw::new(Fault::Kind, "is not a file")
}

pub(super) fn open_untrusted(path: &Path) -> io::Result<Option<File>> {
    // A folder can't be opened like a file, and what is said about that is no help.
    if path.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Ok(None);
    }
    let file = File::open(path)?;
    Ok(is_on_disk(&file).then_some(file))
}

pub(super) fn open_own(path: &Path, access: OpenMode) -> Result<Option<File>, Refused> {
    let refused = |error: io::Error| Refused::io(path, error);
    let kind = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(refused)?.file_type(),
    };
    if kind.is_symlink() {
        return Err(Refused::flaw(path, Flaw::new(Fault::Link, "is a symbolic link")));
    }
    if !kind.is_file() {
        return Err(Refused::flaw(path, not_a_file()));
    }
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    match access {
        OpenMode::Read => &mut options,
        OpenMode::Write => options.write(true),
        OpenMode::Append => options.append(true),
    };
    let file = options.open(path).map_err(refused)?;
    let names = names_of(&file).map_err(refused)?;
    if names > 1 {
        return Err(Refused::flaw(path, Flaw::new(Fault::Names, format!("has {names} names (hard links)"))));
    }
    let me = current_user().map_err(refused)?;
    let flaw = Access::of_file(&file).map_err(refused)?.write_flaw(&me, false);
    flaw.map_or(Ok(Some(file)), |flaw| Err(Refused::flaw(path, flaw)))
}

pub(super) fn privacy_of(file: &File) -> io::Result<Option<Flaw>> {
    Ok(Access::of_file(file)?.privacy_flaw(&current_user()?))
}

pub(super) fn folder_at(path: &Path, whose: Whose, _position: Position) -> Result<(), Refused> {
    let refused = |error: io::Error| Refused::io(path, error);
    if !path.metadata().map_err(refused)?.is_dir() {
        return Err(Refused::flaw(path, Flaw::new(Fault::Kind, "is not a folder")));
    }
    // There is no sticky bit, so a folder on the way is looked at as one whose whole content counts.
    let access = Access::of(path).map_err(refused)?;
    let flaw = match whose {
        Whose::Own => access.write_flaw(&current_user().map_err(refused)?, true),
        Whose::Administrator => access.administered_folder_flaw(elevated_user().map_err(refused)?.as_deref()),
    };
    flaw.map_or(Ok(()), |flaw| Err(Refused::flaw(path, flaw)))
}

pub(super) fn part_of_program(path: &Path) -> Result<Option<File>, Refused> {
    let refused = |error: io::Error| Refused::io(path, error);
    if path.metadata().map_err(refused)?.is_dir() {
        return folder_at(path, Whose::Own, Position::Whole).map(|()| None);
    }
    let Some(file) = open_untrusted(path).map_err(refused)? else {
        return Err(Refused::flaw(path, Flaw::new(Fault::Kind, "is neither a file nor a folder")));
    };
    let me = current_user().map_err(refused)?;
    match Access::of_file(&file).map_err(refused)?.write_flaw(&me, false) {
        None => Ok(Some(file)),
        Some(flaw) => Err(Refused::flaw(path, flaw)),
    }
}

/// As [`part_of_program`], without opening it to read.
pub(super) fn judge_closed(path: &Path) -> Result<(), Refused> {
    let refused = |error: io::Error| Refused::io(path, error);
    let is_folder = path.metadata().map_err(refused)?.is_dir();
    let me = current_user().map_err(refused)?;
    let flaw = Access::of(path).map_err(refused)?.write_flaw(&me, is_folder);
    flaw.map_or(Ok(()), |flaw| Err(Refused::flaw(path, flaw)))
}

pub(super) fn private_folder_at(path: &Path) -> Result<(), Refused> {
    let refused = |error: io::Error| Refused::io(path, error);
    if !path.symlink_metadata().map_err(refused)?.is_dir() {
        return Err(Refused::flaw(path, Flaw::new(Fault::Kind, "is not a folder")));
    }
    let me = current_user().map_err(refused)?;
    let flaw = Access::of(path).map_err(refused)?.privacy_flaw(&me);
    flaw.map_or(Ok(()), |flaw| Err(Refused::flaw(path, flaw)))
}

pub(super) fn private_folder(path: &Path) -> Result<PathBuf, Refused> {
    let way = resolve(path, Whose::Own)?;
    if let Some(target) = way.target {
        return private_folder_at(&target).map(|()| target);
    }
    let path = std::path::absolute(path).map_err(|error| Refused::io(path, error))?;
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| folder.symlink_metadata().is_err()).collect();
    for (at, folder) in missing.iter().rev().enumerate() {
        // Where another process of ours was faster, its folder will do.
        let made = super::private_folder_in_private(folder);
        if made.is_err() {
            // Only what was made here, and is empty.
            missing.iter().rev().take(at).collect::<Vec<_>>().into_iter().rev().for_each(|folder| {
                let _ = std::fs::remove_dir(folder);
            });
        }
        made?;
    }
    real(&path).map_err(|error| Refused::io(&path, error))
}

/// Makes a folder that did not exist before, for this user, SYSTEM and administrators only, and looks at it; what is made in
/// it inherits that. Parents must exist.
///
/// # Errors
/// What the system says; `AlreadyExists` if something has the name; a file system without access lists (exFAT).
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    create_dir(path, &private_sddl("OICI")?)?;
    private_folder_at(path).map_err(|refused| {
        let _ = std::fs::remove_dir(path);
        made_badly(refused)
    })
}

/// Makes a file that did not exist before, for this user, SYSTEM and administrators only, open for reading and writing, and
/// looks at it.
///
/// # Errors
/// What the system says; `AlreadyExists` if something has the name; a file system without access lists (exFAT).
pub(crate) fn create_private_file(path: &Path) -> io::Result<File> {
    let file = create_file(path, &private_sddl("")?)?;
    let refused = match privacy_of(&file) {
        Ok(None) => return Ok(file),
        Ok(Some(flaw)) => made_badly(Refused::flaw(path, flaw)),
        Err(error) => error,
    };
    drop(file);
    let _ = std::fs::remove_file(path);
    Err(refused)
}

/// A file that takes the place of another one stays private to this user: a profile's folder grants nobody else anything.
#[allow(clippy::unnecessary_wraps, reason = "elsewhere the system may refuse")]
pub(crate) fn copy_rights(_from: &File, _to: &File) -> io::Result<()> {
    Ok(())
}

fn made_badly(refused: Refused) -> io::Error {
    match refused.cause {
        super::Cause::Io(error) => error,
        super::Cause::Flaw(flaw) => io::Error::other(format!(
            "it lies on a file system that does not keep owners and access lists (exFAT, a network share): what was made there {}",
            flaw.text
        )),
    }
}

/// The owner this user, and a list that is not added to by the folder above.
fn private_sddl(inheritance: &str) -> io::Result<String> {
    let me = current_user()?;
    Ok(format!("O:{me}D:P(A;{inheritance};FA;;;{me})(A;{inheritance};FA;;;SY)(A;{inheritance};FA;;;BA)"))
}

/// Why `path` is not private to this user, as the end of the sentence "`path` …", or `None` if it is: not a link, owned by
/// this user, SYSTEM or administrators, and nobody else is granted anything.
///
/// # Errors
/// What the system says.
pub fn privacy_flaw(path: &Path) -> io::Result<Option<String>> {
    if path.symlink_metadata()?.file_type().is_symlink() {
        return Ok(Some("is a symbolic link".to_owned()));
    }
    Ok(Access::of(path)?.privacy_flaw(&current_user()?).map(|flaw| flaw.text))
}

/// Opens a file for overwriting, but not what a link leads to, or what has another name.
pub(crate) fn open_to_overwrite(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)?;
    if names_of(&file)? == 1 { Ok(file) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

pub(super) fn is_own(path: &Path) -> io::Result<bool> {
    let owner = Access::of(path)?.owner.text;
    // What an administrator makes may belong to the group.
    Ok(owner == current_user()? || owner == ADMINISTRATORS)
}

/// Nothing here depends on it: administrators write as themselves, in places of their own.
pub(crate) fn runs_as_administrator() -> bool {
    false
}

/// Whether `path` still names this open file: no other takes its name while it is open.
pub(crate) fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    Ok(names_of(file)? > 0 && path.symlink_metadata().is_ok())
}

/// Windows has no such right to take away: what runs is told by its name.
pub(crate) fn is_executable(file: &File) -> io::Result<bool> {
    file.metadata().map(|_| false)
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
