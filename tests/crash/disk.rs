//! A folder on a disk whose power may be cut: what of it is on the disk for good, what is only under way, and what may be
//! found when the power is back.
//!
//! Pessimistic, within what POSIX and a journaled file system promise: a rename happens or does not; what a file holds is
//! there for good once the file was synced, and what a folder lists once the folder was. Everything else may have come to
//! the disk or not, in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::record::Deed;
use crate::stage::{everything, remove};

/// What is found in a folder: path below it and content, `None` for a folder. Its own path is empty.
pub(crate) type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

type Node = usize;

/// A file or a folder, whatever it is called.
#[derive(Clone)]
enum Thing {
    Folder,
    File { synced: Vec<u8>, now: Vec<u8> },
}

/// One change of what folders list, which happens as a whole or not at all.
#[derive(Clone)]
struct Change {
    entries: Vec<((Node, String), Option<Node>)>,
    synced: bool,
}

/// What becomes of something that was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    Lost,
    /// A part of a file's content arrived.
    Torn,
}

#[derive(Clone)]
pub(crate) struct Disk {
    things: Vec<Thing>,
    /// In their order. The last one that happened decides.
    changes: Vec<Change>,
}

/// The folder itself, which is there for good.
const ROOT: Node = 0;

impl Disk {
    /// A disk on which this is there for good.
    pub(crate) fn with(tree: &Tree) -> Self {
        let mut this = Self { things: vec![Thing::Folder], changes: Vec::new() };
        for (path, content) in tree.iter().filter(|(path, _)| !path.as_os_str().is_empty()) {
            let thing = content.clone().map_or(Thing::Folder, |now| Thing::File { synced: now.clone(), now });
            this.add(path, thing);
        }
        this.changes.iter_mut().for_each(|change| change.synced = true);
        this
    }

    /// Does what the agent did.
    pub(crate) fn apply(&mut self, deed: &Deed) {
        match deed {
            Deed::Create(path) => self.add(path, Thing::File { synced: Vec::new(), now: Vec::new() }),
            Deed::MakeFolder(path) => self.add(path, Thing::Folder),
            Deed::Truncate(path, length) => self.content(path, |now| now.resize(*length, 0)),
            Deed::Write(path, at, bytes) => self.content(path, |now| {
                now.resize(now.len().max(at + bytes.len()), 0);
                now[*at..at + bytes.len()].copy_from_slice(bytes);
            }),
            Deed::Remove(path) => {
                let place = self.place(path);
                self.change(vec![(place, None)]);
            }
            Deed::Rename(from, to) => {
                let (what, from, to) = (self.find(from), self.place(from), self.place(to));
                self.change(vec![(from, None), (to, Some(what))]);
            }
            Deed::SyncFile(path) => {
                let node = self.find(path);
                if let Thing::File { synced, now } = &mut self.things[node] {
                    synced.clone_from(now);
                }
            }
            Deed::SyncFolder(path) => {
                let folder = self.find(path);
                for change in &mut self.changes {
                    change.synced |= change.entries.iter().any(|((of, _), _)| *of == folder);
                }
            }
        }
    }

    /// What may be found if the power is cut now: with everything that is under way, with nothing of it, with each of it
    /// alone, with each of it alone missing or torn.
    pub(crate) fn after_power_cut(&self) -> BTreeSet<Tree> {
        let under_way: Vec<usize> = (0..self.changes.len()).filter(|at| !self.changes[*at].synced).collect();
        let unsynced: Vec<Node> = (0..self.things.len())
            .filter(|node| matches!(&self.things[*node], Thing::File { synced, now } if synced != now))
            .collect();
        let all = under_way.len() + unsynced.len();
        let mut fates = vec![vec![Fate::Done; all], vec![Fate::Lost; all]];
        for one in 0..all {
            for (others, fate) in [(Fate::Done, Fate::Lost), (Fate::Lost, Fate::Done), (Fate::Done, Fate::Torn)] {
                let mut these = vec![others; all];
                these[one] = fate;
                fates.push(these);
            }
        }
        let found = fates.into_iter().map(|fates| {
            let (of_changes, of_content) = fates.split_at(under_way.len());
            let mut entries = BTreeMap::new();
            for (at, change) in self.changes.iter().enumerate() {
                let fate = under_way.iter().position(|other| *other == at).map_or(Fate::Done, |at| of_changes[at]);
                if fate != Fate::Lost {
                    entries.extend(change.entries.iter().cloned());
                }
            }
            let content = |node: Node| unsynced.iter().position(|other| *other == node).map(|at| of_content[at]);
            self.tree(&entries, &content)
        });
        found.collect()
    }

    /// What is found while the power is on.
    pub(crate) fn now(&self) -> Tree {
        self.tree(&self.entries(), &|_| None)
    }

    fn entries(&self) -> BTreeMap<(Node, String), Option<Node>> {
        self.changes.iter().flat_map(|change| change.entries.iter().cloned()).collect()
    }

    fn tree(&self, entries: &BTreeMap<(Node, String), Option<Node>>, fate: &dyn Fn(Node) -> Option<Fate>) -> Tree {
        let (mut tree, mut to_do) = (Tree::from([(PathBuf::new(), None)]), vec![(ROOT, PathBuf::new())]);
        while let Some((folder, path)) = to_do.pop() {
            for ((of, name), node) in entries.range((folder, String::new())..) {
                let (true, Some(node)) = (*of == folder, *node) else { if *of == folder { continue } else { break } };
                let path = path.join(name);
                let content = match &self.things[node] {
                    Thing::Folder => {
                        to_do.push((node, path.clone()));
                        None
                    }
                    Thing::File { synced, now } => Some(match fate(node) {
                        None | Some(Fate::Done) => now.clone(),
                        Some(Fate::Lost) => synced.clone(),
                        Some(Fate::Torn) => now[..torn(synced, now)].to_vec(),
                    }),
                };
                tree.insert(path, content);
            }
        }
        tree
    }

