//! The manifest's way from the bucket.

use std::time::Duration;

use snow_rehearsal::{BucketFault, Fault, Job, Operation, Rehearsal, Server, Times};

use crate::child::Call;
use crate::each;

#[test]
fn what_is_no_whole_manifest_is_refused_by_name() {
    let elsewhere = "https://sign-in.hotel.example/?next=x".to_owned();
    let cases = [
        (BucketFault::Truncated, "manifest_cut", "of 102400 bytes"),
        (BucketFault::WrongLength, "manifest_cut", "of 103400 bytes"),
        (BucketFault::Damaged, "manifest_damaged", "SHA-256"),
        (BucketFault::Html, "not_a_manifest", "text"),
        (BucketFault::Text, "not_a_manifest", "text"),
        (BucketFault::Empty, "not_a_manifest", "empty"),
        (BucketFault::Redirect(Some(elsewhere)), "manifest_redirected", "(sign-in.hotel.example)"),
        (BucketFault::Redirect(None), "manifest_redirected", "localhost"),
        (BucketFault::TooLarge(3 << 20), "manifest_too_large", "2097152"),
    ];
    each(cases, |world, (fault, code, words)| {
        world.plant_in_bucket(fault, Times::Always);
        let outcome = Call::new(world, "fetch", world.job().id()).set("limit", 2 << 20).run().expect(code);
        assert!(outcome.sentence.contains(words), "{}", outcome.sentence);
        let again = world.downloads() - 1;
        match code {
            "manifest_cut" => assert!(again > 2, "{again}: a network that breaks is given several tries"),
            "manifest_damaged" => assert_eq!(again, 1, "once more, from the start"),
            _ => assert_eq!(again, 0, "asked once, no redirect followed"),
        }
        outcome.never_says("X-Amz-Signature");
        if code == "not_a_manifest" {
            assert!(outcome.manifest.is_empty(), "nothing of it is written");
        }
    });
}

#[test]
fn what_broke_off_goes_on_where_it_broke() {
    let world = Rehearsal::builder().start().unwrap();
    world.plant_in_bucket(BucketFault::Truncated, Times::First(1));
    let outcome = Call::new(&world, "fetch", world.job().id()).run().expect("ok");
    assert_eq!(outcome.manifest, world.job().manifest());
    let ranges: Vec<_> =
        world.requests().into_iter().filter(|it| it.server == Server::Bucket).map(|it| it.range).collect();
    assert_eq!(ranges, [None, Some("bytes=51200-".to_owned())]);
    assert!(
        outcome.notices.iter().any(|line| line.contains("broke off after 51200 of 102400")),
        "{:?}",
        outcome.notices
    );
}

#[test]
fn what_broke_off_begins_anew_where_the_object_may_be_another() {
    // A bucket that tells nothing by which to know it again.
    let world = Rehearsal::builder().bare_bucket().start().unwrap();
    world.plant_in_bucket(BucketFault::Truncated, Times::First(1));
    let outcome = Call::new(&world, "fetch", world.job().id()).run().expect("ok");
    assert_eq!(outcome.manifest, world.job().manifest());
    assert!(world.requests().iter().all(|request| request.range.is_none()));

    // An object that was replaced in between.
    let world = Rehearsal::builder().start().unwrap();
    world.plant_in_bucket(BucketFault::Truncated, Times::First(1));
    world.plant_in_bucket(BucketFault::Delay(Duration::from_secs(2)), Times::First(1));
    let outcome = std::thread::scope(|scope| {
        let call = scope.spawn(|| Call::new(&world, "fetch", world.job().id()).run());
        while world.downloads() < 1 {
            std::thread::sleep(Duration::from_millis(5));
        }
        world.job().renew_pair();
        call.join().unwrap()
    });
    assert_eq!(outcome.expect("ok").manifest, world.job().manifest(), "the new one, whole");
    let refused = world.requests().into_iter().filter(|request| request.status == 412).count();
    assert_eq!(refused, 1, "the part that was asked for was one of the old");
}

#[test]
fn a_damaged_download_is_made_once_more_from_the_start() {
    let world = Rehearsal::builder().start().unwrap();
    world.plant_in_bucket(BucketFault::Damaged, Times::First(1));
    let outcome = Call::new(&world, "fetch", world.job().id()).run().expect("ok");
    assert_eq!(outcome.manifest, world.job().manifest());
}

