//! What `setup-profile` wrote, removed: for `setup-profile --remove` and for `forget`.

use std::path::{Path, PathBuf};

use super::config_path;
use crate::error::Result;
use crate::model::{JobId, ProfileName, Record};
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

/// The profiles of a job, or the one called `name`, with the file that each is in and its lines there.
pub(crate) fn written_profiles(
    job: &JobId,
    name: Option<&ProfileName>,
    record: Option<&Record>,
) -> Vec<(PathBuf, ProfileName, Vec<String>)> {
    let mut written = Vec::new();
    for path in files(record).into_iter().filter(|path| may_have_block(path)) {
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
    job: &JobId,
    name: Option<&ProfileName>,
    record: Option<&Record>,
    state: &StateFolder,
) -> Result<RemovedProfiles> {
    let mut removed = RemovedProfiles::default();
    for path in files(record) {
        match remove_from(&path, job, name) {
            Ok(names) => removed.profiles.extend(names.into_iter().map(|name| (path.clone(), name))),
            Err(why) => removed.left.push(format!(
                "{} was not changed: {why}. If it has lines of this program for {job}, remove them with an editor: from “# >>> \
                 snow-onboard {job}” to “# <<< snow-onboard {job}”.",
                path.display()
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

/// Takes the blocks out of one file. A file that is not there has none, and one that nobody put a block into is nothing to speak of.
fn remove_from(path: &Path, job: &JobId, name: Option<&ProfileName>) -> Result<Vec<ProfileName>, String> {
    if !may_have_block(path) {
        return Ok(Vec::new());
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
fn keys_in(text: &[u8], job: &JobId, name: Option<&ProfileName>) -> Result<Vec<BlockKey>, NotChanged> {
    let keys = blocks(text)?.into_iter().map(|block| block.key);
    Ok(keys.filter(|key| key.job == *job && name.is_none_or(|name| key.name == *name)).collect())
}

/// Whether the file has a mark of ours, as far as it can be read at all: a look by which nothing is decided but whether to look
/// further.
fn may_have_block(path: &Path) -> bool {
    const MAX_SIZE: u64 = 16 << 20;
    let file = crate::safety::path_trust::open_untrusted(path).ok().flatten();
    let text = file.and_then(|file| crate::safety::path_trust::read_bounded(file, MAX_SIZE).ok());
    text.is_some_and(|text| memchr::memmem::find(&text, b"# >>> snow-onboard ").is_some())
}
