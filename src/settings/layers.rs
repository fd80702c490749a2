//! The layers, laid over each other: what was said, where, and whether it may be said there.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::places::{AWS_CA_BUNDLE, PREFIX, Surroundings};
use super::table::{Kind, SETTINGS, Setting};
use crate::error::{Error, Result, io_in_words};
use crate::safety::path_trust::{self, Whose};
use crate::text::{clean, clean_typed};

const DEFAULTS: &str = include_str!("../../config/default.toml");
/// The table of the system's file whose values nobody else can change.
const LOCKED: &str = "locked";
/// The largest file that is read. All settings with all their comments are some ten thousand bytes.
const LARGEST: u64 = 1 << 20;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag, as it is typed.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A line of a settings file.
    File {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// A line of the system's file that nothing goes before.
    Lock {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// `config/default.toml`, compiled in.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Variable(name) => f.write_str(name),
            Self::File { path, line } | Self::Lock { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("built in"),
        }
    }
}

/// What was typed: the flags that were given, by the key of their setting.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    given: BTreeMap<&'static str, (String, Origin)>,
    only_removes: bool,
}

impl Flags {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The flag of this key was given.
    pub fn insert(&mut self, key: &'static str, value: String) {
        self.insert_as(&format!("--{}", key.replace('_', "-")), key, value);
    }

    /// A flag of another name was given that stands for a value of this key.
    pub fn insert_as(&mut self, flag: &str, key: &'static str, value: String) {
        self.given.insert(key, (value, Origin::Flag(flag.to_owned())));
    }

