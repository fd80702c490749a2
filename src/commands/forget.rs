//! `forget`: both halves and the record, gone, of one job or of all; or a profile out of the client's own settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;
use time::OffsetDateTime;

use crate::cli::{Forget, forget_all_again, forget_in_keychain_again};
use crate::device::OwnProfiles;
use crate::error::{Error, ExitCode, Result};
use crate::flow::{
    Agreed, ChosenJob, ForgetChoice, confirm_removal, forget_job, jobs_in_keychain, open_state_folder, stored_in_words,
};
use crate::model::{KeychainKind, TargetId};
use crate::report::{Ask, Event, Notify, Reporter, WaitNotice, while_waiting};
use crate::safety::sanitize::sanitize;
use crate::settings::Settings;
use crate::store::{Audit, AuditStep, StateFolder, verify_audit};
use crate::ui::{Failure, Ui};

#[derive(Serialize)]
struct ForgetResult<'a> {
    code_removed_from: &'a [String],
    /// The keychains that may still have a code of the job: they were not searched, since another was named.
    code_stays_in: &'a [KeychainKind],
    files_removed: bool,
    /// The files that a profile for the device was taken out of.
    profiles_removed_from: Vec<&'a Path>,
}

/// Who is asked whether it is to be removed: nobody where that was said already, and where nobody can be.
fn asked(is_agreed: bool, ui: &Ui) -> Option<&dyn Ask> {
    (!is_agreed && ui.can_prompt()).then_some(ui)
}

pub(super) fn forget(args: &Forget, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    if args.client_profile.is_none() {
        tell_of_flawed_audit(settings, reporter);
    }
    match &args.job {
        Some(job) => forget_one(job, args, settings, ui, reporter),
        None if args.returned || args.expired => forget_some(args, settings, ui, reporter),
        None => forget_all(args.yes, settings, ui, reporter),
    }
}

/// Ends as [`Error::CodeStays`] does, with a result, where a code of the job stays.
fn forget_one(job: &str, args: &Forget, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    let (job, node) = super::parse_target_and_node(job, settings, reporter)?;
    reporter.is_about(&job);
    if let Some(profile) = &args.client_profile {
        // A profile of a cluster's node names the node.
        let named = node.map_or_else(|| job.clone(), TargetId::Job);
        return remove_profile(profile, &job, &named, settings, ui, reporter).map(|()| ExitCode::Done);
    }
    if let Some(node) = node {
        return Err(Error::ForgetsOneNode { node: node.to_string(), cluster: job.to_string() });
    }
    // One that can't be read is no reason to keep anything.
    let stored = StateFolder::record_below(&settings.state_dir, &job).map_or_else(
        |_| "a record that can't be read, and what else is stored".to_owned(),
        |record| stored_in_words(record.as_ref()),
    );
    let rows = [format!("{job}  {stored}")];
    let what = format!("what is stored of {job}");
    let agreed = confirm_removal(asked(args.yes, ui), &rows, &what, &settings.state_dir)?;
    let state = open_state_folder(&settings.state_dir, reporter)?;
    let Some(removed) = forget_job(&job, &state, &agreed, settings, reporter)? else {
        let text = ui.hint(&format!(
            "No manifest and no record of {job} are on this machine. No keychain was searched, because keychain is none. \
             To search the system's:\n  snow-onboard forget {job} --keychain system"
        ));
        ui.result(
            Some(&job),
            &text,
            ForgetResult {
                code_removed_from: &[],
                code_stays_in: &[],
                files_removed: false,
                profiles_removed_from: Vec::new(),
            },
        );
        return Ok(ExitCode::Done);
    };
    let stays = removed.error_beside_it(&job).map(|error| ui.failure_beside_result(Some(&job), &error));
    // Before the result, which is the last line for programs.
    removed.copies_elsewhere.into_iter().for_each(|warning| reporter.notify(Event::Warning(warning)));
    let (code, files) = (removed.code, removed.files);
    ui.result(
        Some(&job),
        &format!(
            "{}\n\n  Unlock code          {code}\n  Manifest and record  {files}{}",
            if stays.is_some() {
                format!("Not all stored data of {job} was removed.")
            } else {
                format!("The stored data of {job} was removed.")
            },
            removed.profiles.in_words().map(|words| format!("\n  Profile              {words}")).unwrap_or_default()
        ),
        ForgetResult {
            code_removed_from: &removed.code_removed_from,
            code_stays_in: &removed.stays_in,
            files_removed: removed.files_removed,
            profiles_removed_from: removed.profiles.profiles.iter().map(|(file, _)| &**file).collect(),
        },
    );
    Ok(stays.unwrap_or_default())
}

