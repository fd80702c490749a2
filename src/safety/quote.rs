//! A word of a command that is shown to be pasted: a shell takes it for what it is, whatever stands in it.

use crate::safety::sanitize::is_invisible;

/// For a POSIX shell; on Windows for PowerShell, and for cmd as well unless the word has a `%`, which nothing escapes there.
#[must_use]
pub(crate) fn quoted(value: &str) -> String {
    let is_plain =
        !value.is_empty() && value.chars().all(|c| (c.is_alphanumeric() && !is_unseen(c)) || "/:._-+".contains(c));
    if is_plain {
        value.to_owned()
    } else if cfg!(windows) {
        quoted_for_windows(value)
    } else if value.contains(is_unseen) {
        // One line in every shell: a name with lines of its own must not look like more of what is to be pasted. And what shows
        // nothing is taken out of all that is shown, which would name another file.
        let octal = |c: char| {
            if is_unseen(c) || "'\\%".contains(c) {
                c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:03o}")).collect()
            } else {
                c.to_string()
            }
        };
        format!("\"$(printf '{}')\"", value.chars().map(octal).collect::<String>())
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

/// Whether a character does not come through to who pastes: what shows a command leaves it out.
fn is_unseen(c: char) -> bool {
    c.is_control() || is_invisible(c)
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
    if value.contains(is_unseen) {
        return escaped_for_powershell(value);
    }
    let is_special = |c: char| "\"$`%!“”„".contains(c);
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

/// What does not come through is added by its number: no file's name on Windows has a control, but one may have what shows nothing.
/// cmd has no way to say that.
fn escaped_for_powershell(value: &str) -> String {
    let mut quoted = String::from("([string]::Concat('");
    for c in value.chars() {
        if is_unseen(c) {
            quoted.push_str(&format!("',[char]::ConvertFromUtf32({}),'", u32::from(c)));
        } else {
            quoted.push(c);
            if "'‘’‚‛".contains(c) {
                quoted.push(c);
            }
        }
    }
    quoted + "'))"
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_what_was_said() {
        let lines = ["a\n\nrm x", "100%\t'$x' \\ \"é\"\u{1b}[m`id`", "c\u{200b}l", "a\u{85}b", "c\u{202e}\u{e0001}1"];
        for word in ["", "a", "m $x y", r#"a"b\c`d`"#, "it's", "~", "*", "$(id)", "!x;y&z"].into_iter().chain(lines) {
            assert!(!quoted(word).contains(is_unseen), "{}", quoted(word));
            assert_eq!(crate::safety::sanitize::sanitize_lines(&quoted(word)).trim_end_matches('\n'), quoted(word));
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
            ("c\u{200b}l's", "([string]::Concat('c',[char]::ConvertFromUtf32(8203),'l''s'))"),
        ] {
            assert_eq!(quoted_for_windows(word), quoted, "{word}");
        }
    }
}
