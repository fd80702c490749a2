//! What differs between clients, as data: `config/clients/*.toml`, compiled in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A way of handing over the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    /// We wrote the client's documented profile file into a private home.
    Profile,
    /// The client wrote it there itself, its prompts answered by us.
    Configure,
    /// On the client's command line, where other programs can read it while the client runs.
    Argv,
}

impl Rung {
    /// As it stands in the record and in the client's data file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Configure => "configure",
            Self::Argv => "argv",
        }
    }

    /// For people: what was done, in a few words.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Profile => "through a profile in a private folder; the code is on no command line",
            Self::Configure => {
                "through the client's own prompts, into a private folder; the code is on no command line"
            }
            Self::Argv => "on the client's command line, as allowed",
        }
    }
}

/// One client, as its file in `config/clients/` describes it: what is said to it, and how its words are read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientData {
    /// For people.
    pub(super) name: String,
    /// File name of the launcher, without extension.
    pub(super) program: String,
    /// Variables that carry the options for its JVM.
    pub(super) java_options: Vec<String>,
    ladder: Vec<Rung>,
    pub(super) version: VersionData,
    pub(super) commands: Commands,
    pub(super) profile: ProfileData,
    pub(super) configure: ConfigureData,
    pub(super) states: StatesData,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionData {
    pub(super) args: Vec<String>,
    seconds: u64,
    /// Stands before the number, in whatever case.
    pub(super) label: String,
    /// First version known.
    pub(super) from: String,
    /// First version beyond those known.
    pub(super) below: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Commands {
    pub(super) describe: CommandData,
    pub(super) unlock: CommandData,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandData {
    profile: Vec<String>,
    argv: Vec<String>,
    seconds: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileData {
    pub(super) file: Vec<String>,
    pub(super) folders: Vec<Vec<String>>,
    pub(super) version: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigureData {
    pub(super) args: Vec<String>,
    seconds: u64,
    prompt_seconds: u64,
    pub(super) path_label: String,
    pub(super) prompts: Vec<Prompt>,
}

/// A prompt of `configure`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prompt {
    /// Its wording, in whatever case.
    pub(super) label: String,
    pub(super) answer: Answer,
}

/// What a prompt is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    Manifest,
    Code,
    Endpoint,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatesData {
    pub(super) locked: Vec<String>,
    pub(super) unlocking: Vec<String>,
    pub(super) unlocked: Vec<String>,
    locked_grace_seconds: u64,
}

/// Argument that the guard replaces with the code, which does not pass through any pipe of ours.
pub(super) const CODE_PLACEHOLDER: &str = "{code}";

impl ClientData {
    /// The client we know.
    #[must_use]
    pub fn built_in() -> Self {
        toml::from_str(include_str!("../../config/clients/snowball-edge.toml"))
            .expect("the data file is compiled in and read by a test")
    }

    /// The ladder, with `argv` last wherever the file puts it: promise 4.
    pub(super) fn ladder(&self) -> Vec<Rung> {
        let (weak, mut private): (Vec<_>, Vec<_>) = self.ladder.iter().partition(|rung| **rung == Rung::Argv);
        private.extend(weak);
        private
    }
}

impl VersionData {
    pub(super) fn limit(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl CommandData {
    /// Its arguments on a rung, placeholders filled but for the code's.
    pub(super) fn args(&self, rung: Rung, values: &Values<'_>) -> Vec<String> {
        let form = if rung == Rung::Argv { &self.argv } else { &self.profile };
        values.fill(form)
    }

    pub(super) fn limit(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl ConfigureData {
    pub(super) fn limit(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    pub(super) fn prompt_limit(&self) -> Duration {
        Duration::from_secs(self.prompt_seconds)
    }
}

impl StatesData {
    pub(super) fn locked_grace(&self) -> Duration {
        Duration::from_secs(self.locked_grace_seconds)
    }
}

/// What the placeholders stand for, but for the code's.
pub(super) struct Values<'a> {
    pub(super) profile: &'a str,
    pub(super) manifest: &'a str,
    pub(super) endpoint: &'a str,
}

impl Values<'_> {
    /// Fills whole-argument placeholders. An argument that merely contains one stays: a path may contain anything.
    pub(super) fn fill(&self, form: &[String]) -> Vec<String> {
        form.iter()
            .map(|arg| match arg.as_str() {
                "{profile}" => self.profile.to_owned(),
                "{manifest}" => self.manifest.to_owned(),
                "{endpoint}" => self.endpoint.to_owned(),
                other => other.to_owned(),
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
        assert_eq!(data.ladder(), [Rung::Profile, Rung::Configure, Rung::Argv]);
        for command in [&data.commands.describe, &data.commands.unlock] {
            assert!(!command.profile.iter().any(|arg| arg.contains(CODE_PLACEHOLDER)));
            assert_eq!(command.argv.iter().filter(|arg| *arg == CODE_PLACEHOLDER).count(), 1);
            // The client may save what it is given under a profile's name, in clear.
            assert!(!command.argv.iter().any(|arg| arg.contains("profile")));
        }
        assert!(!data.configure.args.iter().any(|arg| arg.contains(CODE_PLACEHOLDER)));
        let answers: Vec<_> = data.configure.prompts.iter().map(|prompt| prompt.answer).collect();
        assert_eq!(answers, [Answer::Manifest, Answer::Code, Answer::Endpoint]);
    }

    #[test]
    fn argv_is_last_whatever_the_file_says() {
        let mut data = ClientData::built_in();
        data.ladder = vec![Rung::Argv, Rung::Configure];
        assert_eq!(data.ladder(), [Rung::Configure, Rung::Argv]);
    }

    #[test]
    fn only_whole_arguments_are_placeholders() {
        let form = ["--manifest-file", "{manifest}", "{code}"].map(str::to_owned);
        let values = Values { profile: "p", manifest: "/x/{endpoint}", endpoint: "https://192.0.2.10" };
        assert_eq!(values.fill(&form), ["--manifest-file", "/x/{endpoint}", "{code}"]);
    }
}
