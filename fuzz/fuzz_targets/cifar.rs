//! CIFAR's batches, bare and in a tar.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = Path::new("fuzzed");
    let config = elbo::config::DataConfig::default();
    let _ = elbo::data::formats::cifar::read(path, data, &config);
    let _ = elbo::data::formats::cifar::read_tar(path, data, &config);
});
