//! Whether code and manifest are stored separately (promise 1).

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::model::{TargetId, UnlockCode};

/// Proof that code and manifest are stored separately. Only [`Separation::check`] can make one, and the hand-over demands it.
#[derive(Debug)]
pub struct Separation {
    _only_check_makes_it: (),
}

impl Separation {
    /// Looks at the job's folder: it holds exactly the `expected` files, none of them contains the code, and none of
    /// the places `elsewhere` (where the code is, or will be) lies inside it.
    ///
    /// # Errors
    /// [`Error::NotSeparate`] for the first thing that is not so; [`Error::Disk`] if the folder can't be read.
    pub fn check(
        job: &TargetId,
        folder: &Path,
        expected: &[&str],
        code: &UnlockCode,
        elsewhere: &[&Path],
    ) -> Result<Self> {
        let not_apart = |what: &str, path: &Path| {
            Err(Error::NotSeparate { job: job.to_string(), what: what.to_owned(), path: path.display().to_string() })
        };
        let reading = |error: io::Error| Error::disk("Reading", folder, error);
        let real_folder = folder.canonicalize().map_err(reading)?;
        for place in elsewhere {
            if real(place).starts_with(&real_folder) {
                return not_apart("The place of the unlock code lies in the manifest's folder", place);
            }
        }
        for entry in folder.read_dir().map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let path = entry.path();
            let is_file = entry.file_type().map_err(reading)?.is_file();
            if !is_file || !expected.iter().any(|name| entry.file_name() == *name) {
                return not_apart("The manifest's folder holds something that does not belong there", &path);
            }
            let content = File::open(&path).map_err(|error| Error::disk("Reading", &path, error))?;
            if contains_code(content, code).map_err(|error| Error::disk("Reading", &path, error))? {
                return not_apart("A file in the manifest's folder contains the unlock code", &path);
            }
        }
        Ok(Self { _only_check_makes_it: () })
    }
}

/// The place without links. Of one that does not exist yet, what exists of it is looked up, and the rest compared by its name.
fn real(place: &Path) -> PathBuf {
    let known = place.ancestors().find_map(|known| Some((known.canonicalize().ok()?, known)));
    known.map_or_else(
        || place.to_owned(),
        |(real, known)| place.strip_prefix(known).map_or_else(|_| real.clone(), |rest| real.join(rest)),
    )
}

/// Whether the code stands anywhere in what is left to read, also across two reads.
fn contains_code(mut source: impl Read, code: &UnlockCode) -> io::Result<bool> {
    const OVERLAP: usize = UnlockCode::LENGTH - 1;
    let mut window = vec![0_u8; 64 * 1024];
    let mut kept = 0;
    loop {
        let read = match source.read(&mut window[kept..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        if read == 0 {
            return Ok(false);
        }
        let filled = kept + read;
        if code.expose(|code| memchr::memmem::find(&window[..filled], code.as_bytes())).is_some() {
            return Ok(true);
        }
        kept = filled.min(OVERLAP);
        window.copy_within(filled - kept..filled, 0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    const CODE: &str = "7c0e1-bab84-f7675-0a2b6-f8b33";

    fn job() -> TargetId {
        "JID00000000-0000-4000-8000-000000000001".parse().unwrap()
    }

    fn code() -> UnlockCode {
        UnlockCode::take(CODE).unwrap()
    }

    #[test]
    fn separation_is_granted_to_the_expected_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("job");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("manifest.bin"), b"\x01\x02").unwrap();
        let expected = ["manifest.bin", "record.json"];
        let check = |elsewhere: &[&Path]| Separation::check(&job(), &folder, &expected, &code(), elsewhere);
        assert!(check(&[dir.path()]).is_ok(), "the place above is outside");
        assert!(matches!(check(&[&folder.join("home")]), Err(Error::NotSeparate { .. })), "a place inside");

        fs::write(folder.join("notes.txt"), b"").unwrap();
        assert!(matches!(check(&[]), Err(Error::NotSeparate { path, .. }) if path.ends_with("notes.txt")));
        fs::remove_file(folder.join("notes.txt")).unwrap();

        fs::create_dir(folder.join("record.json")).unwrap();
        assert!(matches!(check(&[]), Err(Error::NotSeparate { .. })), "a folder under an expected name");
        fs::remove_dir(folder.join("record.json")).unwrap();

        // Exactly across the seam of two reads.
        let mut content = vec![b'x'; 64 * 1024 - 10];
        content.extend_from_slice(CODE.as_bytes());
        fs::write(folder.join("manifest.bin"), content).unwrap();
        assert!(
            matches!(check(&[]), Err(Error::NotSeparate { what, .. }) if what.contains("contains the unlock code"))
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_link_into_the_folder_does_not_hide_a_place() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("job");
        fs::create_dir_all(folder.join("inside")).unwrap();
        std::os::unix::fs::symlink(folder.join("inside"), dir.path().join("link")).unwrap();
        let refusal = Separation::check(&job(), &folder, &[], &code(), &[&dir.path().join("link")]);
        assert!(matches!(refusal, Err(Error::NotSeparate { what, .. }) if what.contains("lies in")));
        let not_there_yet = dir.path().join("link").join("home");
        assert!(matches!(
            Separation::check(&job(), &folder, &[], &code(), &[&not_there_yet]),
            Err(Error::NotSeparate { .. })
        ));
    }
}
