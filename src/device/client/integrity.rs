//! The client's files: which they are, whether others can write to them, and their common digest.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::unsafe_file::{Unsafe, cannot_look, cannot_read, not_safe, unsafe_because};
use crate::device::homes;
use crate::error::{Error, Result};
use crate::model::ClientDigest;
use crate::os;
#[cfg(unix)]
use crate::safety::interpreter;
use crate::safety::path_trust::{self, Position, Whose};
use crate::safety::search_path::{TrustedFolders, is_named_in, script_text};

/// Most files and folders looked at. The vendor's tree with its JRE has some hundreds.
const MAX_ENTRIES: usize = 20_000;
/// Folders one in the other.
const MAX_DEPTH: usize = 64;
/// The same beside a launcher that lies in no package: what it may load lies near.
const MAX_DEPTH_BESIDE: usize = 3;
/// Files that a program loads from beside it, by the ends of their names.
const LOADED: &[&str] = &["jar", "class", "jmod", "so", "dylib", "jnilib", "dll", "properties"];
/// Most bytes digested. The vendor's tree has some 200 MB.
const MAX_BYTES: u64 = 4 << 30;

/// The files that run when the client does, checked.
#[derive(Debug, Clone)]
pub(in crate::device) struct Tree {
    /// The launcher, without links.
    launcher: PathBuf,
    root: PathBuf,
    /// The root, if it is the vendor's package beyond doubt.
    package: Option<PathBuf>,
    /// All that belongs to it, below the root and wherever links lead. Sorted.
    entries: BTreeSet<PathBuf>,
    /// What the links among them lead to, if to anything.
    links: BTreeMap<PathBuf, Option<PathBuf>>,
    notes: Vec<String>,
}

impl Tree {
    /// Finds the files that belong to the launcher `named`, as it was named or found, and refuses them if others can write to
    /// any of them, or can exchange a folder or link on the way to one; the same for what runs its scripts. `None` if there is no
    /// such launcher.
    pub(in crate::device) fn check(named: &Path) -> Result<Option<Self>> {
        let shared = shared_folders();
        let way = path_trust::resolve(named, Whose::Own).map_err(|refused| {
            // Where it leads is asked for the hint alone.
            let package = os::real(named).ok().and_then(|launcher| package_of(&launcher, &shared));
            not_safe(&refused).into_error(package.as_deref())
        })?;
        let Some(launcher) = way.target else { return Ok(None) };
        let root = root_of(&launcher, &shared);
        let package = package_of(&launcher, &shared);
        let walk = Walk::over(&launcher, &root, &shared).map_err(|found| found.into_error(package.as_deref()))?;
        #[cfg(unix)]
        if launcher.is_file() {
            interpreter::check(&launcher, &|| walk.folders.path.clone())
                .map_err(|unfit| Unsafe::from(unfit).into_error(None))?;
        }
        let Walk { entries, links, folders, .. } = walk;
        let mut tree = Self { launcher, root, package, entries, links, notes: Vec::new() };
        tree.check_programs(&folders)?;
        Ok(Some(tree))
    }

    /// Refuses a client that would run a program of PATH that others can change: its Java, if it has none of its own, or what one of
    /// its scripts names. Of other such programs there is a note.
    fn check_programs(&mut self, folders: &TrustedFolders) -> Result<()> {
        let scripts = LazyCell::new(|| self.entries.iter().map(|path| script_text(path)).collect::<Vec<_>>());
        let mut notes = Vec::new();
        for (name, doubtful) in folders.doubtful() {
            let (is_java, path) = (name == "java", doubtful.path.display());
            let is_run =
                if is_java { self.own_java().is_none() } else { scripts.iter().any(|text| is_named_in(name, text)) };
            if is_run {
                let why = format!("would run {path}, which {}", doubtful.why);
                let other = if is_java { "\nOr use the vendor's package, which has a Java of its own." } else { "" };
                let hint = format!("{}{other}", doubtful.mend);
                return Err(Error::ClientUnsafe { path: self.launcher.display().to_string(), why, hint });
            }
            if !is_java {
                notes.push(format!(
                    "Other users can change a program in PATH: {path} {}. No script of the client names it.",
                    doubtful.why
                ));
            }
        }
        self.notes = notes;
        Ok(())
    }

