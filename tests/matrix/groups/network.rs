//! The network on the way to the API.

use std::time::Duration;

use snow_rehearsal::Fault as Answer;
use snow_rehearsal::Operation::{self, DescribeJob, GetJobManifest, GetJobUnlockCode, ListJobs};
use snow_rehearsal::ProxyFault::{Closes, Corrupts, Drips, Impostor, Refuses, Resets, Silent, Stalls};
use snow_rehearsal::Times::{Always, First};
use snow_rehearsal::{Impostor as Flaw, Rehearsal, Server};

use crate::row::Verb::{Fetch, Jobs, Refresh, Run};
use crate::row::{Fault, Given, Row};
use crate::scene::Scene;

const PAIR: [Operation; 3] = [DescribeJob, GetJobManifest, GetJobUnlockCode];

/// How long an operator waits who has no patience: long enough for what is well, on a machine that plays many rows.
const SOON: &str = "5s";

/// Within the TLS handshake, behind it, and within the first answer. A second connection takes up the first one's session,
/// and has no room for DescribeJob's answer either.
const HANDSHAKE: u64 = 150;
const BEHIND: u64 = 850;
const ANSWER: u64 = 1000;

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = line();
    rows.extend(calls());
    rows.extend(settings());
    rows
}

/// The line itself, or a proxy on it.
fn line() -> Vec<Row> {
    let api = Some(Server::Api);
    let on = |verb, name, fault, times| Row::new(verb, name, Fault::Line(api, fault, times));
    let for_good = |name: &str, fault| on(Fetch, name.to_owned(), fault, Always).within(SOON);
    let once = |name: &str, fault| on(Fetch, format!("{name}, once"), fault, First(1)).well();
    vec![
        // Takes longest, so it begins.
        once("the line goes silent at once", Stalls(0)),
        for_good("the proxy wants a login", Refuses(407)).fails(5, "api_unreachable"),
        for_good("the proxy forbids it", Refuses(403)).fails(5, "api_unreachable"),
        for_good("the proxy gets no further", Refuses(502)).fails(5, "api_unreachable"),
        for_good("the proxy says nothing", Silent).fails(5, "api_timeout"),
        for_good("the line is closed at once", Closes(0)).fails(5, "api_unreachable"),
        for_good("the line is closed in the handshake", Closes(HANDSHAKE)).fails(5, "api_unreachable"),
        for_good("the line is closed in an answer", Closes(ANSWER)).fails(5, "api_unreachable"),
        for_good("the line is reset at once", Resets(0)).fails(5, "api_unreachable"),
        for_good("the line is reset in the handshake", Resets(HANDSHAKE)).fails(5, "api_unreachable"),
        for_good("the line is reset in an answer", Resets(ANSWER)).fails(5, "api_unreachable"),
        for_good("the line goes silent at once", Stalls(0)).fails(5, "api_timeout"),
        for_good("the line goes silent in an answer", Stalls(ANSWER)).fails(5, "api_timeout"),
        for_good("a byte every 50 ms", Drips(1, Duration::from_millis(50))).fails(5, "api_timeout"),
        for_good("a byte is changed in the handshake", Corrupts(HANDSHAKE)).fails(5, "api_unreachable"),
        for_good("a byte is changed behind the handshake", Corrupts(BEHIND)).fails(5, "api_unreachable"),
        for_good("an expired certificate", Impostor(Flaw::Expired)).fails(5, "tls_out_of_date"),
        for_good("a certificate of another host", Impostor(Flaw::OtherName)).fails(5, "tls_untrusted"),
        for_good("a certificate of an unknown authority", Impostor(Flaw::UnknownAuthority)).fails(5, "tls_untrusted"),
        on(Refresh, "the line is reset in an answer".to_owned(), Resets(ANSWER), Always)
            .given(Given::Stale)
            .within(SOON)
            .fails(5, "api_unreachable"),
        on(Refresh, "an expired certificate".to_owned(), Impostor(Flaw::Expired), Always)
            .given(Given::Stale)
            .fails(5, "tls_out_of_date"),
        on(Run, "an expired certificate".to_owned(), Impostor(Flaw::Expired), Always).fails(5, "tls_out_of_date"),
        on(Run, "the proxy forbids it".to_owned(), Refuses(403), Always).given(Given::Pair).well(),
        on(Fetch, "200 bytes every 20 ms".to_owned(), Drips(200, Duration::from_millis(20)), Always).well(),
        once("the line is closed in an answer", Closes(ANSWER)),
        once("the line is reset at once", Resets(0)),
        once("the line is reset in the handshake", Resets(HANDSHAKE)),
        once("a byte is changed behind the handshake", Corrupts(BEHIND)),
    ]
}

