//! What a change of the AWS CLI's settings file means to the CLI, before it is made.

use std::path::{Path, PathBuf};

use super::aws_files::{AwsFiles, CredentialKind, Source};
use super::credentials::{aws_file, trusted_file};
use crate::error::{Error, Result};

/// The AWS CLI's two files, the one for settings as it is and as it would be.
#[derive(Debug)]
pub(crate) struct ConfigChange {
    before: AwsFiles,
    after: AwsFiles,
}

/// Where the AWS CLI's settings file is, which may not be there. `None` if the CLI is told to read none.
///
/// # Errors
/// [`Error::CredentialsFailed`] for a variable that names no path.
pub(crate) fn config_file() -> Result<Option<PathBuf>> {
    aws_file("AWS_CONFIG_FILE", "config").map_err(|why| Error::CredentialsFailed { why: why.into() })
}

/// The AWS CLI's file for credentials, likewise.
///
/// # Errors
/// Those of [`config_file`].
pub(crate) fn credentials_file() -> Result<Option<PathBuf>> {
    aws_file("AWS_SHARED_CREDENTIALS_FILE", "credentials").map_err(|why| Error::CredentialsFailed { why: why.into() })
}

impl ConfigChange {
    /// Of the settings file `path`, from `before` to `after`. What of them is no UTF-8 is in nobody's way.
    ///
    /// # Errors
    /// [`Error::CredentialsFailed`] if the file for credentials, which is read too, can't be.
    pub(crate) fn of(path: &Path, before: &[u8], after: &[u8]) -> Result<Self> {
        let credentials = trusted_file("AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
        Ok(Self::with(path, before, after, credentials.as_ref()))
    }

    fn with(path: &Path, before: &[u8], after: &[u8], credentials: Option<&Source>) -> Self {
        let read = |content: &[u8]| {
            let config = Source { path: path.to_owned(), text: String::from_utf8_lossy(content).into_owned() };
            AwsFiles::read(Some(&config), credentials)
        };
        Self { before: read(before), after: read(after) }
    }

    /// Whether there was a profile, or a section for addresses of services, of this name before: in either file.
    pub(crate) fn had(&self, name: &str) -> bool {
        self.before.has(name) || self.before.has_services(name)
    }

    /// Whether all that the files say of others than `name` stays.
    pub(crate) fn leaves_others(&self, name: &str) -> bool {
        self.before.says_the_same_of_others(&self.after, name)
    }

    /// Whether the CLI would read `name` as a profile whose credentials come from this command, and whose requests to each of these
    /// services go to its address.
    pub(crate) fn makes(&self, name: &str, command: &[String], services: &[(&str, String)]) -> bool {
        let process = self.after.process(name);
        let goes_to = |service: &str| self.after.endpoint_url(name, service).ok().flatten();
        self.after.check(name).is_ok()
            && self.after.kind(name, false) == Some(CredentialKind::Process)
            && process.is_some_and(|(words, _)| words == command)
            && services.iter().all(|(service, url)| goes_to(service) == Some(url))
    }

    /// The first line that the CLI, which reads a file whole or not at all, would not read the file for: "line 3 of /x …".
    pub(crate) fn flaw(&self) -> Option<String> {
        self.after.first_flaw()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OURS: &str = "[profile snow]\ncredential_process = '/a b/c' d\nservices = snow\nregion = snow\nendpoint_url = https://192.0.2.10:8443\n[services snow]\ns3 =\n  endpoint_url = https://192.0.2.10:8443\n";

    fn change(before: &str, after: &str, credentials: &str) -> ConfigChange {
        let credentials = Source { path: "credentials".into(), text: credentials.to_owned() };
        ConfigChange::with(Path::new("config"), before.as_bytes(), after.as_bytes(), Some(&credentials))
    }

    #[test]
    fn a_profile_is_what_the_cli_would_make_of_it() {
        let words = if cfg!(windows) { ["'/a", "b/c'", "d"].to_vec() } else { ["/a b/c", "d"].to_vec() };
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let at =
            |port: u16| [("s3", format!("https://192.0.2.10:{port}")), ("sts", "https://192.0.2.10:8443".to_owned())];
        let makes = |before: &str, credentials: &str| {
            change(before, &format!("{before}\n{OURS}"), credentials).makes("snow", &words, &at(8443))
        };
        assert!(makes("", "") && makes("[default]\nregion = x", "[a]\naws_access_key_id = A\n"));
        assert!(!change("", OURS, "").makes("snow", &words, &at(443)), "another address");
        assert!(!change("", OURS, "").makes("snow", &words[1..], &at(8443)), "another command");
        assert!(!makes("", "[snow]\naws_access_key_id = A\naws_secret_access_key = S\n"), "keys go before a command");
        assert!(!makes("[DEFAULT]\nrole_arn = r\n", ""), "a role goes before it too");
        assert!(!makes("region = x\n[default]", ""), "the file is none to the CLI");
    }

    #[test]
    fn whatever_else_the_files_say_is_compared() {
        let before =
            "[default]\nregion = x\n[profile a]\nregion = y\n[services b]\ns3 =\n  endpoint_url = u\n[odd]\nk = v\n";
        assert!(change(before, &format!("{before}{OURS}"), "").leaves_others("snow"));
        assert!(change(&format!("{OURS}{before}"), before, "").leaves_others("snow"));
        for (from, to) in [
            ("region = x", "region = z"),
            ("profile a", "profile c"),
            ("= u", "= w"),
            ("[odd]", "[even]"),
            ("region = y", "nonsense"),
        ] {
            assert!(!change(before, &before.replace(from, to), "").leaves_others("snow"), "{from}");
        }
        assert!(change("[profile \"snow\"]\n", "", "").had("snow") && change("", "", "[snow]\n").had("snow"));
        assert!(change("[services snow]\n", "", "").had("snow") && !change(before, "", "").had("snow"));
        assert!(change("", &format!("[a]\nnonsense\n{OURS}"), "").flaw().unwrap().starts_with("line 2 of config"));
        assert_eq!(change("", OURS, "").flaw(), None);
    }
}
