//! IDX files of images and of labels, of bytes and of any numbers, as they are: the gzip decoder has a target of its
//! own.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = Path::new("fuzzed");
    let _ = elbo::data::formats::idx::images_from_bytes(path, data);
    let _ = elbo::data::formats::idx::labels_from_bytes(path, data);
    let _ = elbo::data::formats::idx::read(path, data, &elbo::config::DataConfig::default());
});
