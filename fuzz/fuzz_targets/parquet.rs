#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::data::parquet;

fuzz_target!(|bytes: &[u8]| readers::harmless(parquet::read(bytes, "x")));
