//! Which profile, which region, whose credentials.
//!
//! The chain is built by hand: the SDK's default one ends at the instance metadata service, which costs a laptop
//! seconds, and lets credentials in the environment win over a profile that was named on the command line.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

#[allow(deprecated, reason = "the types have no other public name in aws-config")]
use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use time::OffsetDateTime;

use super::aws_files::{AwsFiles, CredentialKind, Source, Unusable, odd_key_character, sdk_name};
use super::logged::millis;
use super::wait::Wait;
use crate::error::{Error, Result};
use crate::model::{Malformed, Origin, Region, Sourced, expanded_path};
use crate::safety::path_trust::{self, Position, Whose};
use crate::safety::quote::quoted;
use crate::safety::sanitize::{phrase, sanitize, sanitize_typed};
use crate::safety::search_path;

/// What the profile files say, and which profile counts.
#[derive(Debug)]
pub(super) struct Profiles {
    files: AwsFiles,
    name: String,
    /// Named on the command line or in the settings: then it wins over the environment.
    explicit: bool,
}

impl Profiles {
    /// Reads `~/.aws/config` and `~/.aws/credentials`, or what `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` name: once,
    /// and only if nobody else can write to them, since they name programs to run.
    ///
    /// # Errors
    /// [`Error::CredentialsFailed`] if they can't be read, if others can write to one, if the profile asked for is in neither, or
    /// if something that it depends on can't be understood.
    pub(super) fn load(explicit: Option<&str>) -> Result<Self> {
        let config = trusted_file("AWS_CONFIG_FILE", "config")?;
        let credentials = trusted_file("AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
        let files = AwsFiles::read(config.as_ref(), credentials.as_ref());
        // One that is named as nothing is none, as with the AWS CLI.
        let explicit = explicit.filter(|name| !name.is_empty());
        let name = explicit.map_or_else(|| profile_of_environment().value, str::to_owned);
        let profiles = Self { files, name, explicit: explicit.is_some() };
        profiles.files.check(&profiles.name).map_err(Unusable::into_error)?;
        profiles.check_what_they_lead_to()?;
        if let Some(why) = explicit.is_none().then(half_a_key).flatten() {
            return Err(Error::CredentialsFailed { why });
        }
        // A profile that AWS_PROFILE names may be missing where the environment holds credentials as well.
        if explicit.is_some() && !profiles.files.has(&profiles.name) {
            return Err(profiles.no_such_profile());
        }
        Ok(profiles)
    }

    /// Looks at the programs and files that the profile in use, those that it borrows from, and the environment name: they are
    /// started and read later.
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
        for name in self.files.lineage(&self.name) {
            let shown = phrase(name);
            let value = |key: &str| self.files.get(name, key);
            if let Some(path) = value("web_identity_token_file") {
                token(&format!("the token file of profile “{shown}”"), Path::new(path))?;
            }
            let kind = self.files.kind(name, name != self.name);
            if (kind == Some(CredentialKind::Process) || self.files.lends_itself_a_program(name))
                && let Some((words, _)) = self.files.process(name)
                && let Some(program) = words.first()
            {
                check_program(program)
                    .map_err(|refused| failed(&format!("the credential_process of profile “{shown}”"), &refused))?;
            }
            if value("credential_source") == Some("Environment")
                && let Some((variable, odd)) = odd_variable()
            {
                return Err(Error::CredentialsFailed { why: format!("{variable} has {odd} in it") });
            }
            let home = std::env::home_dir().map(|home| home.join(".aws"));
            let cache = match kind {
                Some(CredentialKind::Sso) => home.map(|home| home.join("sso").join("cache")),
                Some(CredentialKind::Login) => std::env::var_os("AWS_LOGIN_CACHE_DIRECTORY")
                    .map(PathBuf::from)
                    .or_else(|| home.map(|home| home.join("login").join("cache"))),
                _ => None,
            };
            if let Some(cache) = cache {
                check_kept_sign_ins(&cache).map_err(|refused| failed("the kept sign-in", &refused))?;
            }
        }
        Ok(())
    }

