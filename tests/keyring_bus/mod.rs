//! A D-Bus session and a GNOME Keyring of a test's own, in a home of their own, gone when it ends.
//!
//! Programs under test get [`KeyringBus::environment`]; what they stored is read back with `secret-tool`, which is
//! not ours. Nothing of the person's own session is seen or touched.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What the session's keyring is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyring {
    /// A login keyring with a password, unlocked, as after signing in.
    Unlocked,
    /// The same, locked, and no program there to show its prompt: every prompt ends as if dismissed.
    Locked,
    /// A default keyring without a password: its file is plain text.
    Plain,
    /// A Secret Service without a default collection, as under WSL.
    NoDefault,
    /// A Secret Service that has the name on the bus and never answers.
    Silent,
    /// A bus, and no Secret Service on it.
    NoService,
}

/// The running session. Dropping it ends what it started, by process id.
pub(crate) struct KeyringBus {
    folder: TempDir,
    address: String,
    children: Vec<Child>,
}

const WAIT: Duration = Duration::from_secs(30);
const PASSWORD: &[u8] = b"correct horse";
const SECRETS: &str = "org.freedesktop.secrets";
const PROMPT: &str = "org.freedesktop.Secret.Prompt";

impl KeyringBus {
    /// Starts a session. Panics with the line to run if a program is missing.
    pub(crate) fn start(keyring: Keyring) -> Self {
        let folder = TempDir::new().unwrap();
        for name in ["run", "data", "Jürgen Müller"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let run = folder.path().join("run");
        fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let config = folder.path().join("bus.conf");
        fs::write(&config, bus_config(&run, "")).unwrap();
        let mut daemon = tool("dbus-daemon");
        daemon.arg(format!("--config-file={}", config.display())).args(["--nofork", "--nopidfile", "--print-address"]);
        let mut daemon = daemon.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let mut this = Self { folder, address: address.trim().to_owned(), children: vec![daemon] };
        this.start_keyring(keyring);
        this
    }

    fn start_keyring(&mut self, keyring: Keyring) {
        match keyring {
            Keyring::NoService => {}
            Keyring::NoDefault => self.keyring_daemon(None),
            Keyring::Plain => {
                let keyrings = self.keyrings();
                fs::create_dir(&keyrings).unwrap();
                let text = "[keyring]\ndisplay-name=Default keyring\nctime=0\nmtime=0\nlock-on-idle=false\n";
                fs::write(keyrings.join("Default_keyring.keyring"), text).unwrap();
                fs::write(keyrings.join("default"), "Default_keyring").unwrap();
                self.keyring_daemon(None);
                self.wait_for_default();
            }
            Keyring::Unlocked | Keyring::Locked | Keyring::Silent => {
                self.keyring_daemon(Some(PASSWORD));
                self.wait_for_default();
            }
        }
        if keyring == Keyring::Locked {
            self.end_keyring();
            self.keyring_daemon(None);
            self.wait_for_default();
        }
        if keyring == Keyring::Silent {
            let daemon = self.children.last().unwrap();
            kill_process(Pid::from_child(daemon), Signal::STOP).unwrap();
        }
    }

    fn keyring_daemon(&mut self, password: Option<&[u8]>) {
        let mut command = tool("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]).stdout(Stdio::null()).stderr(Stdio::null());
        if password.is_some() {
            command.arg("--unlock");
        }
        let mut daemon = self.inside(&mut command).stdin(Stdio::piped()).spawn().unwrap();
        // Without a newline: it would be part of the password.
        daemon.stdin.take().unwrap().write_all(password.unwrap_or_default()).unwrap();
        self.children.push(daemon);
        self.wait_for("the keyring to come to the bus", Self::is_owned);
    }

    /// What a program needs to live in this session; to be set on top of a cleared environment.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("DBUS_SESSION_BUS_ADDRESS", self.address.clone().into()),
            ("HOME", self.home().into()),
            ("XDG_RUNTIME_DIR", self.folder.path().join("run").into()),
            ("XDG_DATA_HOME", self.folder.path().join("data").into()),
            ("XDG_STATE_HOME", self.folder.path().join("state").into()),
            ("XDG_CONFIG_HOME", self.folder.path().join("config").into()),
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
            ("LC_ALL", "C.UTF-8".into()),
        ]
    }

