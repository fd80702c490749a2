//! The layers, laid over each other: what was said, where, and whether it may be said there.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::places::{AWS_CA_BUNDLE, PREFIX, ProcessEnvironment, default_state_folder};
use super::table::{SETTINGS, Setting, setting};
use super::value::{Kind, Value};
use crate::error::{Error, Result, Why};
use crate::model::{Origin, Region, Sourced, below_home, typed_path};
use crate::safety::path_trust::{self, Whose};
use crate::safety::sanitize::{sanitize, sanitize_typed};

/// The table of the system's file whose values nobody else can change.
const LOCKED: &str = "locked";
/// The largest file that is read. All settings with all their comments are some ten thousand bytes.
const MAX_SIZE: u64 = 1 << 20;

/// What was typed: the flags that were given, by the key of their setting.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    given: BTreeMap<&'static str, Given>,
    only_removes: bool,
}

impl Flags {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag was given. It replaces what was given of the same setting.
    pub(crate) fn insert(&mut self, given: Given) {
        self.given.insert(given.setting.key, given);
    }

    /// Whether this one was given.
    pub(crate) fn contains(&self, setting: &Setting) -> bool {
        self.given.contains_key(setting.key)
    }

    /// Those of a verb were given, beside those of every command.
    pub(crate) fn extend(&mut self, others: &Self) {
        self.given.extend(others.given.clone());
    }

    /// They belong to a command that takes codes out of a keychain and puts none into one: it may name another keychain than
    /// the locked one, so that a code can be taken out that got there before the lock.
    pub(crate) fn only_removes(&mut self) {
        self.only_removes = true;
    }
}

/// What was said of a setting, and where.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    setting: &'static Setting,
    /// As it was written.
    pub(super) written: String,
    /// What that is, or why it is no value: a complaint only if nothing overrides it.
    value: Result<Value, String>,
    pub(super) origin: Origin,
}

impl Given {
    /// The value as JSON has it: a switch, a number, else a text as it was written.
    pub(super) fn typed(&self) -> Option<serde_json::Value> {
        Some(match self.value.as_ref().ok()? {
            Value::YesNo(value) => (*value).into(),
            Value::Bytes(value) => (*value).into(),
            Value::Count(value) => (*value).into(),
            _ => sanitize(&self.written).into(),
        })
    }

    /// A value that was chosen, as if the setting's flag had been typed.
    pub(crate) fn of(setting: &'static Setting, value: Value) -> Self {
        Self { setting, written: value.written(), value: Ok(value), origin: Origin::Flag(setting.flag()) }
    }

    pub(crate) fn read(setting: &'static Setting, written: String, origin: Origin) -> Self {
        let is_of_a_file = matches!(origin, Origin::File { .. });
        let value = match (setting.parse)(&written) {
            // It would depend on where the command was typed.
            Ok(Value::Path(_)) if is_of_a_file && typed_path(&written).is_relative() => {
                Err("is not an absolute path".to_owned())
            }
            parsed => parsed,
        };
        Self { setting, written, value, origin }
    }

    /// As it was given: `--handoff auto`, `SNOW_ONBOARD_HANDOFF=auto`, “auto” in a file.
    fn as_given(&self) -> String {
        let written = sanitize(&self.written);
        match &self.origin {
            // A switch, and the shorthand for a value, are given without one.
            Origin::Flag(flag) if self.setting.is_switch() || *flag != self.setting.flag() => flag.clone(),
            Origin::Flag(flag) => format!("{flag} {written}"),
            Origin::Variable(name) => format!("{name}={written}"),
            origin => format!("“{written}” in {origin}"),
        }
    }

    fn invalid(&self, why: &str) -> Error {
        let (given, origin, why) = (sanitize_typed(&self.written), self.origin.to_string(), why.to_owned());
        if self.setting.key == setting::endpoint.key {
            return Error::EndpointInvalid { given, origin, why };
        }
        if self.setting.key == setting::region.key && self.written.trim() == Region::OF_DEVICE {
            return Error::RegionOfDevice { origin };
        }
        Error::SettingInvalid { name: self.setting.key.to_owned(), given, origin, why }
    }

