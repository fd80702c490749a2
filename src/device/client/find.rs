//! The vendor's client: where it is, and whether it is safe to give it the code.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use crate::device::client::data::ClientData;
use crate::device::client::integrity::Tree;
use crate::device::may_run;
use crate::error::{Error, Result};
use crate::model::{ClientDigest, Sourced};
use crate::os::threads;
use crate::report::{Notify, while_waiting};
use crate::safety::path_trust::{self, Position, Whose};
use crate::safety::quote::quoted;
use crate::safety::search_path::{self, TrustedFolders, absolute_entries};

/// Settings that say which client to use.
#[derive(Debug, Clone, Default)]
pub struct ClientSettings {
    /// Its launcher; else PATH is searched.
    pub client: Option<Sourced<PathBuf>>,
    /// SHA-256 that its tree must have.
    pub client_sha256: Option<ClientDigest>,
    /// Use a client of a version that is not known.
    pub allow_unknown: bool,
}

/// A client that was found and is safe to run: nobody else can write to any of its files. Clones are of the same look at them.
#[derive(Clone)]
pub struct Client {
    /// Without links, and Unicode.
    launcher: String,
    /// As it was named or found: what links on the way lead to may be another client by now.
    named: PathBuf,
    is_alone: bool,
    has_own_java: bool,
    notes: Vec<String>,
    digest: Arc<TreeDigest>,
    allow_unknown: bool,
    pub(in crate::device) data: ClientData,
}

/// SHA-256 of the tree as it was found, and the thread that computes it until it is asked for.
#[derive(Default)]
struct TreeDigest {
    known: OnceLock<Result<ClientDigest>>,
    thread: Mutex<Option<JoinHandle<Result<ClientDigest>>>>,
}

impl Client {
    /// Finds the client, resolves links, and checks launcher, package and all folders above.
    ///
    /// Digesting the vendor's 200 MB takes a third of a second. With a pin it is done here, else on a thread that
    /// overlaps whatever comes next, until [`Client::sha256`] asks for it.
    ///
    /// # Errors
    /// [`Error::ClientMissing`], [`Error::ClientUnusable`], [`Error::ClientUnsafe`], [`Error::ClientNotPinned`].
    ///
    /// [`Error::ClientNotWhole`] if a pin is given for a launcher that lies in no package.
    pub fn find(settings: &ClientSettings, notify: &dyn Notify) -> Result<Self> {
        while_waiting(notify, "the client's files to be looked at", || {
            Self::find_in(settings, &std::env::var_os("PATH").unwrap_or_default())
        })
    }

    fn find_in(settings: &ClientSettings, path: &OsStr) -> Result<Self> {
        let data = ClientData::built_in();
        let (found, looked) = match &settings.client {
            Some(Sourced { value: launcher, origin }) => {
                (launcher.clone(), format!("{}, named by {origin}: there is no such file", launcher.display()))
            }
            None => (on_path(&data, path)?, "in the folders of PATH".to_owned()),
        };
        let Some(tree) = Tree::check(&found)? else { return Err(Error::ClientMissing { looked }) };
        let launcher = tree.launcher().to_owned();
        let unusable = |why: &str| unusable(&launcher.display().to_string(), why.to_owned(), true);
        let within = ["bin", ""].map(|folder| launcher.join(folder).join(&data.program));
        if let Some(within) = within.into_iter().find(|path| launcher.is_dir() && path.is_file()) {
            let hint = format!("Name the launcher in it:\n  --client {}", quoted(&within.display().to_string()));
            let (path, why) = (launcher.display().to_string(), "it is a folder".to_owned());
            return Err(Error::ClientUnusable { path, why, hint });
        }
        if !launcher.is_file() {
            return Err(unusable("it is not a file"));
        }
        let Some(text) = launcher.to_str().map(str::to_owned) else {
            return Err(unusable("its path is not valid Unicode"));
        };
        let java = tree.own_java();
        check_may_run(&text, [Some(&launcher), java.as_ref()].into_iter().flatten())?;
        let is_alone = tree.is_alone();
        if is_alone && settings.client_sha256.is_some() {
            return Err(Error::ClientNotWhole { path: text });
        }
        let client = Self {
            launcher: text,
            named: found,
            is_alone,
            has_own_java: java.is_some(),
            notes: tree.notes().to_vec(),
            digest: Arc::default(),
            allow_unknown: settings.allow_unknown,
            data,
        };
        match &settings.client_sha256 {
            Some(expected) => {
                let digest = tree.digest()?;
                if digest != *expected {
                    let (expected, found) = (expected.to_string(), digest.to_string());
                    return Err(Error::ClientNotPinned { path: client.launcher, expected, found });
                }
                let _ = client.digest.known.set(Ok(digest));
            }
            None => {
                let tree = Arc::new(tree);
                let on_thread = Arc::clone(&tree);
                match threads::begin(move || on_thread.digest()) {
                    Ok(thread) => {
                        *client.digest.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
                    }
                    Err(_) => _ = client.digest.known.set(tree.digest()),
                }
            }
        }
        Ok(client)
    }

