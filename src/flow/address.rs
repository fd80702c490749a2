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
    if settings.allow_public_endpoint || may_ask && ask.ask_once(&format!("{error}\nUse this address anyway?")) {
        return Ok(());
    }
    Err(error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::settings::{Flags, ProcessEnvironment};

    /// Has said yes to what holds for the whole command.
    struct YesOnce;

    impl Ask for YesOnce {
        fn ask(&self, question: &str) -> bool {
            panic!("asked again, as for a node that turns out to be a cluster's: {question}")
        }

        fn ask_once(&self, question: &str) -> bool {
            question.contains("8.8.8.8")
        }
    }

    #[test]
    fn an_address_that_was_agreed_to_is_not_asked_about_again() {
        let settings = Settings::resolve(&Flags::new(), &ProcessEnvironment::default()).unwrap();
        for (address, is_agreed) in [("8.8.8.8", true), ("8.8.4.4", false), ("192.168.1.1", true)] {
            let checked = check_address(&address.parse().unwrap(), &settings, &YesOnce);
            assert_eq!(checked.is_ok(), is_agreed, "{address}");
        }
    }
}
