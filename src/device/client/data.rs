//! What differs between clients, as data: `config/clients/*.toml`, compiled in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::HandOverMethod;

/// One client, as its file in `config/clients/` describes it: what is said to it, and how its words are read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientData {
    /// For people.
    pub(in crate::device) name: String,
    /// File name of the launcher, without extension.
    pub(in crate::device) program: String,
    /// Variables that carry the options for its JVM.
    pub(in crate::device) java_options: Vec<String>,
    hand_over: Vec<HandOverMethod>,
    pub(in crate::device) version: VersionData,
    pub(in crate::device) help: HelpData,
    pub(in crate::device) commands: Commands,
    pub(in crate::device) profile: ProfileData,
    pub(in crate::device) configure: ConfigureData,
    pub(in crate::device) states: StatesData,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::device) struct VersionData {
    pub(in crate::device) args: Vec<String>,
    seconds: u64,
    /// Stands before the number, in whatever case.
    pub(in crate::device) label: String,
    /// First version known.
    pub(in crate::device) from: String,
    /// First version beyond those known.
    pub(in crate::device) below: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::device) struct HelpData {
    pub(in crate::device) args: Vec<String>,
    seconds: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::device) struct Commands {
    pub(in crate::device) describe: CommandData,
    pub(in crate::device) unlock: CommandData,
    pub(in crate::device) access_keys: CommandData,
    pub(in crate::device) secret_key: CommandData,
    pub(in crate::device) services: CommandData,
    pub(in crate::device) service: CommandData,
    pub(in crate::device) certificates: CommandData,
    pub(in crate::device) certificate: CommandData,
    pub(in crate::device) describe_cluster: CommandData,
    pub(in crate::device) unlock_cluster: CommandData,
    pub(in crate::device) associate: CommandData,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::device) struct CommandData {
    profile: Vec<String>,
    argv: Vec<String>,
    seconds: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::device) struct ProfileData {
    pub(in crate::device) file: Vec<String>,
    pub(in crate::device) folders: Vec<Vec<String>>,
    pub(in crate::device) manifest_copies: Vec<String>,
    pub(in crate::device) version: u32,
    pub(in crate::device) default: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::device) struct ConfigureData {
    pub(in crate::device) args: Vec<String>,
    seconds: u64,
    prompt_seconds: u64,
    pub(in crate::device) path_label: String,
    pub(in crate::device) prompts: Vec<Prompt>,
}

/// A prompt of `configure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::device) struct Prompt {
    /// A word of it, in whatever case, that the others don't have.
    pub(in crate::device) label: String,
    pub(in crate::device) answer: PromptAnswer,
}

/// What a prompt is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::device) enum PromptAnswer {
    Manifest,
    Code,
    Endpoint,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::device) struct StatesData {
    pub(in crate::device) locked: Vec<String>,
    pub(in crate::device) unlocking: Vec<String>,
    pub(in crate::device) unlocked: Vec<String>,
    /// Of a cluster's node.
    pub(in crate::device) associated: Vec<String>,
    pub(in crate::device) reachable: Vec<String>,
    locked_grace_seconds: u64,
}

/// Argument that the guard replaces with the code, which does not pass through any pipe of ours.
pub(in crate::device) const CODE_PLACEHOLDER: &str = "{code}";

impl ClientData {
    /// The client we know.
    #[must_use]
    pub fn built_in() -> Self {
        toml::from_str(include_str!("../../../config/clients/snowball-edge.toml"))
            .expect("the data file is compiled in and read by a test")
    }

    /// The hand-over methods, with `argv` last wherever the file puts it: promise 4.
    pub(in crate::device) fn methods(&self) -> Vec<HandOverMethod> {
        let (weak, mut private): (Vec<_>, Vec<_>) =
            self.hand_over.iter().partition(|method| **method == HandOverMethod::Argv);
        private.extend(weak);
        private
    }
}