    /// The launcher, without links.
    #[must_use]
    pub fn launcher(&self) -> &Path {
        Path::new(&self.launcher)
    }

    /// SHA-256 of the client's tree, for the record. Waits for it where it is still being computed.
    ///
    /// # Errors
    /// [`Error::ClientUnsafe`] if a file can't be read.
    pub fn sha256(&self, notify: &dyn Notify) -> Result<ClientDigest> {
        let digest = self.digest.known.get_or_init(|| {
            let thread = self.digest.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            let result = while_waiting(notify, "the client's files to be read", || thread.map(JoinHandle::join));
            match result {
                Some(Ok(digest)) => digest,
                _ => {
                    let (path, why) = (self.launcher.clone(), "can't be digested".to_owned());
                    Err(Error::ClientUnsafe { path, why, hint: unpack_anew(true) })
                }
            }
        });
        digest.clone()
    }

    /// Looks at all its files once more: whether nobody else can write to them, and whether they are what they were when it
    /// was found. To be asked right before the code is given to it.
    ///
    /// # Errors
    /// [`Error::ClientUnsafe`]; [`Error::ClientChanged`].
    pub(in crate::device) fn check_unchanged(&self, notify: &dyn Notify) -> Result<()> {
        let before = self.sha256(notify)?;
        while_waiting(notify, "the client's files to be read again", || {
            let path = self.launcher.clone();
            let Some(tree) = Tree::check(&self.named)? else {
                return Err(Error::ClientChanged { path, how: "it is no longer there".to_owned() });
            };
            if tree.launcher() != self.launcher() {
                let how = format!("{} now leads to {}", self.named.display(), tree.launcher().display());
                return Err(Error::ClientChanged { path, how });
            }
            let now = tree.digest()?;
            if now == before {
                return Ok(());
            }
            let how =
                format!("its files have changed (SHA-256 begins with {}, not with {})", now.short(), before.short());
            Err(Error::ClientChanged { path, how })
        })
    }

    /// Whether the JVM that it starts is a part of its tree, as in the vendor's package.
    pub(crate) fn has_own_java(&self) -> bool {
        self.has_own_java
    }

    /// The Java that it finds in PATH, if any: nobody else can change it, nor what a link for it leads to.
    pub(crate) fn java_of_path() -> Option<PathBuf> {
        search_path::program("java", &TrustedFolders::of_caller().path)
    }

    /// Whether its launcher lies in no package, so that nothing beside it could be checked.
    #[must_use]
    pub(crate) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// What is to be warned of in what it finds in PATH: whole sentences.
    pub(in crate::device) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(in crate::device) fn program(&self) -> &str {
        &self.launcher
    }

    pub(in crate::device) fn allows_unknown(&self) -> bool {
        self.allow_unknown
    }
}

/// A launcher or JVM that lost its execute permission, as an archive unpacked by the wrong program does, says so itself only in
/// a shell's words.
fn check_may_run<'a>(launcher: &str, files: impl Iterator<Item = &'a PathBuf>) -> Result<()> {
    let locked: Vec<&PathBuf> = files.filter(|file| !may_run(file)).collect();
    let Some(first) = locked.first() else { return Ok(()) };
    let why = format!("{} has no execute permission", first.display());
    // One that has the permission is on a disk that takes it away, or is somebody else's.
    let has_none =
        |file: &&PathBuf| File::open(file).and_then(|file| path_trust::is_executable(&file)).is_ok_and(|is| !is);
    let hint = if locked.iter().all(has_none) {
        let quoted: Vec<String> = locked.iter().map(|file| quoted(&file.display().to_string())).collect();
        format!("Make it executable, then repeat the same command:\n  chmod +x {}", quoted.join(" "))
    } else {
        format!("Its disk may be one from which no program is run (noexec). {}", unpack_anew(true))
    };
    Err(Error::ClientUnusable { path: launcher.to_owned(), why, hint })
}

