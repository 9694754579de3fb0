//! Convolutions: products in which rows of an operand are the windows of a map.
//!
//! y = f(x ∗ w + b) sums, for each place of y, over the taps of its window and the channels under them (Dumoulin and Visin
//! 2016 for the arithmetic of strides and padding). With windows as rows of a matrix X it is y = f(X wᵀ + b), and so are
//! both ways back products; X is never stored.

mod cases;
mod patches;
mod record;
mod transposed;

use super::tiles::{ENTRY, schedules};
use super::{Product, backward_w, forward, operations, sum_rows};
use crate::config::Activation;
use crate::engine::kernel::params;
use crate::engine::{Arg, Binding, Cpu, Kernel, Real, Record};
use crate::kernels::common::{activate, activation_of, slope_at_output, turns};

params! {
    /// Parameters of a product with windows of a map; all sizes count the padding.
    pub struct Convolution {
        /// Rows of C.
        rows: u32,
        /// Columns of C.
        cols: u32,
        /// Terms of each sum.
        depth: u32,
        /// The distance between rows of A as it is stored.
        a_stride: u32,
        /// The distance between rows of B as it is stored.
        b_stride: u32,
        /// The distance between rows of C.
        c_stride: u32,
        /// Columns of C that are no padding.
        inside: u32,
        /// The code of the activation: of the result, or of what made x.
        activation: u32,
        /// Whether the result is added to what is there.
        accumulate: u32,
        /// Where the bias begins, behind the weight.
        bias: u32,
        /// Whether weight decay is apart from the gradient.
        decoupled: u32,
        /// The first window.
        first: u32,
        /// Images of the map.
        images: u32,
        /// Lines of an image.
        height: u32,
        /// Places of a line.
        width: u32,
        /// Windows of an image from its top to its bottom.
        down: u32,
        /// Windows of an image from left to right.
        right: u32,
        /// Places from one window to the next.
        step: u32,
        /// The line of the first tap of the first window, plus 64.
        top: u32,
        /// The place in its line of that tap, plus 64.
        left: u32,
        /// Taps of a window from top to bottom.
        taps_down: u32,
        /// Taps of a window from left to right.
        taps_right: u32,
        /// Columns of a tap, a multiple of four.
        channels: u32,
        /// The direction in which taps follow: 1, or −1 as a word.
        sign: u32,
        /// How often a place of the map is repeated in each direction.
        zoom: u32,
        /// Taps from top to bottom, after which they begin anew, a place further.
        turn_down: u32,
        /// Taps from left to right, after which they do.
        turn_right: u32,
        /// Places of dx.
        made_rows: u32,
        /// Rows of dx that this dispatch may write.
        made_end: u32,
        /// Lines of an image of dx.
        made_height: u32,
        /// Places of a line of dx.
        made_width: u32,
        /// From one place of a phase to the next, and from one of its taps to the next.
        phase: u32,
        /// The first line of the phase.
        phase_top: u32,
        /// The first place in a line of the phase.
        phase_left: u32,
        /// The first line of taps that reach the phase.
        tap_top: u32,
        /// The first tap of a line that reaches the phase.
        tap_left: u32,
        /// Taps of the weight from left to right.
        kernel_right: u32,
        /// Columns of a tap of the weight.
        tap_channels: u32,
    }
}

pub(crate) use cases::cases;
pub use record::{Ending, Map, Windows, convolution};
pub use transposed::{TRANSPOSED, TRANSPOSED_BACKWARD_W, TRANSPOSED_BACKWARD_X, transposed};

/// What coordinates of a first tap count from, so that none is negative.
pub(super) const OFFSET: u32 = 64;

/// y = f(windows of x · wᵀ + b).
pub static CONVOLVE: Kernel<Convolution, 4> = Kernel {
    name: "matmul.convolve",
    entry: ENTRY,
    bindings: [Binding::read("x"), Binding::read("b"), Binding::read("w"), Binding::write("y")],
    overrides: &["activation", "channels", "taps_right", "zoom", "turn_down", "turn_right"],
    schedules: schedules!(Windows Nt: "convolve.wgsl", "finish.layer.wgsl"),
    reference: (convolve, convolve),
    cpu: Cpu::Own(patches::convolve),
    turns: |p| turns_of(p, 97),
    flops: |_, [_, _, w, y]| operations(y.rows(), y.cols(), w.cols()),
};

/// The same with what is added before f: y = f(windows of x · wᵀ + b + skip), skip being of y's shape.
pub static CONVOLVE_ADD: Kernel<Convolution, 5> = Kernel {
    name: "matmul.convolve_add",
    entry: ENTRY,
    bindings: [
        Binding::read("x"),
        Binding::read("b"),
        Binding::read("w"),
        Binding::write("y"),
        Binding::read("skip"),
    ],
    overrides: CONVOLVE.overrides,
    schedules: schedules!(Windows Nt: "convolve.wgsl", "convolve_add.wgsl"),
    reference: (convolve_add, convolve_add),
    cpu: Cpu::Own(patches::convolve_add),
    turns: CONVOLVE.turns,
    flops: |_, [_, _, w, y, _]| operations(y.rows(), y.cols(), w.cols()),
};

