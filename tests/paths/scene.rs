//! Anna's place: a home, a client, settings, and the stand-ins of AWS and the device before her.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use snow_rehearsal::Rehearsal;

use crate::users::User;

/// What is in a settings file of hers, and works.
pub(crate) const SETTINGS: &str = "unlock_timeout = 120\n";

pub(crate) struct Scene {
    pub(crate) rehearsal: Rehearsal,
    /// Everyone may go here, and Anna and root alone may write.
    pub(crate) base: PathBuf,
    agent: PathBuf,
    /// Where a program of Bert's leaves its mark when somebody runs it.
    pub(crate) mark: PathBuf,
}

/// How a run of hers ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

/// One run of hers: what is told to it, by flags and by the environment.
pub(crate) struct Run<'a> {
    scene: &'a Scene,
    pub(crate) command: Command,
}

impl Scene {
    pub(crate) fn for_user(anna: &User) -> Self {
        let rehearsal = Rehearsal::builder().start().unwrap();
        let base = rehearsal.root().canonicalize().unwrap();
        open(&base, 0o755);
        let client = client_folder(&rehearsal);
        for folder in [rehearsal.home(), rehearsal.state_home(), rehearsal.runtime_dir(), &client] {
            anna.own(folder);
        }
        for entry in fs::read_dir(&client).unwrap().flatten() {
            open(&client, 0o755);
            anna.own(&entry.path());
        }
        let agent = base.join("snow-onboard");
        let built = env!("CARGO_BIN_EXE_snow-onboard");
        // The way to the build's folder may be closed to others; nothing here changes the program's owner or mode.
        if fs::hard_link(built, &agent).is_err() {
            crate::users::run("cp", &[built, agent.to_str().unwrap()], &[0]);
        }
        let marks = base.join("marks");
        fs::create_dir(&marks).unwrap();
        open(&marks, 0o777);
        let scene = Self { mark: marks.join("mark"), rehearsal, base, agent };
        for (path, text) in [(scene.settings_file(), SETTINGS), (scene.aws_config(), "[default]\n")] {
            scene.write_as(anna, &path, text, 0o600);
        }
        let temporary = scene.temporary();
        fs::create_dir(&temporary).unwrap();
        anna.own(&temporary);
        scene
    }

    pub(crate) fn settings_file(&self) -> PathBuf {
        self.rehearsal.home().join(".config/snow-onboard/config.toml")
    }

    pub(crate) fn aws_config(&self) -> PathBuf {
        self.base.join("aws/own/config")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.rehearsal.state_home().join("snow-onboard")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.base.join("tmp")
    }

    /// The folder that the client's package unpacked to.
    pub(crate) fn package(&self) -> PathBuf {
        let launcher = self.rehearsal.client_path().canonicalize().unwrap();
        launcher.parent().unwrap().parent().unwrap().to_owned()
    }

    /// A file of somebody's in folders of theirs.
    pub(crate) fn write_as(&self, user: &User, path: &Path, text: &str, mode: u32) {
        let missing: Vec<&Path> = path.ancestors().skip(1).take_while(|folder| !folder.exists()).collect();
        for folder in missing.into_iter().rev() {
            fs::create_dir(folder).unwrap();
            user.own(folder);
        }
        fs::write(path, text).unwrap();
        open(path, mode);
        user.own(path);
    }

    /// A program that leaves the mark.
    pub(crate) fn marking_program(&self) -> String {
        format!("#!/bin/sh\n: > {}\n", self.mark.display())
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run<'_> {
        let mut command = Command::new(&self.agent);
        command.env_clear().envs(self.rehearsal.env()).env("PATH", "/usr/bin:/bin").env("TMPDIR", self.temporary());
        command.env("AWS_CONFIG_FILE", self.aws_config());
        // No variable of a run's own flags, which is given to commands that have no such flag.
        command.env("SNOW_ONBOARD_CLIENT", self.rehearsal.client_path());
        command.args(args).current_dir("/").stdin(Stdio::null());
        Run { scene: self, command }
    }

    /// A whole first start, with nothing kept.
    pub(crate) fn first_start(&self) -> Run<'_> {
        let (job, endpoint) = (self.rehearsal.job(), self.rehearsal.device().endpoint());
        let mut run = self.run(&["run", job.id(), "--endpoint", &endpoint, "--keychain", "none"]);
        run.command.arg("--client").arg(self.rehearsal.client_path());
        run
    }
}

impl Run<'_> {
    pub(crate) fn with_ca(mut self) -> Self {
        self.command.arg("--ca-bundle").arg(self.scene.rehearsal.ca_bundle());
        self
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it as this user.
    pub(crate) fn by(mut self, user: &User) -> Ended {
        user.as_user(&mut self.command);
        self.end()
    }

    /// Runs it as whoever runs the tests.
    pub(crate) fn end(mut self) -> Ended {
        let output = self.command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ended { code: output.status.code(), said }
    }
}

pub(crate) fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn client_folder(rehearsal: &Rehearsal) -> PathBuf {
    let launcher = rehearsal.client_path();
    launcher.ancestors().nth(3).unwrap().to_owned()
}

/// All there is below a folder, with what it is, so that two such lists can be compared.
pub(crate) fn listing(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, meta) = (entry.path(), entry.metadata().unwrap());
        let content = if meta.is_file() && meta.len() < 65_536 { fs::read(&path).unwrap() } else { Vec::new() };
        all.push(format!("{} {:o} {:?}", path.display(), meta.permissions().mode(), content));
        if meta.is_dir() {
            all.extend(listing(&path));
        }
    }
    all.sort();
    all
}
