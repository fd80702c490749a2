//! Where programs are looked for: never in whatever folder one stands in, nor where others decide what is found.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::path_trust::{self, Fault, Position, Refused, Whose};
use super::quote::quoted;

/// A search path for a caller who has none.
pub(crate) const SYSTEM_PATH: &str = "/usr/bin:/bin";

/// A search path in which nothing is found: no folder, so that nothing can be put there.
const NOWHERE: &str = "/dev/null";

/// How long what was found of a search path holds: as long as a look at the client's files does before the code is handed over.
const RECENT: Duration = Duration::from_secs(30);

/// Variables that name one folder, for temporary files.
const TEMPORARY: &[&str] = &["TMPDIR", "TEMP", "TMP"];

/// What the start scripts of JVM programs look for. In the system's folders only these are looked at: some distributions give
/// other programs there to accounts of their own.
const LOOKED_FOR: &[&str] = if cfg!(windows) {
    &["java.exe", "java.com", "java.bat", "java.cmd"]
} else {
    &[
        "java", "sh", "bash", "dash", "ksh", "zsh", "env", "awk", "basename", "cat", "cut", "dirname", "echo", "expr",
        "find", "getconf", "grep", "head", "id", "ls", "mkdir", "mktemp", "perl", "ps", "pwd", "python", "python3",
        "readlink", "realpath", "rm", "sed", "sort", "tail", "test", "tr", "tty", "uname", "which", "xargs",
    ]
};

/// Below these are the folders of the system, where they are the administrator's. In any other folder of PATH all is looked at.
const OF_SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/opt", "/snap", "/nix", "/Library", "/System"];

/// Most files that are looked at in one folder.
const MAX_FILES: usize = 20_000;

/// A search path without its relative and empty entries, which would mean whatever folder one stands in.
#[must_use]
pub(crate) fn absolute_entries(path: &OsStr) -> OsString {
    let entries = std::env::split_paths(path).filter(|entry| entry.is_absolute());
    // Joining fails only on an entry with a separator in it, which splitting can't have produced, save on Windows
    // for a quoted entry with a semicolon; that one is dropped with the rest.
    std::env::join_paths(entries).unwrap_or_default()
}

/// Variables that every program gets that is started for us. To `cmd.exe` the folder that it stands in comes before all of PATH, unless
/// it is told otherwise: a `java.exe` that somebody put into a shared folder would run.
pub(crate) fn settings(on_windows: bool) -> Option<(OsString, OsString)> {
    on_windows.then(|| ("NoDefaultCurrentDirectoryInExePath".into(), "1".into()))
}

/// The caller's variables that name folders, without what others can change.
#[derive(Debug, Default)]
pub(crate) struct TrustedFolders {
    /// The search path.
    pub(crate) path: OsString,
    /// Variables that do not pass.
    pub(crate) dropped: Vec<&'static str>,
    /// What others can change, and was found on the way.
    pub(crate) found: Doubts,
}

/// What others can change among the folders that variables name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Doubts {
    left_out: Vec<LeftOut>,
    /// What PATH is where all its folders are left out.
    instead: Option<String>,
    /// Programs in folders that pass: the folder is the administrator's, and one name in it leads elsewhere.
    programs: Vec<DoubtfulProgram>,
}

/// A folder that does not pass.
#[derive(Debug, Clone)]
struct LeftOut {
    folder: PathBuf,
    variable: String,
    why: String,
}

/// A program that others can change, in a folder of the system that passes.
#[derive(Debug, Clone)]
pub(crate) struct DoubtfulProgram {
    /// Its path, as it is found.
    pub(crate) path: PathBuf,
    /// The end of the sentence "`path` …".
    pub(crate) why: String,
    /// What mends that: lines of a hint.
    pub(crate) mend: String,
}

impl Doubts {
    /// What `who` goes without, as sentences. Folders with the same fault are told together: on WSL all of Windows's are.
    pub(crate) fn sentence(&self, who: &str) -> Option<String> {
        let mut groups: Vec<(&LeftOut, Vec<String>)> = Vec::new();
        for left in &self.left_out {
            let folder = left.folder.display().to_string();
            match groups.iter_mut().find(|(first, _)| (&first.variable, &first.why) == (&left.variable, &left.why)) {
                Some((_, folders)) => folders.push(folder),
                None => groups.push((left, vec![folder])),
            }
        }
        let groups: Vec<String> = groups
            .into_iter()
            .map(|(LeftOut { variable, why, .. }, folders)| match folders.as_slice() {
                [first, _, _, ..] => format!("{first} and {} more ({variable}): {why}", folders.len() - 1),
                few => format!("{} ({variable}): {why}", few.join(", ")),
            })
            .collect();
        let instead = self.instead.as_ref().map(|instead| format!(" {instead}")).unwrap_or_default();
        (!groups.is_empty()).then(|| {
            format!(
                "{who} runs without these folders, because other users can change them or a program that they lead to: {}.{instead}",
                groups.join("; ")
            )
        })
    }
}