    /// What the files held when they were read, for the SDK.
    #[allow(deprecated, reason = "the type has no other public name in aws-config")]
    pub(super) fn for_sdk(&self) -> ProfileFiles {
        let text = self.files.for_sdk(&self.name);
        // Without any content of one the SDK panics.
        ProfileFiles::builder()
            .with_contents(ProfileFileKind::Config, text)
            .with_contents(ProfileFileKind::Credentials, "")
            .build()
    }

    /// All that the files say.
    pub(super) fn files(&self) -> &AwsFiles {
        &self.files
    }

    /// Whether the profile was named on the command line or in the settings: then it stands alone.
    pub(super) fn is_explicit(&self) -> bool {
        self.explicit
    }

    /// The selected profile's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The same as the SDK has it.
    pub(super) fn name_for_sdk(&self) -> String {
        sdk_name(&self.name)
    }

    /// The region, and where it comes from: `--region`, `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile.
    ///
    /// # Errors
    /// [`Error::RegionMissing`]; [`Error::CredentialsFailed`] where that is since the profile is missing;
    /// [`Error::SettingInvalid`] if it is none.
    pub(super) fn region(&self, explicit: Option<&Sourced<Region>>) -> Result<Sourced<Region>> {
        let variable = |name: &str| {
            let value = std::env::var(name).ok()?.trim().to_owned();
            (!value.is_empty()).then(|| (value, Origin::Variable(name.to_owned())))
        };
        if let Some(region) = explicit {
            return Ok(region.clone());
        }
        let (region, origin) = variable("AWS_REGION")
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .or_else(|| {
                let region = self.files.get(&self.name, "region").filter(|value| !value.is_empty())?;
                Some((region.to_owned(), Origin::Profile(self.name.clone())))
            })
            .ok_or_else(|| self.missing_profile().unwrap_or(Error::RegionMissing))?;
        parse_region(&region, origin)
    }

