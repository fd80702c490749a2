//! The fuzz targets, each over its committed corpus and a bounded number of mutations of it, the same ones each time.
//!
//! What has to hold is in `targets/`, shared with libFuzzer (`tests/fuzz/run`), which finds by itself what these few
//! thousand cases don't; what it finds is put into `corpus/` and tried here ever after.

#![allow(clippy::unwrap_used)]

mod driver;
mod mutate;
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use driver::{Failure, Limits, search};
use targets::TARGETS;

/// Counts, so that a case that takes much more memory than its input is seen.
#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The files of a target's corpus, in the order of their names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = here().join("corpus").join(name);
    let files: Vec<Vec<u8>> = names_in(&folder).iter().map(|file| fs::read(folder.join(file)).unwrap()).collect();
    assert!(!files.is_empty(), "the corpus of {name} is empty");
    files
}

fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    if let Err(failure) = search(name, &corpus(name), target.cases, &Limits::default(), target.check) {
        panic!("{failure}");
    }
}

macro_rules! each_target {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        #[test]
        fn every_target_is_run_by_both_drivers_and_has_a_corpus() {
            let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
            assert_eq!(names, BTreeSet::from([$(stringify!($name).to_owned()),*]));
            assert_eq!(names, names_in(&here().join("corpus")));
            let manifest = fs::read_to_string(here().join("Cargo.toml")).unwrap();
            for name in &names {
                assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not in Cargo.toml");
                let text = fs::read_to_string(here().join(format!("fuzz_targets/{name}.rs"))).unwrap();
                assert!(text.contains(&format!("check({name:?}, ")), "{name} runs another target");
            }
        }
    };
}

each_target! {
    api_answer client_output endpoint foreign_text job_id manifest_url record redactor settings_file unlock_code
}

/// What a broken property, a hang and a growth look like to the driver.
mod proof {
    use super::*;
    use std::time::Duration;

    fn found(name: &str, check: fn(&[u8])) -> Failure {
        let seeds = [b"{\"one\":1}".to_vec(), b"two words".to_vec()];
        let limits = Limits { time: Duration::from_secs(1), memory: 1 << 20 };
        let failure = search(name, &seeds, 20_000, &limits, check).expect_err("it is not found");
        assert_eq!(fs::read(&failure.left).unwrap(), failure.input);
        fs::remove_file(&failure.left).unwrap();
        failure
    }

    #[test]
    fn a_control_finds_nothing() {
        let seeds = [b"seed".to_vec()];
        search("control", &seeds, 1_000, &Limits::default(), |input| assert!(input.len() < 1 << 20)).unwrap();
    }

    #[test]
    fn a_broken_property_is_found_and_its_input_shown() {
        let failure =
            found("proof", |input| assert!(!(input.starts_with(b"{") && input.ends_with(b"words")), "both at once"));
        assert!(failure.input.starts_with(b"{") && failure.input.ends_with(b"words"));
        assert!(failure.why.contains("both at once"), "{}", failure.why);
        let shown = failure.to_string();
        assert!(shown.contains("proof") && shown.contains(&failure.input.escape_ascii().to_string()), "{shown}");
    }

    #[test]
    fn a_hang_is_found() {
        let failure = found("hang", |input| {
            while !input.is_ascii() {
                std::thread::park_timeout(Duration::from_secs(1));
            }
        });
        assert!(!failure.input.is_ascii() && failure.why.contains("has not ended"), "{}", failure.why);
    }

    #[test]
    fn a_slow_case_is_found() {
        let failure = found("slow", |input| {
            if input.contains(&b'%') {
                std::thread::sleep(Duration::from_millis(1_200));
            }
        });
        assert!(failure.input.contains(&b'%'), "{failure}");
    }

    #[test]
    fn growth_is_found() {
        let failure = found("growth", |input| drop(vec![0_u8; if input.len() > 40 { 50 << 20 } else { 0 }]));
        assert!(failure.input.len() > 40 && failure.why.contains("bytes of memory"), "{}", failure.why);
    }
}
