//! Pictures of any kind: the first byte says which, so that the fuzzer need not find how each starts.
#![no_main]

use std::path::Path;

const STARTS: [&[u8]; 8] =
    [b"", b"\xff\xd8\xff", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"P", b"GIF8"];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let path = Path::new("fuzzed");
    let file = [STARTS[usize::from(*kind) % STARTS.len()], rest].concat();
    let _ = elbo::data::formats::pictures::from_bytes(path, &file);
});
