//! ONE NORMALIZER: what the AWS CLI's two files say, in the dialect of the SDK, which then has its own chains of it.
//!
//! The two read the same files differently: the SDK drops sections with a blank or an umlaut in their names, takes `#` after a
//! blank for a comment, knows no `key: value`, and of several kinds of credentials in one profile it takes another one. So the files
//! are read as the CLI reads them ([`ini`]), and written anew: names that the SDK does not take are spelled in
//! hexadecimal, and of each profile there is one kind of credentials, the one that the CLI takes. What can't be written so that it
//! means the same is refused, with file and line, if the profile in use depends on it. Keys, programs and
//! roles are left out of it: providers of ours have those.

mod dialect;
mod ini;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::safety::sanitize::phrase;
use dialect::{is_cut_by_sdk, is_identifier};
pub(super) use dialect::{odd_key_character, sdk_name};
use ini::{EntryValue, IniEntry, Section};

/// A file and its content, in which AWS secrets may be.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, …)", self.path.display())
    }
}

/// Where something stands that can't be used, and why not: a clause that follows "line 3 of /x".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) path: PathBuf,
    pub(super) line: usize,
    pub(super) why: String,
}

impl Unusable {
    /// For whoever asked for credentials.
    pub(super) fn into_error(self) -> Error {
        let Self { path, line, why } = self;
        Error::CredentialsFailed { why: format!("line {line} of {} {}", path.display(), phrase(&why)).into() }
    }
}

/// All that both files say.
#[derive(Debug, Default)]
pub(super) struct AwsFiles {
    profiles: BTreeMap<String, SectionSettings>,
    sso_sessions: BTreeMap<String, SectionSettings>,
    services: BTreeMap<String, SectionSettings>,
    /// What stands outside of all sections.
    outside: Option<Unusable>,
    /// What can't be understood in any section, whether or not somebody depends on it.
    flaws: Vec<Unusable>,
    /// Sections of the config file that name no profile, since the word before the name is missing.
    without_prefix: Vec<String>,
}

/// What a profile, or another kind of section, says; of both files.
#[derive(Debug, Default, Clone)]
struct SectionSettings {
    entries: BTreeMap<String, Said>,
    unusable: Option<Unusable>,
}

/// One entry with its place.
#[derive(Debug, Clone)]
struct Said {
    value: EntryValue,
    path: PathBuf,
    line: usize,
    /// It stands in the file for credentials, where the CLI looks for keys before it runs a program.
    in_credentials: bool,
}

/// How a profile comes to credentials, in the order in which the CLI tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CredentialKind {
    /// A role, with the credentials of another profile, or of the environment or the container.
    Role,
    /// A role, with a token in a file.
    WebIdentity,
    /// IAM Identity Center.
    Sso,
    /// `aws login`.
    Login,
    /// A program.
    Process,
    /// Keys.
    Keys,
}

const KEYS: [&str; 4] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token"];
const SSO: [&str; 6] =
    ["sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name", "sso_registration_scopes"];
const ROLE: [&str; 7] =
    ["role_arn", "source_profile", "credential_source", "external_id", "mfa_serial", "role_session_name", DURATION];
/// Roles that are assumed one after the other. AWS ends a session of the second at an hour.
const MAX_ROLES: usize = 50;

/// What a role is assumed with that is no profile.
const SOURCES: [&str; 3] = ["Environment", "EcsContainer", "Ec2InstanceMetadata"];

const TOKEN_FILE: &str = "web_identity_token_file";
const PROCESS: &str = "credential_process";

/// For how many seconds a role is assumed.
pub(super) const DURATION: &str = "duration_seconds";

