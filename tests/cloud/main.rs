//! `snow_onboard::cloud` against the stand-ins for the Snowball API and its bucket, over real TLS.
//!
//! The address of the API, the credentials and the proxy can only be set in the environment, and a test must not change
//! its own: each call is made by a child, this same program started with the environment that the test wants.

#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use snow_rehearsal::Rehearsal;

mod api;
mod child;
#[cfg(unix)]
mod code;
mod credentials;
mod download;
mod identity;
mod login;
mod network;
#[cfg(unix)]
mod process;

/// Tries cases side by side, each against stand-ins of its own: nearly all of their time is waited for.
fn each<C: Send>(cases: impl IntoIterator<Item = C, IntoIter: Send>, try_one: impl Fn(&Rehearsal, C) + Sync) {
    const AT_ONCE: usize = 4;
    let cases = Mutex::new(cases.into_iter());
    let next = || cases.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = next() {
                    try_one(&Rehearsal::builder().start().unwrap(), case);
                }
            });
        }
    });
}
