//! The vendor's client, and the private folder that it is given the code in.

use std::sync::Arc;

use super::{Check, Subject, WarningCollector};
use crate::device::{Client, Device, HomeProbe, Places, Preparation};
use crate::error::{Error, Result};
use crate::model::PrivateHome;
use crate::report::Notify;
use crate::safety::sanitize::sanitize;
use crate::settings::Settings;

/// Looks at both as a run would: the client is started once, to say its version, and in such a folder.
pub(super) fn client_and_folder(settings: &Settings, heard: &Arc<WarningCollector>) -> Vec<Check> {
    let notify = || Arc::clone(heard) as Arc<dyn Notify>;
    let found = Client::find(&settings.client(), &**heard);
    let on_disk = settings.private_home == PrivateHome::Disk;
    let home = HomeProbe::make(&[&settings.state_dir], &Places::of_system(), on_disk, notify());
    let client = match found {
        Err(error) => Check::failed(Subject::Client, &error),
        Ok(client) if home.is_err() => Check::warning(
            Subject::Client,
            format!(
                "{} is there, and only you or an administrator can change it. It was not started.",
                client.launcher().display()
            ),
            "It is started only in a private folder: see the line below.",
        ),
        Ok(client) => started(client, settings, heard),
    };
    vec![client, folder(&home)]
}

fn started(client: Client, settings: &Settings, heard: &Arc<WarningCollector>) -> Check {
    const SUBJECT: Subject = Subject::Client;
    let prepared = Device::prepare(Preparation {
        client,
        known: Vec::new(),
        keep_away: &[&settings.state_dir],
        places: Places::of_system(),
        on_disk: &|_| settings.private_home == PrivateHome::Disk,
        guard: None,
        notify: Arc::clone(heard) as Arc<dyn Notify>,
    });
    let device = match prepared {
        Ok(device) => device,
        Err(error) => return failed(&error, heard),
    };
    let client = device.client();
    let digest = match client.sha256(&**heard) {
        Ok(digest) => digest,
        Err(error) => return failed(&error, heard),
    };
    let pinned = if settings.client_sha256.is_some() { "pinned" } else { "not pinned" };
    let version =
        device.client_version().map_or_else(|| "version unknown".to_owned(), |version| format!("version {version}"));
    let text = format!(
        "{}, {version}; it starts, and only you or an administrator can change it{}; {pinned}, SHA-256 {digest}",
        client.launcher().display(),
        java_in_words(client)
    );
    // What is said of the folder, its own line says.
    let warnings = device.client_warnings();
    if warnings.is_empty() {
        return Check::ok(SUBJECT, text);
    }
    let hint = if client.is_alone() || device.client_version().is_none() {
        "Unpack the vendor's package of the current version into a folder of its own, and name the launcher in it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge"
    } else {
        "If the client needs a program in one of these places, see to it that only you or an administrator can change them. Else nothing needs to be done."
    };
    Check::warning(SUBJECT, format!("{text}. {}", warnings.join(" ")), hint)
}

/// With what was warned of before it failed, which may be why: a client finds nothing in a folder that it does not get.
fn failed(error: &Error, heard: &WarningCollector) -> Check {
    let mut check = Check::failed(Subject::Client, error);
    let mut warnings = heard.warnings();
    warnings.dedup();
    for warning in warnings {
        check.text = format!("{} {}", check.text, sanitize(&warning));
    }
    check
}

/// What is said of a Java that is not the client's own: it is looked at as well, and is not part of the digest.
fn java_in_words(client: &Client) -> String {
    if client.has_own_java() {
        return String::new();
    }
    match Client::java_of_path() {
        Some(java) => {
            format!(" or the Java that it finds in PATH, {}, which is not part of the SHA-256", java.display())
        }
        None => "; it has no Java of its own, and none is in the folders of PATH that it gets".to_owned(),
    }
}

fn folder(home: &Result<HomeProbe>) -> Check {
    const SUBJECT: Subject = Subject::PrivateFolder;
    match home {
        Err(error) => Check::failed(SUBJECT, error),
        Ok(home) if home.in_memory => {
            Check::ok(SUBJECT, format!("can be made in {}, in memory", home.folder.display()))
        }
        Ok(home) if home.rejected.is_empty() => Check::ok(
            SUBJECT,
            format!(
                "can be made in {}, on the disk: this system has none in memory, so disk encryption is what protects it",
                home.folder.display()
            ),
        ),
        Ok(home) => Check::warning(
            SUBJECT,
            format!(
                "can be made in {}, on a disk and not in memory: {}",
                home.folder.display(),
                home.rejected.join("; ")
            ),
            "A run uses this folder. Only disk encryption protects the code there. To get a folder in memory, log in directly or with ssh, not with su or sudo.",
        ),
    }
}
