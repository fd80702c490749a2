//! Which files of a client are refused, with which hint, and what its digest is of.
#![allow(clippy::unwrap_used)]

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
    let digest = |launcher: &Path| Tree::check(launcher).unwrap().unwrap().digest().unwrap();
    assert_eq!(digest(&first), digest(&second));
    fs::write(two.path().join("client/jre/bin/java"), "jav!").unwrap();
    assert_ne!(digest(&first), digest(&second), "content");
    fs::write(two.path().join("client/jre/bin/java"), "java").unwrap();
    fs::rename(two.path().join("client/lib/a.jar"), two.path().join("client/lib/b.jar")).unwrap();
    assert_ne!(digest(&first), digest(&second), "name");
}

#[test]
fn a_launcher_outside_a_package_stands_alone() {
    let base = tempfile::tempdir().unwrap();
    let base = os::real(base.path()).unwrap();
    let launcher = base.join("tools").join("snowballEdge");
    fs::create_dir(base.join("tools")).unwrap();
    fs::write(&launcher, "x").unwrap();
    fs::write(base.join("tools/another"), "y").unwrap();
    let tree = Tree::check(&launcher).unwrap().unwrap();
    assert!(tree.is_alone());
    assert_eq!(tree.entries.into_iter().collect::<Vec<_>>(), [launcher]);
    let shared = shared_folders();
    for folder in ["/usr", "/usr/local", "/opt/homebrew"] {
        let launcher = Path::new(folder).join("bin/snowballEdge");
        assert_eq!(root_of(&launcher, &shared), launcher);
    }
    for home in homes() {
        assert!(shared.contains(&home) && shared.contains(&home.join(".local")));
    }
}

