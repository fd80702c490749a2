//! One command of the vendor's client for the operator, through a session of its own.

use std::path::Path;

use super::address::check_address;
use super::cluster::AskedAt;
use super::onboard::Requested;
use super::open_session::SHORT_PATIENCE;
use crate::device::{self, ClientExit, ClientStreams, SignalSender, State};
use crate::error::{Error, Result};
use crate::model::{Record, TargetId, holds_shape_of_code};
use crate::safety::quote::quoted;
use crate::store::AuditStep;

/// The option of the client's that takes the code, without what stands before and between its words.
const CODE_OPTION: &str = "unlockcode";

/// The client's command that asks for a code and writes it into a profile. In the private home, which goes with the session, that is
/// of no use to anybody.
const CONFIGURE: &str = "configure";

/// The client's commands that are about a cluster as a whole, or name a node themselves, or about no device: any node may be asked.
/// Every other one acts on the device that it is sent to.
const FOR_CLUSTER: [&str; 6] =
    ["describe-cluster", "unlock-cluster", "associate-device", "disassociate-device", "help", "version"];

/// The longest command that is put down by its name.
const LONGEST_NAME: usize = 40;

/// A command of the client as the operator typed it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientCommand<'a>(&'a [String]);

/// How one ended.
#[derive(Debug)]
pub(crate) struct ClientEnd {
    /// As the client ended.
    pub(crate) exit: ClientExit,
    /// What the device had said right before.
    pub(crate) state: State,
}

impl<'a> ClientCommand<'a> {
    /// Takes what was typed, unless it tells the client a code, which has no business on a command line, or has it ask for one.
    ///
    /// # Errors
    /// [`Error::CodeTyped`]; [`Error::ClientConfigures`].
    pub(crate) fn of(args: &'a [String], job: &TargetId) -> Result<Self> {
        let holds_code = |arg: &String| is_code_option(arg) || holds_shape_of_code(arg);
        if args.iter().any(holds_code) {
            return Err(Error::CodeTyped { job: job.to_string() });
        }
        if args.first().is_some_and(|command| command == CONFIGURE) {
            return Err(Error::ClientConfigures { job: job.to_string() });
        }
        Ok(Self(args))
    }

    /// Whether any node of a cluster may be asked for it.
    pub(crate) fn is_for_cluster(self) -> bool {
        self.0.first().is_some_and(|command| FOR_CLUSTER.contains(&command.as_str()))
    }

    /// That it is not said which node of the cluster is meant.
    pub(crate) fn needs_node(self, cluster: &TargetId, record: Option<&Record>) -> Error {
        let words: String = self.0.iter().map(|word| format!(" {}", quoted(word))).collect();
        let nodes = record.map(|record| &record.nodes[..]).unwrap_or_default();
        let lines: Vec<String> =
            nodes.iter().map(|node| format!("  snow-onboard client {} --{words}", node.job)).collect();
        Error::NodeMissing { cluster: cluster.to_string(), command: self.name(), lines: lines.join("\n") }
    }

    /// Runs it in a session of its own, in `folder`, at this device. `signals` is told to whom the caller's signals may go meanwhile, and then that
    /// they may no more.
    ///
    /// # Errors
    /// Those of the pair, the client, the hand-over and the device, before it runs; [`Error::OutputLost`] and
    /// [`Error::GuardLost`] while it does; [`Error::Disk`] if the private home could not be removed after it.
    pub(crate) fn run(
        self,
        requested: Requested<'_>,
        asked_at: &AskedAt,
        folder: &Path,
        streams: ClientStreams<'_>,
        signals: &dyn Fn(Option<SignalSender>),
    ) -> Result<ClientEnd> {
        let endpoint = &asked_at.endpoint;
        check_address(endpoint, requested.settings, requested.ask)?;
        // A device that is off, or somewhere else, needs no client to be started.
        device::reach(endpoint, &requested.reporter)?;
        let mut checked = requested.check_with_device_at(endpoint)?;
        checked.context.audit.name_command(self.name());
        let mut opened = checked.take_kept()?.open_session(endpoint, SHORT_PATIENCE)?;
        if let Err(error) = asked_at.check_node(&mut opened.session) {
            opened.context.note_failure(AuditStep::HandOverFailed, &opened.pair.manifest_sha256);
            return Err(error);
        }
        opened.session.name_profile()?;
        let state = opened.session.device().state.clone();
        signals(Some(opened.session.signal_sender()));
        let ran = opened.session.run_for_caller(self.0, folder, streams);
        signals(None);
        match ran {
            Ok(exit) => opened.close().map(|()| ClientEnd { exit, state }),
            Err(error) => {
                opened.context.note_failure(AuditStep::HandOverFailed, &opened.pair.manifest_sha256);
                Err(error)
            }
        }
    }

    /// Its name for the audit log, and nothing else of it.
    fn name(self) -> String {
        let is_name = |word: &&String| {
            word.len() <= LONGEST_NAME
                && word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        self.0.first().filter(is_name).map_or_else(|| "other".to_owned(), Clone::clone)
    }
}

/// Whether it is the option for a code, or an abbreviation of it.
fn is_code_option(arg: &str) -> bool {
    let Some(name) = arg.strip_prefix('-') else { return false };
    let name = name.split('=').next().unwrap_or_default().to_ascii_lowercase().replace(['-', '_'], "");
    !name.is_empty() && CODE_OPTION.starts_with(&name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn of(line: &str) -> Result<String> {
        let job = "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap();
        ClientCommand::of(&args(line), &job).map(ClientCommand::name)
    }

    #[test]
    fn a_code_and_every_option_for_one_are_refused() {
        for line in [
            "unlock-device --unlock-code x",
            "unlock-device --unlock-code=x",
            "unlock-device --Unlock-Code x",
            "unlock-device --unlock x",
            "unlock -u x",
            "configure cafe1-8suds-kshd6-7hhas-876as",
            "configure --x=cafe1-8suds-kshd6-7hhas-876as",
        ] {
            assert!(matches!(of(line), Err(Error::CodeTyped { .. })), "{line}");
        }
        for line in [
            "unlock-device",
            "get-app-qr-code --output-file unlock-code",
            "download-updates --uri file:///u",
            "describe-device -- -",
            "associate-device --device-ip-addresses 192.0.2.1 192.0.2.2",
            "get-certificate --certificate-arn arn:aws:snowball-device:::certificate/78EXAMPLE516EXAMPLEf538EXAMPLEa7",
        ] {
            assert!(of(line).is_ok(), "{line}");
        }
        for line in ["configure", "configure --profile x", "configure --help"] {
            assert!(matches!(of(line), Err(Error::ClientConfigures { .. })), "{line}");
        }
        assert!(of("help configure").is_ok());
    }

    #[test]
    fn only_what_is_a_name_is_put_down() {
        let name = |line: &str| of(line).unwrap();
        assert_eq!(name("describe-device --profile x"), "describe-device");
        for other in ["--help", "Secret", "a.b", &"a".repeat(41), "a\nb"] {
            assert_eq!(name(other), "other");
        }
    }
}
