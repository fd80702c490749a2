//! The operator's own profile file of the client (`~/.aws/snowball/config/snowball-edge.config`), where the client and
//! OpsHub keep unlock codes in clear: looked at, and written only to take out one profile that the operator has named.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::data::{ClientData, ProfileData};
use super::{profile, sys};
use crate::error::{Error, Result, io_in_words};
use crate::job::JobId;
use crate::os;
use crate::secret::UnlockCode;

/// A profile file is a few kilobytes; what is larger is not looked at.
const LARGEST: u64 = 4 << 20;

/// Where the client may take this user's home to be, and with it the operator's profile file.
#[derive(Debug)]
pub struct OwnProfiles {
    files: Vec<PathBuf>,
}

/// A place in which a code stands in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnProfile {
    /// The file.
    pub file: PathBuf,
    /// The profile's name; `None` if the file can't be read as the client's, and only holds the code somewhere.
    pub profile: Option<String>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    profiles: BTreeMap<Cow<'a, str>, Entry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    unlock_code: Option<Cow<'a, str>>,
}

impl OwnProfiles {
    /// Those of this user.
    #[must_use]
    pub fn of_this_user() -> Self {
        Self::below(&sys::homes(), &ClientData::built_in().profile)
    }

    fn below(homes: &[PathBuf], data: &ProfileData) -> Self {
        Self { files: homes.iter().map(|home| profile::path_in(home, data)).collect() }
    }

    /// Where this code stands in clear. What can't be read is passed over: nothing was to be found there by us.
    #[must_use]
    pub fn with_code(&self, code: &UnlockCode) -> Vec<OwnProfile> {
        let mut found = Vec::new();
        for file in &self.files {
            let Ok(Some(text)) = read(file) else { continue };
            if !code.expose(|code| memchr::memmem::find(&text, code.as_bytes()).is_some()) {
                continue;
            }
            let profiles = serde_json::from_slice::<Document<'_>>(&text).map(|document| document.profiles);
            let names = profiles.unwrap_or_default().into_iter().filter_map(|(name, entry)| {
                let is_it = code.expose(|code| entry.unlock_code.as_deref() == Some(code));
                is_it.then(|| OwnProfile { file: file.clone(), profile: Some(name.into_owned()) })
            });
            let before = found.len();
            found.extend(names);
            if found.len() == before {
                found.push(OwnProfile { file: file.clone(), profile: None });
            }
        }
        found
    }

    /// Takes the profile called `name` out of the file, and leaves all else in it. Gives the files it was taken out of.
    ///
    /// # Errors
    /// [`Error::OwnProfileMissing`] if no file has it; [`Error::OwnProfileOfAnother`] if it names another job, before
    /// anything is changed; [`Error::OwnProfilesUnreadable`] for a file that is not as the client writes it;
    /// [`Error::Disk`].
    pub fn remove(&self, name: &str, job: &JobId) -> Result<Vec<PathBuf>> {
        let mut changed = Vec::new();
        for file in &self.files {
            let unreadable = |why: String| Error::OwnProfilesUnreadable { path: file.display().to_string(), why };
            let Some(text) = read(file).map_err(|error| unreadable(io_in_words(&error)))? else { continue };
            let mut document: serde_json::Value = serde_json::from_slice(&text)
                .map_err(|error| unreadable(format!("it is not JSON (line {})", error.line())))?;
            let profiles = document.get_mut("profiles").and_then(serde_json::Value::as_object_mut);
            let Some(profiles) = profiles else { continue };
            let of = profiles.get(name).map(|profile| profile.get("jobId").and_then(serde_json::Value::as_str));
            match of {
                None => continue,
                Some(Some(of)) if of != job.as_str() => {
                    let (profile, of) = (crate::text::clean(name), crate::text::clean(of));
                    return Err(Error::OwnProfileOfAnother { profile, of, job: job.to_string() });
                }
                Some(_) => {}
            }
            // Not `remove`, which puts the last one in its place.
            profiles.shift_remove(name);
            let text = serde_json::to_vec_pretty(&document).map(Zeroizing::new);
            let text = text.map_err(|error| unreadable(error.to_string()))?;
            replace(file, &text).map_err(|error| Error::disk("Writing", file, &error))?;
            changed.push(file.clone());
        }
        if changed.is_empty() {
            let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
            return Err(Error::OwnProfileMissing { profile: crate::text::clean(name), files: files.join(" or ") });
        }
        Ok(changed)
    }
}

