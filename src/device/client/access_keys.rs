//! What the client tells of a device's access keys: the documented JSON list and the documented INI text, which lines of its JVM
//! may precede.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use crate::model::AccessKeyId;

/// The section that the key stands in, whatever the profile is called.
const SECTION: &str = "[snowballEdge]";
const ID: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";

/// An access key as the client shows it, on its way from the guard to the agent.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(in crate::device) struct ShownKey {
    pub(in crate::device) id: String,
    pub(in crate::device) secret: String,
}

impl fmt::Debug for ShownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownKey(…)")
    }
}

impl Drop for ShownKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

#[derive(Deserialize)]
struct AccessKeyList {
    #[serde(rename = "AccessKeyIds")]
    ids: Vec<AccessKeyId>,
}

/// Reads the output of `list-access-keys`. `None` if it is another one, or names what can be no id.
pub(in crate::device) fn listed_keys(stdout: &str) -> Option<Vec<AccessKeyId>> {
    let mut candidates = stdout.match_indices('{').take(256);
    let mut ids = candidates.find_map(|(start, _)| {
        let mut stream = serde_json::Deserializer::from_str(&stdout[start..]).into_iter::<AccessKeyList>();
        stream.next()?.ok().map(|list| list.ids)
    })?;
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    Some(ids)
}

/// Reads the output of `get-secret-access-key`. `None` if it is another one: without the section, with a part missing or there
/// twice, or with one that is not known, without which the key may be of no use.
pub(in crate::device) fn shown_key(stdout: &str) -> Option<ShownKey> {
    let mut lines = stdout.lines().map(str::trim).skip_while(|line| *line != SECTION).skip(1);
    let mut key = ShownKey::default();
    for line in lines.by_ref().take_while(|line| !line.starts_with('[')) {
        let Some((name, value)) = line.split_once('=') else { continue };
        let place = match name.trim() {
            ID => &mut key.id,
            SECRET => &mut key.secret,
            other if other.starts_with("aws_") => return None,
            _ => continue,
        };
        if !place.is_empty() {
            place.zeroize();
            return None;
        }
        value.trim().clone_into(place);
    }
    (!key.id.is_empty() && !key.secret.is_empty()).then_some(key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &str = "AKIAIOSFODNN7EXAMPLE";
    const SAID: &str = "wJalrXUtnFEMI/K7MDENG=bPxRfiCYEXAMPLEKEY";

    fn ids(stdout: &str) -> Option<Vec<String>> {
        listed_keys(stdout).map(|ids| ids.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_documented_list_is_found_among_noise() {
        let list = format!("{{\n  \"AccessKeyIds\" : [ \"{ONE}\" ]\n}}\n");
        for text in [
            list.clone(),
            format!("Picked up {{ x }}\n{{\"level\":1}}\n{list}"),
            list.replace(" ]", &format!(", \"{ONE}\" ]")),
        ] {
            assert_eq!(ids(&text).unwrap(), [ONE], "{text}");
        }
        assert_eq!(ids("{\"AccessKeyIds\":[]}").unwrap(), [""; 0]);
        for other in ["", "{}", "{\"AccessKeyIds\":\"x\"}", "{\"AccessKeyIds\":[\"--endpoint=https://other.example\"]}"]
        {
            assert_eq!(ids(other), None, "{other}");
        }
    }

    #[test]
    fn the_documented_section_is_read_and_no_other() {
        let ini = format!("[snowballEdge]\naws_access_key_id = {ONE}\naws_secret_access_key = {SAID}\n\n");
        for text in [
            ini.clone(),
            format!("OpenJDK 64-Bit Server VM warning: a = b\n\n  {ini}"),
            ini.replace('\n', "\r\n"),
            ini.replace(" = ", "="),
            format!("{ini}[other]\naws_access_key_id = x\n"),
        ] {
            let key = shown_key(&text).unwrap();
            assert_eq!((key.id.as_str(), key.secret.as_str()), (ONE, SAID), "{text}");
        }
        for other in [
            String::new(),
            ini.replace("snowballEdge", "default"),
            ini.replace("aws_secret_access_key", "secret"),
            ini.replace(SAID, ""),
            ini.replacen("\n\n", &format!("\naws_secret_access_key = {SAID}\n"), 1),
            ini.replacen("\n\n", "\naws_session_token = x\n", 1),
        ] {
            assert!(shown_key(&other).is_none(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_output_makes_the_readers_panic(text in "[{}\\[\\]\":,=A-Za-z_ \\n\\\\]{0,200}") {
            let _ = listed_keys(&text);
            let _ = shown_key(&text);
            let _ = shown_key(&format!("[snowballEdge]\n{text}"));
        }
    }
}
