//! The rehearsal that people watch: `cargo run -p snow-rehearsal`.

mod drill;
mod inspect;
mod keychain;
#[cfg(target_os = "linux")]
#[path = "sampler_linux.rs"]
mod sampler;
#[cfg(not(target_os = "linux"))]
#[path = "sampler_other.rs"]
mod sampler;
mod serve;
mod to_send_in;

use std::{
    fmt,
    io::{self, Read, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};

use crate::Error;

/// Rehearses the first start of a Snowball Edge device, with stand-ins for everything that is not here.
#[derive(Parser)]
#[command(name = "snow-rehearsal", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Verb>,
    /// Where the agent is to keep the unlock code; found out if not given
    #[arg(long, value_enum, global = true)]
    keychain: Option<Keychain>,
    /// An agent to rehearse with, instead of the one beside this program, in PATH, or built from this workspace
    #[arg(long, value_name = "PATH")]
    agent: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Verb {
    /// Keep the stand-ins up until Ctrl-C, to try things by hand; without --json a line “power-cut” on its input cuts the device's power
    Serve {
        /// Print one line of JSON instead, and stay until stdin closes; what is typed there is not read. The variables are in “env”,
        /// and those that name the CA file, the client and the keychain in “agent_env”
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        conditions: serve::Conditions,
    },
    /// Be found by the sampler
    #[command(hide = true)]
    Plant { dummy: String },
}

/// Where the agent can keep the code.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keychain {
    /// The desktop's keychain
    System,
    /// The Linux kernel's, gone at reboot
    Kernel,
    /// Nowhere
    None,
}

impl fmt::Display for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::Kernel => "kernel",
            Self::None => "none",
        })
    }
}

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Some(Verb::Serve { json, conditions }) => {
            serve::serve(json, &conditions, cli.keychain, cli.agent).map(|()| true)
        }
        Some(Verb::Plant { .. }) => plant(),
        None => drill::drill(cli.keychain, cli.agent),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("The rehearsal could not go on: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Waits with its argument and environment in plain sight until it is let go.
fn plant() -> Result<bool, Error> {
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(true)
}

/// A line for whoever watches. A pipe that was closed does not stop the rehearsal, which still has to clean up.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keychain_is_named_before_or_after_the_verb() {
        for line in ["snow-rehearsal serve --keychain none", "snow-rehearsal --keychain none serve"] {
            let cli = Cli::try_parse_from(line.split(' ')).ok();
            assert!(cli.is_some_and(|cli| cli.keychain == Some(Keychain::None)), "{line}");
        }
    }
}
