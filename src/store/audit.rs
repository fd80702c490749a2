//! The audit log: one JSON object a line, appended, never rewritten. Who did which step to which job, when, and with
//! which manifest; never a secret.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::model::{JobId, ManifestDigest, Purpose};
use crate::os;
use crate::safety::path_trust::{self, OpenMode};
use crate::store::StateFolder;

/// The audit log of a state folder.
#[derive(Debug)]
pub(crate) struct Audit {
    path: PathBuf,
    purpose: Option<Purpose>,
}

/// A step worth a line.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuditStep {
    /// Code and manifest were fetched and kept.
    Kept,
    /// The device answers, code and manifest are what was fetched, and the client is about to be given both.
    HandOverBegun,
    /// It was not given them, or made nothing of them.
    HandOverFailed,
    /// Code and manifest were handed to the vendor's client.
    HandedOver,
    /// The code is about to be put on the client's command line.
    HandedOverOnCommandLine,
    /// The device said UNLOCKED.
    Unlocked,
    /// It did not, in the time it had.
    NotUnlocked,
    /// Both halves and the record were removed.
    Forgotten,
    /// A profile was taken out of the client's own settings.
    ClientProfileRemoved,
}

#[derive(Serialize)]
struct AuditLine<'a> {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    user: Option<String>,
    pid: u32,
    job: &'a JobId,
    step: AuditStep,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<Purpose>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_sha256: Option<&'a ManifestDigest>,
}

impl Audit {
    /// The log of this state folder.
    #[must_use]
    pub(crate) fn of(state: &StateFolder) -> Self {
        Self::below(state.path())
    }

    /// The same of the state folder `root`, which need not be there: for [`Audit::check`].
    #[must_use]
    pub(crate) fn below(root: &Path) -> Self {
        Self { path: root.join("audit.jsonl"), purpose: None }
    }

    /// The same, for a run whose lines say what it is for.
    #[must_use]
    pub(crate) fn with_purpose(self, purpose: Purpose) -> Self {
        Self { purpose: Some(purpose), ..self }
    }

    /// Whether a line could be appended, as far as that can be told without making anything: a device is not to be opened
    /// before it turns out that nobody can say so.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(crate) fn check(&self) -> Result<()> {
        self.open_existing().map(drop)
    }

    /// Appends a line and syncs it.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(crate) fn note(&self, job: &JobId, step: AuditStep, manifest: Option<&ManifestDigest>) -> Result<()> {
        // For people reading it; whoever can set the variable can edit the file as well.
        let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let user = user.map(|user| crate::safety::sanitize::sanitize(&user));
        let line = AuditLine {
            at: OffsetDateTime::now_utc(),
            user,
            pid: std::process::id(),
            job,
            step,
            purpose: self.purpose,
            manifest_sha256: manifest,
        };
        let mut text = serde_json::to_vec(&line)
            .map_err(|error| Error::Internal { what: format!("an audit line can't be written as JSON: {error}") })?;
        text.push(b'\n');
        let writing = |error: io::Error| Error::disk("Writing", &self.path, error);
        let mut file = self.open()?;
        if ends_within_a_line(&mut file).map_err(writing)? {
            text.insert(0, b'\n');
        }
        // One write of a short line in append mode stays whole beside other processes'.
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(writing)
    }

    fn open(&self) -> Result<File> {
        let writing = |error: io::Error| Error::disk("Writing", &self.path, error);
        let file = match self.open_existing()? {
            Some(file) => file,
            None => {
                match path_trust::create_private_file(&self.path) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(writing(error)),
                    _ => {}
                }
                self.open_existing()?.ok_or_else(|| writing(io::ErrorKind::NotFound.into()))?
            }
        };
        if let Some(folder) = self.path.parent()
            && file.metadata().map_err(writing)?.len() == 0
        {
            // A synced line is of no use in a file whose name is lost.
            os::sync_dir(folder).map_err(writing)?;
        }
        Ok(file)
    }

    fn open_existing(&self) -> Result<Option<File>> {
        path_trust::open_own(&self.path, OpenMode::Append)
            .map_err(|refused| Error::refused("Writing", &self.path, refused))
    }
}

/// Whether the last line lacks its end, as after a power cut while it was being written. The next one is not to be spoiled
/// by that, too.
fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok(last != [b'\n'])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_to_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("snow-onboard")).unwrap();
        let job: JobId = "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap();
        let audit = Audit::of(&state);
        audit.note(&job, AuditStep::Kept, None).unwrap();
        audit.note(&job, AuditStep::HandedOverOnCommandLine, None).unwrap();
        let path = state.path().join("audit.jsonl");
        let lines: Vec<serde_json::Value> =
            std::fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["job"], job.as_str());
        assert_eq!(lines[1]["step"], "handed_over_on_command_line");
        assert_eq!(path_trust::privacy_flaw(&path).unwrap(), None);
    }

    #[test]
    fn a_torn_line_does_not_spoil_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("snow-onboard")).unwrap();
        let job: JobId = "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap();
        let audit = Audit::of(&state);
        audit.note(&job, AuditStep::Kept, None).unwrap();
        let path = state.path().join("audit.jsonl");
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}{}", &whole[..whole.len() / 2])).unwrap();
        for _ in 0..2 {
            audit.note(&job, AuditStep::Forgotten, None).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let is_whole = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert_eq!(text.lines().map(is_whole).collect::<Vec<_>>(), [true, false, true, true], "{text}");
    }
}
