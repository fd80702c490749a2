//! File systems that keep no owners, and such as have no locks.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::scene::{Scene, listing};
use crate::users::User;

/// An NTFS as a Linux desktop mounts it: everything belongs to who is signed in, with one mode for all.
struct Ntfs {
    at: PathBuf,
}

impl Ntfs {
    /// `None` where none can be made, with the reason counted.
    fn mount(base: &Path, options: &str) -> Option<Self> {
        let (image, at) = (base.join("ntfs.img"), base.join("usb"));
        fs::create_dir(&at).unwrap();
        fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let run = |tool: &str, args: &[&str]| {
            let output = Command::new(tool).args(args).stdin(Stdio::null()).output();
            output.is_ok_and(|output| output.status.success())
        };
        let (image, folder) = (image.to_str().unwrap(), at.to_str().unwrap());
        if !run("mkntfs", &["-F", "-Q", image]) || !run("ntfs-3g", &["-o", options, image, folder]) {
            snow_rehearsal::skipped("no NTFS can be mounted here (no ntfs-3g, no /dev/fuse, or not allowed to mount)");
            return None;
        }
        Some(Self { at })
    }
}

impl Drop for Ntfs {
    fn drop(&mut self) {
        // The second is for who isn't root.
        let unmounted = Command::new("umount").arg(&self.at).stderr(Stdio::null()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            let _ = Command::new("fusermount").arg("-u").arg(&self.at).status();
        }
    }
}

fn alone() -> Scene {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Scene::for_user(&User { name: "", uid, gid })
}

#[test]
fn where_nobody_owns_anything_nothing_is_fetched_and_nothing_is_left() {
    let scene = alone();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let Some(ntfs) = Ntfs::mount(&scene.base, &format!("uid={uid},gid={gid},umask=022")) else { return };
    let state = ntfs.at.join("deep/snow-onboard");
    let (state, job) = (state.to_str().unwrap(), scene.rehearsal.job().id().to_owned());
    for args in [&["fetch", &job, "--state-dir", state][..], &["doctor", "--keychain", "none", "--state-dir", state]] {
        let ended = scene.run(args).with_ca().end();
        assert_eq!(ended.code, Some(9), "{args:?}: {}", ended.said);
        assert!(ended.said.contains("does not keep owners and permissions"), "{args:?}: {}", ended.said);
        assert!(ended.said.contains("--state-dir PATH"), "{args:?}: {}", ended.said);
        assert!(listing(&ntfs.at).iter().all(|line| !line.contains("deep")), "{args:?}: nothing is left");
        // doctor looks whether each call is allowed, with a job that is none.
        assert!(args[0] == "doctor" || scene.rehearsal.requests().is_empty(), "{args:?}");
    }
    // As it is by default: anyone can write anywhere.
    drop(ntfs);
    fs::remove_dir(scene.base.join("usb")).unwrap();
    let Some(ntfs) = Ntfs::mount(&scene.base, "umask=000") else { return };
    let state = ntfs.at.join("snow-onboard");
    let ended = scene.run(&["fetch", &job, "--state-dir", state.to_str().unwrap()]).with_ca().end();
    assert!(ended.code == Some(9) && ended.said.contains("can be written by everyone"), "{}", ended.said);
    assert!(!state.exists());
}

/// As NFS without its lock service says it.
#[test]
fn a_file_system_without_locks_is_named_with_the_way_out() {
    let scene = alone();
    let trace = scene.base.join("trace");
    for args in [&["fetch", scene.rehearsal.job().id()][..], &["doctor", "--keychain", "none"]] {
        let mut command = Command::new("strace");
        command.args(["-e", "inject=flock:error=ENOLCK", "-o"]).arg(&trace);
        let ours = scene.run(args);
        command.arg(ours.command.get_program()).args(args).env_clear().stdin(Stdio::null());
        command.envs(ours.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("AWS_CA_BUNDLE", scene.rehearsal.ca_bundle()).arg0("strace");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(9), "{args:?}: {said}");
        assert!(said.contains("can't be locked: no locks available"), "{args:?}: {said}");
        assert!(said.contains("--state-dir PATH"), "{args:?}: {said}");
    }
    assert_eq!(scene.rehearsal.downloads(), 0);
}
