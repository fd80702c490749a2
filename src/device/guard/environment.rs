//! The environment of the guard and of the client: an allow-list, and the client's private home.

use std::ffi::OsString;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::safety::search_path::{self, Doubts, SYSTEM_PATH, absolute_entries, trusted_value};

/// What passes from the caller. Never AWS_*, JAVA_*, CLASSPATH, LD_*, DYLD_*: they could redirect the client or load
/// code into it, and some carry secrets that are none of its business.
const PASSED: &[&str] =
    if cfg!(windows) { &["PATH", "PATHEXT", "SystemRoot", "SystemDrive", "TEMP", "TMP"] } else { &["PATH", "TMPDIR"] };

/// The variables that pass to the guard, with the folders in them that nobody else can change, and through it to the client.
/// What was left out of them comes as a sentence.
pub(in crate::device) fn trusted(
    all: impl Iterator<Item = (OsString, OsString)>,
) -> (Vec<(OsString, OsString)>, Option<String>) {
    let mut found = Doubts::default();
    let mut kept = passed(all);
    kept.retain_mut(|(name, value)| match trusted_value(&name.to_string_lossy(), value, &mut found) {
        Some(trusted) => {
            *value = trusted;
            true
        }
        None => false,
    });
    kept.extend(search_path::settings(cfg!(windows)));
    (kept, found.sentence("The client"))
}

/// The variables that pass, by their names.
pub(in crate::device) fn passed(all: impl Iterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let mut kept: Vec<(OsString, OsString)> = all
        .filter_map(|(name, value)| {
            let text = name.to_str()?;
            let known = PASSED
                .iter()
                .find(|known| if cfg!(windows) { known.eq_ignore_ascii_case(text) } else { **known == text })?;
            let value = if *known == "PATH" { absolute_entries(&value) } else { value };
            Some((OsString::from(known), value))
        })
        .collect();
    if cfg!(unix) && !kept.iter().any(|(name, value)| name == "PATH" && !value.is_empty()) {
        kept.retain(|(name, _)| name != "PATH");
        kept.push(("PATH".into(), SYSTEM_PATH.into()));
    }
    kept
}

/// What the client's JVM is told besides its home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::device) enum JvmOptions {
    /// To leave no traces, and to start fast.
    All,
    /// Nothing: it does not start with those.
    HomeAlone,
}

/// What the client gets besides: its home, told in every way a JVM or a script may look for it.
///
/// `java_options` names the variables that its JVM reads. The home has been checked to contain no quote and no line
/// break ([`path_flaw`]).
pub(in crate::device) fn of_home(home: &Path, java_options: &[String], jvm: JvmOptions) -> Vec<(OsString, OsString)> {
    let options = jvm_options(home, jvm);
    let mut set: Vec<(OsString, OsString)> = vec![("HOME".into(), home.into()), ("USERPROFILE".into(), home.into())];
    if cfg!(unix) {
        // In the C locale a JVM turns the bytes of "/home/jürgen" into question marks.
        set.push(("LANG".into(), "C.UTF-8".into()));
        set.push(("LC_ALL".into(), "C.UTF-8".into()));
    }
    set.extend(java_options.iter().map(|name| (name.into(), options.clone())));
    set
}

/// What the JVM says on its stderr of the variables in [`of_home`], a line each: nothing that the client would say to whoever
/// started it.
pub(in crate::device) fn notices(home: &Path, java_options: &[String], jvm: JvmOptions) -> Vec<String> {
    let options = jvm_options(home, jvm);
    java_options.iter().map(|name| format!("Picked up {name}: {}", options.to_string_lossy())).collect()
}

/// The arguments `args` and all that a JVM is told through `java_options`, in one line, which is the same for every home.
pub(in crate::device) fn said_of(args: &[String], java_options: &[String]) -> String {
    let options = jvm_options(Path::new("HOME"), JvmOptions::All);
    // A home may be shared by machines of several kinds.
    let machine = (std::env::consts::OS, std::env::consts::ARCH);
    format!("{} {} {} {}={}", machine.0, machine.1, args.join(" "), java_options.join(","), options.to_string_lossy())
}

/// Why a home at `path` can't be named to a JVM, as the end of "`path` …", or `None`.
pub(in crate::device) fn path_flaw(path: &Path) -> Option<&'static str> {
    match path.to_str() {
        None => Some("its name is not valid Unicode"),
        Some(text) if text.contains('"') => Some("it contains a quote, which JAVA_TOOL_OPTIONS can't carry"),
        Some(text) if text.contains(char::is_control) => Some("it contains a control character"),
        Some(_) => None,
    }
}

