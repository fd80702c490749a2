//! The operator's own profile file of the client (`~/.aws/snowball/config/snowball-edge.config`), where the client and
//! OpsHub keep unlock codes in clear: looked at, and written only to take out one profile that the operator has named.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::device::client::data::{ClientData, ProfileData};
use crate::device::client::profile;
use crate::device::homes;
use crate::error::{Error, Result, Why};
use crate::model::{ManifestDigest, TargetId, UnlockCode};
use crate::os;
use crate::safety::path_trust::{self, Whose};
use crate::safety::quote::removal_of;
use crate::safety::sanitize::sanitize;

/// A profile file is a few kilobytes; what is larger is not looked at.
const MAX_SIZE: u64 = 4 << 20;

/// Most files looked at for copies of a manifest. OpsHub makes one for each device that is unlocked with it.
const MOST_COPIES: usize = 1000;

/// Where the client may take this user's home to be, and with it the operator's profile file.
#[derive(Debug)]
pub(crate) struct OwnProfiles {
    files: Vec<PathBuf>,
    /// Where OpsHub copies manifests to.
    copies: Vec<PathBuf>,
}

/// A place in which a code stands in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnProfile {
    /// The file.
    pub file: PathBuf,
    /// The profile's name; `None` if the file can't be read as the client's, and only holds the code somewhere.
    pub profile: Option<String>,
    /// What the profile names as its job, if it names one: for a node of a cluster it may be another node's, which has the same code.
    pub job: Option<String>,
    /// The file is what a removal that was killed left beside the client's own, and nobody reads it.
    pub is_half: bool,
}

impl OwnProfile {
    /// Says so to the person, with the command that takes it out where one can be pasted. `job` is whose code it is.
    #[must_use]
    pub(crate) fn warning(&self, job: &TargetId) -> String {
        let file = self.file.display();
        let begin = format!("{file} contains the unlock code of {job} unencrypted");
        if self.is_half {
            return format!(
                "{begin}: it is what an interrupted removal left. Remove it with: {}",
                removal_of(&file.to_string())
            );
        }
        let Some(name) = &self.profile else { return format!("{begin}. Remove it with an editor.") };
        let begin = format!("{begin}, in the profile “{}” of the client's own settings", sanitize(name));
        // One that names no job is taken for the job's whose code it has.
        let of = self.job.as_ref().map_or(Ok(job.clone()), |named| named.parse());
        match of {
            Ok(of) if is_plain(name) => {
                format!("{begin}. Remove that profile with: snow-onboard forget {of} --client-profile \"{name}\"")
            }
            _ => format!("{begin}. Remove that profile with an editor."),
        }
    }
}

/// Whether a name means the same in every shell, between double quotes.
fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-')) && !name.starts_with('-')
}

#[derive(Deserialize)]
struct ProfilesFile<'a> {
    #[serde(borrow, default)]
    profiles: BTreeMap<Cow<'a, str>, Entry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    unlock_code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    job_id: Option<Cow<'a, str>>,
}

impl OwnProfiles {
    /// Those of this user.
    #[must_use]
    pub(crate) fn of_this_user() -> Self {
        Self::below(&homes(), &ClientData::built_in().profile)
    }

    fn below(homes: &[PathBuf], data: &ProfileData) -> Self {
        let copies = homes.iter().map(|home| home.join(data.manifest_copies.iter().collect::<PathBuf>())).collect();
        let mut files: Vec<PathBuf> = Vec::new();
        for file in homes.iter().map(|home| profile::path_in(home, data)) {
            // Two ways to one file, where a home is a link to the other, are one file: it can be replaced once.
            let is_same =
                |other: &PathBuf| file.canonicalize().is_ok_and(|file| other.canonicalize().is_ok_and(|it| it == file));
            if !files.iter().any(is_same) {
                files.push(file);
            }
        }
        Self { files, copies }
    }

