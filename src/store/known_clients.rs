//! What clients answered in earlier runs, for all jobs: a file that only saves time.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{open_ours, remove_if_there, replace};
use super::state_folder::{INCOMING, StateFolder};
use crate::error::{Error, Result};
use crate::model::{ClientDigest, KnownClient, TargetId};
use crate::safety::path_trust::{self, OpenMode};

const CLIENTS: &str = "clients.json";
const VERSION: u32 = 1;
/// The latest clients that are kept. A site has one, and for a while the one before.
const MAX_CLIENTS: usize = 8;
/// More than this is not one of ours.
const LIMIT: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clients {
    version: u32,
    /// The latest one last.
    clients: Vec<KnownClient>,
}

impl StateFolder {
    /// What clients answered in earlier runs. Nothing if that can't be read: they are asked anew.
    #[must_use]
    pub fn known_clients(&self) -> Vec<KnownClient> {
        read(&self.path().join(CLIENTS)).unwrap_or_else(|error| {
            tracing::debug!(why = %error, "what is known of clients is not used");
            Vec::new()
        })
    }

    /// Keeps what a client answered. `job` is the one that the run is at work on. What a newer version wrote stays as it is.
    ///
    /// # Errors
    /// [`Error::Disk`]; the old file is then untouched.
    pub(crate) fn keep_known_client(&self, job: &TargetId, client: KnownClient) -> Result<()> {
        let path = self.path().join(CLIENTS);
        let mut clients = match read(&path) {
            Err(Error::RecordNewer { .. }) => return Ok(()),
            // Of no use to anyone any more.
            result => result.unwrap_or_default(),
        };
        clients.retain(|known| (known.client_sha256, &known.asked) != (client.client_sha256, &client.asked));
        clients.push(client);
        clients.drain(..clients.len().saturating_sub(MAX_CLIENTS));
        self.write_clients(job, clients)
    }

    /// Forgets what the client of this digest answered. `job` is the one that the run is at work on.
    ///
    /// # Errors
    /// [`Error::Disk`]; the old file is then untouched.
    pub(crate) fn forget_known_client(&self, job: &TargetId, digest: &ClientDigest) -> Result<()> {
        let is_of_it = |known: &KnownClient| known.client_sha256 == *digest;
        let (forgotten, others): (Vec<_>, Vec<_>) = self.known_clients().into_iter().partition(is_of_it);
        if forgotten.is_empty() { Ok(()) } else { self.write_clients(job, others) }
    }

    /// Forgets all of them.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(super) fn remove_known_clients(&self) -> Result<()> {
        remove_if_there(&self.path().join(CLIENTS))
    }

    fn write_clients(&self, job: &TargetId, clients: Vec<KnownClient>) -> Result<()> {
        let path = self.path().join(CLIENTS);
        let mut text = serde_json::to_vec_pretty(&Clients { version: VERSION, clients })
            .map_err(|error| Error::Internal { what: format!("{CLIENTS} can't be written as JSON: {error}") })?;
        text.push(b'\n');
        replace(&path, &self.path().join(INCOMING), &format!("{job}_clients."), &text)
    }
}

