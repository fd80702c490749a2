//! ONE READER of the variables that the AWS CLI has, and the credentials in them.
//!
//! What is not Unicode, or blank where a key is expected, is refused: taken for unset, it would be another account's turn.

use std::env::{VarError, var, var_os};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::aws_files::odd_key_character;
use crate::error::{Error, Result};
use crate::model::{Origin, Sourced, expanded_path};
use crate::report::utc_in_words;
use crate::safety::path_trust::{self, Whose};
use crate::safety::sanitize::phrase;

const EXPIRATION: &str = "AWS_CREDENTIAL_EXPIRATION";

/// A role, and the file with the token for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WebIdentity {
    pub(super) token_file: String,
    pub(super) role: String,
    pub(super) session: Option<String>,
}

/// What a variable says. `None` if it is not set, or set to nothing.
///
/// # Errors
/// [`Error::CredentialsFailed`] if it is not Unicode.
pub(super) fn variable(name: &str) -> Result<Option<String>> {
    said(name, var(name))
}

/// The profile if none is named to us, in the order of the AWS CLI. A variable that is set to nothing is not set, and does not
/// hide the other.
///
/// # Errors
/// [`Error::CredentialsFailed`] if one that counts is not Unicode.
pub(super) fn profile_of_environment() -> Result<Sourced<String>> {
    for name in ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"] {
        if let Some(value) = variable(name)? {
            return Ok(Sourced { value, origin: Origin::Variable(name.to_owned()) });
        }
    }
    Ok(Sourced { value: "default".to_owned(), origin: Origin::Default })
}

fn said(name: &str, value: std::result::Result<String, VarError>) -> Result<Option<String>> {
    match value {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(failed(format!("{name} is not valid text (UTF-8)"))),
    }
}

/// The keys in the variables, if a key id is among them.
///
/// # Errors
/// [`Error::CredentialsFailed`] for half a key, or what is none.
pub(super) fn keys() -> Result<Option<Credentials>> {
    let Some(id) = part_of_key("AWS_ACCESS_KEY_ID")? else { return Ok(None) };
    let Some(secret) = part_of_key("AWS_SECRET_ACCESS_KEY")? else {
        return Err(failed("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not".to_owned()));
    };
    // The older name goes first, as with the CLI.
    let token = match part_of_key("AWS_SECURITY_TOKEN")? {
        None => part_of_key("AWS_SESSION_TOKEN")?,
        older => older,
    };
    let mut keys = Credentials::new(id, secret, token, expiration()?, "environment");
    keys.get_property_mut_or_default::<Vec<AwsCredentialFeature>>().push(AwsCredentialFeature::CredentialsEnvVars);
    Ok(Some(keys))
}

fn part_of_key(name: &str) -> Result<Option<String>> {
    let Some(value) = variable(name)? else { return Ok(None) };
    let trimmed = value.trim();
    if trimmed.is_empty() {
        return Err(failed(format!("{name} holds nothing but blanks")));
    }
    match odd_key_character(trimmed) {
        Some(odd) => Err(failed(format!("{name} has {odd} in it"))),
        None => Ok(Some(trimmed.to_owned())),
    }
}

/// When the keys in the variables end, if a variable says so: then they are used no longer, as by the CLI.
///
/// # Errors
/// [`Error::CredentialsExpired`]; [`Error::CredentialsFailed`] for what is no time.
fn expiration() -> Result<Option<SystemTime>> {
    variable(EXPIRATION)?.map(|said| end_of_keys(&said, OffsetDateTime::now_utc())).transpose()
}

fn end_of_keys(said: &str, now: OffsetDateTime) -> Result<SystemTime> {
    let Ok(end) = OffsetDateTime::parse(said.trim(), &Rfc3339) else {
        return Err(failed(format!("{EXPIRATION} is not a time like 2026-01-31T12:00:00Z")));
    };
    if end > now {
        return Ok(end.into());
    }
    Err(Error::CredentialsExpired {
        why: format!("{EXPIRATION} is {}", utc_in_words(end)),
        hint: format!(
            "Get new credentials the way you got these, and set {EXPIRATION} with them. To use a profile, unset AWS_ACCESS_KEY_ID. Then repeat the same command."
        ),
    })
}

/// The role to assume with a token in a file: of each part the variable goes before what the profile says.
///
/// # Errors
/// [`Error::CredentialsFailed`] if a part is missing.
pub(super) fn web_identity<'a>(of_profile: impl Fn(&str) -> Option<&'a str>) -> Result<Option<WebIdentity>> {
    let part = |name: &str, key: &str| -> Result<Option<String>> {
        // The CLI takes the variable that is set to nothing, and not what the profile says.
        match of_profile(key) {
            Some(_) if var_os(name).is_some_and(|value| value.is_empty()) => {
                Err(failed(format!("{name} is set to nothing, and the profile has a {key}; unset the variable")))
            }
            said => Ok(variable(name)?.or_else(|| said.map(str::to_owned))),
        }
    };
    let Some(token_file) = part("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file")? else { return Ok(None) };
    let Some(role) = part("AWS_ROLE_ARN", "role_arn")? else {
        return Err(failed(match variable("AWS_WEB_IDENTITY_TOKEN_FILE")? {
            Some(_) => "AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not".to_owned(),
            None => "the profile has a web_identity_token_file and no role_arn, and AWS_ROLE_ARN is not set".to_owned(),
        }));
    };
    let session = part("AWS_ROLE_SESSION_NAME", "role_session_name")?;
    Ok(Some(WebIdentity { token_file, role, session }))
}

