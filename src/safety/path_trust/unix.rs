//! Linux and macOS: owners, modes, access lists, and the walk from the root.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, readlinkat, statat, unlinkat};
use rustix::io::Errno;

use super::accounts::{is_nobody_elses, is_this_user, name_of, name_of_group};
use super::{Fault, Flaw, OpenMode, Position, Refused, ResolvedPath, Whose, acl};

/// As many links as Linux follows.
const MAX_CHAINED_LINKS: usize = 40;
const PRIVATE_FOLDER: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

/// What an access list grants beside owner, group and everyone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AccessList {
    /// Whether the file's group may write, where the list says so and not the mode.
    pub(super) group_writes: Option<bool>,
    /// Who may write.
    pub(super) writers: Vec<Grant>,
    /// Who may do anything at all, where the mode does not bound that.
    pub(super) openers: Vec<Grant>,
}

/// A right of somebody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) to: Grantee,
}

/// Who has a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grantee {
    User(u32),
    Group(u32),
    /// An account that no longer is, or everyone.
    #[cfg_attr(target_os = "linux", allow(dead_code, reason = "Linux names each by number"))]
    Unknown,
}

impl Grantee {
    fn is_trusted(self, whose: Whose) -> bool {
        match self {
            Self::User(uid) => is_trusted(uid, whose),
            Self::Group(gid) => is_nobody_elses(gid, whose == Whose::Own),
            Self::Unknown => false,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::User(uid) => name_of(uid),
            Self::Group(gid) => format!("the group {}", name_of_group(gid)),
            Self::Unknown => "others".to_owned(),
        }
    }
}

pub(super) fn is_trusted(uid: u32, whose: Whose) -> bool {
    uid == 0 || (whose == Whose::Own && is_this_user(uid))
}

/// What is known of a thing that is open.
#[derive(Debug)]
struct Seen {
    kind: FileType,
    uid: u32,
    gid: u32,
    mode: u32,
    names: u64,
    list: AccessList,
}

impl Seen {
    fn of(file: BorrowedFd<'_>) -> io::Result<Self> {
        let mut seen = Self::without_list(&fstat(file)?);
        // Where the group may not write, a list on Linux lets nobody write; on macOS the two have nothing to do with each
        // other.
        if cfg!(target_os = "macos") || seen.mode & 0o020 != 0 {
            seen.list = acl::access_list(file)?;
        }
        Ok(seen)
    }

    fn without_list(stat: &Stat) -> Self {
        // The types of these fields differ between systems.
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: u32::from(stat.st_mode) & 0o7777,
            names: stat.st_nlink as u64,
            list: AccessList::default(),
        }
    }

    fn is_folder(&self) -> bool {
        self.kind == FileType::Directory
    }

    fn owner_flaw(&self, whose: Whose) -> Option<Flaw> {
        (!is_trusted(self.uid, whose)).then(|| Flaw::owned_by(name_of(self.uid)))
    }

    /// Who besides those that are trusted may write.
    fn write_flaw(&self, whose: Whose, position: Position) -> Option<Flaw> {
        let writable =
            |by: String| Some(Flaw::new(Fault::Writable, format!("can be written by {by} (mode {:04o})", self.mode)));
        if let Some(flaw) = self.owner_flaw(whose) {
            return Some(flaw);
        }
        // In a sticky folder others may add, and exchange nothing that is not theirs.
        let is_sticky = position == Position::OnTheWay && self.is_folder() && self.mode & 0o1000 != 0;
        if is_sticky && self.list.writers.is_empty() {
            return None;
        }
        if self.mode & 0o002 != 0 && !is_sticky {
            return writable("everyone".to_owned());
        }
        let group_writes = self.list.group_writes.unwrap_or(self.mode & 0o020 != 0);
        if group_writes && !is_sticky && !Grantee::Group(self.gid).is_trusted(whose) {
            return writable(Grantee::Group(self.gid).shown());
        }
        // On Linux the sticky bit binds them as well.
        if is_sticky && cfg!(target_os = "linux") {
            return None;
        }
        let other = self.list.writers.iter().find(|grant| !grant.to.is_trusted(whose))?;
        Some(Flaw::new(Fault::Writable, format!("can be written by {}, by its access list", other.to.shown())))
    }

    /// Why it is not this very user's alone.
    fn privacy_flaw(&self) -> Option<Flaw> {
        if !is_this_user(self.uid) {
            return Some(Flaw::owned_by(name_of(self.uid)));
        }
        if self.mode & 0o077 != 0 {
            return Some(Flaw::new(Fault::Open, format!("can be opened by others (mode {:04o})", self.mode)));
        }
        let other = self.list.openers.iter().find(|grant| !grant.to.is_trusted(Whose::Own))?;
        Some(Flaw::new(Fault::Open, format!("can be opened by {}, by its access list", other.to.shown())))
    }

    /// Why it is no file that this program made, in a folder that nobody else can change.
    fn own_file_flaw(&self) -> Option<Flaw> {
        if self.kind == FileType::Symlink {
            Some(Flaw::new(Fault::Link, "is a symbolic link"))
        } else if self.kind != FileType::RegularFile {
            Some(not_a_file())
        } else if self.names > 1 {
            Some(Flaw::new(Fault::Names, format!("has {} names (hard links)", self.names)))
        } else if !is_this_user(self.uid) {
            Some(Flaw::owned_by(name_of(self.uid)))
        } else {
            self.write_flaw(Whose::Own, Position::Whole)
        }
    }
}