impl TrustedFolders {
    /// Those of this process.
    pub(crate) fn of_caller() -> Self {
        let mut folders = Self::default();
        let path = std::env::var_os("PATH").unwrap_or_default();
        folders.path = trusted_value("PATH", &path, &mut folders.found).unwrap_or_default();
        for name in TEMPORARY {
            if let Some(value) = std::env::var_os(name)
                && trusted_value(name, &value, &mut folders.found).is_none()
            {
                folders.dropped.push(name);
            }
        }
        folders
    }

    /// Why a program of this name is not found, as the end of "it can't be started: …".
    pub(crate) fn why_not_found(&self, name: &str) -> String {
        let left_out = |left: &&LeftOut| left.variable == "PATH" && program(name, left.folder.as_os_str()).is_some();
        match self.found.left_out.iter().find(left_out) {
            Some(left) => {
                format!("it lies in {}, a folder of PATH that was left out: {}", left.folder.display(), left.why)
            }
            None => "it is in no folder of PATH".to_owned(),
        }
    }

    /// The programs that others can change and that would be found by their names, with those names.
    pub(crate) fn doubtful(&self) -> impl Iterator<Item = (&str, &DoubtfulProgram)> {
        self.found.programs.iter().filter_map(|doubtful| {
            let file = doubtful.path.file_name()?.to_str()?;
            let before = std::env::split_paths(&self.path).take_while(|entry| entry.join(file) != doubtful.path);
            // One that is found before it is what runs.
            let is_hidden = before.into_iter().any(|entry| program(file, entry.as_os_str()).is_some());
            let name = if cfg!(windows) { file.split('.').next().unwrap_or(file) } else { file };
            (!is_hidden).then_some((name, doubtful))
        })
    }
}

#[cfg(all(test, unix))]
impl TrustedFolders {
    /// The system's search path, in which the program at `path` is one that others can change.
    pub(crate) fn with_doubtful(path: &str) -> Self {
        let why = "leads to /opt/x, which belongs to uid 10143".to_owned();
        let doubtful = DoubtfulProgram { path: path.into(), why, mend: "Mend it.".to_owned() };
        let found = Doubts { programs: vec![doubtful], ..Doubts::default() };
        Self { path: SYSTEM_PATH.into(), dropped: Vec::new(), found }
    }
}

/// Whether `name` is one of the words of a script, or of an argument: it may be a program that is started there.
pub(crate) fn is_named_in(name: &str, text: &[u8]) -> bool {
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+');
    text.split(|byte| !is_of_word(byte)).any(|word| match cfg!(windows) {
        // There `JAVA` and `java.exe` are the same program.
        true => word.split(|byte| *byte == b'.').next().is_some_and(|stem| stem.eq_ignore_ascii_case(name.as_bytes())),
        false => word == name.as_bytes(),
    })
}

/// The text of a script; of what is none, nothing.
pub(crate) fn script_text(program: &Path) -> Vec<u8> {
    const MOST: u64 = 1 << 20;
    let text = path_trust::read_file(program, Whose::Own, MOST).ok().flatten().unwrap_or_default();
    let is_script = text.starts_with(b"#!") || cfg!(windows) && !text.starts_with(b"MZ");
    if is_script { text } else { Vec::new() }
}

/// What passes of the variable `name` to a program that is started for us: of PATH the folders that nobody else can change, with
/// programs that nobody else can change; a folder for temporary files if others can exchange nothing in it. `None` if it does not
/// pass at all. What others can change is added to `found`.
pub(crate) fn trusted_value(name: &str, value: &OsStr, found: &mut Doubts) -> Option<OsString> {
    if name == "PATH" {
        let path = recent_path(value);
        found.left_out.extend(path.found.left_out);
        found.programs.extend(path.found.programs);
        found.instead = path.found.instead;
        return Some(path.path);
    }
    if !TEMPORARY.contains(&name) {
        return Some(value.to_owned());
    }
    let judged = path_trust::folder(Path::new(value), Whose::Own, Position::OnTheWay);
    match judged {
        Ok(_) => Some(value.to_owned()),
        Err(refused) => {
            found.leave_out(Path::new(value), name, refused.to_string());
            None
        }
    }
}

