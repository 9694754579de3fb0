//! The classes of the minibatch's images, and their one-hot vectors behind the columns of a matrix.

use std::ops::Range;

use crate::engine::kernel::params;
use crate::engine::tensor::size;
use crate::engine::{
    Arg, Binding, Cover, Cpu, Dtype, Fusion, GradSite, Grid, Kernel, Real, Record, Rows, Schedule,
    Tape, Tensor, uncounted,
};
use crate::kernels::case::{Case, Fill, Weight};
use crate::kernels::common::{plain, wgsl};
use crate::kernels::gather::Shard;

params! {
    /// Parameters of the label kernels.
    pub struct Label {
        /// Elements of what is written, with the padding.
        len: u32,
        /// Columns of a, n.
        cols: u32,
        /// The distance between rows of a and of da.
        stride: u32,
        /// The distance between rows of y and of dy.
        y_stride: u32,
        /// How many classes there are.
        classes: u32,
        /// Rows of a for each image.
        samples: u32,
        /// The shard's first image.
        shard_first: u32,
        /// Images in the shard.
        shard_rows: u32,
        /// Whether da is added to what is there.
        accumulate: u32,
    }
}

const SCHEDULES: &[Schedule] = &[plain(wgsl!("label.wgsl"), Cover::Items(64))];

/// gathered (batch) = the class of each `image` (batch) that lies in the shard, whose `classes`
/// (shard rows) are given. Rows of other shards are left, those that the record does not fill
/// become 0.
pub static GATHER: Kernel<Label, 3> = Kernel {
    name: "label.gather",
    entry: "gather",
    bindings: [
        Binding::read_words("classes"),
        Binding::read_words("image"),
        Binding::write_words("gathered"),
    ],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (take, take),
    cpu: Cpu::Rows(label_rows),
    turns: |_| 0,
    flops: uncounted,
};

