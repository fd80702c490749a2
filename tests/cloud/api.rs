//! What the API answers, and what it is asked.

use std::time::Duration;

use snow_rehearsal::{Fault, Job, Operation, Rehearsal, Server, Times};

use crate::child::Call;
use crate::each;

const UNKNOWN: &str = "JID00000000-0000-4000-8000-000000000000";

fn one() -> Rehearsal {
    Rehearsal::builder().start().unwrap()
}

#[test]
fn both_halves_come_whole_with_one_request_each() {
    let world = one();
    let job = world.job();
    let outcome = Call::new(&world, "fetch", job.id()).run().expect("ok");
    assert_eq!(outcome.answer["code"], job.unlock_code());
    assert_eq!(outcome.manifest, job.manifest());
    assert_eq!(outcome.answer["bytes"], job.manifest().len());
    assert_eq!(outcome.answer["facts"]["state"], "WithCustomer");
    assert_eq!(outcome.answer["facts"]["tracking"], "1Z999AA10123456784");
    let requests = world.requests();
    assert_eq!(requests.len(), 4, "three operations and one download");
    let download = requests.iter().find(|request| request.server == Server::Bucket).unwrap();
    assert!(!download.authorization && download.range.is_none(), "no AWS credentials go to the bucket");
    assert_eq!(outcome.sockets.1, 0, "the drop ends the connections");
    assert_eq!(outcome.sockets.0 > 0, cfg!(target_os = "linux"), "and they were pooled until then");
    outcome.never_says(&job.unlock_code());
    outcome.never_says("X-Amz-Signature");
    assert!(outcome.notices.is_empty(), "a fast call is silent");
}

#[test]
fn the_whole_takes_two_serial_requests() {
    let step = Duration::from_millis(700);
    let world = Rehearsal::builder().latency(step).start().unwrap();
    let outcome = Call::new(&world, "fetch", world.job().id()).run().expect("ok");
    assert!(outcome.took >= 2 * step, "{:?}", outcome.took);
    assert!(outcome.took < 3 * step, "{:?}", outcome.took);
}

#[test]
fn a_refused_pair_is_explained_by_the_job_s_state() {
    for (state, code, words) in [
        ("New", "job_not_ready", "has been created"),
        ("PreparingShipment", "job_not_ready", "tracking number 1Z999AA10123456784"),
        ("InTransitToAWS", "job_too_late", "is in transit to AWS"),
        ("InProgress", "job_not_usable", "AWS copies its data"),
        ("NeverHeardOf", "job_not_usable", "NeverHeardOf"),
    ] {
        let world = Rehearsal::builder().job(Job::new().state(state)).start().unwrap();
        let outcome = Call::new(&world, "fetch", world.job().id()).run().expect(code);
        assert!(outcome.sentence.contains(words), "{}", outcome.sentence);
        assert!(outcome.manifest.is_empty());
    }
}

#[test]
fn unknown_and_main_jobs_are_named_as_such() {
    let world = Rehearsal::builder().export(Job::new(), 2).start().unwrap();
    let jobs = world.jobs();
    let outcome = Call::new(&world, "fetch", jobs[0].id()).run().expect("job_is_main");
    assert!(outcome.hint.contains(jobs[1].id()) && outcome.hint.contains(jobs[2].id()), "{}", outcome.hint);
    let facts = Call::new(&world, "job", jobs[0].id()).run().expect("ok").answer;
    assert_eq!(facts["is_main"], true);
    for what in ["fetch", "job"] {
        let outcome = Call::new(&world, what, UNKNOWN).run().expect("job_unknown");
        assert!(outcome.sentence.contains("us-east-1"), "{}", outcome.sentence);
    }
}

#[test]
fn the_list_is_read_to_its_end_and_details_are_asked_only_where_they_help() {
    let mut builder = Rehearsal::builder().cluster(Job::new().manifest_size(0), 2);
    for _ in 0..110 {
        builder = builder.job(Job::new().state("Complete").manifest_size(0));
    }
    let world =
        builder.job(Job::new().state("InTransitToCustomer").description(None).manifest_size(0)).start().unwrap();
    let jobs = Call::new(&world, "jobs", "").run().expect("ok").answer;
    let jobs = jobs.as_array().unwrap();
    assert_eq!(jobs.len(), 113);
    assert_eq!((world.count(Operation::ListJobs), world.count(Operation::DescribeJob)), (2, 3));
    let nodes: Vec<_> = jobs.iter().filter(|job| job["cluster"].is_string()).collect();
    assert!(nodes.len() == 2 && nodes.iter().all(|job| job["tracking"].is_string()));
    assert!(jobs.iter().any(|job| job["state"] == "InTransitToCustomer" && job["description"].is_null()));
}

#[test]
fn a_list_without_details_is_still_a_list() {
    let world = one();
    world.plant(Operation::DescribeJob, Fault::AccessDenied, Times::Always);
    let outcome = Call::new(&world, "jobs", "").run().expect("ok");
    assert_eq!(outcome.answer.as_array().unwrap().len(), 1);
    assert!(outcome.notices[0].contains("snowball:DescribeJob"), "{}", outcome.notices[0]);
}

