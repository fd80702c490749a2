//! Whether a request's signature holds.

use hyper::HeaderMap;

use super::wire::Refusal;
use crate::{
    sigv4::{self, Authorization, Parts},
    world::World,
};

/// A request as it came, for its signature to be checked.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    /// The host asked for: the `Host` header in HTTP/1.1, `:authority` in h2.
    pub(super) host: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// The name that the service signs under: `snowball` or `sts`.
    pub(super) service: &'a str,
}

impl Signed<'_> {
    /// Gives the access key whose signature holds.
    ///
    /// # Errors
    /// The errors of the API reference's common list, and the two that JSON services give for an unknown key
    /// (`UnrecognizedClientException`) and a wrong signature (`InvalidSignatureException`).
    pub(super) fn verify(&self, world: &World) -> Result<String, Refusal> {
        let header = self
            .header("authorization")
            .ok_or_else(|| Refusal::new(400, "MissingAuthenticationTokenException", "The request is not signed"))?;
        let incomplete =
            |part: &str| Refusal::new(400, "IncompleteSignatureException", &format!("{part} is missing or malformed"));
        let auth = Authorization::parse(&header).map_err(incomplete)?;
        let stamp = self.header("x-amz-date").ok_or_else(|| incomplete("X-Amz-Date"))?;
        let at = sigv4::parse_stamp(&stamp).ok_or_else(|| incomplete("X-Amz-Date"))?;

        let is_of_role = auth.access_key == world.role_keys.access_key;
        let keys = if is_of_role { &world.role_keys } else { &world.keys };
        if auth.access_key != keys.access_key || self.header("x-amz-security-token") != keys.session_token {
            let message = "The security token included in the request is invalid";
            return Err(Refusal::new(400, "UnrecognizedClientException", message));
        }
        if (world.api_now() - at).abs() > sigv4::MAX_SKEW {
            let message = "The request's date is more than 15 minutes from the service's clock";
            return Err(Refusal::new(400, "RequestExpired", message));
        }
        self.check_scope(&auth, &stamp, &world.region)?;
        self.check_coverage(&auth)?;
        self.check_signature(&auth, &stamp, &keys.secret)?;
        Ok(auth.access_key)
    }

    fn check_scope(&self, auth: &Authorization, stamp: &str, region: &str) -> Result<(), Refusal> {
        let scope = &auth.scope;
        let service = self.service;
        if scope.service == service && scope.region == region && stamp.starts_with(&scope.day) {
            return Ok(());
        }
        Err(invalid(&format!("Credential should be scoped to {region}/{service} and to the request's day")))
    }

    /// `host` and every `x-amz-` header have to be signed, or somebody on the way could change them.
    fn check_coverage(&self, auth: &Authorization) -> Result<(), Refusal> {
        let signed = |name: &str| auth.signed_headers.iter().any(|signed| signed == name);
        let open = self.headers.keys().map(hyper::header::HeaderName::as_str);
        match open.filter(|name| name.starts_with("x-amz-")).chain(["host"]).find(|name| !signed(name)) {
            None => Ok(()),
            Some(name) => Err(invalid(&format!("The header {name} must be a signed header"))),
        }
    }

    fn check_signature(&self, auth: &Authorization, stamp: &str, secret: &str) -> Result<(), Refusal> {
        let payload = sigv4::sha256_hex(self.body);
        if self.header("x-amz-content-sha256").is_some_and(|claimed| claimed != payload) {
            return Err(invalid("x-amz-content-sha256 is not the body's digest"));
        }
        let named = auth.signed_headers.iter().map(|name| Some((name.clone(), self.header(name)?)));
        let headers: Vec<_> =
            named.collect::<Option<_>>().ok_or_else(|| invalid("A signed header is not in the request"))?;
        let (method, path, query) = (self.method, self.path, self.query);
        let parts = Parts { method, path, query, headers: &headers, payload: &payload };
        if parts.verify(&auth.signature, secret, stamp, &auth.scope) {
            return Ok(());
        }
        Err(invalid("The request signature we calculated does not match the signature you provided"))
    }

    /// A header's values, joined as the specification wants them.
    fn header(&self, name: &str) -> Option<String> {
        if name == "host" {
            return Some(self.host.to_owned());
        }
        let values: Vec<_> = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then(|| values.join(","))
    }
}

/// The access key id and the region that an `Authorization` header claims.
pub(super) fn claim(header: &str) -> Option<(String, String)> {
    let Authorization { access_key, scope, .. } = Authorization::parse(header).ok()?;
    Some((access_key, scope.region))
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(400, "InvalidSignatureException", message)
}
