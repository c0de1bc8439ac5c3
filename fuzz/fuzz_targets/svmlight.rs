#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::data::svmlight;

fuzz_target!(|bytes: &[u8]| readers::harmless(svmlight::read_from(bytes, "x", bytes.len() as u64)));
