//! `run`: the whole flow.

use std::path::PathBuf;

use serde::Serialize;

use super::jobs::no_job_ready;
use super::{guide, run_plan};
use crate::cli::{RunArgs, run_again, unlock_again};
use crate::cloud::Cloud;
use crate::error::{Error, ExitCode, Result};
use crate::flow::{Requested, Unlocked, keep_after_unlock};
use crate::model::{Endpoint, HandOverMethod, JobId, KeychainKind, Purpose, Readiness};
use crate::report::{Reporter, Step};
use crate::settings::Settings;
use crate::store::StateFolder;
use crate::ui::Ui;

const EXAMPLE_JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";

pub(super) fn run(args: &RunArgs, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    if let Some(plan) = &args.plan {
        return run_plan::run_plan(plan, settings, ui, reporter);
    }
    // Everything that can be mistyped is looked at before anything is asked of AWS.
    let named = args.job.as_deref().map(super::parse_job).transpose()?;
    if let Some(job) = &named {
        reporter.is_about(job);
    }
    if args.is_bare && !ui.can_prompt() {
        let why = format!("{}, so give JOB and --endpoint on the command line", ui.why_nobody_is_asked(args.no_input));
        let hint = format!("For example:\n  snow-onboard run {EXAMPLE_JOB} --endpoint 192.0.2.10");
        return Err(Error::NobodyToAsk { why, hint });
    }
    if ui.can_prompt() && (args.is_bare || named.is_none() || settings.endpoint.is_none()) {
        let plan = guide::plan(named, settings, ui, reporter)?;
        return open(plan.job, &plan.endpoint, &plan.settings, ui, reporter);
    }
    let endpoint = settings.endpoint.as_ref().ok_or(Error::EndpointMissing)?;
    let job = match named {
        Some(job) => job,
        None => the_delivered_job(endpoint, settings, reporter)?,
    };
    open(job, endpoint, settings, ui, reporter)
}

fn open(job: JobId, endpoint: &Endpoint, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    reporter.is_about(&job);
    let unlocked = Requested { job, purpose: Purpose::Run, settings, reporter: reporter.clone(), ask: ui }
        .check_with_device(endpoint)?
        .keep()?
        .hand_over(endpoint)?
        .wait()?;
    let unlocked = keep_after_unlock(unlocked, settings, reporter)?;
    tell(&unlocked, endpoint, settings, ui);
    Ok(ExitCode::Done)
}

/// The one job that has been delivered.
fn the_delivered_job(endpoint: &Endpoint, settings: &Settings, reporter: &Reporter) -> Result<JobId> {
    let cloud = Cloud::open(&settings.cloud(), reporter.shared())?;
    reporter.begin(Step::Job);
    let jobs = cloud.jobs()?;
    let delivered: Vec<JobId> = jobs
        .iter()
        .filter(|job| job.state.readiness() == Readiness::Ready && !job.is_main && job.cluster.is_none())
        .filter_map(|job| job.id.parse().ok())
        .collect();
    match &delivered[..] {
        [] => Err(no_job_ready(&jobs, |job| run_again(job, Some(endpoint), settings, |setting| setting.key != "wait"))),
        [job] => {
            reporter.step(Step::Job, &format!("{job} is the one that has been delivered"));
            Ok(job.clone())
        }
        several => {
            let jobs = several.iter().map(JobId::as_str).collect::<Vec<_>>().join(", ");
            Err(Error::JobAmbiguous { jobs, hint: format!("snow-onboard run JID… --endpoint {endpoint}") })
        }
    }
}

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
}

/// Whether an earlier run has left a pair.
fn is_kept(job: &JobId, settings: &Settings) -> bool {
    StateFolder::pairs_below(&settings.state_dir).is_ok_and(|kept| kept.contains(job.as_str()))
}

pub(super) fn tell(unlocked: &Unlocked, endpoint: &Endpoint, settings: &Settings, ui: &Ui) {
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
                "A device that loses power is locked again. To unlock it without internet{}, run:\n  {}",
                // The kernel forgets the code then.
                if unlocked.keychain == KeychainKind::Kernel { ", until this machine reboots or you log out" } else { "" },
                unlock_again(&unlocked.job, endpoint, settings, |setting| setting.reopens)
            ));
        }
        None if unlocked.was_removed => text.push_str(&format!(
            "Code and manifest were removed from this machine, as the setting keep says. If the device loses power, it is locked again. To unlock it then, with internet and an AWS sign-in:\n  {}",
            run_again(Some(&unlocked.job), Some(endpoint), settings, |_| true)
        )),
        None if is_kept(&unlocked.job, settings) => text.push_str(&format!(
            "This run stored nothing. An earlier code and manifest of {0} are still stored on this machine. To remove them:\n  snow-onboard forget {0}",
            unlocked.job
        )),
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
        },
    );
}
