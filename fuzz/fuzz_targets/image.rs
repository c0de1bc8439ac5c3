#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rooms::harmless::image(bytes));
