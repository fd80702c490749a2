//! The device.

use std::time::Duration;

use snow_rehearsal::{DeviceOptions, Mode, State, Unlocking};

use crate::row::Verb::{Refresh, Run};
use crate::row::{Again, Cast, Fault, Given, Kept, Row, Touch};
use crate::scene::Scene;

const SOON: [&str; 2] = ["--unlock-timeout", "4s"];
const STRANGER: &str = "JID00000000-0000-4000-8000-000000000000";

pub(crate) fn rows() -> Vec<Row> {
    let on = |name: &str, mode| Row::new(Run, name, Fault::Device(mode)).kept(Kept::New);
    let row = |name: &str, what, undo| Row::new(Run, name, Fault::Do(what, undo)).kept(Kept::New);
    let other = || Mode::OtherDevice(STRANGER.to_owned());
    let mut rows = vec![
        row("nobody is at the address", nobody, right_address).args(&SOON).fails(13, "device_unreachable"),
        row("nobody is at the address", nobody, right_address)
            .given(Given::Pair)
            .kept(Kept::Old)
            .args(&SOON)
            .fails(13, "device_unreachable"),
        on("it says it is another", other()).fails(13, "device_is_another").device(Touch::LookedAt),
        on("it says it is another", other())
            .given(Given::Pair)
            .kept(Kept::Old)
            .fails(13, "device_is_another")
            .device(Touch::LookedAt),
        row("it says it is another, and is open", open_stranger, locked_again)
            .fails(13, "device_is_another")
            .device(Touch::Open),
        row("it is the device of another job", another_device, right_address)
            .cast(Cast { with_another: true, ..Cast::default() })
            .args(&SOON)
            .fails(13, "device_refused")
            .device(Touch::LookedAt),
        Row::new(Run, "its software was updated, which took another pair", Fault::None)
            .given(Given::Stale)
            .args(&SOON)
            .fails(13, "device_refused")
            .device(Touch::LookedAt)
            .again(Again::WellAfter(Refresh)),
        on("it never says whose it is", Mode::NoDeviceId).fails(13, "device_unidentified").device(Touch::Open),
        on("it never gets further than UNLOCKING", Mode::StuckUnlocking)
            .args(&SOON)
            .fails(14, "device_timeout")
            .device(Touch::Asked),
        on("it never gets further than UNLOCKING", Mode::StuckUnlocking)
            .given(Given::Pair)
            .kept(Kept::Old)
            .args(&SOON)
            .fails(14, "device_timeout")
            .device(Touch::Asked),
        row("it falls back to LOCKED", falls_back, locked_again).fails(13, "device_relocked").device(Touch::Asked),
        on("it is in a state of tomorrow", Mode::Says("DEGRADED".to_owned()))
            .args(&SOON)
            .fails(14, "device_timeout")
            .device(Touch::Open),
        row("it is open already", |it| it.rehearsal.device().open(), |_| ()).well(),
        row("it takes its time", |it| it.rehearsal.device().set_unlocking(Unlocking::Polls(3)), |_| ()).well(),
        row("power is lost while it opens", loses_power, locked_again)
            .fails(13, "device_relocked")
            .device(Touch::Asked),
    ];
    // The stand-in takes its port again; wine, which asks Linux, gives it only when the last connection's minute is over.
    if cfg!(not(windows)) {
        rows.extend([
            row(
                "it starts, and is done in time",
                |it| it.rehearsal.device().power_loss_for(Duration::from_secs(3)),
                |_| (),
            )
            .well(),
            row(
                "it starts, and is not done in time",
                |it| it.rehearsal.device().power_loss_for(Duration::from_secs(12)),
                started,
            )
            .args(&SOON)
            .fails(13, "device_unreachable"),
        ]);
    }
    rows
}

fn nobody(scene: &Scene<'_>) {
    scene.change(|state| state.endpoint = Some("127.0.0.1:9".to_owned()));
}

fn right_address(scene: &Scene<'_>) {
    scene.change(|state| state.endpoint = None);
}

fn started(scene: &Scene<'_>) {
    crate::host::wait_until("the device to have started", || scene.rehearsal.device().state() == State::Locked);
}

fn open_stranger(scene: &Scene<'_>) {
    scene.rehearsal.device().set_mode(Mode::OtherDevice(STRANGER.to_owned()));
    scene.rehearsal.device().open();
}

fn locked_again(scene: &Scene<'_>) {
    let device = scene.rehearsal.device();
    device.set_mode(Mode::Normal);
    device.set_unlocking(Unlocking::For(Duration::from_millis(100)));
    device.power_loss();
}

fn falls_back(scene: &Scene<'_>) {
    // Not before it was seen to open.
    scene.rehearsal.device().set_unlocking(Unlocking::Polls(1));
    scene.rehearsal.device().set_mode(Mode::FallsBack);
}

fn another_device(scene: &Scene<'_>) {
    let job = scene.rehearsal.jobs().swap_remove(1);
    let device = scene.rehearsal.add_device(&job, DeviceOptions::default()).unwrap();
    scene.change(|state| state.endpoint = Some(device.endpoint()));
}

fn loses_power(scene: &Scene<'_>) {
    let device = scene.rehearsal.device().clone();
    device.set_unlocking(Unlocking::For(Duration::from_secs(600)));
    std::thread::spawn(move || {
        crate::host::wait_until("the device to be looked at while it opens", || {
            device.unlock_requests() > 0 && device.descriptions() > 2
        });
        device.power_loss();
    });
}