/// dx = (windows of dy · the weights that reach a place) ⊗ f'(x), for the places of a phase.
pub static CONVOLVE_BACKWARD_X: Kernel<Convolution, 4> = Kernel {
    name: "matmul.convolve_backward_x",
    entry: ENTRY,
    bindings: [
        Binding::read("dy"),
        Binding::read("made"),
        Binding::read("w"),
        Binding::write("dx"),
    ],
    overrides: &["activation", "channels", "taps_right", "zoom", "turn_down", "turn_right"],
    schedules: schedules!(Windows Nn: "convolve_phase.wgsl", "convolve_backward_x.wgsl"),
    reference: (convolve_backward_x, convolve_backward_x),
    cpu: Cpu::Own(patches::convolve_backward_x),
    turns: |p| turns_of(p, 177),
    flops: |p, [dy, _, _, dx]| {
        let taps = p.taps_down as usize * p.taps_right as usize;
        operations(p.windows(), dx.cols(), dy.cols() * taps)
    },
};

/// dw = dyᵀ · windows of x, db = Σ dy.
pub static CONVOLVE_BACKWARD_W: Kernel<Convolution, 4> = Kernel {
    name: "matmul.convolve_backward_w",
    entry: ENTRY,
    bindings: [Binding::read("dy"), Binding::read("x"), Binding::write("dw"), Binding::write("db")],
    overrides: &["channels", "taps_right", "zoom", "turn_down", "turn_right"],
    schedules: schedules!(Windows Tn: "convolve_backward_w.wgsl", "finish.weight.wgsl", "finish.bias.wgsl", "squares.none.wgsl"),
    reference: (convolve_backward_w, convolve_backward_w),
    cpu: Cpu::Own(patches::convolve_backward_w),
    turns: |p| turns_of(p, 32) + turns(p.depth, 1),
    flops: |_, [dy, _, dw, _]| operations(dy.rows(), dw.rows(), dw.cols()),
};

/// As those of any product.
fn turns_of(p: &Convolution, ending: u64) -> u64 {
    super::turns_of(&p.product(), ending)
}

impl Convolution {
    /// The product over windows that are rows of a matrix.
    fn product(&self) -> Product {
        let Self { rows, cols, depth, a_stride, b_stride, c_stride, inside, .. } = *self;
        let Self { activation, accumulate, bias, decoupled, .. } = *self;
        Product {
            rows,
            cols,
            depth,
            a_stride,
            b_stride,
            c_stride,
            inside,
            activation,
            accumulate,
            bias,
            decoupled,
            ..Product::default()
        }
    }

    /// The windows of all images.
    fn windows(&self) -> usize {
        self.images as usize * self.down as usize * self.right as usize
    }

    /// How many rows of this block are windows, not padding.
    fn windows_left(&self) -> u32 {
        self.depth.min(self.windows() as u32 - self.first)
    }

    /// The image of a window and the place of its first tap, counted from [`OFFSET`]. Windows past the end repeat the
    /// last image's.
    fn window(&self, row: usize) -> [u32; 3] {
        let at = self.first + row as u32;
        let line = at / self.right;
        let image = (line / self.down).min(self.images - 1);
        [image, line % self.down * self.step + self.top, at % self.right * self.step + self.left]
    }

    /// The place under a tap of a window, if that is within the map.
    fn place(&self, [image, top, left]: [u32; 3], tap: u32) -> Option<usize> {
        let [down, right] = [tap / self.taps_right, tap % self.taps_right];
        let at = |first: u32, tap: u32, turn: u32| {
            let tap = (tap / turn).wrapping_add(self.sign.wrapping_mul(tap % turn));
            first.wrapping_add(tap).wrapping_sub(OFFSET) / self.zoom
        };
        let (y, x) = (at(top, down, self.turn_down), at(left, right, self.turn_right));
        let inside = down < self.taps_down && y < self.height && x < self.width;
        inside.then(|| ((image * self.height + y) * self.width + x) as usize)
    }

    /// Writes columns of a window from `first` on, which is a multiple of four, of a map whose rows are `stride` apart.
    fn patch<T: Real>(&self, map: &[T], stride: u32, row: usize, first: usize, to: &mut [T]) {
        let (window, channels) = (self.window(row), self.channels as usize);
        let (mut col, mut left) = (first, to);
        while !left.is_empty() {
            let within = col % channels;
            let (some, rest) = left.split_at_mut((channels - within).min(left.len()));
            match self.place(window, (col / channels) as u32) {
                Some(place) => {
                    some.copy_from_slice(&map[place * stride as usize + within..][..some.len()]);
                }
                None => some.fill(T::zero()),
            }
            (col, left) = (col + some.len(), rest);
        }
    }

