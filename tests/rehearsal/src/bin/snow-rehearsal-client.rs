//! The stand-in for the vendor's client. Not to be run by hand: `snow_rehearsal::client::install_client` puts it where
//! it works.

use std::process::ExitCode;

fn main() -> ExitCode {
    snow_rehearsal::client::main()
}
