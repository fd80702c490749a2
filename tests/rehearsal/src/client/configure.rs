//! `configure`: asks for what the command line does not give, checks the pair, stores a profile.

use std::{
    io::{self, BufRead, IsTerminal},
    path::{Path, PathBuf},
};

use super::{
    INVENTED, StandIn,
    args::Options,
    commands::{DEFAULT_PROFILE, Failure, open_pair},
    output::Output,
    profile::{self, Profile},
};

/// Runs the command in this home.
pub(super) fn configure(stand_in: &StandIn, home: &Path, options: Options, output: &mut Output) -> Result<(), Failure> {
    if stand_in.options.wants_terminal && !io::stdin().is_terminal() {
        return Err(Failure::new("configure needs a terminal"));
    }
    let answers = ask(stand_in, home, options, &mut io::stdin().lock(), output)?;
    // The newest guide: a code that does not match the manifest stops the command, and no profile is created.
    let contents = open_pair(&answers.manifest, &answers.code)?;
    let mut config = profile::load(home).map_err(|text| Failure::new(&text))?;
    let profile = Profile {
        name: answers.profile.clone(),
        job_id: contents.job_ids.first().cloned().unwrap_or_default(),
        unlock_code: answers.code,
        manifest_path: answers.manifest,
        default_endpoint: answers.endpoint,
        is_cluster: contents.job_ids.len() > 1,
        device_ips: Vec::new(),
    };
    config.profiles.insert(answers.profile, profile);
    profile::store(home, &config).map_err(|error| Failure::new(&format!("the profile can't be stored: {error}")))
}

#[derive(Debug, PartialEq, Eq)]
struct Answers {
    manifest: PathBuf,
    code: String,
    endpoint: String,
    profile: String,
}

/// The documented prompts, in the documented order, each only for what is not given.
fn ask(
    stand_in: &StandIn,
    home: &Path,
    options: Options,
    input: &mut impl BufRead,
    output: &mut Output,
) -> Result<Answers, Failure> {
    let will = if stand_in.options.grammatical { "will be stored at" } else { "will stored at" };
    output.line(&format!("Configuration {will} {}", profile::path(home).display()));
    let mut prompt = |text: &str, given: Option<String>| match given {
        Some(value) => Ok(value),
        None => {
            output.write(text);
            let mut line = String::new();
            match input.read_line(&mut line) {
                Ok(1..) => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
                _ => Err(Failure::new("the input ended before the last answer")),
            }
        }
    };
    let manifest = prompt("Snowball Edge Manifest Path: ", options.manifest_file)?.into();
    let code = prompt("Unlock Code: ", options.unlock_code)?;
    let endpoint = prompt("Default Endpoint: ", options.endpoint)?;
    let profile = options.profile.unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
    if endpoint.starts_with("https://") {
        return Ok(Answers { manifest, code, endpoint, profile });
    }
    Err(Failure { text: format!("{INVENTED} the endpoint does not begin with https://"), code: Some(code) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn asked(options: Options, input: &str) -> Result<Answers, Failure> {
        let log = PathBuf::new();
        let stand_in = StandIn { options: super::super::ClientOptions::default(), own_home: log.clone(), log };
        // Held back, so that a test run's output stays its own.
        let mut output = Output::holding();
        let answers = ask(&stand_in, Path::new("/h"), options, &mut input.as_bytes(), &mut output);
        let text = output.take();
        let first = text.lines().next().unwrap();
        assert!(first.starts_with("Configuration will stored at "), "{text}");
        assert!(first.ends_with("snowball-edge.config"), "{text}");
        answers
    }

    #[test]
    fn prompts_in_order() {
        let answers = asked(Options::default(), "/m.bin\nabc\r\nhttps://192.0.2.0\n").unwrap();
        assert_eq!(answers.manifest, PathBuf::from("/m.bin"));
        assert_eq!(answers.code, "abc");
        assert_eq!(answers.endpoint, "https://192.0.2.0");
        assert_eq!(answers.profile, "default");
    }

    #[test]
    fn asks_only_for_what_is_not_given() {
        let options = Options {
            manifest_file: Some("/m.bin".to_owned()),
            endpoint: Some("https://192.0.2.0".to_owned()),
            profile: Some("p".to_owned()),
            ..Options::default()
        };
        let answers = asked(options, "abc\n").unwrap();
        assert_eq!((answers.code.as_str(), answers.profile.as_str()), ("abc", "p"));
    }

    #[test]
    fn an_input_that_ends_is_a_failure() {
        assert!(asked(Options::default(), "/m.bin\n").is_err());
        assert!(asked(Options::default(), "/m.bin\nabc\nhttp://192.0.2.0\n").is_err());
    }

    #[test]
    fn the_prompts_are_the_documented_ones() {
        let mut output = Output::holding();
        let log = PathBuf::new();
        let options = super::super::ClientOptions { grammatical: true, ..Default::default() };
        let stand_in = StandIn { options, own_home: log.clone(), log };
        let mut input = &b"a\nb\nhttps://c\n"[..];
        ask(&stand_in, Path::new("h"), Options::default(), &mut input, &mut output).unwrap();
        let text = output.take();
        assert!(text.starts_with("Configuration will be stored at h"), "{text}");
        assert!(text.ends_with("\nSnowball Edge Manifest Path: Unlock Code: Default Endpoint: "), "{text}");
    }
}
