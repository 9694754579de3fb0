//! The CPU schedule of the product: the `gemm` crate, then the epilogue over rows.

use std::cell::RefCell;
use std::sync::atomic::{AtomicPtr, Ordering};

use rayon::prelude::*;

use crate::config::Activation;
use crate::engine::{Arg, Record};
use crate::kernels::common::{activate, activation_of, slope_at_output};
use crate::kernels::fast::vectorised;
use crate::kernels::matmul::{PART, Product};
use crate::kernels::norm::SHRINK;
use crate::kernels::optimizer::{Optimizer, update_chunk};

/// A matrix as it is stored: elements, and the distances between its rows and its columns.
#[derive(Clone, Copy)]
pub(crate) struct View<'a>(&'a [f32], usize, usize);

impl<'a> View<'a> {
    pub(crate) fn rows(data: &'a [f32], stride: u32) -> Self {
        View(data, stride as usize, 1)
    }

    pub(crate) fn transposed(self) -> Self {
        View(self.0, self.2, self.1)
    }

    /// Whether an element of the last row and column exists.
    fn holds(self, rows: usize, cols: usize) -> bool {
        (rows - 1) * self.1 + (cols - 1) * self.2 < self.0.len()
    }
}

/// How a product is shared out: so many rows and columns of C make a block, and each block is the
/// work of one task. Blocks depend on the shape alone, so that results do not on the threads.
#[derive(Clone, Copy)]
pub(crate) struct Blocks(usize, usize);

impl Blocks {
    /// All of it, in the calling task.
    pub(crate) const ONE: Self = Self(usize::MAX, usize::MAX);

    /// Blocks of columns, each of which packs its own part of B; of rows, if C is narrow. The
    /// widths are those of the microkernels for AVX-512, or several of smaller ones.
    fn of(p: &Product) -> Self {
        const ROWS: usize = 32;
        const COLUMNS: usize = 64;
        let work = u64::from(p.rows) * u64::from(p.cols) * u64::from(p.depth);
        match p.cols as usize {
            _ if work <= 1 << 16 => Self::ONE,
            COLUMNS.. => Self(usize::MAX, COLUMNS),
            _ => Self(ROWS, usize::MAX),
        }
    }
}

