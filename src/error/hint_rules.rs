//! What the settings of this machine make of a hint: what it tells to paste must be allowed here, and lead on.

/// A setting that the administrator has locked.
#[derive(Debug, Clone)]
pub(crate) struct LockedSetting {
    /// As it stands in a settings file.
    pub(crate) key: &'static str,
    /// Its flag, and the shorthand for one of its values.
    pub(crate) flags: Vec<String>,
    /// The value that it is locked to: to name that is no change.
    pub(crate) value: String,
}

/// What was said of a setting, by a flag or a variable of ours: a command to paste says it again, or it does something else.
#[derive(Debug, Clone)]
pub(crate) struct GivenFlag {
    /// Its flag, and the shorthand for one of its values: a command that has one of them says something else on purpose.
    pub(crate) flags: Vec<String>,
    /// The flag with the value, quoted, with a space before it.
    pub(crate) text: String,
    /// The commands that take it.
    pub(crate) verbs: Vec<String>,
}

/// The settings, as far as hints depend on them.
#[derive(Debug, Clone, Default)]
pub(crate) struct HintRules {
    /// Nobody but the administrator can follow a hint that names one of these.
    pub(crate) locked: Vec<LockedSetting>,
    /// Where no pair is stored: what a run begins with and what follows the job, to fetch a new pair.
    pub(crate) run_without_storing: Option<(String, String)>,
    /// What this command was given.
    pub(crate) given: Vec<GivenFlag>,
    /// The verb, whose own help has the examples.
    pub(crate) verb: Option<String>,
    /// What it can do where a keychain can't be used.
    pub(crate) other_keychains: OtherKeychains,
}

/// What a command can do where a keychain can't be used, other than to reach it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum OtherKeychains {
    /// It stores a code, or none.
    #[default]
    AnyOrNone,
    /// It is there to store one.
    Another,
    /// It needs the code that is stored. With AWS there is a new pair for this job.
    Fetched(String),
    /// It needs what is stored in that very keychain.
    This,
}

const OURS: &str = "snow-onboard ";
const ENDPOINT: &str = "--endpoint";
/// As the sentences of the error table have it.
const EXAMPLE: &str = " --endpoint 192.0.2.10";
/// What follows how a keychain is reached.
const ANY_OR_NONE: &str = " Or store the code in kernel memory (until reboot at the latest, often only until logout), or do not store it:\n  --keychain kernel\n  --keychain none";
const NONE: &str = "Do not store the code on this machine:\n  --keychain none";
/// Of a keychain that is full.
const SYSTEM: &str = "\nOr store the code in the system's keychain:\n  --keychain system";
const LESS_SAFE: &str = "\nLess safe: ";
const HELP: &str = "  snow-onboard --help";
const REFRESH: &str = "snow-onboard fetch --refresh ";

impl HintRules {
    /// The hint, or a warning with one in it, as it is true on this machine.
    #[must_use]
    pub(crate) fn apply(&self, hint: &str) -> String {
        let hint = match &self.run_without_storing {
            Some((run, rest)) => without_storing(hint, run, rest),
            None => hint.to_owned(),
        };
        let hint = self.other_keychains.apply(&hint);
        let hint = self.unless_private(&hint);
        let hint = match &self.verb {
            Some(verb) => hint.replace(HELP, &format!("  snow-onboard {verb} --help")),
            None => hint,
        };
        let mut lines: Vec<String> = hint.split('\n').map(|line| self.unless_locked(&self.in_full(line))).collect();
        // Two commands that are not allowed are one thing to ask for.
        lines.dedup();
        // What follows the hyphens is the vendor's.
        if self.verb.as_deref() == Some("client") && lines.iter().any(|line| line.starts_with("  --")) {
            lines.push("Put it before the two hyphens that stand alone.".to_owned());
        }
        lines.join("\n")
    }

    /// Who asked for a method by name has decided, and the two flags exclude each other.
    fn unless_private(&self, hint: &str) -> String {
        let is_chosen = self.given.iter().any(|given| given.flags.iter().any(|flag| flag == "--handoff"));
        match hint.split_once(LESS_SAFE) {
            Some((safe, _)) if is_chosen => safe.to_owned(),
            _ => hint.to_owned(),
        }
    }

