//! A file that is somebody else's and gets a block of our lines: the AWS CLI's settings.
//!
//! It is read once, and written whole or not at all, and only if it still holds what was read: other programs write to it, and
//! none of them knows of a lock. The file that a link of this user's leads to is changed, and the link stays.

mod block;

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::Why;
use crate::os;
use crate::safety::path_trust::{self, OpenMode, Refused, Whose};
pub(crate) use block::{BlockFlaw, BlockKey, MadeFor, blocks, lines_of, with_block, without_block};

/// Hundreds of profiles are some hundred kilobytes.
const MAX_SIZE: u64 = 16 << 20;
/// How long another process of this program may take to write the same file.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// A file as it was read, and where it is.
pub(crate) struct SharedFile {
    /// As it was named.
    named: PathBuf,
    /// Without links.
    real: PathBuf,
    /// `None` if there is no such file. It may hold other people's secrets.
    content: Option<Vec<u8>>,
    /// What is to be made to write it.
    to_make: MadeFor,
}

/// Why a file is not changed.
#[derive(Debug)]
pub(crate) enum NotChanged {
    /// It is not this program's to change: the end of the sentence "it was not changed, since …".
    Refused(Why),
    /// Another program has changed it since it was read.
    Raced,
}

impl From<Refused> for NotChanged {
    fn from(refused: Refused) -> Self {
        let path = refused.path.clone();
        Self::Refused(refused.into_why(&path))
    }
}

impl From<io::Error> for NotChanged {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.into())
    }
}

impl From<BlockFlaw> for NotChanged {
    fn from(BlockFlaw(flaw): BlockFlaw) -> Self {
        Self::Refused(format!("it {flaw}").into())
    }
}

impl fmt::Debug for SharedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedFile({}, …)", self.real.display())
    }
}

impl SharedFile {
    /// Reads the file, or finds out where it would be made.
    ///
    /// # Errors
    /// What path trust says of it, of a folder or a link on the way; a second name of it; what is no text.
    pub(crate) fn read(path: &Path) -> Result<Self, NotChanged> {
        let named = std::path::absolute(path)?;
        let refused = |refused: Refused| NotChanged::Refused(refused.into_why(&named));
        let way = path_trust::resolve(&named, Whose::Own).map_err(refused)?;
        let Some(real) = way.target else { return Self::missing(named, &way.last, way.links) };
        let file = path_trust::open_own(&real, OpenMode::Read).map_err(refused)?;
        let Some(file) = file else { return Err(NotChanged::Raced) };
        let content = path_trust::read_bounded(file, MAX_SIZE)?;
        if content.contains(&0) {
            return Err(NotChanged::Refused(
                "it is not a text that the AWS CLI can read (it has zero bytes)".to_owned().into(),
            ));
        }
        Ok(Self { named, real, content: Some(content), to_make: MadeFor::Nothing })
    }

    fn missing(named: PathBuf, last: &Path, links: usize) -> Result<Self, NotChanged> {
        let refuse = |why: &str| Err(NotChanged::Refused(why.to_owned().into()));
        let (Some(name), Some(folder)) = (named.file_name(), named.parent()) else { return refuse("it names no file") };
        if fs::symlink_metadata(&named).is_ok() {
            return refuse("it is a link that leads nowhere");
        }
        let (folder_name, above) = (folder.file_name(), folder.parent());
        let is_at =
            |path: &Path| path_trust::resolve(path, Whose::Own).is_ok_and(|way| way.target.as_deref() == Some(last));
        if is_at(folder) {
            let real = last.join(name);
            return Ok(Self { named, real, content: None, to_make: MadeFor::File });
        }
        match (folder_name, above) {
            (Some(folder_name), Some(above)) if links == 0 && is_at(above) => {
                let real = last.join(folder_name).join(name);
                Ok(Self { named, real, content: None, to_make: MadeFor::Folder })
            }
            _ => refuse("the folder that it would be in is not there"),
        }
    }

