//! What `setup-profile` wrote, removed: for `setup-profile --remove` and for `forget`.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::config_path;
use super::lines::is_of_this_program;
use crate::error::{Result, Why};
use crate::model::{ProfileName, Record, TargetId};
use crate::report::{Event, Notify};
use crate::safety::path_trust;
use crate::store::{BlockKey, MadeFor, NotChanged, SharedFile, StateFolder, blocks, lines_of, without_block};

/// What was removed of a job's profiles.
#[derive(Debug, Default)]
pub(crate) struct RemovedProfiles {
    /// Each file with the name of the profile that was taken out of it.
    pub profiles: Vec<(PathBuf, ProfileName)>,
    /// Whether the device's certificates were removed.
    pub certificates: bool,
    /// What could not be removed: whole sentences with what to do.
    pub left: Vec<String>,
}

impl RemovedProfiles {
    /// Whether anything was removed, or should have been.
    pub(crate) fn is_empty(&self) -> bool {
        self.profiles.is_empty() && !self.certificates && self.left.is_empty()
    }

    /// What was removed, as the end of a line; nothing if nothing was.
    pub(crate) fn in_words(&self) -> Option<String> {
        let each = |(file, name): &(PathBuf, ProfileName)| format!("“{name}” in {}", file.display());
        let profiles: Vec<String> = self.profiles.iter().map(each).collect();
        match (profiles.is_empty(), self.certificates) {
            (false, _) => Some(format!("{} removed", profiles.join(" and "))),
            (true, true) => Some("certificates removed".to_owned()),
            (true, false) => None,
        }
    }
}

/// A file, the profile in it, and its lines there.
pub(crate) type WrittenLines = (PathBuf, ProfileName, Vec<String>);

/// Says which of the lines that go were not written by this program. What may be a secret is not shown.
pub(crate) fn warn_of_edits(written: &[WrittenLines], job: &TargetId, notify: &dyn Notify) {
    for (file, _, lines) in written {
        let edited: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !is_of_this_program(line)).collect();
        if edited.is_empty() {
            continue;
        }
        let shown = edited.iter().map(|line| match line.to_ascii_lowercase() {
            line if line.contains("secret") || line.contains("token") => "\n  (one that may hold a secret)".to_owned(),
            _ => format!("\n  {line}"),
        });
        notify.notify(Event::Warning(format!(
            "The profile of {job} in {} was edited by hand. These lines go with it:{}",
            file.display(),
            shown.collect::<String>()
        )));
    }
}

/// The profiles of a job, or the one called `name`, with the file that each is in and its lines there.
pub(crate) fn written_profiles(
    job: &TargetId,
    name: Option<&ProfileName>,
    record: Option<&Record>,
) -> Vec<WrittenLines> {
    let mut written = Vec::new();
    for path in files(record).into_iter().filter(|path| may_have_block(path).unwrap_or(false)) {
        let Ok(file) = SharedFile::read(&path) else { continue };
        for key in keys_in(file.content(), job, name).unwrap_or_default() {
            let lines = lines_of(file.content(), &key).unwrap_or_default();
            written.push((path.clone(), key.name, lines));
        }
    }
    written
}

/// Takes the profiles of a job, or the one called `name`, out of the files that the record names and out of the one that the AWS CLI
/// uses now; and removes the device's certificates where no profile is left. What can't be removed does not keep the rest.
///
/// # Errors
/// [`Error::Disk`](crate::error::Error::Disk) for the certificates.
pub(crate) fn remove_profiles(
    job: &TargetId,
    name: Option<&ProfileName>,
    record: Option<&Record>,
    state: &StateFolder,
) -> Result<RemovedProfiles> {
    let mut removed = RemovedProfiles::default();
    let noted = || record.into_iter().flat_map(|record| &record.profiles);
    for path in files(record) {
        let is_noted = noted().any(|noted| noted.config == path || noted.eksa.contains(&path));
        // Of the two for EKS Anywhere the first: beside it is one with `.pem` at the end.
        let mut beside = path.clone().into_os_string();
        beside.push(".pem");
        let has_key =
            noted().any(|noted| noted.eksa.iter().any(|other| *other == beside) && noted.eksa.contains(&path));
        match remove_from(&path, is_noted, job, name) {
            Ok(names) => removed.profiles.extend(names.into_iter().map(|name| (path.clone(), name))),
            Err(why) => removed.left.push(format!(
                "{} was not changed: {why}. If it has lines of this program for {job}, remove them with an editor: from “# >>> \
                 snow-onboard {job}” to “# <<< snow-onboard {job}”.{}",
                path.display(),
                if has_key { " They contain the device's secret key unencrypted." } else { "" }
            )),
        }
        // It may hold the device's key.
        if let Err((draft, not_changed)) = SharedFile::remove_leftover(&path) {
            removed.left.push(format!(
                "{}, which an interrupted run left, was not removed: {}. It may contain the device's secret key unencrypted. Remove it.",
                draft.display(),
                in_words(not_changed)
            ));
        }
    }
    if removed.left.is_empty() && written_profiles(job, None, record).is_empty() {
        removed.certificates = state.remove_certificates(job)?;
    }
    Ok(removed)
}