#[derive(Clone)]
struct JudgedPath {
    path: OsString,
    found: Doubts,
}

/// [`judged_path`], or what it gave for the same value a moment ago: one command asks several times.
fn recent_path(value: &OsStr) -> JudgedPath {
    static LAST: Mutex<Option<(Instant, OsString, JudgedPath)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, of, judged)) = &*last
        && of == value
        && at.elapsed() < RECENT
    {
        return judged.clone();
    }
    let judged = judged_path(value);
    *last = Some((Instant::now(), value.to_owned(), judged.clone()));
    judged
}

fn judged_path(value: &OsStr) -> JudgedPath {
    let mut found = Doubts::default();
    let mut kept = found.judge(&absolute_entries(value));
    // To a shell a path without any entry means the folder that it stands in.
    if kept.is_empty() && cfg!(unix) {
        let was_left_out = !found.left_out.is_empty();
        kept = found.judge(OsStr::new(SYSTEM_PATH));
        let instead = std::env::join_paths(&kept).unwrap_or_default();
        found.instead = was_left_out.then(|| {
            if kept.is_empty() {
                "No folder is left to find programs in.".to_owned()
            } else {
                format!("Programs are looked for in {} instead.", instead.display())
            }
        });
        if kept.is_empty() {
            kept.push(NOWHERE.into());
        }
    }
    JudgedPath { path: std::env::join_paths(kept).unwrap_or_default(), found }
}

impl Doubts {
    /// The entries of a search path that pass.
    fn judge(&mut self, path: &OsStr) -> Vec<PathBuf> {
        let mut kept = Vec::new();
        for entry in std::env::split_paths(path) {
            let judged = path_trust::folder(&entry, Whose::Own, Position::Whole)
                .map_err(|refused| refused.to_string())
                .and_then(|real| self.check_programs(&entry, &real));
            match judged {
                Ok(()) => kept.push(entry),
                Err(why) => self.leave_out(&entry, "PATH", why),
            }
        }
        kept
    }

    fn leave_out(&mut self, folder: &Path, variable: &str, why: String) {
        let is_told = self.left_out.iter().any(|left| left.folder == folder && left.variable == variable);
        // A folder that is not there has nothing to give, and is no matter for a note.
        if !is_told && folder.symlink_metadata().is_ok() {
            self.left_out.push(LeftOut { folder: folder.to_owned(), variable: variable.to_owned(), why });
        }
    }

    /// Whether others can change what would be run out of the folder `entry`, which is trusted and leads to `real`: a link in it
    /// may lead anywhere. A folder of the system passes without such a program, which is kept in mind: with the folder nearly all
    /// that a script starts would be gone.
    fn check_programs(&mut self, entry: &Path, real: &Path) -> Result<(), String> {
        let is_of_system = cfg!(windows)
            || OF_SYSTEM.iter().any(|system| real.starts_with(system))
                && path_trust::folder_at(real, Whose::Administrator, Position::Whole).is_ok();
        let known = || LOOKED_FOR.iter().map(|name| real.join(name)).collect();
        let programs: Vec<PathBuf> = match std::fs::read_dir(real) {
            Ok(entries) if !is_of_system => entries.flatten().map(|entry| entry.path()).take(MAX_FILES + 1).collect(),
            // One that may be entered and not listed has what is known by its name.
            _ => known(),
        };
        if programs.len() > MAX_FILES {
            return Err(format!("it holds more than {MAX_FILES} files, which can't all be looked at"));
        }
        for program in programs {
            let Err(refused) = judge_program(&program) else { continue };
            let why = leads_to(&program, &refused);
            if !is_of_system {
                return Err(format!("{} {why}", program.display()));
            }
            let path = entry.join(program.file_name().unwrap_or_default());
            self.programs.push(DoubtfulProgram { path, why, mend: mend(&program, &refused) });
        }
        Ok(())
    }
}

/// Judges one name in a folder that was judged whole, whose path has no links in it. Only a link leads out of it.
fn judge_program(program: &Path) -> Result<(), Refused> {
    let judged = match path_trust::is_link(program) {
        Ok(true) => path_trust::beside_program(program).map(drop),
        // A folder in it is no program.
        Ok(false) if !program.is_dir() => path_trust::beside_in_trusted_folder(program),
        _ => Ok(()),
    };
    match judged {
        // What we can't get at, those that we start can't run.
        Err(refused) if refused.is_out_of_reach() => Ok(()),
        judged => judged,
    }
}

