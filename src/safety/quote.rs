//! A word of a command that is shown to be pasted: a shell takes it for what it is, whatever stands in it.

/// For a POSIX shell; on Windows for PowerShell, of which the simple cases are good for cmd as well.
#[must_use]
pub(crate) fn quoted(value: &str) -> String {
    let is_plain = !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "/:._-+".contains(c));
    match (is_plain, cfg!(windows)) {
        (true, _) => value.to_owned(),
        (_, true) if value.chars().all(|c| c.is_alphanumeric() || "/\\:._-+ ()".contains(c)) => format!("\"{value}\""),
        (_, true) => format!("'{}'", value.replace('\'', "''")),
        (_, false) => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_what_was_said() {
        for word in ["", "a", "m $x y", r#"a"b\c`d`"#, "it's", "~", "*", "$(id)", "!x;y&z"] {
            let script = format!("printf %s {}", quoted(word));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
