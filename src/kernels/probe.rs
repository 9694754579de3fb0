//! What `elbo bench` finds a device's limits with: multiply-adds, a copy, and next to nothing.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Grid, Kernel, Needs, Real, Record, Schedule, Tape, Tensor,
    real, uncounted,
};
use crate::kernels::case::{Case, Fill};
use crate::kernels::common::{COMMON, plain, shader, turns, wgsl};

params! {
    /// Parameters of the probes.
    pub struct Probe {
        /// Groups of four elements.
        len: u32,
        /// How often each chain grows by eight links.
        rounds: u32,
        /// What a link multiplies by.
        factor: f32,
        /// What a link, or a touch, adds.
        term: f32,
    }
}

const PLAIN: Schedule = plain(wgsl!("probe.wgsl"), Cover::Items(64));
const SCHEDULES: &[Schedule] = &[PLAIN];

/// In f16 where the device has it. The directive that asks for f16 comes before all else in a source.
pub const F16: Schedule = Schedule {
    name: "f16",
    source: &[shader!("probe.f16.wgsl"), COMMON],
    needs: Needs::F16,
    ..PLAIN
};

const CHAINS: usize = 3;
const LINKS: usize = 8;

/// Floating-point operations for each element and round: every link multiplies and adds.
pub const FLOPS: usize = 2 * CHAINS * LINKS;

/// Words whose chains the CPU carries on at once.
const WORDS: usize = 64;

/// Elements that one thread of the CPU takes at a time.
const CHUNK: usize = 1 << 14;

/// y (4 · `len`) = the sum of three chains v ← v · factor + term of 8 · `rounds` links, which
/// start at x, x + 1 and x + 2, for x (4 · `len`).
pub static MULTIPLY_ADD: Kernel<Probe, 2> = FLOATS;

