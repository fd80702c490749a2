//! Programs that give out credentials, at a terminal.

use snow_rehearsal::Rehearsal;

use crate::pty::Terminal;
use crate::stage::agent;

#[test]
fn a_credential_process_that_asks_takes_nothing_of_what_is_typed() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let home = tempfile::tempdir().unwrap();
    let (config, begun) = (home.path().join("config"), home.path().join("begun"));
    let script = format!("echo >\"{}\"; read a; read b </dev/tty; read c", begun.display());
    std::fs::write(&config, format!("[profile p]\ncredential_process = sh -c '{script}'\n")).unwrap();
    let agent = agent(&rehearsal, ["jobs", "--profile", "p", "--network-timeout", "3s", "--no-input"]);
    let mut shell = std::process::Command::new("sh");
    shell.env_clear().envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("AWS_CONFIG_FILE", &config).args(["-c", "\"$@\"; echo \"ended $?\"; read line; echo \"<$line>\"", "sh"]);
    shell.arg(agent.get_program()).args(agent.get_args());
    let mut terminal = Terminal::start(shell, 100, 30);
    terminal.wait_until("the program", |_| begun.exists());
    terminal.type_line("the next line").wait_for("ended 4").wait_for("<the next line>");
    assert!(terminal.screen().contains("did not end within 2 seconds"), "{}", terminal.screen());
    assert_eq!(terminal.end(), 0);
}