#[derive(Serialize)]
struct ForgetAllResult {
    jobs: Vec<ForgottenRow>,
    /// What is left of this program's: the audit log, and what it does not know.
    left: Vec<PathBuf>,
}

#[derive(Serialize)]
struct ForgottenRow {
    job: TargetId,
    code_removed_from: Vec<String>,
    /// The keychains that may still have a code of the job: they were not searched, since another was named.
    code_stays_in: Vec<KeychainKind>,
    files_removed: bool,
    /// The files that a profile for the device was taken out of.
    profiles_removed_from: Vec<PathBuf>,
    /// Why not all of it was removed.
    error: Option<Failure>,
}

/// Every job that is stored here, and every one of which only the keychain has something; one that can't be removed does not keep
/// the others. Ends as the first of those did.
fn forget_all(is_agreed: bool, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    let on_disk: Vec<TargetId> =
        StateFolder::kept_below(&settings.state_dir)?.into_iter().map(|(job, _)| job).collect();
    // With another state folder for this command alone, the keychain's other codes are those of the user's own.
    let listed = (!settings.state_dir_was_typed()).then(|| jobs_in_keychain(settings, reporter)).transpose();
    let (in_keychain, unlisted) = match listed {
        Ok(jobs) => (jobs.unwrap_or_default(), None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let stray: Vec<TargetId> = in_keychain.into_iter().filter(|job| !on_disk.contains(job)).collect();
    // Their files may lie in a state folder that this command does not know, with a run at work on them.
    let (stray, held_back) = if is_agreed || ui.can_prompt() { (stray, Vec::new()) } else { (Vec::new(), stray) };
    let held_back = (!held_back.is_empty()).then(|| only_in_keychain(&held_back, settings, ui));
    if on_disk.is_empty() && stray.is_empty() && !StateFolder::is_there(&settings.state_dir)? {
        // What can't be searched is not said to be empty.
        unlisted.or(held_back).map_or(Ok(()), Err)?;
        ui.result(None, &nothing_stored(settings), ForgetAllResult { jobs: Vec::new(), left: Vec::new() });
        return Ok(ExitCode::Done);
    }
    let mut agreed = Agreed::UNASKED;
    if !(on_disk.is_empty() && stray.is_empty()) {
        let only_there = stray.iter().map(|job| format!("{job}  only in the keychain"));
        let rows: Vec<String> = on_disk.iter().map(ToString::to_string).chain(only_there).collect();
        let what = "the unlock codes, manifests and records of these jobs";
        agreed = confirm_removal(asked(is_agreed, ui), &rows, what, &settings.state_dir)?;
    }
    if is_agreed && !stray.is_empty() {
        reporter.notify(Event::Warning(strays_in_words(&stray)));
    }
    let state = open_state_folder(&settings.state_dir, reporter)?;
    let stored = [on_disk, stray].concat();
    let SeveralForgotten { rows, lines, mut failure, is_to_repeat } =
        forget_each(stored.clone(), (&state, &agreed), settings, ui, reporter);
    if let (None, Some(error)) = (failure, unlisted.as_ref().or(held_back.as_ref())) {
        failure = Some(ui.failure_of_several(error));
    }
    // A question may stand for an hour. What another process stored meanwhile was neither shown nor agreed to.
    let meanwhile = stored_meanwhile(&state, &stored);
    if let Some(error) = &meanwhile {
        let ended = ui.failure_of_several(error);
        failure.get_or_insert(ended);
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
        (true, true) => nothing_stored(settings),
        (true, false) if meanwhile.is_some() => "Not all stored data was removed.".to_owned(),
        (true, false) => "No job has files on this machine.".to_owned(),
        (false, true) => format!("The stored data of all jobs was removed.\n\n{}", lines.join("\n")),
        // The command to paste stands with the failure: it takes a --yes, which this one has not, or no --keychain.
        (false, false) if held_back.is_some() || !is_to_repeat => {
            format!("Not all stored data was removed.\n\n{}", lines.join("\n"))
        }
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

/// Where it was said beforehand that all is to go, nobody is shown a list: the log of a script is to have it.
fn strays_in_words(stray: &[TargetId]) -> String {
    const MOST: usize = 20;
    let named: Vec<&str> = stray.iter().take(MOST).map(TargetId::as_str).collect();
    let more = stray.len().saturating_sub(MOST);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!(
        "The keychain has codes of jobs whose files are not in this state folder. They are removed as well: {}{more}.",
        named.join(", ")
    )
}

/// That there are jobs now of which nothing was known when those to be removed were listed.
fn stored_meanwhile(state: &StateFolder, listed: &[TargetId]) -> Option<Error> {
    match state.kept() {
        Ok(kept) => {
            let jobs = kept.into_iter().map(|(job, _)| job).filter(|job| !listed.contains(job));
            let jobs: Vec<String> = jobs.map(|job| job.to_string()).collect();
            (!jobs.is_empty()).then(|| Error::StoredMeanwhile { jobs: jobs.join(", ") })
        }
        Err(error) => Some(error),
    }
}

/// For codes whose files are not here, where nobody can say that they are to go.
fn only_in_keychain(jobs: &[TargetId], settings: &Settings, ui: &Ui) -> Error {
    let commands: Vec<String> =
        jobs.iter().map(|job| format!("  {}", forget_in_keychain_again(job, settings))).collect();
    Error::NobodyToAsk {
        why: ui.why_nobody_is_asked(false),
        what: "name each job of which this state folder has no files, and the keychain has a code,",
        hint: format!(
            "Their files may be in another state folder. If they are not needed any more, remove them:\n{}\nOr all of them, with what is stored here:\n  {} --yes",
            commands.join("\n"),
            forget_all_again(settings)
        ),
    }
}

/// What came of several jobs.
struct SeveralForgotten {
    rows: Vec<ForgottenRow>,
    lines: Vec<String>,
    /// How the first ended that could not be removed.
    failure: Option<ExitCode>,
    /// Whether the same command may do better the next time; where a code stays in a keychain that was not searched, it would not.
    is_to_repeat: bool,
}

fn forget_each(
    jobs: Vec<TargetId>,
    (state, agreed): (&StateFolder, &Agreed),
    settings: &Settings,
    ui: &Ui,
    reporter: &Reporter,
) -> SeveralForgotten {
    let (mut rows, mut lines, mut failure, mut is_to_repeat) = (Vec::new(), Vec::new(), None, true);
    let (all, done) = (jobs.len(), Arc::new(AtomicUsize::new(0)));
    let so_far = Arc::clone(&done);
    ui.on_interruption(move |_| {
        let kept = format!("What is stored of {} of {all} jobs was removed by then.", so_far.load(Ordering::Relaxed));
        (kept, "Repeat the same command. It removes the rest.".to_owned())
    });
    let mut notice = WaitNotice::new();
    for job in jobs {
        notice.tell(reporter, &format!("the stored data of {all} jobs to be removed"));
        let of_job = reporter.for_job(&job);
        let mut row = ForgottenRow {
            job: job.clone(),
            code_removed_from: Vec::new(),
            code_stays_in: Vec::new(),
            files_removed: false,
            profiles_removed_from: Vec::new(),
            error: None,
        };
        match forget_job(&job, state, agreed, settings, &of_job) {
            Ok(removed) => {
                if let Some(removed) = removed {
                    let profile =
                        removed.profiles.in_words().map(|words| format!("; profile {words}")).unwrap_or_default();
                    lines.push(format!("  {job}  code {}; files {}{profile}", removed.code, removed.files));
                    if let Some(error) = removed.error_beside_it(&job) {
                        row.error = Some(ui.failure_of_one(&job, &error.report()));
                        failure.get_or_insert(error.exit());
                        is_to_repeat = false;
                    }
                    row.profiles_removed_from = removed.profiles.profiles.into_iter().map(|(file, _)| file).collect();
                    row.code_removed_from = removed.code_removed_from;
                    row.files_removed = removed.files_removed;
                    row.code_stays_in = removed.stays_in;
                    removed.copies_elsewhere.into_iter().for_each(|warning| of_job.notify(Event::Warning(warning)));
                }
            }
            Err(error) => {
                row.error = Some(ui.failure_of_one(&job, &error.report()));
                lines.push(format!("  {job}  not removed"));
                failure.get_or_insert(error.exit());
            }
        }
        rows.push(row);
        done.fetch_add(1, Ordering::Relaxed);
    }
    ui.no_interruption();
    SeveralForgotten { rows, lines, failure, is_to_repeat }
}

#[derive(Serialize)]
struct ForgetSomeResult {
    jobs: Vec<ForgottenRow>,
    stays: Vec<StayingRow>,
}

#[derive(Serialize)]
struct StayingRow {
    job: TargetId,
    /// Why.
    why: String,
}

/// Those of the stored jobs that `--returned` or `--expired` means. Ends as the first did that can't be removed.
fn forget_some(args: &Forget, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<ExitCode> {
    if !StateFolder::is_there(&settings.state_dir)? {
        ui.result(None, NOTHING_STORED, ForgetSomeResult { jobs: Vec::new(), stays: Vec::new() });
        return Ok(ExitCode::Done);
    }
    let state = open_state_folder(&settings.state_dir, reporter)?;
    let stored = state.kept_or_why()?;
    let ForgetChoice { goes, stays } = if args.returned {
        ForgetChoice::returned(stored.into_iter().map(|(job, _)| job).collect(), settings, reporter)?
    } else {
        ForgetChoice::expired(stored, OffsetDateTime::now_utc())
    };
    let mut agreed = Agreed::UNASKED;
    if !goes.is_empty() {
        let ids = goes.iter().map(|chosen| chosen.job.to_string()).collect::<Vec<_>>().join(", ");
        let rows: Vec<String> = goes.iter().chain(&stays).map(row).collect();
        let what = format!("the unlock codes, manifests and records of {ids}");
        agreed = confirm_removal(asked(args.yes, ui), &rows, &what, &settings.state_dir)?;
    }
    let why = |job: &TargetId| goes.iter().find(|chosen| chosen.job == *job).map(|chosen| chosen.why.clone());
    let jobs = goes.iter().map(|chosen| chosen.job.clone()).collect();
    let SeveralForgotten { rows, lines, failure, is_to_repeat } =
        forget_each(jobs, (&state, &agreed), settings, ui, reporter);
    let mut text = match (rows.is_empty(), failure) {
        (true, _) => "No stored job is to be removed.".to_owned(),
        (false, None) => format!("The stored data of these jobs was removed.\n\n{}", lines.join("\n")),
        (false, Some(_)) if !is_to_repeat => format!("Not all of it was removed.\n\n{}", lines.join("\n")),
        (false, Some(_)) => format!(
            "Not all of it was removed.\n\n{}\n\nSolve the problem that is named above, then repeat the same command.",
            lines.join("\n")
        ),
    };
    for ForgottenRow { job, .. } in &rows {
        text = text.replacen(&format!("  {job}  "), &format!("  {job}  {}; ", why(job).unwrap_or_default()), 1);
    }
    if !stays.is_empty() {
        let rows: Vec<String> = stays.iter().map(|chosen| format!("  {}", row(chosen))).collect();
        text.push_str(&format!("\n\nNot removed:\n\n{}", rows.join("\n")));
    }
    let stays = stays.into_iter().map(|ChosenJob { job, why }| StayingRow { job, why }).collect();
    ui.result(None, &text, ForgetSomeResult { jobs: rows, stays });
    Ok(failure.unwrap_or(ExitCode::Done))
}

/// What a record knows of the audit log goes with the record, and a loss at its end no longer shows then. To remove what is
/// stored is no matter of it.
fn tell_of_flawed_audit(settings: &Settings, reporter: &Reporter) {
    let look = || verify_audit(&settings.state_dir, None, None);
    let flawed = while_waiting(reporter, "the audit log", look).ok().and_then(|report| report.error_beside_report());
    if flawed.is_some() {
        reporter.notify(Event::Warning(
            "The audit log is not as it was written. A loss at its end may show only as long as the records are here. To see it: snow-onboard audit verify"
                .to_owned(),
        ));
    }
}

fn row(ChosenJob { job, why }: &ChosenJob) -> String {
    format!("{job}  {why}")
}

const NOTHING_STORED: &str = "No job is stored on this machine.";

/// That no keychain was searched is part of what `--all` says.
fn nothing_stored(settings: &Settings) -> String {
    match settings.keychain {
        KeychainKind::None => format!("{NOTHING_STORED} No keychain was searched, because keychain is none."),
        _ if settings.state_dir_was_typed() => "No job is stored in this state folder.".to_owned(),
        _ => NOTHING_STORED.to_owned(),
    }
}

#[derive(Serialize)]
struct ProfileRemovedResult<'a> {
    client_profile: &'a str,
    files: &'a [PathBuf],
}

/// Takes a profile of `named` out of the client's own settings, and leaves what is kept of `job` here alone.
fn remove_profile(
    profile: &str,
    job: &TargetId,
    named: &TargetId,
    settings: &Settings,
    ui: &Ui,
    reporter: &Reporter,
) -> Result<()> {
    let state = open_state_folder(&settings.state_dir, reporter)?;
    // One at a time, as far as it is ours to say.
    let folder = state.job(job)?;
    let audit = Audit::of(&state, settings.audit_copy);
    audit.check()?;
    let files = OwnProfiles::of_this_user().remove(profile, named)?;
    audit.note(&folder, AuditStep::ClientProfileRemoved, None)?;
    let places: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    ui.result(
        Some(job),
        &format!("The profile “{}” is no longer in {}.", sanitize(profile), places.join(" and ")),
        ProfileRemovedResult { client_profile: &sanitize(profile), files: &files },
    );
    Ok(())
}
