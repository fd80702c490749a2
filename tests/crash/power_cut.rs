//! The power is cut between two of the agent's writes: what the disk may hold then is put together from a recording of a
//! run, and the agent is started on it. It ends with the old state or the new one, and never has to be helped.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use crate::disk::{self, Disk, Tree};
use crate::kill::{renewed, spread};
use crate::process;
use crate::record::{Deed, Recording, record};
use crate::stage::{Checked, Snapshot, Stage, finish};

/// How many of the states are tried in each scenario, spread over all.
const SAMPLE: usize = 30;

const AUDIT: &str = ".local/state/snow-onboard/audit.jsonl";

struct Scenario {
    name: &'static str,
    /// What is kept before; nothing if `None`.
    before: Option<Snapshot>,
    command: fn(&Stage) -> Command,
    /// What is done when the power is back, and has to be true then. The flag says whether the command had ended before the
    /// cut, and so had promised all.
    after: fn(&Stage, &Scenario, bool) -> Checked,
}

/// What may be found after a cut: the files, what the keyring holds, and whether the command had ended.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    tree: Tree,
    code: Option<String>,
    ended: bool,
}

/// Records the scenario's command, and makes sure that nothing it did was missed: done again, it gives the same files.
fn recorded(stage: &Stage, scenario: &Scenario) -> (Tree, Recording) {
    stage.restore(scenario.before.as_ref());
    let home = stage.keeps();
    let before = disk::read(home);
    let id = stage.id();
    let (recording, ended) = record(&mut (scenario.command)(stage), home, &|| stage.bus.item(&id));
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    stage.wait_at_rest().unwrap();
    let mut disk = Disk::with(&before);
    recording.deeds.iter().for_each(|deed| disk.apply(deed));
    assert!(disk.now() == disk::read(home), "not all that was done was recorded: {:?}", recording.deeds);
    (before, recording)
}

/// Every state that a cut may leave, each with the first moment at which it may.
fn states(before: &Tree, recording: &Recording) -> BTreeMap<State, String> {
    let (deeds, codes) = (&recording.deeds, &recording.codes);
    let mut disk = Disk::with(before);
    let mut found = BTreeMap::new();
    for at in 0..=deeds.len() {
        let last = at.checked_sub(1).map(|last| &deeds[last]);
        last.into_iter().for_each(|deed| disk.apply(deed));
        // Between two deeds the keyring may have been changed: then it holds the one or the other.
        for code in [&codes[at.saturating_sub(1)], &codes[at]] {
            for mut tree in disk.after_power_cut() {
                // The number of a process that is gone; nobody reads it.
                tree.iter_mut().filter(|(path, _)| path.starts_with(".local/state/snow-onboard/locks")).for_each(
                    |(_, content)| {
                        content.iter_mut().for_each(Vec::clear);
                    },
                );
                let ended = at == deeds.len();
                let state = State { tree, code: code.clone(), ended };
                found.entry(state).or_insert_with(|| format!("after deed {at} of {}, {}", deeds.len(), in_words(last)));
            }
        }
    }
    found
}

fn in_words(deed: Option<&Deed>) -> String {
    match deed {
        None => "before anything was done".to_owned(),
        Some(Deed::Write(path, at, bytes)) => format!("{} bytes at {at} of {}", bytes.len(), path.display()),
        Some(deed) => format!("{deed:?}"),
    }
}

/// Puts the state there, starts the agent on it, and looks at what becomes of it.
fn comes_back(stage: &Stage, scenario: &Scenario, state: &State) -> Checked {
    stage.put_item(state.code.as_deref());
    stage.rehearsal.device().power_loss();
    disk::write(&state.tree, stage.keeps());
    (scenario.after)(stage, scenario, state.ended)?;
    stage.check_audit(true)
}

/// For who has to find out what went wrong.
fn listing(state: &State) -> String {
    let files = state.tree.iter().map(|(path, content)| match content {
        Some(content) if content.len() < 2000 => format!("  {} {}\n", path.display(), content.escape_ascii()),
        Some(content) => format!("  {} ({} bytes)\n", path.display(), content.len()),
        None => format!("  {}/\n", path.display()),
    });
    format!("the keyring: {:?}, ended: {}\n{}", state.code, state.ended, files.collect::<String>())
}

