#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| snow_onboard_fuzz::check("client_output", input));