/// A client that does not run, with what mends that. `has_own_java` is false for one that looks for a JVM of the system.
pub(in crate::device) fn unusable(path: &str, why: String, has_own_java: bool) -> Error {
    Error::ClientUnusable { path: path.to_owned(), why, hint: unpack_anew(has_own_java) }
}

fn unpack_anew(has_own_java: bool) -> String {
    let about_java = if has_own_java {
        ""
    } else {
        "JAVA_HOME is not passed on to the client, so it needs a Java of its own (jre). "
    };
    format!(
        "{about_java}Unpack the whole package for this operating system, which has its own Java, from https://aws.amazon.com/snowball/resources and name it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge"
    )
}

/// The first on the search path, relative entries skipped. Folders that others can change come last: the client is then
/// refused for what it is, and not said to be missing. On Windows an .exe or .bat.
fn on_path(data: &ClientData, path: &OsStr) -> Result<PathBuf> {
    let fits = |found: &PathBuf| {
        !cfg!(windows)
            || found
                .extension()
                .is_some_and(|ext| ["exe", "bat", "cmd"].iter().any(|fit| ext.eq_ignore_ascii_case(fit)))
    };
    let entries = absolute_entries(path);
    let is_trusted = |entry: &PathBuf| path_trust::folder(entry, Whose::Own, Position::Whole).is_ok();
    let (trusted, others): (Vec<_>, Vec<_>) = std::env::split_paths(&entries).partition(is_trusted);
    let first_in = |folders: Vec<PathBuf>| {
        which::which_in_all(&data.program, Some(std::env::join_paths(folders).ok()?), "/").ok()?.find(fits)
    };
    first_in(trusted)
        .or_else(|| first_in(others))
        .ok_or_else(|| Error::ClientMissing { looked: "in the folders of PATH".to_owned() })
}