fn not_a_file() -> Flaw {
    Flaw::new(Fault::Kind, "is not a file")
}

fn not_a_folder() -> Flaw {
    Flaw::new(Fault::Kind, "is not a folder")
}

/// What has just been made, and is not as it was asked to be.
fn no_owners(flaw: &Flaw) -> Flaw {
    let text = format!(
        "lies on a file system that does not keep owners and permissions (NTFS, exFAT, a Windows or network share): what was made there {}",
        flaw.text
    );
    Flaw::new(Fault::NoOwners, text)
}

/// A folder, opened to look at it and to look names up in it.
fn open_folder<Fd: AsFd>(at: Fd, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A folder that may be entered and not listed can be opened so on Linux.
    openat(at, name, flags | path_only(), Mode::empty())
}

/// Where a walk is.
struct PathWalk {
    whose: Whose,
    /// The folder where it is, without links, and open.
    here: (PathBuf, OwnedFd),
    ahead: VecDeque<OsString>,
    links: usize,
    /// While it goes by names that a link gave: how many are left beyond those.
    beyond_link: Option<usize>,
}

/// Where a walk ended.
enum End {
    /// At the name in the folder that the walk is in, or at that folder itself.
    At(Option<OsString>),
    /// The first of these names is not there in the folder that the walk is in; perhaps a link gave it, which leads nowhere.
    Missing { names: Vec<OsString>, by_link: bool },
}

impl PathWalk {
    fn start(path: &Path, whose: Whose) -> Result<Self, Refused> {
        let path = std::path::absolute(path).map_err(|error| Refused::io(path, error))?;
        let mut walk = Self { whose, here: root()?, ahead: VecDeque::new(), links: 0, beyond_link: None };
        walk.put_ahead(&path)?;
        Ok(walk)
    }

