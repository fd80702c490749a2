//! `run`: the whole flow.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::guide;
use crate::cli::Run;
use crate::cloud::Cloud;
use crate::error::{Error, Result};
use crate::job::{Endpoint, JobId, Readiness};
use crate::notice::Notify;
use crate::onboard::{Requested, Unlocked};
use crate::settings::{Flags, Settings, Surroundings};
use crate::store::default_state_folder;
use crate::ui::{Step, Ui};

pub(super) fn run(args: &Run, typed: &Flags, around: &Surroundings, settings: &Settings, ui: &Arc<Ui>) -> Result<()> {
    // Everything that can be mistyped is looked at before anything is asked of AWS.
    let named = args.job.as_deref().map(super::parse_job).transpose()?;
    if args.is_bare && !ui.may_guide() {
        return Err(Error::NobodyToAsk { why: why_nobody_is_asked(args.no_input, ui) });
    }
    if ui.may_guide() && (args.is_bare || settings.endpoint.is_none()) {
        let plan = guide::plan(named, typed, around, settings, ui)?;
        return open(plan.job, &plan.endpoint, &plan.typed, &plan.settings, ui);
    }
    let endpoint = settings.endpoint.as_ref().ok_or(Error::EndpointMissing)?;
    let job = match named {
        Some(job) => job,
        None => the_delivered_job(settings, ui)?,
    };
    open(job, endpoint, typed, settings, ui)
}

fn why_nobody_is_asked(no_input: bool, ui: &Ui) -> String {
    match (no_input, ui.is_for_programs()) {
        (true, _) => "With --no-input nothing is asked",
        (_, true) => "With --json nothing is asked",
        _ => "There is no terminal to ask at",
    }
    .to_owned()
}

fn open(job: JobId, endpoint: &Endpoint, typed: &Flags, settings: &Settings, ui: &Arc<Ui>) -> Result<()> {
    let unlocked = Requested { job, settings, ui: Arc::clone(ui) }
        .check_with_device(endpoint)?
        .keep()?
        .hand_over(endpoint)?
        .wait()?;
    tell(&unlocked, typed, settings, ui);
    Ok(())
}

/// The one job that has been delivered.
fn the_delivered_job(settings: &Settings, ui: &Arc<Ui>) -> Result<JobId> {
    let cloud = Cloud::open(&settings.cloud(), Arc::clone(ui) as Arc<dyn Notify>)?;
    ui.begin(Step::Job);
    let jobs = cloud.jobs()?;
    let delivered: Vec<JobId> = jobs
        .iter()
        .filter(|job| job.state.readiness() == Readiness::Ready && !job.is_main)
        .filter_map(|job| job.id.parse().ok())
        .collect();
    match &delivered[..] {
        [] => Err(Error::NoJobReady),
        [job] => {
            ui.step(Step::Job, &format!("{job} is the one that has been delivered"));
            Ok(job.clone())
        }
        several => {
            let jobs = several.iter().map(JobId::as_str).collect::<Vec<_>>().join(", ");
            Err(Error::JobAmbiguous { jobs })
        }
    }
}

#[derive(Serialize)]
struct Opened<'a> {
    job: &'a JobId,
    device: &'static str,
    endpoint: &'a str,
    was_open_already: bool,
    handed_over_by: &'a str,
    argv_seconds: Option<u64>,
    /// `system`, `kernel` or `none`.
    keychain: &'a str,
    /// What a person calls it.
    keychain_name: &'a str,
    manifest: Option<&'a PathBuf>,
}

/// What has nothing to say where AWS is not asked.
const ABOUT_AWS: [&str; 8] =
    ["profile", "region", "ca_bundle", "network_timeout", "manifest_limit", "wait", "wait_timeout", "log_file"];