    /// What is to be warned of: whole sentences.
    pub(in crate::device) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The launcher, without links.
    pub(in crate::device) fn launcher(&self) -> &Path {
        &self.launcher
    }

    /// Whether the launcher lies in no package, so that its digest would be of it alone.
    pub(in crate::device) fn is_alone(&self) -> bool {
        self.root == self.launcher
    }

    /// The JVM of its own, if it has one.
    pub(in crate::device) fn own_java(&self) -> Option<PathBuf> {
        let java = self.root.join("jre").join("bin");
        ["java", "java.exe"].iter().map(|name| java.join(name)).find(|java| self.entries.contains(java))
    }

    /// SHA-256 over the tree, as 64 hex digits: the same wherever it is unpacked, another if any name, content or
    /// link differs, what a link leads to outside the tree, or whether a file may be run. Costs a reading of all of it.
    ///
    /// What runs the launcher is not part of it, nor is a Java that it finds on PATH: they are the system's and change with its
    /// updates, or the operator's own, and another machine has others. Nobody else can change them, which is looked at each time.
    pub(in crate::device) fn digest(&self) -> Result<ClientDigest> {
        let mut hasher = Sha256::new();
        hasher.update(b"snow-onboard/client/2\0");
        let mut done = BTreeSet::from([&*self.root]);
        let digested = self.digest_below(&self.root, &mut hasher, &mut { MAX_BYTES }, &mut done);
        digested.map_err(|found| found.into_error(self.package.as_deref()))?;
        Ok(ClientDigest::from_hasher(hasher))
    }

    fn digest_below<'a>(
        &'a self,
        base: &Path,
        hasher: &mut Sha256,
        left: &mut u64,
        done: &mut BTreeSet<&'a Path>,
    ) -> Result<(), Unsafe> {
        let below = self.entries.range(base.to_owned()..).take_while(|path| path.starts_with(base));
        for path in below {
            let name = path.strip_prefix(base).unwrap_or(path);
            // One alone is digested without its name: its folder is not the vendor's, nor need its name be.
            let name: Vec<&[u8]> = name.components().map(|part| part.as_os_str().as_encoded_bytes()).collect();
            field(hasher, b'n', &name.join(&b"/"[..]));
            let words = |error: &std::io::Error| cannot_read(path, error);
            if let Some(target) = self.links.get(path) {
                let text = fs::read_link(path).map_err(|error| words(&error))?;
                field(hasher, b'l', text.as_os_str().as_encoded_bytes());
                // What lies in the tree is digested there; what a link leads to elsewhere, where it is first met.
                let is_done = |target: &&Path| target.ancestors().any(|folder| done.contains(folder));
                if let Some(target) = target.as_deref().filter(|target| !is_done(target)) {
                    done.insert(target);
                    self.digest_below(target, hasher, left, done)?;
                    hasher.update(b"e");
                }
                continue;
            }
            match path_trust::part_of_program(path).map_err(|refused| not_safe(&refused))? {
                Some(file) => {
                    let length = file.metadata().map_err(|error| words(&error))?.len();
                    *left = left.checked_sub(length).ok_or_else(|| unsafe_because(path, "is too large"))?;
                    let is_executable = path_trust::is_executable(&file).map_err(|error| words(&error))?;
                    hasher.update(if is_executable { b"x" } else { b"f" });
                    hasher.update(length.to_be_bytes());
                    content(hasher, file, length).map_err(|error| words(&error))?;
                }
                None => hasher.update(b"d"),
            }
        }
        Ok(())
    }
}

