//! With the keychains that ask a person: KeePassXC as it comes, and KWallet.

use std::time::{Duration, Instant};

use snow_rehearsal::{Fault, Rehearsal, State, Times};

use crate::agent::{Agent, Ended, files_with, state};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

const REQUEST: &str = "Access Request";

fn fetch(rehearsal: &Rehearsal, bus: &KeyringBus, more: &[&str]) -> Ended {
    let id = rehearsal.job().id().to_owned();
    on_the_bus(Agent::new(rehearsal, ["fetch", &*id].iter().chain(more)), bus).end()
}

fn run(rehearsal: &Rehearsal, bus: &KeyringBus, more: &[&str]) -> Ended {
    on_the_bus(Agent::run(rehearsal, more), bus).end()
}

fn forget(rehearsal: &Rehearsal, bus: &KeyringBus, more: &[&str]) -> Ended {
    let id = rehearsal.job().id().to_owned();
    on_the_bus(Agent::new(rehearsal, ["forget", &*id].iter().chain(more)), bus).end()
}

fn unreachable_network(rehearsal: &Rehearsal) {
    rehearsal.plant_everywhere(Fault::CutOff, Times::Always);
}

#[test]
fn keepassxc_answered_does_all_that_there_is_to_do() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::KeePassXc);
    let code = rehearsal.job().unlock_code();
    let somebody = bus.answer(REQUEST, "Return");
    let ended = fetch(&rehearsal, &bus, &[]).done();
    assert!(ended.stderr.contains("KeePassXC's database “Passwords”"), "{}", ended.stderr);
    assert_eq!(somebody.count(), 0, "one's own new item needs nobody's leave");
    // A control: what is on the disk holds it, and this sees it.
    wait_for_save(&bus, |database| database.contains(&code));
    assert!(files_with(&state(&rehearsal), &code).is_empty());

    run(&rehearsal, &bus, &[]).done();
    // Not counted one by one: it lets some later connections at the item without asking again.
    assert!(somebody.count() >= 1, "another connection needs somebody's leave");
    unreachable_network(&rehearsal);
    rehearsal.device().power_loss();
    run(&rehearsal, &bus, &[]).done();
    assert_eq!(rehearsal.device().state(), State::Unlocked);

    let ended = forget(&rehearsal, &bus, &[]).done();
    assert!(ended.stderr.contains("is overwritten before KeePassXC is asked to delete it"), "{}", ended.stderr);
    assert!(ended.stderr.contains("recycle bin"), "{}", ended.stderr);
    wait_for_save(&bus, |database| !database.contains(&code));
    assert!(bus.database_in_clear().contains("no unlock code"), "a control: what is left of the entry is in the bin");
}

/// KeePassXC saves a moment after a change.
fn wait_for_save(bus: &KeyringBus, is_saved: impl Fn(&str) -> bool) {
    let start = Instant::now();
    while !is_saved(&bus.database_in_clear()) {
        assert!(start.elapsed() < Duration::from_secs(20), "what it saved is not as expected");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn keepassxc_unanswered_ends_by_the_deadline_and_nothing_is_fetched() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::KeePassXc);
    fetch(&rehearsal, &bus, &[]).done();
    let asked = rehearsal.requests().len();
    let before = files_in(&rehearsal);
    let patience = ["--keychain-timeout", "4s"];
    let said = "Access was not allowed in KeePassXC within 4 seconds";
    for end in [
        fetch(&rehearsal, &bus, &["--refresh", patience[0], patience[1]]),
        run(&rehearsal, &bus, &patience),
        forget(&rehearsal, &bus, &patience),
    ] {
        let ended = end.failed(8, said);
        assert!(ended.stderr.contains("waiting for you to allow access in KeePassXC"), "{}", ended.stderr);
    }
    assert_eq!(rehearsal.requests().len(), asked, "nothing is asked of AWS");
    assert_eq!(rehearsal.device().unlock_requests(), 0);
    assert_eq!(files_in(&rehearsal), before, "and nothing left");

    let somebody = bus.answer(REQUEST, "Escape");
    run(&rehearsal, &bus, &[]).failed(8, "in KeePassXC's database “Passwords” is locked");
    assert!(somebody.count() >= 1, "a no is taken for one");
}