    /// These files, as [`OwnProfiles::to_tell`] gave them.
    pub(in crate::device) fn in_files(files: Vec<String>) -> Self {
        Self { files: files.into_iter().map(PathBuf::from).collect(), copies: Vec::new() }
    }

    /// The files, for the guard. One that is not Unicode can't be told to it.
    pub(in crate::device) fn to_tell(&self) -> Vec<String> {
        self.files.iter().filter_map(|file| file.to_str().map(str::to_owned)).collect()
    }

    /// Whether there is a file to look into.
    #[must_use]
    pub(crate) fn are_there(&self) -> bool {
        self.files.iter().any(|file| file.exists()) || !self.half_written().is_empty()
    }

    /// The copies of the manifest with this digest and length that OpsHub made. What can't be read is passed over.
    #[must_use]
    pub(crate) fn copies_of(&self, digest: &ManifestDigest, length: u64) -> Vec<PathBuf> {
        let entries = self.copies.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        let is_copy = |path: &PathBuf| {
            let file = path_trust::open_untrusted(path).ok().flatten();
            let file = file.filter(|file| file.metadata().is_ok_and(|meta| meta.len() == length));
            file.is_some_and(|file| ManifestDigest::of(file).is_ok_and(|found| found == *digest))
        };
        entries.take(MOST_COPIES).map(|entry| entry.path()).filter(is_copy).collect()
    }

    /// Where this code stands in clear. What can't be read is passed over: nothing was to be found there by us.
    #[must_use]
    pub(crate) fn with_code(&self, code: &UnlockCode) -> Vec<OwnProfile> {
        let has_it = |text: &[u8]| code.expose(|code| memchr::memmem::find(text, code.as_bytes()).is_some());
        let mut found = Vec::new();
        for file in &self.files {
            let Ok(Some(text)) = read(file) else { continue };
            if !has_it(&text) {
                continue;
            }
            let profiles = serde_json::from_slice::<ProfilesFile<'_>>(&text).map(|document| document.profiles);
            let named = profiles.unwrap_or_default().into_iter().filter_map(|(name, entry)| {
                let is_it = code.expose(|code| entry.unlock_code.as_deref() == Some(code));
                let (file, job) = (file.clone(), entry.job_id.map(Cow::into_owned));
                is_it.then(|| OwnProfile { file, profile: Some(name.into_owned()), job, is_half: false })
            });
            let before = found.len();
            found.extend(named);
            if found.len() == before {
                found.push(OwnProfile { file: file.clone(), profile: None, job: None, is_half: false });
            }
        }
        for file in self.half_written() {
            if read(&file).ok().flatten().is_some_and(|text| has_it(&text)) {
                found.push(OwnProfile { file, profile: None, job: None, is_half: true });
            }
        }
        found
    }

