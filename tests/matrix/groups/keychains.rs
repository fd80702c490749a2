//! Where the code is to be kept.

use crate::host::{Session, has_session_keyrings};
use crate::keyring_bus::Keyring;
use crate::row::Verb::{Fetch, Forget, Refresh, Run};
use crate::row::{Again, Fault, Given, Kept, Row};
use crate::scene::Scene;

pub(crate) fn rows() -> Vec<Row> {
    let on = |verb, name: &str, keyring| Row::new(verb, name, Fault::Keyring(keyring));
    let row = |verb, name: &str, what, undo| Row::new(verb, name, Fault::Do(what, undo));
    let no_bus = |verb| Row::new(verb, "no session bus", Fault::Env(vec![("DBUS_SESSION_BUS_ADDRESS", None)]));
    let kernel = if has_session_keyrings() { Again::Well } else { Again::Stays };
    vec![
        no_bus(Run).fails(8, "keychain_unavailable"),
        no_bus(Run).given(Given::Pair).fails(8, "keychain_unavailable").again(Again::Well),
        no_bus(Refresh).given(Given::Stale).fails(8, "keychain_unavailable"),
        no_bus(Forget).given(Given::Pair).fails(8, "keychain_unavailable"),
        row(Fetch, "a session bus that is dead", |it| bus_at(it, "unix:path=/nonexistent/bus"), bus_again)
            .fails(8, "keychain_unavailable"),
        row(Fetch, "a bus address that is none", |it| bus_at(it, "nonsense"), bus_again)
            .fails(8, "keychain_unavailable"),
        on(Run, "no Secret Service", Keyring::NoService).fails(8, "keychain_unavailable"),
        on(Run, "locked, and the prompt dismissed", Keyring::Locked).fails(8, "keychain_locked"),
        on(Run, "locked, and the prompt dismissed", Keyring::Locked).given(Given::Pair).fails(8, "keychain_locked"),
        on(Run, "a Secret Service that never answers", Keyring::Silent)
            .args(&["--keychain-timeout", "3s"])
            .fails(8, "keychain_timeout"),
        on(Refresh, "a Secret Service that never answers", Keyring::Silent)
            .args(&["--keychain-timeout", "3s"])
            .given(Given::Stale)
            .fails(8, "keychain_timeout"),
        on(Fetch, "no default keyring", Keyring::NoDefault).fails(8, "keychain_no_collection"),
        on(Run, "a keyring that keeps in clear", Keyring::Plain).fails(8, "keychain_in_clear"),
        on(Run, "no Secret Service, and nothing is to be kept", Keyring::NoService)
            .args(&["--keychain", "none"])
            .well()
            .kept(Kept::Nothing),
        row(
            Fetch,
            "no session keyring in the kernel",
            |it| session(it, Session::Revoked),
            |it| session(it, Session::Own),
        )
        .args(&["--keychain", "kernel"])
        .fails(8, "kernel_keyring_closed")
        .again(kernel),
        row(Run, "an item that is no code", shopping_list, cleared)
            .fails(8, "keychain_foreign_item")
            .kept(Kept::AsItWas),
        row(Run, "two items, and neither is right", neither, cleared)
            .given(Given::Pair)
            .fails(8, "keychain_ambiguous")
            .kept(Kept::AsItWas),
        row(Run, "two items, and nothing is kept", two, cleared).well(),
        row(Forget, "two items", another, cleared).given(Given::Pair).well(),
        row(Forget, "the item in another collection", moved, cleared)
            .given(Given::Pair)
            .fails(8, "keychain_elsewhere")
            .kept(Kept::AsItWas),
        row(Run, "a session bus on the network", |it| bus_at(it, "tcp:host=127.0.0.1,port=9"), bus_again)
            .fails(8, "keychain_not_yours"),
    ]
}

fn bus_at(scene: &Scene<'_>, address: &str) {
    scene.env("DBUS_SESSION_BUS_ADDRESS", Some(address));
}

fn bus_again(scene: &Scene<'_>) {
    scene.change(|state| drop(state.env.remove("DBUS_SESSION_BUS_ADDRESS")));
}

fn session(scene: &Scene<'_>, session: Session) {
    scene.change(|state| state.around.session = session);
}

fn shopping_list(scene: &Scene<'_>) {
    scene.bus.store(&["--label=mine"], &scene.id(), &[], "a shopping list");
}

/// The job's own item is gone, and there are two others.
fn neither(scene: &Scene<'_>) {
    cleared(scene);
    two(scene);
}

fn two(scene: &Scene<'_>) {
    scene.bus.store(&["--label=one"], &scene.id(), &["copy", "1"], "12345-abcde-12345-ABCDE-12345");
    another(scene);
}

fn moved(scene: &Scene<'_>) {
    let item = scene.bus.item(&scene.id()).expect("the pair is kept");
    cleared(scene);
    scene.bus.store(&["--label=moved", "--collection=session"], &scene.id(), &[], &item);
}

fn another(scene: &Scene<'_>) {
    scene.bus.store(&["--label=two"], &scene.id(), &["copy", "2"], "00000-11111-22222-33333-44444");
}

fn cleared(scene: &Scene<'_>) {
    scene.bus.clear(&scene.id());
}
