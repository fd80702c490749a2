//! Which keychain this machine has, and what is in it afterwards.

use std::process::{Command, Stdio};

use super::{Keychain, drill::SERVICE};

/// The best keychain here, and what to tell about the choice.
pub(super) fn choose() -> (Keychain, Vec<String>) {
    #[cfg(target_os = "linux")]
    return linux::choose();
    #[cfg(not(target_os = "linux"))]
    (Keychain::System, vec!["Keychain: the system's own.".to_owned()])
}

/// What a program that is not ours finds in the keychain under this job.
pub(super) enum Found {
    /// An entry with the code in it.
    Code,
    /// An entry whose secret was not looked at.
    Entry,
    /// No entry.
    Nothing,
    /// No program here that could look.
    Unknown(&'static str),
}

/// Looks for the job's entry.
pub(super) fn look(keychain: Keychain, job: &str, code: &str) -> Found {
    match keychain {
        Keychain::None => Found::Nothing,
        Keychain::Kernel => match std::fs::read_to_string("/proc/keys") {
            Ok(keys) if keys.lines().any(|line| line.contains(job)) => Found::Entry,
            Ok(_) => Found::Nothing,
            Err(_) => Found::Unknown("/proc/keys can't be read here"),
        },
        Keychain::System if cfg!(target_os = "macos") => {
            match output("security", &["find-generic-password", "-s", SERVICE, "-a", job]) {
                Some((true, _)) => Found::Entry,
                Some((false, _)) => Found::Nothing,
                None => Found::Unknown("the program security is not here"),
            }
        }
        Keychain::System if cfg!(windows) => match output("cmdkey", &["/list"]) {
            Some((_, text)) if text.contains(job) => Found::Entry,
            Some(_) => Found::Nothing,
            None => Found::Unknown("the program cmdkey is not here"),
        },
        Keychain::System => match output("secret-tool", &["search", "--all", "service", SERVICE]) {
            Some((_, text)) if !text.contains(job) => Found::Nothing,
            Some((_, text)) if text.contains(code) => Found::Code,
            Some(_) => Found::Entry,
            None => Found::Unknown("secret-tool is not installed (package libsecret-tools)"),
        },
    }
}

/// Whether it went well, and both outputs: versions of these programs differ in which they use.
fn output(program: &str, args: &[&str]) -> Option<(bool, String)> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{sync::mpsc, thread, time::Duration};

    use linux_keyutils::{KeyRing, KeyRingIdentifier};
    use secret_service::{EncryptionType, blocking::SecretService};

    use super::Keychain;

    /// A service that says nothing for this long is not one to rehearse with.
    const PATIENCE: Duration = Duration::from_secs(2);

    pub(super) fn choose() -> (Keychain, Vec<String>) {
        let desktop = match desktop() {
            Ok(()) => {
                return (Keychain::System, vec!["Keychain: the desktop's.".to_owned()]);
            }
            Err(why) => format!("No desktop keychain here: {why}."),
        };
        match kernel() {
            Ok(()) => (Keychain::Kernel, vec![desktop, "Keychain: the kernel's, gone at reboot.".to_owned()]),
            Err(why) => {
                let closed = format!("The kernel keyring is closed too: {why}.");
                (Keychain::None, vec![desktop, closed, "Keychain: none; the code is kept for one run only.".to_owned()])
            }
        }
    }

    /// On a thread of its own, because a service that does not answer would hold this one for ever.
    fn desktop() -> Result<(), String> {
        if std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_none() {
            return Err("there is no session bus".to_owned());
        }
        let (answer, answered) = mpsc::channel();
        thread::spawn(move || answer.send(default_collection()));
        answered.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("the Secret Service does not answer".to_owned()))
    }

    fn default_collection() -> Result<(), String> {
        let service = SecretService::connect(EncryptionType::Plain).map_err(|error| error.to_string())?;
        let collection = service.get_default_collection().map_err(|error| error.to_string())?;
        match collection.is_locked() {
            Ok(false) => Ok(()),
            Ok(true) => Err("its default collection is locked".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A session keyring of one's own that keeps what it is given. Without one the kernel shows the user's default
    /// keyring, to which a key can be added that nobody can then read.
    fn kernel() -> Result<(), String> {
        let text = |error: linux_keyutils::KeyError| error.to_string();
        let session = KeyRing::from_special_id(KeyRingIdentifier::Session, false).map_err(text)?;
        if KeyRing::from_special_id(KeyRingIdentifier::UserSession, false) == Ok(session) {
            return Err("this session has no keyring of its own".to_owned());
        }
        let probe = session.add_key("snow-rehearsal-probe", b"probe").map_err(text)?;
        let read = probe.read_to_vec().map_err(text);
        let removed = probe.invalidate().map_err(text);
        match (read, removed) {
            (Ok(read), Ok(())) if read == b"probe" => Ok(()),
            (Ok(_), Ok(())) => Err("it gives back something else than it was given".to_owned()),
            (Err(why), _) | (_, Err(why)) => Err(why),
        }
    }
}