fn read(path: &Path) -> Result<Vec<KnownClient>> {
    let reading = |error| Error::disk("Reading", path, error);
    let Some(file) = open_ours(path, OpenMode::Read, reading)? else { return Ok(Vec::new()) };
    let text = path_trust::read_bounded(file, LIMIT).map_err(reading)?;
    #[derive(Deserialize)]
    struct Format {
        version: u32,
    }
    let malformed = |error: serde_json::Error| reading(error.into());
    let Format { version } = serde_json::from_slice(&text).map_err(malformed)?;
    if version > VERSION {
        return Err(Error::RecordNewer { path: path.display().to_string(), version });
    }
    let Clients { clients, .. } = serde_json::from_slice(&text).map_err(malformed)?;
    Ok(clients)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    fn client(version: &str) -> KnownClient {
        let client_sha256 = "ab".repeat(32).parse().unwrap();
        KnownClient { client_sha256, asked: "version".to_owned(), version: version.to_owned(), jvm_is_bare: false }
    }

    fn job() -> TargetId {
        "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap()
    }

    #[test]
    fn the_latest_few_are_kept_one_for_each_way_of_asking() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("snow-onboard")).unwrap();
        assert!(state.known_clients().is_empty());
        state.keep_known_client(&job(), client("1.0.0")).unwrap();
        state.keep_known_client(&job(), client("1.1.0")).unwrap();
        assert_eq!(state.known_clients(), [client("1.1.0")]);
        state.forget_known_client(&job(), &"cd".repeat(32).parse().unwrap()).unwrap();
        assert_eq!(state.known_clients(), [client("1.1.0")], "another one");
        state.forget_known_client(&job(), &client("").client_sha256).unwrap();
        assert!(state.known_clients().is_empty());
        let asked = |number: usize| KnownClient { asked: format!("version {number}"), ..client("1.2.0") };
        (0..MAX_CLIENTS).for_each(|number| state.keep_known_client(&job(), asked(number)).unwrap());
        assert_eq!(state.known_clients(), (0..MAX_CLIENTS).map(asked).collect::<Vec<_>>());
        assert_eq!(path_trust::privacy_flaw(&state.path().join(CLIENTS)).unwrap(), None);
        assert_eq!(state.path().join(INCOMING).read_dir().unwrap().count(), 0);
    }

    #[test]
    fn with_the_last_job_they_are_forgotten_and_all_else_but_what_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let open = || StateFolder::open(&dir.path().join("snow-onboard")).unwrap();
        let state = open();
        state.keep_known_client(&job(), client("1.0.0")).unwrap();
        let draft = state.job(&job()).unwrap().draft().unwrap().finish().unwrap();
        let left = [state.path().join("audit.jsonl"), state.path().join("notes.txt")];
        left.iter().for_each(|path| fs::write(path, "").unwrap());
        assert_eq!(state.remove_all_but_audit().unwrap(), left);
        assert!(!draft.path.exists());
        left.iter().for_each(|path| fs::remove_file(path).unwrap());
        let (state, busy) = (open(), open());
        let held = busy.job(&job()).unwrap();
        assert!(matches!(state.remove_all_but_audit(), Err(Error::Busy { .. })));
        drop(held);
        assert!(busy.remove_all_but_audit().unwrap().is_empty());
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "nor the folder, which is empty");
    }

    #[test]
    fn what_is_damaged_or_newer_is_not_used_and_a_newer_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("snow-onboard")).unwrap();
        let path = state.path().join(CLIENTS);
        let newer = r#"{"version": 99, "clients": {}}"#;
        let padded = format!(r#"{{"version": 1, "clients": []}}{}"#, " ".repeat(LIMIT as usize));
        for (text, stays) in [("", false), ("{", false), (r#"{"version": 1}"#, false), (&padded, false), (newer, true)]
        {
            fs::write(&path, text).unwrap();
            assert!(state.known_clients().is_empty(), "{text}");
            state.keep_known_client(&job(), client("1.2.0")).unwrap();
            assert_eq!(state.known_clients().is_empty(), stays, "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap() == text, stays, "{text}");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    #[cfg(unix)]
    fn what_others_may_have_written_is_not_used() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&dir.path().join("snow-onboard")).unwrap();
        let (path, theirs) = (state.path().join(CLIENTS), dir.path().join("theirs"));
        state.keep_known_client(&job(), client("1.2.0")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(state.known_clients().is_empty(), "writable by others");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(state.known_clients(), [client("1.2.0")]);
        fs::hard_link(&path, &theirs).unwrap();
        assert!(state.known_clients().is_empty(), "a second name");
        fs::remove_file(&path).unwrap();
        symlink(&theirs, &path).unwrap();
        assert!(state.known_clients().is_empty(), "a link");
        state.keep_known_client(&job(), client("1.3.0")).unwrap();
        assert_eq!(state.known_clients(), [client("1.3.0")], "put in the link's place");
        assert!(fs::read_to_string(&theirs).unwrap().contains("1.2.0"));
    }
}
