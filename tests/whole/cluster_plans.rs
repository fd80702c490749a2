//! Plans that hold clusters: one line each, opened beside the others, each with its own end.

use std::fs;

use snow_rehearsal::{Device, DeviceOptions, Job, Operation, Rehearsal, State};

use crate::agent::{Agent, Ended, files_with, state};
use crate::clusters::{READY, at_once};
use crate::events;
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

/// A job of its own, and a cluster of three.
struct Yard {
    rehearsal: Rehearsal,
    bus: KeyringBus,
    alone: Device,
    nodes: Vec<Device>,
    cluster: String,
}

impl Yard {
    fn new() -> Self {
        let builder = Rehearsal::builder().job(Job::new()).cluster(Job::new(), 3);
        let rehearsal = builder.device(DeviceOptions::default()).start().unwrap();
        let cluster = rehearsal.clusters()[0].clone();
        let nodes = rehearsal.start_cluster(&cluster, |_| at_once()).unwrap().nodes().to_vec();
        let alone = rehearsal.device().clone();
        Self { bus: KeyringBus::start(Keyring::Unlocked), rehearsal, alone, nodes, cluster }
    }

    fn run(&self, name: &str, plan: &str, more: &[&str]) -> Ended {
        let path = self.rehearsal.root().join(name);
        fs::write(&path, plan).unwrap();
        let args = [&["run", "--plan", path.to_str().unwrap()], more].concat();
        let agent = Agent::new(&self.rehearsal, args).arg("--client").arg(self.rehearsal.client_path());
        on_the_bus(agent, &self.bus).end()
    }

    fn addresses(&self, between: &str) -> String {
        self.nodes.iter().map(|node| node.address().to_string()).collect::<Vec<_>>().join(between)
    }

    fn row_of_one(&self) -> String {
        format!("{},{},gate", self.alone.job_id(), self.alone.address())
    }

    fn is_open(&self) -> bool {
        self.nodes.iter().all(Device::is_associated) && self.alone.state() == State::Unlocked
    }

    fn unlocked(&self) -> u32 {
        self.nodes.iter().map(|node| node.cluster_requests().unlock_cluster).sum()
    }
}

#[test]
fn a_cluster_is_a_line_beside_others_and_a_second_run_does_only_what_is_missing() {
    let yard = Yard::new();
    let plan = format!("job,address,label\n{},{},rack\n{}\n", yard.cluster, yard.addresses(" "), yard.row_of_one());
    let first = yard.run("plan.csv", &plan, &["--json"]).done();
    assert_eq!(events::flaw_of_all(&first.stdout), None);
    assert!(yard.is_open(), "{}", first.stdout);
    let rows = first.json("result")["jobs"].clone();
    assert_eq!((&rows[0]["job"], &rows[0]["label"]), (&yard.cluster.as_str().into(), &"rack".into()), "{rows}");
    assert!(rows[0]["nodes"].as_array().unwrap().iter().all(|node| node["state"] == READY), "{rows}");
    assert!(rows[0]["nodes"].as_array().unwrap().len() == 3 && rows[1]["nodes"].is_null(), "{rows}");
    for job in [yard.cluster.as_str(), yard.alone.job_id()] {
        let code = yard.bus.lookup(job).unwrap();
        assert!(files_with(&state(&yard.rehearsal), &code).is_empty() && !first.stdout.contains(&code));
    }

    yard.alone.power_loss();
    let asked = yard.rehearsal.requests().len();
    let again = yard.run("plan.csv", &plan, &[]).done();
    assert_eq!((yard.rehearsal.requests().len(), yard.unlocked()), (asked, 1), "{}", again.stderr);
    assert!(yard.is_open() && again.stdout.contains("UNLOCKED already  rack\n"), "{}", again.stdout);
    assert_eq!(again.stdout.matches(READY).count(), 3, "{}", again.stdout);
}