/// The files in which there may be blocks of ours.
fn files(record: Option<&Record>) -> Vec<PathBuf> {
    let noted = record.into_iter().flat_map(|record| &record.profiles);
    let mut files: Vec<PathBuf> =
        noted.flat_map(|noted| std::iter::once(&noted.config).chain(&noted.eksa)).cloned().collect();
    files.extend(config_path().ok());
    let mut seen = std::collections::HashSet::new();
    files.retain(|file| seen.insert(file.clone()));
    files
}

fn in_words(not_changed: NotChanged) -> String {
    match not_changed {
        NotChanged::Refused(why) => why.to_string(),
        NotChanged::Raced => "another program has just changed it".to_owned(),
    }
}

/// Takes the blocks out of one file. A file that is not there has none. Of one that can't be looked at nothing is said, unless the
/// record notes that a block was put into it.
fn remove_from(
    path: &Path,
    is_noted: bool,
    job: &TargetId,
    name: Option<&ProfileName>,
) -> Result<Vec<ProfileName>, String> {
    match may_have_block(path) {
        Ok(true) => {}
        Ok(false) => return Ok(Vec::new()),
        Err(why) => return if is_noted { Err(why) } else { Ok(Vec::new()) },
    }
    let file = SharedFile::read(path).map_err(in_words)?;
    let keys = keys_in(file.content(), job, name).map_err(in_words)?;
    let (mut text, mut made) = (file.content().to_vec(), MadeFor::Nothing);
    for key in &keys {
        if let Some((without, was_made)) = without_block(&text, key).map_err(|flaw| in_words(flaw.into()))? {
            text = without;
            made = if was_made == MadeFor::Nothing { made } else { was_made };
        }
    }
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    if text.is_empty() && made != MadeFor::Nothing {
        file.remove(made).map_err(in_words)?;
    } else {
        file.replace(&text).map_err(in_words)?;
    }
    Ok(keys.into_iter().map(|key| key.name).collect())
}

/// The blocks of a job in a text, or the one called `name`.
fn keys_in(text: &[u8], job: &TargetId, name: Option<&ProfileName>) -> Result<Vec<BlockKey>, NotChanged> {
    let keys = blocks(text)?.into_iter().map(|block| block.key);
    Ok(keys.filter(|key| key.job == *job && name.is_none_or(|name| key.name == *name)).collect())
}

/// Whether the file has a mark of ours.
///
/// # Errors
/// Why that can't be known, as the end of a sentence: it can't be read, or it is absent with the folder that it was in, as on a
/// drive that is not connected. A file that is absent alone was removed.
fn may_have_block(path: &Path) -> Result<bool, String> {
    const MAX_SIZE: u64 = 16 << 20;
    let unreadable = |error: io::Error| Why::from(error).to_string();
    let file = match path_trust::open_untrusted(path) {
        Ok(Some(file)) => file,
        Ok(None) => return Err("it is no longer a file".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.symlink_metadata().is_ok() {
                return Err("it is a link that leads nowhere".to_owned());
            }
            return match path.parent().map_or(Ok(true), Path::try_exists) {
                Ok(true) => Ok(false),
                Ok(false) => Err("its folder is not there. If it is on a drive, connect that".to_owned()),
                Err(error) => Err(unreadable(error)),
            };
        }
        Err(error) => return Err(unreadable(error)),
    };
    let text = Zeroizing::new(path_trust::read_bounded(file, MAX_SIZE).map_err(unreadable)?);
    Ok(memchr::memmem::find(&text, b"# >>> snow-onboard ").is_some())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_looked_at_is_not_taken_for_one_without_a_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stick").join("eksa");
        assert!(may_have_block(&path).unwrap_err().contains("its folder is not there"));
        std::fs::create_dir(dir.path().join("stick")).unwrap();
        assert_eq!(may_have_block(&path), Ok(false));
        std::fs::write(&path, "theirs").unwrap();
        assert_eq!(may_have_block(&path), Ok(false));
        std::fs::write(&path, "# >>> snow-onboard x\n").unwrap();
        assert_eq!(may_have_block(&path), Ok(true));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(may_have_block(&path).is_err());
    }
}
