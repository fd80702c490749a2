//! Command lines that look right, or are right elsewhere: what was meant, as a tip.

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Cli;
use crate::model::{Endpoint, TargetId, is_like_a_hyphen};

/// What other programs call it, and what does it here.
const VERBS: &[(&[&str], &str)] = &[
    (&["open", "start", "onboard", "unlock-device"], "snow-onboard run JOB --endpoint ADDRESS"),
    (&["download", "get"], "snow-onboard fetch JOB"),
    (&["list", "ls"], "snow-onboard jobs"),
    (&["state", "watch"], "snow-onboard status"),
    (&["snowballEdge", "exec", "describe-device"], "snow-onboard client JOB -- describe-device"),
    (&["check", "test", "verify"], "snow-onboard doctor"),
    (&["log", "logs", "history"], "snow-onboard audit show"),
    (&["remove", "delete", "rm", "clean"], "snow-onboard forget JOB"),
    (&["config", "configure"], "snow-onboard settings"),
];

/// The command line of other programs: what `help` and `version` are there, is a flag here.
pub(super) fn as_flags(words: &[String]) -> Option<Vec<String>> {
    let begins_with = |verb: &str| words.first().is_some_and(|word| word == verb);
    if begins_with("help") {
        let mut rest: Vec<String> = words.iter().skip_while(|word| *word == "help").cloned().collect();
        let end = rest.iter().position(|word| word == "--").unwrap_or(rest.len());
        rest.insert(end, "--help".to_owned());
        return Some(rest);
    }
    begins_with("version").then(|| std::iter::once("--version".to_owned()).chain(words[1..].iter().cloned()).collect())
}

/// A flag of ours with another character, or another number of hyphens, in front: a word processor makes one dash of two
/// hyphens, and one hyphen would make a value of the name.
pub(super) fn flag(words: impl Iterator<Item = String>) -> Option<clap::Error> {
    let command = Cli::command();
    let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments).chain(command.get_arguments());
    let known: Vec<&str> = arguments.filter_map(clap::Arg::get_long).chain(["help", "version"]).collect();
    words.take_while(|word| word != "--").find_map(|word| {
        let name = word.trim_start_matches(|c| c == '-' || is_like_a_hyphen(c));
        let dashes = &word[..word.len() - name.len()];
        let name = name.split('=').next().filter(|name| known.contains(name))?;
        let begins = match dashes.chars().find(|c| is_like_a_hyphen(*c)) {
            Some(odd) => format!("with U+{:04X}, which only looks like a hyphen", u32::from(odd)),
            None if dashes == "-" => "with one hyphen".to_owned(),
            None => return None,
        };
        let complaint = format!("“{dashes}{name}” begins {begins}; type it with two hyphens: --{name}");
        Some(Cli::command().error(ErrorKind::UnknownArgument, complaint))
    })
}

/// The parser's complaint of a flag for an unlock code, as the vendor's client has one. Its own tip is a flag that takes a value.
pub(super) fn code(complaint: clap::Error) -> clap::Error {
    let Some(ContextValue::String(typed)) = complaint.get(ContextKind::InvalidArg) else { return complaint };
    if complaint.kind() != ErrorKind::UnknownArgument || !typed.to_ascii_lowercase().contains("code") {
        return complaint;
    }
    let text = "there is no flag for an unlock code. This program gets the code from AWS; never type one. If you did, remove this \
                line from the history of your shell";
    Cli::command().error(ErrorKind::UnknownArgument, text)
}

/// The parser's complaint of a command for the vendor's client without what stands before it.
pub(super) fn client_command(complaint: clap::Error) -> clap::Error {
    let Some(ContextValue::String(typed)) = complaint.get(ContextKind::InvalidArg) else { return complaint };
    let is_without = std::env::args_os().all(|word| word != "--");
    if complaint.kind() != ErrorKind::UnknownArgument || !super::is_client_typed() || !is_without {
        return complaint;
    }
    let text = format!(
        "“{typed}” is for the vendor's client if it stands after two hyphens: snow-onboard client JOB -- COMMAND …"
    );
    Cli::command().error(ErrorKind::UnknownArgument, text)
}

/// The parser's complaint of an address that no flag stands before.
pub(super) fn address(complaint: clap::Error) -> clap::Error {
    let Some(ContextValue::String(typed)) = complaint.get(ContextKind::InvalidArg) else { return complaint };
    let is_address = Endpoint::typed(typed).is_ok_and(|endpoint| endpoint.is_by_number());
    if complaint.kind() != ErrorKind::UnknownArgument || !is_address {
        return complaint;
    }
    match before_address(typed) {
        Some(text) => Cli::command().error(ErrorKind::UnknownArgument, text),
        None => complaint,
    }
}

/// What to type before an address, where the command takes one, or one more.
pub(crate) fn before_address(typed: &str) -> Option<String> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let flag = flag_before_address(&words.take_while(|word| word != "--").collect::<Vec<_>>())?;
    Some(format!("“{typed}” is an address; type --{flag} before it: --{flag} {typed}"))
}

