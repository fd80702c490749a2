//! The client's files: which they are, whether others can write to them, and their common digest.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::sys;
use crate::error::{Error, Result, io_in_words};
use crate::os;

/// Most files and folders looked at. The vendor's tree with its JRE has some hundreds.
const MOST_ENTRIES: usize = 20_000;
/// Most bytes digested. The vendor's tree has some 200 MB.
const MOST_BYTES: u64 = 4 << 30;

/// The files that run when the client does, checked.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    root: PathBuf,
    is_alone: bool,
    /// Below the root, without what links lead to. Sorted.
    entries: Vec<PathBuf>,
}

impl Tree {
    /// Finds the files that belong to `launcher`, a path without links, and refuses them if others can write to any of
    /// them, or to a folder above one.
    ///
    /// `named` is the launcher as it was named or found: the way that it leads, link by link, is looked at too.
    pub(super) fn check(named: &Path, launcher: &Path) -> Result<Self> {
        let root = root_of(launcher, &shared_folders());
        let mut walk = Walk::default();
        walk.way(named)?;
        walk.way(&root)?;
        walk.below(&root)?;
        let is_alone = root == launcher;
        Ok(Self { root, is_alone, entries: walk.follow()? })
    }

    /// Whether the launcher lies in no package, so that it is all that was checked.
    pub(super) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// SHA-256 over the tree, as 64 hex digits: the same wherever it is unpacked, another if any name, content or
    /// link differs. Costs a reading of all of it.
    pub(super) fn digest(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        hasher.update(b"snow-onboard/client/1\0");
        let mut left = MOST_BYTES;
        for path in &self.entries {
            let name = path.strip_prefix(&self.root).unwrap_or(path);
            // One alone is digested without its name: its folder is not the vendor's, nor need its name be.
            let name: Vec<String> =
                name.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
            field(&mut hasher, b'n', name.join("/").as_bytes());
            let words =
                |error: &std::io::Error| unsafe_because(path, &format!("can't be read: {}", io_in_words(error)));
            let meta = path.symlink_metadata().map_err(|error| words(&error))?;
            if meta.is_symlink() {
                let target = fs::read_link(path).map_err(|error| words(&error))?;
                field(&mut hasher, b'l', target.to_string_lossy().as_bytes());
            } else if meta.is_file() {
                left = left.checked_sub(meta.len()).ok_or_else(|| unsafe_because(path, "is too large"))?;
                hasher.update([b'f']);
                hasher.update(meta.len().to_be_bytes());
                content(&mut hasher, path, meta.len()).map_err(|error| words(&error))?;
            } else {
                hasher.update(b"d");
            }
        }
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// One length-marked field, so that no two lists of fields give the same bytes.
fn field(hasher: &mut Sha256, kind: u8, bytes: &[u8]) {
    hasher.update([kind]);
    hasher.update((bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

fn content(hasher: &mut Sha256, path: &Path, length: u64) -> std::io::Result<()> {
    let mut file = File::open(path)?.take(length);
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
    // The root of a file system or of a drive is nobody's package either.
    let is_shared = |folder: &Path| folder.parent().is_none() || shared.iter().any(|shared| shared == folder);
    match folder {
        Some(folder) if folder.join("jre").is_dir() || !is_shared(folder) => folder.to_owned(),
        _ => launcher.to_owned(),
    }
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
        "/var/lib/flatpak/exports",
    ];
    let of_home = |home: PathBuf| [home.join(".local"), home.join(".cargo"), home.join(".nix-profile"), home];
    let shared: Vec<PathBuf> =
        KNOWN.iter().map(PathBuf::from).chain(sys::homes().into_iter().flat_map(of_home)).collect();
    // The launcher's path is one without links.
    let resolved: Vec<PathBuf> = shared.iter().filter_map(|path| os::real(path).ok()).collect();
    shared.into_iter().chain(resolved).collect()
}

/// How a thing counts that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A folder on the way to something: what matters is that that can't be exchanged.
    OnTheWay,
    /// Part of what runs, or a folder all of which may run: a jar that is merely added to `lib` may be loaded.
    Inside,
}

#[derive(Default)]
struct Walk {
    /// What belongs to the tree.
    entries: BTreeSet<PathBuf>,
    /// Links in it.
    links: Vec<PathBuf>,
    /// Asked about already, folders above and targets of links included.
    looked_at: BTreeSet<(PathBuf, Place)>,
}

impl Walk {
    /// Looks at every folder and link on the way to `path`: who can exchange one of them decides what `path` is. Gives
    /// what it leads to.
    fn way(&mut self, path: &Path) -> Result<Option<PathBuf>> {
        let way = os::way_to(path).map_err(|error| cannot_look(path, &error))?;
        for folder in &way.folders {
            self.look(folder, Place::OnTheWay)?;
        }
        for link in &way.links {
            if let Some(flaw) = os::link_flaw(link).map_err(|error| cannot_look(link, &error))? {
                return Err(unsafe_because(link, &flaw));
            }
        }
        if let (None, Some(folder)) = (&way.target, way.folders.last()) {
            // A link that leads nowhere runs nothing, unless others can put something there.
            self.look(folder, Place::Inside)?;
        }
        Ok(way.target)
    }

    /// Looks at `path` and everything below. Links are noted and not followed.
    fn below(&mut self, path: &Path) -> Result<()> {
        if !self.entries.insert(path.to_owned()) {
            return Ok(());
        }
        let words = |error: std::io::Error| cannot_look(path, &error);
        let meta = path.symlink_metadata().map_err(words)?;
        if meta.is_symlink() {
            self.links.push(path.to_owned());
            return Ok(());
        }
        self.look(path, Place::Inside)?;
        if meta.is_dir() {
            for entry in fs::read_dir(path).map_err(words)? {
                self.below(&entry.map_err(words)?.path())?;
            }
        }
        Ok(())
    }

    /// Looks at what the links lead to: with all below and above, since it runs or is read as if it were in the tree.
    /// Gives what belongs to the tree itself.
    fn follow(mut self) -> Result<Vec<PathBuf>> {
        let own = self.entries.clone();
        while let Some(link) = self.links.pop() {
            if let Some(target) = self.way(&link)? {
                self.below(&target)?;
            }
        }
        Ok(own.into_iter().collect())
    }

    fn look(&mut self, path: &Path, place: Place) -> Result<()> {
        if !self.looked_at.insert((path.to_owned(), place)) {
            return Ok(());
        }
        if self.looked_at.len() > MOST_ENTRIES {
            return Err(unsafe_because(
                path,
                &format!("is one of more than {MOST_ENTRIES} files, which no client has"),
            ));
        }
        let flaw = match place {
            Place::OnTheWay => os::exchangeable_by_others(path),
            Place::Inside => os::writable_by_others(path),
        };
        match flaw {
            Ok(None) => Ok(()),
            Ok(Some(flaw)) => Err(unsafe_because(path, &flaw)),
            Err(error) => Err(cannot_look(path, &error)),
        }
    }
}

fn cannot_look(path: &Path, error: &std::io::Error) -> Error {
    unsafe_because(path, &format!("can't be looked at: {}", io_in_words(error)))
}

fn unsafe_because(path: &Path, why: &str) -> Error {
    Error::ClientUnsafe { path: path.display().to_string(), why: why.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A tree as the vendor lays it out.
    fn unpack(base: &Path) -> PathBuf {
        fs::create_dir_all(base.join("client/jre/bin")).unwrap();
        fs::create_dir_all(base.join("client/bin")).unwrap();
        fs::create_dir_all(base.join("client/lib")).unwrap();
        fs::write(base.join("client/jre/bin/java"), "java").unwrap();
        fs::write(base.join("client/lib/a.jar"), "jar").unwrap();
        let launcher = base.join("client/bin/snowballEdge");
        fs::write(&launcher, "launcher").unwrap();
        launcher.canonicalize().unwrap()
    }

    #[test]
    fn the_digest_is_the_trees_and_not_the_places() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (first, second) = (unpack(one.path()), unpack(two.path()));
        let digest = |launcher: &Path| Tree::check(launcher, launcher).unwrap().digest().unwrap();
        assert_eq!(digest(&first), digest(&second));
        assert_eq!(digest(&first).len(), 64);
        fs::write(two.path().join("client/jre/bin/java"), "jav!").unwrap();
        assert_ne!(digest(&first), digest(&second), "content");
        fs::write(two.path().join("client/jre/bin/java"), "java").unwrap();
        fs::rename(two.path().join("client/lib/a.jar"), two.path().join("client/lib/b.jar")).unwrap();
        assert_ne!(digest(&first), digest(&second), "name");
    }

    #[test]
    fn a_launcher_outside_a_package_stands_alone() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        let launcher = base.join("tools/snowballEdge");
        fs::create_dir(base.join("tools")).unwrap();
        fs::write(&launcher, "x").unwrap();
        fs::write(base.join("tools/another"), "y").unwrap();
        let tree = Tree::check(&launcher, &launcher).unwrap();
        assert!(tree.is_alone());
        assert_eq!(tree.entries, [launcher]);
        let shared = shared_folders();
        for folder in ["/usr", "/usr/local", "/opt/homebrew"] {
            let launcher = Path::new(folder).join("bin/snowballEdge");
            assert_eq!(root_of(&launcher, &shared), launcher);
        }
        for home in sys::homes() {
            assert!(shared.contains(&home) && shared.contains(&home.join(".local")));
        }
    }

    #[test]
    fn a_package_without_a_jre_of_its_own_is_whole_all_the_same() {
        let base = tempfile::tempdir().unwrap();
        let launcher = unpack(base.path());
        let root = base.path().canonicalize().unwrap().join("client");
        fs::remove_dir_all(root.join("jre")).unwrap();
        let tree = Tree::check(&launcher, &launcher).unwrap();
        assert!(!tree.is_alone());
        assert!(tree.entries.contains(&root.join("lib/a.jar")));
        assert_eq!(root_of(&launcher, std::slice::from_ref(&root)), launcher, "unless programs of all kinds lie there");
        fs::create_dir(root.join("jre")).unwrap();
        assert_eq!(root_of(&launcher, std::slice::from_ref(&root)), root, "and even then if what runs lies there");
    }

    #[cfg(unix)]
    mod unix {
        use super::*;
        use std::os::unix::fs::{PermissionsExt, symlink};

        fn chmod(path: &Path, mode: u32) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }

        #[test]
        fn anything_that_others_can_write_to_is_refused_by_name() {
            let base = tempfile::tempdir().unwrap();
            let launcher = unpack(base.path());
            let root = base.path().canonicalize().unwrap();
            Tree::check(&launcher, &launcher).unwrap();
            for part in ["client/jre/bin/java", "client/lib", "client/lib/a.jar", "client", "client/bin/snowballEdge"] {
                let path = root.join(part);
                let before = path.metadata().unwrap().permissions().mode();
                chmod(&path, before | 0o002);
                let refusal = Tree::check(&launcher, &launcher).unwrap_err().to_string();
                assert!(refusal.contains(&format!("{} can be written by everyone", path.display())), "{refusal}");
                chmod(&path, before);
            }
            chmod(&root, 0o707);
            assert!(Tree::check(&launcher, &launcher).is_err(), "a folder above");
        }

        #[test]
        fn the_sticky_bit_excuses_a_folder_above_and_none_inside() {
            let base = tempfile::tempdir().unwrap();
            let launcher = unpack(base.path());
            let root = base.path().canonicalize().unwrap();
            chmod(&root, 0o1777);
            Tree::check(&launcher, &launcher).unwrap();
            chmod(&root.join("client/lib"), 0o1777);
            let refusal = Tree::check(&launcher, &launcher).unwrap_err().to_string();
            assert!(refusal.contains("client/lib can be written by everyone"), "{refusal}");
        }

        #[test]
        fn each_hop_of_a_link_counts() {
            let base = tempfile::tempdir().unwrap();
            let launcher = unpack(base.path());
            let root = base.path().canonicalize().unwrap();
            fs::create_dir(root.join("open")).unwrap();
            fs::create_dir(root.join("outside")).unwrap();
            fs::write(root.join("outside/java"), "x").unwrap();
            // Inside → open/hop → outside/java: the end is safe, and anyone can turn the hop.
            symlink(root.join("outside/java"), root.join("open/hop")).unwrap();
            symlink("../../open/hop", root.join("client/jre/link")).unwrap();
            Tree::check(&launcher, &launcher).unwrap();
            chmod(&root.join("open"), 0o777);
            let refusal = Tree::check(&launcher, &launcher).unwrap_err().to_string();
            assert!(
                refusal.contains(&format!("{} can be written by everyone", root.join("open").display())),
                "{refusal}"
            );

            fs::remove_file(root.join("client/jre/link")).unwrap();
            Tree::check(&launcher, &launcher).unwrap();
            symlink(&launcher, root.join("open/snowballEdge")).unwrap();
            assert!(Tree::check(&root.join("open/snowballEdge"), &launcher).is_err(), "the way to the launcher");

            // A link to where others may put something, though there is nothing yet, sticky or not.
            chmod(&root.join("open"), 0o1777);
            symlink("../../open/nothing-yet", root.join("client/jre/dangling")).unwrap();
            assert!(Tree::check(&launcher, &launcher).is_err());
        }

        #[test]
        fn links_are_followed_for_safety_and_digested_by_their_text() {
            let base = tempfile::tempdir().unwrap();
            let launcher = unpack(base.path());
            let outside = base.path().join("outside");
            fs::create_dir(&outside).unwrap();
            fs::write(outside.join("cacerts"), "x").unwrap();
            let plain = Tree::check(&launcher, &launcher).unwrap().digest().unwrap();
            symlink(&outside, base.path().join("client/jre/security")).unwrap();
            symlink("..", base.path().join("client/jre/loop")).unwrap();
            symlink("nowhere", base.path().join("client/jre/dangling")).unwrap();
            let linked = Tree::check(&launcher, &launcher).unwrap().digest().unwrap();
            assert_ne!(plain, linked);
            fs::write(outside.join("cacerts"), "y").unwrap();
            assert_eq!(Tree::check(&launcher, &launcher).unwrap().digest().unwrap(), linked);
            chmod(&outside.join("cacerts"), 0o666);
            assert!(Tree::check(&launcher, &launcher).unwrap_err().to_string().contains("cacerts"));
        }
    }
}
