//! Changes of images beside loops that are written as one says them, and what is drawn beside its distribution.

use std::collections::BTreeSet;

use elbo::config::ImageSize;
use elbo::cpu::Session;
use elbo::engine::{Dtype, Real};
use elbo::kernels::augment::{Changes, Kept, augment};
use elbo::kernels::case::{Case, Fill};

/// Images, how they change, and the number of the first.
struct Given {
    how: Changes,
    count: usize,
    values: Vec<f64>,
}

impl Given {
    /// Images of a size whose numbers are all different, in [0, 1] and on 256 levels.
    fn new(extents: [usize; 3], count: usize) -> Self {
        let size = ImageSize::from(extents);
        let how =
            Changes { size, flip: false, shift: 0, jitter: 0.0, kept: Kept::Unit, coins: false };
        let level = |i: usize| f64::from((i * 97 % 256) as f32 / 255.0);
        Self { how, count, values: (0..count * size.len()).map(level).collect() }
    }

    /// What becomes of them in f64 or f32 in step 3 of the training, image by image.
    fn changed<T: Real>(&self, first: u32) -> Vec<Vec<f64>> {
        let (count, len) = (self.count, self.how.size.len());
        let mut case = Case::new("augment".to_owned(), count);
        let numbers = (first..first + count as u32).collect();
        let image = case.input_line("image", count, Dtype::U32, Fill::Words(numbers));
        let bits = self.values.iter().map(|&v| (v as f32).to_bits()).collect();
        let images = case.input("images", [count, len], Fill::Words(bits));
        let x = case.plan.matrix("x", count, len);
        case.record(|tape| augment(tape, (image, images), x, self.how));
        let mut session = Session::<T>::new(&case.plan, None, 1).expect("enough memory");
        for (tensor, fill) in &case.inputs {
            session.write_bits(*tensor, 0, &fill.bits(*tensor));
        }
        let program = session.load(&case.program);
        session.run(program, &[case.record]);
        let widen = |image: &[T]| image.iter().map(|v| v.widen()).collect();
        session.read(x).chunks(len).map(widen).collect()
    }

    /// A number of an image; what lies beyond an edge is the pixel at the edge.
    fn at(&self, image: usize, [line, place]: [isize; 2], channel: usize) -> f64 {
        let ImageSize { height, width, channels } = self.how.size;
        let line = line.clamp(0, height as isize - 1) as usize;
        let place = place.clamp(0, width as isize - 1) as usize;
        self.values[((image * height + line) * width + place) * channels + channel]
    }

    /// An image that is shifted down and to the right, mirrored if so.
    fn moved(&self, image: usize, [down, right]: [isize; 2], mirrored: bool) -> Vec<f64> {
        let ImageSize { height, width, channels } = self.how.size;
        let mut made = Vec::new();
        for line in 0..height as isize {
            for place in 0..width as isize {
                for channel in 0..channels {
                    let place = (place - right).clamp(0, width as isize - 1);
                    let place = if mirrored { width as isize - 1 - place } else { place };
                    made.push(self.at(image, [line - down, place], channel));
                }
            }
        }
        made
    }
}

/// Which shifts and mirrors make an image of another; only one, of images without equal numbers.
fn which(given: &Given, image: usize, found: &[f64], most: isize) -> (isize, isize, bool) {
    let apart = |made: &[f64]| made.iter().zip(found).any(|(a, b)| (a - b).abs() > 1e-9);
    let mut fits = Vec::new();
    for down in -most..=most {
        for right in -most..=most {
            for mirrored in [false, true] {
                if !apart(&given.moved(image, [down, right], mirrored)) {
                    fits.push((down, right, mirrored));
                }
            }
        }
    }
    assert_eq!(fits.len(), 1, "image {image} is {found:?}");
    fits[0]
}

#[test]
fn images_are_moved_as_it_is_said() {
    for (extents, flip, shift) in
        [([3, 5, 1], true, 2), ([5, 4, 3], true, 2), ([4, 7, 2], false, 3), ([2, 3, 4], true, 0)]
    {
        let mut given = Given::new(extents, 60);
        (given.how.flip, given.how.shift) = (flip, shift);
        let mut seen = BTreeSet::new();
        for (image, found) in given.changed::<f64>(11).iter().enumerate() {
            seen.insert(which(&given, image, found, shift as isize));
        }
        let all = (2 * shift + 1).pow(2) * (1 + usize::from(flip));
        assert!(seen.len() > all.min(60) / 2, "{extents:?}: {seen:?}");
        assert!(flip || seen.iter().all(|&(.., mirrored)| !mirrored), "{seen:?}");
    }
}

/// Bounds are five standard errors, and of χ² the value that one in 10⁶ exceeds.
#[test]
fn every_shift_is_as_likely_and_half_of_the_images_are_mirrored() {
    let mut given = Given::new([7, 7, 1], 5000);
    // The same image each time, whose numbers differ.
    let one = given.values[..49].to_vec();
    given.values = one.iter().copied().cycle().take(49 * 5000).collect();
    (given.how.flip, given.how.shift) = (true, 2);
    let (mut mirrored, mut counts) = (0, [[0_u32; 5]; 5]);
    for found in given.changed::<f64>(0) {
        let (down, right, turned) = which(&given, 0, &found, 2);
        mirrored += usize::from(turned);
        counts[(down + 2) as usize][(right + 2) as usize] += 1;
    }
    assert!((mirrored as f64 - 2500.0).abs() < 177.0, "{mirrored} of 5000 are mirrored");
    let chi = counts.iter().flatten().map(|&n| (f64::from(n) - 200.0).powi(2) / 200.0).sum::<f64>();
    assert!(chi < 73.0, "χ² with 24 degrees of freedom is {chi}: {counts:?}");
}

