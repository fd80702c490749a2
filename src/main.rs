//! `snow-onboard`: harden, call the library, turn the outcome into an exit code.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use snow_onboard::cli::{self, Cli};
use snow_onboard::commands::completions;
use snow_onboard::error::Error;
use snow_onboard::safety::harden;
use snow_onboard::ui::{OutputMode, Ui};
use snow_onboard::{cloud, commands, device, ui};
use zeroizing_alloc::ZeroAlloc;

/// Zeroes what is freed. TLS, HTTP, CBOR and D-Bus code each copy the secrets into buffers of their own and free them
/// unwiped; this is the one place where all of those can be reached.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    // First of all: what a panic says by itself may quote a secret.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
    let status = status();
    ui::finish();
    status
}

fn status() -> ExitCode {
    if let Err(error) = harden::harden() {
        return tell(Ui::new(OutputMode::Plain), &error).into();
    }
    if std::env::args_os().nth(1).is_some_and(|argument| argument == device::GUARD_ARGUMENT) {
        return u8::try_from(device::guard_main()).map_or(ExitCode::FAILURE, ExitCode::from);
    }
    if std::env::args_os().nth(1).is_some_and(|argument| argument == cloud::CREDENTIALS_ARGUMENT) {
        return u8::try_from(cloud::credentials_main()).map_or(ExitCode::FAILURE, ExitCode::from);
    }
    cloud::forget_empty_variables();
    if let Some(answer) = completions::answer() {
        Ui::shell_reads(&answer);
        return ExitCode::SUCCESS;
    }
    if cli::is_code_typed() {
        return tell(
            Ui::new(if cli::is_typed("--json") && !cli::is_typed("credentials") {
                OutputMode::Json
            } else {
                OutputMode::Plain
            }),
            &Error::CodeOnCommandLine,
        )
        .into();
    }
    match Cli::typed() {
        Ok(cli) => {
            // A script that asked for JSON is told of a panic in JSON as well.
            let mode = if cli.json() { OutputMode::Json } else { OutputMode::Plain };
            unless_it_panics(mode, || commands::execute(&cli)).into()
        }
        Err(complaint) => commands::report_parse_error(&complaint).into(),
    }
}

/// Tells a failure that is none of a command's own. Gives the exit code.
fn tell(ui: Ui, error: &Error) -> u8 {
    let is_of_client = cli::is_client_typed();
    let ui = if is_of_client { ui.passing_through() } else { ui };
    commands::exit_of(ui.failure(None, error), is_of_client)
}

/// Where it panicked last.
static PLACE: Mutex<String> = Mutex::new(String::new());

/// Turns a panic, ours or a library's, into an error with its place. Its message is not shown: that of a library may
/// quote what it was given.
fn unless_it_panics(mode: OutputMode, run: impl FnOnce() -> u8) -> u8 {
    std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tell(Ui::new(mode), &Error::Internal { what: format!("a panic at {place}") })
    })
}
