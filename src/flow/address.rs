//! Whether a device is looked for at an address: asked by whatever opens a session, before a pair is fetched for it.

use crate::device;
use crate::error::{Error, Result};
use crate::model::Endpoint;
use crate::report::Ask;
use crate::settings::{Settings, setting};

/// Refuses an address outside the local network, unless that was said explicitly, by a setting or by whoever is asked.
///
/// # Errors
/// [`Error::EndpointExample`], [`Error::EndpointPublic`].
pub(crate) fn check_address(endpoint: &Endpoint, settings: &Settings, ask: &dyn Ask) -> Result<()> {
    let checked = device::check_address(endpoint);
    let Err(error @ Error::EndpointPublic { .. }) = checked else { return checked };
    let may_ask = !settings.is_locked(&setting::allow_public_endpoint);
    if settings.allow_public_endpoint || may_ask && ask.ask(&format!("{error}\nUse this address anyway?")) {
        return Ok(());
    }
    Err(error)
}