    fn put_ahead(&mut self, path: &Path) -> Result<(), Refused> {
        for part in path.components().rev() {
            match part {
                Component::Normal(name) => self.ahead.push_front(name.to_owned()),
                Component::ParentDir => self.ahead.push_front(OsString::from("..")),
                Component::RootDir => self.here = root()?,
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Ok(())
    }

    fn folder(&self) -> (&Path, BorrowedFd<'_>) {
        (&self.here.0, self.here.1.as_fd())
    }

    /// Goes to the end, or to where there is nothing.
    fn go(&mut self) -> Result<End, Refused> {
        while let Some(name) = self.ahead.pop_front() {
            if name == ".." {
                // Up again by the way that led here; ".." of a folder is what the file system says it is.
                let above = self.here.0.parent().map(Path::to_owned).unwrap_or_default();
                self.here = root()?;
                self.put_ahead(&above)?;
                continue;
            }
            let (folder, opened) = self.folder();
            judge_folder(folder, opened, self.whose, Position::OnTheWay)?;
            let path = folder.join(&name);
            let refused = |error: Errno| Refused::io(&path, error.into());
            let stat = match statat(opened, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => {
                    let by_link = self.beyond_link.is_some_and(|beyond| self.ahead.len() >= beyond);
                    let names = std::iter::once(name).chain(self.ahead.drain(..)).collect();
                    return Ok(End::Missing { names, by_link });
                }
                result => result.map_err(refused)?,
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                if let Some(flaw) = Seen::without_list(&stat).owner_flaw(self.whose) {
                    let text = format!("is a link that {}", flaw.text);
                    return Err(Refused::flaw(&path, Flaw { text, ..flaw }));
                }
                let target = readlinkat(opened, &name, Vec::new()).map_err(refused)?;
                // A link within what another one gave is part of that.
                let left = self.ahead.len();
                self.beyond_link = self.beyond_link.filter(|beyond| left >= *beyond).or(Some(left));
                self.links += 1;
                if self.links > MAX_CHAINED_LINKS {
                    return Err(refused(Errno::LOOP));
                }
                self.put_ahead(Path::new(&OsString::from_vec(target.into_bytes())))?;
            } else if self.ahead.is_empty() {
                return Ok(End::At(Some(name)));
            } else {
                let opened = open_folder(opened, &name).map_err(refused)?;
                self.here = (path, opened);
            }
        }
        Ok(End::At(None))
    }
}

fn root() -> Result<(PathBuf, OwnedFd), Refused> {
    let path = PathBuf::from("/");
    let opened = open_folder(rustix::fs::CWD, &*path).map_err(|error| Refused::io(&path, error.into()))?;
    Ok((path, opened))
}

fn judge_folder(path: &Path, opened: BorrowedFd<'_>, whose: Whose, position: Position) -> Result<(), Refused> {
    let seen = Seen::of(opened).map_err(|error| Refused::io(path, error))?;
    if !seen.is_folder() {
        return Err(Refused::flaw(path, not_a_folder()));
    }
    seen.write_flaw(whose, position).map_or(Ok(()), |flaw| Err(Refused::flaw(path, flaw)))
}

pub(super) fn resolve(path: &Path, whose: Whose) -> Result<ResolvedPath, Refused> {
    let mut walk = PathWalk::start(path, whose)?;
    let end = walk.go()?;
    let here = walk.folder().0;
    let target = match end {
        End::At(None) => Some(here.to_owned()),
        End::At(Some(name)) => Some(here.join(name)),
        End::Missing { .. } => None,
    };
    Ok(ResolvedPath { last: here.to_owned(), links: walk.links, target })
}

pub(super) fn open_file(path: &Path, whose: Whose) -> Result<Option<File>, Refused> {
    let mut walk = PathWalk::start(path, whose)?;
    match walk.go()? {
        End::Missing { by_link: true, .. } => {
            Err(Refused::flaw(path, Flaw::new(Fault::Link, "is a link that leads nowhere, or lies behind one")))
        }
        End::Missing { .. } => Ok(None),
        End::At(None) => Err(Refused::flaw(path, not_a_file())),
        End::At(Some(name)) => {
            let (folder, opened) = walk.folder();
            let real = folder.join(&name);
            match open_trusted_at(opened, &name, &real, whose)? {
                Some(file) => Ok(Some(file)),
                None => Err(Refused::flaw(&real, not_a_file())),
            }
        }
    }
}

/// Opens the file `name` in a folder that is open, at `path`, if it is one and trusted.
fn open_trusted_at<Fd: AsFd>(folder: Fd, name: &OsStr, path: &Path, whose: Whose) -> Result<Option<File>, Refused> {
    let refused = |error: io::Error| Refused::io(path, error);
    // What belongs to somebody else may not be ours to open, which then says less than whose it is.
    let stat = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| refused(error.into()))?;
    if let Some(flaw) = Seen::without_list(&stat).owner_flaw(whose) {
        return Err(Refused::flaw(path, flaw));
    }
    let Some(file) = open_regular_at(folder, name).map_err(refused)? else { return Ok(None) };
    let flaw = Seen::of(file.as_fd()).map_err(refused)?.write_flaw(whose, Position::Whole);
    flaw.map_or(Ok(Some(file)), |flaw| Err(Refused::flaw(path, flaw)))
}

/// Opens a file to read, if it is one. A pipe or a device is not even opened, which it may act upon.
fn open_regular_at<Fd: AsFd>(folder: Fd, name: &OsStr) -> io::Result<Option<File>> {
    let stat = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    // A pipe may have taken the name since; without NONBLOCK, opening it would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(&folder, name, flags, Mode::empty())?;
    let is_file = FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::RegularFile;
    Ok(is_file.then(|| File::from(file)))
}

pub(super) fn open_untrusted(path: &Path) -> io::Result<Option<File>> {
    if !path.metadata()?.is_file() {
        return Ok(None);
    }
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

pub(super) fn open_own(path: &Path, access: OpenMode) -> Result<Option<File>, Refused> {
    let refused = |error: io::Error| Refused::io(path, error);
    // Looked at by name first: opening a pipe or a device is something that it may act upon, and what belongs to somebody
    // else may not be ours to open, which then says less than whose it is.
    match statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(refused(error.into())),
        Ok(stat) => {
            if let Some(flaw) = Seen::without_list(&stat).own_file_flaw() {
                return Err(Refused::flaw(path, flaw));
            }
        }
    }
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags);
    match access {
        OpenMode::Read => &mut options,
        OpenMode::Write => options.write(true),
        OpenMode::Append => options.append(true),
    };
    let file = options.open(path).map_err(refused)?;
    let flaw = Seen::of(file.as_fd()).map_err(refused)?.own_file_flaw();
    flaw.map_or(Ok(Some(file)), |flaw| Err(Refused::flaw(path, flaw)))
}