#[test]
fn a_package_without_a_jre_of_its_own_is_whole_all_the_same() {
    let base = tempfile::tempdir().unwrap();
    let launcher = os::real(&unpack(base.path())).unwrap();
    let root = os::real(base.path()).unwrap().join("client");
    fs::remove_dir_all(root.join("jre")).unwrap();
    let tree = Tree::check(&launcher).unwrap().unwrap();
    assert!(!tree.is_alone());
    assert!(tree.entries.contains(&root.join("lib").join("a.jar")));
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

    /// Followed to the letter, by root too, a hint changes the client's own package and nothing that others use.
    #[test]
    fn a_command_that_changes_a_tree_is_for_the_package_alone() {
        let base = tempfile::tempdir().unwrap();
        let launcher = unpack(base.path());
        let root = base.path().canonicalize().unwrap();
        let package = root.join("client");
        let hint = |launcher: &Path| Tree::check(launcher).unwrap_err().report().hint;
        chmod(&package, 0o777);
        assert!(hint(&launcher).contains(&format!("chmod -R go-w {}", package.display())), "{}", hint(&launcher));
        chmod(&package, 0o755);
        // A folder above it, and what a link in it leads to, are for others as well.
        chmod(&root, 0o777);
        assert!(!hint(&launcher).contains("-R"), "{}", hint(&launcher));
        chmod(&root, 0o700);
        fs::create_dir(root.join("open")).unwrap();
        chmod(&root.join("open"), 0o777);
        symlink(root.join("open/x"), package.join("lib/x")).unwrap();
        assert!(!hint(&launcher).contains("-R"), "{}", hint(&launcher));
        fs::remove_file(package.join("lib/x")).unwrap();
        // Without a Java of its own it may be anything, and one alone lies in a folder that may be /tmp.
        fs::remove_dir_all(package.join("jre")).unwrap();
        chmod(&package, 0o777);
        assert!(!hint(&launcher).contains("-R"), "{}", hint(&launcher));
        let alone = root.join("open/snowballEdge");
        fs::write(&alone, "x").unwrap();
        assert!(!hint(&alone).contains("-R"), "{}", hint(&alone));
    }

    #[test]
    fn a_package_that_somebody_else_unpacked_is_given_to_this_user() {
        use crate::safety::path_trust::runs_as_administrator;
        if !runs_as_administrator() {
            snow_rehearsal::skipped("only root can give a file to somebody else");
            return;
        }
        let base = tempfile::tempdir().unwrap();
        let launcher = unpack(base.path());
        let package = base.path().canonicalize().unwrap().join("client");
        let give = |path: &Path, to| std::os::unix::fs::chown(path, Some(to), Some(to)).unwrap();
        let hint = || Tree::check(&launcher).unwrap_err().report().hint;
        give(&package, 10_143);
        let command = format!("sudo chown -R \"$(id -un)\" {}", package.display());
        assert!(hint().contains(&command), "{}", hint());
        give(&package, 0);
        give(base.path(), 10_143);
        assert!(!hint().contains("chown"), "a folder above it is not taken away: {}", hint());
    }

    /// Among programs of all kinds, as in /usr/local/bin, another one is no matter.
    #[test]
    fn in_a_shared_bin_only_what_the_launcher_may_load_counts() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().canonicalize().unwrap();
        let bin = root.join("bin");
        fs::create_dir(&bin).unwrap();
        let launcher = bin.join("snowballEdge");
        fs::write(&launcher, "#!/bin/sh\n. \"$(dirname \"$0\")/settings.sh\"\n").unwrap();
        let (shared, own) = ([root.clone()], []);
        symlink("/dev/null", bin.join("masked")).unwrap();
        for (name, counts) in [("helm", false), ("a.jar", true), ("settings.sh", true)] {
            fs::write(bin.join(name), "").unwrap();
            chmod(&bin.join(name), 0o666);
            assert_eq!(Walk::beside(&launcher, &shared).is_err(), counts, "{name}");
            assert!(Walk::beside(&launcher, &own).is_err(), "{name}, in a folder of its own");
            fs::remove_file(bin.join(name)).unwrap();
        }
        fs::create_dir(bin.join("lib")).unwrap();
        Walk::beside(&launcher, &shared).unwrap_or_else(|found| panic!("{}", found.into_error(None)));
        chmod(&bin.join("lib"), 0o777);
        assert!(Walk::beside(&launcher, &shared).is_err());
    }

    /// As `sudo tar xf jdk…` leaves it: a link of the system's to a JDK of whoever packed it.
    #[test]
    fn a_java_of_the_system_that_others_can_change_matters_to_a_client_without_its_own() {
        let base = tempfile::tempdir().unwrap();
        let launcher = unpack(base.path());
        fs::write(&launcher, "#!/bin/sh\ndirname /\n").unwrap();
        let java = TrustedFolders::with_doubtful("/usr/bin/java");
        let mut tree = Tree::check(&launcher).unwrap().unwrap();
        tree.check_programs(&java).unwrap();
        assert!(tree.notes().is_empty(), "its own Java is what runs");
        tree.check_programs(&TrustedFolders::with_doubtful("/usr/bin/perl")).unwrap();
        assert!(tree.notes()[0].contains("/usr/bin/perl leads to /opt/x"), "{:?}", tree.notes());
        let named = tree.check_programs(&TrustedFolders::with_doubtful("/usr/bin/dirname")).unwrap_err();
        assert!(named.to_string().contains("would run /usr/bin/dirname, which leads to /opt/x"), "{named}");
        fs::remove_dir_all(base.path().join("client/jre")).unwrap();
        let mut tree = Tree::check(&launcher).unwrap().unwrap();
        let refusal = tree.check_programs(&java).unwrap_err();
        assert!(refusal.to_string().contains("would run /usr/bin/java, which leads to /opt/x"), "{refusal}");
        assert!(refusal.report().hint.contains("a Java of its own"));
    }

    #[test]
    fn what_others_use_is_no_package() {
        let shared = shared_folders();
        for folder in ["/", "/tmp", "/var/tmp", "/srv", "/mnt", "/home", "/usr", "/opt"] {
            assert!(is_shared(Path::new(folder), &shared), "{folder}");
            assert_eq!(package_of(&Path::new(folder).join("bin/snowballEdge"), &shared), None, "{folder}");
        }
    }

    #[test]
    fn anything_that_others_can_write_to_is_refused_by_name() {
        let base = tempfile::tempdir().unwrap();
        let launcher = unpack(base.path());
        let root = base.path().canonicalize().unwrap();
        Tree::check(&launcher).unwrap().unwrap();
        for part in ["client/jre/bin/java", "client/lib", "client/lib/a.jar", "client", "client/bin/snowballEdge"] {
            let path = root.join(part);
            let before = path.metadata().unwrap().permissions().mode();
            chmod(&path, before | 0o002);
            let refusal = Tree::check(&launcher).unwrap_err().to_string();
            assert!(refusal.contains(&format!("{} can be written by everyone", path.display())), "{refusal}");
            chmod(&path, before);
        }
        chmod(&root, 0o707);
        assert!(Tree::check(&launcher).is_err(), "a folder above");
    }

    #[test]
    fn the_sticky_bit_excuses_a_folder_above_and_none_inside() {
        let base = tempfile::tempdir().unwrap();
        let launcher = unpack(base.path());
        let root = base.path().canonicalize().unwrap();
        chmod(&root, 0o1777);
        Tree::check(&launcher).unwrap().unwrap();
        chmod(&root.join("client/lib"), 0o1777);
        let refusal = Tree::check(&launcher).unwrap_err().to_string();
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
        Tree::check(&launcher).unwrap().unwrap();
        chmod(&root.join("open"), 0o777);
        let refusal = Tree::check(&launcher).unwrap_err().to_string();
        assert!(refusal.contains(&format!("{} can be written by everyone", root.join("open").display())), "{refusal}");

        fs::remove_file(root.join("client/jre/link")).unwrap();
        Tree::check(&launcher).unwrap().unwrap();
        symlink(&launcher, root.join("open/snowballEdge")).unwrap();
        assert!(Tree::check(&root.join("open/snowballEdge")).is_err(), "the way to the launcher");

        // A link to where others may put something, though there is nothing yet, sticky or not.
        chmod(&root.join("open"), 0o1777);
        symlink("../../open/nothing-yet", root.join("client/jre/dangling")).unwrap();
        assert!(Tree::check(&launcher).is_err());
    }

    #[test]
    fn what_runs_a_launcher_or_a_script_of_the_client_is_looked_at() {
        let base = tempfile::tempdir().unwrap();
        let launcher = unpack(base.path());
        let root = base.path().canonicalize().unwrap();
        fs::create_dir(root.join("open")).unwrap();
        fs::write(root.join("open/sh"), "").unwrap();
        chmod(&root.join("open"), 0o777);
        let theirs = format!("#!{}\n", root.join("open/sh").display());
        let helper = root.join("client/bin/helper");
        for file in [&launcher, &helper] {
            fs::write(file, "#!/bin/sh\n").unwrap();
            chmod(file, 0o755);
        }
        Tree::check(&launcher).unwrap().unwrap();
        for file in [&launcher, &helper] {
            fs::write(file, &theirs).unwrap();
            let refusal = Tree::check(&launcher).unwrap_err();
            let text = refusal.to_string();
            assert!(text.contains(&format!("{} is run by", file.display())) && text.contains("by everyone"), "{text}");
            assert!(refusal.report().hint.contains("#!/bin/sh"));
            fs::write(file, "#!/bin/sh\n").unwrap();
        }
        // Only of the launcher it must be known what runs it.
        fs::write(&helper, "#!@PERL@\n").unwrap();
        Tree::check(&launcher).unwrap().unwrap();
        fs::write(&launcher, "#!sh\n").unwrap();
        assert!(Tree::check(&launcher).unwrap_err().to_string().contains("without its whole path"));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_as_good_as_the_folder_it_leads_to() {
        let base = tempfile::tempdir().unwrap();
        let launcher = unpack(base.path());
        let root = base.path().canonicalize().unwrap();
        chmod(&root, 0o1777);
        Tree::check(&launcher).unwrap().unwrap();
        // Passed on the way to the client already, and now the folder in which somebody could put a jar.
        symlink(root.join("absent"), root.join("client/lib/x.jar")).unwrap();
        let refusal = Tree::check(&launcher).unwrap_err().to_string();
        assert!(refusal.contains("can be written by everyone (mode 1777)"), "{refusal}");
        fs::remove_file(root.join("client/lib/x.jar")).unwrap();
        // The same beside a launcher without a package, and in a folder near it.
        fs::create_dir_all(root.join("tools/lib")).unwrap();
        let alone = root.join("tools/snowballEdge");
        fs::write(&alone, "x").unwrap();
        Tree::check(&alone).unwrap().unwrap();
        symlink(root.join("absent"), root.join("tools/lib/x.jar")).unwrap();
        assert!(Tree::check(&alone).is_err());
        fs::remove_file(root.join("tools/lib/x.jar")).unwrap();
        fs::write(root.join("tools/lib/x.sh"), "").unwrap();
        chmod(&root.join("tools/lib/x.sh"), 0o666);
        assert!(Tree::check(&alone).is_err());
    }

    #[test]
    fn a_tree_without_an_end_is_refused_and_not_walked() {
        let base = tempfile::tempdir().unwrap();
        let launcher = unpack(base.path());
        let mut deep = base.path().join("client/lib");
        for _ in 0..100 {
            deep.push("d");
        }
        fs::create_dir_all(&deep).unwrap();
        assert!(Tree::check(&launcher).unwrap_err().to_string().contains("64 folders deep"));
    }

    #[test]
    fn the_right_to_run_a_file_is_digested() {
        let base = tempfile::tempdir().unwrap();
        let launcher = unpack(base.path());
        let digest = || Tree::check(&launcher).unwrap().unwrap().digest().unwrap();
        let before = digest();
        chmod(&base.path().join("client/jre/bin/java"), 0o755);
        let runs = digest();
        assert_ne!(before, runs);
        chmod(&base.path().join("client/jre/bin/java"), 0o711);
        assert_eq!(digest(), runs, "who may run it is no matter");
    }

    #[test]
    fn what_lies_beside_a_launcher_without_a_package_is_looked_at() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().canonicalize().unwrap().join("tools");
        fs::create_dir(&folder).unwrap();
        let launcher = folder.join("snowballEdge");
        fs::write(&launcher, "x").unwrap();
        fs::write(folder.join("a.jar"), "y").unwrap();
        Tree::check(&launcher).unwrap().unwrap();
        chmod(&folder.join("a.jar"), 0o666);
        assert!(Tree::check(&launcher).unwrap_err().to_string().contains("a.jar can be written by everyone"));
        chmod(&folder.join("a.jar"), 0o644);
        fs::create_dir(base.path().join("open")).unwrap();
        fs::write(base.path().join("open/b.jar"), "z").unwrap();
        chmod(&base.path().join("open"), 0o777);
        symlink("../open/b.jar", folder.join("b.jar")).unwrap();
        assert!(Tree::check(&launcher).is_err(), "a link to where others can exchange it");
        fs::remove_file(folder.join("b.jar")).unwrap();
        // As in /tmp: others can put a jar beside it.
        chmod(&folder, 0o1777);
        assert!(Tree::check(&launcher).is_err());
    }

    #[test]
    fn links_are_followed_and_what_they_lead_to_is_digested() {
        let base = tempfile::tempdir().unwrap();
        let launcher = unpack(base.path());
        let outside = base.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("cacerts"), "x").unwrap();
        let plain = Tree::check(&launcher).unwrap().unwrap().digest().unwrap();
        symlink(&outside, base.path().join("client/jre/security")).unwrap();
        symlink("..", base.path().join("client/jre/loop")).unwrap();
        symlink("nowhere", base.path().join("client/jre/dangling")).unwrap();
        let linked = Tree::check(&launcher).unwrap().unwrap().digest().unwrap();
        assert_ne!(plain, linked);
        fs::write(outside.join("cacerts"), "y").unwrap();
        let changed = Tree::check(&launcher).unwrap().unwrap().digest().unwrap();
        assert_ne!(changed, linked, "what a linked folder holds is read by the client as its own");
        symlink(&outside, base.path().join("client/jre/security2")).unwrap();
        let twice = Tree::check(&launcher).unwrap().unwrap().digest().unwrap();
        assert_ne!(twice, changed);
        chmod(&outside.join("cacerts"), 0o666);
        assert!(Tree::check(&launcher).unwrap_err().to_string().contains("cacerts"));
    }
}
