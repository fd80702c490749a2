//! Which profile, which region, whose credentials.
//!
//! The choice is made here, by what is set: the SDK's chain goes on to the next identity where one fails, ends at the instance
//! metadata service, which costs a laptop seconds, and lets variables win over a profile that was named on the command line.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

#[allow(deprecated, reason = "the types have no other public name in aws-config")]
use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use time::OffsetDateTime;

use super::aws_files::{AwsFiles, CredentialKind, Source, Unusable, sdk_name};
use super::logged::millis;
use super::process::{UnfitProgram, check_program};
use super::usable::usable;
use super::variables::{self, WebIdentity, profile_of_environment, variable};
use super::wait::Wait;
use crate::error::{Error, Result, Why};
use crate::model::{Malformed, Origin, Region, Sourced, expanded_path, odd_character};
use crate::report::moment;
use crate::safety::path_trust::{self, Position, Whose};
use crate::safety::quote::quoted;
use crate::safety::sanitize::{phrase, sanitize, sanitize_typed};
use crate::safety::search_path::{self, TrustedFolders};

const CONTAINER_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// What the profile files say, and which profile counts.
#[derive(Debug)]
pub(super) struct Profiles {
    files: AwsFiles,
    name: String,
    /// Named on the command line or in the settings: then it wins over the environment.
    explicit: bool,
    /// Named there, or in a variable: then it has to be there.
    is_named: bool,
    choice: Choice,
    notes: Vec<String>,
}

