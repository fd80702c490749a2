//! AWS Sign-In, as `aws login` uses it: new keys for a refresh token (service model of `signin`, CreateOAuth2Token).

use hyper::HeaderMap;
use serde_json::{Value as Json, json};

use crate::world::World;

/// Where it is asked.
pub(super) const PATH: &str = "/v1/token";

/// The token that is good for new keys; any other one has expired.
pub const REFRESH_TOKEN: &str = "refresh-token-of-the-operator";

/// Status, the error's name, and JSON.
pub(super) fn answer(world: &World, headers: &HeaderMap, body: &[u8]) -> (u16, Option<&'static str>, String) {
    let asked: Json = serde_json::from_slice(body).unwrap_or_default();
    let is_known = asked["grantType"] == "refresh_token" && asked["refreshToken"] == REFRESH_TOKEN;
    // Bound to the key that the sign-in began with; whether it holds is not looked at here.
    if !is_known || !headers.contains_key("dpop") {
        let refusal = json!({ "error": "TOKEN_EXPIRED", "message": "The token has expired" });
        return (401, Some("AccessDeniedException"), refusal.to_string());
    }
    let keys = &world.role_keys;
    let given = json!({
        "accessToken": {
            "accessKeyId": keys.access_key, "secretAccessKey": keys.secret, "sessionToken": keys.session_token,
        },
        "tokenType": "aws_sigv4", "expiresIn": 900, "refreshToken": REFRESH_TOKEN,
    });
    (200, None, given.to_string())
}
