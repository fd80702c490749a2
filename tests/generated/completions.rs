//! The completion scripts that packages install.

use snow_onboard::cli::SHELLS;
use snow_onboard::commands::completions::script;

use crate::fresh;

#[test]
fn the_scripts_are_what_the_program_writes() {
    for shell in SHELLS {
        let file = match shell {
            "bash" => "snow-onboard.bash",
            "zsh" => "_snow-onboard",
            "fish" => "snow-onboard.fish",
            _ => "snow-onboard.ps1",
        };
        fresh::check(&format!("packaging/completions/{file}"), &script(shell).unwrap());
    }
}
