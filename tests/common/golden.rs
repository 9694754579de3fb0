//! The inputs and numbers of `tests/golden/`, by the formulas of its README.

use std::path::Path;

use safetensors::SafeTensors;

use super::{Bench, distance};

/// The parameters in the order of PyTorch's example; the first six are the encoder's.
pub(crate) const NAMES: [&str; 10] = [
    "fc1.weight",
    "fc1.bias",
    "fc21.weight",
    "fc21.bias",
    "fc22.weight",
    "fc22.bias",
    "fc3.weight",
    "fc3.bias",
    "fc4.weight",
    "fc4.bias",
];

pub(crate) fn splitmix64(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The formula of `tests/golden/README.md`, in [−1, 1).
pub(crate) fn value(seed: u64, i: usize) -> f64 {
    (splitmix64((seed << 32) + i as u64) >> 40) as f64 / 16_777_216.0 * 2.0 - 1.0
}

pub(crate) fn fill(seed: u64, len: usize, scale: f64) -> Vec<f64> {
    (0..len).map(|i| value(seed, i) * scale).collect()
}

pub(crate) struct Golden(Vec<u8>);

impl Golden {
    pub(crate) fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        Self(std::fs::read(path).expect("the golden numbers are checked in"))
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        let tensors = SafeTensors::deserialize(&self.0).expect("a safetensors file");
        tensors.tensor(key).is_ok()
    }

    pub(crate) fn bytes(&self, key: &str) -> Vec<u8> {
        let tensors = SafeTensors::deserialize(&self.0).expect("a safetensors file");
        tensors.tensor(key).unwrap_or_else(|e| panic!("{key}: {e}")).data().to_vec()
    }

    pub(crate) fn floats(&self, key: &str) -> Vec<f64> {
        self.bytes(key).as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()
    }

    pub(crate) fn indices(&self, key: &str) -> Vec<usize> {
        let bits = self.floats(key).into_iter().map(f64::to_bits);
        bits.map(|i| usize::try_from(i).expect("an index")).collect()
    }
}

/// The images of 101 batches of the small net.
pub(crate) fn small_images() -> Vec<u8> {
    (1..=101u64)
        .flat_map(|step| (0..7 * 37).map(move |i| value(1000 + step, i)))
        .map(|v| ((v + 1.0) / 2.0 * 256.0) as u8)
        .collect()
}

pub(crate) fn set_weights(bench: &mut Bench, scale: f64) {
    bench.write_all(|key, len| {
        let seed = 1 + NAMES.iter().position(|&name| name == key).expect("a name of the example");
        fill(seed as u64, len, scale)
    });
}

pub(crate) fn given_step(bench: &mut Bench, t: u64) -> [f64; 2] {
    let len = bench.vae.ports.eps.rows() * bench.vae.ports.eps.cols();
    let eps = bench.vae.ports.eps;
    bench.session.write(eps, &fill(5000 + t, len, 2.0));
    let record = bench.record(t);
    bench.step(record)
}

pub(crate) fn assert_close(what: &str, found: &[f64], expected: &[f64], allowed: f64) {
    let apart = distance(found, expected);
    assert!(apart <= allowed, "{what}: {apart:e} apart, {allowed:e} allowed");
}
