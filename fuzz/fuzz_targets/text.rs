#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::data::raw::{Header, Options};
use readers::data::text;

// With a header and the delimiter to be found, and with neither.
fuzz_target!(|bytes: &[u8]| {
    let size = bytes.len() as u64;
    readers::harmless(text::read(bytes, "x", size, &Options::default()));
    readers::harmless(text::read(bytes, "x", size, &Options { delimiter: Some(b','), header: Header::None }));
});