/// Whose credentials count.
#[derive(Debug)]
pub(super) enum Choice {
    /// Keys in variables.
    Variables,
    /// What the profile says.
    Profile,
    /// A role and a token file, which variables name, or the profile and variables.
    WebIdentity(WebIdentity),
    /// The credential service of the container.
    Container,
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
        let of_environment = profile_of_environment()?;
        let is_named = explicit.is_some() || of_environment.origin != Origin::Default;
        let name = explicit.map_or(of_environment.value, str::to_owned);
        let (choice, notes) = (Choice::Profile, Vec::new());
        let mut profiles = Self { files, name, explicit: explicit.is_some(), is_named, choice, notes };
        profiles.files.check_settings(&profiles.name).map_err(Unusable::into_error)?;
        profiles.choice = profiles.choose()?;
        // How the profile comes to credentials is nobody's matter where it does not lend them, as with the AWS CLI.
        if matches!(profiles.choice, Choice::Profile) {
            profiles.files.check(&profiles.name).map_err(Unusable::into_error)?;
        }
        profiles.notes = profiles.check_what_they_lead_to()?;
        Ok(profiles)
    }

    /// In the order of the AWS CLI: keys in variables, the role of the profile, a token file, what else the profile says, the
    /// container. A profile that is named explicitly stands alone.
    fn choose(&self) -> Result<Choice> {
        // A profile that AWS_PROFILE names may be missing where the variables hold keys as well.
        if !self.explicit && variables::keys()?.is_some() {
            return Ok(Choice::Variables);
        }
        if let Some(missing) = self.missing_profile() {
            return Err(missing);
        }
        let kind = self.files.kind(&self.name, false);
        if self.explicit || kind == Some(CredentialKind::Role) {
            return Ok(Choice::Profile);
        }
        if let Some(identity) = variables::web_identity(|key| self.text(key))? {
            return Ok(Choice::WebIdentity(identity));
        }
        if kind.is_some() {
            return Ok(Choice::Profile);
        }
        // The AWS CLI would take those, and another account is not the cure.
        match variables::older_keys()? {
            Some(place) => Err(Error::CredentialsFailed {
                why: format!("{place} has keys in a form that this program does not read; put them into a profile of ~/.aws/credentials").into(),
            }),
            None => Ok(Choice::Container),
        }
    }

    /// Whose credentials count.
    pub(super) fn choice(&self) -> &Choice {
        &self.choice
    }

    /// Looks at the programs and files that lead to the credentials that count: they are started and read later.
    fn check_what_they_lead_to(&self) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        let failed = |what: &str, path: &Path, refused: path_trust::Refused| Error::CredentialsFailed {
            why: refused.into_why_of(what, path),
        };
        let token = |what: &str, path: &Path| {
            path_trust::open_file(path, Whose::Own)
                .and_then(|file| file.ok_or_else(|| path_trust::Refused::nothing_at(path)))
                .map(drop)
                .map_err(|refused| failed(what, path, refused))
        };
        let of_container = || match variable(CONTAINER_TOKEN_FILE)? {
            Some(path) => token(&format!("the token file of {CONTAINER_TOKEN_FILE}"), Path::new(&path)),
            None => Ok(()),
        };
        match &self.choice {
            Choice::Variables => {
                let name = phrase(&self.name);
                return Ok(Vec::from_iter(self.is_missing().then(|| {
                    format!("There is no AWS profile “{name}” (AWS_PROFILE). The keys in AWS_ACCESS_KEY_ID are used.")
                })));
            }
            Choice::WebIdentity(identity) => {
                return token("the web identity token file", Path::new(&identity.token_file)).map(|()| notes);
            }
            Choice::Container => return of_container().map(|()| notes),
            Choice::Profile => {}
        }
        for name in self.files.lineage(&self.name) {
            let shown = phrase(name);
            let value = |key: &str| self.files.get(name, key);
            let kind = self.files.kind(name, name != self.name);
            if (kind == Some(CredentialKind::Process) || self.files.lends_itself_a_program(name))
                && let Some((words, _)) = self.files.process(name)
                && let Some((program, arguments)) = words.split_first()
            {
                let folders = TrustedFolders::of_caller();
                notes.extend(folders.found.sentence(&format!("The credential_process of profile “{shown}”")));
                // One that is not there can't be started either, which is told then.
                if let Some(program) = search_path::program(program, &folders.path) {
                    let what = format!("the credential_process of profile “{shown}”");
                    check_program(&program, arguments, &folders).map_err(|unfit| match unfit {
                        UnfitProgram::Refused(of, refused) => failed(&what, &of, refused),
                        UnfitProgram::Runs(why, mend) => {
                            Error::CredentialsFailed { why: Why::Refused(format!("{what} can't be used: {why}"), mend) }
                        }
                        UnfitProgram::Script(why) => {
                            Error::CredentialsFailed { why: format!("{what} can't be used: {why}").into() }
                        }
                    })?;
                }
            }
            if kind == Some(CredentialKind::WebIdentity)
                && let Some(path) = value("web_identity_token_file")
            {
                token(&format!("the token file of profile “{shown}”"), Path::new(path))?;
            }
            match value("credential_source").filter(|_| kind == Some(CredentialKind::Role)) {
                Some("Environment") => drop(variables::keys()?),
                Some("EcsContainer") => of_container()?,
                _ => {}
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
                check_kept_sign_ins(&cache).map_err(|refused| failed("the kept sign-in", &cache, refused))?;
            }
        }
        Ok(notes)
    }

    /// What was left out of what leads to the credentials: whole sentences.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
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
        if let Some(region) = explicit {
            return Ok(region.clone());
        }
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            if let Some(value) = variable(name)? {
                return parse_region(value.trim(), Origin::Variable(name.to_owned()));
            }
        }
        match self.text("region") {
            Some(region) => parse_region(region, Origin::Profile(self.name.clone())),
            None => Err(self.missing_profile().unwrap_or(Error::RegionMissing)),
        }
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
        if !matches!(self.choice, Choice::Profile) {
            return None;
        }
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
        // What follows two hyphens are no options of ours.
        let (mut at, mut arguments) = (None, std::env::args_os().skip(1));
        while let Some(argument) = arguments.next() {
            match &*argument.to_string_lossy() {
                "--profile" if at.is_none() => drop(arguments.next()),
                given if at.is_none() && given.starts_with("--profile=") => {}
                given => {
                    at = at.or((given == "--").then_some(again.len()));
                    again.push(quoted(&sanitize(given)));
                }
            }
        }
        // One that is named goes before the variables, and one of this variable does not.
        let named = if self.explicit {
            again.insert(at.unwrap_or(again.len()), "--profile=".to_owned());
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

    /// Named, but in neither file: the reason why nothing was found.
    pub(super) fn missing_profile(&self) -> Option<Error> {
        self.is_missing().then(|| self.no_such_profile())
    }

    fn is_missing(&self) -> bool {
        self.is_named && !self.files.has(&self.name)
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
        let place = |variable: &str, file: &str| match std::env::var_os(variable) {
            Some(path) if path.is_empty() => format!("{variable}, which is empty"),
            Some(path) => phrase(&path.to_string_lossy()),
            None => format!("~/.aws/{file}"),
        };
        let config = place("AWS_CONFIG_FILE", "config");
        let why = if self.files.has_without_prefix(&self.name) {
            format!("{config} has a section [{name}], which has to be called [profile {name}]")
        } else {
            let others = self.others().map(|others| format!("; {others}")).unwrap_or_default();
            // It would look like one that is there.
            let odd = odd_character(&self.name).filter(|_| self.files.has(self.name.trim()) || name != self.name);
            let odd = odd.map(|odd| format!(" (the name {odd})")).unwrap_or_default();
            let credentials = place("AWS_SHARED_CREDENTIALS_FILE", "credentials");
            // A name of the command line is in sight; one that a shell exported long ago is not.
            let origin = (!self.explicit).then(|| profile_of_environment().ok().map(|named| named.origin)).flatten();
            let from = match origin {
                Some(Origin::Variable(variable)) => format!(" ({variable})"),
                _ => String::new(),
            };
            format!("there is no profile “{name}”{odd}{from} in {config} or {credentials}{others}")
        };
        Error::CredentialsFailed { why: why.into() }
    }
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
        let source = sources.into_iter().find(|(feature, _)| features.contains(feature)).map(|(_, words)| words);
        Self {
            source: source.unwrap_or_else(|| "a source that does not say what it is".to_owned()),
            temporary: credentials.session_token().is_some() || credentials.expiry().is_some(),
            expires: credentials.expiry().and_then(moment),
            sign_in: profiles.sign_in().filter(|_| !features.contains(&From::CredentialsEnvVars)),
        }
    }
}

