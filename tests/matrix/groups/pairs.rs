//! What is kept, and has come to harm.

use std::fs;

use serde_json::Value;
use snow_rehearsal::Fault as Answer;
use snow_rehearsal::Times::Always;

use crate::row::Verb::{Fetch, Forget, Refresh, Run};
use crate::row::{Again, Fault, Given, Kept, Row};
use crate::scene::Scene;

pub(crate) fn rows() -> Vec<Row> {
    let row = |verb, name: &str, what, undo| Row::new(verb, name, Fault::Do(what, undo)).given(Given::Pair);
    // The same command fails until a new pair is fetched, as the hint says.
    let spoilt =
        |verb, name: &str, what| row(verb, name, what, |_| ()).kept(Kept::AsItWas).again(Again::WellAfter(Refresh));
    let mismatch = |verb, name: &str, what| spoilt(verb, name, what).fails(10, "pair_mismatch");
    vec![
        mismatch(Run, "the code was swapped", swap_code),
        mismatch(Fetch, "the code was swapped", swap_code),
        mismatch(Run, "one bit of the manifest is another", |it| manifest(it, |bytes| bytes[1000] ^= 1)),
        mismatch(Fetch, "one bit of the manifest is another", |it| manifest(it, |bytes| bytes[1000] ^= 1)),
        mismatch(Run, "the manifest is half as long", |it| manifest(it, |bytes| bytes.truncate(bytes.len() / 2))),
        mismatch(Run, "the manifest is empty", |it| manifest(it, Vec::clear)),
        mismatch(Run, "the manifest has a byte more", |it| manifest(it, |bytes| bytes.push(0))),
        mismatch(Run, "the record names another manifest", |it| {
            record(it, |record| record["pair"]["manifest_sha256"] = "0".repeat(64).into());
        }),
        mismatch(Run, "the manifest and the record's digest were changed together", |it| {
            manifest(it, |bytes| bytes[1000] ^= 1);
            let digest = snow_rehearsal::sigv4::sha256_hex(&fs::read(it.manifest()).unwrap());
            record(it, |record| record["pair"]["manifest_sha256"] = digest.clone().into());
        }),
        spoilt(Run, "the record can't be read", |it| fs::write(it.record(), "{ \"version\": 1, ").unwrap())
            .fails(9, "record_unreadable"),
        spoilt(Fetch, "the record is that of another job", |it| {
            record(it, |record| record["job"] = "JID00000000-0000-4000-8000-000000000000".into());
        })
        .fails(9, "record_unreadable"),
        spoilt(Run, "the record is of 70 KB", |it| fs::write(it.record(), " ".repeat(70_000)).unwrap())
            .fails(9, "record_unreadable"),
        row(Refresh, "the record can't be read", |it| fs::write(it.record(), "{").unwrap(), |_| ()).well(),
        row(Forget, "the record can't be read", |it| fs::write(it.record(), "{").unwrap(), |_| ())
            .well()
            .again(Again::Well),
        row(Run, "the record is of a newer version", newer, older).kept(Kept::AsItWas).fails(9, "record_newer"),
        row(Fetch, "the record is of a newer version", newer, older).kept(Kept::AsItWas).fails(9, "record_newer"),
        row(Refresh, "the record is of a newer version", newer, older).kept(Kept::AsItWas).fails(9, "record_newer"),
        row(Forget, "the record is of a newer version", newer, older).kept(Kept::AsItWas).fails(9, "record_newer"),
        row(Run, "the manifest is missing", no_manifest, |_| ()).well(),
        row(Run, "the code is missing", |it| it.bus.clear(&it.id()), |_| ()).well(),
        row(Fetch, "the manifest is missing", no_manifest, |_| ()).well(),
        row(Fetch, "the code is missing", |it| it.bus.clear(&it.id()), |_| ()).well(),
        row(Fetch, "the record is missing", |it| fs::remove_file(it.record()).unwrap(), |_| ()).well(),
        row(Run, "all of the folder is missing", |it| fs::remove_dir_all(it.job_folder()).unwrap(), |_| ()).well(),
        row(Run, "the manifest is missing, and there is no network", offline_without_manifest, |it| {
            it.rehearsal.heal()
        })
        .within("5s")
        .kept(Kept::AsItWas)
        .fails(5, "api_unreachable"),
        row(Run, "the code is missing, and there is no network", offline_without_code, |it| it.rehearsal.heal())
            .within("5s")
            .kept(Kept::AsItWas)
            .fails(5, "api_unreachable"),
        row(Forget, "the manifest is missing", no_manifest, |_| ()).well().again(Again::Well),
        row(Forget, "the code is missing", |it| it.bus.clear(&it.id()), |_| ()).well().again(Again::Well),
        Row::new(Forget, "nothing is kept", Fault::None).fails(6, "not_kept").again(Again::Stays),
    ]
}

fn swap_code(scene: &Scene<'_>) {
    scene.bus.store(&["--label", "of another job"], &scene.id(), &[], "00000-11111-22222-33333-44444");
}

fn manifest(scene: &Scene<'_>, how: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(scene.manifest()).unwrap();
    how(&mut bytes);
    fs::write(scene.manifest(), bytes).unwrap();
}

fn record(scene: &Scene<'_>, how: impl Fn(&mut Value)) {
    let before = fs::read(scene.record()).unwrap();
    let mut record = serde_json::from_slice(&before).unwrap();
    scene.change(|state| state.aside = before);
    how(&mut record);
    fs::write(scene.record(), serde_json::to_vec(&record).unwrap()).unwrap();
}

fn newer(scene: &Scene<'_>) {
    record(scene, |record| record["version"] = 99.into());
}

fn older(scene: &Scene<'_>) {
    scene.change(|state| fs::write(scene.record(), &state.aside).unwrap());
}

fn no_manifest(scene: &Scene<'_>) {
    fs::remove_file(scene.manifest()).unwrap();
}

fn offline_without_manifest(scene: &Scene<'_>) {
    no_manifest(scene);
    scene.rehearsal.plant_everywhere(Answer::CutOff, Always);
}

fn offline_without_code(scene: &Scene<'_>) {
    scene.bus.clear(&scene.id());
    scene.rehearsal.plant_everywhere(Answer::CutOff, Always);
}
