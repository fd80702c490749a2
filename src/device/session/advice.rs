//! What to check while a device can't be reached. A device takes its time to start, and an address that is wrong looks the same until
//! all of that is over.

use std::time::{Duration, Instant};

use super::cluster::listed;
use crate::model::Endpoint;
use crate::report::{Event, Notify};

/// After so long it may be more than a device that starts.
const AFTER: Duration = Duration::from_secs(60);

/// Says once in a wait what to check while it goes on.
pub(super) struct WaitAdvice {
    /// When it is said, unless it was.
    due: Option<Instant>,
}

impl WaitAdvice {
    /// For a wait that begins now.
    pub(super) fn new() -> Self {
        Self::after(AFTER)
    }

    /// The same, with less patience.
    pub(super) fn after(time: Duration) -> Self {
        Self { due: Some(Instant::now() + time) }
    }

    /// The device at this address does not answer yet, or these nodes do not.
    pub(super) fn tell(&mut self, silent: &[Endpoint], notify: &dyn Notify) {
        let Some(first) = silent.first().filter(|_| self.due.is_some_and(|due| Instant::now() >= due)) else { return };
        self.due = None;
        let (port, names) = (first.port(), listed(silent));
        notify.notify(Event::Warning(match silent.len() {
            1 => format!(
                "The device at {names} can't be reached yet. It takes 10 to 20 minutes to start. Meanwhile check the address on its \
                 display, the cable, and that no VPN or firewall blocks port {port}."
            ),
            _ => format!(
                "The nodes at {names} can't be reached yet. They take 10 to 20 minutes to start. Meanwhile check the addresses on \
                 their displays, the cables, and that no VPN or firewall blocks port {port}."
            ),
        }));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::HeardEvents;

    #[test]
    fn what_to_check_is_said_once_and_not_at_once() {
        let heard = HeardEvents::default();
        let devices: [Endpoint; 2] = ["10.0.0.7".parse().unwrap(), "10.0.0.8:9092".parse().unwrap()];
        WaitAdvice::new().tell(&devices, &heard);
        let mut advice = WaitAdvice::after(Duration::ZERO);
        advice.tell(&[], &heard);
        assert!(
            heard.0.lock().unwrap().is_empty(),
            "one that starts is given a minute, and one that answers no advice"
        );
        advice.tell(&devices[1..], &heard);
        advice.tell(&devices, &heard);
        WaitAdvice::after(Duration::ZERO).tell(&devices, &heard);
        let told = heard.0.into_inner().unwrap();
        let [Event::Warning(one), Event::Warning(both)] = &told[..] else { panic!("{told:?}") };
        assert!(one.starts_with("The device at 10.0.0.8:9092 can't") && one.ends_with("blocks port 9092."), "{one}");
        assert!(both.starts_with("The nodes at 10.0.0.7, 10.0.0.8:9092 can't"), "{both}");
    }
}
