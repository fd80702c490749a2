//! A D-Bus session and a GNOME Keyring of a test's own, in a home of their own, gone when it ends.
//!
//! Programs under test get [`KeyringBus::environment`]; what they stored is read back with `secret-tool`, which is
//! not ours. Nothing of the person's own session is seen or touched.
#![allow(dead_code, reason = "each test binary uses what it needs")]

mod desktop;

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
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
    /// Unlocked, and in a folder that its daemon was given by a relative name: only the daemon knows where it is.
    Hidden,
    /// A default keyring without a password: its file is plain text.
    Plain,
    /// A Secret Service without a default collection, as under WSL.
    NoDefault,
    /// A Secret Service that has the name on the bus and never answers.
    Silent,
    /// A bus, and no Secret Service on it.
    NoService,
    /// KeePassXC as it comes, its Secret Service turned on, with an open database, on a screen of its own.
    KeePassXc,
    /// KWallet (of KDE Frameworks 5) with an open wallet, on a screen of its own.
    KWallet,
}

/// The running session. Dropping it ends what it started, by process id.
pub(crate) struct KeyringBus {
    folder: TempDir,
    address: String,
    /// Of the screen, where the keychain has windows.
    display: Option<String>,
    /// Another user than this process's, for which it has to be root.
    user: Option<u32>,
    /// What the keyring's daemon is told to keep its files in.
    data: PathBuf,
    /// The keyring's daemon, if it is not the one in PATH.
    daemon: Option<PathBuf>,
    children: Vec<Child>,
    /// GNOME's, among the children.
    gnome_keyring: Option<u32>,
    /// Where its crash is written down for `tests/keyring_bus/again`.
    pub(crate) crash_log: Option<PathBuf>,
}

const WAIT: Duration = Duration::from_secs(30);
const PASSWORD: &[u8] = b"correct horse";
const SECRETS: &str = "org.freedesktop.secrets";
const PROMPT: &str = "org.freedesktop.Secret.Prompt";
const SERVICE: &str = "org.freedesktop.Secret.Service";

impl KeyringBus {
    /// Starts a session. Panics with the line to run if a program is missing.
    pub(crate) fn start(keyring: Keyring) -> Self {
        Self::start_as(None, keyring)
    }

    /// The same for another user, and with the keyring's daemon as Ubuntu ships it: with the capability to lock memory, which
    /// keeps others from reading its environment. This process has to be root.
    pub(crate) fn start_as(user: Option<u32>, keyring: Keyring) -> Self {
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
        let with_capability = user.map(|user| {
            for name in ["", "run", "data", "Jürgen Müller"] {
                std::os::unix::fs::chown(folder.path().join(name), Some(user), Some(user)).unwrap();
            }
            let copy = folder.path().join("gnome-keyring-daemon");
            fs::copy(tool("gnome-keyring-daemon").get_program(), &copy).unwrap();
            assert!(tool("setcap").arg("cap_ipc_lock=ep").arg(&copy).status().unwrap().success());
            daemon.uid(user).gid(user);
            copy
        });
        let mut daemon = daemon.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        let mut this = Self {
            data: folder.path().join("data"),
            folder,
            address,
            display: None,
            user,
            daemon: with_capability,
            children: vec![daemon],
            gnome_keyring: None,
            crash_log: std::env::var_os("SNOW_TESTS_KEYRING_CRASHED").map(PathBuf::from),
        };
        this.start_keyring(keyring);
        this
    }