    /// Takes the profile called `name` out of the file, and leaves all else in it. Gives the files it was taken out of.
    ///
    /// # Errors
    /// [`Error::OwnProfileMissing`] if no file has it; [`Error::OwnProfileOfAnother`] if it names another job;
    /// [`Error::OwnProfilesUnreadable`] for a file that is not as the client writes it: all of these before anything is
    /// changed. [`Error::Disk`], also if the file changes meanwhile.
    pub(crate) fn remove(&self, name: &str, job: &TargetId) -> Result<Vec<PathBuf>> {
        let mut changes = Vec::new();
        for file in &self.files {
            let unreadable = |why: Why| Error::OwnProfilesUnreadable { path: file.display().to_string(), why };
            let Some(before) = read(file).map_err(|error| unreadable(error.into()))? else { continue };
            // What is written may be somebody else's to exchange; what is only looked at may be anybody's.
            path_trust::open_file(file, Whose::Own).map_err(|refused| unreadable(refused.into_why(file)))?;
            let mut document: serde_json::Value = serde_json::from_slice(&before)
                .map_err(|error| unreadable(format!("it is not JSON (line {})", error.line()).into()))?;
            let profiles = document.get_mut("profiles").and_then(serde_json::Value::as_object_mut);
            let Some(profiles) = profiles else { continue };
            let Some(profile) = profiles.get(name) else { continue };
            if let Some(of) = profile.get("jobId").and_then(serde_json::Value::as_str)
                && of != job.as_str()
            {
                let (profile, of) = (sanitize(name), sanitize(of));
                return Err(Error::OwnProfileOfAnother { profile, of, job: job.to_string() });
            }
            // Not `remove`, which puts the last one in its place.
            profiles.shift_remove(name);
            let after = serde_json::to_vec_pretty(&document).map(Zeroizing::new);
            changes.push((file, before, after.map_err(|error| unreadable(error.to_string().into()))?));
        }
        if changes.is_empty() {
            let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
            let files = files.join(" or ");
            return Err(Error::OwnProfileMissing {
                missing: if self.are_there() {
                    let profile = sanitize(name);
                    format!("the client's own settings have no profile “{profile}” ({files})")
                } else {
                    format!("the client has no settings file of its own here ({files})")
                },
            });
        }
        for half in changes.iter().map(|(file, ..)| half(file)).filter(|half| half.symlink_metadata().is_ok()) {
            fs::remove_file(&half).map_err(|error| Error::disk("Removing", &half, error))?;
        }
        for (file, before, after) in &changes {
            replace(file, before, after).map_err(|error| Error::disk("Writing", file, error))?;
        }
        Ok(changes.into_iter().map(|(file, ..)| file.clone()).collect())
    }

    /// What an earlier removal that was killed left beside a file, with all its other codes.
    fn half_written(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| half(file)).filter(|half| half.symlink_metadata().is_ok()).collect()
    }
}

/// Where a file is written before it takes the place of `file`.
fn half(file: &Path) -> PathBuf {
    // A link stays a link to the file that is replaced.
    let mut name = file.canonicalize().unwrap_or_else(|_| file.to_owned()).into_os_string();
    name.push(".snow-onboard");
    name.into()
}

/// `None` if there is no such file.
fn read(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let file = match path_trust::open_untrusted(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        result => result?.ok_or_else(|| io::Error::other("it is not a file"))?,
    };
    path_trust::read_bounded(file, MAX_SIZE).map(|text| Some(Zeroizing::new(text)))
}

