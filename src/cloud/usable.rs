//! Credentials are looked at before anything is signed with them: the SDK panics on those that can't stand in a header.

use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::{
    self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};

use super::aws_files::odd_key_character;

/// The credentials without blanks and line breaks around their parts, which a file from Windows or a program leaves there.
/// What has one within is no key, and is refused with the name of its source.
pub(super) fn usable(found: Credentials, source: impl FnOnce(&Credentials) -> String) -> provider::Result {
    let parts = [
        ("access key id", Some(found.access_key_id())),
        ("secret access key", Some(found.secret_access_key())),
        ("session token", found.session_token()),
    ];
    let trimmed = parts.map(|(what, part)| (what, part.map(str::trim)));
    for (what, part) in trimmed {
        if let Some(odd) = part.and_then(odd_key_character) {
            let why = format!("the {what} of {} has {odd} in it", source(&found));
            return Err(CredentialsError::invalid_configuration(why));
        }
    }
    if trimmed == parts {
        return Ok(found);
    }
    let [(_, id), (_, secret), (_, token)] = trimmed;
    let mut rebuilt = Credentials::new(
        id.unwrap_or_default(),
        secret.unwrap_or_default(),
        token.map(str::to_owned),
        found.expiry(),
        "trimmed",
    );
    if let Some(features) = found.get_property::<Vec<AwsCredentialFeature>>() {
        rebuilt.get_property_mut_or_default::<Vec<AwsCredentialFeature>>().extend(features.iter().cloned());
    }
    Ok(rebuilt)
}

/// What a role is assumed with.
#[derive(Debug)]
pub(super) struct UsableSource {
    pub(super) provider: SharedCredentialsProvider,
    /// "the source of profile “field”".
    pub(super) name: String,
}

impl ProvideCredentials for UsableSource {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            usable(self.provider.provide_credentials().await?, |_| self.name.clone())
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_role_is_assumed_with_is_looked_at_too() {
        let source = |id: &str| {
            let provider = SharedCredentialsProvider::new(Credentials::new(id, "S", None, None, "test"));
            UsableSource { provider, name: "the source of profile “a”".to_owned() }
        };
        assert_eq!(source("AKID\r\n").provide_credentials().await.unwrap().access_key_id(), "AKID");
        let refused = source("AK\rID").provide_credentials().await.unwrap_err();
        let why = super::super::causes::in_words(&refused);
        assert_eq!(why, "the access key id of the source of profile “a” has a carriage return in it");
    }
}