/// a and b of each image and channel, from two numbers that differ.
fn drawn(given: &Given, image: usize, found: &[f64], channel: usize) -> [f64; 2] {
    let channels = given.how.size.channels;
    let numbers = &given.values[image * found.len()..][..found.len()];
    let [first, second] = [channel, channel + channels].map(|at| (numbers[at], found[at]));
    let a = (second.1 - first.1) / (second.0 - first.0);
    [a, first.1 - a * first.0]
}

#[test]
fn contrast_and_brightness_are_of_an_image_and_a_channel() {
    let mut given = Given::new([3, 5, 3], 4000);
    (given.how.jitter, given.how.kept) = (0.25, Kept::Free);
    let found = given.changed::<f64>(5);
    let (mut slopes, mut offsets) = (Vec::new(), Vec::new());
    for (image, found) in found.iter().enumerate() {
        for channel in 0..3 {
            let [a, b] = drawn(&given, image, found, channel);
            for (at, &x) in found.iter().enumerate().filter(|(at, _)| at % 3 == channel) {
                let v = given.values[image * found.len() + at];
                assert!((x - (a * v + b)).abs() < 1e-12, "image {image}, {at}: {x} of {v}");
            }
            slopes.push(a - 1.0);
            offsets.push(b);
        }
    }
    for (of, drawn) in [("a − 1", &slopes), ("b", &offsets)] {
        let count = drawn.len() as f64;
        let largest = drawn.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        let mean = drawn.iter().sum::<f64>() / count;
        let variance = drawn.iter().map(|v| v * v).sum::<f64>() / count;
        // Of a uniform number from −j to j: j² / 3, with a deviation of 2 j² / √45 over √n.
        assert!(largest <= 0.25 + 1e-12 && largest > 0.249, "{of} reaches {largest}");
        assert!(mean.abs() < 0.0066, "the mean of {of} is {mean}");
        assert!((variance - 0.0625 / 3.0).abs() < 0.000_85, "the variance of {of} is {variance}");
    }
    let both = slopes.iter().zip(&offsets).map(|(a, b)| a * b).sum::<f64>() / slopes.len() as f64;
    let next = slopes.windows(2).map(|a| a[0] * a[1]).sum::<f64>() / slopes.len() as f64;
    assert!(
        both.abs() < 0.000_95 && next.abs() < 0.000_95,
        "draws know one another: {both}, {next}"
    );
}

#[test]
fn numbers_stay_where_the_likelihood_needs_them() {
    let mut given = Given::new([3, 5, 2], 200);
    given.how.jitter = 0.7;
    let (mut free, mut unit, mut levels) =
        (given, Given::new([3, 5, 2], 200), Given::new([3, 5, 2], 200));
    free.how.kept = Kept::Free;
    (unit.how.jitter, levels.how.jitter) = (0.7, 0.7);
    levels.how.kept = Kept::Levels(256);
    let [free, unit, of_levels] =
        [&free, &unit, &levels].map(|given| given.changed::<f64>(0).concat());
    assert!(free.iter().any(|&v| v < 0.0) && free.iter().any(|&v| v > 1.0), "some leave [0, 1]");
    for ((free, unit), level) in free.iter().zip(&unit).zip(&of_levels) {
        assert!((free.clamp(0.0, 1.0) - unit).abs() < 1e-12, "{free} is {unit}");
        let nearest = (unit * 255.0).round() / 255.0;
        let tie = (unit * 255.0).fract();
        assert!((nearest - level).abs() < 1e-12 || (tie - 0.5).abs() < 1e-4, "{unit} is {level}");
    }
    let narrow = levels.changed::<f32>(0).concat();
    let apart = narrow.iter().zip(&of_levels).any(|(a, b)| (a - b).abs() > 1e-6);
    assert!(!apart, "f32 comes to the levels of f64");
}

#[test]
fn coins_are_tossed_of_what_was_moved() {
    let mut given = Given::new([7, 7, 1], 3000);
    // Black on the left and grey on the right.
    given.values = (0..given.values.len()).map(|i| if i % 7 < 3 { 0.0 } else { 0.25 }).collect();
    (given.how.flip, given.how.coins) = (true, true);
    let found = given.changed::<f64>(0);
    assert!(found.iter().flatten().all(|&v| v == 0.0 || v == 1.0), "coins");
    let white = found.iter().flatten().filter(|&&v| v == 1.0).count() as f64;
    // 28 numbers of an image; five standard errors.
    assert!((white / 84_000.0 - 0.25).abs() < 0.0075, "{white} of 84000 are white");
    for image in &found {
        let side = |right: bool| {
            let of = |i: &usize| if right { i % 7 >= 4 } else { i % 7 < 3 };
            (0..49).filter(of).any(|i| image[i] == 1.0)
        };
        assert!(!(side(true) && side(false)), "an image is black on one side: {image:?}");
    }
}
