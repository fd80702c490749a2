//! Which profile, which region, whose credentials.
//!
//! The chain is built by hand: the SDK's default one ends at the instance metadata service, which costs a laptop
//! seconds, and lets credentials in the environment win over a profile that was named on the command line.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::BehaviorVersion;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileSet;
#[allow(deprecated, reason = "the types have no other public name in aws-config")]
use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_types::os_shim_internal::{Env, Fs};
use time::OffsetDateTime;

use super::http::Https;
use super::logged::millis;
use super::wait::Wait;
use crate::error::{Error, Result};
use crate::model::{Malformed, Origin, Region, Sourced};
use crate::safety::path_trust::{self, Position, Whose};
use crate::safety::sanitize::phrase;
use crate::safety::sanitize::sanitize_typed;

/// What the profile files say, and which profile counts.
#[derive(Debug)]
pub(super) struct Profiles {
    #[allow(deprecated, reason = "the type has no other public name in aws-config")]
    files: ProfileFiles,
    set: ProfileSet,
    /// Named on the command line or in the settings: then it wins over the environment.
    explicit: bool,
}

impl Profiles {
    /// Reads `~/.aws/config` and `~/.aws/credentials`, or what `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` name: once,
    /// and only if nobody else can write to them, since they name programs to run.
    ///
    /// # Errors
    /// [`Error::CredentialsFailed`] if they can't be read, if others can write to one, or if the profile asked for is in neither.
    #[allow(deprecated, reason = "the types have no other public name in aws-config")]
    pub(super) async fn load(explicit: Option<&str>) -> Result<Self> {
        let named = explicit.map(|name| Cow::Owned(name.to_owned()));
        let mut files = ProfileFiles::builder();
        for (kind, variable, name) in [
            (ProfileFileKind::Config, "AWS_CONFIG_FILE", "config"),
            (ProfileFileKind::Credentials, "AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ] {
            // Without any content the SDK panics.
            files = files.with_contents(kind, trusted_file(variable, name)?.unwrap_or_default());
        }
        let files = files.build();
        let set = aws_config::profile::load(&Fs::real(), &Env::real(), &files, named)
            .await
            .map_err(|error| Error::CredentialsFailed { why: super::failure::in_words(&error) })?;
        let profiles = Self { files, set, explicit: explicit.is_some() };
        profiles.check_what_they_lead_to()?;
        // A profile that AWS_PROFILE names may be missing where the environment holds credentials as well.
        if explicit.is_some() && profiles.set.get_profile(profiles.name()).is_none() {
            return Err(no_such_profile(profiles.name()));
        }
        Ok(profiles)
    }

    /// Looks at the programs and files that the profile in use, those that it borrows from, and the environment name: the SDK
    /// starts and reads them by itself.
    fn check_what_they_lead_to(&self) -> Result<()> {
        let failed = |what: &str, refused: &path_trust::Refused| Error::CredentialsFailed {
            why: format!("{what} can't be used: {refused}"),
        };
        let token = |what: &str, path: &Path| {
            path_trust::open_file(path, Whose::Own)
                .and_then(|file| file.ok_or_else(|| path_trust::Refused::nothing_at(path)))
                .map(drop)
                .map_err(|refused| failed(what, &refused))
        };
        for variable in ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] {
            if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
                token(&format!("the token file of {variable}"), Path::new(&path))?;
            }
        }
        for name in self.lineage() {
            let shown = phrase(&name);
            let value = |key: &str| self.set.get_profile(&name).and_then(|profile| profile.get(key));
            if let Some(path) = value("web_identity_token_file") {
                token(&format!("the token file of profile “{shown}”"), Path::new(path))?;
            }
            if let Some(command) = value("credential_process") {
                check_program(command)
                    .map_err(|refused| failed(&format!("the credential_process of profile “{shown}”"), &refused))?;
            }
            if value("sso_session").or(value("sso_start_url")).is_some()
                && let Some(cache) = std::env::home_dir().map(|home| home.join(".aws").join("sso").join("cache"))
            {
                match path_trust::folder(&cache, Whose::Own, Position::Whole) {
                    Err(refused) if !refused.is_missing() => return Err(failed("the kept sign-in", &refused)),
                    _ => {}
                }
                for file in cache.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()) {
                    path_trust::open_file(&file, Whose::Own).map_err(|refused| failed("the kept sign-in", &refused))?;
                }
            }
        }
        Ok(())
    }

    /// The profile in use and those that it borrows from, in turn.
    fn lineage(&self) -> Vec<String> {
        let mut names = vec![self.name().to_owned()];
        while let Some(source) =
            self.set.get_profile(&names[names.len() - 1]).and_then(|profile| profile.get("source_profile"))
            // They can form a circle.
            && !names.iter().any(|name| name == source)
        {
            names.push(source.to_owned());
        }
        names
    }

    /// What the files held when they were read.
    #[allow(deprecated, reason = "the type has no other public name in aws-config")]
    pub(super) fn files(&self) -> ProfileFiles {
        self.files.clone()
    }

    /// The selected profile's name.
    pub(super) fn name(&self) -> &str {
        self.set.selected_profile()
    }

    /// The region, and where it comes from: `--region`, `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile.
    ///
    /// # Errors
    /// [`Error::RegionMissing`]; [`Error::SettingInvalid`] if it is none.
    pub(super) fn region(&self, explicit: Option<&Sourced<Region>>) -> Result<Sourced<Region>> {
        let variable = |name: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.trim().is_empty())?;
            Some((value, Origin::Variable(name.to_owned())))
        };
        if let Some(region) = explicit {
            return Ok(region.clone());
        }
        let (region, origin) = variable("AWS_REGION")
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .or_else(|| {
                let region = self.set.get("region").filter(|value| !value.is_empty())?;
                Some((region.to_owned(), Origin::Profile(self.name().to_owned())))
            })
            .ok_or(Error::RegionMissing)?;
        parse_region(&region, origin)
    }

    /// What signs the user in again, if the profile in use, or the one it borrows from, uses IAM Identity Center.
    pub(super) fn sso_login(&self) -> Option<String> {
        let mut name = self.name().to_owned();
        // Bounded: source profiles can form a circle.
        for _ in 0..16 {
            let profile = self.set.get_profile(&name)?;
            if profile.get("sso_session").is_some() || profile.get("sso_start_url").is_some() {
                // The profile files admit no name that a shell would take apart.
                return Some(format!("aws sso login --profile {}", phrase(&name)));
            }
            name = profile.get("source_profile").filter(|source| *source != name)?.to_owned();
        }
        None
    }

    /// Something about the profile that its failure alone would not tell.
    pub(super) fn peculiarity(&self) -> Option<&'static str> {
        let profile = self.set.get_profile(self.name())?;
        if profile.get("login_session").is_some() {
            Some(
                "the profile signs in with “aws login”, which only the AWS CLI can read; \
                 “aws configure export-credentials --format env” prints variables that work here",
            )
        } else if profile.get("mfa_serial").is_some() {
            Some(
                "the profile asks for a one-time code (mfa_serial), which only the AWS CLI can ask for; \
                 “aws configure export-credentials --format env” prints variables that work here",
            )
        } else {
            None
        }
    }

    /// Where credentials are looked for, in words.
    pub(super) fn tried(&self) -> String {
        let profile = format!("profile “{}”", phrase(self.name()));
        if self.explicit {
            profile
        } else {
            format!("AWS_ACCESS_KEY_ID, {profile}, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_FULL_URI")
        }
    }

    /// Set by `AWS_PROFILE`, but in neither file: the reason why nothing was found.
    pub(super) fn missing_profile(&self) -> Option<Error> {
        let is_missing = self.name() != "default" && self.set.get_profile(self.name()).is_none();
        is_missing.then(|| no_such_profile(self.name()))
    }

    /// The chain: environment, profile (keys, SSO, assume-role, credential process), web identity, container. A
    /// profile named explicitly stands alone, as with the AWS CLI.
    pub(super) fn provider(&self, region: &Region, http: Https) -> SharedCredentialsProvider {
        let config = ProviderConfig::without_region()
            .with_region(Some(aws_config::Region::new(region.to_string())))
            .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
            .with_http_client(http);
        let profile = aws_config::profile::ProfileFileCredentialsProvider::builder()
            .configure(&config)
            .profile_name(self.name())
            .profile_files(self.files())
            .build();
        let chain = if self.explicit {
            CredentialsProviderChain::first_try("profile", profile)
        } else {
            let environment = aws_config::environment::EnvironmentVariableCredentialsProvider::new();
            let web_identity = aws_config::web_identity_token::WebIdentityTokenCredentialsProvider::builder()
                .configure(&config)
                .build();
            let container = aws_config::ecs::EcsCredentialsProvider::builder().configure(&config).build();
            CredentialsProviderChain::first_try("environment", environment)
                .or_else("profile", profile)
                .or_else("web identity", web_identity)
                .or_else("container", container)
        };
        SharedCredentialsProvider::new(chain)
    }
}

