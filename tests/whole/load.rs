//! Many at once, on one keyring.

use std::process::Child;

use snow_rehearsal::{Job, Rehearsal};

use crate::agent::{Agent, Ended, files, state};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

fn all_end(agents: Vec<Child>) -> Vec<Ended> {
    agents.into_iter().map(|agent| agent.wait_with_output().unwrap().into()).collect()
}

#[test]
fn fifty_jobs_at_once_are_all_kept() {
    const JOBS: usize = 50;
    let builder = (0..JOBS).fold(Rehearsal::builder(), |builder, _| builder.job(Job::new().manifest_size(4096)));
    let rehearsal = builder.start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let fetch = |id: &str| {
        let agent = Agent::new(&rehearsal, ["fetch", id, "--network-timeout", "10m", "--keychain-timeout", "10m"]);
        on_the_bus(agent, &bus).spawn()
    };
    let jobs = rehearsal.jobs();
    assert_eq!(jobs.len(), JOBS);
    all_end(jobs.iter().map(|job| fetch(job.id())).collect()).into_iter().for_each(|ended| drop(ended.done()));
    for job in &jobs {
        assert_eq!(bus.lookup(job.id()), Some(job.unlock_code()));
        let manifest = state(&rehearsal).join("jobs").join(job.id()).join(format!("{}_manifest.bin", job.id()));
        assert_eq!(std::fs::read(manifest).unwrap(), job.manifest());
    }
    let audit = std::fs::read_to_string(state(&rehearsal).join("audit.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().filter(|line| line["step"] == "kept").count(), JOBS, "no line is lost or torn");
    assert!(files(&state(&rehearsal).join("incoming")).is_empty());
}

#[test]
fn of_twenty_on_one_job_one_works_and_the_others_say_so() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let id = rehearsal.job().id().to_owned();
    let fetch = || on_the_bus(Agent::new(&rehearsal, ["fetch", &id]), &bus).spawn();
    let ended = all_end(std::iter::repeat_with(fetch).take(20).collect());
    let (done, busy): (Vec<Ended>, Vec<Ended>) = ended.into_iter().partition(|ended| ended.status.success());
    assert!(!done.is_empty());
    for ended in busy {
        let ended = ended.failed(15, "Another snow-onboard process");
        assert!(!ended.stderr.contains("process unknown"), "with its number: {}", ended.stderr);
    }
    assert_eq!(rehearsal.downloads(), 1, "whoever came later found what was kept");
    assert_eq!(bus.lookup(&id), Some(rehearsal.job().unlock_code()));
    on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().done();
}
