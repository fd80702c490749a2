//! `receipt`: what was done with a job, to be filed.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::ReceiptArgs;
use crate::error::{Error, Result};
use crate::flow::Receipt;
use crate::report::{Ask, Reporter};
use crate::settings::Settings;
use crate::store::write_private_file;
use crate::ui::Ui;

#[derive(Serialize)]
struct ReceiptResult<'a> {
    #[serde(flatten)]
    receipt: &'a Receipt,
    /// Where it was written as a page.
    html: Option<&'a PathBuf>,
}

pub(super) fn receipt(args: &ReceiptArgs, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<()> {
    let job = super::parse_target(&args.job, settings, reporter)?;
    reporter.is_about(&job);
    if args.html.as_ref().is_some_and(|path| path.as_os_str() == "-") {
        return Err(Error::Usage {
            why: "--html writes a file, so “-” does not stand for stdout. Name a file; one that is called so is ./-."
                .to_owned(),
        });
    }
    let receipt = Receipt::of(&job, settings)?;
    let text = match &args.html {
        Some(path) => {
            let page = receipt.page();
            match write_private_file(path, &page, args.force) {
                Err(Error::FileExists { .. })
                    if ui.can_prompt() && ui.ask(&format!("{} exists.\nReplace it?", path.display())) =>
                {
                    write_private_file(path, &page, true)?;
                }
                written => written?,
            }
            format!("The receipt for {job} is in {}.", path.display())
        }
        None => checked_here(&receipt.in_words(), ui),
    };
    ui.result(Some(&job), &text, ReceiptResult { receipt: &receipt, html: args.html.as_ref() });
    Ok(())
}

/// The command that checks it later says where this one looked.
fn checked_here(text: &str, ui: &Ui) -> String {
    let in_full = |line: &str| if line.contains("snow-onboard audit verify") { ui.hint(line) } else { line.to_owned() };
    text.lines().map(in_full).collect::<Vec<_>>().join("\n")
}
