//! Files that people and this program write, and that anything may have happened to.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use snow_onboard::error::Error;
use snow_onboard::model::{Record, TargetId};
use snow_onboard::settings::{Flags, ProcessEnvironment, Settings};
use snow_onboard::store::{JobFolder, StateFolder};
use tempfile::TempDir;

use super::said::fit_error;

const JOB: &str = "JID123e4567-e89b-12d3-a456-426655440000";

/// In memory where there is such a place: a record is synced each time that it is written.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// Every settings file gives settings that can be used, or an error that names the file.
pub(super) fn settings_file(input: &[u8]) {
    thread_local! {
        static STAGE: (TempDir, ProcessEnvironment) = {
            let folder = folder();
            // So that nothing hangs on the home of whoever runs this.
            let below = folder.path().join("below.toml");
            fs::write(&below, format!("state_dir = {:?}\n", folder.path().join("state"))).unwrap();
            let user_file = Some(folder.path().join("config.toml"));
            (folder, ProcessEnvironment { user_file, system_file: Some(below), ..ProcessEnvironment::default() })
        };
    }
    STAGE.with(|(_folder, around)| {
        let file = around.user_file.as_deref().unwrap();
        fs::write(file, input).unwrap();
        match Settings::resolve(&Flags::new(), around) {
            Ok(settings) => {
                assert!(std::str::from_utf8(input).is_ok(), "not UTF-8, and taken");
                for time in [settings.keychain_timeout, settings.unlock_timeout, settings.network_timeout] {
                    assert!((Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600)).contains(&time));
                }
                assert!(settings.manifest_limit > 0);
                let paths: Vec<&PathBuf> = [&settings.client, &settings.ca_bundle, &settings.log_file]
                    .into_iter()
                    .flatten()
                    .map(|named| &named.value)
                    .chain([&settings.state_dir])
                    .collect();
                assert!(paths.iter().all(|path| path.is_absolute()), "{paths:?}");
                assert!(settings.client_sha256.is_none_or(|digest| {
                    let digest = digest.to_string();
                    digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                }));
            }
            Err(error) => names(&error, file, input),
        }
    });
}

/// A record that can be read is the same when it is written and read again; one that can't is an error that names it.
pub(super) fn record(input: &[u8]) {
    thread_local! {
        static STAGE: (JobFolder, PathBuf, TempDir) = {
            let folder = folder();
            let state = StateFolder::open(&folder.path().join("state")).unwrap();
            let job = state.job(&JOB.parse::<TargetId>().unwrap()).unwrap();
            // Makes the folder, as private as it has to be.
            job.write_record(&Record::new(job.job().clone())).unwrap();
            let file = job.path().join("record.json");
            (job, file, folder)
        };
    }
    STAGE.with(|(job, file, _folder)| {
        fs::write(file, input).unwrap();
        match job.record() {
            Ok(record) => {
                let record = record.expect("the file is there");
                assert_eq!(record.job.as_str(), JOB);
                job.write_record(&record).unwrap();
                let again = job.record().unwrap().unwrap();
                // An older format is written as the newest.
                let content = |record: &Record| {
                    let mut value = serde_json::to_value(record).unwrap();
                    value.as_object_mut().unwrap().remove("version");
                    value
                };
                assert_eq!(content(&again), content(&record));
            }
            Err(error) => names(&error, file, input),
        }
    });
}

/// The error names the file, and is fit to show.
fn names(error: &Error, file: &Path, input: &[u8]) {
    let sentence = error.report().sentence;
    assert!(sentence.contains(&*file.to_string_lossy()), "which file? {sentence}");
    fit_error(error, input);
}
