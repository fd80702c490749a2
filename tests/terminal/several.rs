//! Several devices at once, in a terminal: the table that is drawn over again, and the questions of `run --all`.

use std::process::Command;
use std::time::Duration;

use snow_rehearsal::{Device, DeviceOptions, Job, Rehearsal, State, Unlocking};

use crate::keyring_bus::{Keyring, KeyringBus};
use crate::pty::{CTRL_C, Terminal};
use crate::stage::agent;

struct Site {
    rehearsal: Rehearsal,
    devices: Vec<Device>,
    bus: KeyringBus,
}

impl Site {
    fn of(count: usize, unlocking: Unlocking) -> Self {
        let builder = (0..count).fold(Rehearsal::builder(), |builder, _| builder.job(Job::new()));
        let rehearsal = builder.start().unwrap();
        let options = DeviceOptions { unlocking, ..DeviceOptions::default() };
        let devices = rehearsal.jobs().iter().map(|job| rehearsal.add_device(job, options.clone()).unwrap()).collect();
        Self { rehearsal, devices, bus: KeyringBus::start(Keyring::Unlocked) }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = agent(&self.rehearsal, args);
        let of_the_keyring = |name: &str| matches!(name, "DBUS_SESSION_BUS_ADDRESS" | "XDG_DATA_HOME");
        command.envs(self.bus.environment().into_iter().filter(|(name, _)| of_the_keyring(name)));
        command.arg("--client").arg(self.rehearsal.client_path());
        command
    }

    fn start(&self, args: &[&str], rows: u16) -> Terminal {
        Terminal::start(self.command(args), 100, rows)
    }

    /// A plan of all of them, in a file.
    fn plan(&self) -> String {
        let row = |(at, device): (usize, &Device)| format!("{},{},dock {at}\n", device.job_id(), device.endpoint());
        let path = self.rehearsal.root().join("plan.csv");
        std::fs::write(&path, self.devices.iter().enumerate().map(row).collect::<String>()).unwrap();
        path.display().to_string()
    }

    fn host(&self, number: usize) -> String {
        self.devices[number].endpoint().trim_start_matches("https://").to_owned()
    }
}

fn is_of_the_table(line: &str) -> bool {
    ["queued", "unlocking", "waiting for", "handing over", "checking the"].iter().any(|words| line.contains(words))
}

#[test]
fn each_device_has_a_line_that_says_what_it_does_and_a_failure_stands_above() {
    let site = Site::of(3, Unlocking::For(Duration::from_secs(3)));
    site.devices[1].set_unlocking(Unlocking::Polls(u32::MAX));
    let plan = site.plan();
    let mut terminal = site.start(&["run", "--plan", &plan, "--parallel", "2", "--unlock-timeout", "6s"], 30);
    terminal.wait_until("two at work and one queued", |screen| {
        let screen = screen.contents();
        let count = |words: &str| screen.lines().filter(|line| line.contains(words) && line.ends_with(" s")).count();
        count("waiting for the device to unlock (it reports") == 2 && count("waiting for its turn") == 1
    });
    terminal.wait_for("Error: dock 1:");
    assert_eq!(terminal.end(), 14, "{}", terminal.screen());
    let screen = terminal.screen();
    assert!(!screen.lines().any(is_of_the_table), "nothing is left of the table: {screen}");
    assert!(!screen.contains("Keychain   "), "what each step came to is not told of each: {screen}");
    for (at, state) in [(0, "UNLOCKED"), (1, "UNLOCKING at the time limit"), (2, "UNLOCKED")] {
        assert!(screen.contains(&format!("{}  {state:27}  dock {at}", site.host(at))), "{screen}");
    }
    assert!(screen.contains("2 of 3 devices are UNLOCKED."), "{screen}");
    assert!(screen.find("Error: dock 1:") < screen.find("2 of 3 devices"), "{screen}");
}

#[test]
fn a_table_that_is_too_long_is_cut_and_a_key_that_ends_it_leaves_it_there() {
    let site = Site::of(8, Unlocking::Polls(u32::MAX));
    let plan = site.plan();
    let mut terminal = site.start(&["run", "--plan", &plan, "--parallel", "3"], 6);
    terminal.wait_until("what is cut to be counted", |screen| {
        let screen = screen.contents();
        screen.matches("to unlock").count() == 3 && screen.contains("… and 4 more: 4 waiting")
    });
    assert_eq!(terminal.screen().lines().count(), 5, "{}", terminal.screen());
    terminal.press(CTRL_C);
    assert_eq!(terminal.end(), 130);
    let all = terminal.transcript();
    let end = &all[all.rfind("… and 4 more").unwrap()..];
    let result = &end[..end.find("Interrupted").unwrap_or_else(|| panic!("{}", end.escape_debug()))];
    assert!(result.contains("0 of 8 devices are UNLOCKED."), "{}", end.escape_debug());
    assert_eq!(result.matches("waiting for the device to unlock").count(), 3, "{}", end.escape_debug());
}