const FLOATS: Kernel<Probe, 2> = Kernel {
    name: "probe.multiply_add",
    entry: "multiply_add",
    bindings: [Binding::read("x"), Binding::write("y")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (multiply_add, multiply_add),
    cpu: Cpu::Own(multiply_add_cpu),
    turns: |p| turns(p.rounds, 1),
    flops: |p, [x, _]| FLOPS as u64 * u64::from(p.rounds) * x.words() as u64,
};

/// The same in f16, and in f32 where the device has no f16.
pub static MULTIPLY_ADD_F16: Kernel<Probe, 2> = Kernel {
    name: "probe.multiply_add_f16",
    entry: "multiply_add_f16",
    schedules: &[F16, PLAIN],
    ..FLOATS
};

/// The same of words, whose products and sums are taken modulo 2³², v ← v · 1,664,525 + 1,013,904,223
/// (Press et al., Numerical Recipes, 1992, section 7.1).
pub static MULTIPLY_ADD_I32: Kernel<Probe, 2> = Kernel {
    name: "probe.multiply_add_i32",
    entry: "multiply_add_i32",
    bindings: [Binding::read_words("words"), Binding::write_words("sums")],
    reference: (multiply_add_i32, multiply_add_i32),
    cpu: Cpu::Own(multiply_add_i32_cpu),
    ..FLOATS
};

/// y = x (4 · `len`).
pub static COPY: Kernel<Probe, 2> = Kernel {
    name: "probe.copy",
    entry: "copy",
    bindings: [Binding::read("x"), Binding::write("y")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (copy, copy),
    cpu: Cpu::Own(copy_cpu),
    turns: |_| 0,
    flops: uncounted,
};

/// y ← y + term (4 · `len`).
pub static TOUCH: Kernel<Probe, 1> = Kernel {
    name: "probe.touch",
    entry: "touch",
    bindings: [Binding::write("counter")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (touch, touch),
    cpu: Cpu::Reference,
    turns: |_| 0,
    flops: uncounted,
};

fn multiply_add<T: Real>(p: &Probe, _: &Record, [x, y]: [Arg<'_, T>; 2]) {
    chains(p, x.read(), y.write());
}

fn chains<T: Real>(p: &Probe, x: &[T], y: &mut [T]) {
    let (factor, term) = (T::from_f32(p.factor), T::from_f32(p.term));
    for (y, &x) in y.iter_mut().zip(x) {
        let chain = |start: usize| {
            let mut v = x + real(start as f64);
            (0..LINKS * p.rounds as usize).for_each(|_| v = v * factor + term);
            v
        };
        *y = chain(0) + chain(1) + chain(2);
    }
}

fn multiply_add_cpu(p: &Probe, _: &Record, [x, y]: [Arg<'_, f32>; 2]) {
    let chunks = x.read().par_chunks(CHUNK).zip(y.write().par_chunks_mut(CHUNK));
    chunks.for_each(|(x, y)| pulp::Arch::new().dispatch(Chains { p, x, y }));
}

/// The chains of some elements, by the widest vectors, their links fused where the processor can.
struct Chains<'a> {
    p: &'a Probe,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Chains<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (x, x_rest) = S::as_simd_f32s(self.x);
        let (y, y_rest) = S::as_mut_simd_f32s(self.y);
        let (factor, term) = (simd.splat_f32s(self.p.factor), simd.splat_f32s(self.p.term));
        // Four vectors at once: twelve chains hide the latency of two units.
        let (x, x_few) = x.as_chunks::<4>();
        let (y, y_few) = y.as_chunks_mut::<4>();
        let add = |v: S::f32s, start: f32| simd.add_f32s(v, simd.splat_f32s(start));
        for (x, y) in x.iter().zip(y) {
            let mut chains = [*x, x.map(|x| add(x, 1.0)), x.map(|x| add(x, 2.0))];
            for _ in 0..LINKS * self.p.rounds as usize {
                for v in chains.as_flattened_mut() {
                    *v = simd.mul_add_e_f32s(*v, factor, term);
                }
            }
            for (i, y) in y.iter_mut().enumerate() {
                *y = simd.add_f32s(simd.add_f32s(chains[0][i], chains[1][i]), chains[2][i]);
            }
        }
        let few: &[f32] = bytemuck::cast_slice(x_few);
        chains(self.p, few, bytemuck::cast_slice_mut(y_few));
        chains(self.p, x_rest, y_rest);
    }
}

/// What a link of words multiplies by and adds.
const LINK: (u32, u32) = (1_664_525, 1_013_904_223);

fn multiply_add_i32<T: Real>(p: &Probe, _: &Record, [x, y]: [Arg<'_, T>; 2]) {
    word_chains(p, x.words(), y.words_mut());
}

#[inline(always)]
fn word_chains(p: &Probe, x: &[u32], y: &mut [u32]) {
    let link = |v: u32| v.wrapping_mul(LINK.0).wrapping_add(LINK.1);
    // So many at once fill vectors of any width and hide their latency.
    for (x, y) in x.chunks(WORDS).zip(y.chunks_mut(WORDS)) {
        let mut chains = [[0_u32; WORDS]; CHAINS];
        for (start, chain) in (0..).zip(&mut chains) {
            chain.iter_mut().zip(x).for_each(|(v, &x)| *v = x.wrapping_add(start));
        }
        for _ in 0..LINKS * p.rounds as usize {
            chains.as_flattened_mut().iter_mut().for_each(|v| *v = link(*v));
        }
        for (i, y) in y.iter_mut().enumerate() {
            *y = chains.iter().fold(0, |sum: u32, chain| sum.wrapping_add(chain[i]));
        }
    }
}

fn multiply_add_i32_cpu(p: &Probe, _: &Record, [x, y]: [Arg<'_, f32>; 2]) {
    let chunks = x.words().par_chunks(CHUNK).zip(y.words_mut().par_chunks_mut(CHUNK));
    chunks.for_each(|(x, y)| pulp::Arch::new().dispatch(WordChains { p, x, y }));
}

/// The chains of some words, by the widest vectors.
struct WordChains<'a> {
    p: &'a Probe,
    x: &'a [u32],
    y: &'a mut [u32],
}

impl WithSimd for WordChains<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        simd.vectorize(
            #[inline(always)]
            || word_chains(self.p, self.x, self.y),
        );
    }
}

fn copy<T: Real>(_: &Probe, _: &Record, [x, y]: [Arg<'_, T>; 2]) {
    y.write().copy_from_slice(x.read());
}

fn copy_cpu(_: &Probe, _: &Record, [x, y]: [Arg<'_, f32>; 2]) {
    let chunks = x.read().par_chunks(CHUNK).zip(y.write().par_chunks_mut(CHUNK));
    chunks.for_each(|(x, y)| y.copy_from_slice(x));
}

fn touch<T: Real>(p: &Probe, _: &Record, [counter]: [Arg<'_, T>; 1]) {
    counter.write().iter_mut().for_each(|v| *v += T::from_f32(p.term));
}

/// The parameters for so many elements. The factor is just below one, so that a chain of any
/// length stays finite and a short one still says where it began.
fn parameters(words: usize, rounds: u32) -> (Probe, Grid) {
    let len = words.div_ceil(4);
    (Probe { len: size(len), rounds, factor: 0.999, term: 0.001 }, Grid::Flat(len))
}

/// Records the multiply-adds of x into y: [`FLOPS`] for each element and round.
pub fn record_multiply_add(tape: &mut Tape<'_>, x: Tensor, y: Tensor, rounds: u32) {
    let (p, grid) = parameters(x.words(), rounds);
    tape.dispatch(&MULTIPLY_ADD, p, [x, y], grid);
}

/// Records the same in f16, for a device that runs the schedule [`F16`].
pub fn record_multiply_add_f16(tape: &mut Tape<'_>, x: Tensor, y: Tensor, rounds: u32) {
    let (p, grid) = parameters(x.words(), rounds);
    // With a factor nearer to one a link would change less than f16 rounds by.
    let p = Probe { factor: 0.75, term: 0.25, ..p };
    tape.dispatch(&MULTIPLY_ADD_F16, p, [x, y], grid);
}

/// Records the same of words.
pub fn record_multiply_add_i32(tape: &mut Tape<'_>, x: Tensor, y: Tensor, rounds: u32) {
    let (p, grid) = parameters(x.words(), rounds);
    tape.dispatch(&MULTIPLY_ADD_I32, p, [x, y], grid);
}

/// Records the copy of x to y.
pub fn record_copy(tape: &mut Tape<'_>, x: Tensor, y: Tensor) {
    let (p, grid) = parameters(x.words(), 0);
    tape.dispatch(&COPY, p, [x, y], grid);
}

/// Records a touch of y, which waits for the touch before.
pub fn record_touch(tape: &mut Tape<'_>, y: Tensor) {
    let (p, grid) = parameters(y.words(), 0);
    tape.dispatch(&TOUCH, p, [y], grid);
}

/// One group, ragged, and for the copy and the touch more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let fill = || Fill::Uniform(1, -1.0, 1.0);
    let mut cases = Vec::new();
    for (len, rounds) in [(1, 1), (300, 2), (100_000, 3)] {
        let mut case = Case::new(format!("probe.multiply_add {len} × {rounds}"), 1);
        let x = case.input_line("x", len, Dtype::F32, fill());
        let y = case.plan.vector("y", len);
        case.record(|tape| record_multiply_add(tape, x, y, rounds));
        // Three chains of up to 24 links, each of which rounds.
        case.tolerance = 3e-6;
        cases.push(case);
        let mut case = Case::new(format!("probe.multiply_add_f16 {len} × {rounds}"), 1);
        let x = case.input_line("x", len, Dtype::F32, fill());
        let y = case.plan.vector("y", len);
        case.record(|tape| record_multiply_add_f16(tape, x, y, rounds));
        // Near one f16 rounds by at most 2⁻¹¹, and later links keep ¾ each of it: four roundings in all in
        // each of three chains, whose sum is above three.
        case.tolerance = 2e-3;
        cases.push(case);
        let mut case = Case::new(format!("probe.multiply_add_i32 {len} × {rounds}"), 1);
        let x = case.input_line("words", len, Dtype::U32, Fill::RandomWords(1));
        let y = case.plan.words("sums", len);
        case.record(|tape| record_multiply_add_i32(tape, x, y, rounds));
        cases.push(case);
    }
    for len in [1, 300, 17_000_000] {
        let mut case = Case::new(format!("probe.copy {len}"), 1);
        let x = case.input_line("x", len, Dtype::F32, fill());
        let y = case.plan.vector("y", len);
        case.record(|tape| record_copy(tape, x, y));
        cases.push(case);
        let mut case = Case::new(format!("probe.touch {len}"), 1);
        let y = case.input_line("y", len, Dtype::F32, fill());
        case.record(|tape| {
            record_touch(tape, y);
            record_touch(tape, y);
        });
        cases.push(case);
    }
    cases
}
