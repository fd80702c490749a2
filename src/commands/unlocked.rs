//! What `run` and `unlock` say when the device is open, or the cluster.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::{run_again, run_cluster_again, unlock_again};
use crate::device::check_address;
use crate::error::Error;
use crate::flow::Unlocked;
use crate::model::{ClusterNode, Endpoint, HandOverMethod, JobId, KeychainKind, TargetId};
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::Ui;

#[derive(Serialize)]
struct RunResult<'a> {
    device: &'static str,
    endpoint: &'a Endpoint,
    was_open_already: bool,
    handed_over_by: HandOverMethod,
    argv_seconds: Option<u64>,
    keychain: KeychainKind,
    /// What a person calls it.
    keychain_name: &'a str,
    manifest: Option<&'a PathBuf>,
    /// Of a cluster.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    nodes: &'a [ClusterNode],
    /// The jobs of those that are not open.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing: &'a [JobId],
}

/// Whether an earlier run has left a pair.
fn is_kept(job: &TargetId, settings: &Settings) -> bool {
    let record = StateFolder::record_below(&settings.state_dir, job);
    record.is_ok_and(|record| record.is_some_and(|record| record.pair.is_some()))
}

/// What was agreed to when it was asked: a command to paste may find nobody to ask.
fn agreed_flag<'a>(mut addresses: impl Iterator<Item = &'a Endpoint>, settings: &Settings) -> &'static str {
    let is_public = |address: &Endpoint| matches!(check_address(address), Err(Error::EndpointPublic { .. }));
    if !settings.allow_public_endpoint && addresses.any(is_public) { " --allow-public-endpoint" } else { "" }
}

pub(super) fn tell(unlocked: &Unlocked, endpoint: &Endpoint, settings: &Settings, ui: &Ui) {
    let hand_over = &unlocked.hand_over;
    let mut text = match &unlocked.nodes[..] {
        [] => format!("\nThe device at {} is UNLOCKED.\n\n", hand_over.endpoint),
        nodes => {
            let lines: String =
                nodes.iter().map(|node| format!("  {}  {}\n", node.name(), node.state_in_words())).collect();
            let open = nodes.len() - unlocked.missing.len();
            format!("\nThe cluster {} is UNLOCKED: {open} of {} nodes.\n\n{lines}\n", unlocked.job, nodes.len())
        }
    };
    let agreed = agreed_flag(std::iter::once(endpoint).chain(&hand_over.nodes), settings);
    match &unlocked.manifest {
        Some(manifest) => {
            text.push_str(&format!(
                "  Unlock code  {}\n  Manifest     {}\n\n",
                unlocked.keychain_name,
                manifest.display()
            ));
            text.push_str(&format!(
                "A device that loses power is locked again. To unlock it without internet{}, run:\n  {}",
                // The kernel forgets the code then.
                if unlocked.keychain == KeychainKind::Kernel { ", until this machine reboots or you log out" } else { "" },
                unlock_again(&unlocked.job, endpoint, settings, |setting| setting.reopens) + agreed
            ));
        }
        None if unlocked.was_removed => text.push_str(&format!(
            "Code and manifest were removed from this machine, as the setting keep says. If the device loses power, it is locked again. To unlock it then, with internet and an AWS sign-in:\n  {}",
            if unlocked.nodes.is_empty() {
                run_again(Some(&unlocked.job), Some(endpoint), settings, |_| true)
            } else {
                run_cluster_again(&unlocked.job, &hand_over.nodes, settings, |_| true)
            } + agreed
        )),
        None if is_kept(&unlocked.job, settings) => text.push_str(&ui.hint(&format!(
            "This run stored nothing. An earlier code and manifest of {0} are still stored on this machine. To remove them:\n  snow-onboard forget {0}",
            unlocked.job
        ))),
        None => text.push_str("Nothing is stored on this machine. If the device loses power, run the same command again. It fetches both anew, for which it needs internet and an AWS sign-in."),
    }
    if let Some(seconds) = hand_over.argv_seconds {
        text.push_str(&format!(
            "\nThe unlock code was on the client's command line for {seconds} s. Other programs on this machine could read it."
        ));
    }
    ui.result(
        Some(&unlocked.job),
        &text,
        RunResult {
            device: "UNLOCKED",
            endpoint: &hand_over.endpoint,
            was_open_already: unlocked.was_open_already,
            handed_over_by: hand_over.method,
            argv_seconds: hand_over.argv_seconds,
            keychain: unlocked.keychain,
            keychain_name: &unlocked.keychain_name,
            manifest: unlocked.manifest.as_ref(),
            nodes: &unlocked.nodes,
            missing: &unlocked.missing,
        },
    );
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::Origin;
    use crate::settings::{Flags, Given, ProcessEnvironment, setting};

    #[test]
    fn a_public_address_is_said_with_its_flag_unless_the_settings_say_it() {
        let mut flags = Flags::new();
        let settings = |flags: &Flags| Settings::resolve(flags, &ProcessEnvironment::default()).unwrap();
        let (local, public): (Endpoint, Endpoint) = ("10.0.0.7".parse().unwrap(), "11.0.0.7".parse().unwrap());
        let bare = settings(&flags);
        assert_eq!(agreed_flag([&local].into_iter(), &bare), "");
        assert_eq!(agreed_flag([&local, &public].into_iter(), &bare), " --allow-public-endpoint");
        let origin = Origin::Flag(setting::allow_public_endpoint.flag());
        flags.insert(Given::read(&setting::allow_public_endpoint, "true".to_owned(), origin));
        assert_eq!(agreed_flag([&public].into_iter(), &settings(&flags)), "", "the command says it already");
    }
}