/// Calls that are answered with a failure, or not.
fn calls() -> Vec<Row> {
    let failures = || {
        [
            ("is throttled", Answer::Throttled, "api_throttled"),
            ("is answered 500", Answer::Internal, "api_failed"),
            ("is answered 503", Answer::Unavailable, "api_failed"),
            ("is cut off", Answer::CutOff, "api_unreachable"),
            ("hangs", Answer::Hang, "api_timeout"),
        ]
    };
    let mut rows = Vec::new();
    for operation in PAIR {
        for (what, fault, code) in failures() {
            let name = format!("{operation} {what}");
            rows.push(Row::new(Fetch, name, Fault::Api(operation, fault, Always)).within(SOON).fails(5, code));
        }
    }
    for (what, fault, code) in failures() {
        let name = format!("every call {what}");
        let fault = Fault::EveryCall(fault, Always);
        let offline = Row::new(Run, name.clone(), fault.clone()).given(Given::Pair).well();
        rows.push(Row::new(Refresh, name, fault).given(Given::Stale).within(SOON).fails(5, code));
        rows.push(offline);
    }
    for (what, fault, code) in failures() {
        let name = format!("ListJobs {what}");
        rows.push(Row::new(Jobs, name, Fault::Api(ListJobs, fault, Always)).within(SOON).fails(5, code));
    }
    for (what, fault, _) in failures().into_iter().take(4) {
        for (times, often) in [(1, "once"), (4, "four times")] {
            let name = format!("GetJobUnlockCode {what}, {often}");
            rows.push(Row::new(Fetch, name, Fault::Api(GetJobUnlockCode, fault.clone(), First(times))).well());
        }
    }
    let late = Answer::Delay(Duration::from_secs(3));
    rows.push(Row::new(Run, "every answer is 3 s late", Fault::EveryCall(late, Always)).well());
    rows
}

/// Where the way to AWS is set wrongly.
fn settings() -> Vec<Row> {
    let env = |name: &'static str, value: &str| Fault::Env(vec![(name, Some(value.to_owned()))]);
    // Nobody listens on a port that was free a moment ago and is below those that are given out.
    let nowhere = "http://127.0.0.1:9";
    vec![
        Row::new(Fetch, "the proxy is not there", env("HTTPS_PROXY", nowhere)).fails(5, "api_unreachable"),
        Row::new(Fetch, "a proxy of another kind", env("HTTPS_PROXY", "socks5://127.0.0.1:9")).fails(3, "proxy_bad"),
        Row::new(Fetch, "nobody is at the API's address", env("AWS_ENDPOINT_URL_SNOWBALL", "https://127.0.0.1:9"))
            .fails(5, "api_unreachable"),
        Row::new(Run, "the API's address is not https", env("AWS_ENDPOINT_URL_SNOWBALL", nowhere))
            .fails(3, "api_not_https"),
        Row::new(Refresh, "the CA file is no PEM", Fault::Do(|scene| ca(scene, b"not PEM"), put_ca_back))
            .given(Given::Stale)
            .fails(3, "ca_file_bad"),
        Row::new(Run, "the CA file is that of another", Fault::Do(ca_of_another, put_ca_back))
            .fails(5, "tls_untrusted"),
        // What is typed is refused also where it would not come to be used.
        Row::new(Run, "the CA file is no PEM", Fault::Do(|scene| ca(scene, b"not PEM"), put_ca_back))
            .given(Given::Pair)
            .fails(3, "ca_file_bad"),
    ]
}

fn ca(scene: &Scene<'_>, content: &[u8]) {
    let before = std::fs::read(scene.rehearsal.ca_bundle()).unwrap();
    scene.change(|state| state.aside = before);
    std::fs::write(scene.rehearsal.ca_bundle(), content).unwrap();
}

fn ca_of_another(scene: &Scene<'_>) {
    let another = Rehearsal::builder().start().unwrap();
    ca(scene, &std::fs::read(another.ca_bundle()).unwrap());
}

fn put_ca_back(scene: &Scene<'_>) {
    scene.change(|state| std::fs::write(scene.rehearsal.ca_bundle(), std::mem::take(&mut state.aside)).unwrap());
}
