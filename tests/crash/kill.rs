//! Killed at any system call: what it owned is gone, and the same command, run again, ends as if nothing had happened.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::calls::{self, Kind};
use crate::process;
use crate::stage::{Checked, Snapshot, Stage, finish};
use crate::tracer::{Ended, Verdict, trace};

/// How many points are tried in each scenario: of deeds and of other calls, spread over the run. `None` is all deeds.
/// `SNOW_ONBOARD_CRASH_POINTS=all` (see `tests/crash/all`) asks for more.
const SAMPLE: (Option<usize>, usize) = (Some(36), 6);
const ALL: (Option<usize>, usize) = (None, 150);

/// A command that is killed, and what is to become of it.
struct Scenario {
    name: &'static str,
    /// What is kept before; nothing if `None`.
    before: Option<Snapshot>,
    command: fn(&Stage) -> Command,
    /// What is done after the kill, and has to be true then.
    after: fn(&Stage, &Scenario) -> Checked,
}

/// Where in a run it is killed: before the call with this number among those of its kind, counted from 1.
#[derive(Debug, Clone, Copy)]
struct Point(Kind, usize);

/// How often each kind of call was made.
#[derive(Default)]
struct Counts {
    deeds: usize,
    others: usize,
}

impl Counts {
    fn add(&mut self, kind: Kind) -> Point {
        let count = match kind {
            Kind::Deed => &mut self.deeds,
            Kind::Other => &mut self.others,
        };
        *count += 1;
        Point(kind, *count)
    }
}

impl Point {
    fn in_words(self) -> String {
        match self {
            Self(Kind::Deed, number) => format!("deed {number}"),
            Self(Kind::Other, number) => format!("other call {number}"),
        }
    }
}

/// Runs the scenario's command up to the point, and kills it there. Gives the call, or `None` if it ended before.
fn kill_at(stage: &Stage, scenario: &Scenario, point: Point) -> (Option<String>, Ended) {
    let (mut counts, mut killed) = (Counts::default(), None);
    let ended = trace(&mut (scenario.command)(stage), &mut |stop| {
        if stop.before {
            let Point(kind, number) = counts.add(calls::kind(stop));
            if kind == point.0 && number == point.1 {
                killed = Some(calls::in_words(stop));
                return Verdict::Kill;
            }
        }
        Verdict::GoOn
    });
    (killed, ended)
}

/// How many calls of each kind a whole run makes.
fn measure(stage: &Stage, scenario: &Scenario) -> Counts {
    stage.restore(scenario.before.as_ref());
    let mut counts = Counts::default();
    let ended = trace(&mut (scenario.command)(stage), &mut |stop| {
        if stop.before {
            counts.add(calls::kind(stop));
        }
        Verdict::GoOn
    });
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    stage.wait_at_rest().unwrap();
    counts
}

/// `count` of the numbers from 1 to `all`, evenly spread, the first and the last among them.
pub(crate) fn spread(all: usize, count: usize) -> Vec<usize> {
    if count >= all {
        return (1..=all).collect();
    }
    (0..count).map(|step| 1 + step * (all - 1) / (count - 1).max(1)).collect()
}

/// Everything that has to be true after a kill, then after the scenario's end.
fn survives(stage: &Stage, scenario: &Scenario) -> Result<Duration, String> {
    let took = stage.wait_at_rest()?;
    let codes =
        [stage.pair().code, scenario.before.as_ref().map_or_else(|| stage.pair().code, |b| b.pair.code.clone())];
    codes.iter().try_for_each(|code| stage.check_no_code_on_disk(code))?;
    (scenario.after)(stage, scenario)?;
    stage.check_audit(false)?;
    stage.wait_at_rest()?;
    codes.iter().try_for_each(|code| stage.check_no_code_on_disk(code))?;
    Ok(took)
}

fn everywhere(test: &str, scenario: impl FnOnce(&Stage) -> Scenario) {
    if !process::may_trace_or_rerun(test) {
        return;
    }
    let start = Instant::now();
    let mut stage = Stage::new();
    let scenario = scenario(&stage);
    let counts = measure(&stage, &scenario);
    let (deeds, others) = if crate::all_points() { ALL } else { SAMPLE };
    let deeds = spread(counts.deeds, deeds.unwrap_or(counts.deeds)).into_iter().map(|number| Point(Kind::Deed, number));
    let others = spread(counts.others, others).into_iter().map(|number| Point(Kind::Other, number));
    let (mut tried, mut past, mut failures, mut longest) = (0, 0, Vec::new(), Duration::ZERO);
    for point in deeds.chain(others) {
        tried += 1;
        let survived = stage.unless_the_keyring_ends(|stage| {
            stage.restore(scenario.before.as_ref());
            let (killed, ended) = kill_at(stage, &scenario, point);
            assert!(killed.is_none() || ended.code.is_none(), "it was killed");
            let at = killed.as_deref().unwrap_or("its end, which came before");
            let took = survives(stage, &scenario).map_err(|why| format!("{at}: {why}\n{}", ended.output))?;
            Ok((killed.is_some(), took))
        });
        match survived {
            Ok((was_killed, took)) => {
                past += usize::from(!was_killed);
                longest = longest.max(took);
            }
            Err(why) => {
                println!("{}: killed at {}, {why}", scenario.name, point.in_words());
                failures.push(point);
                // Whatever is left of it is not to be taken for a fault of the next.
                let _ = stage.wait_at_rest();
            }
        }
    }
    println!(
        "kill everywhere: {:<34} {:>5} deeds and {:>6} other calls; {tried} points tried, {} survived ({past} past the end); \
         client and home gone within {} ms; {} s",
        scenario.name,
        counts.deeds,
        counts.others,
        tried - failures.len(),
        longest.as_millis(),
        start.elapsed().as_secs(),
    );
    assert!(past * 10 <= tried, "too many points came after the end: {past} of {tried}");
    assert!(failures.is_empty(), "{failures:?}");
}

