//! What a `credential_process` prints: one JSON object, as the AWS CLI's manual has it ("Sourcing credentials with an external
//! process").

use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::cloud::aws_files::odd_key_character;

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u64,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

/// The credentials in `printed`, without blanks and line breaks around their parts.
///
/// # Errors
/// What is wrong with it, as a clause that follows "the program". It never quotes what was printed.
pub(super) fn parse(printed: &[u8], now: OffsetDateTime) -> Result<Credentials, String> {
    // Where it breaks off, and not what stands there. A misplaced secret would be quoted by the parser's own words.
    let answer: Printed = serde_json::from_slice(printed.trim_ascii()).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            "printed JSON without Version, AccessKeyId and SecretAccessKey, or with one of another type".to_owned()
        }
        _ if printed.trim_ascii().is_empty() => "printed nothing".to_owned(),
        _ => format!("printed no JSON (line {}, column {})", error.line(), error.column()),
    })?;
    if answer.version != 1 {
        return Err(format!("printed Version {}, and only 1 is known", answer.version));
    }
    let part = |name: &str, text: &str| {
        let text = text.trim().to_owned();
        match odd_key_character(&text) {
            Some(odd) => Err(format!("printed a value of {name} that has {odd} in it")),
            None if text.is_empty() => Err(format!("printed an empty {name}")),
            None => Ok(text),
        }
    };
    let token = answer.session_token.as_deref().filter(|token| !token.trim().is_empty());
    let expires = answer.expiration.as_deref().map(expiration).transpose()?;
    if expires.is_some_and(|expires| expires <= now) {
        return Err("printed credentials that have expired already".to_owned());
    }
    let mut credentials = Credentials::new(
        part("AccessKeyId", &answer.access_key_id)?,
        part("SecretAccessKey", &answer.secret_access_key)?,
        token.map(|token| part("SessionToken", token)).transpose()?,
        expires.map(Into::into),
        "credential_process",
    );
    credentials
        .get_property_mut_or_default::<Vec<AwsCredentialFeature>>()
        .push(AwsCredentialFeature::CredentialsProcess);
    Ok(credentials)
}

/// A time as the AWS CLI takes it: ISO 8601, also with a blank before the time, and with `+0000` or ` UTC` for the zone.
fn expiration(text: &str) -> Result<OffsetDateTime, String> {
    let text = text.trim();
    let (time, zone) = match text.strip_suffix("UTC").map(str::trim_end) {
        Some(time) => (time, "Z".to_owned()),
        None => match text.len().checked_sub(5).and_then(|at| text.split_at_checked(at)) {
            Some((time, zone)) if zone.starts_with(['+', '-']) && zone[1..].bytes().all(|b| b.is_ascii_digit()) => {
                (time.trim_end(), format!("{}:{}", &zone[..3], &zone[3..]))
            }
            _ => (text, String::new()),
        },
    };
    OffsetDateTime::parse(&format!("{}{zone}", time.replacen(' ', "T", 1)), &Rfc3339)
        .map_err(|_| "printed an Expiration that is no time with a zone, such as 2030-01-31T12:00:00Z".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    fn printed(more: &str) -> Result<Credentials, String> {
        let text = format!("{{\"Version\":1,\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"S3CRET\"{more}}}\r\n");
        parse(text.as_bytes(), now())
    }

    #[test]
    fn times_are_taken_in_the_forms_that_programs_write() {
        for text in [
            "2030-01-31T12:00:00Z",
            "2030-01-31T12:00:00+00:00",
            "2030-01-31T12:00:00+0000",
            "2030-01-31T14:00:00.000+0200",
            "2030-01-31 12:00:00 UTC",
            "2030-01-31T12:00:00 +0000",
            "2030-01-31 12:00:00Z",
        ] {
            let credentials = printed(&format!(",\"Expiration\":\"{text}\"")).unwrap();
            let expires = OffsetDateTime::from(credentials.expiry().unwrap()).unix_timestamp();
            assert_eq!(expires, 1_896_091_200, "{text}");
        }
        for text in ["", "tomorrow", "2030-01-31", "2030-01-31T12:00:00", "1896091200", "ä+000"] {
            assert!(printed(&format!(",\"Expiration\":\"{text}\"")).unwrap_err().contains("Expiration"), "{text}");
        }
        assert!(printed(",\"Expiration\":\"2020-01-31T12:00:00Z\"").unwrap_err().contains("expired already"));
        assert_eq!(printed("").unwrap().expiry(), None);
    }

    #[test]
    fn keys_are_trimmed_and_what_has_an_odd_character_within_is_named_and_never_quoted() {
        let text = r#"{"Version":1,"AccessKeyId":"AKID\r\n","SecretAccessKey":" S3CRET\n","SessionToken":"T\r"}"#;
        let credentials = parse(text.as_bytes(), now()).unwrap();
        assert_eq!(credentials.access_key_id(), "AKID");
        assert_eq!(credentials.secret_access_key(), "S3CRET");
        assert_eq!(credentials.session_token(), Some("T"));
        for (text, said) in [
            (r#"{"Version":1,"AccessKeyId":"AK\rID","SecretAccessKey":"S3CRET"}"#, "AccessKeyId that has a carriage"),
            (r#"{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"S3C RET"}"#, "SecretAccessKey that has a blank"),
            (r#"{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"S3CRET","SessionToken":"S3Cä"}"#, "U+00E4"),
            (r#"{"Version":1,"AccessKeyId":" ","SecretAccessKey":"S3CRET"}"#, "an empty AccessKeyId"),
            (r#"{"Version":2,"AccessKeyId":"AKID","SecretAccessKey":"S3CRET"}"#, "Version 2"),
            (r#"{"Version":1,"AccessKeyId":"AKID","Secret":"S3CRET"}"#, "without"),
            (r#"{"Version":"S3CRET","AccessKeyId":"AKID","SecretAccessKey":"S3CRET"}"#, "another type"),
            ("S3CRET", "no JSON"),
            ("", "nothing"),
        ] {
            let why = parse(text.as_bytes(), now()).unwrap_err();
            assert!(why.contains(said) && !why.contains("S3C"), "{text}: {why}");
        }
        assert_eq!(printed(",\"SessionToken\":null").unwrap().session_token(), None);
    }
}