pub(super) fn privacy_of(file: &File) -> io::Result<Option<Flaw>> {
    Seen::of(file.as_fd()).map(|seen| seen.privacy_flaw())
}

pub(super) fn folder_at(path: &Path, whose: Whose, position: Position) -> Result<(), Refused> {
    let opened = match open_folder(rustix::fs::CWD, path) {
        Err(Errno::NOTDIR | Errno::LOOP) => return Err(Refused::flaw(path, not_a_folder())),
        result => result.map_err(|error| Refused::io(path, error.into()))?,
    };
    judge_folder(path, opened.as_fd(), whose, position)
}

pub(super) fn part_of_program(path: &Path) -> Result<Option<File>, Refused> {
    let refused = |error: io::Error| Refused::io(path, error);
    if path.symlink_metadata().map_err(refused)?.is_dir() {
        return folder_at(path, Whose::Own, Position::Whole).map(|()| None);
    }
    let (folder, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
    let folder = open_folder(rustix::fs::CWD, folder).map_err(|error| refused(error.into()))?;
    match open_trusted_at(&folder, name, path, Whose::Own)? {
        Some(file) => Ok(Some(file)),
        None => Err(Refused::flaw(path, Flaw::new(Fault::Kind, "is neither a file nor a folder"))),
    }
}

/// As [`part_of_program`], without opening it to read.
pub(super) fn judge_closed(path: &Path) -> Result<(), Refused> {
    let refused = |error: Errno| Refused::io(path, error.into());
    // Elsewhere than on Linux a file has to be opened to be read; what can't be is told by owner and mode alone.
    let flags = if cfg!(target_os = "linux") { path_only() } else { OFlags::RDONLY | OFlags::NONBLOCK };
    let seen = match rustix::fs::open(path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(opened) => Seen::of(opened.as_fd()).map_err(|error| Refused::io(path, error))?,
        Err(Errno::ACCESS | Errno::NXIO) => {
            Seen::without_list(&statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW).map_err(refused)?)
        }
        Err(error) => return Err(refused(error)),
    };
    seen.write_flaw(Whose::Own, Position::Whole).map_or(Ok(()), |flaw| Err(Refused::flaw(path, flaw)))
}

/// To look at a thing, and no more.
fn path_only() -> OFlags {
    #[cfg(target_os = "linux")]
    return OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    OFlags::empty()
}

pub(super) fn private_folder_at(path: &Path) -> Result<(), Refused> {
    let opened = match open_folder(rustix::fs::CWD, path) {
        Err(Errno::NOTDIR | Errno::LOOP) => return Err(Refused::flaw(path, not_a_folder())),
        result => result.map_err(|error| Refused::io(path, error.into()))?,
    };
    judge_private(path, opened.as_fd())
}

fn judge_private(path: &Path, opened: BorrowedFd<'_>) -> Result<(), Refused> {
    let seen = Seen::of(opened).map_err(|error| Refused::io(path, error))?;
    seen.privacy_flaw().map_or(Ok(()), |flaw| Err(Refused::flaw(path, flaw)))
}

pub(super) fn private_folder(path: &Path) -> Result<PathBuf, Refused> {
    let mut walk = PathWalk::start(path, Whose::Own)?;
    let missing = match walk.go()? {
        End::At(name) => {
            let folder = walk.folder().0;
            let real = name.map_or(folder.to_owned(), |name| folder.join(name));
            return private_folder_at(&real).map(|()| real);
        }
        End::Missing { names, .. } => names,
    };
    let (mut here, mut above) = (walk.here, Vec::new());
    for name in &missing {
        let made = make_in(&here, name);
        let is_new = made.as_ref().is_ok_and(|made| made.is_new);
        let judged = made.and_then(|made| {
            above.push((std::mem::replace(&mut here, made.here), name, is_new));
            made.judged
        });
        if let Err(refused) = judged {
            // Only what was made here, and is empty.
            for ((_, folder), name, _) in above.iter().rev().take_while(|(.., is_new)| *is_new) {
                let _ = unlinkat(folder, *name, AtFlags::REMOVEDIR);
            }
            return Err(refused);
        }
    }
    Ok(here.0)
}

