//! What AWS answers, through the SDK's own reading of it and all that is made of it here.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use snow_onboard::cloud::{Cloud, CloudSettings, Sink};
use snow_onboard::error::Error;
use snow_onboard::model::{Origin, Sourced};
use snow_onboard::report::{Event, Notify};

use super::said::{fit_error, fit_to_show};

const JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";

/// The first byte says what is asked and which of the answers is played with, the second its status, the rest is its
/// body; of the bucket's, everything up to an empty line is its head.
pub(super) fn api_answer(input: &[u8]) {
    thread_local! {
        static CLOUD: (Cloud, Arc<Mutex<Play>>) = cloud();
    }
    let [asked, status, body @ ..] = input else { return };
    let asked = ASKED[usize::from(*asked) % ASKED.len()];
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let job = JOB.parse().unwrap();
    CLOUD.with(|(cloud, play)| {
        *play.lock().unwrap() = Play { asked, status, body: body.to_vec(), told: false };
        let mut sink = Kept::default();
        let error = match asked {
            "ListJobs" => cloud.jobs().err(),
            "DescribeJob" => cloud.job(&job).err(),
            _ => match cloud.fetch_pair(&job, None, &mut sink) {
                Ok(pair) => {
                    assert_eq!(pair.bytes, sink.0.len() as u64);
                    assert!(pair.code.expose(|code| code.len()) == 29 && !format!("{pair:?}").contains(CODE));
                    None
                }
                Err(error) => Some(error),
            },
        };
        error.iter().for_each(|error| check(error, body));
    });
}

/// What can be asked. The last is refused a code, so that the job's state has to explain it.
const ASKED: [&str; 6] = ["DescribeJob", "ListJobs", "GetJobManifest", "GetJobUnlockCode", "bucket", "why"];

/// One that may pass makes the SDK wait before it asks once more, so it is seldom played.
const STATUSES: [u16; 16] = [200, 400, 403, 503, 206, 416, 200, 400, 200, 400, 200, 404, 200, 400, 200, 301];

/// An error repeats nothing of an answer that could not be read, nor of a half of the pair that is not one.
fn check(error: &Error, body: &[u8]) {
    fit_error(error, body);
    let is_operation = |what: &str| ASKED.iter().any(|asked| what == format!("Snowball {asked}"));
    match error {
        Error::AnswerMalformed { what } => assert!(is_operation(what), "{what}"),
        Error::AnswerIncomplete { what, missing } => {
            assert!(is_operation(what), "{what}");
            assert!(["JobMetadata", "JobState", "ManifestURI", "UnlockCode"].contains(&missing.as_str()), "{missing}");
        }
        Error::CodeMalformed { length } => assert!(*length <= body.len()),
        Error::ManifestUrlBad { why } => assert!(why.len() < 60 && !why.contains("//"), "{why}"),
        _ => {}
    }
}

fn cloud() -> (Cloud, Arc<Mutex<Play>>) {
    let play = Arc::new(Mutex::new(Play::default()));
    let settings = CloudSettings {
        profile: None,
        region: Some(Sourced { value: "eu-central-1".parse().unwrap(), origin: Origin::Default }),
        ca_bundle: None,
        // Shorter than any pause before another try: what may pass is an error at once.
        network_timeout: Duration::from_millis(50),
        manifest_limit: 1 << 20,
        helper: None,
    };
    let credentials =
        Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None, None, "");
    let cloud = Cloud::over(
        SharedHttpConnector::new(Player(play.clone())),
        SharedCredentialsProvider::new(credentials),
        &settings,
        Arc::new(Listener),
    );
    (cloud.unwrap(), play)
}

/// Which answer is played with, and what it is.
#[derive(Debug, Default)]
struct Play {
    asked: &'static str,
    status: u16,
    body: Vec<u8>,
    told: bool,
}

/// In place of the network.
#[derive(Debug)]
struct Player(Arc<Mutex<Play>>);

impl HttpConnector for Player {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut play = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let operation =
            if request.method() == "GET" { "bucket" } else { request.uri().rsplit('/').next().unwrap_or("") };
        let is_played = operation == play.asked || (play.asked == "why" && operation == "DescribeJob");
        HttpConnectorFuture::ready(Ok(match (is_played, operation) {
            (true, "bucket") => from_bucket(play.status, &play.body),
            // A list may name a next page each time. One is enough.
            (true, "ListJobs") if std::mem::replace(&mut play.told, true) => answered(200, vec![0xa0]),
            (true, _) => answered(play.status, play.body.clone()),
            (false, "GetJobUnlockCode") if play.asked == "why" => {
                answered(400, map(&[("__type", "InvalidJobStateException")]))
            }
            (false, "GetJobUnlockCode") => answered(200, map(&[("UnlockCode", CODE)])),
            (false, "GetJobManifest") => {
                answered(200, map(&[("ManifestURI", "https://b.example/m?X-Amz-Signature=0f")]))
            }
            (false, "bucket") => {
                from_bucket(200, b"content-length: 600\n\n\x00\x01\x02\x03").map(|_| SdkBody::from(vec![0x81; 600]))
            }
            (false, _) => {
                answered(200, [&[0xa1][..], &text("JobMetadata"), &map(&[("JobState", "WithCustomer")])].concat())
            }
        }))
    }
}

const CODE: &str = "12345-abcde-12345-ABCDE-12345";

fn answered(status: u16, body: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/cbor");
    response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
    response
}

/// Lines `name: value` and an empty one, then the body; all of it is body if there is no empty line.
fn from_bucket(status: u16, answer: &[u8]) -> HttpResponse {
    let (head, body) = match memchr::memmem::find(answer, b"\n\n") {
        Some(at) => (&answer[..at], &answer[at + 2..]),
        None => (&b""[..], answer),
    };
    let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
    for (name, value) in String::from_utf8_lossy(head).lines().filter_map(|line| line.split_once(": ")) {
        if http::HeaderName::from_bytes(name.as_bytes()).is_ok() && http::HeaderValue::from_str(value).is_ok() {
            let _ = response.headers_mut().try_append(name.to_owned(), value.to_owned());
        }
    }
    response
}

/// CBOR of a short text.
fn text(text: &str) -> Vec<u8> {
    [&[0x78, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// CBOR of a few members.
fn map(members: &[(&str, &str)]) -> Vec<u8> {
    let mut cbor = vec![0xa0 | u8::try_from(members.len()).unwrap()];
    cbor.extend(members.iter().flat_map(|(name, value)| [text(name), text(value)].concat()));
    cbor
}

#[derive(Default)]
struct Kept(Vec<u8>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Kept {
    fn restart(&mut self) -> io::Result<()> {
        self.0.clear();
        Ok(())
    }
}

/// What is told on the way has to be as fit as what is told at the end.
struct Listener;

impl Notify for Listener {
    fn notify(&self, event: Event) {
        match event {
            Event::Waiting { what, .. } => fit_to_show(&what),
            Event::Warning(text) | Event::Fact(text) => fit_to_show(&text),
            _ => {}
        }
    }
}