    /// Makes `command` run in this session and with nothing else of this process's environment.
    pub(crate) fn inside<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env_clear().envs(self.environment())
    }

    /// The session's home, whose name has a space and letters beyond ASCII.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("Jürgen Müller")
    }

    /// Where the keyring keeps its files.
    pub(crate) fn keyrings(&self) -> PathBuf {
        self.folder.path().join("data/keyrings")
    }

    /// What `secret-tool` finds for a job, with its label and attributes; empty if nothing.
    pub(crate) fn search(&self, user: Option<&str>) -> String {
        let mut command = tool("secret-tool");
        command.args(["search", "--all", "service", "snow-onboard"]);
        if let Some(user) = user {
            command.args(["username", user]);
        }
        let Output { stdout, stderr, .. } = self.inside(&mut command).output().unwrap();
        // It writes the attributes to stderr.
        String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr)
    }

    /// The secret that `secret-tool` finds for a job.
    pub(crate) fn lookup(&self, user: &str) -> Option<String> {
        let mut command = tool("secret-tool");
        command.args(["lookup", "service", "snow-onboard", "username", user]);
        let output = self.inside(&mut command).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// Stores an item the way another program would. `more` are options and further attributes.
    pub(crate) fn store(&self, options: &[&str], user: &str, more: &[&str], secret: &str) {
        let mut command = tool("secret-tool");
        command.arg("store").args(options).args(["service", "snow-onboard", "username", user]).args(more);
        let mut child = self.inside(&mut command).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Removes a job's item the way another program would.
    pub(crate) fn clear(&self, user: &str) {
        let mut command = tool("secret-tool");
        command.args(["clear", "service", "snow-onboard", "username", user]);
        assert!(self.inside(&mut command).status().unwrap().success());
    }

    /// From now on the bus passes no new item on to the keyring, as the policy of a sandbox may have it.
    pub(crate) fn refuse_new_items(&self) {
        let run = self.folder.path().join("run");
        let deny = "<deny send_interface=\"org.freedesktop.Secret.Collection\" send_member=\"CreateItem\"/>";
        fs::write(self.folder.path().join("bus.conf"), bus_config(&run, deny)).unwrap();
        let mut command = tool("dbus-send");
        command.arg(format!("--bus={}", self.address)).args(["--print-reply", "--dest=org.freedesktop.DBus", "/"]);
        command.arg("org.freedesktop.DBus.ReloadConfig").stdout(Stdio::null());
        assert!(self.inside(&mut command).status().unwrap().success());
    }

    /// Has the keyring end, as in a crash.
    pub(crate) fn end_keyring(&mut self) {
        end(self.children.pop().unwrap());
        self.wait_for("the keyring to leave the bus", |this| !this.is_owned());
    }

    /// Counts from now on how often somebody is asked to unlock a keyring.
    pub(crate) fn watch_prompts(&mut self) {
        let mut monitor = tool("dbus-monitor");
        monitor.arg("--address").arg(&self.address);
        monitor.arg(format!("type='method_call',interface='{PROMPT}',member='Prompt'"));
        let log = fs::File::create(self.prompt_log()).unwrap();
        self.children.push(self.inside(&mut monitor).stdin(Stdio::null()).stdout(log).spawn().unwrap());
        // It is told of its own name first, and is a monitor from then on.
        self.wait_for("the monitor", |this| fs::read_to_string(this.prompt_log()).unwrap().contains("NameLost"));
    }

    /// How many prompts there were since [`watch_prompts`](Self::watch_prompts).
    pub(crate) fn prompts(&self) -> usize {
        // The bus passes messages on in order: once the monitor wrote down this one, it has those before.
        let marker = format!("/marker/{}", self.prompt_lines().len());
        self.ask(&marker, "org.freedesktop.DBus", &format!("{PROMPT}.Prompt"), "");
        self.wait_for("the monitor", |this| this.prompt_lines().iter().any(|line| line.contains(&marker)));
        self.prompt_lines().iter().filter(|line| !line.contains("/marker/")).count()
    }

    fn prompt_lines(&self) -> Vec<String> {
        let log = fs::read_to_string(self.prompt_log()).unwrap();
        log.lines().filter(|line| line.contains("member=Prompt")).map(str::to_owned).collect()
    }

    fn prompt_log(&self) -> PathBuf {
        self.folder.path().join("prompts.log")
    }

    fn is_owned(&self) -> bool {
        self.ask("/", "org.freedesktop.DBus", "org.freedesktop.DBus.NameHasOwner", SECRETS).contains("boolean true")
    }

    fn wait_for_default(&self) {
        let path = "/org/freedesktop/secrets";
        let method = "org.freedesktop.Secret.Service.ReadAlias";
        self.wait_for("the default collection", |this| {
            this.ask(path, SECRETS, method, "default").contains("collection")
        });
    }

    fn ask(&self, path: &str, name: &str, method: &str, argument: &str) -> String {
        let mut command = tool("dbus-send");
        command.arg(format!("--bus={}", self.address)).arg(format!("--dest={name}"));
        command.args(["--print-reply", path, method, &format!("string:{argument}")]);
        let output = self.inside(&mut command).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn wait_for(&self, what: &str, is_there: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_there(self) {
            assert!(start.elapsed() < WAIT, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// `more` are further rules of the policy.
fn bus_config(run: &Path, more: &str) -> String {
    // No service folders: nothing is started that the test did not start.
    format!(
        "<busconfig><type>session</type><listen>unix:path={}/bus</listen><auth>EXTERNAL</auth>\
         <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
         <allow eavesdrop=\"true\"/><allow own=\"*\"/>{more}</policy></busconfig>",
        run.display()
    )
}

impl Drop for KeyringBus {
    fn drop(&mut self) {
        self.children.drain(..).rev().for_each(end);
    }
}

fn end(mut child: Child) {
    // SIGKILL ends a stopped process too.
    let _ = child.kill();
    let _ = child.wait();
}

fn tool(name: &str) -> Command {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(name))
        .find(|path| Path::is_file(path));
    let path = found.unwrap_or_else(|| {
        panic!("{name} is missing. Install it with:\n  apt-get install -y dbus gnome-keyring libsecret-tools")
    });
    Command::new(path)
}
