//! Text of the client: made fit to be shown, and read for the little that is decided by it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::device::client::data::ClientData;
use crate::device::guard::protocol::Ran;
use crate::safety::sanitize::sanitize;

/// What the client said, cleaned: stderr if there is any, else stdout; the JVM's notice of its options left out.
pub(in crate::device) fn client_output(ran: &Ran) -> String {
    let without_notice = |text: &str| {
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("Picked up ")).collect();
        sanitize(&lines.join("\n"))
    };
    let texts = [without_notice(&ran.stderr), without_notice(&ran.stdout)];
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| match (ran.code, ran.signal) {
        (Some(code), _) => format!("no output (exit status {code})"),
        (None, Some(signal)) => format!("no output (ended by signal {signal})"),
        (None, None) => "no output".to_owned(),
    })
}

/// Lock state of a device, as `describe-device` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It has not been given its pair.
    Locked,
    /// It is opening.
    Unlocking,
    /// It is open.
    Unlocked,
    /// Not known here, or not told: counts as "not yet". Cleaned.
    Other(String),
}

impl State {
    /// In place of a state that was not told.
    pub(in crate::device) const NOT_TOLD: &str = "not told";

    /// The client's word for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Locked => "LOCKED",
            Self::Unlocking => "UNLOCKING",
            Self::Unlocked => "UNLOCKED",
            Self::Other(text) => text,
        }
    }
}

/// What `describe-device` told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Equals the job id of the device (guide, "Cluster overview"). Not cleaned.
    pub device_id: Option<String>,
    /// Its lock state.
    pub state: State,
}

impl Described {
    /// The texts in it that are the client's own.
    pub(in crate::device) fn texts(&mut self) -> (Option<&mut String>, Option<&mut String>) {
        let state = match &mut self.state {
            State::Other(text) => Some(text),
            State::Locked | State::Unlocking | State::Unlocked => None,
        };
        (self.device_id.as_mut(), state)
    }
}

impl ClientData {
    /// Finds the description in the stdout of `describe-device`, which other lines may precede or follow.
    #[must_use]
    pub fn described(&self, stdout: &str) -> Option<Described> {
        first_document(stdout, |DescribeAnswer { device_id, unlock_status }| {
            let tells = device_id.is_some() || unlock_status.is_some();
            tells.then(|| self.described_as(device_id, unlock_status))
        })
    }

    pub(super) fn described_as(&self, device_id: Option<String>, unlock_status: Option<UnlockStatus>) -> Described {
        let states = &self.states;
        let text = unlock_status.and_then(|status| status.state).unwrap_or_default();
        let state = match text.as_str() {
            text if states.unlocked.iter().any(|known| known == text) => State::Unlocked,
            text if states.unlocking.iter().any(|known| known == text) => State::Unlocking,
            text if states.locked.iter().any(|known| known == text) => State::Locked,
            "" => State::Other(State::NOT_TOLD.to_owned()),
            text => State::Other(sanitize(text)),
        };
        Described { device_id: device_id.filter(|id| !id.is_empty()), state }
    }

    /// The client's version as it says it, such as `1.2.0`.
    #[must_use]
    pub fn version_said(&self, output: &str) -> Option<String> {
        let label = self.version.label.to_ascii_lowercase();
        output.lines().find_map(|line| {
            let at = line.to_ascii_lowercase().find(&label)? + label.len();
            let number: String =
                line[at..].trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '.').take(40).collect();
            let number = number.trim_end_matches('.').to_owned();
            numbers(&number).map(|_| number)
        })
    }

    /// What is unknown of a client that ran, as a clause, and what to do about it. `version` is what it said.
    pub(in crate::device) fn unknown_in_words(&self, version: Option<&str>) -> (String, String) {
        const ANYWAY: &str = "Only if you trust this client with the unlock code:\n  --allow-unknown-client";
        let (from, below) = (&self.version.from, &self.version.below);
        let known = format!("than the known ones (from {from}, before {below})");
        match version {
            None => {
                ("it did not say its version".to_owned(), format!("Check that it is the Snowball Edge client. Unpack the current one from https://aws.amazon.com/snowball/resources into a folder of its own and name it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge\n{ANYWAY}"))
            }
            Some(version) if numbers(version) >= numbers(below) => (
                format!("its version {version} is newer {known}"),
                format!("Look for a newer snow-onboard. {ANYWAY}"),
            ),
            Some(version) => (
                format!("its version {version} is older {known}"),
                "Unpack the current one from https://aws.amazon.com/snowball/resources into a folder of its own and name it:\n  --client /path/to/snowball-client-linux/bin/snowballEdge".to_owned(),
            ),
        }
    }

    /// Whether a version is one that this program knows.
    #[must_use]
    pub fn knows(&self, version: &str) -> bool {
        match (numbers(version), numbers(&self.version.from), numbers(&self.version.below)) {
            (Some(version), Some(from), Some(below)) => from <= version && version < below,
            _ => false,
        }
    }
}