#[cfg(test)]
#[cfg(unix)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use crate::model::Origin;
    use crate::report::HeardEvents;

    fn executable(path: &Path) {
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn named_by_flag(launcher: PathBuf) -> Sourced<PathBuf> {
        Sourced { value: launcher, origin: Origin::Flag("--client".to_owned()) }
    }

    fn find(settings: &ClientSettings) -> Result<Client> {
        Client::find(settings, &HeardEvents::default())
    }

    fn code(result: Result<Client>) -> &'static str {
        result.err().map_or("found", |error| error.code())
    }

    #[test]
    fn the_search_skips_relative_folders_and_resolves_links() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        fs::create_dir_all(base.join("real")).unwrap();
        fs::create_dir_all(base.join("links")).unwrap();
        executable(&base.join("real/snowballEdge"));
        symlink(base.join("real/snowballEdge"), base.join("links/snowballEdge")).unwrap();
        let settings = ClientSettings::default();
        let found = Client::find_in(&settings, base.join("links").as_os_str()).unwrap();
        assert_eq!(found.launcher(), base.join("real/snowballEdge"));
        assert_eq!(code(Client::find_in(&settings, OsStr::new("real:.::/nonexistent"))), "client_missing");
    }

    #[test]
    fn a_named_client_is_taken_or_refused_with_the_origin() {
        let base = tempfile::tempdir().unwrap();
        let launcher = base.path().join("snowballEdge");
        let settings = ClientSettings { client: Some(named_by_flag(launcher.clone())), ..Default::default() };
        let missing = find(&settings).err().unwrap();
        assert!(missing.to_string().contains("named by --client"), "{missing}");
        fs::create_dir(&launcher).unwrap();
        assert_eq!(code(find(&settings)), "client_unusable");
        fs::create_dir(launcher.join("bin")).unwrap();
        executable(&launcher.join("bin/snowballEdge"));
        let hint = find(&settings).err().unwrap().report().hint;
        assert!(hint.contains("bin/snowballEdge"), "the launcher in the folder is named: {hint}");
        fs::remove_dir_all(&launcher).unwrap();
        executable(&launcher);
        assert_eq!(code(find(&settings)), "found");
        fs::set_permissions(&launcher, fs::Permissions::from_mode(0o757)).unwrap();
        assert_eq!(code(find(&settings)), "client_unsafe");
    }

    #[test]
    fn what_lost_its_execute_permission_is_told_with_the_command() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let (launcher, java) = (base.join("client/bin/snowballEdge"), base.join("client/jre/bin/java"));
        for file in [&launcher, &java] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            executable(file);
        }
        let settings = ClientSettings { client: Some(named_by_flag(launcher.clone())), ..Default::default() };
        assert_eq!(code(find(&settings)), "found");
        for locked in [&[&java][..], &[&launcher, &java]] {
            let closed = |mode| {
                locked.iter().for_each(|file| fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap())
            };
            closed(0o644);
            let report = find(&settings).err().unwrap().report();
            assert_eq!(report.code, "client_unusable");
            let command = report.hint.lines().find_map(|line| line.strip_prefix("  ")).unwrap().to_owned();
            assert!(std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
            assert_eq!(code(find(&settings)), "found", "{command}");
        }
    }

    #[test]
    fn the_pin_decides() {
        let base = tempfile::tempdir().unwrap();
        let launcher = base.path().join("client/bin/snowballEdge");
        fs::create_dir_all(launcher.parent().unwrap()).unwrap();
        executable(&launcher);
        let mut settings = ClientSettings { client: Some(named_by_flag(launcher.clone())), ..Default::default() };
        let digest = find(&settings).unwrap().sha256(&HeardEvents::default()).unwrap();
        settings.client_sha256 = Some(digest);
        assert_eq!(find(&settings).unwrap().sha256(&HeardEvents::default()).unwrap(), digest);
        fs::write(&launcher, "#!/bin/sh\necho changed\n").unwrap();
        assert_eq!(code(find(&settings)), "client_not_pinned");
    }

    #[test]
    fn a_client_that_is_replaced_is_noticed() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        for version in ["one", "two"] {
            let launcher = base.join(version).join("bin/snowballEdge");
            fs::create_dir_all(launcher.parent().unwrap()).unwrap();
            executable(&launcher);
        }
        symlink(base.join("one"), base.join("current")).unwrap();
        let named = base.join("current/bin/snowballEdge");
        let settings = ClientSettings { client: Some(named_by_flag(named)), ..Default::default() };
        let client = find(&settings).unwrap();
        let look = || client.check_unchanged(&HeardEvents::default()).err().map(|error| (error.code(), error));
        assert!(look().is_none());
        fs::write(base.join("one/bin/extra"), "").unwrap();
        assert!(matches!(look(), Some(("client_changed", error)) if error.to_string().contains("SHA-256")));
        fs::remove_file(base.join("one/bin/extra")).unwrap();
        assert!(look().is_none());
        fs::remove_file(base.join("current")).unwrap();
        assert!(matches!(look(), Some(("client_changed", error)) if error.to_string().contains("no longer")));
        symlink(base.join("two"), base.join("current")).unwrap();
        assert!(
            matches!(look(), Some(("client_changed", error)) if error.to_string().contains("leads to")),
            "as alike"
        );
        fs::set_permissions(base.join("two/bin/snowballEdge"), fs::Permissions::from_mode(0o757)).unwrap();
        assert!(matches!(look(), Some(("client_unsafe", _))));
    }

    #[test]
    fn a_pin_for_a_launcher_alone_is_refused_as_it_would_promise_too_much() {
        let base = tempfile::tempdir().unwrap();
        let launcher = base.path().join("snowballEdge");
        executable(&launcher);
        let mut settings = ClientSettings { client: Some(named_by_flag(launcher)), ..Default::default() };
        let client = find(&settings).unwrap();
        assert!(client.is_alone());
        settings.client_sha256 = Some(client.sha256(&HeardEvents::default()).unwrap());
        assert_eq!(code(find(&settings)), "client_not_whole");
    }
}
