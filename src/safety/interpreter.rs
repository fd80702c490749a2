//! What the system starts for a script: the program that its first line names after `#!`, and what `env` finds for it. Whoever
//! can change that runs what he likes, however well the script is kept.
//!
//! What a script starts later is for its search path ([`search_path`](super::search_path)) to bound. Windows knows no such lines.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::path_trust::{self, Refused, Whose};
use super::search_path;
use crate::error::{Error, io_in_words};

/// Longest line that is understood: systems cut longer ones off, each elsewhere.
const MAX_LINE: u64 = 255;
/// Scripts that are run by scripts, as the kernel has it.
const MAX_CHAIN: usize = 5;

/// Gives the search path that a program is started with, which was found trusted. Asked only where a line leaves it to `env` to look.
pub(crate) type SearchPath<'a> = &'a dyn Fn() -> OsString;

/// Why a script is not run.
#[derive(Debug)]
pub(crate) struct UnfitScript {
    /// Which: the one asked for, or one that is to run it.
    pub(crate) script: PathBuf,
    /// The end of the sentence "`script` …".
    pub(crate) why: String,
    /// Somebody else can change what runs it; else it is that its first line is not understood.
    pub(crate) is_changeable: bool,
    /// It is not the script's fault, but this.
    pub(crate) instead: Option<Box<Error>>,
}

/// Checks what runs `program`, which was found trusted itself, when it is started with the search path `path`. One
/// that is no script, or whose interpreter is not there, passes.
///
/// # Errors
/// That somebody else can change it; that the line is not understood.
pub(crate) fn check(program: &Path, path: SearchPath<'_>) -> Result<(), UnfitScript> {
    check_in(program, path, 0)
}