impl HelpData {
    pub(in crate::device) fn limit(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// What a client's `help` says.
pub(in crate::device) struct CommandList {
    /// It is a list of commands: it has at least one that every client has.
    pub(in crate::device) is_list: bool,
    /// The first command that is needed and not in it.
    pub(in crate::device) missing: Option<String>,
}

impl ClientData {
    /// Reads the output of `help`, for a device or for a cluster.
    pub(in crate::device) fn commands_in(&self, stdout: &str, stderr: &str, of_cluster: bool) -> CommandList {
        let help = format!("{stdout}\n{stderr}");
        let forms =
            [&self.commands.describe.argv, &self.commands.unlock.argv, &self.configure.args, &self.version.args];
        let is_list = forms.iter().filter_map(|form| form.first()).any(|name| is_listed(name, &help));
        CommandList { is_list, missing: self.commands.missing_in(&help, of_cluster).map(str::to_owned) }
    }
}

fn is_listed(name: &str, help: &str) -> bool {
    help.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == name)
}

impl Commands {
    /// The first one that is needed and that a client does not list in its `help`.
    fn missing_in(&self, help: &str, of_cluster: bool) -> Option<&str> {
        let needed =
            if of_cluster { [&self.describe_cluster, &self.unlock_cluster] } else { [&self.describe, &self.unlock] };
        needed
            .into_iter()
            .filter_map(|command| command.argv.first())
            .map(String::as_str)
            .find(|name| !is_listed(name, help))
    }
}

impl VersionData {
    pub(in crate::device) fn limit(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl CommandData {
    /// What it is called on the client's command line.
    pub(in crate::device) fn name(&self) -> &str {
        self.profile.first().map_or("", String::as_str)
    }

    /// Its arguments on a method, placeholders filled but for the code's.
    pub(in crate::device) fn args(&self, method: HandOverMethod, values: &Values<'_>) -> Vec<String> {
        let form = if method == HandOverMethod::Argv { &self.argv } else { &self.profile };
        values.fill(form)
    }

    pub(in crate::device) fn limit(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl ConfigureData {
    pub(in crate::device) fn limit(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    pub(in crate::device) fn prompt_limit(&self) -> Duration {
        Duration::from_secs(self.prompt_seconds)
    }
}

impl StatesData {
    pub(in crate::device) fn locked_grace(&self) -> Duration {
        Duration::from_secs(self.locked_grace_seconds)
    }
}

/// What the placeholders stand for, but for the code's.
pub(in crate::device) struct Values<'a> {
    pub(in crate::device) profile: &'a str,
    pub(in crate::device) manifest: &'a str,
    pub(in crate::device) endpoint: &'a str,
    /// What the command is about, for one that is about a part of the device.
    pub(in crate::device) id: &'a str,
    /// The addresses of a cluster's nodes.
    pub(in crate::device) nodes: &'a [String],
}

impl Values<'_> {
    /// Fills whole-argument placeholders, that of the nodes with an argument each. An argument that merely contains one stays: a
    /// path may contain anything.
    pub(in crate::device) fn fill(&self, form: &[String]) -> Vec<String> {
        let one = |text: &str| vec![text.to_owned()];
        form.iter()
            .flat_map(|arg| match arg.as_str() {
                "{profile}" => one(self.profile),
                "{manifest}" => one(self.manifest),
                "{endpoint}" => one(self.endpoint),
                "{id}" => one(self.id),
                "{nodes}" => self.nodes.to_vec(),
                other => one(other),
            })
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_data_file_reads_and_no_private_form_carries_the_code() {
        let data = ClientData::built_in();
        assert_eq!(data.methods(), [HandOverMethod::Profile, HandOverMethod::Configure, HandOverMethod::Argv]);
        let Commands {
            describe, unlock, access_keys, secret_key, services, service, certificates, certificate, ..
        } = &data.commands;
        let Commands { describe_cluster, unlock_cluster, associate, .. } = &data.commands;
        let of_device = [describe, unlock, access_keys, secret_key, services, service, certificates, certificate];
        for command in of_device.into_iter().chain([describe_cluster, unlock_cluster, associate]) {
            assert!(!command.profile.iter().any(|arg| arg.contains(CODE_PLACEHOLDER)));
            assert_eq!(command.argv.iter().filter(|arg| *arg == CODE_PLACEHOLDER).count(), 1);
            // The client may save what it is given under a profile's name, in clear.
            assert!(!command.argv.iter().any(|arg| arg.contains("profile")));
        }
        assert!(!data.configure.args.iter().any(|arg| arg.contains(CODE_PLACEHOLDER)));
        let answers: Vec<_> = data.configure.prompts.iter().map(|prompt| prompt.answer).collect();
        assert_eq!(answers, [PromptAnswer::Manifest, PromptAnswer::Code, PromptAnswer::Endpoint]);
    }

    #[test]
    fn a_client_that_does_not_list_the_commands_is_seen() {
        let commands = ClientData::built_in().commands;
        assert_eq!(commands.missing_in("  describe-device  Describes\n  unlock-device\n", false), None);
        assert_eq!(commands.missing_in("describe-device, unlock-devices", false), Some("unlock-device"));
        assert_eq!(commands.missing_in("unlock", false), Some("describe-device"));
        assert_eq!(commands.missing_in("describe-device, unlock-device", true), Some("describe-cluster"));
    }

    #[test]
    fn argv_is_last_whatever_the_file_says() {
        let mut data = ClientData::built_in();
        data.hand_over = vec![HandOverMethod::Argv, HandOverMethod::Configure];
        assert_eq!(data.methods(), [HandOverMethod::Configure, HandOverMethod::Argv]);
    }

    #[test]
    fn only_whole_arguments_are_placeholders() {
        let form = ["--manifest-file", "{manifest}", "{code}", "--nodes", "{nodes}"].map(str::to_owned);
        let nodes = ["192.0.2.10", "192.0.2.11"].map(str::to_owned);
        let values =
            Values { profile: "p", manifest: "/x/{endpoint}", endpoint: "https://192.0.2.10", id: "", nodes: &nodes };
        let filled = ["--manifest-file", "/x/{endpoint}", "{code}", "--nodes", "192.0.2.10", "192.0.2.11"];
        assert_eq!(values.fill(&form), filled);
    }
}