/// A pair was kept, and AWS has another one now.
pub(crate) fn renewed(stage: &Stage) -> Snapshot {
    finish(stage.fetch(), &[0]).unwrap();
    let before = stage.snapshot();
    stage.rehearsal.job().renew_pair();
    before
}

fn first_run(_: &Stage) -> Scenario {
    Scenario {
        name: "first run, run again",
        before: None,
        command: Stage::run,
        after: |stage, _| {
            finish(stage.run(), &[0])?;
            stage.check_kept(&stage.pair())?;
            stage.check_unlocked()
        },
    }
}

fn refresh(stage: &Stage) -> Scenario {
    Scenario {
        name: "refresh, run again",
        before: Some(renewed(stage)),
        command: Stage::refresh,
        after: |stage, _| {
            finish(stage.refresh(), &[0])?;
            stage.check_kept(&stage.pair())
        },
    }
}

fn refresh_then_offline(stage: &Stage) -> Scenario {
    Scenario {
        name: "refresh, then no internet",
        before: Some(renewed(stage)),
        command: Stage::refresh,
        after: |stage, scenario| {
            stage.offline(|| finish(stage.fetch(), &[0]))?;
            let old = &scenario.before.as_ref().unwrap().pair;
            stage.check_kept(old).or_else(|not_old| {
                stage
                    .check_kept(&stage.pair())
                    .map_err(|not_new| format!("neither old ({not_old}) nor new ({not_new})"))
            })
        },
    }
}

fn forget(stage: &Stage) -> Scenario {
    finish(stage.fetch(), &[0]).unwrap();
    Scenario {
        name: "forget, run again",
        before: Some(stage.snapshot()),
        command: Stage::forget,
        after: |stage, _| {
            // What was done already is not done again: then it says, with an exit code of its own, that nothing is kept.
            let was_done = stage.check_gone().is_ok();
            finish(stage.forget(), if was_done { &[6] } else { &[0] })?;
            stage.check_gone()
        },
    }
}

/// The checks above could fail: killed in the middle and not run again, a run has kept nothing whole.
#[test]
fn a_killed_run_that_is_not_run_again_is_not_whole() {
    if !process::may_trace_or_rerun("kill::a_killed_run_that_is_not_run_again_is_not_whole") {
        return;
    }
    let stage = Stage::new();
    let not_run_again = Scenario { after: |stage, _| stage.check_kept(&stage.pair()), ..refresh(&stage) };
    let counts = measure(&stage, &not_run_again);
    stage.check_kept(&stage.pair()).unwrap();
    stage.restore(not_run_again.before.as_ref());
    let (killed, ended) = kill_at(&stage, &not_run_again, Point(Kind::Deed, counts.deeds / 2));
    assert!(killed.is_some() && ended.code.is_none(), "{killed:?}, {ended:?}");
    let why = survives(&stage, &not_run_again).unwrap_err();
    assert!(why.contains("the code in the keyring"), "{why}");
}

#[test]
fn a_first_run_killed_anywhere_opens_the_device_when_it_is_run_again() {
    everywhere("kill::a_first_run_killed_anywhere_opens_the_device_when_it_is_run_again", first_run);
}

#[test]
fn a_refresh_killed_anywhere_keeps_the_new_pair_when_it_is_run_again() {
    everywhere("kill::a_refresh_killed_anywhere_keeps_the_new_pair_when_it_is_run_again", refresh);
}

#[test]
fn a_refresh_killed_anywhere_leaves_the_old_pair_or_the_new_one() {
    everywhere("kill::a_refresh_killed_anywhere_leaves_the_old_pair_or_the_new_one", refresh_then_offline);
}

#[test]
fn what_is_forgotten_is_gone_when_it_is_forgotten_again() {
    everywhere("kill::what_is_forgotten_is_gone_when_it_is_forgotten_again", forget);
}