    /// As it was named, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.named
    }

    /// What a link led to, if there was one on the way.
    pub(crate) fn led_to(&self) -> Option<&Path> {
        (self.named != self.real).then_some(&self.real)
    }

    /// Where it is, whatever links lead there.
    pub(crate) fn real(&self) -> &Path {
        &self.real
    }

    /// What it holds; nothing if it is not there.
    pub(crate) fn content(&self) -> &[u8] {
        self.content.as_deref().unwrap_or_default()
    }

    /// What has to be made to write it.
    pub(crate) fn to_make(&self) -> MadeFor {
        self.to_make
    }

    /// Puts `new` in the place of what was read: whole and synced, or not at all, with the same rights as before.
    ///
    /// # Errors
    /// What the system or path trust says; that another program has changed it. Then it is as that left it.
    pub(crate) fn replace(&self, new: &[u8]) -> Result<(), NotChanged> {
        self.replace_with(new, path_trust::copy_rights)
    }

    /// The same for a file with a secret: private to this user, and refused if the one that is there is not.
    ///
    /// # Errors
    /// Those of [`SharedFile::replace`]; that others can open the file.
    pub(crate) fn replace_private(&self, new: &[u8]) -> Result<(), NotChanged> {
        // The draft was made private and stays so, whatever becomes of the rights of the other meanwhile.
        self.replace_with(new, |_, _| match private(&self.real)? {
            None => Ok(()),
            Some(flaw) => Err(io::Error::other(format!("it {flaw}, and it is to hold a key unencrypted"))),
        })
    }

    fn replace_with(&self, new: &[u8], rights: impl Fn(&File, &File) -> io::Result<()>) -> Result<(), NotChanged> {
        let folder = self.real.parent().unwrap_or(&self.real);
        if self.to_make == MadeFor::Folder {
            path_trust::private_folder(folder)?;
        }
        let mut half = HalfWritten::open(&self.real)?;
        half.file.set_len(0)?;
        half.file.seek(SeekFrom::Start(0))?;
        half.file.write_all(new)?;
        // The slow part first: nothing that another program may use stands between the comparison and the rename.
        half.file.sync_all()?;
        if let Some(current) = self.unchanged()? {
            rights(&current, &half.file)?;
        }
        fs::rename(&half.path, &self.real)?;
        half.is_done = true;
        tracing::debug!(file = %self.real.display(), "written");
        Ok(os::sync_dir(folder)?)
    }

    /// Removes the file, and the folder with it if that is empty then and `made` says so.
    ///
    /// # Errors
    /// Those of [`SharedFile::replace`].
    pub(crate) fn remove(&self, made: MadeFor) -> Result<(), NotChanged> {
        let folder = self.real.parent().unwrap_or(&self.real);
        let half = HalfWritten::open(&self.real)?;
        if self.unchanged()?.is_some() {
            fs::remove_file(&self.real)?;
        }
        drop(half);
        if made == MadeFor::Folder && fs::remove_dir(folder).is_ok() {
            return Ok(folder.parent().map_or(Ok(()), os::sync_dir)?);
        }
        Ok(os::sync_dir(folder)?)
    }

    /// Removes the draft that a killed process of this program left beside the file `path`, whether or not that is there. One that is
    /// at work is waited for. Returns whether there was one.
    ///
    /// # Errors
    /// What the system or path trust says of the draft, which the error names.
    pub(crate) fn remove_leftover(path: &Path) -> Result<bool, (PathBuf, NotChanged)> {
        let named = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // Without the file itself its folder may still be reached by a link.
        let beside =
            || named.parent()?.canonicalize().ok().map(|folder| folder.join(named.file_name().unwrap_or_default()));
        let Some(real) = named.canonicalize().ok().or_else(beside) else { return Ok(false) };
        let draft = draft_of(&real);
        if draft.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(false);
        }
        let remove = || {
            let mut half = HalfWritten::open(&real)?;
            fs::remove_file(&half.path)?;
            half.is_done = true;
            Ok(true)
        };
        remove().map_err(|not_changed| (draft.clone(), not_changed))
    }

    /// The file that is there now, if it holds what was read.
    fn unchanged(&self) -> Result<Option<File>, NotChanged> {
        let now = path_trust::open_own(&self.real, OpenMode::Read)?;
        let content = now.as_ref().map(File::try_clone).transpose()?;
        let content = content.map(|file| path_trust::read_bounded(file, MAX_SIZE)).transpose()?;
        if content == self.content { Ok(now) } else { Err(NotChanged::Raced) }
    }
}

/// What is written before it takes the place of a file, beside it. It is the lock as well: one process of this program at a time
/// has it. What a killed one left is written over.
struct HalfWritten {
    path: PathBuf,
    file: File,
    is_done: bool,
}

/// Where a file is written before it takes the place of `real`: hidden, and under a name that nobody gives a copy by hand.
fn draft_of(real: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(real.file_name().unwrap_or_default());
    name.push(".snow-onboard-draft");
    real.with_file_name(name)
}