/// One length-marked field, so that no two lists of fields give the same bytes.
fn field(hasher: &mut Sha256, kind: u8, bytes: &[u8]) {
    hasher.update([kind]);
    hasher.update((bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

fn content(hasher: &mut Sha256, file: File, length: u64) -> std::io::Result<()> {
    let mut file = file.take(length);
    let mut piece = vec![0; 256 * 1024];
    let mut read = 0;
    loop {
        match file.read(&mut piece) {
            Ok(0) if read == length => return Ok(()),
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(part) => {
                hasher.update(&piece[..part]);
                read += part as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The folder that the vendor's package unpacks to: the one above the launcher's `bin`, unless programs of all kinds
/// have their `bin` in it. Else the launcher alone: /usr/local is nobody's package.
fn root_of(launcher: &Path, shared: &[PathBuf]) -> PathBuf {
    let folder =
        launcher.parent().filter(|bin| bin.file_name().is_some_and(|name| name == "bin")).and_then(Path::parent);
    match folder {
        Some(folder) if folder.join("jre").is_dir() || !is_shared(folder, shared) => folder.to_owned(),
        _ => launcher.to_owned(),
    }
}

/// Whether programs of all kinds have their `bin` in it. The root of a file system or of a drive is nobody's package either.
fn is_shared(folder: &Path, shared: &[PathBuf]) -> bool {
    folder.parent().is_none() || shared.iter().any(|shared| shared == folder)
}

/// The root, if it can be nothing but the vendor's package: with the Java that it brings, in no folder that others use, and not
/// right below `/`, where mounts and what all use lie.
fn package_of(launcher: &Path, shared: &[PathBuf]) -> Option<PathBuf> {
    let root = root_of(launcher, shared);
    let has_jre = root.join("jre").symlink_metadata().is_ok_and(|meta| meta.is_dir());
    let is_deep = root.parent().and_then(Path::parent).is_some();
    (has_jre && is_deep && !is_shared(&root, shared)).then_some(root)
}

/// Folders whose `bin` is for programs of all kinds.
fn shared_folders() -> Vec<PathBuf> {
    const KNOWN: &[&str] = &[
        "/",
        "/usr",
        "/usr/local",
        "/opt",
        "/opt/homebrew",
        "/opt/local",
        "/home/linuxbrew/.linuxbrew",
        "/snap",
        "/srv",
        "/tmp",
        "/var/tmp",
        "/mnt",
        "/media",
        "/home",
        "/var/lib/flatpak/exports",
    ];
    let of_home = |home: PathBuf| [home.join(".local"), home.join(".cargo"), home.join(".nix-profile"), home];
    let shared: Vec<PathBuf> = KNOWN.iter().map(PathBuf::from).chain(homes().into_iter().flat_map(of_home)).collect();
    // The launcher's path is one without links.
    let resolved: Vec<PathBuf> = shared.iter().filter_map(|path| os::real(path).ok()).collect();
    shared.into_iter().chain(resolved).collect()
}

struct Walk {
    /// What was looked at as part of what runs.
    entries: BTreeSet<PathBuf>,
    /// The links among them, and what they lead to.
    links: BTreeMap<PathBuf, Option<PathBuf>>,
    /// Those that were not followed yet.
    ahead: Vec<PathBuf>,
    /// Where the client finds programs. All of PATH is looked at for it, so only once its own files have passed, or a script asks.
    folders: LazyCell<TrustedFolders>,
}

impl Walk {
    /// All that runs when the launcher does.
    fn over(launcher: &Path, root: &Path, shared: &[PathBuf]) -> Result<Self, Unsafe> {
        let mut walk = Self {
            entries: BTreeSet::new(),
            links: BTreeMap::new(),
            ahead: Vec::new(),
            folders: LazyCell::new(TrustedFolders::of_caller),
        };
        if root == launcher {
            Self::beside(launcher, shared)?;
        }
        walk.way(root)?;
        walk.below(root, 0)?;
        walk.follow()?;
        Ok(walk)
    }

    /// Looks at every folder and link on the way to `path`: who can exchange one of them decides what `path` is. Gives
    /// what it leads to.
    fn way(&mut self, path: &Path) -> Result<Option<PathBuf>, Unsafe> {
        let way = path_trust::resolve(path, Whose::Own).map_err(|refused| not_safe(&refused))?;
        if way.target.is_none() {
            // A link that leads nowhere runs nothing, unless others can put something there.
            path_trust::folder_at(&way.last, Whose::Own, Position::Whole).map_err(|refused| not_safe(&refused))?;
        }
        Ok(way.target)
    }

    /// Looks at `path` and everything below. Links are noted and not followed.
    fn below(&mut self, path: &Path, depth: usize) -> Result<(), Unsafe> {
        if depth > MAX_DEPTH {
            return Err(unsafe_because(path, &format!("lies more than {MAX_DEPTH} folders deep, as in no client")));
        }
        if !self.entries.insert(path.to_owned()) {
            return Ok(());
        }
        if self.entries.len() > MAX_ENTRIES {
            let why = format!("is one of more than {MAX_ENTRIES} files, which no client has");
            return Err(unsafe_because(path, &why));
        }
        let words = |error: std::io::Error| cannot_look(path, &error);
        if path_trust::is_link(path).map_err(words)? {
            self.ahead.push(path.to_owned());
            return Ok(());
        }
        match path_trust::part_of_program(path).map_err(|refused| not_safe(&refused))? {
            // One that may be run is one that the launcher may run.
            #[cfg(unix)]
            Some(file) if path_trust::is_executable(&file).map_err(words)? => {
                interpreter::check_part(path, &file, &|| self.folders.path.clone())?;
            }
            Some(_) => {}
            None => {
                for entry in fs::read_dir(path).map_err(words)? {
                    self.below(&entry.map_err(words)?.path(), depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// Looks at what the links lead to: with all below and above, since it runs or is read as if it were in the tree.
    fn follow(&mut self) -> Result<(), Unsafe> {
        while let Some(link) = self.ahead.pop() {
            let target = self.way(&link)?;
            if let Some(target) = &target {
                self.below(target, 0)?;
            }
            self.links.insert(link, target);
        }
        Ok(())
    }

    /// Looks at the folder of a launcher that lies in no package, and at what lies in it and near below, which a launcher may
    /// load. It is not part of what is digested. Among programs of all kinds that is no other program, unless the launcher names it.
    fn beside(launcher: &Path, shared: &[PathBuf]) -> Result<(), Unsafe> {
        let folder = launcher.parent().unwrap_or(launcher);
        let is_shared_bin = folder.file_name().is_some_and(|name| name == "bin")
            && folder.parent().is_some_and(|above| is_shared(above, shared));
        let text = LazyCell::new(|| script_text(launcher));
        let may_load = |path: &Path| {
            let is_loaded = |ext: &std::ffi::OsStr| LOADED.iter().any(|loaded| ext.eq_ignore_ascii_case(loaded));
            path.is_dir()
                || path.extension().is_some_and(is_loaded)
                || path.file_name().is_some_and(|name| is_named_in(&name.to_string_lossy(), &text))
        };
        path_trust::folder_at(folder, Whose::Own, Position::Whole).map_err(|refused| not_safe(&refused))?;
        let (mut ahead, mut count) = (vec![(folder.to_owned(), 1)], 0);
        while let Some((folder, depth)) = ahead.pop() {
            // One that is closed to us is closed to the client.
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry.map_err(|error| cannot_look(&folder, &error))?.path();
                count += 1;
                if count > MAX_ENTRIES {
                    let why = format!("lies beside more than {MAX_ENTRIES} files, which can't all be looked at");
                    return Err(unsafe_because(launcher, &why));
                }
                if is_shared_bin && depth == 1 && path != launcher && !may_load(&path) {
                    continue;
                }
                let target = path_trust::beside_program(&path).map_err(|refused| not_safe(&refused))?;
                if depth < MAX_DEPTH_BESIDE && target == path && target.is_dir() {
                    ahead.push((path, depth + 1));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "integrity_tests.rs"]
mod tests;
