#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| snow_onboard_fuzz::check("endpoint", input));
