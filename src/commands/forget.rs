//! `forget`: both halves and the record, gone, of one job or of all; or a profile out of the client's own settings.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::{Forget, forget_all_again};
use crate::device::OwnProfiles;
use crate::error::{Error, ExitCode, Result};
use crate::flow::{forget_job, open_state_folder};
use crate::model::JobId;
use crate::report::{Ask, Event, Notify, Reporter};
use crate::safety::sanitize::sanitize;
use crate::settings::Settings;
use crate::store::{Audit, AuditStep, StateFolder};
use crate::ui::{Failure, Ui};

#[derive(Serialize)]
struct ForgetResult<'a> {
    code_removed_from: &'a [String],
    files_removed: bool,
}

pub(super) fn forget(args: &Forget, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    match &args.job {
        Some(job) => forget_one(job, args, settings, ui, reporter).map(|()| ExitCode::Done),
        None => forget_all(settings, ui, reporter),
    }
}

fn forget_one(job: &str, args: &Forget, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<()> {
    let job = super::parse_job(job)?;
    reporter.is_about(&job);
    if let Some(profile) = &args.client_profile {
        return remove_profile(profile, &job, settings, ui, reporter);
    }
    let state = open_state_folder(&settings.state_dir, reporter)?;
    let Some(removed) = forget_job(&job, &state, settings, reporter)? else {
        let text = format!(
            "No manifest and no record of {job} are on this machine. No keychain was searched, because keychain is none. \
             To search the system's:\n  snow-onboard forget {job} --keychain system"
        );
        ui.result(Some(&job), &text, ForgetResult { code_removed_from: &[], files_removed: false });
        return Ok(());
    };
    let (code, files) = (removed.code, removed.files);
    ui.result(
        Some(&job),
        &format!(
            "The stored data of {job} was removed.\n\n  Unlock code          {code}\n  Manifest and record  {files}"
        ),
        ForgetResult { code_removed_from: &removed.code_removed_from, files_removed: removed.files_removed },
    );
    // After the result, which they qualify.
    removed.copies_elsewhere.into_iter().for_each(|warning| reporter.notify(Event::Warning(warning)));
    Ok(())
}

#[derive(Serialize)]
struct ForgetAllResult {
    jobs: Vec<ForgottenRow>,
    /// What is left of this program's: the audit log, and what it does not know.
    left: Vec<PathBuf>,
}

#[derive(Serialize)]
struct ForgottenRow {
    job: JobId,
    code_removed_from: Vec<String>,
    files_removed: bool,
    /// Why not all of it was removed.
    error: Option<Failure>,
}

/// Every job that is stored here; one that can't be removed does not keep the others. Ends as the first of those did.
fn forget_all(settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    if !StateFolder::is_there(&settings.state_dir)? {
        ui.result(None, NOTHING_STORED, ForgetAllResult { jobs: Vec::new(), left: Vec::new() });
        return Ok(ExitCode::Done);
    }
    let state = open_state_folder(&settings.state_dir, reporter)?;
    let stored: Vec<JobId> = state.kept()?.into_iter().map(|(job, _)| job).collect();
    if !stored.is_empty() && ui.can_prompt() && !ui.ask(&question(&stored)) {
        return Err(Error::Cancelled { why: "Nothing was removed".to_owned(), hint: String::new() });
    }
    let (mut rows, mut lines, mut failure) = (Vec::new(), Vec::new(), None);
    for job in stored {
        let of_job = reporter.for_job(&job);
        let mut row =
            ForgottenRow { job: job.clone(), code_removed_from: Vec::new(), files_removed: false, error: None };
        match forget_job(&job, &state, settings, &of_job) {
            Ok(removed) => {
                if let Some(removed) = removed {
                    lines.push(format!("  {job}  code {}; files {}", removed.code, removed.files));
                    row.code_removed_from = removed.code_removed_from;
                    row.files_removed = removed.files_removed;
                    removed.copies_elsewhere.into_iter().for_each(|warning| of_job.notify(Event::Warning(warning)));
                }
            }
            Err(error) => {
                row.error = Some(ui.failure_of_one(&job, &error));
                lines.push(format!("  {job}  not removed"));
                failure.get_or_insert(error.exit());
            }
        }
        rows.push(row);
    }
    let mut left = Vec::new();
    if failure.is_none() {
        match state.remove_all_but_audit() {
            Ok(paths) => left = paths,
            // What was removed is told all the same.
            Err(error) => _ = failure.insert(ui.failure_of_several(&error)),
        }
    }
    let mut text = match (lines.is_empty(), failure.is_none()) {
        (true, _) => NOTHING_STORED.to_owned(),
        (false, true) => format!("The stored data of all jobs was removed.\n\n{}", lines.join("\n")),
        (false, false) => format!(
            "Not all stored data was removed.\n\n{}\n\nSolve the problem that is named above, then repeat the same command:\n  {}",
            lines.join("\n"),
            forget_all_again(settings)
        ),
    };
    for path in &left {
        text.push_str(&format!("\n\nLeft: {}", path.display()));
    }
    ui.result(None, &text, ForgetAllResult { jobs: rows, left });
    Ok(failure.unwrap_or(ExitCode::Done))
}

const NOTHING_STORED: &str = "No job is stored on this machine.";

fn question(jobs: &[JobId]) -> String {
    let list: Vec<String> = jobs.iter().map(|job| format!("  {job}")).collect();
    format!("{}\nRemove the unlock codes, manifests and records of these jobs from this machine?", list.join("\n"))
}

#[derive(Serialize)]
struct ProfileRemovedResult<'a> {
    client_profile: &'a str,
    files: &'a [PathBuf],
}

/// Takes a profile out of the client's own settings, and leaves what is kept here alone.
fn remove_profile(profile: &str, job: &JobId, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<()> {
    let state = open_state_folder(&settings.state_dir, reporter)?;
    // One at a time, as far as it is ours to say.
    let _locked = state.job(job)?;
    let files = OwnProfiles::of_this_user().remove(profile, job)?;
    Audit::of(&state, settings.audit_copy).note(job, AuditStep::ClientProfileRemoved, None)?;
    let places: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    ui.result(
        Some(job),
        &format!("The profile “{}” is no longer in {}.", sanitize(profile), places.join(" and ")),
        ProfileRemovedResult { client_profile: &sanitize(profile), files: &files },
    );
    Ok(())
}