    /// So many windows as the rows of a matrix of so many columns.
    fn patches<T: Real>(&self, map: &[T], stride: u32, rows: u32, cols: u32) -> Vec<T> {
        let cols = cols as usize;
        let mut patches = vec![T::zero(); rows as usize * cols];
        for (row, patch) in patches.chunks_mut(cols).enumerate() {
            self.patch(map, stride, row, 0, patch);
        }
        patches
    }

    /// The weights that reach a place of the phase: a row for each output under each tap.
    fn reaching<'a, T>(&self, w: &'a [T], term: usize) -> &'a [T] {
        let (tap, output) = (term as u32 / self.channels, term % self.channels as usize);
        let tap = tap.min((self.taps_down * self.taps_right).max(1) - 1);
        let down = self.tap_top + self.phase * (tap / self.taps_right % self.turn_down);
        let right = self.tap_left + self.phase * (tap % self.taps_right % self.turn_right);
        let of = (down * self.kernel_right + right) * self.tap_channels;
        &w[output * self.b_stride as usize + of as usize..]
    }

    /// The place of dx that a row of this phase is, or a row of the padding, which the first phase makes zero.
    fn made(&self, row: usize) -> Option<usize> {
        let [rows, end] = [self.windows(), self.made_end as usize];
        if row >= rows {
            return Some(self.made_rows as usize + row - rows).filter(|&place| place < end);
        }
        let (down, right, phase) = (self.down as usize, self.right as usize, self.phase as usize);
        let line = row / right;
        let y = line % down * phase + self.phase_top as usize;
        let x = row % right * phase + self.phase_left as usize;
        let (height, width) = (self.made_height as usize, self.made_width as usize);
        Some((line / down * height + y) * width + x)
    }
}

fn convolve<T: Real>(p: &Convolution, record: &Record, [x, b, w, y]: [Arg<'_, T>; 4]) {
    let patches = p.patches(x.read(), p.a_stride, p.rows, p.depth);
    let product = Product { a_stride: p.depth, ..p.product() };
    forward(&product, record, [Arg::Read(&patches), b, w, y]);
}

fn convolve_add<T: Real>(p: &Convolution, record: &Record, args: [Arg<'_, T>; 5]) {
    let [x, b, w, y, skip] = args;
    let (y, skip, kind) = (y.write(), skip.read(), activation_of(p.activation));
    let linear = Convolution { activation: Activation::Identity.code(), ..*p };
    convolve(&linear, record, [x, b, w, Arg::Write(y)]);
    let (stride, inside) = (p.c_stride as usize, p.inside as usize);
    for (y, skip) in y.chunks_mut(stride).zip(skip.chunks(stride)) {
        let both = y[..inside].iter_mut().zip(skip);
        both.for_each(|(y, &skip)| *y = activate(kind, *y + skip));
    }
}

/// Calls `end` with each place that is of this phase, or of the padding with the first, and the sums of its row.
fn each_of_phase<T: Real>(p: &Convolution, map: &[T], w: &[T], mut end: impl FnMut(usize, &[T])) {
    let cols = p.cols as usize;
    let patches = p.patches(map, p.a_stride, p.rows, p.depth);
    // Columns past the channels are masked at the end; there the last weights may have no neighbours.
    let mut weights = vec![T::zero(); p.depth as usize * cols];
    for (term, to) in weights.chunks_mut(cols).enumerate() {
        let from = p.reaching(w, term);
        let known = cols.min(from.len());
        to[..known].copy_from_slice(&from[..known]);
    }
    let product = Product { b_stride: p.cols, ..p.product() };
    let mut totals = vec![T::zero(); cols];
    for (row, patch) in patches.chunks(p.depth as usize).enumerate() {
        let Some(place) = p.made(row) else { continue };
        sum_rows(&product, |k| patch[k], &weights, &mut totals);
        end(place, &totals);
    }
}

fn convolve_backward_x<T: Real>(p: &Convolution, _: &Record, [dy, x, w, dx]: [Arg<'_, T>; 4]) {
    let (dy, x, w, dx) = (dy.read(), x.read(), w.read(), dx.write());
    let kind = activation_of(p.activation);
    each_of_phase(p, dy, w, |place, totals| {
        for (col, &total) in totals.iter().enumerate() {
            let at = place * p.c_stride as usize + col;
            let real = col < p.inside as usize;
            let own = if real && place < p.made_rows as usize {
                total * slope_at_output(kind, x[at])
            } else {
                T::zero()
            };
            dx[at] = if p.accumulate != 0 && real { dx[at] + own } else { own };
        }
    });
}

fn convolve_backward_w<T: Real>(p: &Convolution, record: &Record, args: [Arg<'_, T>; 4]) {
    let [dy, x, dw, db] = args;
    let patches = p.patches(x.read(), p.b_stride, p.depth, p.cols);
    let product = Product { b_stride: p.cols, ..p.product() };
    backward_w(&product, record, [dy, Arg::Read(&patches), dw, db]);
}
