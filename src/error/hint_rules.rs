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

/// The settings, as far as hints depend on them.
#[derive(Debug, Clone, Default)]
pub(crate) struct HintRules {
    /// Nobody but the administrator can follow a hint that names one of these.
    pub(crate) locked: Vec<LockedSetting>,
    /// Where no pair is stored: what a run begins with and what follows the job, to fetch a new pair.
    pub(crate) run_without_storing: Option<(String, String)>,
}

const REFRESH: &str = "snow-onboard fetch --refresh ";

impl HintRules {
    /// The hint, or a warning with one in it, as it is true on this machine.
    #[must_use]
    pub(crate) fn apply(&self, hint: &str) -> String {
        let hint = match &self.run_without_storing {
            Some((run, rest)) => without_storing(hint, run, rest),
            None => hint.to_owned(),
        };
        let lines: Vec<String> = hint.split('\n').map(|line| self.unless_locked(line)).collect();
        lines.join("\n")
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
}

impl LockedSetting {
    fn is_changed_by(&self, command: &str) -> bool {
        let mut words = command.split(' ').peekable();
        while let Some(word) = words.next() {
            let (word, given) = word.split_once('=').map_or((word, None), |(word, value)| (word, Some(value)));
            if self.flags.iter().any(|flag| flag == word) {
                let value = given.or_else(|| words.peek().copied());
                return value.is_none_or(|value| value.trim_matches(['\'', '"']) != self.value);
            }
        }
        false
    }
}

/// Whether what is pasted is for this program: a flag of it, or a command that runs it. The AWS CLI has flags of the same names.
fn is_ours(command: &str) -> bool {
    command.starts_with("--") || command.split(' ').any(|word| word == "snow-onboard")
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
        }
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