    /// Whether a flag of this key was given.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    /// What was given: keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&&'static str, &String)> {
        self.given.iter().map(|(key, (value, _))| (key, value))
    }

    /// The same, with a flag for each variable of ours that no flag goes before. To be called once the settings are
    /// resolved, which looks at the variables.
    #[must_use]
    pub fn with_variables(mut self, around: &Surroundings) -> Self {
        let layers = Layers::read(&self, around).ok();
        let of_variables = layers.iter().flat_map(|layers| &layers.decided);
        let of_variables = of_variables
            .filter(|(_, given)| matches!(&given.origin, Origin::Variable(name) if name.starts_with(PREFIX)));
        let of_variables: Vec<_> = of_variables.map(|(key, given)| (*key, given.value.clone())).collect();
        for (key, value) in of_variables {
            let kind = SETTINGS.iter().find(|setting| setting.key == key).map(|setting| setting.kind);
            let is_flag = kind.filter(|kind| *kind == Kind::YesNo);
            self.insert(key, is_flag.and_then(|kind| kind.in_one_form(&value).ok()).unwrap_or(value));
        }
        self
    }

    /// They belong to a command that takes codes out of a keychain and puts none into one: it may name another keychain than
    /// the locked one, so that a code can be taken out that got there before the lock.
    pub fn only_removes(&mut self) {
        self.only_removes = true;
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// What the layers decided.
#[derive(Debug, Default)]
pub(super) struct Layers {
    decided: BTreeMap<&'static str, Given>,
    locks: BTreeMap<&'static str, Given>,
}

impl Layers {
    pub(super) fn read(flags: &Flags, around: &Surroundings) -> Result<Self> {
        let mut layers = Self::default();
        // Lowest first: a later layer replaces.
        for (setting, given) in Document::parse(DEFAULTS, |_| Origin::Default)?.values {
            layers.decided.insert(setting.key, given);
        }
        if let Some(file) = &around.system_file
            && let Some(document) = Document::of_file(file, around.writer_of_system_file())?
        {
            layers.lock(document.locked)?;
            layers.put_all(document.values)?;
        }
        if let Some(file) = &around.user_file
            && let Some(document) = Document::of_file(file, Whose::Own)?
        {
            if let Some(line) = document.locked_at {
                let why = "only the settings file for the whole system can have a table [locked]; \
                           here it would bind nobody";
                return Err(unreadable(&format!("{}:{line}", file.display()), why.to_owned()));
            }
            layers.put_all(document.values)?;
        }
        layers.add_variables(around)?;
        for (key, (value, origin)) in &flags.given {
            let setting = Setting::of(key).ok_or_else(|| internal(key))?;
            if flags.only_removes && setting.key == "keychain" {
                layers.locks.remove(setting.key);
            }
            layers.put(setting, Given { value: value.clone(), origin: origin.clone() })?;
        }
        layers.decided.append(&mut layers.locks);
        Ok(layers)
    }

    /// Takes locks, each of which must be a value that the setting can have.
    fn lock(&mut self, locked: Vec<(&'static Setting, Given)>) -> Result<()> {
        for (setting, given) in locked {
            setting.kind.in_one_form(&given.value).map_err(|why| given.invalid(setting.key, &why))?;
            self.locks.insert(setting.key, given);
        }
        Ok(())
    }

    fn put_all(&mut self, values: Vec<(&'static Setting, Given)>) -> Result<()> {
        values.into_iter().try_for_each(|(setting, given)| self.put(setting, given))
    }

    /// Takes a value, unless a lock says otherwise. A variable that is meant for others gives way; who speaks to us is told.
    fn put(&mut self, setting: &'static Setting, given: Given) -> Result<()> {
        let Some(lock) = self.locks.get(setting.key) else {
            self.decided.insert(setting.key, given);
            return Ok(());
        };
        let is_meant_for_others = given.origin == Origin::Variable(AWS_CA_BUNDLE.to_owned());
        let in_one_form = |value: &str| setting.kind.in_one_form(value).ok();
        if is_meant_for_others || in_one_form(&given.value) == in_one_form(&lock.value) {
            return Ok(());
        }
        Err(Error::SettingLocked {
            name: setting.key.to_owned(),
            given: clean(&given.value),
            origin: given.origin.to_string(),
            locked: clean(&lock.value),
            lock: lock.origin.to_string(),
        })
    }

    fn add_variables(&mut self, around: &Surroundings) -> Result<()> {
        // AWS_CA_BUNDLE is what the AWS CLI reads; our own variable is the more particular one.
        let ours = around.variables.iter().filter_map(|(name, value)| Some((name, name.strip_prefix(PREFIX)?, value)));
        let aws = around.variables.get_key_value(AWS_CA_BUNDLE).map(|(name, value)| (name, "CA_BUNDLE", value));
        for (name, key, value) in aws.into_iter().chain(ours) {
            let origin = Origin::Variable(name.clone());
            let setting = known(&key.to_ascii_lowercase(), &origin)?;
            let Some(value) = value.to_str() else {
                let given = Given { value: value.display().to_string(), origin };
                return Err(given.invalid(setting.key, "is not UTF-8"));
            };
            // An empty variable is how a shell script unsets one for a single command.
            if !value.is_empty() {
                self.put(setting, Given { value: value.to_owned(), origin })?;
            }
        }
        Ok(())
    }

    pub(super) fn of(&self, key: &str) -> Option<&Given> {
        self.decided.get(key)
    }

    pub(super) fn locked(&self) -> Vec<&'static str> {
        let locked = self.decided.iter().filter(|(_, given)| matches!(given.origin, Origin::Lock { .. }));
        locked.map(|(key, _)| *key).collect()
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.of(key).map(|given| given.value.clone())
    }

    pub(super) fn path(&self, key: &'static str) -> Result<Option<(PathBuf, String)>> {
        let Some(given) = self.of(key) else { return Ok(None) };
        let path = PathBuf::from(&given.value);
        // A relative path in a file would depend on where the command was typed.
        if path.is_relative() && matches!(given.origin, Origin::File { .. } | Origin::Lock { .. }) {
            return Err(given.invalid(key, "is not an absolute path"));
        }
        let path = std::path::absolute(&path).map_err(|error| given.invalid(key, &io_in_words(&error)))?;
        Ok(Some((path, given.origin.to_string())))
    }

    pub(super) fn optional<T, W: AsRef<str>>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, W>,
    ) -> Result<Option<T>> {
        let Some(given) = self.of(key) else { return Ok(None) };
        parse(&given.value).map(Some).map_err(|why| given.invalid(key, why.as_ref()))
    }

    pub(super) fn parsed<T, W: AsRef<str>>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, W>,
    ) -> Result<T> {
        self.optional(key, parse)?.ok_or_else(|| internal(key))
    }
}

impl Given {
    pub(super) fn invalid(&self, key: &str, why: &str) -> Error {
        Error::SettingInvalid {
            name: key.to_owned(),
            given: self.shown(),
            origin: self.origin.to_string(),
            why: why.to_owned(),
        }
    }

