//! The manifest's way from the bucket.

use std::time::Duration;

use snow_rehearsal::{BucketFault, Job, Rehearsal, Times};

use crate::child::Call;

#[test]
fn what_is_no_whole_manifest_is_refused_by_name() {
    let world = Rehearsal::builder().start().unwrap();
    let elsewhere = "https://sign-in.hotel.example/?next=x".to_owned();
    for (fault, code, words) in [
        (BucketFault::Truncated, "manifest_cut", "of 102400 bytes"),
        (BucketFault::WrongLength, "manifest_cut", "of 103400 bytes"),
        (BucketFault::Damaged, "manifest_damaged", "SHA-256"),
        (BucketFault::Html, "not_a_manifest", "text"),
        (BucketFault::Text, "not_a_manifest", "text"),
        (BucketFault::Empty, "not_a_manifest", "empty"),
        (BucketFault::Redirect(Some(elsewhere)), "manifest_redirected", "(sign-in.hotel.example)"),
        (BucketFault::Redirect(None), "manifest_redirected", "localhost"),
        (BucketFault::TooLarge(3 << 20), "manifest_too_large", "2097152"),
        (BucketFault::Unavailable, "api_throttled", "bucket at 127.0.0.1"),
    ] {
        world.heal();
        world.plant_in_bucket(fault, Times::Always);
        let before = world.downloads();
        let outcome = Call::new(&world, "fetch", world.job().id()).set("limit", 2 << 20).run().expect(code);
        assert!(outcome.sentence.contains(words), "{}", outcome.sentence);
        assert_eq!(world.downloads(), before + 1, "asked once, no redirect followed");
        outcome.never_says("X-Amz-Signature");
        if code == "not_a_manifest" {
            assert!(outcome.manifest.is_empty(), "nothing of it is written");
        }
    }
}

#[test]
fn an_expired_address_is_told_in_the_bucket_s_words() {
    let world = Rehearsal::builder().start().unwrap();
    world.set_bucket_clock(time::Duration::hours(2));
    let outcome = Call::new(&world, "fetch", world.job().id()).run().expect("manifest_refused");
    assert!(outcome.sentence.contains("403 (AccessDenied: Request has expired)"), "{}", outcome.sentence);
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