/// The command for a job and a device that does the same in any shell: with the flags that were typed, and those for what
/// variables of ours said, which may not be there next time; save those `without`, and those of job and device.
pub(super) fn command(job: &JobId, endpoint: &str, said: &Flags, settings: &Settings, without: &[&str]) -> String {
    let mut said = said.clone();
    if !said.contains_key("state_dir") && default_state_folder().is_none_or(|usual| usual != settings.state_dir) {
        said.insert("state_dir", settings.state_dir.display().to_string());
    }
    let mut command = format!("snow-onboard run {job} --endpoint {endpoint}");
    for (key, value) in said.iter().filter(|(key, _)| **key != "endpoint" && !without.contains(key)) {
        let flag = key.replace('_', "-");
        match value.as_str() {
            "true" => command.push_str(&format!(" --{flag}")),
            // There is no flag that takes back.
            "false" => {}
            // Else it would be taken for a flag, or for nothing.
            value if value.is_empty() || value.starts_with('-') => {
                command.push_str(&format!(" --{flag}={}", quoted(value)));
            }
            value => command.push_str(&format!(" --{flag} {}", quoted(value))),
        }
    }
    command
}

/// For a POSIX shell; on Windows for PowerShell, of which the simple cases are good for cmd as well.
fn quoted(value: &str) -> String {
    let is_plain = !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "/:._-+".contains(c));
    match (is_plain, cfg!(windows)) {
        (true, _) => value.to_owned(),
        (_, true) if value.chars().all(|c| c.is_alphanumeric() || "/\\:._-+ ()".contains(c)) => format!("\"{value}\""),
        (_, true) => format!("'{}'", value.replace('\'', "''")),
        (_, false) => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

fn tell(unlocked: &Unlocked, typed: &Flags, settings: &Settings, ui: &Ui) {
    let hand_over = &unlocked.hand_over;
    let mut text = format!("\nThe device at {} is UNLOCKED.\n\n", hand_over.endpoint);
    match &unlocked.manifest {
        Some(manifest) => {
            text.push_str(&format!(
                "  Unlock code  {}\n  Manifest     {}\n\n",
                unlocked.keychain_name,
                manifest.display()
            ));
            text.push_str(&format!(
                "After a power cut the device is locked again. This opens it, without internet:\n  {}",
                command(&unlocked.job, &hand_over.endpoint, typed, settings, &ABOUT_AWS)
            ));
        }
        None => text.push_str("Nothing is kept on this machine. After a power cut, run the same command again."),
    }
    if let Some(seconds) = hand_over.argv_seconds {
        text.push_str(&format!(
            "\nThe code stood on the client's command line for {seconds} s, where other programs here could read it."
        ));
    }
    ui.result(
        &text,
        Opened {
            job: &unlocked.job,
            device: "UNLOCKED",
            endpoint: &hand_over.endpoint,
            was_open_already: unlocked.was_open_already,
            handed_over_by: &hand_over.rung,
            argv_seconds: hand_over.argv_seconds,
            keychain: &unlocked.keychain,
            keychain_name: &unlocked.keychain_name,
            manifest: unlocked.manifest.as_ref(),
        },
    );
}

// Paths and words as the shells of Unix have them.
#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_command_says_the_same_to_any_shell() {
        let job: JobId = "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap();
        let mut said = Flags::new();
        said.insert("state_dir", "/srv/it's here".to_owned());
        said.insert("profile", "a$(touch x)`id`".to_owned());
        said.insert("region", String::new());
        said.insert("log_file", "-x".to_owned());
        said.insert("wait_device", "true".to_owned());
        said.insert("wait", "false".to_owned());
        let settings = Settings::resolve(&Flags::new(), &Surroundings::default()).unwrap();
        let command = command(&job, "192.0.2.10", &said, &settings, &[]);
        // A shell's own word on it.
        let script = format!("set -- {command}; for word; do printf '%s\\n' \"$word\"; done");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let words = String::from_utf8(output.stdout).unwrap();
        let expected = [
            "snow-onboard",
            "run",
            job.as_str(),
            "--endpoint",
            "192.0.2.10",
            "--log-file=-x",
            "--profile",
            "a$(touch x)`id`",
            "--region=",
            "--state-dir",
            "/srv/it's here",
            "--wait-device",
        ];
        assert_eq!(words.lines().collect::<Vec<_>>(), expected, "{command}");
    }
}