/// `None` if there is no such file.
fn read(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let meta = match path.metadata() {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        result => result?,
    };
    if !meta.is_file() || meta.len() > LARGEST {
        return Err(io::Error::other("it is no file of the client's"));
    }
    fs::read(path).map(|text| Some(Zeroizing::new(text)))
}

/// Puts `text` in the place of the file, whole or not at all, for this user alone: what is left in it may be codes.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    // A link stays a link to the file that is replaced.
    let path = path.canonicalize()?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let made = tempfile::Builder::new().prefix(".snowball-edge.").make_in(folder, os::create_private_file)?;
    let (mut file, name) = made.into_parts();
    file.write_all(text).and_then(|()| file.sync_all())?;
    drop(file);
    name.persist(&path).map_err(|error| error.error)?;
    os::sync_dir(folder)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CODE: &str = "7c0e1-bab84-f7675-0a2b6-f8b33";
    const JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";

    fn home_with(text: &str) -> (tempfile::TempDir, OwnProfiles, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let own = OwnProfiles::below(
            &[home.path().join("nothing here"), home.path().to_owned()],
            &ClientData::built_in().profile,
        );
        let file = own.files[1].clone();
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        (home, own, file)
    }

    fn document() -> String {
        let profile = |code: &str, job: &str| {
            format!(r#"{{"unlockCode":"{code}","jobId":"{job}","isCluster":false,"more":1.50}}"#)
        };
        format!(
            r#"{{"version":1,"profiles":{{"z":{},"field one":{},"a":{}}},"later":{{"x":[]}}}}"#,
            profile("00000-00000-00000-00000-00000", "JID0"),
            profile(CODE, JOB),
            profile("11111-11111-11111-11111-11111", "JID1"),
        )
    }

    #[test]
    fn a_code_in_clear_is_found_with_its_profile() {
        let (_home, own, file) = home_with(&document());
        let found = |code: &str| own.with_code(&UnlockCode::take(code).unwrap());
        assert_eq!(found(CODE), [OwnProfile { file: file.clone(), profile: Some("field one".to_owned()) }]);
        assert_eq!(found("22222-22222-22222-22222-22222"), []);
        // As people write it by hand: with a stray comma.
        fs::write(&file, document().replace("false,", "false,,")).unwrap();
        assert_eq!(found(CODE), [OwnProfile { file, profile: None }]);
    }

    #[test]
    fn just_the_named_profile_is_taken_out() {
        let (_home, own, file) = home_with(&document());
        let job: JobId = JOB.parse().unwrap();
        let refused = |name: &str| own.remove(name, &job).unwrap_err().report().code;
        assert_eq!(refused("absent"), "own_profile_missing");
        assert_eq!(refused("a"), "own_profile_of_another");
        assert_eq!(fs::read_to_string(&file).unwrap(), document(), "nothing was touched");

        assert_eq!(own.remove("field one", &job).unwrap(), std::slice::from_ref(&file));
        let text = fs::read_to_string(&file).unwrap();
        let order: Vec<usize> = ["version", "\"z\"", "\"a\"", "later"].map(|name| text.find(name).unwrap()).to_vec();
        assert!(order.is_sorted() && !text.contains(CODE) && !text.contains("field one"), "{text}");
        let mut expected: serde_json::Value = serde_json::from_str(&document()).unwrap();
        expected["profiles"].as_object_mut().unwrap().remove("field one");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
        assert_eq!(os::privacy_flaw(&file).unwrap(), None);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing beside it");

        fs::write(&file, "{,}").unwrap();
        assert_eq!(refused("field one"), "own_profiles_unreadable");
    }
}