/// The first JSON document in what a client says of which `take` makes something; other lines may precede or follow it.
pub(super) fn first_document<A: DeserializeOwned, T>(stdout: &str, take: impl Fn(A) -> Option<T>) -> Option<T> {
    let mut from = 0;
    // Each "{" is a candidate; a log line may well contain one. The bound keeps a flood of them cheap.
    for _ in 0..256 {
        let start = from + stdout.get(from..)?.find('{')?;
        let mut stream = serde_json::Deserializer::from_str(&stdout[start..]).into_iter::<A>();
        from = match stream.next() {
            Some(Ok(answer)) => match take(answer) {
                Some(taken) => return Some(taken),
                // Another JSON document, whole: what is inside it is not ours.
                None => start + stream.byte_offset().max(1),
            },
            _ => start + 1,
        };
    }
    None
}

/// The part of `describe-device`'s answer that is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeAnswer {
    device_id: Option<String>,
    unlock_status: Option<UnlockStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UnlockStatus {
    state: Option<String>,
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    let mut parts: Vec<u64> = version.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    // 1.2 and 1.2.0 are the same version.
    while parts.last() == Some(&0) {
        parts.pop();
    }
    Some(parts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_output_makes_the_reader_panic(text in "[{}\":,A-Za-z \\n\\\\]{0,200}") {
            let _ = ClientData::built_in().described(&text);
            let _ = ClientData::built_in().version_said(&text);
        }
    }

    #[test]
    fn a_description_is_found_among_noise() {
        let client = ClientData::built_in();
        let json = "{\n  \"DeviceId\" : \"JID-1\",\n  \"UnlockStatus\" : { \"State\" : \"UNLOCKING\" }\n}\n";
        let expected = Described { device_id: Some("JID-1".to_owned()), state: State::Unlocking };
        for text in [
            json.to_owned(),
            format!("Picked up x\n{{oops}}\n{json}bye"),
            format!("{{\"level\":\"warn\",\"inner\":{{\"DeviceId\":\"no\"}}}}\n{json}"),
        ] {
            assert_eq!(client.described(&text), Some(expected.clone()), "{text}");
        }
        assert_eq!(client.described("no JSON here"), None);
        assert_eq!(client.described("{\"DeviceId\":"), None);
        let degraded = client.described("{\"UnlockStatus\":{\"State\":\"DEGRADED\"}}").unwrap();
        assert_eq!(degraded, Described { device_id: None, state: State::Other("DEGRADED".to_owned()) });
    }

    #[test]
    fn both_spellings_of_the_version_are_read() {
        let client = ClientData::built_in();
        for text in [
            "Snowball client version: 1.2.0  Build 254",
            "noise\nSnowball Edge client version: 1.2.0  Build 661\n",
            "SNOWBALL EDGE CLIENT VERSION:1.2.0",
        ] {
            assert_eq!(client.version_said(text).as_deref(), Some("1.2.0"), "{text}");
        }
        assert_eq!(client.version_said("snowballEdge 1.2.0"), None);
        for (number, known) in
            [("1.0", true), ("1.0.0", true), ("1.99.1", true), ("0.9", false), ("2.0", false), ("2.0.0.1", false)]
        {
            assert_eq!(client.knows(number), known, "{number}");
        }
    }
}