/// Where one of the AWS CLI's two files is: where a variable says, or in its usual place. `None` if the CLI is to read none, which it
/// is also told by a variable that is set to nothing.
///
/// # Errors
/// The end of the sentence "NAME …" about the variable.
pub(super) fn aws_file(variable: &str, name: &str) -> Result<Option<PathBuf>, String> {
    let named = std::env::var_os(variable);
    if named.as_ref().is_some_and(|path| path.is_empty()) {
        return Ok(None);
    }
    let named = named.map(expanded_path).transpose().map_err(|why| format!("{variable} {why}"))?;
    let path = match named {
        Some(path) => Some(path),
        None => variables::home_of_files(name)?.map(|home| home.join(".aws").join(name)),
    };
    // How the AWS CLI is told to read none.
    let none = if cfg!(windows) { "NUL" } else { "/dev/null" };
    Ok(path.filter(|path| path.as_os_str() != none))
}

/// The content of one of the AWS CLI's two files. `None` if there is none.
pub(super) fn trusted_file(variable: &str, name: &str) -> Result<Option<Source>> {
    /// Hundreds of profiles are some hundred kilobytes.
    const MAX_SIZE: u64 = 16 << 20;
    let failed = |why: String| Error::CredentialsFailed { why: why.into() };
    let Some(path) = aws_file(variable, name).map_err(failed)? else { return Ok(None) };
    let content = path_trust::read_file(&path, Whose::Own, MAX_SIZE)
        .map_err(|refused| Error::CredentialsFailed { why: refused.into_why_of(&path.display().to_string(), &path) })?;
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
    // The SDK reads those alone; whatever else lies there, folders too, is no matter.
    let is_read = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    for file in cache.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).filter(is_read) {
        path_trust::open_file(&file, Whose::Own)?;
    }
    Ok(())
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
            let source = |found: &Credentials| CredentialsInUse::new(found, &self.profiles).source;
            let credentials = credentials.and_then(|found| usable(found, source));
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
    pub(in crate::cloud) fn profiles(config: &str, name: &str, explicit: bool) -> Profiles {
        let source = Source { path: PathBuf::from("config"), text: config.to_owned() };
        let is_named = explicit || name != "default";
        let files = AwsFiles::read(Some(&source), None);
        Profiles { files, name: name.to_owned(), explicit, is_named, choice: Choice::Profile, notes: Vec::new() }
    }

    #[test]
    fn the_sign_in_command_names_the_profile_that_signs_in() {
        let config = "[profile a]\nsource_profile = b\nrole_arn = arn:aws:iam::123456789012:role/r\n\
                      [profile b]\nsso_session = s\nsso_account_id = 1\n\
                      [profile old]\nsso_start_url = https://x.example/start\nsso_role_name = r\n\
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