    /// What the profile says of something.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.files.get(&self.name, key).filter(|text| !text.is_empty())
    }

    /// The address that the profile has for a service ("snowball").
    ///
    /// # Errors
    /// What can't be used of its services section.
    pub(super) fn endpoint_url(&self, service: &str) -> Result<Option<&str>, Unusable> {
        self.files.endpoint_url(&self.name, service)
    }

    /// What signs the user in again, if the profile in use, or the one it borrows from, signs in.
    pub(super) fn sign_in(&self) -> Option<String> {
        let lineage = self.files.lineage(&self.name);
        let command = lineage.iter().enumerate().find_map(|(depth, &name)| match self.files.kind(name, depth > 0)? {
            CredentialKind::Sso => Some(("aws sso login", name)),
            CredentialKind::Login => Some(("aws login", name)),
            _ => None,
        });
        command.map(|(command, name)| format!("{command} --profile {}", quoted(name)))
    }

    /// A command of the AWS CLI, about the profile that was named here: without its name the CLI would take another one.
    pub(super) fn aws_command(&self, command: &str) -> String {
        if self.explicit {
            format!("{command} --profile {}", quoted(&sanitize(&self.name)))
        } else {
            command.to_owned()
        }
    }

    /// Where nobody can be asked for a one-time code: what has the AWS CLI ask for it and puts what it gives into variables, and
    /// this command again, which takes those and all else from the profile.
    pub(super) fn way_round_code(&self) -> (String, String) {
        let name = quoted(&sanitize(&self.name));
        let export = format!("aws configure export-credentials --profile {name} --format");
        let mut again = vec!["snow-onboard".to_owned()];
        let mut arguments = std::env::args_os().skip(1);
        while let Some(argument) = arguments.next() {
            match &*argument.to_string_lossy() {
                "--profile" => drop(arguments.next()),
                given if given.starts_with("--profile=") => {}
                given => again.push(quoted(&sanitize(given))),
            }
        }
        // One that is named goes before the variables, and one of this variable does not.
        let named = if self.explicit {
            again.push("--profile=".to_owned());
            if cfg!(windows) {
                format!("$env:AWS_DEFAULT_PROFILE = '{}'; ", sanitize(&self.name).replace('\'', "''"))
            } else {
                format!("AWS_DEFAULT_PROFILE={name} ")
            }
        } else {
            String::new()
        };
        let ask = if cfg!(windows) {
            format!("{export} powershell | Invoke-Expression")
        } else {
            format!("eval \"$({export} env)\"")
        };
        (ask, named + &again.join(" "))
    }

    /// Where credentials are looked for, in words.
    pub(super) fn tried(&self) -> String {
        let profile = format!("profile “{}”", phrase(self.name()));
        if self.explicit {
            profile
        } else {
            let others = self.others().map(|others| format!("; {others}")).unwrap_or_default();
            format!(
                "AWS_ACCESS_KEY_ID, {profile}, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_FULL_URI{others}"
            )
        }
    }

    /// Set by `AWS_PROFILE`, but in neither file: the reason why nothing was found.
    pub(super) fn missing_profile(&self) -> Option<Error> {
        let is_missing = self.name != "default" && !self.files.has(&self.name);
        is_missing.then(|| self.no_such_profile())
    }

    /// Which profiles there are besides, as a clause.
    fn others(&self) -> Option<String> {
        const SHOWN: usize = 10;
        let names: Vec<&str> = self.files.names().filter(|name| *name != self.name).collect();
        let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("“{}”", phrase(name))).collect();
        let more = names.len().saturating_sub(SHOWN);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!shown.is_empty()).then(|| format!("other profiles there: {}{rest}", shown.join(", ")))
    }

    fn no_such_profile(&self) -> Error {
        let name = phrase(&self.name);
        let why = if self.files.has_without_prefix(&self.name) {
            format!("~/.aws/config has a section [{name}], which has to be called [profile {name}]")
        } else {
            let others = self.others().map(|others| format!("; {others}")).unwrap_or_default();
            format!("there is no profile “{name}” in ~/.aws/config or ~/.aws/credentials{others}")
        };
        Error::CredentialsFailed { why }
    }
}

/// The profile if none is named to us, in the order of the AWS CLI. A variable that is set to nothing is not set, and does not
/// hide the other.
pub(super) fn profile_of_environment() -> Sourced<String> {
    let variable = |name: &&str| std::env::var(name).ok().filter(|profile| !profile.is_empty());
    ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"]
        .into_iter()
        .find_map(|name| Some(Sourced { value: variable(&name)?, origin: Origin::Variable(name.to_owned()) }))
        .unwrap_or_else(|| Sourced { value: "default".to_owned(), origin: Origin::Default })
}

/// `provider` with its wait told, what it finds taken out of everything that is said, and its origin noted in `found`.
pub(super) fn with_notice(
    provider: SharedCredentialsProvider,
    wait: Wait,
    profiles: &Arc<Profiles>,
    found: &NotedCredentials,
) -> SharedCredentialsProvider {
    let (profiles, found) = (Arc::clone(profiles), Arc::clone(found));
    SharedCredentialsProvider::new(NotifyingProvider { provider, wait, profiles, found })
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
            (From::CredentialsProfileLogin, format!("{profile}, signed in with “aws login”")),
            (From::CredentialsProcess, format!("{profile}, by its credential_process")),
            (From::CredentialsHttp, "the container's credential service".to_owned()),
            (From::CredentialsEnvVars, "the environment (AWS_ACCESS_KEY_ID)".to_owned()),
            (From::CredentialsProfile, format!("{profile}, by the keys in it")),
        ];
        // Of a role that the SDK assumes for a profile, it does not say so.
        let assumes = features.contains(&From::CredentialsProfile)
            && profiles.files.kind(profiles.name(), false) == Some(CredentialKind::Role);
        let source = sources
            .into_iter()
            .find(|(feature, _)| features.contains(feature) || (assumes && *feature == From::CredentialsStsAssumeRole))
            .map(|(_, words)| words);
        Self {
            source: source.unwrap_or_else(|| "a source that does not say what it is".to_owned()),
            temporary: credentials.session_token().is_some() || credentials.expiry().is_some(),
            expires: credentials.expiry().map(OffsetDateTime::from),
            sign_in: profiles.sign_in().filter(|_| !features.contains(&From::CredentialsEnvVars)),
        }
    }
}