#[test]
fn incomplete_and_unreadable_answers_are_errors_that_say_nothing_secret() {
    use Operation::{DescribeJob, GetJobManifest, GetJobUnlockCode};
    let short = "12345-abcde-12345-ABCDE-1234";
    let cases = [
        (DescribeJob, Fault::MissingMember, "answer_incomplete"),
        (GetJobManifest, Fault::MissingMember, "answer_incomplete"),
        (GetJobUnlockCode, Fault::MissingMember, "answer_incomplete"),
        (GetJobUnlockCode, Fault::Text(short.to_owned()), "code_malformed"),
        (GetJobManifest, Fault::Text("http://127.0.0.1:9/?X-Amz-Signature=1".to_owned()), "manifest_url_bad"),
        (GetJobManifest, Fault::Text("not an address".to_owned()), "manifest_url_bad"),
        (GetJobUnlockCode, Fault::MalformedBody, "answer_malformed"),
        (GetJobManifest, Fault::MalformedBody, "answer_malformed"),
        (GetJobUnlockCode, Fault::AccessDenied, "access_denied"),
        (DescribeJob, Fault::Internal, "api_failed"),
        (GetJobUnlockCode, Fault::Unavailable, "api_failed"),
        (GetJobManifest, Fault::Throttled, "api_throttled"),
        (GetJobUnlockCode, Fault::CutOff, "api_unreachable"),
    ];
    each(cases, |world, (operation, fault, code)| {
        let job = world.job();
        world.plant(operation, fault, Times::Always);
        let outcome = Call::new(world, "fetch", job.id()).set("timeout_ms", 3000).run().expect(code);
        assert!(outcome.sentence.contains(operation.name()) || !code.starts_with("answer"), "{}", outcome.sentence);
        outcome.never_says(&job.unlock_code());
        outcome.never_says(short);
        outcome.never_says("X-Amz-Signature");
    });
}

#[test]
fn what_passes_is_tried_again_until_the_deadline_and_nothing_else_is() {
    each([Fault::Throttled, Fault::Unavailable, Fault::Internal, Fault::CutOff], |world, fault| {
        world.plant(Operation::GetJobUnlockCode, fault.clone(), Times::First(4));
        let outcome = Call::new(world, "fetch", world.job().id()).run().expect("ok");
        assert_eq!(world.count(Operation::GetJobUnlockCode), 5, "{fault:?}");
        let told = outcome.notices.iter().any(|line| line.starts_with("waiting for ") && line.contains(", which "));
        assert!(told, "{:?}", outcome.notices);
    });
    let cases = [
        (Fault::Unavailable, "api_failed", true),
        (Fault::Throttled, "api_throttled", true),
        (Fault::AccessDenied, "access_denied", false),
        (Fault::MissingMember, "answer_incomplete", false),
    ];
    each(cases, |world, (fault, code, is_tried_again)| {
        world.plant(Operation::DescribeJob, fault, Times::Always);
        let outcome = Call::new(world, "job", world.job().id()).set("timeout_ms", 4000).run().expect(code);
        assert!(outcome.took < Duration::from_secs(9), "{:?}", outcome.took);
        assert_eq!(world.count(Operation::DescribeJob) > 2, is_tried_again, "{code}");
    });
}

#[test]
fn a_silent_api_is_waited_for_aloud_and_not_for_ever() {
    let world = one();
    world.plant(Operation::DescribeJob, Fault::Hang, Times::Always);
    let outcome = Call::new(&world, "job", world.job().id()).set("timeout_ms", 4500).run().expect("api_timeout");
    assert!(outcome.took < Duration::from_secs(9), "{:?}", outcome.took);
    assert!(outcome.notices[0].starts_with("waiting for the Snowball API at 127.0.0.1:"), "{}", outcome.notices[0]);
}

#[test]
fn a_code_that_does_not_come_is_not_blamed_on_the_bucket() {
    let world = one();
    world.plant(Operation::GetJobUnlockCode, Fault::Hang, Times::Always);
    let outcome = Call::new(&world, "fetch", world.job().id()).set("timeout_ms", 3000).run().expect("api_timeout");
    assert!(outcome.sentence.starts_with("The Snowball API"), "{}", outcome.sentence);
    assert_eq!(outcome.manifest, world.job().manifest(), "it came in the meantime");
}

#[test]
fn a_clock_that_is_off_is_said_with_both_times() {
    let world = one();
    world.set_api_clock(time::Duration::days(400));
    let sentence = Call::new(&world, "job", world.job().id()).run().expect("clock_skew").sentence;
    let year = |at: time::OffsetDateTime| at.year();
    let now = time::OffsetDateTime::now_utc();
    assert!(sentence.contains(&format!("it is {}-", year(now))), "{sentence}");
    assert!(sentence.contains(&format!("and {}-", year(now + time::Duration::days(400)))), "{sentence}");
}
