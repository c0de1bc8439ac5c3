#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::data::raw::{Header, Options};
use readers::data::text;

// With a header and the delimiter to be found; and with neither, where windows of 64 bytes must show what one window does.
fuzz_target!(|bytes: &[u8]| {
    let size = bytes.len() as u64;
    readers::harmless(text::read(bytes, "x", size, &Options::default()));
    let bare = Options { delimiter: Some(b','), header: Header::None };
    let (whole, pieces) = (text::read(bytes, "x", size, &bare), text::read(bytes, "x", 1, &bare));
    if let (Ok(whole), Ok(pieces)) = (&whole, &pieces) {
        assert_eq!(whole.columns, pieces.columns);
        assert_eq!(whole.locate(whole.rows - 1), pieces.locate(pieces.rows - 1));
    }
    assert_eq!(whole.is_ok(), pieces.is_ok());
    readers::harmless(whole);
    readers::harmless(pieces);
});
