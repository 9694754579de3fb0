//! Parquet files.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = Path::new("fuzzed");
    let _ = elbo::data::formats::parquet::read(path, data, &elbo::config::DataConfig::default());
});
