//! Records convolutions over maps.

use super::{
    CONVOLVE, CONVOLVE_ADD, CONVOLVE_BACKWARD_W, CONVOLVE_BACKWARD_X, Convolution, OFFSET,
};
use crate::config::{Activation, places_reached, windows_that_fit};
use crate::engine::tensor::size;
use crate::engine::{GradSite, Grid, PAD, Tape, Taps, Tensor};
use crate::kernels::activation::{activation, applied, gradient_before, note_applied};
use crate::kernels::add::{add_gradient, pass_on_gradient};
use crate::kernels::matmul::{Affine, BLOCK};

/// A map: a matrix whose rows are places, image by image and line by line, and whose columns are channels.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    /// The matrix (images · height · width, channels).
    pub at: Tensor,
    /// Lines of an image.
    pub height: usize,
    /// Places of a line.
    pub width: usize,
}

impl Map {
    /// How many images it has.
    #[must_use]
    pub fn images(&self) -> usize {
        self.at.rows() / (self.height * self.width)
    }
}

/// How a convolution's windows lie on a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Taps of a window: lines, and places of a line.
    pub kernel: [usize; 2],
    /// Places from one window to the next, in both directions.
    pub stride: usize,
    /// Places outside of the map, at each of its sides, that windows reach; they count as zero.
    pub padding: usize,
    /// How often each place of the map is repeated in both directions before windows are laid on it, which is
    /// upsampling by the nearest neighbour; 1, or else `stride` is.
    pub zoom: usize,
}

impl Windows {
    /// The extents of what a convolution makes of a map of these extents; none where no window fits.
    #[must_use]
    pub fn made(&self, extents: [usize; 2]) -> Option<[usize; 2]> {
        let Self { kernel, stride, padding, zoom } = *self;
        windows_that_fit(extents, kernel, [stride, padding, zoom])
    }

    /// The extents of what a transposed convolution makes of a map of these extents; none where there is no place.
    #[must_use]
    pub fn spread(&self, extents: [usize; 2]) -> Option<[usize; 2]> {
        places_reached(extents, self.kernel, [self.stride, self.padding])
    }

    /// Columns of a weight for so many channels: those of a tap are a multiple of four, tap by tap.
    #[must_use]
    pub fn columns(&self, channels: usize) -> usize {
        Taps { kernel: self.kernel, channels }.columns()
    }
}

/// How a convolution ends: y = f(sums + b), or f(sums + b + skip).
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// f.
    pub kind: Activation,
    /// A map of y's shape that is added, and whether it wants its gradient.
    pub skip: Option<(Tensor, bool)>,
}

impl From<Activation> for Ending {
    fn from(kind: Activation) -> Self {
        Self { kind, skip: None }
    }
}

/// Records y = f(x ∗ w + b), for a map x, w (outputs, [`Windows::columns`]) in the order line, place, channel, and b
/// (outputs), and its gradients; or y = f(x ∗ w + b + skip), as it may end. `wants` says whether x wants its own.
///
/// # Panics
///
/// If the shapes do not fit, naming them; if an extent with its padding is beyond 960 places, the padding beyond 64 or a
/// minibatch beyond 4,096 images; or if windows skip places that are repeated.
pub fn convolution(
    tape: &mut Tape<'_>,
    name: &str,
    (x, wants): (Map, bool),
    layer: Affine,
    windows: Windows,
    ending: impl Into<Ending>,
) -> Map {
    let Ending { kind, skip } = ending.into();
    let [height, width] = windows.made([x.height, x.width]).unwrap_or_else(|| {
        panic!("convolution `{name}`: no window of {windows:?} fits {} × {}", x.height, x.width)
    });
    let fused = if kind.slope_from_output() { kind } else { Activation::Identity };
    let path = if fused == kind { name.to_owned() } else { format!("{name}.input") };
    let Affine { w, b } = layer;
    let y = tape.plan.matrix(&path, x.images() * height * width, w.rows());
    let y = Map { at: y, height, width };
    let p = windows_of(x, y, windows);
    check(name, x, layer, windows);
    let forward = Convolution {
        rows: size(y.at.padded_rows()),
        cols: size(y.at.stride()),
        depth: size(w.stride()),
        a_stride: size(x.at.stride()),
        b_stride: size(w.stride()),
        c_stride: size(y.at.stride()),
        inside: size(w.rows()),
        activation: fused.code(),
        ..p
    };
    let grid = Grid::Matrix(y.at.padded_rows(), y.at.stride());
    match skip {
        None => tape.dispatch(&CONVOLVE, forward, [x.at, b, w, y.at], grid),
        Some((skip, _)) => {
            assert_eq!(skip.words(), y.at.words(), "convolution `{name}`: {skip:?} is not as y");
            tape.dispatch(&CONVOLVE_ADD, forward, [x.at, b, w, y.at, skip], grid);
        }
    }
    note_applied(tape, y.at, fused);
    let past = skip.filter(|(_, wants)| *wants).map(|(skip, _)| skip);
    let inputs: Vec<_> = wants.then_some(x.at).into_iter().chain(past).collect();
    tape.on_backward(&inputs, move |tape| {
        let dy = Map { at: gradient_before(tape, fused, y.at), ..y };
        // At once, not as a leaf: maps are large, and the room of dy is free for another gradient then.
        backward_to_weight(tape, x.at, layer, dy.at, p);
        match past {
            Some(past) if past == x.at => add_gradient(tape, past, dy.at),
            Some(past) => pass_on_gradient(tape, past, dy.at),
            None => (),
        }
        if wants {
            backward_to_input(tape, x, w, dy, windows);
        }
    });
    let at = if fused == kind { y.at } else { activation(tape, kind, y.at) };
    Map { at, ..y }
}