/// The same for a script that is open already: of what need not be one nobody expects that its first line can be understood.
///
/// # Errors
/// That somebody else can change what runs it.
pub(crate) fn check_part(script: &Path, file: &File, path: SearchPath<'_>) -> Result<(), UnfitScript> {
    match first_line(file) {
        Ok(Some(line)) => match check_line(script, &line, path, 0) {
            Err(unfit) if unfit.is_changeable => Err(unfit),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn check_in(program: &Path, path: SearchPath<'_>, depth: usize) -> Result<(), UnfitScript> {
    let unclear = |why: String| UnfitScript { script: program.to_owned(), why, is_changeable: false, instead: None };
    let file = match path_trust::open_file(program, Whose::Own) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(()),
        // What may be run and not read is no script.
        Err(refused) if refused.is_out_of_reach() => return Ok(()),
        Err(refused) => {
            let why = format!("can't be looked at: {refused}");
            let instead = refused.too_many_files().map(Box::new);
            return Err(UnfitScript { script: program.to_owned(), why, is_changeable: true, instead });
        }
    };
    let line = first_line(&file).map_err(|error| unclear(format!("can't be read: {}", io_in_words(&error))))?;
    match line {
        Some(_) if depth == MAX_CHAIN => {
            Err(unclear(format!("is the last of more than {MAX_CHAIN} scripts that run each other")))
        }
        Some(line) => check_line(program, &line, path, depth),
        None => Ok(()),
    }
}

/// What stands after `#!`, if the file begins so.
fn first_line(mut file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    file.by_ref().take(MAX_LINE + 1).read_to_end(&mut head)?;
    io::Seek::rewind(&mut file)?;
    let Some(line) = head.strip_prefix(b"#!") else { return Ok(None) };
    let end = line.iter().position(|byte| *byte == b'\n');
    // Kept with its end, which tells one that was cut off.
    Ok(Some(line[..end.map_or(line.len(), |end| end + 1)].to_vec()))
}

fn check_line(script: &Path, line: &[u8], path: SearchPath<'_>, depth: usize) -> Result<(), UnfitScript> {
    let unclear = |what: &str| {
        let why = format!("is a script whose first line {what}, so that it can't be told what would run it");
        UnfitScript { script: script.to_owned(), why, is_changeable: false, instead: None }
    };
    if line.len() as u64 + 2 > MAX_LINE && !line.ends_with(b"\n") {
        return Err(unclear(&format!("is longer than {MAX_LINE} bytes")));
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n');
    let mut words = line.split(is_blank).filter(|word| !word.is_empty()).map(OsStr::from_bytes);
    // A line without a program is none to the system, and a shell runs the file.
    let Some(interpreter) = words.next() else { return Ok(()) };
    let interpreter = Path::new(interpreter);
    if !interpreter.is_absolute() {
        return Err(unclear("names a program without its whole path"));
    }
    let target = trusted_program(script, interpreter)?;
    let is_env = |path: &Path| path.file_name().is_some_and(|name| name == "env" || name == "genv");
    if is_env(interpreter) || is_env(&target) {
        let words: Vec<&OsStr> = words.collect();
        let (name, rest) = started_by_env(&words).map_err(|what| unclear(&what))?;
        let Some(name) = name.to_str() else { return Err(unclear("is not valid Unicode")) };
        if let Some(found) = search_path::program(name, &path()) {
            trusted_program(script, &found)?;
            check_in(&found, path, depth + 1)?;
        }
        rest.iter().try_for_each(|word| check_argument(script, word))
    } else {
        words.try_for_each(|word| check_argument(script, word))?;
        check_in(interpreter, path, depth + 1)
    }
}

/// What `env` starts, and the words after that.
fn started_by_env<'a>(words: &'a [&'a OsStr]) -> Result<(&'a OsStr, &'a [&'a OsStr]), String> {
    let text: Vec<&str> = words.iter().map(|word| word.to_str().unwrap_or("\\")).collect();
    // A line that says how it is to be split has a language of its own.
    let is_split = text.first().is_some_and(|first| first.starts_with("-S"));
    if is_split && text.iter().any(|word| word.contains(['\\', '"', '\'', '$', '#'])) {
        return Err("has quotes or variables for env".to_owned());
    }
    let (name, rest) = match (text.as_slice(), words) {
        (["-S", ..], [_, name, rest @ ..]) => (*name, rest),
        ([first, ..], [name, rest @ ..]) => match first.strip_prefix("-S") {
            Some(glued) => (OsStr::new(glued), rest),
            None => (*name, rest),
        },
        _ => return Err("names no program for env".to_owned()),
    };
    let shown = name.to_string_lossy();
    if shown.is_empty() {
        return Err("names no program for env".to_owned());
    }
    if shown.starts_with('-') || shown.contains('=') {
        return Err("has options or variables for env".to_owned());
    }
    if shown.contains('/') && !shown.starts_with('/') {
        return Err("names a program without its whole path".to_owned());
    }
    Ok((name, rest))
}

/// Checks one that need not be ours to read. Gives what it leads to.
fn trusted_program(script: &Path, program: &Path) -> Result<PathBuf, UnfitScript> {
    path_trust::beside_program(program).map_err(|refused| run_by(script, program, &refused))
}

/// A file that the interpreter is told to read, or a folder to look in.
fn check_argument(script: &Path, word: &OsStr) -> Result<(), UnfitScript> {
    let bytes = word.as_bytes();
    let Some(start) = bytes.iter().position(|byte| *byte == b'/') else { return Ok(()) };
    // Each caller stands in another folder.
    if bytes[..start].ends_with(b".") {
        let why = format!(
            "names {} in its first line, which lies in whatever folder one stands in, so that it can't be told what would run it",
            word.to_string_lossy()
        );
        return Err(UnfitScript { script: script.to_owned(), why, is_changeable: false, instead: None });
    }
    let named = Path::new(OsStr::from_bytes(&bytes[start..]));
    match path_trust::beside_program(named) {
        Err(refused) if !refused.is_out_of_reach() => {
            Err(unfit(script, &format!("is run with {} (in its first line)", named.display()), named, &refused))
        }
        _ => Ok(()),
    }
}

fn run_by(script: &Path, program: &Path, refused: &Refused) -> UnfitScript {
    unfit(script, &format!("is run by {} (its first line)", program.display()), program, refused)
}

fn unfit(script: &Path, how: &str, named: &Path, refused: &Refused) -> UnfitScript {
    let why =
        if refused.path == named { format!("{how}, which {}", refused.why()) } else { format!("{how}, and {refused}") };
    UnfitScript {
        script: script.to_owned(),
        why,
        is_changeable: !refused.is_io(),
        instead: refused.too_many_files().map(Box::new),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Scripts {
        _kept: tempfile::TempDir,
        base: PathBuf,
    }

    impl Scripts {
        fn new() -> Self {
            let kept = tempfile::tempdir().unwrap();
            let base = kept.path().canonicalize().unwrap();
            for folder in ["bin", "open"] {
                fs::create_dir(base.join(folder)).unwrap();
            }
            let scene = Self { _kept: kept, base };
            for name in ["open/sh", "bin/own"] {
                scene.write(name, "#!/bin/sh\n");
            }
            fs::set_permissions(scene.base.join("open"), fs::Permissions::from_mode(0o777)).unwrap();
            symlink(scene.base.join("open/sh"), scene.base.join("bin/hxsh")).unwrap();
            scene
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.base.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        }

        fn check(&self, line: &str) -> Result<(), UnfitScript> {
            let line = line.replace("BASE", self.base.to_str().unwrap());
            let script = self.write("script", &format!("{line}\necho\n"));
            let path = std::env::join_paths([self.base.join("bin"), "/usr/bin".into(), "/bin".into()]).unwrap();
            check(&script, &|| path.clone())
        }
    }

    #[test]
    fn what_the_system_and_this_user_have_runs_a_script() {
        let scene = Scripts::new();
        for line in [
            "",
            "echo",
            "#!/bin/sh",
            "#! /bin/sh -e",
            "#!",
            "#!/usr/bin/env sh",
            "#!/usr/bin/env own",
            "#!/usr/bin/env -S sh -e",
            "#!/usr/bin/env -Ssh -e",
            "#!/usr/bin/env /bin/sh",
            "#!BASE/bin/own",
            "#!/usr/bin/not-there-at-all",
            "#!/usr/bin/env not-there-at-all",
            "#!/usr/bin/sed -f /etc/passwd",
            "#!/bin/sh /dev/null",
        ] {
            assert!(scene.check(line).is_ok(), "{line}: {:?}", scene.check(line));
        }
    }

    #[test]
    fn what_others_can_change_runs_no_script() {
        let scene = Scripts::new();
        for line in [
            "#!BASE/open/sh",
            "#! BASE/open/sh -e",
            "#!BASE/bin/hxsh",
            "#!BASE/open/not-there",
            "#!/usr/bin/env hxsh",
            "#!/usr/bin/env -S hxsh -e",
            "#!/usr/bin/env BASE/open/sh",
            "#!/bin/sh BASE/open/sh",
            "#!/usr/bin/env -S sh BASE/open/sh",
            "#!/usr/bin/perl -IBASE/open",
        ] {
            let unfit = scene.check(line).unwrap_err();
            assert!(unfit.is_changeable && unfit.why.contains("can be written by everyone"), "{line}: {unfit:?}");
            assert!(unfit.why.starts_with("is run "), "{line}: {unfit:?}");
        }
        // A script that is run by a script that is run by somebody else's.
        let own = scene.write("bin/between", &format!("#!{}\n", scene.base.join("open/sh").display()));
        let unfit = scene.check(&format!("#!{}", own.display())).unwrap_err();
        assert_eq!(unfit.script, own);
        assert_eq!(scene.check("#!/usr/bin/env between").unwrap_err().script, own);
    }

    #[test]
    fn what_is_not_understood_is_refused_for_that() {
        let scene = Scripts::new();
        for line in [
            "#!sh",
            "#!./sh",
            "#!/usr/bin/env",
            "#!/usr/bin/env -i sh",
            "#!/usr/bin/env -S -u X sh",
            "#!/usr/bin/env -S PATH=/tmp sh",
            "#!/usr/bin/env PATH=/tmp",
            "#!/usr/bin/env -S \"s\\x68\"",
            "#!/usr/bin/env -S ${HOME}/sh",
            "#!/usr/bin/env bin/sh",
            "#!/bin/sh ./x",
            "#!/usr/bin/env -S sh ../x",
            "#!/usr/bin/perl -I./lib",
            &format!("#!/bin/sh {}", "x".repeat(300)),
        ] {
            let unfit = scene.check(line).unwrap_err();
            assert!(!unfit.is_changeable && unfit.why.contains("first line"), "{line}: {unfit:?}");
            let file = File::open(scene.base.join("script")).unwrap();
            assert!(check_part(&scene.base.join("script"), &file, &|| "/bin".into()).is_ok(), "{line}");
        }
        let around = scene.base.join("bin/around");
        scene.write("bin/around", &format!("#!{}\n", around.display()));
        assert!(scene.check("#!/usr/bin/env around").unwrap_err().why.contains("run each other"));
    }
}
