//! Where settings come from besides the command line: variables and the two files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::os;
use crate::safety::path_trust::Whose;

pub(super) const PREFIX: &str = "SNOW_ONBOARD_";
pub(super) const AWS_CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// Files and variables around the flags. A parameter, so that tests bring their own.
#[derive(Debug, Default)]
pub struct ProcessEnvironment {
    /// Environment variables of interest, by name.
    pub variables: BTreeMap<String, OsString>,
    /// The user's file, if it has a place.
    pub user_file: Option<PathBuf>,
    /// The system's file.
    pub system_file: Option<PathBuf>,
    /// Refuse a system's file that somebody other than the administrator may have written.
    pub system_file_is_checked: bool,
}

impl ProcessEnvironment {
    /// Those of this process.
    #[must_use]
    pub(crate) fn of_this_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(PREFIX) || name == AWS_CA_BUNDLE)
            .collect();
        Self { variables, user_file: user_file(), system_file: system_file(), system_file_is_checked: true }
    }

    /// Whose word the system's file has to be.
    pub(super) fn writer_of_system_file(&self) -> Whose {
        if self.system_file_is_checked { Whose::Administrator } else { Whose::Own }
    }
}

/// Where the state folder is when no setting says otherwise: local, never roaming or synced.
///
/// Linux `$XDG_STATE_HOME/snow-onboard` or `~/.local/state/snow-onboard`; macOS
/// `~/Library/Application Support/snow-onboard`; Windows `%LOCALAPPDATA%\snow-onboard`. `None` without a home.
pub(super) fn default_state_folder() -> Option<PathBuf> {
    let absolute = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::home_dir().filter(|home| home.is_absolute());
    let parent = if cfg!(windows) {
        absolute("LOCALAPPDATA").or_else(|| home().map(|home| home.join("AppData").join("Local")))
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library").join("Application Support"))
    } else {
        absolute("XDG_STATE_HOME").or_else(|| home().map(|home| home.join(".local").join("state")))
    };
    parent.map(|parent| parent.join("snow-onboard"))
}

/// The file of whoever runs this; a place of his own choice.
fn user_file() -> Option<PathBuf> {
    let absolute = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let parent = if cfg!(windows) {
        absolute("APPDATA")
    } else {
        // On macOS too: beside the state it would lie in a folder that has to be private.
        absolute("XDG_CONFIG_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".config")))
    };
    parent.map(in_our_folder)
}

/// The file for all users. No variable has a say in where it is: else a user could set the locks aside.
fn system_file() -> Option<PathBuf> {
    os::settings_for_all().map(in_our_folder)
}

fn in_our_folder(parent: PathBuf) -> PathBuf {
    parent.join("snow-onboard").join("config.toml")
}
