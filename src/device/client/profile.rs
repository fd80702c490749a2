//! The client's profile file, in the client's documented format, holding code and manifest path together: allowed in
//! the private home alone, and only until the device is open.
//!
//! Format: Snowball Edge developer guide, "Managing your devices", `snowball-edge.config`.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::device::client::data::ProfileData;
use crate::device::homes;
use crate::error::{Error, Result, io_in_words};
use crate::model::{Endpoint, UnlockCode};
use crate::safety::path_trust::{self, Cause, OpenMode};

/// Stands before the code in a file that we wrote.
const BEFORE_CODE: &[u8] = b"\"unlockCode\":\"";

/// What a command of the operator's own may call the profile.
pub(in crate::device) const NAME: &str = "snow-onboard";

/// A name for this run's profile, such as `snow-onboard-0b1c2d3e`.
///
/// Another one for each run: a profile of a name known beforehand may lie in the user's real file, left there by a
/// client that once wrote past our home, and a client that ignores our home would find it and use what is in it.
pub(in crate::device) fn new_name() -> String {
    // Keyed by the system's random numbers; the name need not be secret, only nowhere yet.
    format!("{NAME}-{:08x}", RandomState::new().hash_one(std::process::id()) >> 32)
}

/// What a profile says.
#[derive(Clone, Copy)]
pub(in crate::device) struct Profile<'a> {
    pub(in crate::device) name: &'a str,
    /// The job, of a cluster that of a node.
    pub(in crate::device) job: &'a str,
    pub(in crate::device) manifest: &'a str,
    pub(in crate::device) endpoint: &'a Endpoint,
    /// The addresses of a cluster's nodes, as the client takes them. None of a device that is in no cluster.
    pub(in crate::device) nodes: &'a [String],
}

/// Path of the client's profile file below a home.
pub(in crate::device) fn path_in(home: &Path, data: &ProfileData) -> PathBuf {
    data.file.iter().fold(home.to_owned(), |path, part| path.join(part))
}