/// What is wrong with a program, or with what it is a link to: the end of a sentence.
fn leads_to(program: &Path, refused: &Refused) -> String {
    if refused.path == program {
        refused.why()
    } else {
        format!("leads to {}, which {}", refused.path.display(), refused.why())
    }
}

/// What mends a program of the system that others can change. A command that changes a whole tree is given for a JDK alone, as it is
/// unpacked.
fn mend(program: &Path, refused: &Refused) -> String {
    let real = program.canonicalize().ok();
    let jdk = real.as_deref().and_then(Path::parent).filter(|bin| bin.file_name().is_some_and(|name| name == "bin"));
    let jdk = jdk.and_then(Path::parent).filter(|jdk| {
        jdk.join("release").is_file() && jdk.parent().and_then(Path::parent).is_some() && refused.path.starts_with(jdk)
    });
    let command = match jdk.map(|jdk| quoted(&jdk.display().to_string())) {
        _ if cfg!(windows) => None,
        Some(jdk) if refused.is_of(Fault::Owner) => Some(format!("sudo chown -R root {jdk}")),
        Some(jdk) if refused.is_of(Fault::Writable) => Some(format!("sudo chmod -R go-w {jdk}")),
        _ => None,
    };
    match command {
        Some(command) => {
            format!("If an administrator unpacked it, check that nobody has changed what is in it. Then:\n  {command}")
        }
        None => format!(
            "Ask the administrator to see to it that only an administrator can change {}.",
            refused.path.display()
        ),
    }
}