fn files_in(rehearsal: &Rehearsal) -> Vec<(std::path::PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![state(rehearsal).join("jobs"), state(rehearsal).join("incoming")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.metadata().unwrap() {
                about if about.is_dir() => folders.push(entry.path()),
                about => found.push((entry.path(), about.len())),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn keepassxc_locked_in_between_is_waited_for_and_named() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::KeePassXc);
    fetch(&rehearsal, &bus, &[]).done();
    bus.lock_keepassxc();
    let asked = rehearsal.requests().len();
    let ended = run(&rehearsal, &bus, &["--keychain-timeout", "4s"]).failed(8, "KeePassXC");
    assert!(
        ended.stderr.contains("KeePassXC was not unlocked") || ended.stderr.contains("Unlock the database"),
        "{}",
        ended.stderr
    );
    assert_eq!(rehearsal.requests().len(), asked);
}

/// Where it asks before it deletes, an item that no code came for is left, and named.
#[test]
fn keepassxc_without_a_recycle_bin_keeps_no_code_of_what_it_does_not_delete() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::keepassxc_without_recycle_bin();
    unreachable_network(&rehearsal);
    let ended = fetch(&rehearsal, &bus, &["--network-timeout", "2s"]);
    let ended = ended.failed(5, "stays in the keychain. It holds no code");
    assert!(ended.stderr.contains("snow-onboard unlock code for"), "{}", ended.stderr);
    rehearsal.heal();
    let somebody = bus.answer(REQUEST, "Return");
    fetch(&rehearsal, &bus, &[]).done();
    assert!(somebody.count() >= 1, "the item that was left is used");
    let code = rehearsal.job().unlock_code();
    wait_for_save(&bus, |database| database.contains(&code));
}

#[test]
fn kwallet_does_all_that_there_is_to_do_and_has_it_on_the_disk() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::KWallet);
    let before = std::fs::read(bus.wallet()).unwrap();
    let ended = fetch(&rehearsal, &bus, &[]).done();
    assert!(ended.stderr.contains("KWallet's wallet “kdewallet”"), "{}", ended.stderr);
    assert_ne!(std::fs::read(bus.wallet()).unwrap(), before, "written at once, not seconds later");
    assert_eq!(bus.lookup(rehearsal.job().id()), Some(rehearsal.job().unlock_code()));
    unreachable_network(&rehearsal);
    run(&rehearsal, &bus, &[]).done();
    forget(&rehearsal, &bus, &[]).done();
    assert_eq!(bus.lookup(rehearsal.job().id()), None);
}

#[test]
fn kwallet_closed_is_waited_for_until_the_deadline() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::KWallet);
    bus.close_wallet();
    let ended = fetch(&rehearsal, &bus, &["--keychain-timeout", "4s"]);
    let ended = ended.failed(8, "KWallet was not unlocked within 4 seconds");
    assert!(ended.stderr.contains("waiting for you to unlock KWallet"), "{}", ended.stderr);
    assert!(bus.windows().iter().any(|title| title.contains("KDE Wallet")), "its own prompt was shown");
    assert!(rehearsal.requests().is_empty());
}

/// What the AWS CLI would come to, found out before it does: a window at each of its calls.
#[test]
fn keepassxc_asks_at_each_call_and_setup_profile_says_so_with_what_to_do() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::KeePassXc);
    let somebody = bus.answer(REQUEST, "Return");
    run(&rehearsal, &bus, &[]).done();
    let id = rehearsal.job().id().to_owned();
    let agent = |args: &[&str]| {
        on_the_bus(Agent::new(&rehearsal, args).arg("--client").arg(rehearsal.client_path()), &bus).end().done()
    };
    let ended = agent(&["setup-profile", &id, "--yes"]);
    for said in
        ["asks you each time that a program wants the device's key", "Confirm when passwords are retrieved by clients"]
    {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    let key = rehearsal.device().access_keys().remove(0);
    assert!(agent(&["credentials", &id]).stdout.contains(&key.secret));
    assert!(somebody.count() >= 1, "the control: it asks");
}