    /// A line to paste stands alone, indented by two.
    fn unless_locked(&self, line: &str) -> String {
        let Some(command) = line.strip_prefix("  ").filter(|command| is_ours(command)) else { return line.to_owned() };
        match self.locked.iter().find(|locked| locked.is_changed_by(command)) {
            Some(locked) => {
                format!("  (The administrator of this machine has locked {}. Ask the administrator.)", locked.key)
            }
            None => line.to_owned(),
        }
    }

    /// The line with what was given said again, where it ends with a command of ours: one to paste, or one after a colon.
    fn in_full(&self, line: &str) -> String {
        let begin =
            line.strip_prefix("  ").map(|_| 2).or_else(|| line.rfind(&format!(": {OURS}")).map(|colon| colon + 2));
        let Some(command) = begin.and_then(|begin| line.get(begin..)).filter(|command| is_ours(command)) else {
            return line.to_owned();
        };
        let words = words(command);
        if words.last().is_some_and(|word| word == "--help") {
            return line.to_owned();
        }
        let Some(verb) = words.iter().skip_while(|word| *word != OURS.trim_end()).nth(1) else {
            return line.to_owned();
        };
        let is_said = |given: &GivenFlag| {
            let flag = |word: &String| word.split_once('=').map_or(word.clone(), |(flag, _)| flag.to_owned());
            words.iter().any(|word| given.flags.contains(&flag(word)))
        };
        // Our example of an address is none where the right one was given; the client's own words end the command.
        let given_address = self.given.iter().find(|given| given.flags.iter().any(|flag| flag == ENDPOINT));
        let line = match given_address.filter(|given| given.verbs.iter().any(|takes| takes == verb)) {
            Some(given) if line.contains(EXAMPLE) => &line.replace(EXAMPLE, &given.text),
            _ => line,
        };
        // One address of a cluster would be one node; those of all are remembered, or stand there.
        let is_of_cluster = words.iter().any(|word| word.starts_with("CID"));
        let is_one_address = |given: &GivenFlag| is_of_cluster && given.flags.iter().any(|flag| flag == ENDPOINT);
        let is_missing = |given: &&GivenFlag| {
            given.verbs.iter().any(|takes| takes == verb) && !is_said(given) && !is_one_address(given)
        };
        let missing: String = self.given.iter().filter(is_missing).map(|given| given.text.as_str()).collect();
        match line.split_once(" -- ") {
            Some((ours, of_client)) => format!("{ours}{missing} -- {of_client}"),
            None => format!("{line}{missing}"),
        }
    }
}

impl OtherKeychains {
    fn apply(&self, hint: &str) -> String {
        const KERNEL: &str = "tore the code in kernel memory (until reboot at the latest, often only until logout):\n  --keychain kernel";
        const ITS_APP: &str = "Open the keychain's own app to see whether it works, then repeat the same command.";
        let (or, instead) = match self {
            Self::AnyOrNone => return hint.to_owned(),
            Self::Another => (format!(" Or s{KERNEL}"), format!("S{KERNEL}")),
            Self::Fetched(job) => (
                format!(
                    " The code is in that keychain, and this command needs it. With internet and an AWS sign-in, a new pair can be stored in kernel memory (until reboot at the latest, often only until logout):\n  snow-onboard fetch {job} --keychain kernel\nThen repeat the same command."
                ),
                ITS_APP.to_owned(),
            ),
            Self::This => (" What this command needs is in that keychain.".to_owned(), ITS_APP.to_owned()),
        };
        let hint = hint.replace(ANY_OR_NONE, &or).replace(NONE, &instead);
        // What is needed is in the one that is full.
        if *self == Self::Another { hint } else { hint.replace(SYSTEM, "") }
    }
}

impl LockedSetting {
    fn is_changed_by(&self, command: &str) -> bool {
        let words = words(command);
        let mut rest = words.iter().map(String::as_str).peekable();
        while let Some(word) = rest.next() {
            let (word, given) = word.split_once('=').map_or((word, None), |(word, value)| (word, Some(value)));
            if self.flags.iter().any(|flag| flag == word) {
                let value = given.or_else(|| rest.peek().copied());
                return value != Some(&self.value);
            }
        }
        false
    }
}

