//! The agent's command lines in the surroundings of a rehearsal.

use std::ffi::OsStr;
use std::process::Command;

use snow_rehearsal::Rehearsal;

/// `snow-onboard ARGS… --ca-bundle …` with the rehearsal's variables and no others beside PATH.
pub(crate) fn agent<S: AsRef<OsStr>>(rehearsal: &Rehearsal, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snow-onboard"));
    command.env_clear().envs(rehearsal.env()).env("PATH", std::env::var_os("PATH").unwrap());
    command.args(args).arg("--ca-bundle").arg(rehearsal.ca_bundle());
    command
}
