//! Files of weights.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = Path::new("fuzzed");
    let _ = elbo::checkpoint::weights_from_bytes(path, data);
});