/// `provider` with its wait told, what it finds taken out of everything that is said, and its origin noted in `found`.
pub(super) fn said_aloud(
    provider: SharedCredentialsProvider,
    wait: Wait,
    profiles: &Arc<Profiles>,
    found: &NotedCredentials,
) -> SharedCredentialsProvider {
    let (profiles, found) = (Arc::clone(profiles), Arc::clone(found));
    SharedCredentialsProvider::new(SaidAloud { provider, wait, profiles, found })
}

/// What is known of the credentials that were found last.
pub(super) type NotedCredentials = Arc<Mutex<Option<CredentialsInUse>>>;

/// Which credentials are in use. Never the credentials themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsInUse {
    /// Where they come from, in words: "profile “field”, signed in with IAM Identity Center".
    pub source: String,
    /// Whether they end by themselves.
    pub temporary: bool,
    /// When, if the source says.
    pub expires: Option<OffsetDateTime>,
    /// The command that gets new ones, if the profile has one.
    pub sign_in: Option<String>,
}

impl CredentialsInUse {
    fn new(credentials: &Credentials, profiles: &Profiles) -> Self {
        use AwsCredentialFeature as From;
        let features = credentials.get_property::<Vec<From>>().map_or(&[][..], Vec::as_slice);
        let profile = format!("profile “{}”", phrase(profiles.name()));
        // A role is assumed with credentials of another source; the role is what counts, so it is asked for first.
        let sources = [
            (From::CredentialsStsAssumeRole, format!("{profile}, which assumes a role")),
            (From::CredentialsProfileStsWebIdToken, "a web identity token".to_owned()),
            (From::CredentialsSso, format!("{profile}, signed in with IAM Identity Center")),
            (From::CredentialsProcess, format!("{profile}, by its credential_process")),
            (From::CredentialsHttp, "the container's credential service".to_owned()),
            (From::CredentialsEnvVars, "the environment (AWS_ACCESS_KEY_ID)".to_owned()),
            (From::CredentialsProfile, format!("{profile}, by the keys in it")),
        ];
        let source = sources.into_iter().find(|(feature, _)| features.contains(feature)).map(|(_, words)| words);
        Self {
            source: source.unwrap_or_else(|| "a source that does not say what it is".to_owned()),
            temporary: credentials.session_token().is_some() || credentials.expiry().is_some(),
            expires: credentials.expiry().map(OffsetDateTime::from),
            sign_in: profiles.sso_login().filter(|_| !features.contains(&From::CredentialsEnvVars)),
        }
    }
}