/// Opens the file, in whose place a client may have put something else: it is no link and has no other name. The way to it is for
/// the caller to check.
fn open(path: &Path, access: OpenMode) -> io::Result<File> {
    path_trust::open_own(path, access)
        .map_err(|refused| match refused.cause {
            Cause::Io(error) => error,
            Cause::Flaw(_) => io::Error::other(refused.to_string()),
        })?
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Writes the file, and the folders that the client expects, into a home that is empty; `code` is wiped on return.
pub(in crate::device) fn write(
    home: &Path,
    data: &ProfileData,
    profile: &Profile<'_>,
    code: UnlockCode,
) -> Result<PathBuf> {
    let path = path_in(home, data);
    let parents = data.file.split_last().map_or(&[][..], |(_, parents)| parents);
    for folder in data.folders.iter().map(Vec::as_slice).chain([parents]) {
        make_folders(home, folder)?;
    }
    let text = text(data.version, profile, &code);
    drop(code);
    let fail = |error: io::Error| Error::disk("Writing", &path, error);
    let mut file = path_trust::create_private_file(&path).map_err(fail)?;
    // One write from the wiped buffer: a BufWriter would keep a copy.
    file.write_all(&text).map_err(fail)?;
    Ok(path)
}

/// What is in a file that [`write`] wrote, with another device named. `None` if it does not name `from`.
pub(in crate::device) fn with_endpoint(
    path: &Path,
    from: &Endpoint,
    to: &Endpoint,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let quoted = |endpoint: &Endpoint| serde_json::Value::from(endpoint.as_url()).to_string();
    let (from, to) = (quoted(from), quoted(to));
    let fail = |error: io::Error| Error::disk("Reading", path, error);
    let mut file = open(path, OpenMode::Read).map_err(fail)?;
    let length = usize::try_from(file.metadata().map_err(fail)?.len()).unwrap_or(usize::MAX).min(1 << 20);
    let mut text = Zeroizing::new(vec![0; length]);
    file.read_exact(&mut text).map_err(fail)?;
    let Some(at) = text.windows(from.len()).rposition(|window| window == from.as_bytes()) else { return Ok(None) };
    let mut changed = Zeroizing::new(Vec::with_capacity(length + to.len()));
    changed.extend_from_slice(&text[..at]);
    changed.extend_from_slice(to.as_bytes());
    changed.extend_from_slice(&text[at + from.len()..]);
    Ok(Some(changed))
}

fn make_folders(home: &Path, parts: &[String]) -> Result<()> {
    let mut path = home.to_owned();
    for part in parts {
        path.push(part);
        // One that the client made at its first start may be a link to the user's own.
        path_trust::private_folder_in_private(&path).map_err(|refused| Error::refused("Making", &path, refused))?;
    }
    Ok(())
}

/// The file's text. Put together by hand in a buffer that never grows: a JSON library would leave copies of the code.
fn text(version: u32, profile: &Profile<'_>, code: &UnlockCode) -> Zeroizing<Vec<u8>> {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let (name, job) = (quoted(profile.name), quoted(profile.job));
    let head = format!("{{\"version\":{version},\"profiles\":{{{name}:{{\"name\":{name},\"jobId\":{job},");
    let tail = format!(
        "\",\"manifestPath\":{},\"defaultEndpoint\":{},\"isCluster\":{},\"deviceIps\":{}}}}}}}\n",
        quoted(profile.manifest),
        quoted(&profile.endpoint.as_url()),
        !profile.nodes.is_empty(),
        serde_json::Value::from(profile.nodes)
    );
    let length = head.len() + BEFORE_CODE.len() + UnlockCode::LENGTH + tail.len();
    let mut text = Zeroizing::new(Vec::with_capacity(length));
    text.extend_from_slice(head.as_bytes());
    text.extend_from_slice(BEFORE_CODE);
    code.expose(|code| text.extend_from_slice(code.as_bytes()));
    text.extend_from_slice(tail.as_bytes());
    debug_assert_eq!(text.len(), length);
    text
}

/// Takes the code back out of a file that [`write`] wrote. Errors in words, for the guard to tell.
pub(in crate::device) fn read_code(path: &Path) -> Result<UnlockCode, String> {
    let words = |error: io::Error| format!("{} can't be read: {}", path.display(), io_in_words(&error));
    let mut file = open(path, OpenMode::Read).map_err(words)?;
    let length = usize::try_from(file.metadata().map_err(words)?.len()).unwrap_or(usize::MAX).min(1 << 20);
    let mut text = Zeroizing::new(vec![0; length]);
    file.read_exact(&mut text).map_err(words)?;
    let start = text.windows(BEFORE_CODE.len()).position(|window| window == BEFORE_CODE);
    start
        .map(|start| start + BEFORE_CODE.len())
        .and_then(|start| text.get(start..start + UnlockCode::LENGTH))
        .and_then(|code| UnlockCode::take(code).ok())
        .ok_or_else(|| format!("{} does not hold what was written to it", path.display()))
}

/// Gives the profile `name` in a client's file more names. What has one of them already stays. Errors in words, for the guard to
/// tell. Copies of the code that the parser leaves are zeroed by the allocator when they are freed.
pub(in crate::device) fn add_names(path: &Path, name: &str, more: &[String]) -> Result<(), String> {
    let words = |error: io::Error| format!("its profile file can't be changed: {}", io_in_words(&error));
    let unknown = || "its profile file has a form that this program does not know".to_owned();
    let mut file = open(path, OpenMode::Write).map_err(words)?;
    let old = file.try_clone().map_err(words)?;
    let text = Zeroizing::new(path_trust::read_bounded(old, MAX_SIZE).map_err(words)?);
    let mut whole: serde_json::Value = serde_json::from_slice(&text).map_err(|_| unknown())?;
    let profiles = whole.get_mut("profiles").and_then(serde_json::Value::as_object_mut).ok_or_else(unknown)?;
    let profile = profiles.get(name).filter(|profile| profile.is_object()).cloned().ok_or_else(unknown)?;
    for name in more {
        profiles.entry(name.as_str()).or_insert_with(|| {
            let mut profile = profile.clone();
            if let Some(said) = profile.get_mut("name") {
                *said = name.as_str().into();
            }
            profile
        });
    }
    let text = Zeroizing::new(serde_json::to_vec(&whole).map_err(|_| unknown())?);
    // Over the old one, which holds the same secret and is as private.
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(&text)).map_err(words)
}

/// A profile file is a few kilobytes; what is larger is told by its size and time alone.
const MAX_SIZE: u64 = 4 << 20;

/// The vendor's real profile files of this user, as they are now: to see afterwards that the client left them alone.
#[derive(PartialEq, Eq)]
pub(in crate::device) struct ProfileSnapshot(Vec<(PathBuf, Option<Look>)>);

/// Size, time of change, SHA-256.
type Look = (u64, Option<std::time::SystemTime>, [u8; 32]);

impl ProfileSnapshot {
    /// Looks at the file in each place where the client may take the user's home to be.
    pub(in crate::device) fn look(data: &ProfileData) -> Self {
        Self::look_in(&homes(), data)
    }

    fn look_in(homes: &[PathBuf], data: &ProfileData) -> Self {
        let look = |path: &Path| {
            // Whoever's it is: it is compared with itself, and nothing else is made of it.
            let file = path_trust::open_untrusted(path).ok().flatten()?;
            let meta = file.metadata().ok()?;
            let content = Zeroizing::new(path_trust::read_bounded(file, MAX_SIZE).unwrap_or_default());
            Some((meta.len(), meta.modified().ok(), Sha256::digest(&content[..]).into()))
        };
        Self(homes.iter().map(|home| path_in(home, data)).map(|path| (path.clone(), look(&path))).collect())
    }