impl AwsFiles {
    /// Reads both files. Nothing in them is an error until [`AwsFiles::check`].
    pub(super) fn read(config: Option<&Source>, credentials: Option<&Source>) -> Self {
        let mut files = Self::default();
        if let Some(source) = config {
            for section in files.sections(source) {
                let of = SectionSettings::of(&section, &source.path, false);
                // As the CLI does: a name is one word after the kind, or quoted; a later section replaces an earlier one.
                match (section.header.as_str(), ini::split(&section.header).as_deref()) {
                    ("default", _) => {
                        files.profiles.insert("default".to_owned(), of);
                    }
                    (header, Some([_, name])) if header.starts_with("profile") => {
                        files.profiles.insert(name.clone(), of);
                    }
                    (header, Some([_, name])) if header.starts_with("sso-session") => {
                        files.sso_sessions.insert(name.clone(), of);
                    }
                    (header, Some([_, name])) if header.starts_with("services") => {
                        files.services.insert(name.clone(), of);
                    }
                    (header, _) => files.without_prefix.push(header.to_owned()),
                }
            }
        }
        if let Some(source) = credentials {
            for section in files.sections(source) {
                let of = SectionSettings::of(&section, &source.path, true);
                let profile = files.profiles.entry(section.header).or_default();
                profile.entries.extend(of.entries);
                profile.unusable = profile.unusable.take().or(of.unusable);
            }
        }
        files
    }

    fn sections(&mut self, source: &Source) -> Vec<Section> {
        let (sections, outside) = ini::read(&source.text);
        if let Some(flaw) = outside {
            let outside = Unusable { path: source.path.clone(), line: flaw.line, why: flaw.why };
            self.outside.get_or_insert(outside);
        }
        let flaws = sections.iter().filter_map(|section| section.flaw.clone());
        self.flaws.extend(flaws.map(|flaw| Unusable { path: source.path.clone(), line: flaw.line, why: flaw.why }));
        let (inherited, mut sections): (Vec<Section>, Vec<Section>) =
            sections.into_iter().partition(|section| section.header == ini::DEFAULT);
        // What all depends on, whatever profile is in use.
        let flaw = inherited.iter().find_map(|section| section.flaw.clone());
        let inherited: Vec<IniEntry> = inherited.into_iter().flat_map(|section| section.entries).collect();
        let mut keys = HashSet::new();
        let twice = inherited.iter().find(|entry| !keys.insert(entry.key.as_str()));
        let twice = twice.map(|entry| ini::IniFlaw {
            line: entry.line,
            why: format!("says “{}” a second time in [{}]", entry.key, ini::DEFAULT),
        });
        if let Some(flaw) = flaw.or(twice) {
            let unusable = Unusable { path: source.path.clone(), line: flaw.line, why: flaw.why };
            self.outside.get_or_insert(unusable);
        }
        for section in &mut sections {
            let own: HashSet<&str> = section.entries.iter().map(|own| own.key.as_str()).collect();
            let missing = |entry: &&IniEntry| !own.contains(entry.key.as_str());
            let missing: Vec<IniEntry> = inherited.iter().filter(missing).cloned().collect();
            section.entries.extend(missing);
        }
        sections
    }

    /// Whether there is such a profile.
    pub(super) fn has(&self, profile: &str) -> bool {
        self.profiles.contains_key(profile)
    }

    /// Whether there is a section of this name for addresses of services.
    pub(super) fn has_services(&self, name: &str) -> bool {
        self.services.contains_key(name)
    }

    /// Whether all but what `name` names says the same in `other`, wherever it stands there.
    pub(super) fn says_the_same_of_others(&self, other: &Self, name: &str) -> bool {
        let same = |ours: &BTreeMap<String, SectionSettings>, its: &BTreeMap<String, SectionSettings>| {
            let of_others = |section: &&String| *section != name;
            ours.keys().filter(of_others).eq(its.keys().filter(of_others))
                && ours.iter().all(|(section, ours)| {
                    section == name || its.get(section).is_some_and(|its| ours.said() == its.said())
                })
        };
        same(&self.profiles, &other.profiles)
            && same(&self.services, &other.services)
            && same(&self.sso_sessions, &other.sso_sessions)
            && self.without_prefix == other.without_prefix
            && self.outside.as_ref().map(|flaw| &flaw.why) == other.outside.as_ref().map(|flaw| &flaw.why)
    }