    /// The value, fit to show. An unlock code is left out where it is exact; one that was copied badly is one nearly.
    pub(super) fn shown(&self) -> String {
        clean_typed(&self.value)
    }
}

/// One file's values.
struct Document {
    values: Vec<(&'static Setting, Given)>,
    locked: Vec<(&'static Setting, Given)>,
    /// The line of the table of locks, if there is one, though it were empty.
    locked_at: Option<usize>,
}

impl Document {
    /// A file's, unless there is none. It is obeyed only if nobody but `whose` can have written it.
    fn of_file(path: &Path, whose: Whose) -> Result<Option<Self>> {
        let unusable = |why: String| unreadable(&path.display().to_string(), why);
        let text = path_trust::read_file(path, whose, LARGEST).map_err(|refused| match refused.owner() {
            Some(owner) if whose == Whose::Own && path_trust::runs_as_administrator() => {
                Error::RunAsAnother { path: refused.path.display().to_string(), owner: owner.to_owned() }
            }
            _ if whose == Whose::Administrator && !refused.is_io() => {
                unusable(format!("{}, so not only an administrator may have written it", refused.clause(path)))
            }
            _ => unusable(refused.clause(path)),
        })?;
        let Some(text) = text else { return Ok(None) };
        let text = String::from_utf8(text).map_err(|_| unusable("it is not UTF-8".to_owned()))?;
        Self::parse(&text, |line| Origin::File { path: path.to_path_buf(), line }).map(Some)
    }

    fn parse(text: &str, origin: impl Fn(usize) -> Origin) -> Result<Self> {
        let line_at = |offset: usize| text[..offset].matches('\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(span.start));
            unreadable(&origin(line).to_string(), error.message().to_owned())
        })?;
        let mut document = Self { values: Vec::new(), locked: Vec::new(), locked_at: None };
        for (key, value) in table.get_ref() {
            let line = line_at(key.span().start);
            match (&**key.get_ref(), value.get_ref()) {
                (LOCKED, DeValue::Table(locks)) => {
                    document.locked_at = Some(line);
                    for (key, value) in locks {
                        let origin = match origin(line_at(key.span().start)) {
                            Origin::File { path, line } => Origin::Lock { path, line },
                            other => other,
                        };
                        document.locked.push(entry(key.get_ref(), value.get_ref(), origin)?);
                    }
                }
                (LOCKED, _) => {
                    return Err(unreadable(
                        &origin(line).to_string(),
                        "[locked] is not a table of settings".to_owned(),
                    ));
                }
                (key, value) => document.values.push(entry(key, value, origin(line))?),
            }
        }
        Ok(document)
    }
}

fn entry(key: &str, value: &DeValue<'_>, origin: Origin) -> Result<(&'static Setting, Given)> {
    let setting = known(key, &origin)?;
    let value = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Integer(number) => number.to_string(),
        _ => {
            let given = Given { value: "…".to_owned(), origin };
            return Err(given.invalid(setting.key, "is not a text, a number, true or false"));
        }
    };
    Ok((setting, Given { value, origin }))
}

fn known(key: &str, origin: &Origin) -> Result<&'static Setting> {
    Setting::of(key).ok_or_else(|| {
        let shown = |key: &str| match origin {
            Origin::Variable(_) => format!("{PREFIX}{}", key.to_ascii_uppercase()),
            _ => key.to_owned(),
        };
        // clap's measure and bar for “did you mean”.
        let alike = SETTINGS.iter().map(|setting| (strsim::jaro(key, setting.key), setting.key));
        let nearest = alike.filter(|(likeness, _)| *likeness > 0.7).max_by(|a, b| a.0.total_cmp(&b.0));
        Error::SettingUnknown {
            key: clean(key),
            origin: origin.to_string(),
            way_on: nearest.map_or_else(String::new, |(_, key)| format!("Did you mean “{}”? ", shown(key))),
        }
    })
}

fn unreadable(path: &str, why: String) -> Error {
    Error::SettingsFileUnreadable { path: path.to_owned(), why }
}

fn internal(key: &str) -> Error {
    Error::Internal { what: format!("config/default.toml has no {key}") }
}