#[test]
fn a_bucket_that_asks_for_patience_gets_it() {
    let world = Rehearsal::builder().start().unwrap();
    world.plant_in_bucket(BucketFault::Unavailable, Times::First(2));
    let outcome = Call::new(&world, "fetch", world.job().id()).run().expect("ok");
    assert_eq!(world.count(Operation::GetJobManifest), 1, "with the same address");
    assert!(outcome.notices.iter().any(|line| line.contains("throttling requests")), "{:?}", outcome.notices);
    world.plant_in_bucket(BucketFault::Unavailable, Times::Always);
    let outcome = Call::new(&world, "fetch", world.job().id()).set("timeout_ms", 3000).run().expect("api_throttled");
    assert!(outcome.sentence.contains("bucket at 127.0.0.1"), "{}", outcome.sentence);
}

#[test]
fn a_drip_below_the_floor_is_no_download() {
    let world = Rehearsal::builder().job(Job::new().manifest_size(512)).start().unwrap();
    world.plant_in_bucket(BucketFault::Drip(Duration::from_millis(900)), Times::Always);
    let outcome = Call::new(&world, "fetch", world.job().id()).set("timeout_ms", 6000).run().expect("manifest_slow");
    assert!(outcome.sentence.contains("almost none in the last 1 seconds"), "{}", outcome.sentence);
}

#[test]
fn an_expired_address_is_told_in_the_bucket_s_words() {
    let world = Rehearsal::builder().start().unwrap();
    world.set_bucket_clock(time::Duration::hours(2));
    let outcome = Call::new(&world, "fetch", world.job().id()).run().expect("manifest_refused");
    assert!(outcome.sentence.contains("403 (AccessDenied: Request has expired)"), "{}", outcome.sentence);
    assert_eq!(world.count(Operation::GetJobManifest), 3, "a new address was asked for, and not for ever");
}

#[test]
fn an_address_that_expired_on_the_way_is_asked_for_anew() {
    let world = Rehearsal::builder().start().unwrap();
    world.plant(Operation::GetJobManifest, Fault::Stale, Times::First(1));
    let outcome = Call::new(&world, "fetch", world.job().id()).run().expect("ok");
    assert_eq!(outcome.manifest, world.job().manifest());
    assert_eq!((world.count(Operation::GetJobManifest), world.downloads()), (2, 2));
}

#[test]
fn long_addresses_small_manifests_and_a_bucket_without_checksums_are_fine() {
    let world = Rehearsal::builder()
        .long_addresses()
        .bare_bucket()
        .job(Job::new().manifest_size(0))
        .job(Job::new().manifest_size(5 << 20))
        .start()
        .unwrap();
    for job in world.jobs() {
        let outcome = Call::new(&world, "fetch", job.id()).run().expect("ok");
        assert!(outcome.manifest == job.manifest());
    }
    let larger = world.jobs()[1].manifest().len();
    Call::new(&world, "fetch", world.jobs()[1].id()).set("limit", larger).run().expect("ok");
    Call::new(&world, "fetch", world.jobs()[1].id()).set("limit", larger - 1).run().expect("manifest_too_large");
}

#[test]
fn a_slow_download_says_how_far_it_is() {
    let world = Rehearsal::builder().start().unwrap();
    world.plant_in_bucket(BucketFault::Drip(Duration::from_millis(300)), Times::Always);
    let outcome = Call::new(&world, "fetch", world.job().id()).run().expect("ok");
    assert!(outcome.notices.iter().any(|line| line.starts_with("received ") && line.ends_with(" of 102400")));
}

#[test]
fn a_bucket_that_hangs_is_given_up() {
    let world = Rehearsal::builder().start().unwrap();
    world.plant_in_bucket(BucketFault::Hang, Times::Always);
    let outcome = Call::new(&world, "fetch", world.job().id()).set("timeout_ms", 3000).run().expect("api_timeout");
    assert!(outcome.sentence.contains("bucket"), "{}", outcome.sentence);
    assert!(outcome.took < Duration::from_secs(8), "{:?}", outcome.took);
}

#[test]
fn a_full_disk_is_not_taken_for_a_broken_network() {
    let world = Rehearsal::builder().start().unwrap();
    let outcome = Call::new(&world, "fetch", world.job().id()).set("room", 1000).run().expect("disk");
    assert!(outcome.sentence.starts_with("Writing the manifest failed: "), "{}", outcome.sentence);
}
