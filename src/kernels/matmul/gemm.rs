//! The CPU schedule of the product: the `gemm` crate, then the epilogue over rows.

use rayon::prelude::*;

use crate::config::Activation;
use crate::engine::{Arg, Record};
use crate::kernels::common::{activate, activation_of, slope_at_output};
use crate::kernels::matmul::Product;

/// A matrix as it is stored: elements, and the distances between its rows and its columns.
#[derive(Clone, Copy)]
struct View<'a>(&'a [f32], usize, usize);

impl<'a> View<'a> {
    fn rows(data: &'a [f32], stride: u32) -> Self {
        View(data, stride as usize, 1)
    }

    fn transposed(self) -> Self {
        View(self.0, self.2, self.1)
    }

    /// Whether an element of the last row and column exists.
    fn holds(self, rows: usize, cols: usize) -> bool {
        (rows - 1) * self.1 + (cols - 1) * self.2 < self.0.len()
    }
}

/// C = A B, or C += A B, for A (m, k), B (k, n) and C (m, n) with rows `c_stride` apart.
#[expect(unsafe_code, reason = "the gemm crate takes pointers; the sizes are checked here")]
fn product(p: &Product, c: &mut [f32], a: View<'_>, b: View<'_>, add: bool) {
    let (m, n, k) = (p.rows as usize, p.cols as usize, p.depth as usize);
    let c_stride = p.c_stride as usize;
    assert!(m > 0 && n > 0 && k > 0, "a product of nothing: {m} × {k} × {n}");
    assert!(a.holds(m, k), "A holds {m} rows and {k} columns");
    assert!(b.holds(k, n), "B holds {k} rows and {n} columns");
    assert!(n <= c_stride && (m - 1) * c_stride + n <= c.len(), "C holds {m} rows, {n} columns");
    let signed = |stride: usize| isize::try_from(stride).expect("strides are below 2³²");
    let threads = rayon::current_num_threads();
    let parallelism = if threads > 1 && m * n * k > 1 << 16 {
        gemm::Parallelism::Rayon(threads)
    } else {
        gemm::Parallelism::None
    };
    // SAFETY: `gemm` reads a[i, l], b[l, j] and writes c[i, j] for i < m, j < n, l < k, all inside
    // their slices by the assertions above (offsets grow with each index); distinct (i, j) of C are
    // distinct elements since n ≤ c_stride; C is borrowed mutably, so it overlaps neither A nor B.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            signed(c_stride),
            add,
            a.0.as_ptr(),
            signed(a.2),
            signed(a.1),
            b.0.as_ptr(),
            signed(b.2),
            signed(b.1),
            if add { 1.0 } else { 0.0 },
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

pub(super) fn forward(p: &Product, _: &Record, [x, b, w, y]: [Arg<'_, f32>; 4]) {
    let (b, y) = (b.read(), y.write());
    let (x, w) = (View::rows(x.read(), p.a_stride), View::rows(w.read(), p.b_stride));
    product(p, y, x, w.transposed(), false);
    let (kind, inside) = (activation_of(p.activation), p.inside as usize);
    y.par_chunks_mut(p.c_stride as usize).for_each(|y| {
        y[inside..].fill(0.0);
        // The commonest two stand apart so that their loops are vectorised.
        let pairs = y[..inside].iter_mut().zip(b);
        match kind {
            Activation::Identity => pairs.for_each(|(y, b)| *y += b),
            Activation::Relu => pairs.for_each(|(y, b)| {
                let value = *y + b;
                // Unlike max(), this keeps a NaN, so that it is found.
                *y = if value < 0.0 { 0.0 } else { value };
            }),
            _ => pairs.for_each(|(y, b)| *y = activate(kind, *y + b)),
        }
    });
}

pub(super) fn backward_x(p: &Product, _: &Record, [dy, x, w, dx]: [Arg<'_, f32>; 4]) {
    let (x, dx) = (x.read(), dx.write());
    let (dy, w) = (View::rows(dy.read(), p.a_stride), View::rows(w.read(), p.b_stride));
    let kind = activation_of(p.activation);
    if p.accumulate == 0 {
        product(p, dx, dy, w, false);
        scale(kind, dx, x);
        return;
    }
    // The slope belongs to this product alone, not to what it is added to.
    let mut own = vec![0.0; dx.len()];
    product(p, &mut own, dy, w, false);
    scale(kind, &mut own, x);
    dx.iter_mut().zip(own).for_each(|(dx, own)| *dx += own);
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
    product(p, dw, dy_view.transposed(), x, p.accumulate != 0);
    if p.accumulate == 0 {
        db.fill(0.0);
    }
    for dy in dy.chunks_exact(p.a_stride as usize).take(p.depth as usize) {
        db.iter_mut().zip(dy).for_each(|(db, dy)| *db += dy);
    }
}
