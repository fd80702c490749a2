//! The targets for libFuzzer. See `targets`.

#[allow(dead_code, reason = "how many cases a test run tries is for the other driver")]
mod targets;

/// Runs the check of one target.
///
/// # Panics
/// When what has to hold does not, and for a name that is none.
pub fn check(name: &str, input: &[u8]) {
    let target = targets::TARGETS.iter().find(|target| target.name == name);
    (target.expect("the name of a target").check)(input);
}