/// Looks at a program that a shell is to start: at itself where its path is given, and at the folders of PATH in which the shell
/// and whatever else it names are found.
fn check_program(command: &str) -> Result<(), path_trust::Refused> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path).filter(|folder| folder.is_absolute()) {
        match path_trust::folder(&folder, Whose::Own, Position::Whole) {
            Err(refused) if !refused.is_missing() => return Err(refused),
            _ => {}
        }
    }
    // As far as it can be told without a shell; what is quoted may hold blanks.
    let command = command.trim_start();
    let program = match command.chars().next() {
        Some(quote @ ('"' | '\'')) => command[1..].split(quote).next(),
        _ => command.split_whitespace().next(),
    };
    match program.map(Path::new).filter(|program| program.is_absolute()) {
        Some(program) => path_trust::open_file(program, Whose::Own).map(drop),
        None => Ok(()),
    }
}

/// The content of one of the AWS CLI's two files, named by a variable or in its usual place. `None` if there is none.
fn trusted_file(variable: &str, name: &str) -> Result<Option<String>> {
    /// Hundreds of profiles are some hundred kilobytes.
    const LARGEST: u64 = 16 << 20;
    let failed = |why: String| Error::CredentialsFailed { why };
    let named = std::env::var_os(variable).filter(|path| !path.is_empty());
    let home = std::env::home_dir();
    let path = match (named.map(PathBuf::from), home) {
        (Some(path), home) => match (path.strip_prefix("~"), home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path,
        },
        (None, Some(home)) => home.join(".aws").join(name),
        (None, None) => return Ok(None),
    };
    // How the AWS CLI is told to read none.
    if path.as_os_str() == if cfg!(windows) { "NUL" } else { "/dev/null" } {
        return Ok(None);
    }
    let content = path_trust::read_file(&path, Whose::Own, LARGEST)
        .map_err(|refused| failed(format!("{} can't be used: {}", path.display(), refused.clause(&path))))?;
    let text = content.map(String::from_utf8).transpose();
    text.map_err(|_| failed(format!("{} is not UTF-8", path.display())))
}