#[test]
fn a_dumb_terminal_gets_a_line_a_step_with_the_label() {
    let site = Site::of(2, Unlocking::Polls(1));
    let plan = site.plan();
    let mut command = site.command(&["run", "--plan", &plan]);
    command.env("TERM", "dumb");
    let mut terminal = Terminal::start(command, 140, 60);
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    let screen = terminal.screen();
    for words in
        ["Keychain   dock 0:", "Keychain   dock 1:", "Device     dock 0: UNLOCKED", "Device     dock 1: UNLOCKED"]
    {
        assert_eq!(screen.matches(words).count(), 1, "{words}: {screen}");
    }
    assert!(!terminal.transcript().contains('\u{1b}'));
}

#[test]
fn a_watch_draws_over_what_has_changed_and_ends_with_the_whole_state() {
    let site = Site::of(2, Unlocking::Polls(1));
    let plan = site.plan();
    assert!(site.command(&["run", "--plan", &plan, "--quiet"]).output().unwrap().status.success());
    site.devices[1].power_loss();
    let mut terminal = site.start(&["status", "--watch"], 30);
    let ids: Vec<String> = site.devices.iter().map(|device| device.job_id()[..11].to_owned()).collect();
    let row = |screen: &str, at: usize| {
        screen.lines().filter(|line| line.contains(&ids[at])).map(str::to_owned).collect::<Vec<_>>()
    };
    terminal.wait_until("both, and what is waited for", |screen| {
        let screen = screen.contents();
        row(&screen, 0).iter().any(|line| line.contains("UNLOCKED"))
            && row(&screen, 1).iter().any(|line| line.contains(" LOCKED"))
            && screen.contains("waiting for 1 of 2 devices")
    });
    assert_eq!(row(&terminal.screen(), 1).len(), 1, "{}", terminal.screen());
    assert!(site.command(&["unlock", site.devices[1].job_id()]).output().unwrap().status.success());
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    let screen = terminal.screen();
    assert!(!screen.contains("waiting for") && screen.matches("UNLOCKED at").count() == 2, "{screen}");
    assert_eq!(screen.matches("code and manifest match").count(), 2, "{screen}");
}

#[test]
fn all_delivered_jobs_are_asked_for_and_the_addresses_of_last_time_offered() {
    let site = Site::of(3, Unlocking::Polls(1));
    let answers = |terminal: &mut Terminal, ask: &str| {
        // AWS lists them in an order of its own.
        let screen = terminal.wait_for(ask).screen();
        let at = screen.rfind(ask).unwrap();
        (0..3).find(|number| screen[at..].contains(site.devices[*number].job_id())).unwrap()
    };
    let mut terminal = site.start(&["run", "--all"], 60);
    let first = answers(&mut terminal, "1 of 3");
    terminal.answer("Press Enter to leave this job out:", "abcde-01234-abcde-01234-abcde");
    terminal.wait_for("looks like an unlock code");
    terminal.answer("Press Enter to leave this job out:", &site.host(first));
    answers(&mut terminal, "2 of 3");
    terminal.answer("Press Enter to leave this job out:", &site.host(first));
    terminal.wait_for("is the address that you gave for");
    terminal.answer("Press Enter to leave this job out:", "");
    let third = answers(&mut terminal, "3 of 3");
    terminal.answer("Press Enter to leave this job out:", "127.0.0.1:1");
    terminal.answer("Press Enter to keep this address", &site.host(third));
    terminal.wait_for("snow-onboard run --plan pallet.csv");
    let line = format!("{},{}", site.devices[first].job_id(), site.host(first));
    assert!(terminal.screen().contains(&line), "{}", terminal.screen());
    terminal.answer("Continue? [Y/n]", "y");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    let open = |number: usize| site.devices[number].state() == State::Unlocked;
    assert_eq!((0..3).map(open).filter(|is_open| *is_open).count(), 2, "{}", terminal.screen());
    assert!(open(first) && open(third));

    site.devices[first].power_loss();
    let mut again = site.start(&["run", "--all"], 60);
    for at in 1..=3 {
        let of = answers(&mut again, &format!("{at} of 3"));
        again.answer("leave this job out:", if [first, third].contains(&of) { "" } else { "-" });
    }
    again.answer("Continue? [Y/n]", "");
    assert_eq!(again.end(), 0, "{}", again.screen());
    assert!(again.screen().contains("UNLOCKED already") && open(first), "{}", again.screen());
    let mut none = site.start(&["run", "--all"], 60);
    for _ in 0..3 {
        none.answer("leave this job out:", "-");
    }
    assert_eq!(none.end(), 2, "{}", none.screen());
    assert!(none.screen().contains("No address was given. Nothing was done."), "{}", none.screen());
}