/// Which flag, on a command line of these words.
fn flag_before_address(words: &[String]) -> Option<&'static str> {
    let command = Cli::command();
    let verb = words.iter().find_map(|word| command.find_subcommand(word))?;
    let has_one = words.iter().any(|word| word == "--endpoint" || word == "-e" || word.starts_with("--endpoint="));
    let flag = if has_one { "node" } else { "endpoint" };
    verb.get_arguments().any(|argument| argument.get_long() == Some(flag)).then_some(flag)
}

/// The parser's complaint of a job that is missing, where there are other ways to say which are meant.
pub(super) fn missing(complaint: clap::Error) -> clap::Error {
    let others = match super::typed_verb().as_deref() {
        Some("unlock") => "--all",
        Some("forget") => "--all, --returned or --expired",
        _ => return complaint,
    };
    if complaint.kind() != ErrorKind::MissingRequiredArgument {
        return complaint;
    }
    let mut command = Cli::command();
    command.build();
    let of_verb = super::typed_verb().and_then(|verb| command.find_subcommand_mut(verb).cloned());
    let text = format!("a job is required; type JOB, or {others} for several");
    of_verb.unwrap_or(command).error(ErrorKind::MissingRequiredArgument, text)
}

/// The parser's complaint of a verb that is called otherwise here, with what it is called.
pub(super) fn verb(complaint: clap::Error) -> clap::Error {
    let Some(ContextValue::String(typed)) = complaint.get(ContextKind::InvalidSubcommand) else { return complaint };
    let meant = VERBS.iter().find(|(names, _)| names.contains(&typed.as_str()));
    match meant {
        Some((_, command)) => {
            Cli::command().error(ErrorKind::InvalidSubcommand, format!("there is no command “{typed}”; use: {command}"))
        }
        None if TargetId::typed(typed).is_ok() => {
            let text =
                format!("a command is missing before the job id; use: snow-onboard run {typed} --endpoint ADDRESS");
            Cli::command().error(ErrorKind::InvalidSubcommand, text)
        }
        None => complaint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn a_flag_with_another_dash_is_told_as_it_is_typed() {
        let told = |words: &str| flag(words.split(' ').map(str::to_owned)).map(|error| error.to_string());
        for (words, tip) in [
            ("run \u{2013}endpoint 192.0.2.10", "--endpoint"),
            ("\u{2014}json jobs", "--json"),
            ("run -\u{2011}wait", "--wait"),
            ("run -endpoint 192.0.2.10", "--endpoint"),
            ("run \u{2013}endpoint=192.0.2.10", "--endpoint"),
        ] {
            assert!(told(words).is_some_and(|text| text.contains(&format!("two hyphens: {tip}"))), "{words}");
        }
        for words in ["run --endpoint x", "run -e x", "-qv jobs", "run --profile \u{2013}x", "run -- \u{2013}json"] {
            assert_eq!(told(words), None, "{words}");
        }
    }

    #[test]
    fn help_and_version_are_flags_here() {
        for (words, flags) in [
            ("help", Some("--help")),
            ("help help", Some("--help")),
            ("help run", Some("run --help")),
            ("help run --json", Some("run --json --help")),
            ("help audit show", Some("audit show --help")),
            ("version -v", Some("--version -v")),
            ("run help", None),
        ] {
            let typed: Vec<String> = words.split(' ').map(str::to_owned).collect();
            assert_eq!(as_flags(&typed).map(|flags| flags.join(" ")).as_deref(), flags);
        }
    }

    #[test]
    fn an_address_with_no_flag_before_it_is_told_the_flag_that_the_command_takes() {
        let flag = |line: &str| flag_before_address(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(flag("run JID1 192.168.1.5"), Some("endpoint"));
        assert_eq!(flag("--json unlock 192.168.1.5:9091"), Some("endpoint"));
        // The same flag again would take the first one's place.
        assert_eq!(flag("run CID1 --endpoint 192.168.1.5 192.168.1.6"), Some("node"));
        assert_eq!(flag("forget JID1 192.168.1.5"), None);
        assert_eq!(flag("192.168.1.5"), None);
    }

    #[test]
    fn a_verb_of_other_programs_is_told_as_it_is_called_here() {
        let told = |verb_typed: &str| {
            let complaint = Cli::try_parse_from(["snow-onboard", verb_typed]).err();
            complaint.map(|complaint| verb(complaint).to_string()).unwrap_or_default()
        };
        assert!(told("unlock-device").contains("use: snow-onboard run JOB"));
        assert!(told("runn").contains("'run'"), "{}", told("runn"));
        let job = "JID123e4567-e89b-12d3-a456-426655440000";
        assert!(told(job).contains(&format!("use: snow-onboard run {job} --endpoint ADDRESS")), "{}", told(job));
        // What is offered is a command.
        for (names, command) in VERBS {
            let typed = command.replace("JOB", "JID1").replace("ADDRESS", "192.0.2.10");
            let parsed = Cli::try_parse_from(typed.split(' '));
            let is_help = parsed.as_ref().err().is_some_and(|error| error.kind() == ErrorKind::DisplayHelp);
            assert!(parsed.is_ok() || is_help, "{names:?}");
        }
    }
}
