//! What is typed or told in one word: job id, address, unlock code, the manifest's address.

use std::sync::LazyLock;

use snow_onboard::model::{ClusterId, Endpoint, EndpointHost, JobId, ManifestUrl, UnlockCode};

use super::said::{fit_to_show, holds, no_echo};

/// Everything that is said of ids and addresses that say nothing themselves.
static OWN_WORDS: LazyLock<String> = LazyLock::new(|| {
    let ids = ["", "JID", "JID-", "JID------------------------------------", "JIDA-----------------------------------"];
    let endpoints = [
        "",
        " ",
        "http://",
        "ftp://",
        "@",
        "/",
        "[",
        "[]x",
        "[%]",
        "[]",
        "x:x:x",
        "x:x",
        "1",
        "",
        "-",
        "::",
        "ff02::1",
        "https://",
        "255.255.255.255",
        "0.0.0.0",
        "abcde-01234-abcde-01234-abcde",
    ];
    let of_jobs = ids.iter().filter_map(|text| text.parse::<JobId>().err());
    let of_clusters = ids.iter().filter_map(|text| text.replace("JID", "CID").parse::<ClusterId>().err());
    let of_endpoints = endpoints.iter().filter_map(|text| text.parse::<Endpoint>().err());
    of_jobs.chain(of_clusters).chain(of_endpoints).map(|malformed| malformed.why + "\n").collect()
});

/// What is taken is an id and stays as it is; what is refused is refused in words of ours.
pub(super) fn job_id(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match text.parse::<JobId>() {
        Ok(id) => {
            assert!(is_id(&text, &["JID", "MID"]), "no job id: {text}");
            assert_eq!(id.to_string(), text);
            assert_eq!(id.as_str(), text);
            let written = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<JobId>(&written).unwrap(), id);
        }
        Err(malformed) => {
            assert!(!is_id(&text, &["JID", "MID"]), "refused: {text}");
            fit_to_show(&malformed.why);
            // An id without its letters is the one thing that is said again.
            let said = before_tip(&malformed.why);
            no_echo(said, &text, &OWN_WORDS);
        }
    }
    match text.parse::<ClusterId>() {
        Ok(id) => assert!(id.as_str() == text && is_id(&text, &["CID"]), "no cluster id: {text}"),
        Err(malformed) => no_echo(before_tip(&malformed.why), &text, &OWN_WORDS),
    }
}

fn before_tip(why: &str) -> &str {
    why.split("; perhaps ").next().unwrap_or_default()
}

/// The documented shape (Snowball API, JobId and ClusterId), read in another way than the program does.
fn is_id(text: &str, prefixes: &[&str]) -> bool {
    let Some((prefix, uuid)) = text.split_at_checked(3) else { return false };
    let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
    prefixes.contains(&prefix)
        && lengths == [8, 4, 4, 4, 12]
        && uuid.chars().all(|c| c == '-' || (c.is_ascii_hexdigit() && !c.is_ascii_uppercase()))
}

/// What is taken is an address that the client can be given, and comes back from its own text.
pub(super) fn endpoint(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match text.parse::<Endpoint>() {
        Ok(endpoint) => {
            let url = endpoint.as_url();
            fit_to_show(&url);
            assert_eq!(endpoint.to_string().parse::<Endpoint>().as_ref(), Ok(&endpoint), "{url}");
            assert_eq!(url.parse::<Endpoint>().as_ref(), Ok(&endpoint), "{url}");
            assert!(endpoint.port() > 0);
            // As other programs read it: a host and nothing else.
            let uri: http::Uri = url.parse().unwrap_or_else(|_| panic!("no address: {url}"));
            let authority = uri.authority().expect("an authority").as_str();
            assert_eq!(authority, endpoint.to_string());
            assert!(uri.path() == "/" && uri.query().is_none() && !authority.contains('@'), "{url}");
            if let EndpointHost::Name(name) = endpoint.host() {
                assert!(name.len() <= 253 && !name.chars().any(|c| c.is_ascii_uppercase()), "{name}");
            }
        }
        Err(malformed) => {
            fit_to_show(&malformed.why);
            no_echo(&malformed.why, &text, &OWN_WORDS);
        }
    }
}

/// What is taken is a code and stays as it is; what is refused leaves its length and nothing else.
pub(super) fn unlock_code(input: &[u8]) {
    let groups: Vec<&[u8]> = input.split(|byte| *byte == b'-').collect();
    let is_code =
        groups.len() == 5 && groups.iter().all(|group| group.len() == 5 && group.iter().all(u8::is_ascii_alphanumeric));
    match UnlockCode::take(input) {
        Ok(code) => {
            assert!(is_code, "no code");
            assert!(code.expose(|text| text.as_bytes() == input));
            let again = code.expose(|text| UnlockCode::take(text)).unwrap();
            assert!(code.is_same_as(&again));
            assert!(!holds(format!("{code:?}").as_bytes(), &input[..5]));
            let mut other = input.to_vec();
            other[28] = if other[28] == b'0' { b'1' } else { b'0' };
            assert!(!code.is_same_as(&UnlockCode::take(other).unwrap()));
        }
        Err(refused) => {
            assert!(!is_code, "refused");
            let length = std::str::from_utf8(input).map_or(input.len(), |text| text.chars().count());
            assert_eq!(refused.length, length);
            assert_eq!(format!("{refused:?}"), format!("NotAnUnlockCode {{ length: {length} }}"));
        }
    }
}

/// What is taken is https, without a user, and shown without its path; what is refused is refused in words of ours.
pub(super) fn manifest_url(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match ManifestUrl::take(text.clone().into_owned()) {
        Ok(url) => {
            assert!(url.expose(|inside| inside == text));
            assert!(text.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://")), "{text}");
            assert!(text.len() <= ManifestUrl::MAX_LENGTH);
            let authority = text[8..].split(['/', '?', '#']).next().unwrap_or_default();
            assert!(!authority.contains('@') && authority.starts_with(url.host()) && !url.host().is_empty(), "{text}");
            let shown = format!("{url:?}");
            assert_eq!(shown, format!("ManifestUrl(https://{}/…)", url.host()));
            assert!(!url.host().chars().any(|c| c.is_control() || "/?#@ ".contains(c)), "{}", url.host());
        }
        Err(refused) => {
            fit_to_show(refused.why);
            assert!(refused.why.len() < 60);
        }
    }
}