/// A job of its own, and a cluster of three whose nodes are on.
fn site_with_cluster() -> (Site, snow_rehearsal::ClusterHandle) {
    let builder = Rehearsal::builder().job(Job::new()).cluster(Job::new(), 3).device(DeviceOptions::default());
    let rehearsal = builder.start().unwrap();
    let cluster = rehearsal.start_cluster(&rehearsal.clusters()[0], |_| DeviceOptions::default()).unwrap();
    let devices = vec![rehearsal.device().clone()];
    (Site { rehearsal, devices, bus: KeyringBus::start(Keyring::Unlocked) }, cluster)
}

#[test]
fn an_interruption_between_two_nodes_tells_the_addresses_that_were_typed() {
    let (site, cluster) = site_with_cluster();
    let mut terminal = site.start(&["run", "--all"], 60);
    let addresses = cluster.addresses();
    for at in 1..=2 {
        let ask = format!("{at} of 2  ");
        let screen = terminal.wait_for(&ask).screen();
        if screen[screen.rfind(&ask).unwrap()..].contains(cluster.id()) {
            terminal.answer("the display of node 1 of 3. Press Enter to leave this cluster out:", &addresses[0]);
            terminal.wait_for("the display of node 2 of 3.").signal(rustix::process::Signal::INT);
            break;
        }
        terminal.answer("Press Enter to leave this job out:", &site.host(0));
    }
    terminal.wait_for("To keep the addresses");
    terminal.end();
    let line = format!("{},{}", cluster.id(), addresses[0]);
    assert!(terminal.screen().replace('\n', "").contains(&line), "{}", terminal.screen());
}

#[test]
fn the_addresses_of_a_delivered_cluster_are_asked_for_with_those_of_the_others() {
    let (site, cluster) = site_with_cluster();
    let mut terminal = site.start(&["run", "--all"], 60);
    let addresses = cluster.addresses();
    for at in 1..=2 {
        let ask = format!("{at} of 2  ");
        let screen = terminal.wait_for(&ask).screen();
        if screen[screen.rfind(&ask).unwrap()..].contains(cluster.id()) {
            assert!(terminal.screen().contains("cluster of 3 nodes"), "{}", terminal.screen());
            terminal.answer("the display of node 1 of 3. Press Enter to leave this cluster out:", &addresses[0]);
            terminal.answer("the display of node 2 of 3.", &addresses[0]);
            terminal.wait_for("is the address that you gave for");
            terminal.answer("the display of node 2 of 3.", &addresses[1]);
            terminal.answer("the display of node 3 of 3.", &addresses[2]);
        } else {
            terminal.answer("Press Enter to leave this job out:", &site.host(0));
        }
    }
    let line = format!("{},{}", cluster.id(), addresses.join(" "));
    terminal.wait_until("the plan to be shown", |screen| screen.contents().replace('\n', "").contains(&line));
    terminal.answer("Continue? [Y/n]", "y");
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    assert!(cluster.is_open() && site.devices[0].state() == State::Unlocked, "{}", terminal.screen());
    assert_eq!(terminal.screen().matches("UNLOCKED, ASSOCIATED, REACHABLE").count(), 3, "{}", terminal.screen());
}

#[test]
fn status_asks_nobody_about_an_address_outside_the_local_network() {
    let (site, cluster) = site_with_cluster();
    let addresses = cluster.addresses();
    let words = ["run", cluster.id(), "--endpoint", &addresses[0], "--node", &addresses[1], "--node", &addresses[2]];
    assert!(site.command(&words).output().unwrap().status.success());
    let record = site.rehearsal.state_home().join("snow-onboard/jobs").join(cluster.id()).join("record.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace(&addresses[1], "8.8.8.8")).unwrap();
    let mut terminal = site.start(&["status", cluster.id()], 60);
    assert_eq!(terminal.end(), 0, "{}", terminal.screen());
    let screen = terminal.screen();
    assert!(screen.contains("8.8.8.8 is outside the local network"), "{screen}");
    assert!(!screen.contains("Use this address anyway?"), "{screen}");
}
