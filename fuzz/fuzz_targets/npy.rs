#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::data::npy;

fuzz_target!(|bytes: &[u8]| readers::harmless(npy::read(bytes, "x", bytes.len() as u64, "x")));
