//! `doctor`: everything that a first start needs, looked at beforehand.

use std::sync::Arc;

use crate::doctor::{self, Tally};
use crate::error::ExitCode;
use crate::settings::Settings;
use crate::ui::Ui;

pub(super) fn doctor(settings: &Settings, ui: &Arc<Ui>) -> ExitCode {
    let tally = doctor::examine(settings, ui);
    ui.result(&in_words(&tally), tally);
    tally.exit.0
}

fn in_words(tally: &Tally) -> String {
    let Tally { ok, warnings, failed, skipped, exit } = *tally;
    let count = |number: usize, one: &str, more: &str| match number {
        0 => None,
        1 => Some(format!("1 {one}")),
        number => Some(format!("{number} {more}")),
    };
    let parts = [
        count(failed, "fails", "fail"),
        count(warnings, "warning", "warnings"),
        count(skipped, "skipped", "skipped"),
        count(ok, "ok", "ok"),
    ];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    match exit.0 {
        ExitCode::Done => format!("\n{parts}. A first start can go ahead."),
        exit => format!("\n{parts}. Exit code {}, that of the first that fails.", exit as u8),
    }
}
