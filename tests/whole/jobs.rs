//! `jobs`, and `run` without a job.

use std::collections::BTreeSet;

use snow_rehearsal::{Job, Rehearsal, Server, State};

use crate::agent::Agent;

fn several() -> Rehearsal {
    Rehearsal::builder()
        .job(Job::new().state("WithCustomer").description(Some("Ship log")))
        .job(Job::new().state("InTransitToCustomer").tracking(Some("1Z999AA10123456784")))
        .job(Job::new().state("Complete"))
        .page_size(2)
        .start()
        .unwrap()
}

#[test]
fn the_account_s_jobs_are_listed_with_state_type_age_and_tracking_number() {
    let rehearsal = several();
    let ended = Agent::new(&rehearsal, ["jobs"]).end().done();
    for job in rehearsal.jobs() {
        assert!(ended.stdout.contains(job.id()), "all pages are read: {}", ended.stdout);
    }
    for words in
        ["ready", "delivered to you", "in transit to you", "is completed", "1Z999AA10123456784", "Ship log", "created"]
    {
        assert!(ended.stdout.contains(words), "{words} is not in\n{}", ended.stdout);
    }
    let listing = Agent::new(&rehearsal, ["jobs", "--json"]).end().done().json("result");
    let rows = listing["jobs"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let ready: Vec<&serde_json::Value> = rows.iter().map(|row| &row["ready"]).collect();
    assert_eq!(ready, [&true.into(), &serde_json::Value::Null, &false.into()], "of one in transit AWS decides");
}

#[test]
fn the_policy_that_comes_with_the_program_is_what_it_needs() {
    let rehearsal = several();
    Agent::new(&rehearsal, ["jobs"]).end().done();
    Agent::run(&rehearsal, &["--keychain", "none"]).end().done();
    let with_cluster = Rehearsal::builder().cluster(Job::new(), 2).start().unwrap();
    // Asks how many nodes it has, to tell of how many no address was given.
    Agent::new(&with_cluster, ["run", &with_cluster.clusters()[0]]).end().failed(2, "2 nodes of CID");
    let asked = rehearsal.requests().into_iter().chain(with_cluster.requests());
    let asked = asked.filter(|request| request.server == Server::Api);
    let needed: BTreeSet<String> = asked.map(|request| format!("snowball:{}", request.operation)).collect();
    let policy = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/iam-policy.json")).unwrap();
    let policy: serde_json::Value = serde_json::from_str(&policy).unwrap();
    let granted = policy["Statement"][0]["Action"].as_array().unwrap().iter();
    assert_eq!(granted.map(|action| action.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), needed);
}

#[test]
fn without_a_job_the_delivered_one_is_taken() {
    let rehearsal = several();
    let endpoint = rehearsal.device().endpoint();
    let run = || {
        Agent::new(&rehearsal, ["run", "--endpoint", &endpoint, "--keychain", "none"])
            .arg("--client")
            .arg(rehearsal.client_path())
            .end()
    };
    run().done();
    assert_eq!(rehearsal.device().state(), State::Unlocked);
    rehearsal.jobs()[1].set_state("WithCustomer");
    run().failed(2, "More than one job");
    for job in rehearsal.jobs() {
        job.set_state("WithAWS");
    }
    run().failed(6, "has been delivered");
}
