//! KWallet writes to the disk seconds after it was told. Its own interface on the bus can be asked to do it now; that of the
//! Secret Service can't.

use std::sync::mpsc;
use std::time::Duration;

use zbus::blocking::Connection;

use super::linux_session_bus::owner_of;

/// How long it is given. It writes within milliseconds, unless it asks a person whether this program may use it, which is not
/// waited for: what it was told it writes all the same, later.
const TO_WRITE: Duration = Duration::from_secs(2);

/// What this program is called there.
const APPLICATION: &str = "snow-onboard";

/// Has the wallet written to the disk, if it is open and that can be had without asking anybody.
pub(super) fn sync(bus: &Connection, wallet: &str) {
    let daemons = [("org.kde.kwalletd6", "/modules/kwalletd6"), ("org.kde.kwalletd5", "/modules/kwalletd5")];
    let Some((name, path)) = daemons.into_iter().find(|(name, _)| owner_of(bus, name).is_some()) else { return };
    let (bus, wallet) = (bus.clone(), wallet.to_owned());
    let (done, is_done) = mpsc::sync_channel::<Option<()>>(1);
    let body = move || {
        // Nobody waits any more when its time is over.
        let _ = done.send(write_now(&bus, name, path, &wallet));
    };
    if std::thread::Builder::new().name("keychain-sync".to_owned()).spawn(body).is_ok() {
        let written = is_done.recv_timeout(TO_WRITE).ok().flatten().is_some();
        tracing::debug!(written, "KWallet was asked to write to the disk");
    }
}

fn write_now(bus: &Connection, name: &str, path: &str, wallet: &str) -> Option<()> {
    const INTERFACE: Option<&str> = Some("org.kde.KWallet");
    let is_open = bus.call_method(Some(name), path, INTERFACE, "isOpen", &wallet).ok()?;
    if !is_open.body().deserialize::<bool>().ok()? {
        return None;
    }
    let opened = bus.call_method(Some(name), path, INTERFACE, "open", &(wallet, 0_i64, APPLICATION)).ok()?;
    let handle = opened.body().deserialize::<i32>().ok().filter(|handle| *handle >= 0)?;
    let synced = bus.call_method(Some(name), path, INTERFACE, "sync", &(handle, APPLICATION));
    let _ = bus.call_method(Some(name), path, INTERFACE, "close", &(handle, false, APPLICATION));
    synced.ok().map(drop)
}