    fn start_keyring(&mut self, keyring: Keyring) {
        match keyring {
            Keyring::NoService => {}
            Keyring::KeePassXc => self.start_keepassxc(),
            Keyring::KWallet => self.start_kwallet(),
            Keyring::NoDefault => self.keyring_daemon(None),
            Keyring::Hidden => {
                self.data = "elsewhere".into();
                self.keyring_daemon(Some(PASSWORD));
                self.wait_for_default();
            }
            Keyring::Plain => {
                let keyrings = self.keyrings();
                fs::create_dir(&keyrings).unwrap();
                let text = "[keyring]\ndisplay-name=Default keyring\nctime=0\nmtime=0\nlock-on-idle=false\n";
                fs::write(keyrings.join("Default_keyring.keyring"), text).unwrap();
                fs::write(keyrings.join("default"), "Default_keyring").unwrap();
                if let Some(user) = self.user {
                    for path in [&keyrings, &keyrings.join("default"), &keyrings.join("Default_keyring.keyring")] {
                        std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
                    }
                }
                self.keyring_daemon(None);
                self.wait_for_default();
            }
            Keyring::Unlocked | Keyring::Locked | Keyring::Silent => {
                self.keyring_daemon(Some(PASSWORD));
                self.wait_for_default();
            }
        }
        if keyring == Keyring::Locked {
            self.lock();
        }
        if keyring == Keyring::Silent {
            let daemon = self.children.last().unwrap();
            kill_process(Pid::from_child(daemon), Signal::STOP).unwrap();
        }
    }

    /// Has the keyring start anew, locked, with what is in it. Not once something is watched.
    pub(crate) fn lock(&mut self) {
        self.end_keyring();
        self.keyring_daemon(None);
        self.wait_for_default();
    }

    fn keyring_daemon(&mut self, password: Option<&[u8]>) {
        let mut command = self.daemon.as_ref().map_or_else(|| tool("gnome-keyring-daemon"), Command::new);
        command.args(["--foreground", "--components=secrets"]).stdout(Stdio::null()).stderr(Stdio::null());
        if password.is_some() {
            command.arg("--unlock");
        }
        let command = self.inside(&mut command).env("XDG_DATA_HOME", &self.data).current_dir(self.folder.path());
        let mut daemon = command.stdin(Stdio::piped()).spawn().unwrap();
        // Without a newline: it would be part of the password.
        let written = daemon.stdin.take().unwrap().write_all(password.unwrap_or_default());
        self.gnome_keyring = Some(daemon.id());
        self.children.push(daemon);
        written.unwrap();
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
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.env_clear().envs(self.environment())
    }

    /// The process of the keyring.
    pub(crate) fn keyring_pid(&self) -> u32 {
        self.children.last().unwrap().id()
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
        let mut found = String::new();
        // In one session of 256, KWallet and libsecret come to different keys, and then it shows no secret.
        for _ in 0..3 {
            let Output { stdout, stderr, .. } = self.inside(&mut command).output().unwrap();
            // It writes the attributes to stderr.
            found = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
            if found.contains("secret = ") {
                break;
            }
        }
        found
    }

    /// The code that `secret-tool` finds for a job: the first line of its item, and if there are several, of the one that this
    /// program wrote.
    pub(crate) fn lookup(&self, user: &str) -> Option<String> {
        let found = self.search(Some(user));
        let mut items: Vec<_> = found.split("label = ").filter_map(|item| item.split_once("secret = ")).collect();
        items.sort_by_key(|(label, _)| !label.starts_with("snow-onboard unlock code for"));
        let (_, secret) = items.first()?;
        Some(secret.lines().next().unwrap_or_default().to_owned())
    }

    /// The secret that `secret-tool` finds for a job.
    pub(crate) fn item(&self, user: &str) -> Option<String> {
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
        // It fails where there is none.
        assert!(self.inside(&mut command).status().unwrap().success() || self.item(user).is_none());
    }

    /// Waits until another program finds a code for a job.
    pub(crate) fn wait_for_item(&self, user: &str) {
        self.wait_for("the item", |this| this.lookup(user).is_some());
    }

    /// A folder with a `home` and a `data` in which a keyring of that name has a password.
    pub(crate) fn decoy(&self, keyring: &str) -> PathBuf {
        let decoy = self.folder.path().join("decoy");
        for keyrings in ["home/.local/share/keyrings", "data/keyrings"] {
            fs::create_dir_all(decoy.join(keyrings)).unwrap();
            fs::write(decoy.join(keyrings).join(format!("{keyring}.keyring")), "GnomeKeyring\n\r\0\n\0\0\0\0").unwrap();
        }
        decoy
    }

