//! Text of the client: made fit to be shown, and read for the little that is decided by it.

use serde::Deserialize;

use super::data::{StatesData, VersionData};
use super::protocol::Ran;
use crate::text::clean;

/// What the client said, cleaned: stderr if there is any, else stdout; the JVM's notice of its options left out.
pub(super) fn said(ran: &Ran) -> String {
    let without_notice = |text: &str| {
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("Picked up ")).collect();
        clean(&lines.join("\n"))
    };
    let texts = [without_notice(&ran.stderr), without_notice(&ran.stdout)];
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| match (ran.code, ran.signal) {
        (Some(code), _) => format!("nothing (exit status {code})"),
        (None, Some(signal)) => format!("nothing (ended by signal {signal})"),
        (None, None) => "nothing".to_owned(),
    })
}

/// Lock state of a device, as `describe-device` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Locked,
    Unlocking,
    Unlocked,
    /// Not known here, or not told: counts as "not yet". Cleaned.
    Other(String),
}

impl State {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Locked => "LOCKED",
            Self::Unlocking => "UNLOCKING",
            Self::Unlocked => "UNLOCKED",
            Self::Other(text) => text,
        }
    }
}

/// What `describe-device` told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    /// Equals the job id of the device (guide, "Cluster overview"). Not cleaned.
    pub(super) device_id: Option<String>,
    pub(super) state: State,
}

/// Finds the description in the client's stdout, which other lines may precede or follow.
pub(super) fn describe(stdout: &str, states: &StatesData) -> Option<Described> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        device_id: Option<String>,
        unlock_status: Option<Status>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Status {
        state: Option<String>,
    }

    let mut from = 0;
    // Each "{" is a candidate; a log line may well contain one. The bound keeps a flood of them cheap.
    for _ in 0..256 {
        let start = from + stdout.get(from..)?.find('{')?;
        let mut stream = serde_json::Deserializer::from_str(&stdout[start..]).into_iter::<Document>();
        match stream.next() {
            Some(Ok(Document { device_id, unlock_status })) if device_id.is_some() || unlock_status.is_some() => {
                let text = unlock_status.and_then(|status| status.state).unwrap_or_default();
                let state = match text.as_str() {
                    text if states.unlocked.iter().any(|known| known == text) => State::Unlocked,
                    text if states.unlocking.iter().any(|known| known == text) => State::Unlocking,
                    text if states.locked.iter().any(|known| known == text) => State::Locked,
                    "" => State::Other("not told".to_owned()),
                    text => State::Other(clean(text)),
                };
                return Some(Described { device_id: device_id.filter(|id| !id.is_empty()), state });
            }
            // Another JSON document, whole: what is inside it is not ours.
            Some(Ok(_)) => from = start + stream.byte_offset().max(1),
            _ => from = start + 1,
        }
    }
    None
}

/// The client's version as it says it, such as `1.2.0`.
pub(super) fn version(output: &str, data: &VersionData) -> Option<String> {
    output.lines().find_map(|line| {
        let lower = line.to_ascii_lowercase();
        let at = lower.find(&data.label.to_ascii_lowercase())? + data.label.len();
        let number: String =
            line[at..].trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '.').take(40).collect();
        let number = number.trim_end_matches('.').to_owned();
        numbers(&number).map(|_| number)
    })
}

/// Whether a version is one that the data file knows.
pub(super) fn is_known(version: &str, data: &VersionData) -> bool {
    match (numbers(version), numbers(&data.from), numbers(&data.below)) {
        (Some(version), Some(from), Some(below)) => from <= version && version < below,
        _ => false,
    }
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
    use super::super::data::ClientData;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_output_makes_the_reader_panic(text in "[{}\":,A-Za-z \\n\\\\]{0,200}") {
            let _ = describe(&text, &ClientData::built_in().states);
            let _ = version(&text, &ClientData::built_in().version);
        }
    }

    #[test]
    fn a_description_is_found_among_noise() {
        let states = ClientData::built_in().states;
        let json = "{\n  \"DeviceId\" : \"JID-1\",\n  \"UnlockStatus\" : { \"State\" : \"UNLOCKING\" }\n}\n";
        let expected = Described { device_id: Some("JID-1".to_owned()), state: State::Unlocking };
        for text in [
            json.to_owned(),
            format!("Picked up x\n{{oops}}\n{json}bye"),
            format!("{{\"level\":\"warn\",\"inner\":{{\"DeviceId\":\"no\"}}}}\n{json}"),
        ] {
            assert_eq!(describe(&text, &states), Some(expected.clone()), "{text}");
        }
        assert_eq!(describe("no JSON here", &states), None);
        assert_eq!(describe("{\"DeviceId\":", &states), None);
        let degraded = describe("{\"UnlockStatus\":{\"State\":\"DEGRADED\"}}", &states).unwrap();
        assert_eq!(degraded, Described { device_id: None, state: State::Other("DEGRADED".to_owned()) });
    }

    #[test]
    fn both_spellings_of_the_version_are_read() {
        let data = ClientData::built_in().version;
        for text in [
            "Snowball client version: 1.2.0  Build 254",
            "noise\nSnowball Edge client version: 1.2.0  Build 661\n",
            "SNOWBALL EDGE CLIENT VERSION:1.2.0",
        ] {
            assert_eq!(version(text, &data).as_deref(), Some("1.2.0"), "{text}");
        }
        assert_eq!(version("snowballEdge 1.2.0", &data), None);
        for (number, known) in
            [("1.0", true), ("1.0.0", true), ("1.99.1", true), ("0.9", false), ("2.0", false), ("2.0.0.1", false)]
        {
            assert_eq!(is_known(number, &data), known, "{number}");
        }
    }
}
