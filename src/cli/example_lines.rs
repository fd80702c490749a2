//! The examples of a help as the shells of this system take them.

use clap::Command;

/// The commands with each example on a line of its own where no shell goes on after a backslash: cmd and PowerShell do not.
pub(super) fn for_this_system(command: Command) -> Command {
    if cfg!(windows) { on_one_line(command) } else { command }
}

fn on_one_line(command: Command) -> Command {
    let help = command.get_after_help().map(|help| joined(&help.to_string()));
    let command = match help {
        Some(help) => command.after_help(help),
        None => command,
    };
    command.mut_subcommands(on_one_line)
}

fn joined(help: &str) -> String {
    let mut parts = help.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn helps(commands: &Command) -> Vec<String> {
        let helps = commands.get_subcommands().chain([commands]).filter_map(Command::get_after_help);
        let helps: Vec<String> = helps.map(ToString::to_string).collect();
        assert!(helps.len() > 10);
        helps
    }

    #[test]
    fn no_example_goes_on_after_a_backslash_where_no_shell_does() {
        let helps = helps(&on_one_line(Cli::command()));
        assert!(helps.iter().all(|help| !help.contains('\\')), "{helps:?}");
        let line = "\n    snow-onboard run JID123e4567-e89b-12d3-a456-426655440000 --endpoint 192.0.2.10 --wait --wait-device\n";
        assert!(helps.iter().any(|help| help.contains(line)), "{helps:?}");
    }

    #[test]
    fn no_example_is_broken_where_a_terminal_of_80_columns_ends() {
        for line in helps(&Cli::command()).iter().flat_map(|text| text.lines()).filter(|line| line.starts_with("  ")) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
