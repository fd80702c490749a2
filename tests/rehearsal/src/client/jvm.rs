//! What a JVM does before any program runs: reads its options from the environment and the command line.
//!
//! Measured with OpenJDK 17 on Linux: the order of precedence, the quoting, the notices, the words of the errors, and
//! that `-XX:+IgnoreUnrecognizedVMOptions`, wherever it stands, also silences the leftovers of an unquoted blank, so
//! that `-Duser.home=/home/a b` then means `/home/a`.

use std::path::PathBuf;

/// Which JVM it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// A HotSpot of today.
    HotSpot,
    /// One of Java 8, which reads what is to be ignored before it reads the variables.
    Java8,
    /// Of somebody else, with none of HotSpot's options.
    Other,
}

/// Known to a HotSpot of today; the last one not to Java 8.
const FLAGS: [&str; 7] = [
    "UsePerfData",
    "DisableAttachMechanism",
    "HeapDumpOnOutOfMemoryError",
    "ErrorFile",
    "TieredStopAtLevel",
    "IgnoreUnrecognizedVMOptions",
    "CreateCoredumpOnCrash",
];

/// A JVM that came up, and what is left of the command line for the program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Jvm {
    /// `user.home`, if anybody set it.
    pub(super) home: Option<PathBuf>,
    /// All options in effect, weakest first.
    pub(super) options: Vec<String>,
    /// The program's own arguments.
    pub(super) args: Vec<String>,
}

/// Lines for stderr, whether the JVM came up or not.
pub(super) struct Start {
    pub(super) notices: Vec<String>,
    pub(super) outcome: Result<Jvm, Vec<String>>,
}

/// Starts a JVM with the two variables it reads and this command line.
pub(super) fn start(tool: Option<&str>, user: Option<&str>, line: &[String], maker: Maker) -> Start {
    let variables = [("JAVA_TOOL_OPTIONS", tool), ("_JAVA_OPTIONS", user)];
    let set = variables.iter().filter_map(|(name, text)| text.map(|text| (*name, text)));
    let notices = set.map(|(name, text)| format!("Picked up {name}: {text}")).collect();
    Start { notices, outcome: read(tool, user, line, maker) }
}

fn read(tool: Option<&str>, user: Option<&str>, line: &[String], maker: Maker) -> Result<Jvm, Vec<String>> {
    let words = |name, text: Option<&str>| {
        split(text.unwrap_or_default()).ok_or_else(|| failure(format!("Unmatched quote in {name}")))
    };
    let (tool, user) = (words("JAVA_TOOL_OPTIONS", tool)?, words("_JAVA_OPTIONS", user)?);
    let program = line.iter().position(|word| !word.starts_with('-')).unwrap_or(line.len());
    let is_lenient = |options: &[String]| options.iter().any(|option| option == "-XX:+IgnoreUnrecognizedVMOptions");
    let own = line[..program].to_vec();
    let options: Vec<String> = tool.into_iter().chain(own.clone()).chain(user).collect();
    let lenient = match maker {
        Maker::HotSpot => is_lenient(&options),
        Maker::Java8 => is_lenient(&own),
        Maker::Other => false,
    };
    if !lenient {
        options.iter().try_for_each(|option| check(option, maker))?;
    }
    let home = options.iter().rev().find_map(|option| option.strip_prefix("-Duser.home=")).map(PathBuf::from);
    Ok(Jvm { home, options, args: line[program..].to_vec() })
}

fn check(option: &str, maker: Maker) -> Result<(), Vec<String>> {
    if option.starts_with("-D")
        || (option == "-Xshare:auto" && maker != Maker::Other)
        || option.starts_with("-Xmx")
        || option.starts_with("-Xms")
    {
        return Ok(());
    }
    let Some(flag) = option.strip_prefix("-XX:") else {
        return Err(failure(format!("Unrecognized option: {option}")));
    };
    let name = flag.trim_start_matches(['+', '-']).split('=').next().unwrap_or_default();
    let known = match maker {
        Maker::HotSpot => &FLAGS[..],
        Maker::Java8 => &FLAGS[..FLAGS.len() - 1],
        Maker::Other => &[],
    };
    if known.contains(&name) { Ok(()) } else { Err(failure(format!("Unrecognized VM option '{name}'"))) }
}

fn failure(first: String) -> Vec<String> {
    let rest = [
        "Error: Could not create the Java Virtual Machine.",
        "Error: A fatal exception has occurred. Program will exit.",
    ];
    std::iter::once(first).chain(rest.map(str::to_owned)).collect()
}