    /// Whether it was said for this one run, by a flag or by a variable of ours. The state folder is said each time, for with
    /// it goes all that is kept.
    fn is_of_this_run(&self) -> bool {
        match &self.origin {
            Origin::Flag(_) => true,
            Origin::Variable(name) => name.starts_with(PREFIX),
            Origin::File { .. } => self.setting.key == setting::state_dir.key,
            Origin::Profile(_) | Origin::Default => false,
        }
    }
}

/// What the layers say.
#[derive(Debug, Clone, Default)]
pub(super) struct Layers {
    decided: BTreeMap<&'static str, Given>,
    /// What the system's file locks: it overrides what is decided.
    locks: BTreeMap<&'static str, Given>,
}

impl Layers {
    pub(super) fn read(flags: &Flags, around: &ProcessEnvironment) -> Result<Self> {
        let mut layers = Self::default();
        // Lowest first: a later layer replaces.
        let default =
            |setting: &&'static Setting| Some(Given::read(setting, setting.default?.to_owned(), Origin::Default));
        layers.put_all(SETTINGS.iter().filter_map(default))?;
        if let Some(folder) = default_state_folder() {
            layers.put(Given { origin: Origin::Default, ..Given::of(&setting::state_dir, folder.into()) })?;
        }
        if let Some(file) = &around.system_file
            && let Some(document) = SettingsFile::of_file(file, around.writer_of_system_file())?
        {
            layers.lock(document.locked)?;
            layers.put_all(document.values)?;
        }
        if let Some(file) = &around.user_file
            && let Some(document) = SettingsFile::of_file(file, Whose::Own)?
        {
            if let Some(line) = document.locked_at {
                let why = "only the settings file for the whole system can have a table [locked]; \
                           here it has no effect";
                return Err(unreadable(&format!("{}:{line}", file.display()), Whose::Own, why.to_owned()));
            }
            layers.put_all(document.values)?;
        }
        layers.add_variables(around)?;
        if flags.only_removes && flags.given.contains_key(setting::keychain.key) {
            layers.locks.remove(setting::keychain.key);
        }
        layers.put_all(flags.given.values().cloned())?;
        if layers.of(&setting::state_dir).is_none() {
            return Err(Error::StateFolderBad {
                path: "snow-onboard".to_owned(),
                why: "this user has no home folder, so there is no place for it".to_owned().into(),
            });
        }
        Ok(layers)
    }

    /// Takes locks, each of which must be a value that the setting can have.
    fn lock(&mut self, locked: Vec<Given>) -> Result<()> {
        for given in locked {
            given.value.as_ref().map_err(|why| given.invalid(why))?;
            self.locks.insert(given.setting.key, given);
        }
        Ok(())
    }

    fn put_all(&mut self, values: impl IntoIterator<Item = Given>) -> Result<()> {
        values.into_iter().try_for_each(|given| self.put(given))
    }

    /// Takes a value, unless a lock says otherwise. A variable that is meant for others gives way; who speaks to us is told.
    pub(super) fn put(&mut self, given: Given) -> Result<()> {
        let is_meant_for_others = given.origin == Origin::Variable(AWS_CA_BUNDLE.to_owned());
        match self.locks.get(given.setting.key) {
            Some(lock) if lock.value != given.value && !is_meant_for_others => Err(Error::SettingLocked {
                name: given.setting.key.to_owned(),
                given: given.as_given(),
                remove: match &given.origin {
                    Origin::Flag(flag) => format!("Leave {flag} out"),
                    origin => format!("Remove the value from {origin}"),
                },
                locked: sanitize(&lock.written),
                lock: lock.origin.to_string(),
            }),
            _ => {
                self.decided.insert(given.setting.key, given);
                Ok(())
            }
        }
    }

