//! Comparing a committed file with what it is made from, or writing it anew.

use std::fs;
use std::path::Path;

/// Asserts that the file, named from the top of the repository, holds this text. With `UPDATE=1` it does afterwards.
#[track_caller]
pub(crate) fn check(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let committed = fs::read_to_string(&path).unwrap_or_default();
    // A checkout on Windows may have turned the line ends.
    if committed.replace("\r\n", "\n") == text {
        return;
    }
    if std::env::var("UPDATE").is_ok_and(|update| update == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    let differing = committed.lines().zip(text.lines()).find(|(old, new)| old != new);
    let (old, new) = differing.unwrap_or(("(one of the two ends before the other)", ""));
    panic!(
        "{file} is not what the source makes of it today.\n  it says:  {old}\n  it is now: {new}\n\
         The same test with UPDATE=1 in its environment writes it anew."
    );
}

/// The file as it is committed.
pub(crate) fn read(file: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    text.replace("\r\n", "\n")
}

/// The names of the files in a folder, in order.
pub(crate) fn names(folder: &str) -> Vec<String> {
    let entries = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).read_dir().unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
