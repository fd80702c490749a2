//! Who acts: the account and the machine, as the system knows them. Nothing of it is taken from the environment, which the
//! caller sets as it likes.

use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde::Serialize;

use crate::os;
use crate::safety::sanitize::sanitize;

/// How long the user database may take: it may be a directory service that does not answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The account of this process, and this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Actor {
    /// The account's number, on Unix.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    /// Its security identifier, on Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// Its name; `null` where the system has none or does not say it in time.
    user: Option<String>,
    /// What this machine is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

impl Actor {
    /// Of this process.
    pub(super) fn of_this_process() -> &'static Self {
        static ACTOR: OnceLock<Actor> = OnceLock::new();
        ACTOR.get_or_init(|| {
            let (sender, account) = channel();
            // Without a thread the sender is gone, and nothing is waited for.
            let _ = os::threads::begin(move || sender.send(account_of_this_process()));
            let account = account.recv_timeout(TIMEOUT).unwrap_or_else(|_| number_of_this_process());
            let tidy = |text: String| sanitize(&text);
            Self { user: account.user.map(tidy), host: os::host_name().map(tidy), ..account }
        })
    }
}

/// The account of this process and this machine, for a sentence.
pub(crate) fn this_account_in_words() -> String {
    let Actor { user, uid, sid, host } = Actor::of_this_process();
    account_in_words(user.as_deref(), *uid, sid.as_deref(), host.as_deref())
}

/// "anna (uid 1000) on laptop".
pub(super) fn account_in_words(user: Option<&str>, uid: Option<u32>, sid: Option<&str>, host: Option<&str>) -> String {
    let number = uid.map(|uid| format!("uid {uid}")).or_else(|| sid.map(|sid| format!("SID {sid}")));
    let account = match (user, number) {
        (Some(user), Some(number)) => format!("{user} ({number})"),
        // In a line of an older version: the environment of that run said so.
        (Some(user), None) => format!("{user} (not checked)"),
        (None, Some(number)) => number,
        (None, None) => "an unknown account".to_owned(),
    };
    host.map_or(account.clone(), |host| format!("{account} on {host}"))
}

#[cfg(unix)]
fn account_of_this_process() -> Actor {
    let (uid, user) = crate::safety::path_trust::this_account();
    Actor { uid: Some(uid), user, ..Actor::default() }
}

/// What needs no user database.
#[cfg(unix)]
fn number_of_this_process() -> Actor {
    Actor { uid: Some(crate::safety::path_trust::this_uid()), ..Actor::default() }
}

#[cfg(windows)]
fn account_of_this_process() -> Actor {
    let Ok(account) = os::this_account() else { return Actor::default() };
    Actor { sid: Some(account.text), user: account.name, ..Actor::default() }
}

/// The identifier and the name come of one call, so without the one there is no other.
#[cfg(windows)]
fn number_of_this_process() -> Actor {
    Actor::default()
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_the_process_s_and_the_host_the_kernel_s() {
        let actor = Actor::of_this_process();
        let said = |program: &str, args: &[&str]| {
            let output = std::process::Command::new(program).args(args).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        assert_eq!(actor.uid.unwrap().to_string(), said("id", &["-u"]));
        assert_eq!(actor.user.clone().unwrap(), said("id", &["-un"]));
        assert_eq!(actor.host.clone().unwrap(), said("uname", &["-n"]));
        assert_eq!(actor.sid, None);
        assert_eq!(number_of_this_process(), Actor { uid: actor.uid, ..Actor::default() });
    }
}
