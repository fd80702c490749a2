//! The chain of providers: the SDK's own for what it does as we promise, and between them ours.

use std::sync::Arc;

use aws_config::BehaviorVersion;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;

use super::CloudSettings;
use super::aws_files::{CredentialKind, OUR_SOURCE, sdk_name};
use super::code::{CodeProvider, RoleWithCode};
use super::credentials::Profiles;
use super::endpoints::empty_variable;
use super::http::Https;
use super::process::ProcessProvider;
use super::wait::Wait;
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
    /// Environment, profile (keys, SSO, assume-role, credential process), web identity, container. A profile named explicitly
    /// stands alone, as with the AWS CLI.
    pub(super) fn provider(&self) -> SharedCredentialsProvider {
        let config = self.config();
        let profile = self.of_profile(self.profiles.name(), &mut Vec::new());
        let chain = if self.profiles.is_explicit() {
            CredentialsProviderChain::first_try("profile", profile)
        } else {
            let environment = aws_config::environment::EnvironmentVariableCredentialsProvider::new();
            let web_identity = aws_config::web_identity_token::WebIdentityTokenCredentialsProvider::builder()
                .configure(&config)
                .build();
            let container = self.container();
            CredentialsProviderChain::first_try("environment", environment)
                .or_else("profile", profile)
                .or_else("web identity", web_identity)
                .or_else("container", container)
        };
        SharedCredentialsProvider::new(chain)
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

    fn container(&self) -> aws_config::ecs::EcsCredentialsProvider {
        aws_config::ecs::EcsCredentialsProvider::builder().configure(&self.config_over(&self.local_services)).build()
    }

    fn instance(&self) -> aws_config::imds::credentials::ImdsCredentialsProvider {
        let config = self.config_over(&self.local_services);
        aws_config::imds::credentials::ImdsCredentialsProvider::builder().configure(&config).build()
    }

    /// The provider of one profile; `before` are those that borrow from it, the one in use first.
    fn of_profile(&self, name: &str, before: &mut Vec<String>) -> SharedCredentialsProvider {
        let files = self.profiles.files();
        if before.iter().any(|borrower| borrower == name) {
            return unobtainable(format!("profile “{}” borrows from itself", phrase(name)));
        }
        let is_source = !before.is_empty();
        before.push(name.to_owned());
        let asks_aws = files.lineage(name).iter().any(|name| {
            !matches!(files.kind(name, true), None | Some(CredentialKind::Keys | CredentialKind::Process))
                || !matches!(files.kind(name, false), None | Some(CredentialKind::Keys | CredentialKind::Process))
        });
        if let Some(empty) = empty_variable().filter(|_| asks_aws) {
            return unobtainable(format!("{empty} is set to nothing, so AWS can't be asked for them; unset it"));
        }
        if files.is_ours(name, is_source) {
            return match files.kind(name, is_source) {
                Some(CredentialKind::Process) => self.process(name),
                _ => self.with_code(name, before),
            };
        }
        let mut sdk = aws_config::profile::ProfileFileCredentialsProvider::builder()
            .configure(&self.config())
            .profile_name(sdk_name(name))
            .profile_files(self.profiles.for_sdk())
            // By the names of credential_source. The SDK's own would have the client that knows no http.
            .with_custom_provider("EcsContainer", self.container())
            .with_custom_provider("Ec2InstanceMetadata", self.instance());
        // The first further along that is ours; the SDK assumes the roles that stand before it.
        if files.lends_itself_a_program(name) {
            sdk = sdk.with_custom_provider(OUR_SOURCE, self.process(name));
        } else if let Some(ours) = files.lineage(name).into_iter().skip(1).find(|source| files.is_ours(source, true)) {
            sdk = sdk.with_custom_provider(OUR_SOURCE, self.of_profile(ours, before));
        }
        SharedCredentialsProvider::new(sdk.build())
    }

    /// A role that asks for a one-time code, assumed with what the profile names as its source.
    fn with_code(&self, name: &str, before: &mut Vec<String>) -> SharedCredentialsProvider {
        let files = self.profiles.files();
        let said = |key: &str| files.get(name, key).map(str::to_owned);
        let (Some(role), Some(serial)) = (said("role_arn"), said("mfa_serial")) else {
            return unobtainable(format!("profile “{}” names no role", phrase(name)));
        };
        let source = match (files.source_of(name), said("credential_source").as_deref()) {
            (Some(source), None) if source == name && files.lends_itself_a_program(name) => self.process(name),
            (Some(source), None) if source == name => match self.keys(name) {
                Some(keys) => SharedCredentialsProvider::new(keys),
                None => return unobtainable(format!("profile “{}” borrows from itself", phrase(name))),
            },
            (Some(source), None) => self.of_profile(source, before),
            (None, Some("Environment")) => {
                SharedCredentialsProvider::new(aws_config::environment::EnvironmentVariableCredentialsProvider::new())
            }
            (None, Some("EcsContainer")) => SharedCredentialsProvider::new(self.container()),
            _ => {
                let name = phrase(name);
                return unobtainable(format!(
                    "profile “{name}” names no source_profile and no credential_source to ask"
                ));
            }
        };
        let role = RoleWithCode {
            profile: phrase(name),
            role,
            serial,
            external_id: said("external_id"),
            session: said("role_session_name"),
            seconds: said("duration_seconds").and_then(|text| text.parse().ok()),
        };
        SharedCredentialsProvider::new(CodeProvider {
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
    fn keys(&self, name: &str) -> Option<Credentials> {
        let files = self.profiles.files();
        let said = |key: &str| files.get(name, key);
        let token = said("aws_security_token").or_else(|| said("aws_session_token")).map(str::to_owned);
        Some(Credentials::new(said("aws_access_key_id")?, said("aws_secret_access_key")?, token, None, "profile"))
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

fn unobtainable(why: String) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Unobtainable(why))
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