    fn add(&mut self, path: &Path, thing: Thing) {
        let place = self.place(path);
        self.things.push(thing);
        self.change(vec![(place, Some(self.things.len() - 1))]);
    }

    fn change(&mut self, entries: Vec<((Node, String), Option<Node>)>) {
        self.changes.push(Change { entries, synced: false });
    }

    fn content(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let node = self.find(path);
        if let Thing::File { now, .. } = &mut self.things[node] {
            change(now);
        }
    }

    /// In which folder a path is listed, and by what name.
    fn place(&self, path: &Path) -> (Node, String) {
        (self.find(path.parent().unwrap()), path.file_name().unwrap().to_str().unwrap().to_owned())
    }

    fn find(&self, path: &Path) -> Node {
        if path.as_os_str().is_empty() {
            return ROOT;
        }
        self.entries().get(&self.place(path)).copied().flatten().unwrap_or_else(|| panic!("{path:?} is not there"))
    }
}

/// How much of a content arrived of which a part did: of an appended line, half of that line.
fn torn(synced: &[u8], now: &[u8]) -> usize {
    if now.starts_with(synced) { synced.len() + (now.len() - synced.len()) / 2 } else { now.len() / 2 }
}

/// What is in a folder.
pub(crate) fn read(folder: &Path) -> Tree {
    let mut tree = Tree::from([(PathBuf::new(), None)]);
    for path in everything(folder) {
        let content = path.is_file().then(|| fs::read(&path).unwrap());
        tree.insert(path.strip_prefix(folder).unwrap().to_owned(), content);
    }
    tree
}

/// Has a folder hold this and nothing else, private as what the agent makes.
pub(crate) fn write(tree: &Tree, folder: &Path) {
    remove(folder);
    for (path, content) in tree {
        let path = folder.join(path);
        match content {
            None => fs::DirBuilder::new().mode(0o700).create(path).unwrap(),
            Some(content) => {
                let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(path).unwrap();
                file.write_all(content).unwrap();
            }
        }
    }
}

mod tests {
    use super::*;

    fn path(text: &str) -> PathBuf {
        PathBuf::from(text)
    }

    fn tree(entries: &[(&str, &str)]) -> Tree {
        let files = entries.iter().map(|(name, content)| (path(name), Some(content.as_bytes().to_vec())));
        files.chain([(path(""), None)]).collect()
    }

    /// The folder, with the file "old" in it for good, after these deeds and a power cut.
    fn found(deeds: &[Deed]) -> BTreeSet<Tree> {
        let mut disk = Disk::with(&tree(&[("file", "old")]));
        deeds.iter().for_each(|deed| disk.apply(deed));
        disk.after_power_cut()
    }

    #[test]
    fn what_was_not_synced_may_be_missing_and_what_was_may_not() {
        let create = [Deed::Create(path("new")), Deed::Write(path("new"), 0, b"text".to_vec())];
        let may_be = |entries: &[&[(&str, &str)]]| entries.iter().map(|entries| tree(entries)).collect::<BTreeSet<_>>();
        let old = ("file", "old");
        let any = may_be(&[&[old], &[old, ("new", "")], &[old, ("new", "te")], &[old, ("new", "text")]]);
        assert_eq!(found(&create), any);
        let synced = [&create[..], &[Deed::SyncFile(path("new"))]].concat();
        assert_eq!(found(&synced), may_be(&[&[old], &[old, ("new", "text")]]));
        let synced = [&synced[..], &[Deed::SyncFolder(path(""))]].concat();
        assert_eq!(found(&synced), may_be(&[&[old, ("new", "text")]]));
    }

    #[test]
    fn a_rename_is_whole_but_may_come_before_what_the_file_holds() {
        let mut deeds = vec![
            Deed::Create(path("new")),
            Deed::Write(path("new"), 0, b"text".to_vec()),
            Deed::Rename(path("new"), path("file")),
            Deed::SyncFolder(path("")),
        ];
        let may_be = ["", "te", "text"].map(|content| tree(&[("file", content)]));
        assert_eq!(found(&deeds), may_be.into());
        deeds.insert(2, Deed::SyncFile(path("new")));
        assert_eq!(found(&deeds), [tree(&[("file", "text")])].into());
        deeds.pop();
        let may_be = found(&deeds);
        assert!(may_be.contains(&tree(&[("file", "old")])) && may_be.contains(&tree(&[("file", "text")])));
        assert!(may_be.iter().all(|tree| tree[&path("file")] == Some(b"old".to_vec()) || tree.len() == 2));
    }

    #[test]
    fn what_lies_in_a_folder_that_is_lost_is_lost() {
        let deeds = [
            Deed::MakeFolder(path("a")),
            Deed::Create(path("a/b")),
            Deed::SyncFolder(path("a")),
            Deed::Remove(path("file")),
        ];
        let may_be = found(&deeds);
        assert!(may_be.contains(&tree(&[("file", "old")])) && may_be.contains(&tree(&[])));
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("there");
        let whole = may_be.iter().max_by_key(|tree| tree.len()).unwrap();
        write(whole, &there);
        assert_eq!(read(&there), *whole, "written and read back");
        assert_eq!(whole.len(), 4);
    }
}
