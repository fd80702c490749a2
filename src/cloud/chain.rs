//! The provider of the credentials: the SDK's own for what it does as we promise, and before them ours.

use std::sync::Arc;

use aws_config::BehaviorVersion;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::CloudSettings;
use super::aws_files::{CredentialKind, DURATION, sdk_name};
use super::credentials::{Choice, Profiles};
use super::endpoints::empty_variable;
use super::http::Https;
use super::process::ProcessProvider;
use super::role::{ProfileRole, RoleProvider};
use super::usable::UsableSource;
use super::variables::{self, WebIdentity};
use super::wait::Wait;
use crate::error::Error;
use crate::model::Region;
use crate::safety::sanitize::phrase;

/// What all providers of one chain are made from.
pub(super) struct Chain<'a> {
    pub(super) profiles: &'a Arc<Profiles>,
    pub(super) settings: &'a CloudSettings,
    pub(super) region: &'a Region,
    pub(super) http: Https,
    /// For containers and instances, whose credentials come over http.
    pub(super) local_services: Https,
    pub(super) wait: &'a Wait,
}

impl Chain<'_> {
    /// What [`Profiles::choice`] says, and nothing else if that fails: whatever came next would be another identity.
    pub(super) fn provider(&self) -> SharedCredentialsProvider {
        match self.profiles.choice() {
            Choice::Variables => keys_in_variables(),
            Choice::Profile => self.of_profile(self.profiles.name(), &mut Vec::new()),
            Choice::WebIdentity(identity) => self.web_identity(identity),
            Choice::Container => self.container(),
        }
    }

    fn config(&self) -> ProviderConfig {
        self.config_over(&self.http)
    }

    fn config_over(&self, http: &Https) -> ProviderConfig {
        ProviderConfig::without_region()
            .with_region(Some(aws_config::Region::new(self.region.to_string())))
            .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
            .with_http_client(http.clone())
    }

    fn container(&self) -> SharedCredentialsProvider {
        let config = self.config_over(&self.local_services);
        SharedCredentialsProvider::new(aws_config::ecs::EcsCredentialsProvider::builder().configure(&config).build())
    }

    fn instance(&self) -> SharedCredentialsProvider {
        let config = self.config_over(&self.local_services);
        let instance = aws_config::imds::credentials::ImdsCredentialsProvider::builder().configure(&config).build();
        SharedCredentialsProvider::new(instance)
    }

    fn web_identity(&self, identity: &WebIdentity) -> SharedCredentialsProvider {
        if let Some(empty) = empty_variable() {
            return endpoint_is_empty(&empty);
        }
        let WebIdentity { token_file, role, session } = identity.clone();
        let now = || format!("snow-onboard-{}", OffsetDateTime::now_utc().unix_timestamp());
        let configuration = StaticConfiguration {
            web_identity_token_file: token_file.into(),
            role_arn: role,
            session_name: session.unwrap_or_else(now),
        };
        let provider = WebIdentityTokenCredentialsProvider::builder()
            .static_configuration(configuration)
            .configure(&self.config());
        SharedCredentialsProvider::new(provider.build())
    }

    /// The provider of one profile; `before` are those that borrow from it, the one in use first.
    fn of_profile(&self, name: &str, before: &mut Vec<String>) -> SharedCredentialsProvider {
        let files = self.profiles.files();
        if before.iter().any(|borrower| borrower == name) {
            return unobtainable(format!("profile “{}” borrows from itself", phrase(name)));
        }
        let is_source = !before.is_empty();
        before.push(name.to_owned());
        let kind = files.kind(name, is_source);
        match kind {
            Some(CredentialKind::Process) => return self.process(name),
            Some(CredentialKind::Keys) => return self.keys(name),
            None if is_source => {
                return unobtainable(format!("profile “{}”, from which another one borrows, has none", phrase(name)));
            }
            None => return SharedCredentialsProvider::new(NoSource),
            Some(CredentialKind::Role | CredentialKind::WebIdentity | CredentialKind::Sso | CredentialKind::Login) => {}
        }
        if let Some(empty) = empty_variable() {
            return endpoint_is_empty(&empty);
        }
        if kind == Some(CredentialKind::Role) {
            return self.role(name, before);
        }
        let sdk = aws_config::profile::ProfileFileCredentialsProvider::builder()
            .configure(&self.config())
            .profile_name(sdk_name(name))
            .profile_files(self.profiles.for_sdk());
        SharedCredentialsProvider::new(sdk.build())
    }

    /// What the role of a profile is assumed with.
    fn source(&self, name: &str, before: &mut Vec<String>) -> UsableSource {
        let files = self.profiles.files();
        let provider = match (files.source_of(name, before.len() > 1), files.get(name, "credential_source")) {
            (Some(source), _) if source == name && files.lends_itself_a_program(name) => self.process(name),
            (Some(source), _) if source == name => self.keys(name),
            (Some(source), _) => self.of_profile(source, before),
            (None, Some("Environment")) => keys_in_variables(),
            (None, Some("EcsContainer")) => self.container(),
            (None, Some("Ec2InstanceMetadata")) => self.instance(),
            (None, _) => unobtainable(format!("profile “{}” has no source for its role", phrase(name))),
        };
        UsableSource { provider, name: format!("the source of profile “{}”", phrase(name)) }
    }

    /// The role of a profile, assumed with what the profile names as its source.
    fn role(&self, name: &str, before: &mut Vec<String>) -> SharedCredentialsProvider {
        let files = self.profiles.files();
        let said = |key: &str| files.get(name, key).map(str::to_owned);
        let Some(role) = said("role_arn") else {
            return unobtainable(format!("profile “{}” names no role", phrase(name)));
        };
        let source = SharedCredentialsProvider::new(self.source(name, before));
        let role = ProfileRole {
            profile: phrase(name),
            role,
            serial: said("mfa_serial"),
            external_id: said("external_id"),
            session: said("role_session_name").filter(|name| !name.is_empty()),
            seconds: said(DURATION).and_then(|text| text.parse().ok()),
        };
        SharedCredentialsProvider::new(RoleProvider {
            role,
            source,
            profiles: Arc::clone(self.profiles),
            region: self.region.clone(),
            http: self.http.clone(),
            wait: self.wait.clone(),
            obtained: Mutex::default(),
        })
    }

    /// The keys that stand in a profile itself.
    fn keys(&self, name: &str) -> SharedCredentialsProvider {
        let Some((id, secret, token)) = self.profiles.files().keys(name) else {
            let name = phrase(name);
            return unobtainable(format!(
                "profile “{name}” has no aws_access_key_id, or no aws_secret_access_key beside it in the same file"
            ));
        };
        let mut keys = Credentials::new(id, secret, token.map(str::to_owned), None, "profile");
        keys.get_property_mut_or_default::<Vec<AwsCredentialFeature>>().push(AwsCredentialFeature::CredentialsProfile);
        SharedCredentialsProvider::new(keys)
    }

    fn process(&self, name: &str) -> SharedCredentialsProvider {
        let shown = phrase(name);
        let Some((words, place)) = self.profiles.files().process(name) else {
            return unobtainable(format!("profile “{shown}” names no program"));
        };
        let program = phrase(words.first().map_or("", String::as_str));
        SharedCredentialsProvider::new(ProcessProvider {
            name: format!("the credential_process of profile “{shown}” ({program}, {place})"),
            words,
            // A little before the deadline of the call, which could not name the program.
            limit: self.settings.network_timeout * 9 / 10,
            helper: self.settings.helper.clone(),
        })
    }
}

fn keys_in_variables() -> SharedCredentialsProvider {
    match variables::keys() {
        Ok(Some(keys)) => SharedCredentialsProvider::new(keys),
        Ok(None) => unobtainable("AWS_ACCESS_KEY_ID is not set".to_owned()),
        Err(Error::CredentialsFailed { why }) => unobtainable(why.to_string()),
        Err(error) => unobtainable(error.to_string()),
    }
}

fn endpoint_is_empty(variable: &str) -> SharedCredentialsProvider {
    unobtainable(format!("{variable} is set to nothing, so AWS can't be asked for them; unset it"))
}

fn unobtainable(why: String) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Unobtainable(why))
}

/// A profile that says nothing of credentials.
#[derive(Debug)]
struct NoSource;

impl ProvideCredentials for NoSource {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded_no_source()))
    }
}

/// What no credentials can come from, and why.
#[derive(Debug)]
struct Unobtainable(String);

impl ProvideCredentials for Unobtainable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::invalid_configuration(self.0.clone())))
    }
}
