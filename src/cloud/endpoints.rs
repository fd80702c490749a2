//! The address of a service, if one is configured: in the order of the AWS CLI. The SDK takes an empty variable for an address, and
//! drops a general one that it can't parse.

use aws_config::SdkConfig;
use aws_sdk_sts::Client;

use super::aws_files::Unusable;
use super::credentials::Profiles;
use super::failure::Service;
use super::variables::variable;
use crate::error::Result;
use crate::model::{Origin, Sourced};
use crate::os;

/// The address that is to be called instead of the service's own: `AWS_ENDPOINT_URL_SNOWBALL` (or that of another service),
/// `AWS_ENDPOINT_URL`, the profile's services section, the profile's `endpoint_url`.
///
/// # Errors
/// [`Error::CredentialsFailed`](crate::error::Error::CredentialsFailed) if the profile's services section can't be used.
pub(super) fn configured(profiles: &Profiles, service: Service) -> Result<Option<Sourced<String>>> {
    let ignored = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")?;
    let ignored = ignored.as_deref().or_else(|| profiles.text("ignore_configured_endpoint_urls"));
    if ignored.is_some_and(|ignored| ignored.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    for name in [format!("AWS_ENDPOINT_URL_{}", service.name().to_uppercase()), "AWS_ENDPOINT_URL".to_owned()] {
        let value = variable(&name)?.map(|value| value.trim().to_owned());
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            return Ok(Some(Sourced { value, origin: Origin::Variable(name) }));
        }
    }
    let of_profile = profiles.endpoint_url(&service.name().to_lowercase()).map_err(Unusable::into_error)?;
    let origin = || Origin::Profile(profiles.name().to_owned());
    Ok(of_profile.map(|value| Sourced { value: value.to_owned(), origin: origin() }))
}

/// A client for STS, which calls an address that is configured as it stands: neither FIPS nor dual-stack is a matter of it.
pub(super) fn sts(config: &SdkConfig, endpoint: Option<String>) -> Client {
    let mut config = aws_sdk_sts::config::Builder::from(config);
    if endpoint.is_some() {
        config.set_use_fips(Some(false)).set_use_dual_stack(Some(false));
    }
    config.set_endpoint_url(endpoint);
    Client::from_conf(config.build())
}

/// A variable for an endpoint that is set to nothing, if there is one. To the AWS CLI it is unset; the SDK's own providers, which
/// read the variables themselves, end in a panic.
pub(super) fn empty_variable() -> Option<String> {
    empty_variables().into_iter().next()
}

/// Takes endpoints and places of CA certificates that are set to nothing out of the environment: to the AWS CLI and to OpenSSL they
/// are unset, and the libraries take them for an address and a path. To be called at the start of the program, before there is
/// another thread.
pub fn forget_empty_variables() {
    let is_empty = |name: &&str| std::env::var_os(name).is_some_and(|value| value.is_empty());
    ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter(is_empty).for_each(os::forget_variable);
    empty_variables().iter().for_each(|name| os::forget_variable(name));
}

fn empty_variables() -> Vec<String> {
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let empty = variables.filter(|(name, value)| name.starts_with("AWS_ENDPOINT_URL") && value.trim().is_empty());
    empty.map(|(name, _)| name).collect()
}
