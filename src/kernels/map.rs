//! Between the rows of images, whose columns are all their numbers, and maps, whose rows are places.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, GradSite, Grid, Kernel, Real, Record, Rows, Schedule, Tape, Tensor,
    uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, wgsl};
use crate::kernels::matmul::convolution::Map;

params! {
    /// Parameters of the kernels between rows and maps.
    pub struct Reshape {
        /// Elements of what is written, with the padding.
        len: u32,
        /// How many images there are.
        images: u32,
        /// Lines of an image.
        height: u32,
        /// Places of a line.
        width: u32,
        /// Columns of the map.
        channels: u32,
        /// Columns of the map that are a block.
        each: u32,
        /// The distance between rows of images.
        stride: u32,
        /// The distance between rows of the map.
        map_stride: u32,
        /// Whether the result is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("map.wgsl"), Cover::Items(64))];

/// map (images · places, channels) of the rows of images (images, places · channels), in which all places of one block of
/// channels come before those of the next.
pub static OF_ROWS: Kernel<Reshape, 2> = Kernel {
    name: "map.of_rows",
    entry: "of_rows",
    bindings: [Binding::read("rows"), Binding::write("map")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (of_rows, of_rows),
    cpu: Cpu::Rows(|p| by_images(p, |rows, map| [rows, map])),
    turns: |_| 0,
    flops: uncounted,
};

/// The rows of images of a map.
pub static TO_ROWS: Kernel<Reshape, 2> = Kernel {
    name: "map.to_rows",
    entry: "to_rows",
    bindings: [Binding::read("from_map"), Binding::write("to")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (to_rows, to_rows),
    cpu: Cpu::Rows(|p| by_images(p, |rows, map| [map, rows])),
    turns: |_| 0,
    flops: uncounted,
};

/// Images whose part of the rows and of the map have so many elements; what is past the last one is the padding's.
fn by_images(p: &Reshape, elements: fn(usize, usize) -> [usize; 2]) -> Rows<Reshape, 2> {
    let of_map = (p.height * p.width * p.map_stride) as usize;
    let elements = elements(p.stride as usize, of_map);
    let images = (p.len as usize).div_ceil(elements[1]);
    // The references go by the length of what they write.
    let part = |p: &Reshape, images: Range<usize>| Reshape {
        images: p.images.saturating_sub(images.start as u32).min(images.len() as u32),
        ..*p
    };
    Rows { images, elements, part }
}

impl Reshape {
    fn places(&self) -> usize {
        (self.height * self.width) as usize
    }

    /// Where each block's channels of each place begin: in the map of an image, and in its row.
    fn blocks(&self) -> impl Iterator<Item = [usize; 2]> {
        let (each, stride, places) = (self.each as usize, self.map_stride as usize, self.places());
        let blocks = self.channels as usize / each;
        (0..blocks).flat_map(move |block| {
            (0..places)
                .map(move |place| [place * stride + block * each, (block * places + place) * each])
        })
    }
}

fn of_rows<T: Real>(p: &Reshape, _: &Record, [rows, map]: [Arg<'_, T>; 2]) {
    let (rows, map, each) = (rows.read(), map.write(), p.each as usize);
    if p.accumulate == 0 {
        map.fill(T::zero());
    }
    let maps = map.chunks_mut(p.places() * p.map_stride as usize);
    for (map, row) in maps.zip(rows.chunks(p.stride as usize)).take(p.images as usize) {
        for [at, from] in p.blocks() {
            add(&mut map[at..][..each], &row[from..][..each]);
        }
    }
}

fn to_rows<T: Real>(p: &Reshape, _: &Record, [map, to]: [Arg<'_, T>; 2]) {
    let (map, to, each) = (map.read(), to.write(), p.each as usize);
    if p.accumulate == 0 {
        to.fill(T::zero());
    }
    let maps = map.chunks(p.places() * p.map_stride as usize);
    for (row, map) in to.chunks_mut(p.stride as usize).zip(maps).take(p.images as usize) {
        for [from, at] in p.blocks() {
            add(&mut row[at..][..each], &map[from..][..each]);
        }
    }
}

fn add<T: Real>(to: &mut [T], from: &[T]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
}

/// The parameters of either way.
fn reshape(rows: Tensor, map: Map, blocks: usize) -> Reshape {
    let (places, channels) = (map.height * map.width, map.at.cols());
    assert_eq!(rows.cols(), places * channels, "map: {rows:?} are not the numbers of {map:?}");
    assert_eq!(map.at.rows(), rows.rows() * places, "map: {rows:?} are not the images of {map:?}");
    assert!(channels.is_multiple_of(blocks), "map: {channels} channels are no {blocks} blocks");
    Reshape {
        len: 0,
        images: size(rows.rows()),
        height: size(map.height),
        width: size(map.width),
        channels: size(channels),
        each: size(channels / blocks),
        stride: size(rows.stride()),
        map_stride: size(map.at.stride()),
        accumulate: 0,
    }
}

fn make_map(tape: &mut Tape<'_>, p: Reshape, [rows, map]: [Tensor; 2]) {
    let p = Reshape { len: size(map.words()), ..p };
    tape.dispatch(&OF_ROWS, p, [rows, map], Grid::Flat(map.words()));
}

fn make_rows(tape: &mut Tape<'_>, p: Reshape, [map, rows]: [Tensor; 2]) {
    let p = Reshape { len: size(rows.words()), ..p };
    tape.dispatch(&TO_ROWS, p, [map, rows], Grid::Flat(rows.words()));
}

/// Records the map of images whose rows x (images, height · width · channels) are line by line, place by place, channel by
/// channel, and the gradient of x if that is `wanted`.
///
/// # Panics
///
/// If x's columns are no whole number of channels for each place.
pub fn of_images(
    tape: &mut Tape<'_>,
    name: &str,
    (x, wanted): (Tensor, bool),
    [height, width]: [usize; 2],
) -> Map {
    let (places, numbers) = (height * width, x.cols());
    assert!(numbers.is_multiple_of(places), "map `{name}`: {numbers} numbers for {places} places");
    let at = tape.plan.matrix(name, x.rows() * places, numbers / places);
    let map = Map { at, height, width };
    let p = reshape(x, map, 1);
    make_map(tape, p, [x, at]);
    tape.on_backward(if wanted { std::slice::from_ref(&x) } else { &[] }, move |tape| {
        if !wanted {
            return;
        }
        let dmap = tape.grad(at, GradSite::Output).expect("something used the map");
        let dx = tape.grad_out(x, GradSite::Output);
        make_rows(tape, Reshape { accumulate: dx.accumulate(), ..p }, [dmap, dx.at]);
    });
    map
}

/// Records the rows y (images, height · width · channels) of a map, in which all places of one of so many blocks of channels
/// come before those of the next, and the map's gradient.
///
/// # Panics
///
/// If the channels are no whole number for each block.
pub fn to_images(tape: &mut Tape<'_>, name: &str, map: Map, blocks: usize) -> Tensor {
    let y = tape.plan.matrix(name, map.images(), map.height * map.width * map.at.cols());
    let p = reshape(y, map, blocks);
    make_rows(tape, p, [map.at, y]);
    tape.on_backward(&[map.at], move |tape| {
        let dy = tape.grad(y, GradSite::Output).expect("something used the rows");
        let dmap = tape.grad_out(map.at, GradSite::Output);
        make_map(tape, Reshape { accumulate: dmap.accumulate(), ..p }, [dy, dmap.at]);
    });
    y
}

/// Channels of one to seventeen, blocks, images of one place, rows and maps with and without padding, two users of each, and
/// more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let sizes = [
        (1, [1, 1], 1, 1),
        (5, [3, 2], 1, 1),
        (3, [4, 4], 3, 1),
        (17, [2, 3], 5, 1),
        (2, [3, 3], 16, 2),
        (16, [1, 5], 17, 1),
        (5, [3, 2], 6, 3),
        (7, [2, 2], 17, 17),
        (64, [28, 28], 32, 1),
        (4, [300, 250], 1, 1),
    ];
    sizes.into_iter().map(case).collect()
}

/// Rows to a map, of which two make rows again.
fn case((images, [height, width], channels, blocks): (usize, [usize; 2], usize, usize)) -> Case {
    let name = format!("map {images}·{height}×{width}×{channels} in {blocks} blocks");
    let mut case = Case::new(name, images);
    let places = height * width;
    let x = case.input("x", [images, places * channels], Fill::Uniform(1, -2.0, 2.0));
    let at = case.input("map", [images * places, channels], Fill::Uniform(2, -2.0, 2.0));
    let of_map = [0; 2].map(|_| case.weight([images * places, channels]));
    let of_rows = [0; 2].map(|_| case.weight([images, places * channels]));
    let (made, gradients) = case.record(|tape| {
        let maps = [0; 2].map(|_| of_images(tape, "made", (x, true), [height, width]).at);
        let rows = [0; 2].map(|_| to_images(tape, "rows", Map { at, height, width }, blocks));
        let made = [maps, rows].concat();
        for (&made, weight) in made.iter().zip([of_map, of_rows].concat()) {
            tape.set_grad(made, weight);
        }
        tape.backward();
        let gradient =
            |of| (of, tape.grad(of, GradSite::Output).expect("two rules wrote its gradient"));
        (made, [x, at].map(gradient))
    });
    let weights = [of_map, of_rows].concat().into_iter().map(Weight::Of);
    case.outputs.extend(made.into_iter().zip(weights));
    case.gradients.extend(gradients);
    case
}
