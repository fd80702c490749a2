//! `credentials`: the device's access key, for the program that reads stdout.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::cli::Credentials;
use crate::error::{Error, Result};
use crate::flow::{DeviceKey, check_keychain, device_key};
use crate::model::{AccessKeyId, Malformed, tidy};
use crate::report::Reporter;
use crate::settings::Settings;
use crate::ui::Ui;

pub(super) fn credentials(args: &Credentials, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<()> {
    let (job, node) = super::parse_target_and_node(&args.job, settings, reporter)?;
    reporter.is_about(&job);
    let wanted = args.access_key_id.as_deref().map(parse_id).transpose()?;
    check_keychain(settings)?;
    if ui.is_seen() {
        return Err(Error::KeyNotForTerminal { job: job.to_string() });
    }
    let key = device_key((&job, node.as_ref()), wanted.as_ref(), args.refresh, settings, reporter)?;
    ui.hand_out(&document(&key)?)
}

/// What was typed is not repeated: it may be the secret, pasted in the wrong place.
fn parse_id(given: &str) -> Result<AccessKeyId> {
    tidy(given).parse().map_err(|Malformed { why }| Error::AccessKeyIdInvalid { why })
}

/// What a `credential_process` prints (AWS SDKs and Tools Reference Guide, "Process credential provider"). Without an expiry,
/// the key counts as one that does not expire, which is so.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ProcessCredentials<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
}

fn document(key: &DeviceKey) -> Result<Zeroizing<Vec<u8>>> {
    // Room for all of it: a vector that grows leaves copies.
    let mut document = Zeroizing::new(Vec::with_capacity(1024));
    let written = key.secret.expose(|secret| {
        let content = ProcessCredentials { version: 1, access_key_id: key.id.as_str(), secret_access_key: secret };
        serde_json::to_writer(&mut *document, &content)
    });
    written.map_err(|_| Error::Internal { what: "the credentials can't be written as JSON".to_owned() })?;
    document.push(b'\n');
    Ok(document)
}
