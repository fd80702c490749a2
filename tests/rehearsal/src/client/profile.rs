//! `<home>/.aws/snowball/config/snowball-edge.config`: plaintext JSON that holds the code beside the manifest's path.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The file.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) version: u32,
    #[serde(default)]
    pub(super) profiles: BTreeMap<String, Profile>,
}

impl Default for Config {
    fn default() -> Self {
        Self { version: 1, profiles: BTreeMap::new() }
    }
}

/// One device. A file written by hand without the last two members was seen to be accepted, and one without `name` is
/// none of ours to refuse.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) job_id: String,
    pub(super) unlock_code: String,
    pub(super) manifest_path: PathBuf,
    pub(super) default_endpoint: String,
    #[serde(default)]
    pub(super) is_cluster: bool,
    #[serde(default)]
    pub(super) device_ips: Vec<String>,
}

/// Where the file is in a home.
pub(super) fn path(home: &Path) -> PathBuf {
    home.join(".aws").join("snowball").join("config").join("snowball-edge.config")
}

/// Reads the file; one that is not there has no profiles.
///
/// # Errors
/// If it can't be read or is not what it should be. The text quotes nothing of it.
pub(super) fn load(home: &Path) -> Result<Config, String> {
    match fs::read(path(home)) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| format!("the configuration can't be read: {} in line {}", classify(&error), error.line())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Config::default()),
        Err(error) => Err(format!("the configuration can't be read: {error}")),
    }
}

/// Writes the file as a Java program does: with whatever mode the umask leaves.
pub(super) fn store(home: &Path, config: &Config) -> io::Result<()> {
    let path = path(home);
    fs::create_dir_all(path.parent().unwrap_or(home))?;
    fs::write(path, serde_json::to_vec(config)?)
}

fn classify(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "a member is missing or of another kind",
        serde_json::error::Category::Eof => "it ends too early",
        _ => "it is not JSON",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The guide's sample, with its stray comma removed.
    const SAMPLE: &str = r#"{"version":1,"profiles":{"SnowDevice1profile":{
        "name":"SnowDevice1profile",
        "jobId":"JID12345678-136f-45b4-b5c2-847db8adc749",
        "unlockCode":"db223-12345-dbe46-44557-c7cc2",
        "manifestPath":"C:\\Users\\Administrator\\.aws\\ops-hub\\manifest\\m.bin",
        "defaultEndpoint":"https://10.16.0.1",
        "isCluster":false,
        "deviceIps":[]}}}"#;

    #[test]
    fn the_documented_file_goes_both_ways() {
        let config: Config = serde_json::from_str(SAMPLE).unwrap();
        let written = serde_json::to_value(&config).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(SAMPLE).unwrap());
    }

    #[test]
    fn two_members_may_be_missing() {
        let mut short: serde_json::Value = serde_json::from_str(SAMPLE).unwrap();
        let profile = short["profiles"]["SnowDevice1profile"].as_object_mut().unwrap();
        profile.retain(|name, _| name != "isCluster" && name != "deviceIps");
        let config: Config = serde_json::from_value(short).unwrap();
        assert!(!config.profiles["SnowDevice1profile"].is_cluster);
    }

    #[test]
    fn a_home_without_the_file_has_no_profiles_and_a_broken_file_is_not_quoted() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(load(home.path()).unwrap(), Config::default());
        let path = path(home.path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, r#"{"version":1,"profiles":{"p":{"unlockCode":["secret"]}}}"#).unwrap();
        assert!(!load(home.path()).unwrap_err().contains("secret"));
    }
}