fn check(name: &str, x: Map, Affine { w, b }: Affine, windows: Windows) {
    let (channels, columns) = (x.at.cols(), windows.columns(x.at.cols()));
    assert_eq!(
        w.cols(),
        columns,
        "convolution `{name}`: w {w:?} does not fit {windows:?} of {channels} channels"
    );
    assert_eq!(b.cols(), w.rows(), "convolution `{name}`: b {b:?} does not fit w {w:?}");
    let places = x.images() * x.height * x.width;
    assert_eq!(x.at.rows(), places, "convolution `{name}`: x {x:?} is no whole images");
    counts(name, x, windows);
}

/// That windows of a map are as the word of a window holds them.
pub(super) fn counts(name: &str, x: Map, windows: Windows) {
    let extent = windows.zoom * x.height.max(x.width);
    let Windows { padding, stride, zoom, .. } = windows;
    let fits = x.images() <= 4096 && extent + padding <= 960 && padding <= 64;
    assert!(zoom == 1 || stride == 1, "convolution `{name}`: {windows:?} skip what is repeated");
    assert!(fits, "convolution `{name}`: {windows:?} of {x:?} is beyond what is counted");
}

/// Where windows lie on x, and which taps they have.
pub(super) fn windows_of(x: Map, y: Map, windows: Windows) -> Convolution {
    let first = OFFSET - size(windows.padding);
    Convolution {
        images: size(x.images()),
        height: size(x.height),
        width: size(x.width),
        down: size(y.height),
        right: size(y.width),
        step: size(windows.stride),
        top: first,
        left: first,
        taps_down: size(windows.kernel[0]),
        taps_right: size(windows.kernel[1]),
        channels: size(x.at.cols().next_multiple_of(4)),
        sign: 1,
        zoom: size(windows.zoom),
        turn_down: size(windows.kernel[0]),
        turn_right: size(windows.kernel[1]),
        ..Convolution::default()
    }
}

/// What one phase of places along a side has: its first place, how many there are, the first tap that reaches them, how
/// many do, where in dy the first of these lies for the first place, and how often the place is repeated.
#[derive(Clone, Copy)]
struct Phase {
    first: usize,
    places: usize,
    tap: usize,
    taps: usize,
    from: usize,
    repeated: usize,
}

/// The phases along a side: place y is reached by tap t from (y + padding − t) / stride, where that is whole. A repeated
/// place has the taps of each of its copies.
fn phases(extent: usize, taps: usize, windows: Windows) -> impl Iterator<Item = Phase> {
    let Windows { stride, padding, zoom, .. } = windows;
    (0..stride.min(extent)).map(move |first| {
        let tap = (first + padding) % stride;
        Phase {
            first,
            places: (extent - first).div_ceil(stride),
            tap,
            taps: taps.saturating_sub(tap).div_ceil(stride),
            from: (first + padding - tap) / stride,
            repeated: zoom,
        }
    })
}

