//! The table that the tests print.

use std::sync::Once;

/// Prints one line: what was looked for, where, how many copies there were, and what the same look found planted.
pub(crate) fn row(secret: &str, place: &str, count: usize, control: usize) {
    static HEAD: Once = Once::new();
    HEAD.call_once(|| println!("\n{:<14} {:<78} {:>6} {:>8}", "secret", "looked for in", "copies", "planted"));
    println!("{secret:<14} {place:<78} {count:>6} {control:>8}");
}

/// Prints the line and asserts that there is no copy, and that the look could have found one.
#[track_caller]
pub(crate) fn none(secret: &str, place: &str, count: usize, control: usize) {
    row(secret, place, count, control);
    assert!(control > 0, "{place}: what was planted was not found, so that nothing is proved");
    assert_eq!(count, 0, "copies of the {secret} in {place}");
}
