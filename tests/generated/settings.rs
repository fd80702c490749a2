//! The settings that are built in.

use crate::fresh;

#[test]
fn the_built_in_settings_are_those_of_the_table() {
    fresh::check("config/default.toml", &snow_onboard::settings::defaults());
}
