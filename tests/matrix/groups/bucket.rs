//! The manifest's bucket, and the line to it.

use std::time::Duration;

use snow_rehearsal::BucketFault::{self, Damaged, Delay, Drip, Empty, Hang, Html, Redirect, Text, TooLarge};
use snow_rehearsal::BucketFault::{Truncated, Unavailable, WrongLength};
use snow_rehearsal::ProxyFault::{self, Closes, Corrupts, Drips, Impostor, Refuses, Resets, Silent, Stalls};
use snow_rehearsal::Times::{Always, First};
use snow_rehearsal::{Impostor as Flaw, Server};

use crate::row::Verb::{Fetch, Refresh, Run};
use crate::row::{Cast, Fault, Given, Row};
use crate::scene::Scene;

const SOON: &str = "5s";
/// Before the first TLS record of the manifest is whole; and in the manifest's middle.
const BEGINNING: u64 = 4_000;
const MIDDLE: u64 = 50_000;

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = line();
    rows.extend(downloads());
    rows
}

fn downloads() -> Vec<Row> {
    let on = |verb, name: &str, fault: BucketFault, times| Row::new(verb, name, Fault::Bucket(fault, times));
    let for_good = |name, fault| on(Run, name, fault, Always);
    let refresh = |name, fault| on(Refresh, name, fault, Always).given(Given::Stale);
    let once = |name, fault| on(Fetch, name, fault, First(1)).well();
    let elsewhere = || Redirect(Some("http://portal.invalid/sign-in".to_owned()));
    vec![
        for_good("always half a manifest", Truncated).within(SOON).fails(5, "manifest_cut"),
        for_good("always less than promised", WrongLength).within(SOON).fails(5, "manifest_cut"),
        for_good("always damaged", Damaged).fails(7, "manifest_damaged"),
        for_good("a hotel's sign-in page", Html).fails(7, "not_a_manifest"),
        for_good("nothing", Empty).fails(7, "not_a_manifest"),
        for_good("text", Text).fails(7, "not_a_manifest"),
        for_good("led on to another host", Redirect(None)).fails(7, "manifest_redirected"),
        for_good("led on to a sign-in page", elsewhere()).fails(7, "manifest_redirected"),
        for_good("65 MiB", TooLarge(65 << 20)).fails(7, "manifest_too_large"),
        for_good("a bucket that is overloaded", Unavailable).within(SOON).fails(5, "api_throttled"),
        for_good("a bucket that hangs", Hang).within(SOON).fails(5, "api_timeout"),
        for_good("a sixteenth every 2 s", Drip(Duration::from_secs(2))).within(SOON).fails(5, "manifest_slow"),
        refresh("always half a manifest", Truncated).within(SOON).fails(5, "manifest_cut"),
        refresh("always damaged", Damaged).fails(7, "manifest_damaged"),
        refresh("a hotel's sign-in page", Html).fails(7, "not_a_manifest"),
        refresh("a bucket that hangs", Hang).within(SOON).fails(5, "api_timeout"),
        refresh("65 MiB", TooLarge(65 << 20)).fails(7, "manifest_too_large"),
        once("half a manifest, once", Truncated),
        once("less than promised, once", WrongLength),
        once("damaged, once", Damaged),
        once("overloaded, once", Unavailable),
        once("a second late", Delay(Duration::from_secs(1))),
        once("a sixteenth every 100 ms", Drip(Duration::from_millis(100))),
        Row::new(
            Fetch,
            "the bucket's clock is two hours ahead",
            Fault::Do(|scene| clock(scene, 2), |scene| clock(scene, 0)),
        )
        .fails(7, "manifest_refused"),
    ]
}

fn line() -> Vec<Row> {
    let bucket = Some(Server::Bucket);
    let on = |verb, name: &str, fault: ProxyFault, times| Row::new(verb, name, Fault::Line(bucket, fault, times));
    let for_good = |name, fault| on(Fetch, name, fault, Always).within(SOON);
    let patient = |name, fault| on(Fetch, name, fault, Always).well();
    let bare = || Cast { bare_bucket: true, ..Cast::default() };
    vec![
        // Takes longest, so it begins.
        on(Fetch, "the line goes silent in the middle, once", Stalls(MIDDLE), First(1)).within("24s").well(),
        for_good("the proxy forbids the bucket", Refuses(403)).fails(5, "api_unreachable"),
        for_good("the proxy says nothing", Silent).fails(5, "api_timeout"),
        for_good("the line is closed at once", Closes(0)).fails(5, "api_unreachable"),
        for_good("the line is reset at once", Resets(0)).fails(5, "api_unreachable"),
        for_good("the line is closed before the manifest begins", Closes(BEGINNING)).fails(5, "api_unreachable"),
        for_good("the line goes silent before the manifest begins", Stalls(BEGINNING)).fails(5, "api_timeout"),
        for_good("100 bytes every 100 ms", Drips(100, Duration::from_millis(100))).fails(5, "api_timeout"),
        for_good("an expired certificate", Impostor(Flaw::Expired)).fails(5, "tls_out_of_date"),
        for_good("a certificate of another host", Impostor(Flaw::OtherName)).fails(5, "tls_untrusted"),
        for_good("a certificate of an unknown authority", Impostor(Flaw::UnknownAuthority)).fails(5, "tls_untrusted"),
        // No connection brings all of it, and each goes on where the last one ended.
        patient("the line is closed in the middle, always", Closes(MIDDLE)),
        patient("the line is reset in the middle, always", Resets(MIDDLE)),
        patient("a byte is changed in the middle, always", Corrupts(MIDDLE)),
        for_good("the line is closed in the middle, always, and the bucket names no ETag", Closes(MIDDLE))
            .cast(bare())
            .fails(5, "manifest_cut"),
        on(Refresh, "the line is closed in the middle, always, and the bucket names no ETag", Closes(MIDDLE), Always)
            .cast(bare())
            .within(SOON)
            .given(Given::Stale)
            .fails(5, "manifest_cut"),
        on(Refresh, "a certificate of an unknown authority", Impostor(Flaw::UnknownAuthority), Always)
            .given(Given::Stale)
            .fails(5, "tls_untrusted"),
    ]
}

fn clock(scene: &Scene<'_>, hours: i64) {
    scene.rehearsal.set_bucket_clock(time::Duration::hours(hours));
}
