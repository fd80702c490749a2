//! The log: what this program does, for whoever has to find out why it did not work.
//!
//! `-v` and `-vv` bring it to stderr, `--log-file` to a file, where every step is told in full. No environment variable
//! changes what is logged: `RUST_LOG` is not read. Everything goes through [`Redacting`] on its way.
//!
//! # The ceiling over others
//!
//! Libraries that carry secrets log them: the AWS SDK writes the code and the presigned URL at `trace`, and
//! `LOG_SENSITIVE_BODIES` takes its own markers away. So whatever is not of this crate is logged at `warn` at most, with
//! `-vv` at `info`, and never at `debug` or `trace`:
//!
//! - when compiling, by the features `max_level_debug` of `tracing` (`trace` is not even in the program) and
//!   `max_level_warn` of `log`, which the keychain crates use; nothing takes their records anyway;
//! - when running, by the filter below, which goes by the target and asks nobody.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::error::{Error, Result};
use crate::model::Sourced;
use crate::safety::path_trust::{self, OpenMode, Refused};
use crate::safety::redact::Redacting;

/// The crate's own targets begin with it.
const OURS: &str = "snow_onboard";

// What is left out here can't be turned on by anything.
const _: () = assert!(log::STATIC_MAX_LEVEL as usize <= log::LevelFilter::Warn as usize);

/// How much is logged, by the number of `-v`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Nothing on stderr; a file is still written whole.
    Quiet,
    /// `-v`: what is done.
    Steps,
    /// `-vv`: with all details, and a word of the libraries.
    Details,
}

impl Verbosity {
    /// From the number of times that `-v` was given.
    #[must_use]
    pub(crate) fn from_count(count: u8) -> Self {
        match count {
            0 => Self::Quiet,
            1 => Self::Steps,
            _ => Self::Details,
        }
    }

    fn of_ours(self) -> LevelFilter {
        match self {
            Self::Quiet => LevelFilter::OFF,
            Self::Steps => LevelFilter::INFO,
            Self::Details => LevelFilter::DEBUG,
        }
    }

    /// The ceiling.
    fn of_others(self) -> LevelFilter {
        match self {
            Self::Quiet => LevelFilter::OFF,
            Self::Steps => LevelFilter::WARN,
            Self::Details => LevelFilter::INFO,
        }
    }
}

/// Starts the log of this process. To be called once; a second call changes nothing.
///
/// `file` is appended to, or made for this user alone (0600). `stderr` makes the writer for the other one, which is to redact;
/// what has the target `said` stands there already, and is for the file alone.
///
/// # Errors
/// [`Error::SettingInvalid`] for a file that can't be written, or that others may open.
pub fn start<W: Write + 'static>(
    verbosity: Verbosity,
    file: Option<&Sourced<PathBuf>>,
    stderr: fn() -> W,
    said: &'static str,
) -> Result<()> {
    let to_file = match file {
        Some(Sourced { value: path, origin }) => {
            let file = open(path).map_err(|refused| match refused.owner() {
                Some(owner) if path_trust::runs_as_administrator() => {
                    Error::RunAsAnother { path: refused.path.display().to_string(), owner: owner.to_owned() }
                }
                _ => Error::SettingInvalid {
                    name: "log_file".to_owned(),
                    given: path.display().to_string(),
                    origin: origin.to_string(),
                    why: match refused.path == *path {
                        true => refused.why(),
                        false => format!("can't be used: {refused}"),
                    },
                },
            })?;
            // Others say no more in the file than on stderr, our own code all it has.
            let others = verbosity.max(Verbosity::Steps).of_others();
            let lines = layer(Mutex::new(Redacting::new(file)));
            Some(lines.with_filter(filter(move |target| if is_ours(target) { LevelFilter::DEBUG } else { others })))
        }
        None => None,
    };
    let to_stderr = (verbosity != Verbosity::Quiet).then(|| {
        layer(stderr).with_filter(filter(move |target| match target {
            _ if target == said => LevelFilter::OFF,
            target if is_ours(target) => verbosity.of_ours(),
            _ => verbosity.of_others(),
        }))
    });
    let _ = tracing_subscriber::registry().with(to_file).with(to_stderr).try_init();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        system = std::env::consts::OS,
        architecture = std::env::consts::ARCH,
        "the log begins"
    );
    Ok(())
}

