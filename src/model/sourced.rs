//! Where a value comes from, so that a complaint about it can name the place to mend.

use std::fmt;
use std::path::PathBuf;

use crate::safety::sanitize::phrase;

/// A value, and where it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it was said.
    pub origin: Origin,
}

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
    /// A profile of the AWS CLI's files, by its name.
    Profile(String),
    /// What is built in.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Variable(name) => f.write_str(name),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Profile(name) => write!(f, "profile “{}”", phrase(name)),
            Self::Default => f.write_str("built in"),
        }
    }
}