    /// The first line that can't be understood, in any section: "line 3 of /x …".
    pub(super) fn first_flaw(&self) -> Option<String> {
        let flaws = self.outside.iter().chain(&self.flaws);
        let first = flaws.min_by_key(|flaw| (&flaw.path, flaw.line))?;
        Some(format!("line {} of {} {}", first.line, first.path.display(), phrase(&first.why)))
    }

    /// The names of all profiles.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(String::as_str)
    }

    /// Whether the config file has a section of this name without the word `profile` before it, which the CLI overlooks.
    pub(super) fn has_without_prefix(&self, name: &str) -> bool {
        self.without_prefix.iter().any(|header| header == name)
    }

    /// A text that a profile says.
    pub(super) fn get(&self, profile: &str, key: &str) -> Option<&str> {
        self.profiles.get(profile)?.text(key)
    }

    /// The address that a profile has for a service: in its services section, else for all services.
    ///
    /// # Errors
    /// The services section is not there, or can't be used.
    pub(super) fn endpoint_url(&self, profile: &str, service: &str) -> Result<Option<&str>, Unusable> {
        let Some(settings) = self.profiles.get(profile) else { return Ok(None) };
        let mut of_service = None;
        if let (Some(name), Some(said)) = (settings.text("services"), settings.entries.get("services")) {
            let Some(services) = self.services.get(name) else {
                return Err(
                    said.unusable(format!("names the services section “{name}”, which is not in the config file"))
                );
            };
            if let Some(unusable) = &services.unusable {
                return Err(unusable.clone());
            }
            if let Some(Said { value: EntryValue::Nested(nested), .. }) = services.entries.get(service) {
                of_service = nested.iter().rfind(|(key, _)| key == "endpoint_url").map(|(_, url)| url.as_str());
            }
        }
        let found = of_service.filter(|url| !url.is_empty()).or_else(|| settings.text("endpoint_url"));
        Ok(found.filter(|url| !url.is_empty()))
    }

    /// The profile and those that it borrows from, in turn. They can form a circle.
    pub(super) fn lineage<'a>(&'a self, profile: &'a str) -> Vec<&'a str> {
        let (mut names, mut seen) = (vec![profile], HashSet::from([profile]));
        while let Some(source) = self.source_of(names[names.len() - 1], names.len() > 1)
            && seen.insert(source)
        {
            names.push(source);
        }
        names
    }

    /// The profile that this one borrows from, which may be itself. With a token in a file, or with keys of its own for another one,
    /// it borrows from none, whatever it names.
    pub(super) fn source_of(&self, profile: &str, is_source: bool) -> Option<&str> {
        let assumes = self.kind(profile, is_source) == Some(CredentialKind::Role);
        self.profiles.get(profile).filter(|_| assumes)?.text("source_profile")
    }

    /// How the profile comes to credentials; as one that another borrows from if `is_source`.
    pub(super) fn kind(&self, profile: &str, is_source: bool) -> Option<CredentialKind> {
        let settings = self.profiles.get(profile)?;
        let says = |key| settings.entries.contains_key(key);
        let keys =
            |in_credentials| settings.entries.get(KEYS[0]).is_some_and(|said| said.in_credentials == in_credentials);
        // With keys of its own it lends no role, and then is looked at as any other.
        let assumes = says("role_arn") && !(is_source && (says(KEYS[0]) || says(KEYS[1])));
        [
            (assumes && !says(TOKEN_FILE), CredentialKind::Role),
            (says("role_arn") && says(TOKEN_FILE), CredentialKind::WebIdentity),
            (says("sso_account_id") || says("sso_role_name"), CredentialKind::Sso),
            (keys(true), CredentialKind::Keys),
            (says("login_session"), CredentialKind::Login),
            (says("credential_process"), CredentialKind::Process),
            (keys(false), CredentialKind::Keys),
        ]
        .into_iter()
        .find_map(|(is_so, kind)| is_so.then_some(kind))
    }

    /// The keys that stand in a profile: id, secret and token, all of the file in which the id stands. `None` without id or secret.
    pub(super) fn keys(&self, profile: &str) -> Option<(&str, &str, Option<&str>)> {
        let settings = self.profiles.get(profile)?;
        let in_credentials = settings.entries.get(KEYS[0])?.in_credentials;
        let beside = |key: &str| {
            settings.entries.get(key).filter(|said| said.in_credentials == in_credentials)?;
            settings.text(key)
        };
        // The older name goes first.
        let token = beside("aws_security_token").or_else(|| beside("aws_session_token"));
        let is_said = |text: &&str| !text.is_empty();
        Some((beside(KEYS[0]).filter(is_said)?, beside(KEYS[1]).filter(is_said)?, token.filter(is_said)))
    }

    /// Whether the profile assumes its role with what a program of its own gives: it names itself as its source, and the program
    /// goes before the keys in it.
    pub(super) fn lends_itself_a_program(&self, profile: &str) -> bool {
        self.source_of(profile, false) == Some(profile) && self.kind(profile, true) == Some(CredentialKind::Process)
    }

    /// Program and arguments of a profile's `credential_process`, and where it says so: "line 3 of /x". `None` if it names none.
    pub(super) fn process(&self, profile: &str) -> Option<(Vec<String>, String)> {
        let said = self.profiles.get(profile)?.entries.get(PROCESS)?;
        let EntryValue::Text(text) = &said.value else { return None };
        let words =
            ini::split_command(text).filter(|words| words.first().is_some_and(|program| !program.is_empty()))?;
        Some((words, format!("line {} of {}", said.line, said.path.display())))
    }

    /// Whether what the profile in use says can be read, whoever's credentials count.
    ///
    /// # Errors
    /// What can't be used first.
    pub(super) fn check_settings(&self, profile: &str) -> Result<(), Unusable> {
        match &self.outside {
            Some(outside) => Err(outside.clone()),
            None => self.profiles.get(profile).map_or(Ok(()), SectionSettings::check),
        }
    }

    /// Whether what the profile in use comes to credentials by can be used: itself, those that it borrows from, its sign-in.
    ///
    /// # Errors
    /// What can't be used first.
    pub(super) fn check(&self, profile: &str) -> Result<(), Unusable> {
        self.check_settings(profile)?;
        let lineage = self.lineage(profile);
        for (depth, &name) in lineage.iter().enumerate() {
            let Some(settings) = self.profiles.get(name) else { continue };
            settings.check()?;
            let kind = self.kind(name, depth > 0);
            if kind == Some(CredentialKind::Role) {
                check_source(settings)?;
                check_duration(settings)?;
            }
            if let Some(source) = self.source_of(name, depth > 0) {
                let said = &settings.entries["source_profile"];
                if !self.has(source) {
                    return Err(said.unusable(format!("names the source_profile “{source}”, which is in neither file")));
                }
                // The first may borrow from itself, if it has something to lend.
                match self.kind(source, true) {
                    _ if !lineage[..=depth].contains(&source) => {}
                    Some(CredentialKind::Keys | CredentialKind::Process) if depth == 0 => {}
                    Some(CredentialKind::Sso | CredentialKind::Login) if depth == 0 => {
                        return Err(said.unusable(format!(
                            "names “{source}” itself, which has a sign-in beside its keys; give the sign-in a profile of its own"
                        )));
                    }
                    _ => return Err(said.unusable(format!("leads back to “{source}”, which borrows from itself"))),
                }
                if depth >= MAX_ROLES {
                    return Err(said.unusable(format!(
                        "leads on to “{source}” behind {MAX_ROLES} roles, and no more are assumed"
                    )));
                }
            }
            for key in &KEYS {
                if let Some(said) = settings.entries.get(*key)
                    && let EntryValue::Text(text) = &said.value
                    && let Some(odd) = odd_key_character(text)
                {
                    return Err(said.unusable(format!("has {odd} in {key}")));
                }
            }
            if let Some(said) = settings.entries.get(TOKEN_FILE).filter(|_| !settings.entries.contains_key("role_arn"))
            {
                return Err(said.unusable(format!("has a {TOKEN_FILE}, and the profile has no role_arn")));
            }
            match kind {
                Some(CredentialKind::Sso) => self.check_sso(settings)?,
                kind if (kind == Some(CredentialKind::Process) || self.lends_itself_a_program(name))
                    && self.process(name).is_none() =>
                {
                    let why = "names no program in credential_process, or leaves a quote open";
                    return Err(settings.entries[PROCESS].unusable(why.to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// All that a sign-in takes has to be there, of the profile or of the session that it names. What both say has to be the same.
    fn check_sso(&self, settings: &SectionSettings) -> Result<(), Unusable> {
        let mut session = None;
        if let (Some(said), Some(name)) = (settings.entries.get("sso_session"), settings.text("sso_session")) {
            let Some(named) = self.sso_sessions.get(name) else {
                return Err(said.unusable(format!("names the sso_session “{name}”, which is not in the config file")));
            };
            named.check()?;
            for (key, its) in &named.entries {
                if let Some(own) = settings.entries.get(key).filter(|own| own.value != its.value) {
                    return Err(own.unusable(format!("says another {key} than the sso_session “{name}”")));
                }
            }
            session = Some(named);
        }
        let says = |key: &str| {
            let says = |section: &SectionSettings| section.entries.contains_key(key);
            says(settings) || session.is_some_and(says)
        };
        let missing =
            ["sso_start_url", "sso_region", "sso_account_id", "sso_role_name"].into_iter().find(|key| !says(key));
        let said = settings.entries.get("sso_account_id").or_else(|| settings.entries.get("sso_role_name"));
        match (said, missing) {
            (Some(said), Some(missing)) => Err(said
                .unusable(format!("belongs to a sign-in with IAM Identity Center, and the profile has no {missing}"))),
            _ => Ok(()),
        }
    }

    /// The text for the SDK: of `profile`, and of those that it borrows from.
    pub(super) fn for_sdk(&self, profile: &str) -> String {
        let mut text = String::new();
        let places: BTreeMap<&str, usize> = self.lineage(profile).into_iter().zip(0..).collect();
        for (&name, place) in &places {
            let Some((name, settings)) = self.profiles.get_key_value(name) else { continue };
            let kind = self.kind(name, *place > 0);
            let _ = writeln!(text, "[profile {}]", sdk_name(name));
            settings.write(
                &mut text,
                |key| match key {
                    PROCESS | "source_profile" | "credential_source" => false,
                    "login_session" => kind == Some(CredentialKind::Login),
                    TOKEN_FILE => kind == Some(CredentialKind::WebIdentity),
                    // The session says the same.
                    "sso_start_url" | "sso_region" if settings.entries.contains_key("sso_session") => false,
                    key if SSO.contains(&key) => kind == Some(CredentialKind::Sso),
                    key if ROLE.contains(&key) => kind == Some(CredentialKind::WebIdentity),
                    key if KEYS.contains(&key) => false,
                    _ => true,
                },
                |key, value| match key {
                    "sso_session" | "services" => sdk_name(value),
                    _ => value.to_owned(),
                },
            );
        }
        // Those alone that are named: the SDK takes long for a hundred thousand.
        for (kind, key, sections) in
            [("sso-session", "sso_session", &self.sso_sessions), ("services", "services", &self.services)]
        {
            let named: BTreeSet<&str> = places.keys().filter_map(|profile| self.get(profile, key)).collect();
            for (name, settings) in named.iter().filter_map(|name| sections.get_key_value(*name)) {
                let _ = writeln!(text, "[{kind} {}]", sdk_name(name));
                settings.write(&mut text, |_| true, |_, value| value.to_owned());
            }
        }
        text
    }
}

/// A role is assumed with what one of the two names, and the CLI knows three sources that are no profiles.
fn check_source(settings: &SectionSettings) -> Result<(), Unusable> {
    let said = |key: &str| settings.entries.get(key);
    match (said("role_arn"), said("source_profile"), said("credential_source")) {
        (_, Some(_), Some(said)) => Err(said.unusable("has a credential_source beside the source_profile".to_owned())),
        (Some(said), None, None) => {
            Err(said
                .unusable("names a role, and the profile has no source_profile and no credential_source".to_owned()))
        }
        (_, None, Some(said)) if settings.text("credential_source").is_none_or(|source| !SOURCES.contains(&source)) => {
            Err(said.unusable(format!("has a credential_source that is none of {}", SOURCES.join(", "))))
        }
        _ => Ok(()),
    }
}

/// The AWS CLI takes what is no number for nothing said, and sends one that is too large.
fn check_duration(settings: &SectionSettings) -> Result<(), Unusable> {
    match (settings.entries.get(DURATION), settings.text(DURATION)) {
        (Some(said), Some(text)) if !text.is_empty() && text.parse::<i32>().is_err() => {
            Err(said.unusable(format!("has a {DURATION} that is no number, or too large a one")))
        }
        _ => Ok(()),
    }
}

impl SectionSettings {
    fn of(section: &Section, path: &Path, in_credentials: bool) -> Self {
        let entries = section.entries.iter().map(|entry| {
            let said = Said { value: entry.value.clone(), path: path.to_owned(), line: entry.line, in_credentials };
            (entry.key.clone(), said)
        });
        let unusable = section.flaw.as_ref().map(|flaw| Unusable {
            path: path.to_owned(),
            line: flaw.line,
            why: flaw.why.clone(),
        });
        Self { entries: entries.collect(), unusable }
    }

    /// What it says, and why it can't be used, but not where.
    fn said(&self) -> (Vec<(&str, &EntryValue)>, Option<&str>) {
        let entries = self.entries.iter().map(|(key, said)| (key.as_str(), &said.value)).collect();
        (entries, self.unusable.as_ref().map(|unusable| unusable.why.as_str()))
    }

    fn text(&self, key: &str) -> Option<&str> {
        match &self.entries.get(key)?.value {
            EntryValue::Text(text) => Some(text),
            EntryValue::Nested(_) => None,
        }
    }

    fn check(&self) -> Result<(), Unusable> {
        if let Some(unusable) = &self.unusable {
            return Err(unusable.clone());
        }
        for (key, said) in &self.entries {
            let EntryValue::Text(text) = &said.value else { continue };
            // The SDK never sees it.
            if key == PROCESS {
                continue;
            }
            if text.contains('\n') {
                return Err(said.unusable(format!("says {key} in more than one line")));
            }
            if is_cut_by_sdk(text) {
                return Err(said.unusable(format!(
                    "has a “#” or “;” in {key}, which the AWS CLI takes as a part of the value; put comments in lines of their own"
                )));
            }
        }
        Ok(())
    }

    /// Writes what is `wanted` and can be written; the rest nobody depends on, or [`AwsFiles::check`] refuses it.
    fn write(&self, text: &mut String, wanted: impl Fn(&str) -> bool, value: impl Fn(&str, &str) -> String) {
        for (key, said) in self.entries.iter().filter(|(key, _)| is_identifier(key) && wanted(key)) {
            match &said.value {
                EntryValue::Text(said) => {
                    let written = value(key, said);
                    if !written.is_empty() && !written.contains('\n') && !is_cut_by_sdk(&written) {
                        let _ = writeln!(text, "{key} = {written}");
                    }
                }
                EntryValue::Nested(nested) => {
                    let _ = writeln!(text, "{key} =");
                    for (key, value) in nested.iter().filter(|(_, value)| !is_cut_by_sdk(value)) {
                        let _ = writeln!(text, "  {key} = {value}");
                    }
                }
            }
        }
    }
}

impl Said {
    fn unusable(&self, why: String) -> Unusable {
        Unusable { path: self.path.clone(), line: self.line, why }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
