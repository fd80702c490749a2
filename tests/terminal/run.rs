//! `run` in a terminal.

use snow_rehearsal::Rehearsal;

use crate::pty::Terminal;
use crate::stage::agent;

#[test]
fn a_run_ends_with_an_open_device_on_the_screen() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let (job, client) = (rehearsal.job(), rehearsal.client_path().to_owned());
    let mut command = agent(&rehearsal, ["run", job.id(), "--endpoint", &rehearsal.device().endpoint()]);
    command.arg("--client").arg(client).args(["--keychain", "none"]);
    let mut terminal = Terminal::start(command, 100, 40);
    terminal.wait_for("is UNLOCKED.");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    assert!(!terminal.transcript().contains(&job.unlock_code()));
}