/// Options for the JVM. Always quoted: an unquoted space ends an option, and the rest stops the JVM.
///
/// A JRE 8 knows all of them: it reads what is to be ignored before it reads these variables. No choice of a collector, which
/// stops a JVM whose launcher chooses another.
fn jvm_options(home: &Path, jvm: JvmOptions) -> OsString {
    let quoted = |option: &str, path: &Path| format!("\"{option}{}\"", path.display());
    let user_home = quoted("-Duser.home=", home);
    if jvm == JvmOptions::HomeAlone {
        return user_home.into();
    }
    // In an error file's name % introduces a pattern.
    let error_file = home.join("hs_err_%p.log").display().to_string();
    let error_file = error_file.replace('%', "%%").replace("hs_err_%%p", "hs_err_%p");
    [
        user_home,
        // Its command line in /tmp/hsperfdata_*, attaching from outside, dumps of its memory: all of them leaks.
        "-XX:-UsePerfData".to_owned(),
        "-XX:+DisableAttachMechanism".to_owned(),
        "-XX:-HeapDumpOnOutOfMemoryError".to_owned(),
        format!("\"-XX:ErrorFile={error_file}\""),
        // It lives for seconds: what is compiled well pays only later. Measured: 0.66 of the time for Maven, 0.8 for javac.
        "-XX:TieredStopAtLevel=1".to_owned(),
        "-Xshare:auto".to_owned(),
    ]
    .join(" ")
    .into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    #[cfg(unix)]
    use std::ffi::OsStr;

    #[cfg(unix)]
    fn variables(list: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
        list.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect::<Vec<_>>().into_iter()
    }

    #[test]
    #[cfg(unix)]
    fn only_the_allowed_pass() {
        let kept = passed(variables(&[
            ("PATH", "/usr/bin:.::bin:/bin"),
            ("TMPDIR", "/tmp"),
            ("HOME", "/home/x"),
            ("AWS_SECRET_ACCESS_KEY", "no"),
            ("JAVA_TOOL_OPTIONS", "-javaagent:x"),
            ("_JAVA_OPTIONS", "-Dx"),
            ("JDK_JAVA_OPTIONS", "-Dx"),
            ("CLASSPATH", "x"),
            ("LD_PRELOAD", "x"),
            ("DYLD_INSERT_LIBRARIES", "x"),
        ]));
        assert_eq!(kept, variables(&[("PATH", "/usr/bin:/bin"), ("TMPDIR", "/tmp")]).collect::<Vec<_>>());
        assert_eq!(passed(variables(&[])), variables(&[("PATH", "/usr/bin:/bin")]).collect::<Vec<_>>());
    }

    #[test]
    fn a_home_that_cannot_be_told_is_seen() {
        assert_eq!(path_flaw(Path::new("/run/user/1000/Jürgen Müller")), None);
        assert!(path_flaw(Path::new("/tmp/a\"b")).unwrap().contains("quote"));
        assert!(path_flaw(Path::new("/tmp/a\nb")).unwrap().contains("control"));
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            assert!(path_flaw(Path::new(OsStr::from_bytes(b"/tmp/\xff"))).unwrap().contains("Unicode"));
        }
    }

    #[test]
    fn the_error_file_stays_in_a_home_with_a_percent_sign() {
        let alone = jvm_options(Path::new("/tmp/100%p"), JvmOptions::HomeAlone);
        assert_eq!(alone, "\"-Duser.home=/tmp/100%p\"");
        let options = jvm_options(Path::new("/tmp/100%p"), JvmOptions::All).into_string().unwrap();
        assert!(options.contains("\"-Duser.home=/tmp/100%p\""), "{options}");
        assert!(options.contains("-XX:ErrorFile=/tmp/100%%p"), "{options}");
        assert!(options.contains("hs_err_%p.log\""), "{options}");
    }

    /// The real thing, where there is one: a JVM must find its home in a path with a space and an umlaut.
    #[test]
    #[cfg(unix)]
    fn a_real_jvm_takes_the_home_we_give_it() {
        let Ok(java) = which::which("java") else {
            snow_rehearsal::skipped("no java on PATH, whose user.home could be redirected");
            return;
        };
        let base = tempfile::tempdir().unwrap();
        let home = base.path().join("Jürgen Müller 100%");
        std::fs::create_dir(&home).unwrap();
        for variable in ["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"] {
            let output = std::process::Command::new(&java)
                .args(["-XshowSettings:properties", "-version"])
                .env_clear()
                .envs(passed(std::env::vars_os()))
                .envs(of_home(&home, &[variable.to_owned()], JvmOptions::All))
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{text}");
            let told = text.lines().find_map(|line| line.trim().strip_prefix("user.home = ")).unwrap();
            assert_eq!(told, home.to_str().unwrap(), "by {variable}");
        }
    }
}