/// Puts `after` in the place of the file that reads `before`, whole or not at all, for this user alone: what is left in it
/// may be codes.
fn replace(file: &Path, before: &[u8], after: &[u8]) -> io::Result<()> {
    let (half, file) = (half(file), file.canonicalize()?);
    let mut made = path_trust::create_private_file(&half)?;
    let put = made.write_all(after).and_then(|()| made.sync_all()).and_then(|()| {
        // The client or OpsHub may be at work on it; neither knows of a lock.
        if read(&file)?.is_none_or(|now| *now != *before) {
            return Err(io::Error::other("another program has just changed it"));
        }
        fs::rename(&half, &file)
    });
    drop(made);
    put.inspect_err(|_| drop(fs::remove_file(&half)))?;
    file.parent().map_or(Ok(()), os::sync_dir)
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
        assert_eq!(
            found(CODE),
            [OwnProfile {
                file: file.clone(),
                profile: Some("field one".to_owned()),
                job: Some(JOB.to_owned()),
                is_half: false
            }]
        );
        assert_eq!(found("22222-22222-22222-22222-22222"), []);
        // As people write it by hand: with a stray comma.
        fs::write(&file, document().replace("false,", "false,,")).unwrap();
        assert_eq!(found(CODE), [OwnProfile { file, profile: None, job: None, is_half: false }]);
    }

    /// Where $HOME is a link to what the password database says.
    #[cfg(unix)]
    #[test]
    fn one_file_at_two_homes_is_told_once_and_changed_once() {
        let (home, own, file) = home_with(&document());
        let link = home.path().join("link");
        std::os::unix::fs::symlink(home.path(), &link).unwrap();
        let both = OwnProfiles::below(&[link, home.path().to_owned()], &ClientData::built_in().profile);
        assert_eq!(both.with_code(&UnlockCode::take(CODE).unwrap()).len(), 1);
        assert_eq!(both.remove("field one", &JOB.parse().unwrap()).unwrap().len(), 1);
        assert!(own.with_code(&UnlockCode::take(CODE).unwrap()).is_empty(), "{}", file.display());
    }

    #[test]
    fn a_copy_of_the_manifest_is_found_by_its_content() {
        let (home, own, _) = home_with(&document());
        let folder = home.path().join(".aws/ops-hub/manifest");
        fs::create_dir_all(&folder).unwrap();
        let digest = ManifestDigest::of(&b"manifest"[..]).unwrap();
        assert_eq!(own.copies_of(&digest, 8), Vec::<PathBuf>::new());
        fs::write(folder.join("another"), "Manifest").unwrap();
        let copy = folder.join(format!("{JOB}_manifest-1670622989203.bin"));
        fs::write(&copy, "manifest").unwrap();
        assert_eq!(own.copies_of(&digest, 8), [copy]);
    }

    #[test]
    fn the_command_to_paste_is_one_that_works() {
        let job: TargetId = JOB.parse().unwrap();
        let of = |profile: &str, of: Option<&str>| {
            let (profile, job_of) = (Some(profile.to_owned()), of.map(str::to_owned));
            OwnProfile { file: "/f".into(), profile, job: job_of, is_half: false }.warning(&job)
        };
        let node = "JID00000000-0000-4000-8000-000000000000";
        assert!(of("the cluster", Some(node)).ends_with(&format!("forget {node} --client-profile \"the cluster\"")));
        assert!(of("plain", None).ends_with(&format!("forget {JOB} --client-profile \"plain\"")));
        for (name, job) in [
            ("a\"; rm -r x", Some(JOB)),
            ("$(x)", Some(JOB)),
            ("-x", Some(JOB)),
            ("plain", Some("no job")),
            ("$(x)", None),
        ] {
            assert!(of(name, job).ends_with("with an editor."), "{name}");
        }
    }

    #[test]
    fn just_the_named_profile_is_taken_out() {
        let (_home, own, file) = home_with(&document());
        let job: TargetId = JOB.parse().unwrap();
        let refused = |name: &str| own.remove(name, &job).unwrap_err().code();
        assert_eq!(refused("absent"), "own_profile_missing");
        assert_eq!(refused("a"), "own_profile_of_another");
        assert_eq!(fs::read_to_string(&file).unwrap(), document(), "nothing was touched");
        // A removal that was killed left all the codes beside the file.
        let half = half(&file);
        fs::write(&half, CODE).unwrap();
        let found = own.with_code(&UnlockCode::take(CODE).unwrap());
        let told = found[1].warning(&job);
        assert!(
            found.len() == 2 && told.contains("an interrupted removal left") && told.ends_with(".snow-onboard"),
            "{told}"
        );
        // Whose profile is not in the file any more: no command of ours takes it out of there.
        assert!(!told.contains("--client-profile"), "{told}");

        assert_eq!(own.remove("field one", &job).unwrap(), std::slice::from_ref(&file));
        let text = fs::read_to_string(&file).unwrap();
        let order: Vec<usize> = ["version", "\"z\"", "\"a\"", "later"].map(|name| text.find(name).unwrap()).to_vec();
        assert!(order.is_sorted() && !text.contains(CODE) && !text.contains("field one"), "{text}");
        let mut expected: serde_json::Value = serde_json::from_str(&document()).unwrap();
        expected["profiles"].as_object_mut().unwrap().remove("field one");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
        assert_eq!(path_trust::privacy_flaw(&file).unwrap(), None);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing beside it");

        let changed = replace(&file, b"as it was before somebody else changed it", b"").unwrap_err();
        assert!(changed.to_string().contains("another program") && !half.exists());
        assert_eq!(fs::read_to_string(&file).unwrap(), text);

        fs::write(&file, "{,}").unwrap();
        assert_eq!(refused("field one"), "own_profiles_unreadable");
    }
}
