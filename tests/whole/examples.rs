//! What help, README and manual say to type can be typed: the parser takes every command line of this program in them,
//! and those to paste are run against the stand-ins, and end well.

use std::path::Path;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use snow_onboard::cli::Cli;

#[path = "../generated/examples.rs"]
#[allow(dead_code, reason = "the manual pages use the captions too")]
mod find;

const SAMPLE: &str = "JID123e4567-e89b-12d3-a456-426655440000";

/// To paste, from every `--help`. The manual pages are made from the same.
fn of_the_help() -> Vec<Vec<String>> {
    let mut program = Cli::command();
    program.build();
    let mut found = Vec::new();
    for command in std::iter::once(&program).chain(program.get_subcommands()) {
        let (_, examples) = find::of(command);
        assert!(!examples.is_empty(), "{} has no examples", command.get_name());
        found.extend(examples.iter().flat_map(|example| find::command_lines(example.lines.iter().map(String::as_str))));
    }
    found
}

/// To paste, from the fenced blocks of README.
fn of_readme() -> Vec<Vec<String>> {
    fenced(&read("README.md")).iter().flat_map(|block| find::command_lines(block.lines())).collect()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The blocks that are for a shell; those with a transcript have no language.
fn fenced(text: &str) -> Vec<String> {
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix("sh\n").or(block.strip_prefix("sh\r\n"))).map(str::to_owned).collect()
}

/// What stands between backticks in a text, and begins as a command line of this program.
fn in_prose(text: &str) -> Vec<Vec<String>> {
    // Fences are backticks too; what is in them is looked at elsewhere.
    let without_blocks: String = text.split("```").step_by(2).collect();
    let spans = without_blocks.split('`').skip(1).step_by(2).filter(|span| span.starts_with("snow-onboard "));
    spans.map(|span| span.split_whitespace().map(|word| word.trim_start_matches("//!").to_owned()).collect()).collect()
}

/// Asserts that the parser takes it. In prose a command line may leave its job out.
fn parses(words: &[String], is_prose: bool) {
    let words = words
        .iter()
        .map(|word| word.replace("JID…", SAMPLE).replace("CID…", &SAMPLE.replace("JID", "CID")))
        .filter(|word| !word.is_empty());
    let words: Vec<String> = words.collect();
    let outcome = match Cli::try_parse_from(&words) {
        Err(error) if is_prose && error.kind() == ErrorKind::MissingRequiredArgument => {
            Cli::try_parse_from(words.iter().map(String::as_str).chain([SAMPLE]))
        }
        outcome => outcome,
    };
    if let Err(error) = outcome {
        let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        assert!(is_help, "“{}” is not to be typed so: {error}", words.join(" "));
    }
}

#[test]
fn the_parser_takes_every_command_line_that_is_written_down() {
    let to_paste = [of_the_help(), of_readme()].concat();
    assert!(to_paste.len() > 10, "{to_paste:?}");
    to_paste.iter().for_each(|words| parses(words, false));

    let mut prose = in_prose(&read("README.md"));
    for file in Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual").read_dir().unwrap() {
        prose.extend(in_prose(&std::fs::read_to_string(file.unwrap().path()).unwrap()));
    }
    assert!(prose.len() > 5, "{prose:?}");
    prose.iter().for_each(|words| parses(words, true));
}

#[test]
#[should_panic(expected = "is not to be typed so")]
fn a_flag_that_is_no_more_is_noticed() {
    parses(&["snow-onboard", "run", SAMPLE, "--no-such-flag"].map(str::to_owned), false);
}

#[cfg(target_os = "linux")]
mod run {
    use std::collections::BTreeSet;
    use std::fs;

    use snow_rehearsal::Rehearsal;

    use super::{SAMPLE, of_readme, of_the_help};
    use crate::agent::Agent;
    use crate::keyring_bus::{Keyring, KeyringBus};
    use crate::secret_service::on_the_bus;

    /// Command lines that can't be run here, and why.
    const NOT_RUN: &[(&str, &str)] = &[
        ("snow-onboard", "asks for everything on a terminal; the terminal tests answer it"),
        ("snow-onboard run --all", "asks for the addresses on a terminal; the terminal tests answer it"),
        ("snow-onboard setup-profile JID123e4567-e89b-12d3-a456-426655440000", "asks before it writes"),
        (
            "snow-onboard run CID123e4567-e89b-12d3-a456-426655440000 --endpoint 192.0.2.10 --node 192.0.2.11 --node 192.0.2.12",
            "needs a cluster; tests/whole/clusters.rs runs it with one",
        ),
        (
            "snow-onboard unlock CID123e4567-e89b-12d3-a456-426655440000 --without-missing",
            "needs a cluster with a missing node; tests/whole/clusters.rs runs it with one",
        ),
        (
            "snow-onboard client CID123e4567-e89b-12d3-a456-426655440000 -- describe-cluster",
            "needs a cluster; tests/whole/cluster_nodes.rs runs it with one",
        ),
    ];

