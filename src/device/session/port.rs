//! The device's port: waited for before anything of the pair is given to the client, and the address that it answered at.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::advice::WaitAdvice;
use crate::device::guard::handle::GuardHandle;
use crate::device::session::reach::reach;
use crate::error::{Error, Result};
use crate::model::Endpoint;
use crate::report::{Backoff, Event, Notify};

/// Between two looks at a device that does not answer yet.
pub(in crate::device) const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(in crate::device) const MAX_PAUSE: Duration = Duration::from_secs(15);

/// The port of one device, and how long the device may take until its first answer.
pub(in crate::device) struct Port {
    /// As the operator gave it, for messages.
    endpoint: Endpoint,
    /// Where it answered. A name is not looked up again after that, neither by us nor by the client: it may lead
    /// elsewhere by then.
    checked: Option<Endpoint>,
    pub(in crate::device) patience: Duration,
    pub(in crate::device) until: Instant,
    advice: WaitAdvice,
    notify: Arc<dyn Notify>,
}

impl Port {
    pub(in crate::device) fn new(endpoint: Endpoint, patience: Duration, notify: Arc<dyn Notify>) -> Self {
        let (until, advice) = (Instant::now() + patience, WaitAdvice::new());
        Self { endpoint, checked: None, patience, until, advice, notify }
    }

    /// As the operator gave it.
    pub(in crate::device) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What the client is told to go to: an address, once one has answered.
    pub(in crate::device) fn address(&self) -> &Endpoint {
        self.checked.as_ref().unwrap_or(&self.endpoint)
    }

    /// Waits until the port answers. Nothing is told to the client before: a name that can't be looked up, or leads out of
    /// the local network, must not be looked up by it in our stead.
    pub(in crate::device) fn wait(&mut self, guard: &mut GuardHandle) -> Result<()> {
        let mut pause = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
        while let Some(why) = self.refusal()? {
            self.not_yet(why)?;
            guard.pause(pause.next().min(self.left()))?;
        }
        Ok(())
    }

    /// The port does not answer, and there is time left.
    fn not_yet(&mut self, why: String) -> Result<()> {
        if Instant::now() >= self.until {
            let (endpoint, port) = (self.endpoint.with_port(), self.endpoint.port());
            return Err(Error::DeviceUnreachable { endpoint, port, why });
        }
        self.advice.tell(std::slice::from_ref(&self.endpoint), &*self.notify);
        self.say_starting();
        Ok(())
    }

    /// Why the port does not answer, if it does not.
    pub(in crate::device) fn refusal(&mut self) -> Result<Option<String>> {
        match reach(self.address(), &*self.notify) {
            Ok(checked) => {
                self.checked.get_or_insert(checked);
                Ok(None)
            }
            Err(Error::DeviceUnreachable { why, .. }) => Ok(Some(why)),
            Err(error) => Err(error),
        }
    }

    pub(in crate::device) fn say_starting(&self) {
        let so_far = self.patience.saturating_sub(self.left());
        self.notify.notify(Event::Waiting { what: format!("the device at {} to start", self.endpoint), so_far });
    }

    pub(in crate::device) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::HeardEvents;

    #[test]
    fn a_long_wait_says_once_what_to_check() {
        let heard = Arc::new(HeardEvents::default());
        let patience = Duration::from_secs(600);
        let mut device = Port::new("10.0.0.7".parse().unwrap(), patience, Arc::clone(&heard) as Arc<dyn Notify>);
        device.advice = WaitAdvice::after(Duration::ZERO);
        (0..2).for_each(|_| device.not_yet("connection refused".to_owned()).unwrap());
        let told = heard.0.lock().unwrap();
        assert!(
            matches!(&told[..], [Event::Warning(check), Event::Waiting { .. }, Event::Waiting { .. }] if check.contains("the cable")),
            "{told:?}"
        );
    }

    #[test]
    fn the_client_gets_the_address_that_a_name_led_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint: Endpoint = format!("localhost:{port}").parse().unwrap();
        let mut device = Port::new(endpoint.clone(), Duration::from_secs(5), Arc::new(HeardEvents::default()));
        assert_eq!(device.refusal().unwrap(), None);
        assert_eq!(device.address().to_string(), format!("127.0.0.1:{port}"));
        assert_eq!(device.endpoint(), &endpoint, "and messages name what the operator gave");
        drop(listener);
        assert!(device.refusal().unwrap().is_some());
        assert_eq!(device.address().to_string(), format!("127.0.0.1:{port}"), "nor looked up again when it is gone");
    }
}
