//! Rows of numbers, as an array and as a table.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = Path::new("fuzzed");
    let _ = elbo::data::rows::from_npy(path, data);
    let _ = elbo::data::rows::from_csv(path, data, &["z", "mean"]);
});