fn layer<S, W>(
    writer: W,
) -> tracing_subscriber::fmt::Layer<
    S,
    tracing_subscriber::fmt::format::DefaultFields,
    tracing_subscriber::fmt::format::Format,
    W,
>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer)
}

/// Lets an event through if its level is within what `ceiling` gives for its target.
fn filter(
    ceiling: impl Fn(&str) -> LevelFilter + Send + Sync + 'static,
) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + Send + Sync + 'static> {
    FilterFn::new(move |event: &Metadata<'_>| *event.level() <= ceiling(event.target()))
        .with_max_level_hint(Level::DEBUG)
}

fn is_ours(target: &str) -> bool {
    target.strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Opens a log file to append to.
fn open(path: &Path) -> Result<File, Refused> {
    path_trust::open_private(path, OpenMode::Append)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);
    impl Write for Written {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(text)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(verbosity: Verbosity, say: impl FnOnce()) -> String {
        let kept = Written::default();
        let writer = Mutex::new(Redacting::new(kept.clone()));
        let ceiling = move |target: &str| if is_ours(target) { verbosity.of_ours() } else { verbosity.of_others() };
        let subscriber = tracing_subscriber::registry().with(layer(writer).with_filter(filter(ceiling)));
        tracing::subscriber::with_default(subscriber, say);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn trace_is_not_even_compiled_in() {
        assert!(tracing::level_filters::STATIC_MAX_LEVEL <= LevelFilter::DEBUG);
    }

    #[test]
    fn others_stay_below_their_ceiling() {
        for target in ["aws_smithy_runtime", "hyper_util", "rustls", "zbus", "snow_onboarding", "anything"] {
            assert!(!is_ours(target));
        }
        let say = || {
            tracing::debug!(target: "aws_smithy_runtime::client", "secret body");
            tracing::trace!(target: "aws_smithy_runtime::client", "secret body");
            tracing::info!(target: "zbus::connection", "word of zbus");
            tracing::warn!(target: "hyper", "warning of hyper");
            tracing::debug!(target: "snow_onboard::cloud", "our detail");
            tracing::info!(target: "snow_onboard", "our step");
        };
        let text = logged(Verbosity::Steps, say);
        assert!(text.contains("warning of hyper") && text.contains("our step"), "{text}");
        assert!(!text.contains("word of zbus") && !text.contains("our detail"), "{text}");
        let text = logged(Verbosity::Details, say);
        assert!(text.contains("word of zbus") && text.contains("our detail"), "{text}");
        assert!(!text.contains("secret body"), "{text}");
        assert_eq!(logged(Verbosity::Quiet, say), "");
    }

    #[test]
    fn what_is_logged_is_redacted() {
        let text =
            logged(Verbosity::Steps, || tracing::info!(target: "snow_onboard", said = "7c0e1-bab84-f7675-0a2b6-f8b33"));
        assert!(text.contains("said=\"[unlock code]\""), "{text}");
    }

    #[test]
    fn the_file_is_private_and_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        open(&path).unwrap().write_all(b"one\n").unwrap();
        open(&path).unwrap().write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(path_trust::privacy_flaw(&path).unwrap(), None);
        assert!(open(dir.path()).is_err());
        assert!(open(&dir.path().join("missing/log")).unwrap_err().to_string().contains("is not there"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(open(&path).unwrap_err().why().contains("can be opened by others"));
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(&path, &link).unwrap();
            assert!(open(&link).unwrap_err().why().contains("symbolic link"));
        }
    }
}
