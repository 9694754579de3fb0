//! Random numbers as tensors: normals for drawing from the prior, raw words for the vectors.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{plain, wgsl};
use crate::kernels::philox::{PHILOX, key, normals_of, philox, purpose};

params! {
    /// Parameters of the random kernels.
    pub struct Random {
        /// Groups of four numbers, with the padding.
        len: u32,
        /// Columns of z, n.
        cols: u32,
        /// The distance between rows of z.
        stride: u32,
        /// What the numbers are for.
        purpose: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("philox.wgsl", "random.wgsl"), Cover::Items(64))];

/// z (rows, n) ~ N(0, 1) of the record's seed, stream and step; rows that the record does not
/// fill are zero.
pub static NORMALS: Kernel<Random, 1> = Kernel {
    name: "random.normals",
    entry: "normals",
    bindings: [Binding::write("z")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (normals, normals),
    cpu: Cpu::Rows(rows),
    turns: |_| PHILOX,
    flops: uncounted,
};

fn rows(p: &Random) -> Rows<Random, 1> {
    let stride = p.stride as usize;
    let part =
        |p: &Random, rows: Range<usize>| Random { len: rows.len() as u32 * p.stride / 4, ..*p };
    Rows { images: 4 * p.len as usize / stride, elements: [stride], part }
}

fn normals<T: Real>(p: &Random, record: &Record, [z]: [Arg<'_, T>; 1]) {
    let z = z.write();
    let purpose = 16 * record.stream + p.purpose;
    for (row, z) in z.chunks_mut(p.stride as usize).enumerate() {
        z.fill(T::zero());
        if row >= record.rows as usize {
            continue;
        }
        for (j, z) in z[..p.cols as usize].iter_mut().enumerate() {
            let image = record.first + row as u32;
            let words = philox([j as u32 / 4, image, record.step, purpose], key(record.seed));
            *z = normals_of(words)[j % 4];
        }
    }
}

/// `drawn_words` (len, 4) = Philox4x32-10 (Salmon et al. 2011) of counters (len, 4) and keys (len,
/// 4), of which the first two words count.
pub static WORDS: Kernel<Random, 3> = Kernel {
    name: "random.words",
    entry: "words",
    bindings: [
        Binding::read_words("counters"),
        Binding::read_words("keys"),
        Binding::write_words("drawn_words"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (words, words),
    cpu: Cpu::Rows(word_rows),
    turns: |_| PHILOX,
    flops: uncounted,
};

fn word_rows(p: &Random) -> Rows<Random, 3> {
    let part = |p: &Random, rows: Range<usize>| Random { len: rows.len() as u32, ..*p };
    Rows { images: p.len as usize, elements: [4; 3], part }
}

fn words<T: Real>(p: &Random, _: &Record, [counters, keys, drawn]: [Arg<'_, T>; 3]) {
    let (counters, keys, drawn) = (counters.words(), keys.words(), drawn.words_mut());
    for i in 0..p.len as usize {
        let counter = std::array::from_fn(|j| counters[4 * i + j]);
        drawn[4 * i..4 * i + 4].copy_from_slice(&philox(counter, [keys[4 * i], keys[4 * i + 1]]));
    }
}

/// Records z ~ N(0, 1), (rows, n), of the record's stream for a purpose; rows past the record's are zero.
pub fn draw_normals(tape: &mut Tape<'_>, purpose: u32, z: Tensor) {
    let len = z.words() / 4;
    let p = Random { len: size(len), cols: size(z.cols()), stride: size(z.stride()), purpose };
    tape.dispatch(&NORMALS, p, [z], Grid::Flat(len));
}

/// Records random words of n counters and keys of four words each.
pub fn draw_words(tape: &mut Tape<'_>, counters: Tensor, keys: Tensor, drawn: Tensor) {
    let len = counters.cols() / 4;
    let p = Random { len: size(len), cols: 4, stride: 4, purpose: 0 };
    tape.dispatch(&WORDS, p, [counters, keys, drawn], Grid::Flat(len));
}

/// The words for the first values of parameters: that of element `i` of parameter `index` is among them.
fn initial_words(seed: u64, index: usize, i: u64) -> [u32; 4] {
    let group = i / 4;
    philox([group as u32, (group >> 32) as u32, index as u32, purpose::INIT], key(seed))
}

/// A uniform number in [−1, 1) for the first values of parameters: element `i` of parameter `index`.
#[must_use]
pub fn initial_uniform(seed: u64, index: usize, i: usize) -> f64 {
    let word = initial_words(seed, index, i as u64)[i % 4];
    f64::from(word >> 8) / 8_388_608.0 - 1.0
}

/// A standard normal for the first values of parameters: element `i` of parameter `index`.
#[must_use]
pub fn initial_normal(seed: u64, index: usize, i: usize) -> f64 {
    normals_of(initial_words(seed, index, i as u64))[i % 4]
}

/// One, ragged, and more than 65,535 workgroups; the published vectors among the words.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, cols, record_rows) in
        [(1, 1, 1), (17, 5, 15), (33, 16, 33), (128, 20, 128), (262_200, 3, 262_200)]
    {
        let mut case = Case::new(format!("random.normals {rows}×{cols}"), record_rows);
        let z = case.plan.matrix("z", rows, cols);
        case.record.first = 5;
        case.record(|tape| draw_normals(tape, purpose::NOISE, z));
        case.tolerance = 2e-6;
        cases.push(case);
    }
    let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
    let vectors =
        ([[0; 4], [u32::MAX; 4], pi], [[0; 4], [u32::MAX; 4], [0xa409_3822, 0x299f_31d0, 0, 0]]);
    let mut words = |name: &str, len: usize, counters: Fill, keys: Fill| {
        let mut case = Case::new(format!("random.words {name}"), 1);
        let counters = case.input_line("counters", len, Dtype::U32, counters);
        let keys = case.input_line("keys", len, Dtype::U32, keys);
        let drawn = case.plan.words("drawn", len);
        case.record(|tape| draw_words(tape, counters, keys, drawn));
        cases.push(case);
    };
    let (counters, keys) = (vectors.0.concat(), vectors.1.concat());
    words("published", 12, Fill::Words(counters), Fill::Words(keys));
    words("many", 4 * 1001, Fill::RandomWords(1), Fill::RandomWords(2));
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_beyond_32_bits_have_words_of_their_own() {
        let places = [(0, [0, 0]), (7, [1, 0]), (1 << 32, [1 << 30, 0]), ((1 << 34) + 5, [1, 1])];
        for (i, [low, high]) in places {
            let expected = philox([low, high, 3, purpose::INIT], key(9));
            assert_eq!(initial_words(9, 3, i), expected, "the words of element {i}");
        }
    }
}
