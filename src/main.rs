//! `snow-onboard`: harden, call the library, turn the outcome into an exit code.

use std::process::ExitCode;

use snow_onboard::cli::{self, Cli};
use snow_onboard::commands::bug::Part;
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
    let part = Part::of_this_process();
    // First of all: what a panic says by itself may quote a secret.
    std::panic::set_hook(Box::new(move |panic| part.end_by_bug(panic.location())));
    let status = status(part);
    ui::finish();
    status.into()
}

fn status(part: Part) -> u8 {
    if let Err(error) = harden::harden() {
        return commands::tell_failure(OutputMode::Plain, &error);
    }
    match part {
        Part::Guard => return u8::try_from(device::guard_main()).unwrap_or(1),
        Part::CredentialsHelper => return u8::try_from(cloud::credentials_main()).unwrap_or(1),
        Part::Agent | Part::Completion => cloud::forget_empty_variables(),
    }
    if let Some(answer) = completions::answer() {
        Ui::shell_reads(&answer);
        return 0;
    }
    if cli::is_code_typed() {
        return commands::tell_failure(commands::typed_mode(), &Error::CodeOnCommandLine);
    }
    match Cli::typed() {
        Ok(cli) => commands::execute(&cli),
        Err(complaint) => commands::report_parse_error(&complaint),
    }
}