/// Splits a variable into words as HotSpot does: blanks separate, either quote protects everything up to the next of
/// its kind, nothing escapes. `None` if a quote is left open.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        match next {
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        end if end == next => break,
                        inner => word.push(inner),
                    }
                }
            }
            blank if blank.is_ascii_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn home(tool: &str, user: &str, line: &[&str]) -> Result<Option<String>, String> {
        let line: Vec<String> = line.iter().map(|&word| word.to_owned()).collect();
        match read(Some(tool), Some(user), &line, Maker::HotSpot) {
            Ok(jvm) => Ok(jvm.home.map(|home| home.to_str().unwrap().to_owned())),
            Err(lines) => Err(lines[0].clone()),
        }
    }

    fn found(path: &str) -> Result<Option<String>, String> {
        Ok(Some(path.to_owned()))
    }

    #[test]
    fn quotes_protect_blanks_and_nothing_escapes() {
        assert_eq!(home("-Duser.home=\"/a b\"", "", &[]), found("/a b"));
        assert_eq!(home("'-Duser.home=/a b'", "", &[]), found("/a b"));
        assert_eq!(home("-Duser.home='/a \"b'", "", &[]), found("/a \"b"));
        assert_eq!(home("-Duser.home=\"/a'b\\\"", "", &[]), found("/a'b\\"));
        assert_eq!(home("  -Xmx1g\t-Duser.home=/a  ", "", &[]), found("/a"));
        assert_eq!(home("-Duser.home=/Jürgen", "", &[]), found("/Jürgen"));
        assert_eq!(home("", "", &[]), Ok(None));
    }

    #[test]
    fn an_unquoted_blank_stops_the_jvm() {
        assert_eq!(home("-Duser.home=/a b", "", &[]), Err("Unrecognized option: b".to_owned()));
        assert_eq!(home("-Duser.home='/a b", "", &[]), Err("Unmatched quote in JAVA_TOOL_OPTIONS".to_owned()));
        assert_eq!(home("", "\"", &[]), Err("Unmatched quote in _JAVA_OPTIONS".to_owned()));
    }

    #[test]
    fn leniency_cuts_an_unquoted_path_short() {
        assert_eq!(home("-Duser.home=/a b -XX:+IgnoreUnrecognizedVMOptions", "", &[]), found("/a"));
        assert_eq!(home("-Duser.home=/a -XX:+New", "-XX:+IgnoreUnrecognizedVMOptions", &[]), found("/a"));
    }

    #[test]
    fn unknown_flags_stop_the_jvm() {
        assert_eq!(home("-XX:+New", "", &[]), Err("Unrecognized VM option 'New'".to_owned()));
        assert_eq!(home("-XX:-UsePerfData -XX:ErrorFile=/x", "", &[]), Ok(None));
        assert!(read(Some("-XX:-CreateCoredumpOnCrash"), None, &[], Maker::Java8).is_err());
        assert!(read(Some("-XX:-CreateCoredumpOnCrash"), None, &[], Maker::HotSpot).is_ok());
        let ignored = "-XX:+IgnoreUnrecognizedVMOptions -XX:-CreateCoredumpOnCrash";
        assert!(read(Some(ignored), None, &[], Maker::Java8).is_err(), "as it reads that too late");
        assert!(read(Some("-XX:-UsePerfData"), None, &[], Maker::Other).is_err());
        assert!(read(Some("-Duser.home=/x"), None, &[], Maker::Other).is_ok());
    }

    #[test]
    fn the_command_line_beats_one_variable_and_loses_to_the_other() {
        let line = ["-Duser.home=/line", "describe-device"];
        assert_eq!(home("-Duser.home=/tool", "", &line), found("/line"));
        assert_eq!(home("-Duser.home=/tool", "-Duser.home=/user", &line), found("/user"));
        let line = line.map(str::to_owned);
        assert_eq!(read(None, None, &line, Maker::HotSpot).unwrap().args, ["describe-device"]);
    }

    #[test]
    fn notices_come_in_their_order() {
        let start = start(Some("-Xmx1g"), Some(""), &[], Maker::HotSpot);
        assert_eq!(start.notices, ["Picked up JAVA_TOOL_OPTIONS: -Xmx1g", "Picked up _JAVA_OPTIONS: "]);
    }

    proptest::proptest! {
        /// Whatever a path holds but the quote itself, quoting brings it through.
        #[test]
        fn any_quoted_path_comes_through(path in "[^\"\n]{1,60}") {
            let words = split(&format!("-Duser.home=\"{path}\"")).unwrap();
            proptest::prop_assert_eq!(words, vec![format!("-Duser.home={path}")]);
        }
    }
}