#[test]
fn a_node_stands_for_its_cluster_and_what_fails_is_the_cluster_s_own() {
    let yard = Yard::new();
    let node = yard.nodes[1].job_id();
    yard.nodes[2].power_loss_for(std::time::Duration::from_secs(600));
    let quoted = yard.addresses("\", \"");
    let plan = format!(
        "[[device]]\njob = \"{node}\"\naddress = [\"{quoted}\"]\n[[device]]\njob = \"{}\"\naddress = \"{}\"\n",
        yard.alone.job_id(),
        yard.alone.address()
    );
    let ended = yard.run("plan.toml", &plan, &["--json", "--unlock-timeout", "2s"]);
    let rows = ended.json("result")["jobs"].clone();
    assert_eq!((ended.status.code(), events::flaw_of_all(&ended.stdout)), (Some(14), None), "{}", ended.stdout);
    assert_eq!(
        (&rows[0]["job"], &rows[0]["error"]["code"]),
        (&yard.cluster.as_str().into(), &"cluster_incomplete".into())
    );
    assert!(rows[1]["error"].is_null() && yard.alone.state() == State::Unlocked, "{rows}");
    // What AWS has told once is not asked again: the node is known here by now.
    let asked = yard.rehearsal.requests().len();
    yard.run("plan.toml", &plan, &["--unlock-timeout", "2s"]).failed(14, "2 of the 3 nodes");
    assert_eq!(yard.rehearsal.requests().len(), asked);
}

#[test]
fn an_address_of_last_time_that_another_row_has_is_no_node_s() {
    let yard = Yard::new();
    let (cluster, all, one) = (&yard.cluster, yard.addresses(" "), yard.alone.job_id());
    yard.run("plan.csv", &format!("{cluster},{all}\n"), &[]).done();
    let [first, second, third] = [0, 1, 2].map(|at| yard.nodes[at].address());
    let plan = format!("{cluster},{first} {second}\n{one},{third}\n");
    let ended = yard.run("plan.csv", &plan, &["--json", "--unlock-timeout", "2s"]);
    let error = &ended.json("result")["jobs"][0]["error"];
    assert_eq!(error["code"], "cluster_addresses_missing", "{}", ended.stdout);
    // Nobody else has it: it is that of the last time.
    yard.run("plan.csv", &format!("{cluster},{first} {second}\n{}\n", yard.row_of_one()), &[]).done();
}

#[test]
fn a_plan_with_a_cluster_twice_or_an_address_twice_is_refused_before_anything_is_fetched() {
    let yard = Yard::new();
    let (cluster, all, one) = (&yard.cluster, yard.addresses(" "), yard.alone.job_id());
    let node = yard.nodes[0].job_id();
    let last = yard.nodes[2].address();
    for (plan, why) in [
        (format!("{cluster},{all}\n{one},{last}\n"), format!("{last} stands in it twice, first in line 1")),
        (format!("{cluster},{all} {last}\n"), format!("{last} stands in it twice")),
        (
            format!("{cluster},{all}\n{node},127.0.0.7 127.0.0.8\n"),
            format!("{node} is a node of {cluster}, which stands in it twice"),
        ),
        (format!("{cluster},{all}\n{cluster},127.0.0.7\n"), format!("{cluster} stands in it twice")),
    ] {
        yard.run("plan.csv", &plan, &[]).failed(2, &why);
    }
    assert_eq!(yard.rehearsal.count(Operation::GetJobUnlockCode), 0);
    for (plan, why) in [
        (format!("{cluster},{}\n", yard.nodes[0].address()), "cluster_addresses_missing"),
        (format!("{cluster},{all} 127.0.0.1:1\n"), "cluster_addresses_too_many"),
        (format!("{one},{all}\n"), "usage"),
    ] {
        let ended = yard.run("plan.csv", &plan, &["--json"]);
        let error = &ended.json("result")["jobs"][0]["error"];
        assert_eq!(error["code"], why, "{}", ended.stdout);
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains("line 1 of the plan") && !hint.contains("--node"), "{hint}");
        assert!(!hint.contains("--endpoint"), "{hint}");
        assert_eq!((ended.status.code(), events::flaw_of_all(&ended.stdout)), (Some(2), None));
    }
    assert_eq!(yard.rehearsal.count(Operation::GetJobUnlockCode), 0);
}
