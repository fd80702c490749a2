//! The manual, for the operator and for whoever has to answer for this program: what happens to an unlock code, who is kept
//! from it and who is not, and what to do when it went wrong. In plain words; nothing in here is code. The same text is in
//! `packaging/manual.md` and in the manual page snow-onboard(7).
//!
//! | chapter | answers |
//! | --- | --- |
//! | [`on_site`] | For the operator: hosts and ports, terminals, keychains, what comes after UNLOCKED |
//! | [`life_of_a_code`] | Every place that a code passes, and how long it stays there |
//! | [`threat_model`] | Who can't get at it, and who can |
//! | [`when_a_code_has_leaked`] | What to do, and why nobody but AWS Support can change a code |
//! | [`headless`] | Use without a screen: SSH, WinRM, scheduled jobs, sudo |
//! | [`past_mistakes`] | What went wrong in the scripts of others, and which test keeps it from happening here |
//!
//! A claim about this program that a test shows is followed by the test, such as `tests/whole/logs.rs::without_v_nothing_is_logged_and_the_file_is_appended_to`. That
//! each of them exists is itself tested. What is not tested says so.

pub mod headless;
pub mod life_of_a_code;
pub mod on_site;
pub mod past_mistakes;
pub mod threat_model;
pub mod when_a_code_has_leaked;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    /// `path.rs::name` in backticks.
    fn cited(text: &str) -> Vec<(&str, &str)> {
        let quoted = text.split('`').skip(1).step_by(2);
        quoted.filter_map(|quoted| quoted.split_once(".rs::")).collect()
    }

    #[test]
    fn every_test_that_is_named_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for chapter in root.join("src/manual").read_dir().unwrap() {
            let text = std::fs::read_to_string(chapter.unwrap().path()).unwrap();
            let manual: String =
                text.lines().filter(|line| line.starts_with("//!")).flat_map(|line| [line, "\n"]).collect();
            for (path, name) in cited(&manual) {
                let source = std::fs::read_to_string(root.join(format!("{path}.rs"))).unwrap_or_default();
                assert!(source.contains(&format!("fn {name}(")), "there is no {path}.rs::{name}");
                count += 1;
            }
        }
        assert!(count > 30, "a control: {count} found");
    }
}
