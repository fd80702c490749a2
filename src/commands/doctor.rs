//! `doctor`: everything that a first start needs, looked at beforehand.

use crate::doctor::{self, Tally};
use crate::error::ExitCode;
use crate::report::Reporter;
use crate::settings::Settings;
use crate::ui::Ui;

pub(super) fn doctor(settings: &Settings, ui: &Ui, reporter: &Reporter) -> ExitCode {
    let tally = doctor::examine(settings, reporter);
    ui.result(None, &in_words(&tally), tally);
    tally.exit
}

fn in_words(tally: &Tally) -> String {
    let Tally { ok, warnings, failed, skipped, kept, is_aws_alone, exit } = *tally;
    let count = |number: usize, one: &str, more: &str| match number {
        0 => None,
        1 => Some(format!("1 {one}")),
        number => Some(format!("{number} {more}")),
    };
    let parts = [
        count(failed, "failed", "failed"),
        count(warnings, "warning", "warnings"),
        count(skipped, "skipped", "skipped"),
        count(ok, "ok", "ok"),
    ];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let of_kept = match kept {
        _ if !is_aws_alone => String::new(),
        0 => String::new(),
        1 => "\n1 job's code and manifest are kept here: its device can be opened without AWS.".to_owned(),
        kept => format!("\n{kept} jobs' codes and manifests are kept here: their devices can be opened without AWS."),
    };
    match exit {
        ExitCode::Done => format!(
            "\n{parts}. No check failed. Not checked: the S3 bucket of the manifest, because its URL is not known before the job's manifest is requested."
        ),
        exit => format!("\n{parts}. Exit code {} (from the first failed check).{of_kept}", exit as u8),
    }
}
