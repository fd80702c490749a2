//! `cargo run -p snow-rehearsal`: the agent, run for real against stand-ins. See `snow_rehearsal::show`.

use std::process::ExitCode;

fn main() -> ExitCode {
    snow_rehearsal::show::main()
}