/// y (images · samples, n + classes) = [a | one-hot(label)] for a (images · samples, n) and label
/// (images); a class that there is not has no column. All is zero in rows that the record does
/// not fill.
pub static APPEND: Kernel<Label, 3> = Kernel {
    name: "label.append",
    entry: "append",
    bindings: [Binding::read("a"), Binding::read_words("label"), Binding::write("y")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (put, put),
    cpu: Cpu::Rows(|p| rows(p, p.y_stride, |a, y| [a, 1, y])),
    turns: |_| 0,
    flops: uncounted,
};

/// da (images · samples, n) = the first n columns of dy (images · samples, n + classes).
pub static BACKWARD: Kernel<Label, 2> = Kernel {
    name: "label.backward",
    entry: "backward",
    bindings: [Binding::read("dy"), Binding::write("da")],
    overrides: &[],
    schedules: SCHEDULES,
    reference: (backward, backward),
    cpu: Cpu::Rows(|p| rows(p, p.stride, |a, y| [y, a])),
    turns: |_| 0,
    flops: uncounted,
};

fn label_rows(p: &Label) -> Rows<Label, 3> {
    let part = |p: &Label, rows: Range<usize>| Label { len: rows.len() as u32, ..*p };
    Rows { images: p.len as usize, elements: [0, 1, 1], part }
}

/// Images whose rows of a and of y have so many elements together; what is written has rows of `stride`.
fn rows<const N: usize>(
    p: &Label,
    stride: u32,
    elements: fn(usize, usize) -> [usize; N],
) -> Rows<Label, N> {
    let of_an_image = |stride: u32| (p.samples * stride) as usize;
    let images = p.len.div_ceil(p.samples * stride) as usize;
    let elements = elements(of_an_image(p.stride), of_an_image(p.y_stride));
    // The references go by the length of what they write.
    Rows { images, elements, part: |p, _| *p }
}

fn take<T: Real>(p: &Label, record: &Record, [classes, image, label]: [Arg<'_, T>; 3]) {
    let (classes, image) = (classes.words(), image.words());
    for (row, label) in label.words_mut()[..p.len as usize].iter_mut().enumerate() {
        if row >= record.rows as usize {
            *label = 0;
        } else if let Some(at) = record
            .row_of(image[row], row as u32)
            .checked_sub(p.shard_first)
            .filter(|&at| at < p.shard_rows)
        {
            *label = classes[at as usize];
        }
    }
}

fn put<T: Real>(p: &Label, record: &Record, [a, label, y]: [Arg<'_, T>; 3]) {
    let (a, label) = (a.read(), label.words());
    let (cols, samples) = (p.cols as usize, p.samples as usize);
    for (row, y) in y.write().chunks_mut(p.y_stride as usize).enumerate() {
        y.fill(T::zero());
        if row >= record.rows as usize * samples {
            continue;
        }
        y[..cols].copy_from_slice(&a[row * p.stride as usize..][..cols]);
        let class = label[row / samples];
        if class < p.classes {
            y[cols + class as usize] = T::one();
        }
    }
}

fn backward<T: Real>(p: &Label, record: &Record, [dy, da]: [Arg<'_, T>; 2]) {
    let dy = dy.read();
    let filled = (record.rows * p.samples) as usize;
    for (row, da) in da.write().chunks_mut(p.stride as usize).enumerate() {
        for (col, da) in da.iter_mut().enumerate() {
            let before = if p.accumulate != 0 { *da } else { T::zero() };
            let inside = row < filled && col < p.cols as usize;
            let more = if inside { dy[row * p.y_stride as usize + col] } else { T::zero() };
            *da = before + more;
        }
    }
}

/// Records label (batch) = the class of each image (batch) of a dataset in shards that have classes.
///
/// # Panics
///
/// If a shard has none.
pub fn gather_labels(tape: &mut Tape<'_>, shards: &[Shard], image: Tensor, label: Tensor) {
    for shard in shards {
        let classes = shard.labels.expect("a model with classes makes room for them");
        let p = Label {
            len: size(label.words()),
            shard_first: size(shard.first),
            shard_rows: size(shard.rows),
            ..Label::default()
        };
        tape.dispatch(&GATHER, p, [classes, image, label], Grid::Flat(label.words()));
    }
}

/// That a tensor is another with classes behind its columns.
#[derive(Clone, Copy, Debug)]
struct Appended {
    to: Tensor,
}

/// That the gradient of what classes were appended to was made without them.
#[derive(Clone, Copy, Debug)]
struct Cut;

/// What classes were appended to, if whoever asks is the only one to make the gradient at y: then it makes
/// that at a at once, from fewer columns, and the rule of the appending rests.
pub(super) fn without_classes(tape: &mut Tape<'_>, y: Tensor) -> Option<Tensor> {
    let one = tape.fusion() == Fusion::All && tape.users(y) == 1;
    let Appended { to } = tape.noted(y).filter(|_| one)?;
    tape.note(y, Cut);
    Some(to)
}

/// Records y (rows, n + classes) = [a | one-hot(label)] for a (rows, n), as `torch.cat([a, y], 1)`,
/// and the gradient of a. A label (batch) serves rows / batch rows that follow one another. A class that
/// there is not has no column, which its row shows by zeros.
///
/// `wants_da` is false where a is data.
///
/// # Panics
///
/// If a's rows are no whole number for each label.
pub fn append(
    tape: &mut Tape<'_>,
    (a, wants_da): (Tensor, bool),
    label: Tensor,
    classes: usize,
) -> Tensor {
    let (rows, batch) = (a.rows(), label.cols());
    assert!(rows.is_multiple_of(batch), "append: {rows} rows for {batch} labels");
    let name = format!("{} with its class", tape.plan.name(a));
    let y = tape.plan.matrix(&name, rows, a.cols() + classes);
    let p = Label {
        len: size(y.words()),
        cols: size(a.cols()),
        stride: size(a.stride()),
        y_stride: size(y.stride()),
        classes: size(classes),
        samples: size(rows / batch),
        ..Label::default()
    };
    tape.dispatch(&APPEND, p, [a, label, y], Grid::Flat(y.words()));
    if wants_da {
        tape.note(y, Appended { to: a });
        tape.on_backward(&[a], move |tape| {
            if tape.noted::<Cut>(y).is_some() {
                return;
            }
            let dy = tape.grad(y, GradSite::Output).expect("something used what was appended to");
            let da = tape.grad_out(a, GradSite::Output);
            let p = Label { len: size(a.words()), accumulate: da.accumulate(), ..p };
            tape.dispatch(&BACKWARD, p, [dy, da.at], Grid::Flat(a.words()));
        });
    }
    y
}

/// Classes of one and two shards and of a window, partial batches; matrices of one column, ragged, with
/// padding that the classes fill or overflow, several rows a label, two users, a class that there is
/// not, and more than 65,535 workgroups.
pub(crate) fn cases() -> Vec<Case> {
    let gathers = [
        (1, 1, 1, None),
        (7, 10, 7, None),
        (16, 40, 13, None),
        (128, 300, 128, None),
        (4_200_000, 9, 4_199_999, None),
        (16, 40, 13, Some(12)),
    ];
    let appends = [
        (1, 1, 1, 2, 1),
        (5, 13, 5, 3, 4),
        (7, 15, 1, 2, 5),
        (17, 37, 3, 10, 11),
        (128, 784, 1, 10, 128),
        (40, 20, 5, 256, 39),
        (262_200, 3, 1, 10, 262_199),
    ];
    let mut cases: Vec<_> = gathers.into_iter().map(gather_case).collect();
    cases.extend(appends.into_iter().map(append_case));
    cases
}

fn gather_case((rows, images, record_rows, window): (usize, usize, usize, Option<u32>)) -> Case {
    let name = format!("label.gather {record_rows}/{rows} of {images}, {window:?}");
    let mut case = Case::new(name, record_rows);
    case.record.window = window;
    // A window is of more images than it holds.
    let all = window.map_or(images, |_| 9 * images);
    let chosen = (0..rows).map(|row| (row * 7 % all) as u32).collect();
    let image = case.input_line("image", rows, Dtype::U32, Fill::Words(chosen));
    let half = images.div_ceil(2);
    let mut shards = Vec::new();
    for (first, rows) in [(0, half), (half, images - half)].into_iter().filter(|(_, n)| *n > 0) {
        let fill = Fill::RandomWords(3 + first as u32);
        let labels = Some(case.input_line("classes", rows, Dtype::U32, fill));
        shards.push(Shard { data: image, labels, first, rows });
    }
    let label = case.plan.words("label", rows);
    case.record(|tape| gather_labels(tape, &shards, image, label));
    case
}

fn append_case(
    (batch, cols, samples, classes, record_rows): (usize, usize, usize, usize, usize),
) -> Case {
    let rows = batch * samples;
    let name = format!("label.append {record_rows}/{batch}·{samples}×{cols} + {classes}");
    let mut case = Case::new(name, record_rows);
    let a = case.input("a", [rows, cols], Fill::Uniform(1, -2.0, 2.0));
    // The last class is one too many.
    let words = (0..batch).map(|image| (image * 5 % (classes + 1)) as u32).collect();
    let label = case.input_line("label", batch, Dtype::U32, Fill::Words(words));
    let weights = [0; 2].map(|_| case.weight([rows, cols + classes]));
    let (ys, da) = case.record(|tape| {
        let ys = [0; 2].map(|_| append(tape, (a, true), label, classes));
        for (y, weight) in ys.into_iter().zip(weights) {
            tape.set_grad(y, weight);
        }
        tape.backward();
        (ys, tape.grad(a, GradSite::Output).expect("two rules wrote it"))
    });
    case.outputs.extend(ys.into_iter().zip(weights.map(Weight::Of)));
    case.gradients.push((a, da));
    case
}
