//! `completions`: the script with which a shell completes command lines of this program.

use serde::Serialize;

use crate::cli::{Completions, completions};
use crate::ui::Ui;

#[derive(Serialize)]
struct CompletionsResult<'a> {
    shell: &'a str,
    script: &'a str,
}

pub(super) fn completions(args: &Completions, ui: &Ui) {
    // The parser lets no other shell through.
    let script = completions::script(&args.shell).unwrap_or_default();
    ui.verbatim(&script, CompletionsResult { shell: &args.shell, script: &script });
}
