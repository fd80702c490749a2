//! Waiting for a device of several before anything is begun for it: no guard, no private home, no client, no code.

use std::time::{Duration, Instant};

use super::advice::WaitAdvice;
use super::cluster::{NAMED_AFTER, is_enough, listed, try_ports};
use super::port::{FIRST_PAUSE, MAX_PAUSE};
use crate::error::{Error, Result};
use crate::model::{Endpoint, EndpointHost};
use crate::report::{Backoff, Notify, WaitNotice, while_waiting};

/// Waits until the port of a device answers, or, of a cluster, those of all its nodes; those of more than half of them are enough
/// after a few seconds, since one that is open already shows that nobody has to wait for the others. Gives what is left of `patience`. When `patience` is over a
/// cluster goes on with what answers, and what comes next says whether that is enough.
///
/// # Errors
/// [`Error::DeviceUnreachable`] for one device; those of [`reach`](super::reach::reach) that no wait mends.
pub(crate) fn wait_for_ports(addresses: &[Endpoint], patience: Duration, notify: &dyn Notify) -> Result<Duration> {
    let (started, mut pause, mut notice) = (Instant::now(), Backoff::new(FIRST_PAUSE, MAX_PAUSE), WaitNotice::long());
    let mut advice = WaitAdvice::new();
    let mut checked: Vec<Option<Endpoint>> = vec![None; addresses.len()];
    loop {
        let mut unreachable = None;
        for (at, tried) in try_all(addresses, &checked, notify) {
            match tried {
                Ok(found) => checked[at] = Some(found),
                Err(error @ Error::DeviceUnreachable { .. }) => unreachable = Some(error),
                Err(error) => return Err(error),
            }
        }
        let left = patience.saturating_sub(started.elapsed());
        let answering = checked.iter().flatten().count();
        let Some(unreachable) = unreachable else { return Ok(left) };
        if started.elapsed() >= NAMED_AFTER && is_enough(answering, addresses.len()) {
            return Ok(left);
        }
        if left.is_zero() {
            return if addresses.len() > 1 { Ok(left) } else { Err(unreachable) };
        }
        let silent: Vec<Endpoint> =
            addresses.iter().zip(&checked).filter(|(_, found)| found.is_none()).map(|(it, _)| it.clone()).collect();
        let what = match &silent[..] {
            [alone] if addresses.len() == 1 => format!("the device at {alone} to start"),
            several => format!("the nodes at {} to start", listed(several)),
        };
        advice.tell(&silent, notify);
        notice.tell(notify, &what);
        std::thread::sleep(pause.next().min(left));
    }
}

/// Aloud where a name is to be looked up, which may take longer than one may be silent. An address has answered by then or does not.
fn try_all(
    addresses: &[Endpoint],
    checked: &[Option<Endpoint>],
    notify: &dyn Notify,
) -> Vec<(usize, Result<Endpoint>)> {
    let name = addresses.iter().find_map(|address| match address.host() {
        EndpointHost::Name(name) => Some(name),
        EndpointHost::Address(_) => None,
    });
    match name {
        Some(name) => while_waiting(notify, &format!("an answer of {name}"), || try_ports(addresses, checked)),
        None => try_ports(addresses, checked),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::{Event, HeardEvents};
    use std::net::TcpListener;

    fn port() -> (TcpListener, Endpoint) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
        (listener, endpoint)
    }

    #[test]
    fn a_device_is_waited_for_aloud_and_a_cluster_goes_on_with_more_than_half() {
        let heard = HeardEvents::default();
        let ((_first, on), (_second, also_on), (gone, off)) = (port(), port(), port());
        drop(gone);
        let minute = Duration::from_secs(60);
        assert!(wait_for_ports(std::slice::from_ref(&on), minute, &heard).unwrap() > Duration::from_secs(50));
        assert!(heard.0.lock().unwrap().is_empty());
        let refused = wait_for_ports(std::slice::from_ref(&off), Duration::from_millis(10), &heard).err().unwrap();
        assert_eq!(refused.code(), "device_unreachable");
        let said = format!("the device at {off} to start");
        assert!(
            matches!(&heard.0.lock().unwrap()[..], [Event::Waiting { what, .. }] if *what == said),
            "it says what it waits for at once"
        );
        let left = wait_for_ports(&[on.clone(), also_on, off.clone()], minute, &heard).unwrap();
        assert!(left > Duration::from_secs(30) && left < minute - NAMED_AFTER, "{left:?}");
        let over = wait_for_ports(&[on, off.clone(), off], Duration::from_millis(10), &heard).unwrap();
        assert!(over.is_zero(), "what answers is for the session to judge");
    }
}