/// Why others can open what is at `path`. Of what is not there that can't be said.
fn private(path: &Path) -> io::Result<Option<String>> {
    match path_trust::privacy_flaw(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        said => said,
    }
}

impl HalfWritten {
    fn open(of: &Path) -> Result<Self, NotChanged> {
        let path = draft_of(of);
        let until = Instant::now() + MAX_WAIT;
        loop {
            let file = match path_trust::create_private_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    path_trust::open_own(&path, OpenMode::Write)?
                }
                made => Some(made?),
            };
            let Some(file) = file else { continue };
            match file.try_lock() {
                // One that others can open is not written into: a run may have been killed after it copied the rights of a file.
                Ok(()) if private(&path)?.is_some() => match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                    _ => {}
                },
                // Whoever had it may have put it in its place meanwhile.
                Ok(()) if path_trust::is_still_at(&file, &path)? => return Ok(Self { path, file, is_done: false }),
                Ok(()) => {}
                Err(TryLockError::Error(error)) => return Err(error.into()),
                Err(TryLockError::WouldBlock) if Instant::now() > until => return Err(NotChanged::Raced),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for HalfWritten {
    fn drop(&mut self) {
        if !self.is_done {
            // One that stays is written over by the next command.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(dir.path()).unwrap().join(".aws").join("config");
        (dir, path)
    }

    fn why(result: Result<impl Sized, NotChanged>) -> String {
        match result.map(drop) {
            Err(NotChanged::Refused(why)) => why.to_string(),
            Err(NotChanged::Raced) => "raced".to_owned(),
            Ok(()) => "done".to_owned(),
        }
    }

    #[test]
    fn a_file_and_its_folder_are_made_and_go_again() {
        let (dir, path) = folder();
        for made in [MadeFor::Folder, MadeFor::File] {
            if made == MadeFor::File {
                fs::create_dir(path.parent().unwrap()).unwrap();
            }
            let file = SharedFile::read(&path).unwrap();
            assert_eq!((file.content(), file.to_make(), file.led_to()), (&b""[..], made, None));
            file.replace(b"ours").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"ours");
            assert_eq!(path_trust::privacy_flaw(&path).unwrap(), None);
            assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing beside it");
            SharedFile::read(&path).unwrap().remove(made).unwrap();
            assert!(!path.exists() && path.parent().unwrap().exists() == (made == MadeFor::File));
        }
        assert!(why(SharedFile::read(&dir.path().join("a/b/config"))).contains("folder that it would be in"));
        let file = SharedFile::read(&path).unwrap();
        file.replace(b"x").unwrap();
        fs::write(path.with_file_name("sso"), "theirs").unwrap();
        SharedFile::read(&path).unwrap().remove(MadeFor::Folder).unwrap();
        assert!(path.with_file_name("sso").exists(), "a folder with something in it stays");
    }

    #[test]
    fn what_another_program_has_written_meanwhile_stays() {
        let (_dir, path) = folder();
        fs::create_dir(path.parent().unwrap()).unwrap();
        let absent = SharedFile::read(&path).unwrap();
        fs::write(&path, "one").unwrap();
        let one = SharedFile::read(&path).unwrap();
        fs::write(&path, "two").unwrap();
        for stale in [absent, one] {
            assert_eq!(
                (why(stale.replace(b"ours")), why(stale.remove(MadeFor::File))),
                ("raced".to_owned(), "raced".to_owned())
            );
            assert_eq!(fs::read(&path).unwrap(), b"two");
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing beside it");
    }

    #[test]
    fn what_a_killed_run_left_is_written_over_and_one_at_work_is_waited_for() {
        let (_dir, path) = folder();
        fs::create_dir(path.parent().unwrap()).unwrap();
        let half = path.with_file_name(".config.snow-onboard-draft");
        // What the user called so is the user's.
        let backup = path.with_file_name("config.snow-onboard");
        fs::write(&backup, "theirs").unwrap();
        drop(path_trust::create_private_file(&half).unwrap());
        fs::write(&half, "a longer text than the one that is written now").unwrap();
        SharedFile::read(&path).unwrap().replace(b"ours").unwrap();
        assert_eq!((fs::read(&path).unwrap(), half.exists()), (b"ours".to_vec(), false));

        drop(path_trust::create_private_file(&half).unwrap());
        assert!(SharedFile::remove_leftover(&path).unwrap() && !half.exists() && path.exists());
        assert!(!SharedFile::remove_leftover(&path).unwrap());
        assert_eq!(fs::read(&backup).unwrap(), b"theirs");

        let at_work = HalfWritten::open(&path).unwrap();
        let file = SharedFile::read(&path).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| file.replace(b"second"));
            std::thread::sleep(Duration::from_millis(100));
            assert!(!waiting.is_finished());
            drop(at_work);
            waiting.join().unwrap().unwrap();
        });
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }

    /// Whoever waited for the draft of another has the file that took its place by then, and may not write into that.
    #[test]
    fn a_draft_that_was_put_in_its_place_is_not_written_into() {
        let (_dir, path) = folder();
        fs::create_dir(path.parent().unwrap()).unwrap();
        let mut at_work = HalfWritten::open(&path).unwrap();
        let file = SharedFile::read(&path).unwrap();
        at_work.file.write_all(b"ours").unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| file.replace(b"second"));
            std::thread::sleep(Duration::from_millis(100));
            fs::rename(&at_work.path, &path).unwrap();
            at_work.is_done = true;
            drop(at_work);
            assert_eq!(why(waiting.join().unwrap()), "raced");
        });
        assert_eq!(fs::read(&path).unwrap(), b"ours");
    }

    #[test]
    fn many_at_once_change_it_one_after_the_other() {
        let (_dir, path) = folder();
        SharedFile::read(&path).unwrap().replace(b"").unwrap();
        std::thread::scope(|scope| {
            for number in 0..8_u8 {
                let path = &path;
                scope.spawn(move || {
                    while let Err(NotChanged::Raced) = SharedFile::read(path).and_then(|file| {
                        let new = [file.content(), &[b'a' + number]].concat();
                        file.replace(&new)
                    }) {}
                });
            }
        });
        let mut letters = fs::read(&path).unwrap();
        letters.sort_unstable();
        assert_eq!(letters, b"abcdefgh");
    }

    #[cfg(unix)]
    #[test]
    fn its_rights_stay_and_a_link_stays_a_link() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let (dir, path) = folder();
        fs::create_dir(path.parent().unwrap()).unwrap();
        let dotfile = fs::canonicalize(dir.path()).unwrap().join("dotfiles");
        for mode in [0o600, 0o644, 0o640, 0o400] {
            let _ = fs::remove_file(&dotfile);
            fs::write(&dotfile, "theirs").unwrap();
            fs::set_permissions(&dotfile, fs::Permissions::from_mode(mode)).unwrap();
            let _ = fs::remove_file(&path);
            symlink(&dotfile, &path).unwrap();
            let file = SharedFile::read(&path).unwrap();
            assert_eq!(file.led_to(), Some(&*dotfile));
            file.replace(b"ours").unwrap();
            assert_eq!(fs::read(&dotfile).unwrap(), b"ours");
            assert!(path.is_symlink() && fs::metadata(&dotfile).unwrap().permissions().mode() & 0o7777 == mode);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_with_a_secret_is_private_whatever_was_there() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, path) = folder();
        fs::create_dir(path.parent().unwrap()).unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let draft = draft_of(&path);
        fs::write(&draft, "left").unwrap();
        set(&draft, 0o644);
        let mut seen_by_others = File::open(&draft).unwrap();
        SharedFile::read(&path).unwrap().replace_private(b"key").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(io::read_to_string(&mut seen_by_others).unwrap(), "left");
        let file = SharedFile::read(&path).unwrap();
        set(&path, 0o644);
        assert!(why(file.replace_private(b"second key")).contains("unencrypted"));
        assert_eq!(fs::read(&path).unwrap(), b"key");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_this_user_s_alone_is_refused() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let (_dir, path) = folder();
        fs::create_dir(path.parent().unwrap()).unwrap();
        symlink("gone", &path).unwrap();
        assert_eq!(why(SharedFile::read(&path)), "it is a link that leads nowhere");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "x\0y").unwrap();
        assert!(why(SharedFile::read(&path)).contains("zero bytes"));
        fs::write(&path, "x").unwrap();
        fs::hard_link(&path, path.with_file_name("second")).unwrap();
        assert!(why(SharedFile::read(&path)).contains("2 names"));
        fs::remove_file(path.with_file_name("second")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(why(SharedFile::read(&path)).contains("can be written by everyone"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let folder = path.parent().unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(why(SharedFile::read(&path)).contains("can be written by everyone"));
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }
}