    fn add_variables(&mut self, around: &ProcessEnvironment) -> Result<()> {
        // AWS_CA_BUNDLE is what the AWS CLI reads; our own variable is the more particular one.
        let ours = around.variables.iter().filter_map(|(name, value)| Some((name, name.strip_prefix(PREFIX)?, value)));
        let aws = around.variables.get_key_value(AWS_CA_BUNDLE).map(|(name, value)| (name, "CA_BUNDLE", value));
        for (name, key, value) in aws.into_iter().chain(ours) {
            let origin = Origin::Variable(name.clone());
            let setting = known(&key.to_ascii_lowercase(), &origin)?;
            let written = if name == AWS_CA_BUNDLE { below_home(value.into()).into_os_string() } else { value.clone() };
            let given = Given::read(setting, written.to_string_lossy().into_owned(), origin);
            if value.to_str().is_none() {
                return Err(given.invalid("is not UTF-8"));
            }
            // An empty variable is how a shell script unsets one for a single command.
            if !value.is_empty() {
                self.put(given)?;
            }
        }
        Ok(())
    }

    pub(super) fn of(&self, setting: &Setting) -> Option<&Given> {
        self.locks.get(setting.key).or_else(|| self.decided.get(setting.key))
    }

    pub(super) fn is_locked(&self, setting: &Setting) -> bool {
        self.locks.contains_key(setting.key)
    }

    /// The value of a field of the settings.
    pub(super) fn field<F: Field>(&self, setting: &Setting) -> Result<F> {
        let said = self.of(setting).map(|given| match &given.value {
            Ok(value) => Ok((value.clone(), given.origin.clone())),
            Err(why) => Err(given.invalid(why)),
        });
        let said = said.transpose()?.and_then(|(value, origin)| Some(Sourced { value: F::Kind::of(value)?, origin }));
        F::take(said).ok_or_else(|| Error::Internal { what: format!("the setting {} has no value", setting.key) })
    }

    /// What was said for this one run and is not locked, by key.
    pub(super) fn of_this_run(&self) -> impl Iterator<Item = (&'static Setting, &Value)> {
        let said = self.decided.values().filter(|given| given.is_of_this_run() && !self.is_locked(given.setting));
        said.filter_map(|given| Some((given.setting, given.value.as_ref().ok()?)))
    }
}

/// A type that a field of the settings can have: that of its value, and what it is when nothing is said.
pub(super) trait Field: Sized {
    type Kind: Kind;

    /// From what was said, if that is a value; `None` if the field can't be without one.
    fn take(said: Option<Sourced<Self::Kind>>) -> Option<Self>;
}

impl<K: Kind> Field for K {
    type Kind = K;

    fn take(said: Option<Sourced<K>>) -> Option<Self> {
        said.map(|said| said.value)
    }
}

impl<K: Kind> Field for Option<K> {
    type Kind = K;

    fn take(said: Option<Sourced<K>>) -> Option<Self> {
        Some(said.map(|said| said.value))
    }
}

impl<K: Kind> Field for Option<Sourced<K>> {
    type Kind = K;

    fn take(said: Option<Sourced<K>>) -> Option<Self> {
        Some(said)
    }
}

/// One file's values.
struct SettingsFile {
    values: Vec<Given>,
    locked: Vec<Given>,
    /// The line of the table of locks, if there is one, though it were empty.
    locked_at: Option<usize>,
}

impl SettingsFile {
    /// A file's, unless there is none. It is obeyed only if nobody but `whose` can have written it.
    fn of_file(path: &Path, whose: Whose) -> Result<Option<Self>> {
        let unusable = |why: Why| unreadable(&path.display().to_string(), whose, why);
        let text = path_trust::read_file(path, whose, MAX_SIZE).map_err(|refused| match refused.owner() {
            Some(owner) if whose == Whose::Own && path_trust::runs_as_administrator() => {
                Error::RunAsAnother { path: refused.path.display().to_string(), owner: owner.to_owned() }
            }
            _ if whose == Whose::Administrator && !refused.is_io() => unusable(refused.into_why_of_administrator(path)),
            _ => unusable(refused.into_why(path)),
        })?;
        let Some(text) = text else { return Ok(None) };
        let text = String::from_utf8(text).map_err(|_| unusable("it is not UTF-8".to_owned().into()))?;
        Self::parse(&text, whose, |line| Origin::File { path: path.to_path_buf(), line }).map(Some)
    }

