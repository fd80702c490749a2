//! Keychains that have windows: KeePassXC and KWallet, on an X server of a test's own, and somebody who answers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{KeyringBus, tool};

const PASSWORD: &str = "correct horse";
/// The group that programs get to see; KeePassXC's own settings keep it in the database.
const DATABASE: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<KeePassFile>
 <Meta>
  <Generator>a test</Generator><DatabaseName>Passwords</DatabaseName>
  <RecycleBinEnabled>RECYCLE</RecycleBinEnabled><RecycleBinUUID>AAAAAAAAAAAAAAAAAAAAAA==</RecycleBinUUID>
  <HistoryMaxItems>10</HistoryMaxItems><HistoryMaxSize>6291456</HistoryMaxSize>
  <CustomData><Item><Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>{01020304-0506-0708-090a-0b0c0d0e0f10}</Value></Item></CustomData>
 </Meta>
 <Root><Group><UUID>AQIDBAUGBwgJCgsMDQ4PEA==</UUID><Name>Root</Name></Group></Root>
</KeePassFile>
"#;

/// Somebody who answers each request for access with a yes, until dropped.
pub(crate) struct Answering {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl KeyringBus {
    pub(super) fn start_keepassxc(&mut self) {
        self.start_keepassxc_with("True");
    }

    /// The same with its recycle bin turned off: it asks before it deletes.
    pub(crate) fn keepassxc_without_recycle_bin() -> Self {
        let mut this = Self::start(super::Keyring::NoService);
        this.start_keepassxc_with("False");
        this
    }

    fn start_keepassxc_with(&mut self, recycle: &str) {
        let folder = self.folder.path().to_owned();
        let (source, database) = (folder.join("database.xml"), self.database());
        fs::write(&source, DATABASE.replace("RECYCLE", recycle)).unwrap();
        self.keepassxc_cli(&["import", "-p", source.to_str().unwrap(), database.to_str().unwrap()], 2);
        let settings = folder.join("config/keepassxc");
        fs::create_dir_all(&settings).unwrap();
        // The integration is off until somebody turns it on; the rest is a first start without its question about updates.
        let text = "[General]\nUpdateCheckMessageShown=true\n[FdoSecrets]\nEnabled=true\n";
        fs::write(settings.join("keepassxc.ini"), text).unwrap();
        self.start_screen();
        self.start_keepassxc_itself();
    }

    /// Starts it with the database open, on the screen that is there.
    fn start_keepassxc_itself(&mut self) {
        let mut command = tool("keepassxc");
        // One a user, by a socket in the folder for temporary files; and this one is a test's own.
        let temporary = self.folder.path().join("tmp");
        fs::create_dir_all(&temporary).unwrap();
        command.arg("--pw-stdin").arg(self.database()).stdout(Stdio::null()).stderr(Stdio::null());
        let command = self.on_screen(&mut command).env("TMPDIR", temporary);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
        self.children.push(child);
        self.wait_for("KeePassXC to come to the bus", Self::is_owned);
        self.wait_for_default();
    }

    fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("Passwords.kdbx")
    }