/// C = A B, or C += A B, for A (m, k), B (k, n) and C (m, n) with rows `c_stride` apart.
#[expect(unsafe_code, reason = "the gemm crate takes pointers; the sizes are checked here")]
pub(crate) fn product(
    p: &Product,
    c: &mut [f32],
    (a, b): (View<'_>, View<'_>),
    add: bool,
    Blocks(rows, columns): Blocks,
) {
    let (m, n, k) = (p.rows as usize, p.cols as usize, p.depth as usize);
    let c_stride = p.c_stride as usize;
    assert!(m > 0 && n > 0 && k > 0, "a product of nothing: {m} × {k} × {n}");
    assert!(rows > 0 && columns > 0, "blocks of nothing: {rows} × {columns}");
    assert!(a.holds(m, k), "A holds {m} rows and {k} columns");
    assert!(b.holds(k, n), "B holds {k} rows and {n} columns");
    assert!(n <= c_stride && (m - 1) * c_stride + n <= c.len(), "C holds {m} rows, {n} columns");
    let signed = |stride: usize| isize::try_from(stride).expect("strides are below 2³²");
    // An atomic only so that tasks may share the pointer.
    let c = AtomicPtr::new(c.as_mut_ptr());
    let across = n.div_ceil(columns);
    let block = |at: usize| {
        let (row, col) = (at / across * rows.min(m), at % across * columns.min(n));
        // SAFETY: `gemm` reads a[i, l], b[l, j] and writes c[i, j] for row ≤ i < m, col ≤ j < n,
        // l < k, all inside their slices by the assertions above (offsets grow with each index);
        // distinct (i, j) of C are distinct elements since n ≤ c_stride, and no two blocks share
        // one; C is borrowed mutably while all blocks run, so it overlaps neither A nor B.
        unsafe {
            gemm::gemm(
                rows.min(m - row),
                columns.min(n - col),
                k,
                c.load(Ordering::Relaxed).add(row * c_stride + col),
                1,
                signed(c_stride),
                add,
                a.0.as_ptr().add(row * a.1),
                signed(a.2),
                signed(a.1),
                b.0.as_ptr().add(col * b.2),
                signed(b.2),
                signed(b.1),
                if add { 1.0 } else { 0.0 },
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    };
    match m.div_ceil(rows) * across {
        1 => block(0),
        blocks => (0..blocks).into_par_iter().for_each(block),
    }
}

pub(super) fn forward(p: &Product, _: &Record, [x, b, w, y]: [Arg<'_, f32>; 4]) {
    let (b, y) = (b.read(), y.write());
    let (x, w) = (View::rows(x.read(), p.a_stride), View::rows(w.read(), p.b_stride));
    product(p, y, (x, w.transposed()), false, Blocks::of(p));
    y.par_chunks_mut(p.c_stride as usize).for_each(|y| finish_row(p, y, b));
}

/// The end of a layer for one row.
pub(super) fn finish_row(p: &Product, y: &mut [f32], b: &[f32]) {
    let (kind, inside) = (activation_of(p.activation), p.inside as usize);
    y[inside..].fill(0.0);
    let (y, b) = (&mut y[..inside], &b[..inside]);
    vectorised(
        #[inline(always)]
        || finish(kind, y, b),
    );
}

/// Adds the bias and applies the activation.
#[inline(always)]
fn finish(kind: Activation, y: &mut [f32], b: &[f32]) {
    // The commonest two stand apart so that their loops are vectorised.
    let pairs = y.iter_mut().zip(b);
    match kind {
        Activation::Identity => pairs.for_each(|(y, b)| *y += b),
        Activation::Relu => pairs.for_each(|(y, b)| {
            let value = *y + b;
            // Unlike max(), this keeps a NaN, so that it is found.
            *y = if value < 0.0 { 0.0 } else { value };
        }),
        _ => pairs.for_each(|(y, b)| *y = activate(kind, *y + b)),
    }
}

pub(super) fn backward_x(p: &Product, _: &Record, [dy, x, w, dx]: [Arg<'_, f32>; 4]) {
    let (x, dx) = (x.read(), dx.write());
    let (dy, w) = (View::rows(dy.read(), p.a_stride), View::rows(w.read(), p.b_stride));
    let kind = activation_of(p.activation);
    if p.accumulate == 0 {
        product(p, dx, (dy, w), false, Blocks::of(p));
        scale(kind, dx, x);
        clear_padding(p, dx);
        return;
    }
    // The slope belongs to this product alone, not to what it is added to.
    let mut own = vec![0.0; dx.len()];
    product(p, &mut own, (dy, w), false, Blocks::of(p));
    scale(kind, &mut own, x);
    clear_padding(p, &mut own);
    dx.iter_mut().zip(own).for_each(|(dx, own)| *dx += own);
}

/// Columns past those that count: there the weight may hold what belongs to classes.
fn clear_padding(p: &Product, dx: &mut [f32]) {
    let (inside, cols) = (p.inside as usize, p.cols as usize);
    if inside < cols {
        dx.chunks_mut(p.c_stride as usize).for_each(|row| row[inside..cols].fill(0.0));
    }
}

fn scale(kind: Activation, dx: &mut [f32], x: &[f32]) {
    const CHUNK: usize = 4096;
    if kind == Activation::Identity {
        return;
    }
    dx.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(dx, x)| {
        let pairs = dx.iter_mut().zip(x);
        match kind {
            Activation::Relu => pairs.for_each(|(dx, &x)| *dx *= f32::from(u8::from(x > 0.0))),
            _ => pairs.for_each(|(dx, &x)| *dx *= slope_at_output(kind, x)),
        }
    });
}

pub(super) fn backward_w(p: &Product, _: &Record, [dy, x, dw, db]: [Arg<'_, f32>; 4]) {
    let (dy, x, dw, db) = (dy.read(), x.read(), dw.write(), db.write());
    let (dy_view, x) = (View::rows(dy, p.a_stride), View::rows(x, p.b_stride));
    product(p, dw, (dy_view.transposed(), x), p.accumulate != 0, Blocks::of(p));
    sum_bias(p, dy, db);
}

/// db = Σ dy, or that added to db.
pub(super) fn sum_bias(p: &Product, dy: &[f32], db: &mut [f32]) {
    if p.accumulate == 0 {
        db.fill(0.0);
        add_rows(p, dy, 0, db);
    } else {
        // Row by row on top of what is there, which may be large, digits would be lost.
        let mut sums = vec![0.0; db.len()];
        add_rows(p, dy, 0, &mut sums);
        db.iter_mut().zip(sums).for_each(|(db, sum)| *db += sum);
    }
}

/// Adds columns of dy, from `first` on, to db.
fn add_rows(p: &Product, dy: &[f32], first: usize, db: &mut [f32]) {
    for dy in dy.chunks_exact(p.a_stride as usize).take(p.depth as usize) {
        db.iter_mut().zip(&dy[first..]).for_each(|(db, dy)| *db += dy);
    }
}

/// Rows of a weight whose gradient one task makes and uses while it is in the cache: at most so
/// many, and half as many if they are long.
const MOST_ROWS: usize = 48;

thread_local! {
    /// The gradient of a block; kept, since memory that is new is slow to touch.
    static GRADIENTS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn adam(p: &Product, record: &Record, args: [Arg<'_, f32>; 6]) {
    update(p, record, args, None);
}

pub(super) fn adam_squares(p: &Product, record: &Record, args: [Arg<'_, f32>; 7]) {
    let [dy, x, guard, weights, first, second, squares] = args;
    update(p, record, [dy, x, guard, weights, first, second], Some(squares.write()));
}

/// Adam's update, and the sums of the gradients' squares where there is a place for them.
fn update(p: &Product, record: &Record, args: [Arg<'_, f32>; 6], mut squares: Option<&mut [f32]>) {
    let [dy, x, guard, weights, first, second] = args;
    let (dy, guard) = (dy.read(), guard.words_mut());
    if guard[0] != 0 {
        squares.iter_mut().for_each(|squares| squares.fill(0.0));
        return;
    }
    let a = View::rows(dy, p.a_stride).transposed();
    let x = View::rows(x.read(), p.b_stride);
    let rates = record.rates.map(|rate| rate as f32);
    let rule = Optimizer { decoupled: p.decoupled, ..Optimizer::default() };
    let update = |g: &[f32], values: [&mut [f32]; 3]| update_chunk(&rule, &rates, 1.0, g, values);
    let (rows, stride) = (p.rows as usize, p.c_stride as usize);
    let block_rows = if stride <= 1024 { MOST_ROWS } else { MOST_ROWS / 2 };
    // The blocks of the weight, and those of the bias behind it.
    let [w, m, v] = [weights, first, second].map(|all| {
        let (weight, bias) = all.write().split_at_mut(p.bias as usize);
        let weight = weight[..rows * stride].par_chunks_mut(block_rows * stride);
        weight.zip(bias[..rows].par_chunks_mut(block_rows))
    });
    let squares = square_blocks(squares, rows, (stride, block_rows));
    let blocks = w.zip(m).zip(v).zip(squares).enumerate();
    let blocks = blocks.map(|(block, ((((w, b), (m, bm)), (v, bv)), [of_w, of_b]))| {
        GRADIENTS.with_borrow_mut(|g| {
            g.resize(g.len().max(w.len()), 0.0);
            let g = &mut g[..w.len()];
            let part = Product { rows: b.len() as u32, ..*p };
            let a = View(&a.0[block * block_rows..], a.1, a.2);
            product(&part, g, (a, x), false, Blocks::ONE);
            let db = &mut [0.0; MOST_ROWS][..b.len()];
            add_rows(p, dy, block * block_rows, db);
            sum_squares::<PART>(g, stride, of_w);
            sum_squares::<4>(db, db.len(), of_b);
            update(g, [w, m, v]) | update(db, [b, bm, bv])
        })
    });
    guard[1] |= blocks.reduce(|| 0, |a, b| a | b);
}

/// The places for the squares of each block of rows, weight and bias; where none are asked for, they are empty.
fn square_blocks(
    squares: Option<&mut [f32]>,
    rows: usize,
    (stride, block_rows): (usize, usize),
) -> Vec<[&mut [f32]; 2]> {
    let parts = stride.div_ceil(PART);
    match squares {
        None => (0..rows.div_ceil(block_rows)).map(|_| [&mut [][..], &mut []]).collect(),
        Some(squares) => {
            let (weight, bias) = squares.split_at_mut(rows * parts);
            let bias = bias[..rows / 4].chunks_mut(block_rows / 4);
            let blocks = weight.chunks_mut(block_rows * parts).zip(bias);
            blocks.map(|(weight, bias)| [weight, bias]).collect()
        }
    }
}

/// Sums of the squares of each N neighbours, in rows of a length that is a multiple of four.
fn sum_squares<const N: usize>(g: &[f32], row: usize, sums: &mut [f32]) {
    if sums.is_empty() {
        return;
    }
    vectorised(
        #[inline(always)]
        || {
            let rows = g.chunks_exact(row).zip(sums.chunks_exact_mut(row.div_ceil(N)));
            for (g, sums) in rows {
                let (whole, rest) = g.as_chunks::<N>();
                for (sum, part) in sums.iter_mut().zip(whole) {
                    *sum = square_sum(part);
                }
                if !rest.is_empty() {
                    sums[whole.len()] = square_sum(rest);
                }
            }
        },
    );
}

/// The sum of the squares of numbers, a multiple of four, in the unit of [`SHRINK`] squared.
#[inline(always)]
fn square_sum(g: &[f32]) -> f32 {
    // Sums side by side, which compilers make at once. What zips is not always inlined, and then is no vector.
    let mut lanes = [0.0_f32; 8];
    let (whole, rest) = g.as_chunks::<8>();
    for some in whole {
        for i in 0..8 {
            let shrunk = SHRINK as f32 * some[i];
            lanes[i] += shrunk * shrunk;
        }
    }
    for i in 0..rest.len() {
        let shrunk = SHRINK as f32 * rest[i];
        lanes[i] += shrunk * shrunk;
    }
    // Else compilers take one number of each of several parts at once, which gathers: 2 % of a step.
    let [a, b, c, d, e, f, g, h] = std::hint::black_box(lanes);
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