    /// The first file that is not as it was.
    pub(in crate::device) fn changed(&self, data: &ProfileData) -> Option<PathBuf> {
        self.changed_in(&homes(), data)
    }

    fn changed_in(&self, homes: &[PathBuf], data: &ProfileData) -> Option<PathBuf> {
        let now = Self::look_in(homes, data);
        self.0.iter().zip(now.0).find(|(before, after)| **before != *after).map(|(before, _)| before.0.clone())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::client::data::ClientData;

    const CODE: &str = "12345-abcde-12345-ABCDE-12345";
    const JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";

    #[test]
    fn the_file_is_the_documented_json_and_private() {
        let home = tempfile::tempdir().unwrap();
        let data = ClientData::built_in().profile;
        let endpoint = "192.0.2.10:8443".parse().unwrap();
        let manifest = "C:\\Users\\Jürgen \"J\" Müller\\m.bin";
        let profile = Profile { name: "snow-onboard-1", job: JOB, manifest, endpoint: &endpoint, nodes: &[] };
        let path = write(home.path(), &data, &profile, UnlockCode::take(CODE).unwrap()).unwrap();

        let text = std::fs::read_to_string(&path).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({"version": 1, "profiles": {"snow-onboard-1": {
            "name": "snow-onboard-1", "jobId": JOB, "unlockCode": CODE, "manifestPath": manifest,
            "defaultEndpoint": "https://192.0.2.10:8443", "isCluster": false, "deviceIps": []
        }}});
        assert_eq!(json, expected);
        assert_eq!(path_trust::privacy_flaw(&path).unwrap(), None);
        assert!(home.path().join(".aws/snowball/logs").is_dir());
        assert!(read_code(&path).unwrap().expose(|code| code == CODE));
        let nodes = ["192.0.2.10", "192.0.2.11:9092"].map(str::to_owned);
        let cluster = Profile { nodes: &nodes, ..profile };
        let other = tempfile::tempdir().unwrap();
        let of_cluster = write(other.path(), &data, &cluster, UnlockCode::take(CODE).unwrap()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(of_cluster).unwrap()).unwrap();
        let written = &json["profiles"]["snow-onboard-1"];
        assert_eq!((&written["isCluster"], &written["deviceIps"]), (&true.into(), &nodes.to_vec().into()));
        let again = write(home.path(), &data, &profile, UnlockCode::take(CODE).unwrap());
        assert_eq!(again.unwrap_err().code(), "disk", "an existing file is not written over");
    }

    #[test]
    fn a_profile_gets_more_names_and_another_one_keeps_its_own() {
        let home = tempfile::tempdir().unwrap();
        let data = ClientData::built_in().profile;
        let endpoint = "192.0.2.10".parse().unwrap();
        let profile = Profile { name: "one", job: JOB, manifest: "/m", endpoint: &endpoint, nodes: &[] };
        let path = write(home.path(), &data, &profile, UnlockCode::take(CODE).unwrap()).unwrap();
        let names = [data.default.clone(), NAME.to_owned()];
        add_names(&path, "one", &names).unwrap();
        add_names(&path, NAME, &["one".to_owned(), "two".to_owned()]).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for name in ["one", "default", "snow-onboard", "two"] {
            let profile = &json["profiles"][name];
            assert_eq!((&profile["name"], &profile["unlockCode"]), (&name.into(), &CODE.into()), "{json}");
        }
        assert_eq!(path_trust::privacy_flaw(&path).unwrap(), None);
        assert!(read_code(&path).unwrap().expose(|code| code == CODE));
        assert!(add_names(&path, "three", &names).unwrap_err().contains("does not know"));
        std::fs::write(&path, "[]").unwrap();
        assert!(add_names(&path, "one", &names).unwrap_err().contains("does not know"));
    }

    #[test]
    fn no_two_runs_share_a_name() {
        let (one, two) = (new_name(), new_name());
        assert_ne!(one, two);
        let suffix = one.strip_prefix("snow-onboard-").unwrap();
        assert!(suffix.len() == 8 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
    }

    #[test]
    fn a_file_without_a_code_is_told_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "{\"unlockCode\":\"12345\"}").unwrap();
        assert!(read_code(&path).unwrap_err().contains("does not hold"));
    }

    #[test]
    fn a_change_of_the_real_file_is_seen() {
        let home = tempfile::tempdir().unwrap();
        let homes = [home.path().to_owned()];
        let data = ClientData::built_in().profile;
        let path = path_in(home.path(), &data);
        let absent = ProfileSnapshot::look_in(&homes, &data);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert_eq!(absent.changed_in(&homes, &data), None);
        std::fs::write(&path, "one").unwrap();
        assert_eq!(absent.changed_in(&homes, &data), Some(path.clone()));
        let present = ProfileSnapshot::look_in(&homes, &data);
        assert_eq!(present.changed_in(&homes, &data), None);
        std::fs::write(&path, "two").unwrap();
        assert_eq!(present.changed_in(&homes, &data), Some(path));
    }
}