fn no_such_profile(name: &str) -> Error {
    Error::CredentialsFailed {
        why: format!("there is no profile “{}” in ~/.aws/config or ~/.aws/credentials", phrase(name)),
    }
}

fn parse_region(region: &str, origin: Origin) -> Result<Sourced<Region>> {
    match region.parse() {
        Ok(value) => Ok(Sourced { value, origin }),
        Err(Malformed { why }) => Err(Error::SettingInvalid {
            name: "region".to_owned(),
            given: sanitize_typed(region),
            origin: origin.to_string(),
            why,
        }),
    }
}

/// Says that the wait is for the sign-in while it is: a credential process may be asking the user something.
#[derive(Debug)]
struct SaidAloud {
    provider: SharedCredentialsProvider,
    wait: Wait,
    profiles: Arc<Profiles>,
    found: NotedCredentials,
}

impl ProvideCredentials for SaidAloud {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let started = std::time::Instant::now();
            let before = self.wait.begin("the AWS sign-in".to_owned());
            let credentials = self.provider.provide_credentials().await;
            self.wait.begin(before);
            match &credentials {
                Ok(found) => {
                    crate::safety::redact::register(found.secret_access_key());
                    found.session_token().inspect(|token| crate::safety::redact::register(token));
                    let temporary = found.session_token().is_some();
                    *self.found.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(CredentialsInUse::new(found, &self.profiles));
                    tracing::info!(temporary, millis = millis(started), "credentials were found");
                }
                Err(_) => tracing::warn!(millis = millis(started), "no credentials were found"),
            }
            credentials
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    /// Profiles from a text instead of the user's files.
    pub(in crate::cloud) fn profiles(config: &str, name: &'static str, explicit: bool) -> Profiles {
        #[allow(deprecated)]
        let files = ProfileFiles::builder().with_contents(ProfileFileKind::Config, config).build();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let load =
            async { aws_config::profile::load(&Fs::real(), &Env::from_slice(&[]), &files, Some(name.into())).await };
        Profiles { set: runtime.block_on(load).unwrap(), files, explicit }
    }

    #[test]
    fn the_sign_in_command_names_the_profile_that_signs_in() {
        let config = "[profile a]\nsource_profile = b\nrole_arn = arn:aws:iam::123456789012:role/r\n\
                      [profile b]\nsso_session = s\n\
                      [profile old]\nsso_start_url = https://x.example/start\n\
                      [profile ring]\nsource_profile = gnir\n[profile gnir]\nsource_profile = ring\n\
                      [profile keys]\naws_access_key_id = A\n";
        let login = |name| profiles(config, name, true).sso_login();
        assert_eq!(login("a").unwrap(), "aws sso login --profile b");
        assert_eq!(login("old").unwrap(), "aws sso login --profile old");
        assert_eq!(login("ring"), None);
        assert_eq!(login("keys"), None);
    }

    #[test]
    fn regions_are_names_or_refused_with_their_origin() {
        assert_eq!(parse_region("eu-central-1", Origin::Default).unwrap().value.as_str(), "eu-central-1");
        for text in ["", "EU-central-1", "eu-central-1.evil.example/", "-eu", "eu central 1"] {
            let Err(Error::SettingInvalid { origin, .. }) =
                parse_region(text, Origin::Variable("AWS_REGION".to_owned()))
            else {
                panic!("{text}")
            };
            assert_eq!(origin, "AWS_REGION");
        }
        let profile = profiles("[profile a]\nregion = ap-south-1\n", "a", true);
        assert_eq!(
            profile.region(Some(&parse_region("eu-west-1", Origin::Default).unwrap())).unwrap().value.as_str(),
            "eu-west-1"
        );
    }

    #[test]
    fn a_profile_that_only_the_cli_can_use_is_explained() {
        let config = "[profile a]\nlogin_session = arn:aws:iam::123456789012:user/u\n[profile b]\nmfa_serial = x\n";
        assert!(profiles(config, "a", true).peculiarity().unwrap().contains("aws login"));
        assert!(profiles(config, "b", true).peculiarity().unwrap().contains("mfa_serial"));
        assert!(profiles(config, "c", false).missing_profile().is_some());
    }
}
