//! ONE READER of the variables that the AWS CLI has, and the credentials in them.
//!
//! What is not Unicode, or blank where a key is expected, is refused: taken for unset, it would be another account's turn.

use std::env::{VarError, var, var_os};

use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;

use super::aws_files::odd_key_character;
use crate::error::{Error, Result};

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
    let mut keys = Credentials::new(id, secret, token, None, "environment");
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
        return Err(failed("AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not".to_owned()));
    };
    let session = part("AWS_ROLE_SESSION_NAME", "role_session_name")?;
    Ok(Some(WebIdentity { token_file, role, session }))
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
}