/// Looks at a program that is to be started: at itself, and at the folders of PATH in which it, and whatever it starts, are
/// found.
fn check_program(program: &str) -> Result<(), path_trust::Refused> {
    for folder in std::env::split_paths(&search_path::of_caller()) {
        match path_trust::folder(&folder, Whose::Own, Position::Whole) {
            Err(refused) if !refused.is_missing() => return Err(refused),
            _ => {}
        }
    }
    // One that is not there can't be started either, which is told then.
    search_path::program(program).map_or(Ok(()), |program| path_trust::open_file(&program, Whose::Own).map(drop))
}

/// Where one of the AWS CLI's two files is: where a variable says, or in its usual place. `None` if the CLI is to read none.
///
/// # Errors
/// The end of the sentence "NAME …" about the variable.
pub(super) fn aws_file(variable: &str, name: &str) -> Result<Option<PathBuf>, String> {
    let named = std::env::var_os(variable).filter(|path| !path.is_empty());
    let usual = || std::env::home_dir().map(|home| home.join(".aws").join(name));
    let named = named.map(expanded_path).transpose().map_err(|why| format!("{variable} {why}"))?;
    // How the AWS CLI is told to read none.
    let none = if cfg!(windows) { "NUL" } else { "/dev/null" };
    Ok(named.or_else(usual).filter(|path| path.as_os_str() != none))
}

/// The content of one of the AWS CLI's two files. `None` if there is none.
pub(super) fn trusted_file(variable: &str, name: &str) -> Result<Option<Source>> {
    /// Hundreds of profiles are some hundred kilobytes.
    const MAX_SIZE: u64 = 16 << 20;
    let failed = |why: String| Error::CredentialsFailed { why };
    let Some(path) = aws_file(variable, name).map_err(failed)? else { return Ok(None) };
    let content = path_trust::read_file(&path, Whose::Own, MAX_SIZE)
        .map_err(|refused| failed(format!("{} can't be used: {}", path.display(), refused.clause(&path))))?;
    let text = content.map(String::from_utf8).transpose();
    let text = text.map_err(|_| failed(format!("{} is not UTF-8", path.display())))?;
    Ok(text.map(|text| Source { path, text }))
}

/// Looks at the folder in which the AWS CLI keeps sign-ins, and at each.
fn check_kept_sign_ins(cache: &Path) -> Result<(), path_trust::Refused> {
    match path_trust::folder(cache, Whose::Own, Position::Whole) {
        Err(refused) if !refused.is_missing() => return Err(refused),
        _ => {}
    }
    for file in cache.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()) {
        path_trust::open_file(&file, Whose::Own)?;
    }
    Ok(())
}

/// Says so where the environment names a key and not its secret.
fn half_a_key() -> Option<String> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    (is_set("AWS_ACCESS_KEY_ID") && !is_set("AWS_SECRET_ACCESS_KEY"))
        .then(|| "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not".to_owned())
}

/// The first of the variables with keys that has a character which no key has, and the character in words.
fn odd_variable() -> Option<(&'static str, String)> {
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
        .into_iter()
        .find_map(|name| Some((name, odd_key_character(&std::env::var(name).ok()?)?)))
}

