//! A word of a command that is shown to be pasted: a shell takes it for what it is, whatever stands in it.

/// For a POSIX shell; on Windows for PowerShell, and for cmd as well unless the word has a `%`, which nothing escapes there.
#[must_use]
pub(crate) fn quoted(value: &str) -> String {
    let is_plain = !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "/:._-+".contains(c));
    if is_plain {
        value.to_owned()
    } else if cfg!(windows) {
        quoted_for_windows(value)
    } else if value.contains(char::is_control) {
        // One line in every shell: a name with lines of its own must not look like more of what is to be pasted.
        let octal = |c: char| {
            if c.is_control() || "'\\%".contains(c) { format!("\\{:03o}", u32::from(c)) } else { c.to_string() }
        };
        format!("\"$(printf '{}')\"", value.chars().map(octal).collect::<String>())
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

/// The command that removes a file.
pub(crate) fn removal_of(path: &str) -> String {
    format!("{} {}", if cfg!(windows) { "del" } else { "rm" }, quoted(path))
}

/// The first address by `--endpoint`, the others by `--node`, each with a space before it.
pub(crate) fn address_flags(addresses: &[impl ToString]) -> String {
    let flags = std::iter::once("--endpoint").chain(std::iter::repeat("--node"));
    flags.zip(addresses).map(|(flag, address)| format!(" {flag} {}", quoted(&address.to_string()))).collect()
}

/// A word of a command in `credential_process` of an AWS profile. The AWS CLI takes such a command apart as Python's `shlex` does,
/// other tools as `sh` does; on Windows both as programs do. `None` if they would read different words: for a control character, and
/// for what some of them take for the beginning of a comment.
#[must_use]
pub(crate) fn credential_process_word(word: &str) -> Option<String> {
    let begins_comment =
        word.char_indices().any(|(at, c)| c.is_whitespace() && word[at..].trim_start().starts_with(['#', ';']));
    if word.contains(|c: char| c.is_control()) || begins_comment || (cfg!(windows) && word.contains('"')) {
        return None;
    }
    // Only where it is needed: version 1 of the AWS SDK for Go takes a value that begins with a quote to end with the next one.
    let allowed = if cfg!(windows) { "-_.=,:+@/\\" } else { "-_.=,:+@/" };
    let is_plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || allowed.contains(c));
    Some(if is_plain {
        word.to_owned()
    } else if cfg!(windows) {
        // A program reads `\"` as a quote that ends nothing.
        let backslashes = word.chars().rev().take_while(|c| *c == '\\').count();
        format!("\"{word}{}\"", "\\".repeat(backslashes))
    } else if word.contains(['"', '\\', '$', '`', '!']) {
        format!("'{}'", word.replace('\'', r"'\''"))
    } else {
        format!("\"{word}\"")
    })
}

fn quoted_for_windows(value: &str) -> String {
    // Between double quotes these are more than themselves to PowerShell (which takes typographic quotes for straight ones) or
    // to cmd; all others are themselves to both.
    let is_special = |c: char| c.is_control() || "\"$`%!“”„".contains(c);
    if value.contains(is_special) {
        // It takes the typographic ones for the end of the word as well.
        let mut quoted = String::from("'");
        for c in value.chars() {
            quoted.push(c);
            if "'‘’‚‛".contains(c) {
                quoted.push(c);
            }
        }
        return quoted + "'";
    }
    // A program reads `\"` as a quote that ends nothing.
    let backslashes = value.chars().rev().take_while(|c| *c == '\\').count();
    format!("\"{value}{}\"", "\\".repeat(backslashes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_what_was_said() {
        let lines = ["a\n\nrm x", "100%\t'$x' \\ \"é\"\u{1b}[m`id`"];
        for word in ["", "a", "m $x y", r#"a"b\c`d`"#, "it's", "~", "*", "$(id)", "!x;y&z"].into_iter().chain(lines) {
            assert!(!quoted(word).contains(char::is_control), "{}", quoted(word));
            let script = format!("printf %s {}", quoted(word));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_a_credential_process_as_it_was_meant() {
        for word in ["", "a", "/opt/my tools/x", r#"a"b\c`d`"#, "it's", "/home/jürgen/$x", "$(id)", "!x;y&z", "a#b"] {
            let script = format!("printf %s {}", credential_process_word(word).unwrap());
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
        assert_eq!(credential_process_word("/usr/bin/x").unwrap(), "/usr/bin/x");
        assert_eq!(credential_process_word("/my bin/x").unwrap(), "\"/my bin/x\"");
        for word in ["a\nb", "a\0", "a #b", "a\u{a0}; b"] {
            assert_eq!(credential_process_word(word), None, "{word:?}");
        }
    }

    #[test]
    fn on_windows_both_shells_read_what_was_said_where_they_can() {
        for (word, quoted) in [
            (r"C:\Program Files (x86)\it's & more", r#""C:\Program Files (x86)\it's & more""#),
            (r"D:\my folder\", r#""D:\my folder\\""#),
            (r"\\server\share", r#""\\server\share""#),
            ("", "\"\""),
            ("100% of $it's", "'100% of $it''s'"),
            ("“so called”", "'“so called”'"),
            ("100%’; calc; ‘", "'100%’’; calc; ‘‘'"),
        ] {
            assert_eq!(quoted_for_windows(word), quoted, "{word}");
        }
    }
}
