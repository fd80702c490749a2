//! Answers of the API that are no use.

use snow_rehearsal::Fault as Answer;
use snow_rehearsal::Operation::{DescribeJob, GetJobManifest, GetJobUnlockCode, ListJobs};
use snow_rehearsal::Times::{Always, First};

use crate::row::Verb::{Fetch, Jobs, Refresh, Run};
use crate::row::{Fault, Given, Row};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for operation in [DescribeJob, GetJobManifest, GetJobUnlockCode] {
        for (what, fault, code) in [
            ("lacks what it is for", Answer::MissingMember, "answer_incomplete"),
            ("can't be decoded", Answer::MalformedBody, "answer_malformed"),
        ] {
            let name = format!("{operation}'s answer {what}");
            let fault = Fault::Api(operation, fault, Always);
            rows.push(Row::new(Run, name.clone(), fault.clone()).fails(7, code));
            rows.push(Row::new(Refresh, name, fault).given(Given::Stale).fails(7, code));
        }
    }
    for (what, code) in [
        ("of another shape", "abcde-12345-abcde-12345"),
        ("that is empty", ""),
        ("with a line break", "12345-abcde-12345-ABCDE-12345\n"),
        ("with a letter too many", "12345-abcde-12345-ABCDE-123456"),
        ("with letters beyond ASCII", "12345-abcdé-12345-ABCDE-12345"),
        ("that is a web page", "<html><body>Please sign in. [invented]</body></html>"),
    ] {
        rows.push(text(GetJobUnlockCode, format!("a code {what}"), code).fails(7, "code_malformed"));
    }
    let endless = "f".repeat(60_000);
    rows.push(text(GetJobUnlockCode, "a code of 60000 letters".to_owned(), &endless).fails(7, "code_malformed"));
    // Read whole before it is looked at, so it is bounded: 1.5 GB once took 2 GB of memory.
    let flood = "f".repeat(2 << 20);
    for operation in [GetJobManifest, GetJobUnlockCode] {
        rows.push(
            text(operation, format!("{operation}'s answer of two megabytes"), &flood).fails(7, "answer_too_large"),
        );
    }
    for (what, address) in [
        ("without TLS", "http://127.0.0.1:9/manifest.bin?X-Amz-Signature=1"),
        ("of a file", "file:///etc/passwd"),
        ("that is none", "not an address"),
        ("that is empty", ""),
        ("with a user name", "https://user:hunter2@127.0.0.1:9/manifest.bin"),
    ] {
        rows.push(text(GetJobManifest, format!("an address {what}"), address).fails(7, "manifest_url_bad"));
    }
    let endless = format!("https://127.0.0.1:9/{endless}{endless}");
    rows.push(text(GetJobManifest, "an address of 120000 letters".to_owned(), &endless).fails(7, "manifest_url_bad"));
    let api = |verb, name: &str, operation, fault, times| Row::new(verb, name, Fault::Api(operation, fault, times));
    rows.extend([
        api(Fetch, "an address that has expired, once", GetJobManifest, Answer::Stale, First(1)).well(),
        api(Fetch, "addresses that have all expired", GetJobManifest, Answer::Stale, Always)
            .fails(7, "manifest_refused"),
        api(Refresh, "addresses that have all expired", GetJobManifest, Answer::Stale, Always)
            .given(Given::Stale)
            .fails(7, "manifest_refused"),
        api(Run, "a refusal of an unknown name", GetJobUnlockCode, Answer::Refused(400, "NewException"), Always)
            .fails(7, "api_refused"),
        api(Jobs, "ListJobs's answer can't be decoded", ListJobs, Answer::MalformedBody, Always)
            .fails(7, "answer_malformed"),
    ]);
    rows
}

fn text(operation: snow_rehearsal::Operation, name: String, text: &str) -> Row {
    Row::new(Run, name, Fault::Api(operation, Answer::Text(text.to_owned()), Always))
}
