#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ibid_campaign::targets::parameters_only::target(data));