    /// Gives what it wrote to stdout.
    fn keepassxc_cli(&self, args: &[&str], times: usize) -> String {
        let mut command = tool("keepassxc-cli");
        let command =
            self.inside(command.args(args)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").repeat(times).as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The whole database as it is on the disk, decrypted: entries, their old versions, the recycle bin.
    pub(crate) fn database_in_clear(&self) -> String {
        self.keepassxc_cli(&["export", "-q", self.database().to_str().unwrap()], 1)
    }

    /// Locks the database, as a screen's lock does.
    pub(crate) fn lock_keepassxc(&self) {
        let mut command = tool("dbus-send");
        command.arg(format!("--bus={}", self.address)).args(["--print-reply", "--dest=org.freedesktop.secrets"]);
        command.args(["/keepassxc", "org.keepassxc.KeePassXC.MainWindow.lockAllDatabases"]).stdout(Stdio::null());
        assert!(self.inside(&mut command).status().unwrap().success());
        self.wait_for("the lock", |this| {
            let mut command = tool("dbus-send");
            command.arg(format!("--bus={}", this.address)).args(["--print-reply", "--dest=org.freedesktop.secrets"]);
            command.args(["/org/freedesktop/secrets/aliases/default", "org.freedesktop.DBus.Properties.Get"]);
            command.args(["string:org.freedesktop.Secret.Collection", "string:Locked"]);
            let output = this.inside(&mut command).output().unwrap();
            String::from_utf8_lossy(&output.stdout).contains("boolean true")
        });
    }

    pub(super) fn start_kwallet(&mut self) {
        let config = self.folder.path().join("config");
        fs::create_dir_all(&config).unwrap();
        fs::write(config.join("kwalletrc"), "[Wallet]\nFirst Use=false\nEnabled=true\nDefault Wallet=kdewallet\n")
            .unwrap();
        self.start_screen();
        // It lists the wallets that there are when it starts, and this one comes to be when it is first opened.
        self.start_kwalletd();
        self.end_keyring();
        self.start_kwalletd();
        self.wait_for_default();
    }

    fn start_kwalletd(&mut self) {
        let mut command = tool("kwalletd5");
        let child = self.on_screen(command.stdout(Stdio::null()).stderr(Stdio::null())).stdin(Stdio::null());
        let child = child.spawn().unwrap();
        self.children.push(child);
        self.wait_for("KWallet to come to the bus", Self::is_owned);
        // As PAM does at a sign-in, with the password's hash.
        let hash: Vec<String> = (1..=56).map(|byte| byte.to_string()).collect();
        self.kwallet(&["pamOpen", "string:kdewallet", &format!("array:byte:{}", hash.join(",")), "int32:0"]);
        self.wait_for("the wallet to be open", |this| {
            this.kwallet(&["isOpen", "string:kdewallet"]).contains("boolean true")
        });
    }

    fn kwallet(&self, call: &[&str]) -> String {
        let mut command = tool("dbus-send");
        command.arg(format!("--bus={}", self.address)).args(["--print-reply", "--dest=org.kde.kwalletd5"]);
        command.arg("/modules/kwalletd5").arg(format!("org.kde.KWallet.{}", call[0])).args(&call[1..]);
        let output = self.inside(&mut command).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The wallet's file.
    pub(crate) fn wallet(&self) -> std::path::PathBuf {
        self.folder.path().join("data/kwalletd/kdewallet.kwl")
    }

    /// Closes the wallet for everybody.
    pub(crate) fn close_wallet(&self) {
        self.kwallet(&["close", "string:kdewallet", "boolean:true"]);
    }

    fn start_screen(&mut self) {
        let mut command = tool("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp"]);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut screen = command.spawn().unwrap();
        let mut number = String::new();
        BufReader::new(screen.stdout.take().unwrap()).read_line(&mut number).unwrap();
        self.display = Some(format!(":{}", number.trim()));
        self.children.push(screen);
    }

    fn on_screen<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        self.inside(command).env("DISPLAY", self.display.as_deref().unwrap()).env("QT_QPA_PLATFORM", "xcb")
    }

    /// The titles of the windows on the screen.
    pub(crate) fn windows(&self) -> Vec<String> {
        let found = self.xdotool(&["search", "--onlyvisible", "--name", ""]);
        let titles = found.lines().map(|window| self.xdotool(&["getwindowname", window]).trim().to_owned());
        titles.filter(|title| !title.is_empty()).collect()
    }

    fn xdotool(&self, args: &[&str]) -> String {
        let output = self.on_screen(tool("xdotool").args(args)).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// From now on each window of that title is answered with that key.
    pub(crate) fn answer(&self, title: &'static str, key: &'static str) -> Answering {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut environment = self.environment();
        environment.push(("DISPLAY", self.display.clone().unwrap().into()));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let thread = std::thread::spawn(move || {
            let run = |args: &[&str]| {
                let output = tool("xdotool").args(args).env_clear().envs(environment.clone()).output().unwrap();
                String::from_utf8_lossy(&output.stdout).into_owned()
            };
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                if let Some(window) = run(&["search", "--onlyvisible", "--name", title]).lines().last() {
                    run(&["key", "--window", window, key]);
                    count.fetch_add(1, Ordering::Relaxed);
                    // It takes a moment to go.
                    std::thread::sleep(Duration::from_millis(500));
                }
            }
        });
        Answering { stop, answered, thread: Some(thread) }
    }
}

impl Answering {
    /// How many were answered by now.
    pub(crate) fn count(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