fn cut_everywhere(test: &str, scenario: impl FnOnce(&Stage) -> Scenario) {
    if !process::may_trace_or_rerun(test) {
        return;
    }
    let start = Instant::now();
    let mut stage = Stage::new();
    let scenario = scenario(&stage);
    let (before, recording) = recorded(&stage, &scenario);
    let log = disk::read(stage.keeps()).remove(std::path::Path::new(AUDIT));
    let states = states(&before, &recording);
    let count = if crate::all_points() { states.len() } else { SAMPLE };
    let (tried, mut failures) = (spread(states.len(), count), 0);
    let all: Vec<_> = states.iter().collect();
    for (state, when) in tried.iter().map(|number| all[number - 1]) {
        let audit = state.tree.get(std::path::Path::new(AUDIT)).cloned();
        let lasting =
            if state.ended && audit != log { Err("the audit log has lost its end".to_owned()) } else { Ok(()) };
        let mut back = || stage.unless_the_keyring_ends(|stage| comes_back(stage, &scenario, state));
        if let Err(why) = lasting.and_then(|()| back()) {
            println!("{}: power cut {when}: {why}\n{}", scenario.name, listing(state));
            failures += 1;
        }
    }
    println!(
        "power cut: {:<30} {:>3} writes and syncs, {:>4} states that may be found; {} tried, {} came back whole; {} s",
        scenario.name,
        recording.deeds.len(),
        states.len(),
        tried.len(),
        tried.len() - failures,
        start.elapsed().as_secs(),
    );
    assert_eq!(failures, 0);
}

fn first_run(_: &Stage) -> Scenario {
    Scenario {
        name: "first run",
        before: None,
        command: Stage::run,
        after: |stage, _, ended| {
            let run = || finish(stage.run(), &[0]);
            if ended {
                stage.offline(run)?
            } else {
                run()?
            }
            stage.check_kept(&stage.pair())?;
            stage.check_unlocked()
        },
    }
}

fn refresh(stage: &Stage) -> Scenario {
    Scenario {
        name: "refresh, then no internet",
        before: Some(renewed(stage)),
        command: Stage::refresh,
        after: |stage, scenario, ended| {
            stage.offline(|| finish(stage.agent(["fetch", &stage.id(), "--network-timeout", "1s"]), &[0]))?;
            let new = stage.check_kept(&stage.pair());
            if ended {
                return new;
            }
            let old = &scenario.before.as_ref().unwrap().pair;
            new.or_else(|new| stage.check_kept(old).map_err(|old| format!("neither new ({new}) nor old ({old})")))
        },
    }
}

fn forget(stage: &Stage) -> Scenario {
    finish(stage.fetch(), &[0]).unwrap();
    Scenario {
        name: "forget",
        before: Some(stage.snapshot()),
        command: Stage::forget,
        after: |stage, _, ended| {
            if ended {
                stage.check_gone()?;
            }
            let was_done = stage.check_gone().is_ok();
            finish(stage.forget(), if was_done { &[6] } else { &[0] })?;
            stage.check_gone()
        },
    }
}

#[test]
fn a_first_run_whose_power_is_cut_opens_the_device_when_it_is_run_again() {
    cut_everywhere("power_cut::a_first_run_whose_power_is_cut_opens_the_device_when_it_is_run_again", first_run);
}

#[test]
fn a_refresh_whose_power_is_cut_leaves_the_old_pair_or_the_new_one() {
    cut_everywhere("power_cut::a_refresh_whose_power_is_cut_leaves_the_old_pair_or_the_new_one", refresh);
}

#[test]
fn what_is_forgotten_is_gone_after_a_power_cut_and_another_try() {
    cut_everywhere("power_cut::what_is_forgotten_is_gone_after_a_power_cut_and_another_try", forget);
}

/// The checks above could fail: without its syncs, of files or of folders, the same run does leave a third state.
#[test]
fn a_run_that_did_not_sync_would_be_found_out() {
    if !process::may_trace_or_rerun("power_cut::a_run_that_did_not_sync_would_be_found_out") {
        return;
    }
    let stage = Stage::new();
    let scenario = refresh(&stage);
    let (before, Recording { deeds, codes }) = recorded(&stage, &scenario);
    let of_files = |deed: &Deed| matches!(deed, Deed::SyncFile(_));
    let of_folders = |deed: &Deed| matches!(deed, Deed::SyncFolder(_));
    for (what, is_dropped) in [("files", &of_files as &dyn Fn(&Deed) -> bool), ("folders", &of_folders)] {
        let kept: Vec<usize> = (0..deeds.len()).filter(|at| !is_dropped(&deeds[*at])).collect();
        assert!(kept.len() < deeds.len(), "{what} are synced");
        let codes = kept.iter().copied().chain([deeds.len()]).map(|at| codes[at].clone()).collect();
        let without = Recording { deeds: kept.iter().map(|at| deeds[*at].clone()).collect(), codes };
        let states = states(&before, &without);
        let broken = states.iter().find(|(state, _)| comes_back(&stage, &scenario, state).is_err());
        let (_, when) = broken.unwrap_or_else(|| panic!("{what} that are not synced do no harm"));
        println!("power cut: a control: without syncs of {what} a third state is found {when}");
    }
}