/// Where the program of this name or path is, as an absolute path to start it by. `None` if it is in no folder of the search path.
#[must_use]
pub(crate) fn program(name: &str, path: &OsStr) -> Option<PathBuf> {
    if Path::new(name).components().count() > 1 || name.contains(std::path::is_separator) {
        return std::path::absolute(name).ok();
    }
    which::which_in_all(name, Some(absolute_entries(path)), "/").ok()?.next()
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_relative_entry_finds_nothing() {
        let folder = tempfile::tempdir_in(".").unwrap();
        let file = folder.path().join("a-program");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let relative = Path::new(folder.path().file_name().unwrap());
        assert!(relative.join("a-program").exists(), "a control");
        assert_eq!(program("a-program", relative.as_os_str()), None);
        let absolute = std::path::absolute(relative).unwrap();
        let both = std::env::join_paths([Path::new(""), relative, &absolute]).unwrap();
        assert_eq!(program("a-program", &both), Some(absolute.join("a-program")));
        assert_eq!(program("./a-program", &both), std::path::absolute("./a-program").ok());
    }

    #[test]
    fn a_folder_with_a_program_that_others_can_exchange_is_left_out() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let (bin, open) = (base.join("bin"), base.join("open"));
        for folder in [&bin, &open] {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::write(open.join("java"), "").unwrap();
        symlink(open.join("java"), bin.join("java")).unwrap();
        symlink("/dev/null", bin.join("masked")).unwrap();
        std::fs::create_dir(bin.join("folder")).unwrap();
        std::fs::set_permissions(bin.join("folder"), std::fs::Permissions::from_mode(0o777)).unwrap();
        let passed = judged_path(bin.as_os_str());
        assert_eq!(passed.path, bin.as_os_str(), "a control: {:?}", passed.found);

        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        for name in ["java", "anything", "absent"] {
            std::fs::remove_file(bin.join("java")).ok();
            symlink(open.join(name), bin.join(name)).unwrap();
            let judged = judged_path(bin.as_os_str());
            assert_eq!(judged.path, SYSTEM_PATH, "{name}");
            let said = judged.found.sentence("It").unwrap();
            let says = format!("{} (PATH): {} leads to", bin.display(), bin.join(name).display());
            assert!(said.contains(&says) && said.contains("written by everyone"), "{said}");
            assert!(said.ends_with("Programs are looked for in /usr/bin:/bin instead."), "{said}");
            let folders = TrustedFolders { path: judged.path, dropped: Vec::new(), found: judged.found };
            std::fs::write(bin.join("helper"), "").unwrap();
            std::fs::set_permissions(bin.join("helper"), std::fs::Permissions::from_mode(0o755)).unwrap();
            assert!(folders.why_not_found("helper").contains("that was left out: "));
            assert!(folders.why_not_found("no-such-helper").contains("in no folder of PATH"));
            std::fs::remove_file(bin.join(name)).unwrap();
        }
    }

    #[test]
    fn folders_with_one_fault_are_told_together() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let folders: Vec<_> = (0..20).map(|number| base.join(format!("open/{number}"))).collect();
        folders.iter().for_each(|folder| std::fs::create_dir_all(folder).unwrap());
        std::fs::set_permissions(base.join("open"), std::fs::Permissions::from_mode(0o777)).unwrap();
        let said = |count| {
            judged_path(&std::env::join_paths(&folders[..count]).unwrap()).found.sentence("The client").unwrap()
        };
        let open = base.join("open");
        let (first, second) = (folders[0].display(), folders[1].display());
        assert!(said(2).contains(&format!("{first}, {second} (PATH): {} can be", open.display())), "{}", said(2));
        assert!(said(20).contains(&format!("{first} and 19 more (PATH): {} can be", open.display())), "{}", said(20));
    }

    /// A JDK of whom it was packed by, in a folder of the system: the folder stays, and it is known what leads elsewhere.
    #[test]
    fn a_folder_of_the_system_stays_when_one_program_in_it_leads_elsewhere() {
        if !path_trust::runs_as_administrator() {
            snow_rehearsal::skipped("only root can make a folder of the system");
            return;
        }
        let base = tempfile::tempdir_in("/opt").unwrap();
        let (bin, first, jdk) = (base.path().join("bin"), base.path().join("first"), base.path().join("jdk"));
        std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        for folder in [&bin, &first, &jdk.join("bin")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(jdk.join("release"), "").unwrap();
        let executable = |path: &Path| {
            std::fs::write(path, "").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        executable(&jdk.join("bin/java"));
        symlink(jdk.join("bin/java"), bin.join("java")).unwrap();
        std::os::unix::fs::chown(&jdk, Some(10_143), Some(10_143)).unwrap();
        let of = |entries: &[&PathBuf]| {
            let JudgedPath { path, found } = judged_path(&std::env::join_paths(entries).unwrap());
            TrustedFolders { path, dropped: Vec::new(), found }
        };
        let folders = of(&[&bin]);
        assert_eq!((folders.path.as_os_str(), folders.found.sentence("It")), (bin.as_os_str(), None));
        let (name, doubtful) = folders.doubtful().next().unwrap();
        assert_eq!((name, &doubtful.path), ("java", &bin.join("java")));
        assert!(doubtful.why.starts_with(&format!("leads to {}, which belongs to uid 10143", jdk.display())));
        assert!(doubtful.mend.contains(&format!("sudo chown -R root {}", jdk.display())), "{}", doubtful.mend);
        // What others use is not taken over for the sake of one file in it.
        std::fs::remove_file(jdk.join("release")).unwrap();
        assert!(!of(&[&bin]).doubtful().next().unwrap().1.mend.contains("chown"));
        executable(&first.join("java"));
        assert_eq!(of(&[&first, &bin]).doubtful().count(), 0, "another is found before it");
        assert_eq!(of(&[&bin, &first]).doubtful().count(), 1);
    }

    #[test]
    fn on_windows_the_folder_one_stands_in_is_not_searched() {
        assert_eq!(settings(true), Some(("NoDefaultCurrentDirectoryInExePath".into(), "1".into())));
        assert_eq!(settings(false), None);
    }

    #[test]
    fn a_script_names_what_it_starts() {
        let script = b"#!/bin/sh\nhere=$(dirname \"$0\")\nexec \"$here/../jre/bin/java-17\" /usr/bin/expr\n";
        assert!(is_named_in("dirname", script) && is_named_in("expr", script));
        assert!(!is_named_in("java", script) && !is_named_in("name", script));
    }

    #[test]
    fn a_temporary_folder_in_which_others_can_exchange_things_does_not_pass() {
        let base = tempfile::tempdir().unwrap();
        let value = base.path().as_os_str();
        for (mode, passes) in [(0o700, true), (0o1777, true), (0o777, false)] {
            std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let mut found = Doubts::default();
            assert_eq!(trusted_value("TMPDIR", value, &mut found).is_some(), passes, "{mode:o}");
            assert_eq!(found.sentence("It").is_some_and(|why| why.contains("(TMPDIR)")), !passes, "{found:?}");
        }
    }

    #[test]
    fn the_system_s_own_search_path_passes() {
        let judged = judged_path(OsStr::new(SYSTEM_PATH));
        assert_eq!((judged.path, judged.found.sentence("It")), (SYSTEM_PATH.into(), None));
        assert_eq!(judged_path(OsStr::new("")).found.sentence("It"), None);
    }
}