    fn parse(text: &str, whose: Whose, origin: impl Fn(usize) -> Origin) -> Result<Self> {
        let line_at = |offset: usize| text[..offset].matches('\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(span.start));
            let why = text.lines().nth(line - 1).and_then(without_quotes).unwrap_or_else(|| error.message().to_owned());
            unreadable(&origin(line).to_string(), whose, why)
        })?;
        let mut document = Self { values: Vec::new(), locked: Vec::new(), locked_at: None };
        for (key, value) in table.get_ref() {
            let line = line_at(key.span().start);
            match (&**key.get_ref(), value.get_ref()) {
                (LOCKED, DeValue::Table(locks)) => {
                    document.locked_at = Some(line);
                    for (key, value) in locks {
                        let origin = origin(line_at(key.span().start));
                        document.locked.push(entry(key.get_ref(), value.get_ref(), origin)?);
                    }
                }
                (LOCKED, _) => {
                    return Err(unreadable(
                        &origin(line).to_string(),
                        whose,
                        "[locked] is not a table of settings".to_owned(),
                    ));
                }
                (key, value) => document.values.push(entry(key, value, origin(line))?),
            }
        }
        Ok(document)
    }
}

/// What is wrong with a line that looks right to whoever does not know TOML: a text without quotes, or with those of a word
/// processor, or a path of Windows between double ones. `None` if it is something else.
fn without_quotes(line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.split(" #").next()?.trim());
    SETTINGS.iter().find(|setting| setting.key == key)?;
    let bare = value.trim_matches(['"', '\'', '“', '”', '„', '‘', '’']);
    let has_quotes = value.starts_with(['"', '\'']);
    let (problem, quote) = match (has_quotes, bare.contains('\\')) {
        (true, false) => return None,
        (true, true) if value.starts_with('\'') => return None,
        (true, true) => ("a backslash has a meaning of its own between double quotes", '\''),
        (false, true) => ("a text must be in quotes", '\''),
        (false, false) => ("a text must be in quotes", '"'),
    };
    let is_plain = !bare.is_empty() && !bare.contains(['"', '\'']);
    is_plain.then(|| format!("{problem}. Write: {key} = {quote}{}{quote}", sanitize(bare)))
}

fn entry(key: &str, value: &DeValue<'_>, origin: Origin) -> Result<Given> {
    let setting = known(key, &origin)?;
    let written = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Integer(number) => number.to_string(),
        _ => {
            let given = Given::read(setting, "…".to_owned(), origin);
            return Err(given.invalid("is not a text, a number, true or false"));
        }
    };
    Ok(Given::read(setting, written, origin))
}

fn known(key: &str, origin: &Origin) -> Result<&'static Setting> {
    SETTINGS.iter().copied().find(|setting| setting.key == key).ok_or_else(|| {
        // clap's measure and bar for “did you mean”.
        let alike = SETTINGS.iter().map(|setting| (strsim::jaro(key, setting.key), setting));
        let nearest = alike.filter(|(likeness, _)| *likeness > 0.7).max_by(|a, b| a.0.total_cmp(&b.0));
        let meant = nearest.map(|(_, setting)| match origin {
            Origin::Variable(_) => setting.variable(),
            _ => setting.key.to_owned(),
        });
        Error::SettingUnknown {
            key: sanitize(key),
            origin: origin.to_string(),
            hint: meant.map_or_else(String::new, |meant| format!("Did you mean “{meant}”? ")),
        }
    })
}

fn unreadable(path: &str, writer: Whose, why: impl Into<Why>) -> Error {
    let whom = match writer {
        Whose::Administrator => "Ask the administrator of this machine to correct the file.",
        _ => "Correct the file.",
    };
    Error::SettingsFileUnreadable { path: path.to_owned(), why: why.into(), whom }
}
