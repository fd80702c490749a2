//! Whether anything answers at the device's address.

use super::{Check, Subject};
use crate::device::{check_address, reach};
use crate::error::Error;
use crate::report::Notify;
use crate::settings::Settings;

/// Tries the port, without a word to it.
pub(super) fn answers(settings: &Settings, notify: &dyn Notify) -> Check {
    const SUBJECT: Subject = Subject::Device;
    let Some(endpoint) = &settings.endpoint else {
        let hint = "When it has started, with the address on its display:\n  snow-onboard doctor --endpoint 192.0.2.10";
        return Check::skipped(SUBJECT, "not looked for: no address was given").hint(hint);
    };
    match check_address(endpoint) {
        Err(Error::EndpointPublic { .. }) if settings.allow_public_endpoint => {}
        Err(error @ Error::EndpointPublic { .. }) => {
            return Check::warning(SUBJECT, format!("{error} No connection was tried."), error.report().hint);
        }
        Err(error) => return Check::failed(SUBJECT, &error),
        Ok(()) => {}
    }
    match reach(endpoint, notify) {
        Ok(_) => Check::ok(SUBJECT, format!("{endpoint} answers on port {}", endpoint.port())),
        // As in a run, which goes on: by then it may have started.
        Err(error @ Error::DeviceUnreachable { .. }) => {
            Check::warning(SUBJECT, format!("{error} It may still be starting."), error.report().hint)
        }
        Err(error) => Check::failed(SUBJECT, &error),
    }
}