/// A folder that was made, or was there.
struct Made {
    here: (PathBuf, OwnedFd),
    is_new: bool,
    judged: Result<(), Refused>,
}

/// Makes a private folder in the one that is `here`, for good, opens it and looks at it.
fn make_in(here: &(PathBuf, OwnedFd), name: &OsStr) -> Result<Made, Refused> {
    let (folder, opened) = (&here.0, here.1.as_fd());
    let path = folder.join(name);
    let refused = |error: Errno| Refused::io(&path, error.into());
    if name == ".." {
        return Err(refused(Errno::NOENT));
    }
    let is_new = match mkdirat(opened, name, Mode::from_raw_mode(PRIVATE_FOLDER as _)) {
        // Another process of ours was faster, or it is looked at and refused.
        Err(Errno::EXIST) => false,
        result => result.map(|()| true).map_err(refused)?,
    };
    let made = open_folder(opened, name).map_err(refused)?;
    // What is synced in a folder is of no use when the folder's own name is lost. Whoever may make folders in a folder may
    // not be allowed to open it.
    match openat(opened, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::ACCESS | Errno::PERM) => {}
        opened => match rustix::fs::fsync(opened.map_err(refused)?) {
            Err(Errno::INVAL) => {}
            result => result.map_err(refused)?,
        },
    }
    let judged = match judge_private(&path, made.as_fd()) {
        Err(Refused { cause: super::Cause::Flaw(flaw), .. }) if is_new => Err(Refused::flaw(&path, no_owners(&flaw))),
        judged => judged,
    };
    Ok(Made { here: (path, made), is_new, judged })
}

/// Makes a folder, 0700, that did not exist before (`AlreadyExists` if it did), and looks at it. Parents must exist.
///
/// # Errors
/// What mkdir(2) says; a file system that keeps no owners.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(PRIVATE_FOLDER).create(path)?;
    private_folder_at(path).map_err(|refused| {
        let _ = std::fs::remove_dir(path);
        made_badly(refused)
    })
}

/// Makes a file, 0600, that did not exist before, not even as a link, open for reading and writing, and looks at it.
///
/// # Errors
/// What open(2) says; `AlreadyExists` if something has the name; a file system that keeps no owners.
pub(crate) fn create_private_file(path: &Path) -> io::Result<File> {
    // O_EXCL refuses a symbolic link planted under the name, so O_NOFOLLOW would add nothing.
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(PRIVATE_FILE).open(path)?;
    let refused = match privacy_of(&file) {
        Ok(None) => return Ok(file),
        Ok(Some(flaw)) => made_badly(Refused::flaw(path, flaw)),
        Err(error) => error,
    };
    let _ = std::fs::remove_file(path);
    Err(refused)
}

fn made_badly(refused: Refused) -> io::Error {
    match refused.cause {
        super::Cause::Flaw(flaw) => io::Error::other(format!("it {}", no_owners(&flaw).text)),
        super::Cause::Io(error) => error,
    }
}

/// Why `path` is not private to this user, as the end of the sentence "`path` …", or `None` if it is: not a symbolic link,
/// owned by this very user, nothing granted to group and others.
///
/// # Errors
/// What the system says.
pub fn privacy_flaw(path: &Path) -> io::Result<Option<String>> {
    let meta = path.symlink_metadata()?;
    if meta.is_symlink() {
        return Ok(Some("is a symbolic link".to_owned()));
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty())?;
    Ok(Seen::of(opened.as_fd())?.privacy_flaw().map(|flaw| flaw.text))
}

/// Opens a file of this very user's for overwriting, but not what a link leads to, or what has another name.
pub(crate) fn open_to_overwrite(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
    // A hard link may be a name of somebody else's file, or of another one of this user's.
    let meta = file.metadata()?;
    let is_ours = is_this_user(meta.uid()) && meta.nlink() == 1;
    if is_ours { Ok(file) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

pub(super) fn is_own(path: &Path) -> io::Result<bool> {
    Ok(is_this_user(path.symlink_metadata()?.uid()))
}

/// Whether `path` still names this open file. Its number of names does not tell: NFS renames what is removed while it is open.
pub(crate) fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = fstat(file)?;
    match statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) => Ok((named.st_dev, named.st_ino) == (open.st_dev, open.st_ino)),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether the file may be run, by anyone.
pub(crate) fn is_executable(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o111 != 0)
}

#[cfg(test)]
#[path = "unix_tests.rs"]
mod tests;