/// The words of a command that is there to be pasted, as `safety::quote` quotes them.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in command.chars() {
        match (c, quote) {
            (' ', None) => words.extend(word.take()),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Whether what is pasted is for this program: a flag of it, or a command that runs it. The AWS CLI has flags of the same names.
fn is_ours(command: &str) -> bool {
    command.starts_with("--") || command.split(' ').any(|word| word == OURS.trim_end())
}

/// A stored pair is not what is used, so a new one comes with the next run.
fn without_storing(hint: &str, run: &str, rest: &str) -> String {
    let hint = hint.replace("The stored code and manifest are unchanged.", "This run stored no code and no manifest.");
    let Some((before, after)) = hint.split_once(REFRESH) else { return hint };
    let end = after.find(char::is_whitespace).unwrap_or(after.len());
    let (job, after) = after.split_at(end);
    let after = after
        .strip_prefix("\nThen repeat the same command.")
        .map_or(after.to_owned(), |after| format!("\n{}", after.trim_start()));
    let before = before.replace("etch a new pair, which is stored beside it", "etch a new pair");
    format!("{before}{run} {job}{rest}{}", if after == "\n" { "" } else { &after })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn rules() -> HintRules {
        HintRules {
            locked: vec![
                LockedSetting { key: "client", flags: vec!["--client".to_owned()], value: "/opt/c".to_owned() },
                LockedSetting {
                    key: "handoff",
                    flags: vec!["--handoff".to_owned(), "--allow-argv".to_owned()],
                    value: "private".to_owned(),
                },
            ],
            run_without_storing: Some((
                "snow-onboard run".to_owned(),
                " --endpoint 192.0.2.10 --keychain none".to_owned(),
            )),
            given: Vec::new(),
            ..HintRules::default()
        }
    }

    #[test]
    fn a_flag_for_client_goes_before_the_hyphens_and_who_chose_a_method_is_offered_no_other() {
        let rules = HintRules { verb: Some("client".to_owned()), ..HintRules::default() };
        let hint = rules.apply(&Error::endpoint_missing(None).report().hint);
        assert!(hint.ends_with("--endpoint 192.0.2.10\nPut it before the two hyphens that stand alone."), "{hint}");
        assert!(!rules.apply("See:\n  snow-onboard jobs").contains("hyphens"));
        let refused = Error::HandOverRefused { why: "x".to_owned() }.report().hint;
        assert!(HintRules::default().apply(&refused).ends_with("  --allow-argv"));
        let given = GivenFlag {
            flags: vec!["--handoff".to_owned(), "--allow-argv".to_owned()],
            text: " --handoff private".to_owned(),
            verbs: vec!["run".to_owned()],
        };
        let hint = HintRules { given: vec![given], ..HintRules::default() }.apply(&refused);
        assert!(!hint.contains("Less safe") && hint.contains("--client"), "{hint}");
    }

    #[test]
    fn no_hint_names_what_is_locked_or_a_pair_that_is_not_stored() {
        for error in Error::samples() {
            let hint = rules().apply(&error.report().hint);
            for pasted in hint.lines().filter(|line| line.starts_with("  ")) {
                for word in ["--client ", "--allow-argv", "fetch --refresh"] {
                    assert!(!pasted.contains(word), "{}: {hint}", error.code());
                }
            }
            assert!(!hint.contains("The stored code"), "{hint}");
        }
    }

    #[test]
    fn a_command_to_paste_says_again_what_was_given() {
        let given = |flags: &[&str], text: &str, verbs: &[&str]| GivenFlag {
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            text: text.to_owned(),
            verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
        };
        let rules = HintRules {
            given: vec![
                given(&["--state-dir"], " --state-dir '/srv/my state'", &["run", "fetch", "forget"]),
                given(&["--handoff", "--allow-argv"], " --handoff private", &["run"]),
            ],
            ..HintRules::default()
        };
        for (hint, in_full) in [
            (
                "Again:\n  snow-onboard fetch --refresh JID1\nThen wait.",
                "Again:\n  snow-onboard fetch --refresh JID1 --state-dir '/srv/my state'\nThen wait.",
            ),
            (
                "Fetch a new pair: snow-onboard fetch --refresh JID1",
                "Fetch a new pair: snow-onboard fetch --refresh JID1 --state-dir '/srv/my state'",
            ),
            (
                "  AWS_PROFILE=x snow-onboard run JID1 --allow-argv",
                "  AWS_PROFILE=x snow-onboard run JID1 --allow-argv --state-dir '/srv/my state'",
            ),
        ] {
            assert_eq!(rules.apply(hint), in_full);
        }
        let at = HintRules {
            given: vec![given(&["--endpoint"], " --endpoint 198.51.100.7", &["run", "client"])],
            ..rules.clone()
        };
        for (hint, in_full) in [
            ("  snow-onboard run JID1 --endpoint 192.0.2.10", "  snow-onboard run JID1 --endpoint 198.51.100.7"),
            (
                "  snow-onboard client JID1 -- describe-device",
                "  snow-onboard client JID1 --endpoint 198.51.100.7 -- describe-device",
            ),
        ] {
            assert_eq!(at.apply(hint), in_full);
        }
        for same in [
            "  snow-onboard forget JID1 --state-dir=/other",
            "  snow-onboard forget JID1 --state-dir '/srv/my state'",
            "  snow-onboard completions bash",
            "See snow-onboard fetch --help.",
            "  aws sso login",
            "  --state-dir /other",
        ] {
            assert_eq!(rules.apply(same), same);
        }
    }

    #[test]
    fn a_keychain_that_holds_what_is_needed_is_not_to_be_replaced_by_none() {
        let hints = |other: OtherKeychains| {
            let rules = HintRules { other_keychains: other, ..HintRules::default() };
            let keychain = |error: &Error| error.exit() == crate::error::ExitCode::Keychain;
            Error::samples()
                .iter()
                .filter(|error| keychain(error))
                .map(|error| rules.apply(&error.report().hint))
                .collect::<Vec<_>>()
        };
        let count = |hints: &[String], word: &str| hints.iter().filter(|hint| hint.contains(word)).count();
        let any = hints(OtherKeychains::AnyOrNone);
        assert_eq!(count(&any, "--keychain none"), 4, "{any:#?}");
        let another = hints(OtherKeychains::Another);
        assert_eq!(
            (count(&another, "--keychain none"), count(&another, "\n  --keychain kernel")),
            (0, 4),
            "{another:#?}"
        );
        let fetched = hints(OtherKeychains::Fetched("JID1".to_owned()));
        assert_eq!(count(&fetched, "--keychain none"), 0, "{fetched:#?}");
        assert_eq!(count(&fetched, "\n  snow-onboard fetch JID1 --keychain kernel\n"), 3, "{fetched:#?}");
        assert_eq!(count(&hints(OtherKeychains::This), "--keychain "), 0);
        // Of one that is full: another is no way where the code is in it.
        assert_eq!(count(&any, "--keychain system"), 1, "{any:#?}");
        assert_eq!(count(&another, "--keychain system"), 1, "{another:#?}");
        assert_eq!(count(&fetched, "--keychain system"), 0, "{fetched:#?}");
    }

    #[test]
    fn an_example_is_looked_for_in_the_help_of_the_verb() {
        let rules = HintRules { verb: Some("fetch".to_owned()), ..rules() };
        let hint = rules.apply(&Error::Usage { why: String::new() }.report().hint);
        assert_eq!(hint, "See the examples in:\n  snow-onboard fetch --help");
    }

    #[test]
    fn a_locked_value_with_a_blank_is_no_other_value() {
        let locked = LockedSetting {
            key: "client",
            flags: vec!["--client".to_owned()],
            value: "/opt/my client/bin/snowballEdge".to_owned(),
        };
        for same in
            ["run JID1 --client '/opt/my client/bin/snowballEdge'", "run --client=\"/opt/my client/bin/snowballEdge\""]
        {
            assert!(!locked.is_changed_by(same), "{same}");
        }
        assert!(locked.is_changed_by("run --client '/opt/my other client'"));
    }

    #[test]
    fn what_is_said_instead_leads_on() {
        let error = Error::PairRefused { job: "JID1".to_owned(), said: String::new() };
        let hint = rules().apply(&error.report().hint);
        assert!(
            hint.contains(":\n  snow-onboard run JID1 --endpoint 192.0.2.10 --keychain none\nIf the client"),
            "{hint}"
        );
        let missing = rules().apply("Name it:\n  --client /path/to/snowballEdge");
        assert_eq!(
            missing,
            "Name it:\n  (The administrator of this machine has locked client. Ask the administrator.)"
        );
        let again = rules().apply("Again:\n  AWS_DEFAULT_PROFILE=x snow-onboard jobs --client=");
        assert!(again.starts_with("Again:\n  (The administrator"), "{again}");
        for same in [
            "Once more:\n  snow-onboard run JID1 --client /opt/c",
            "  snow-onboard jobs --client=/opt/c",
            "the flag --client",
            "  aws sso login --client another",
        ] {
            assert_eq!(rules().apply(same), same);
        }
        let error = Error::PairRefused { job: "JID1".to_owned(), said: String::new() };
        assert_eq!(HintRules::default().apply(&error.report().hint), error.report().hint);
    }
}
