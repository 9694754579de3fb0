//! IDX.gz files: the packed bytes are changed.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = Path::new("fuzzed");
    let file = [b"\x1f\x8b", data].concat();
    let _ = elbo::data::formats::idx::images_from_bytes(path, &file);
});