fn parse_region(region: &str, origin: Origin) -> Result<Sourced<Region>> {
    match region.parse() {
        Ok(value) => Ok(Sourced { value, origin }),
        Err(_) if region.trim() == Region::OF_DEVICE => Err(Error::RegionOfDevice { origin: origin.to_string() }),
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
struct NotifyingProvider {
    provider: SharedCredentialsProvider,
    wait: Wait,
    profiles: Arc<Profiles>,
    found: NotedCredentials,
}

impl ProvideCredentials for NotifyingProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let started = std::time::Instant::now();
            let before = self.wait.begin("the AWS sign-in".to_owned());
            let credentials = self.provider.provide_credentials().await;
            self.wait.begin(before);
            let credentials = credentials.and_then(|found| self.usable(found));
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

impl NotifyingProvider {
    /// The credentials without blanks and line breaks around their parts, which a file from Windows or a program leaves there.
    /// What has one within is no key: the SDK would panic where it can't stand in a header.
    fn usable(&self, found: Credentials) -> provider::Result {
        let parts = [
            ("access key id", Some(found.access_key_id())),
            ("secret access key", Some(found.secret_access_key())),
            ("session token", found.session_token()),
        ];
        let trimmed = parts.map(|(what, part)| (what, part.map(str::trim)));
        for (what, part) in trimmed {
            if let Some(odd) = part.and_then(odd_key_character) {
                let source = CredentialsInUse::new(&found, &self.profiles).source;
                let why = format!("the {what} of {source} has {odd} in it");
                return Err(provider::error::CredentialsError::invalid_configuration(why));
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
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    /// Profiles from a text instead of the user's files.
    pub(in crate::cloud) fn profiles(config: &str, name: &str, explicit: bool) -> Profiles {
        let source = Source { path: PathBuf::from("config"), text: config.to_owned() };
        Profiles { files: AwsFiles::read(Some(&source), None), name: name.to_owned(), explicit }
    }

    #[test]
    fn the_sign_in_command_names_the_profile_that_signs_in() {
        let config = "[profile a]\nsource_profile = b\nrole_arn = arn:aws:iam::123456789012:role/r\n\
                      [profile b]\nsso_session = s\n\
                      [profile old]\nsso_start_url = https://x.example/start\n\
                      [profile ring]\nsource_profile = gnir\n[profile gnir]\nsource_profile = ring\n\
                      [profile keys]\naws_access_key_id = A\n";
        let login = |name| profiles(config, name, true).sign_in();
        let odd = profiles("[profile 'm $x y']\nlogin_session = l\n", "m $x y", true).sign_in().unwrap();
        assert_eq!(odd, "aws login --profile 'm $x y'");
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
    fn a_profile_that_asks_or_is_missing_is_explained() {
        let config = "[profile a]\nlogin_session = arn:aws:iam::123456789012:user/u\n[profile b]\nmfa_serial = x\n";
        assert_eq!(profiles(config, "a", true).sign_in().unwrap(), "aws login --profile a");
        let command = |explicit| profiles(config, "b c", explicit).aws_command("aws configure list");
        assert_eq!(command(true), format!("aws configure list --profile {}", quoted("b c")));
        assert_eq!(command(false), "aws configure list", "the variables count for it as well");
        let (ask, again) = profiles(config, "b", true).way_round_code();
        assert!(ask.contains("export-credentials --profile b") && again.ends_with(" --profile="), "{ask} {again}");
        let missing = profiles(config, "c", false).region(None).unwrap_err().report().sentence;
        assert!(missing.contains("no profile “c”") && missing.contains("other profiles there: “a”, “b”."), "{missing}");
        let many: String = (10..25).map(|number| format!("[profile p{number}]\n")).collect();
        let tried = profiles(&many, "default", false).tried();
        assert!(tried.ends_with("“p19” and 5 more"), "{tried}");
        assert!(matches!(profiles("", "default", false).region(None), Err(Error::RegionMissing)));
    }
}