/// What has keys in one of the two forms from before there were profiles, which the AWS CLI reads before it asks a container.
///
/// # Errors
/// [`Error::CredentialsFailed`] if what may have them can't be read: another identity is not the cure.
pub(super) fn older_keys() -> Result<Option<String>> {
    const FILE: &str = "AWS_CREDENTIAL_FILE";
    if var_os(FILE).is_some_and(|path| !path.is_empty()) {
        return Ok(Some(FILE.to_owned()));
    }
    let paths = match var_os("BOTO_CONFIG") {
        Some(path) => vec![expanded_path(path).map_err(|why| failed(format!("BOTO_CONFIG {why}")))?],
        None => {
            let of_home = home_of_files(".boto").map_err(failed)?.map(|home| home.join(".boto"));
            [Some(PathBuf::from("/etc/boto.cfg")), of_home].into_iter().flatten().collect()
        }
    };
    for path in paths {
        if has_older_keys(&path)? {
            return Ok(Some(phrase(&path.display().to_string())));
        }
    }
    Ok(None)
}

/// The user's home, below which a file of the AWS CLI's is. To the AWS CLI one that is not absolute is below whatever folder it is
/// started in, which may be anybody's.
///
/// # Errors
/// A clause, if it is not absolute.
pub(super) fn home_of_files(name: &str) -> Result<Option<PathBuf>, String> {
    match std::env::home_dir() {
        Some(home) if !home.is_absolute() => Err(format!(
            "{} is not an absolute path, so where the AWS CLI's file “{name}” is depends on the folder that a command is started in. Set it to the home folder",
            if cfg!(windows) { "USERPROFILE" } else { "HOME" }
        )),
        home => Ok(home),
    }
}

fn has_older_keys(path: &Path) -> Result<bool> {
    const MAX_SIZE: u64 = 1 << 20;
    // Neither a folder nor /dev/null, by which the AWS CLI is told to read none.
    if path.as_os_str().is_empty() || path.metadata().is_ok_and(|found| !found.is_file()) {
        return Ok(false);
    }
    let content = path_trust::read_file(path, Whose::Own, MAX_SIZE)
        .map_err(|refused| Error::CredentialsFailed { why: refused.into_why_of(&path.display().to_string(), path) })?;
    let text = content.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).to_lowercase();
    Ok(text.split(['\n', '\r']).any(|line| line.trim_start().starts_with("aws_access_key_id")))
}

fn failed(why: String) -> Error {
    Error::CredentialsFailed { why: why.into() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_unicode_is_not_taken_for_unset() {
        let of = |value| said("AWS_PROFILE", value).map_err(|error| error.report().sentence);
        assert_eq!(of(Err(VarError::NotPresent)), Ok(None));
        assert_eq!(of(Ok(String::new())), Ok(None));
        assert_eq!(of(Ok(" ".to_owned())), Ok(Some(" ".to_owned())), "a profile may be called that");
        let refused = of(Err(VarError::NotUnicode("?".into()))).unwrap_err();
        assert!(refused.contains("AWS_PROFILE is not valid text"), "{refused}");
    }

    #[test]
    fn keys_that_have_ended_are_told_by_the_variable_that_says_so() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let told = |said| end_of_keys(said, now).map_err(|error| (error.code(), error.report().sentence));
        assert!(told("2024-10-04T00:00:01Z").is_ok() && told(" 2024-10-04T02:00:01+02:00 ").is_ok());
        let (code, sentence) = told("2024-10-04T02:00:00+02:00").unwrap_err();
        assert_eq!(code, "credentials_expired");
        assert!(sentence.contains("AWS_CREDENTIAL_EXPIRATION is 2024-10-04 00:00:00 UTC"), "{sentence}");
        for said in ["soon", "2099-01-01", "2099-01-01T00:00:00", "4102444800"] {
            assert_eq!(told(said).unwrap_err().0, "credentials_failed", "{said}");
        }
    }

    #[test]
    fn older_keys_that_can_t_be_read_are_refused_and_not_overlooked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boto");
        let has = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            has_older_keys(&path).map_err(|error| error.report().sentence)
        };
        assert_eq!([folder.path(), Path::new("")].map(|none| has_older_keys(none).ok()), [Some(false); 2]);
        assert_eq!(has_older_keys(&path).ok(), Some(false), "nothing is there");
        assert_eq!(has(b"[Credentials]\ngs_secret_access_key = x\n# aws_access_key_id = A\n"), Ok(false));
        for text in
            ["aws_access_key_id = A", "[Credentials]\r  AWS_Access_Key_ID: A\r", "\u{feff}x\n\taws_access_key_id=A"]
        {
            assert_eq!(has(text.as_bytes()), Ok(true), "{text:?}");
        }
        let large = has(&vec![b' '; (1 << 20) + 1]).unwrap_err();
        assert!(large.contains("boto can't be used") && large.contains("larger than 1024 KiB"), "{large}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
            let shared = has(b"[Credentials]\n").unwrap_err();
            assert!(shared.contains("boto can't be used"), "{shared}");
        }
    }
}