    /// The stand-ins, with what the examples take for given: a profile `field`, a client in PATH and one below the home, the
    /// CA of the stand-ins, and a profile `NAME` in the client's own settings.
    struct Scene {
        rehearsal: Rehearsal,
        bus: KeyringBus,
    }

    impl Scene {
        fn set() -> Self {
            let rehearsal = Rehearsal::builder().start().unwrap();
            let folder = rehearsal.home().join(".aws");
            fs::create_dir_all(folder.join("snowball/config")).unwrap();
            fs::write(folder.join("config"), "[profile field]\nregion = us-east-1\n").unwrap();
            let (key, secret) = (rehearsal.access_key(), rehearsal.secret_key());
            let text = format!("[field]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
            fs::write(folder.join("credentials"), text).unwrap();
            let own = serde_json::json!({"name": "NAME", "jobId": rehearsal.job().id(), "unlockCode": rehearsal.job().unlock_code()});
            let own = serde_json::json!({"version": 1, "profiles": {"NAME": own}});
            fs::write(folder.join("snowball/config/snowball-edge.config"), own.to_string()).unwrap();
            Self { rehearsal, bus: KeyringBus::start(Keyring::Unlocked) }
        }

        /// What stands for this scene's own things in an example.
        fn fitted(&self, word: &str) -> String {
            match word {
                SAMPLE => self.rehearsal.job().id().to_owned(),
                "192.0.2.10" | "192.0.2.11" => self.rehearsal.device().endpoint(),
                "eu-central-1" | "us-east-1" => self.rehearsal.region().to_owned(),
                "receipt.html" => self.rehearsal.root().join(word).display().to_string(),
                // What a shell would have made of it, had the client been unpacked there.
                "~/snowball-client-linux/bin/snowballEdge" => self.rehearsal.client_path().display().to_string(),
                "pallet.csv" => {
                    let plan = self.rehearsal.root().join("pallet.csv");
                    let row =
                        format!("job,address\n{},{}\n", self.rehearsal.job().id(), self.rehearsal.device().endpoint());
                    std::fs::write(&plan, row).unwrap();
                    plan.display().to_string()
                }
                other => other.to_owned(),
            }
        }

        fn agent(&self, words: &[String]) -> Agent {
            let client = self.rehearsal.client_path().parent().unwrap().display().to_string();
            let path = format!("{client}:{}", std::env::var("PATH").unwrap());
            let agent = Agent::bare(words.iter().skip(1).map(|word| self.fitted(word)));
            let agent = agent.envs(self.rehearsal.env()).env("AWS_CA_BUNDLE", self.rehearsal.ca_bundle());
            on_the_bus(agent.env("PATH", path), &self.bus)
        }

        /// Runs the example, with what goes before it in its story.
        fn play(&self, words: &[String]) {
            let has = |word: &str| words.iter().any(|other| other == word);
            if ["unlock", "credentials", "setup-profile", "status", "client"].into_iter().any(has) {
                let run = ["snow-onboard", "run", SAMPLE, "--endpoint", "192.0.2.10"];
                self.agent(&run.map(str::to_owned)).end().done();
            }
            // One that needs an open device, or waits for one, finds it so.
            if !has("credentials") && !has("setup-profile") && !has("--watch") {
                self.rehearsal.device().power_loss();
            }
            if has("receipt") || has("forget") && !has("--client-profile") {
                self.agent(&["snow-onboard", "fetch", SAMPLE].map(str::to_owned)).end().done();
            }
            let ended = self.agent(words).end();
            let line = words.join(" ");
            assert!(ended.status.success(), "{line}\n{}\n{}\n{}", ended.status, ended.stdout, ended.stderr);
        }
    }

    fn play_all(examples: &[Vec<String>]) -> BTreeSet<&'static str> {
        let scene = Scene::set();
        let mut left_out = BTreeSet::new();
        for words in examples {
            let line = words.join(" ");
            match NOT_RUN.iter().find(|(not_run, _)| *not_run == line) {
                Some((not_run, _)) => _ = left_out.insert(*not_run),
                None => scene.play(words),
            }
        }
        left_out
    }

    #[test]
    fn the_examples_of_the_help_end_well() {
        let left_out = play_all(&of_the_help());
        let stale: Vec<_> = NOT_RUN.iter().filter(|(line, _)| !left_out.contains(line)).collect();
        assert!(stale.is_empty(), "no example any more: {stale:?}");
    }

    #[test]
    fn the_command_lines_of_readme_end_well() {
        let examples = of_readme();
        let left_out = play_all(&examples);
        assert!(left_out.len() < examples.len(), "none was run");
    }
}