    /// From now on the bus passes no new item on to the keyring, as the policy of a sandbox may have it.
    pub(crate) fn refuse_new_items(&self) {
        self.refuse("send_interface=\"org.freedesktop.Secret.Collection\" send_member=\"CreateItem\"");
    }

    /// From now on the bus passes no such messages on.
    pub(crate) fn refuse(&self, what: &str) {
        let run = self.folder.path().join("run");
        fs::write(self.folder.path().join("bus.conf"), bus_config(&run, &format!("<deny {what}/>"))).unwrap();
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
        self.watch(PROMPT, "Prompt");
    }

    /// How many prompts there were since [`watch_prompts`](Self::watch_prompts).
    pub(crate) fn prompts(&self) -> usize {
        self.calls(PROMPT, "Prompt")
    }

    /// Counts from now on how often a program opens a session with the keyring.
    pub(crate) fn watch_sessions(&mut self) {
        self.watch(SERVICE, "OpenSession");
    }

    /// How many sessions were opened since [`watch_sessions`](Self::watch_sessions).
    pub(crate) fn sessions(&self) -> usize {
        self.calls(SERVICE, "OpenSession")
    }

    fn watch(&mut self, interface: &str, member: &str) {
        let mut monitor = tool("dbus-monitor");
        monitor.arg("--address").arg(&self.address);
        monitor.arg(format!("type='method_call',interface='{interface}',member='{member}'"));
        let log = fs::File::create(self.call_log()).unwrap();
        self.children.push(self.inside(&mut monitor).stdin(Stdio::null()).stdout(log).spawn().unwrap());
        // It is told of its own name first, and is a monitor from then on.
        self.wait_for("the monitor", |this| fs::read_to_string(this.call_log()).unwrap().contains("NameLost"));
    }

    fn calls(&self, interface: &str, member: &str) -> usize {
        let lines = || {
            let log = fs::read_to_string(self.call_log()).unwrap();
            let of_member = |line: &&str| line.contains(&format!("member={member}"));
            log.lines().filter(of_member).map(str::to_owned).collect::<Vec<_>>()
        };
        // The bus passes messages on in order: once the monitor wrote down this one, it has those before.
        let marker = format!("/marker/{}", lines().len());
        self.ask(&marker, "org.freedesktop.DBus", &format!("{interface}.{member}"), "");
        self.wait_for("the monitor", |_| lines().iter().any(|line| line.contains(&marker)));
        lines().iter().filter(|line| !line.contains("/marker/")).count()
    }

    fn call_log(&self) -> PathBuf {
        self.folder.path().join("calls.log")
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

impl KeyringBus {
    /// How GNOME's daemon ended, if by a failed assertion of its own, as GLib ends programs.
    fn crash(&mut self) -> Option<ExitStatus> {
        let daemon = self.children.iter_mut().find(|child| Some(child.id()) == self.gnome_keyring)?;
        let start = Instant::now();
        // The test has seen the end of the connection, which comes before the end of the process.
        while start.elapsed() < Duration::from_millis(500) {
            if let Some(status) = daemon.try_wait().unwrap() {
                let assertion = [Signal::ABORT, Signal::TRAP].map(|signal| Some(signal.as_raw()));
                return Some(status).filter(|status| assertion.contains(&status.signal()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    #[allow(clippy::print_stderr)]
    fn say_whether_it_crashed(&mut self) {
        let Some(status) = self.crash() else { return };
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        eprintln!("gnome-keyring-daemon crashed in {test}: {status}");
        if let Some(path) = &self.crash_log
            && let Ok(mut log) = fs::OpenOptions::new().create(true).append(true).open(path)
        {
            let _ = writeln!(log, "{test}: gnome-keyring-daemon crashed, {status}");
        }
    }
}

impl Drop for KeyringBus {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.say_whether_it_crashed();
        }
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
        panic!(
            "{name} is missing. Install it with:\n  apt-get install -y dbus gnome-keyring libsecret-tools libcap2-bin keepassxc \
             libkf5wallet-bin libqca-qt5-2-plugins xvfb xdotool"
        )
    });
    Command::new(path)
}