fn backward_to_input(tape: &mut Tape<'_>, x: Map, w: Tensor, dy: Map, windows: Windows) {
    let made_by = applied(tape, x.at);
    let site = if made_by == Activation::Identity { GradSite::Output } else { GradSite::Input };
    let dx = tape.grad_out(x.at, site);
    for (p, grid) in by_phase(x, w, dy, windows) {
        let p = Convolution { activation: made_by.code(), accumulate: dx.accumulate(), ..p };
        tape.dispatch(&CONVOLVE_BACKWARD_X, p, [dy.at, x.at, w, dx.at], grid);
    }
}

/// What makes a map of what reaches its places from another, on which its windows lie: a dispatch for each phase.
pub(super) fn by_phase(
    made: Map,
    w: Tensor,
    from: Map,
    windows: Windows,
) -> Vec<(Convolution, Grid)> {
    let down = phases(made.height, windows.kernel[0], windows);
    let pairs = down.flat_map(|down| {
        phases(made.width, windows.kernel[1], windows).map(move |right| [down, right])
    });
    pairs.map(|phase| of_phase(made, w, from, (windows, phase))).collect()
}

fn of_phase(
    made: Map,
    w: Tensor,
    from: Map,
    (windows, [down, right]): (Windows, [Phase; 2]),
) -> (Convolution, Grid) {
    let channels = from.at.cols().next_multiple_of(4);
    let places = made.images() * down.places * right.places;
    // The first phase has the padding's rows too.
    let is_first = down.first == 0 && right.first == 0;
    let padding = if is_first { made.at.padded_rows() - made.at.rows() } else { 0 };
    let rows = (places + padding).next_multiple_of(PAD);
    let terms = down.repeated * down.taps * right.repeated * right.taps * channels;
    let p = Convolution {
        rows: size(rows),
        cols: size(made.at.stride()),
        depth: size(terms.next_multiple_of(PAD).max(PAD)),
        a_stride: size(from.at.stride()),
        b_stride: size(w.stride()),
        c_stride: size(made.at.stride()),
        inside: size(made.at.cols()),
        images: size(made.images()),
        height: size(from.height),
        width: size(from.width),
        down: size(down.places),
        right: size(right.places),
        step: size(windows.zoom),
        top: OFFSET + size(down.from),
        left: OFFSET + size(right.from),
        // With no tap at all there is still a division by them.
        taps_down: if right.taps == 0 { 0 } else { size(down.repeated * down.taps) },
        taps_right: size(right.repeated * right.taps.max(1)),
        channels: size(channels),
        sign: u32::MAX,
        zoom: 1,
        turn_down: size(down.taps.max(1)),
        turn_right: size(right.taps.max(1)),
        made_rows: size(made.at.rows()),
        made_end: size(made.at.rows() + padding),
        made_height: size(made.height),
        made_width: size(made.width),
        phase: size(windows.stride),
        phase_top: size(down.first),
        phase_left: size(right.first),
        tap_top: size(down.tap),
        tap_left: size(right.tap),
        kernel_right: size(windows.kernel[1]),
        tap_channels: size(made.at.cols().next_multiple_of(4)),
        ..Convolution::default()
    };
    (p, Grid::Matrix(rows, made.at.stride()))
}

/// The gradients of the weight and the bias, a dispatch for each block of rows.
fn backward_to_weight(
    tape: &mut Tape<'_>,
    x: Tensor,
    Affine { w, b }: Affine,
    dy: Tensor,
    windows: Convolution,
) {
    let grid = Grid::Matrix(w.padded_rows(), w.stride());
    for first in (0..dy.padded_rows()).step_by(BLOCK) {
        let rows = BLOCK.min(dy.padded_rows() - first);
        let [dw, db] = [w, b].map(|of| tape.grad_out(of, GradSite::Output));
        let p = Convolution {
            rows: size(w.padded_rows()),
            cols: size(w.stride()),
            depth: size(rows),
            a_stride: size(dy.stride()),
            b_stride: size(x.stride()),
            c_stride: size(w.stride()),
            inside: size(w.cols()),
            accumulate: dw.accumulate(),
            first: size(first),
            ..windows
        };
        let dy = dy.block(first..first + rows);
        tape.dispatch(&CONVOLVE_BACKWARD_W, p, [dy, x, dw.at, db.at], grid);
    }
}
