//! `run` in a terminal.

use snow_rehearsal::{DeviceOptions, Job, Rehearsal};

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

#[test]
fn the_addresses_of_a_cluster_are_asked_for_one_by_one() {
    let rehearsal = Rehearsal::builder().cluster(Job::new(), 3).start().unwrap();
    let id = rehearsal.clusters()[0].clone();
    let cluster = rehearsal.start_cluster(&id, |_| DeviceOptions::default()).unwrap();
    let addresses = cluster.addresses();
    let mut command = agent(&rehearsal, ["run", &id]);
    command.arg("--client").arg(rehearsal.client_path()).args(["--keychain", "none"]);
    let mut terminal = Terminal::start(command, 120, 50);
    terminal.answer("Address of node 1 of 3", &addresses[0]);
    terminal.answer("Address of node 2 of 3", &addresses[0]);
    terminal.wait_for("of another node already");
    terminal.answer("Address of node 2 of 3", &addresses[2]);
    terminal.answer("Address of node 3 of 3", &addresses[1]);
    terminal.wait_for("3 of 3 nodes");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    assert!(cluster.is_open() && !terminal.transcript().contains(&rehearsal.job().unlock_code()));
}

#[test]
fn to_forget_is_asked_for_once_with_the_jobs_and_a_no_removes_nothing() {
    use std::os::unix::fs::DirBuilderExt as _;

    let rehearsal = Rehearsal::builder().start().unwrap();
    let job = rehearsal.job();
    let id = job.id();
    let folder = rehearsal.state_home().join("snow-onboard/jobs").join(id);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).unwrap();
    // A yes goes as far as the keychain, which is not there.
    for (what, question) in [("--all", "of these jobs from this machine?"), (id, "from this machine?")] {
        for (answer, exit) in [("no", 2), ("y", 2), ("yes", 8)] {
            let mut terminal = Terminal::start(agent(&rehearsal, ["forget", what]), 100, 30);
            terminal.wait_for(id);
            terminal.answer(question, answer);
            assert_eq!(terminal.end(), exit, "{}", terminal.screen());
            assert!(folder.exists());
        }
        let mut terminal = Terminal::start(agent(&rehearsal, ["forget", what, "--yes"]), 100, 30);
        assert_eq!(terminal.end(), 8, "{}", terminal.screen());
        assert!(!terminal.transcript().contains("from this machine?"), "{}", terminal.screen());
    }
}

#[test]
fn the_lines_of_a_profile_are_shown_before_they_go() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let (config, job) = (rehearsal.home().join(".aws/config"), rehearsal.job());
    let (id, before) = (job.id(), "[default]\nregion = x\n");
    let block = format!(
        "\n# >>> snow-onboard {id} device (do not edit)\n[profile device]\nregion = snow\n# <<< snow-onboard {id} device\n"
    );
    std::fs::create_dir(config.parent().unwrap()).unwrap();
    std::fs::write(&config, format!("{before}{block}")).unwrap();
    for (answer, exit, after) in [("no", 2, format!("{before}{block}")), ("yes", 0, before.to_owned())] {
        let mut terminal = Terminal::start(agent(&rehearsal, ["setup-profile", id, "--remove"]), 100, 30);
        terminal.wait_for("- [profile device]");
        terminal.answer("Remove these lines?", answer);
        assert_eq!(terminal.end(), exit, "{}", terminal.screen());
        assert_eq!(std::fs::read_to_string(&config).unwrap(), after);
    }
}
