//! Every kernel's gradient equals central differences, in f64; needs no GPU.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use std::collections::BTreeSet;

use elbo::cpu::{ProgramId, Session};
use elbo::engine::Tensor;
use elbo::kernels::case::{Case, Weight};
use elbo::kernels::{ALL, cases};

/// How far an entry is moved either way.
const STEP: f64 = 1e-5;
/// The largest difference, as a share of the tensor's largest gradient.
const TOLERANCE: f64 = 1e-6;
/// Entries of a tensor that are moved; of a smaller one, all.
const ENTRIES: usize = 24;
/// Cases with more floating-point operations, or more elements in all buffers, are too slow to be
/// run hundreds of times; smaller ones of the same kernels must be left.
const MOST_FLOPS: u64 = 10_000_000;
const MOST_ELEMENTS: u64 = 500_000;

/// Kernels that no gradient passes through: they draw, load, weigh, add up, guard or update.
const WITHOUT: &[&str] = &[
    "random.normals",
    "random.words",
    "gather.bytes",
    "gather.floats",
    "augment.change",
    "corrupt.pixels",
    "counts.seen",
    "importance.weigh",
    "likelihood.sum_adam",
    "likelihood.sum_adam_squares",
    "norm.report",
    "normalise.squares",
    "normalise.divide",
    "label.gather",
    "reduce.terms",
    "finite.check",
    "optimizer.adam",
    "optimizer.adamax",
    "optimizer.rmsprop",
    "optimizer.adagrad",
    "optimizer.sgd",
    "optimizer.square_sums",
    "optimizer.clip",
    "average.update",
    "probe.multiply_add",
    "probe.multiply_add_f16",
    "probe.multiply_add_i32",
    "probe.copy",
    "probe.touch",
];

/// A case in the oracle, run as often as wanted.
struct Oracle<'a> {
    case: &'a Case,
    session: Session<f64>,
    program: ProgramId,
    weights: Vec<Option<Vec<f64>>>,
}

/// What was compared.
#[derive(Default)]
struct Count {
    entries: usize,
    kinks: usize,
    worst: f64,
}

impl<'a> Oracle<'a> {
    fn new(case: &'a Case) -> Self {
        let mut session = Session::<f64>::new(&case.plan, None, 1)
            .expect("a case is small enough for the memory and one thread can be had");
        for (tensor, fill) in &case.inputs {
            session.write_bits(*tensor, 0, &fill.bits(*tensor));
        }
        let program = session.load(&case.program);
        let weight = |&(_, weight): &(Tensor, Weight)| match weight {
            Weight::Of(tensor) => Some(session.read(tensor)),
            Weight::Same(_) => None,
        };
        let weights = case.outputs.iter().map(weight).collect();
        Self { case, session, program, weights }
    }

    /// Runs forward and backward, and reads the outputs.
    fn run(&mut self) -> Vec<Vec<f64>> {
        self.session.run(self.program, &[self.case.record]);
        self.case.outputs.iter().map(|&(output, _)| self.session.read(output)).collect()
    }

    fn outputs_at(
        &mut self,
        tensor: Tensor,
        values: &mut [f64],
        (at, by): (usize, f64),
    ) -> Vec<Vec<f64>> {
        let before = values[at];
        values[at] += by;
        self.session.write(tensor, values);
        values[at] = before;
        self.run()
    }

    /// Σ weight · (to − from): each output's difference comes first, so that what has not changed
    /// cancels exactly.
    fn rise(&self, from: &[Vec<f64>], to: &[Vec<f64>]) -> f64 {
        let mut total = 0.0;
        for (i, (_, weight)) in self.case.outputs.iter().enumerate() {
            let rises = from[i].iter().zip(&to[i]).map(|(from, to)| to - from);
            total += match (weight, &self.weights[i]) {
                (Weight::Same(weight), _) => weight * rises.sum::<f64>(),
                (Weight::Of(_), weights) => {
                    let weights = weights.as_ref().expect("read at the start");
                    rises.zip(weights).map(|(rise, weight)| weight * rise).sum()
                }
            };
        }
        total
    }

    /// Compares some entries of one gradient.
    fn compare(&mut self, (tensor, gradient): (Tensor, Tensor), count: &mut Count) {
        let here = self.run();
        let gradients = self.session.read(gradient);
        let mut values = self.session.read(tensor);
        let name = format!("{}: d{}", self.case.name, self.case.plan.name(tensor));
        let largest = gradients.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
        assert!(largest > 0.0 && largest.is_finite(), "{name}: the largest gradient is {largest}");
        for at in entries(values.len()) {
            let low = self.outputs_at(tensor, &mut values, (at, -STEP));
            let high = self.outputs_at(tensor, &mut values, (at, STEP));
            let (value, gradient) = (values[at], gradients[at]);
            // What was really added, after rounding.
            let (down, up) = (value - (value - STEP), (value + STEP) - value);
            let difference = self.rise(&low, &high) / (down + up);
            let error = (difference - gradient).abs() / largest;
            count.entries += 1;
            if error <= TOLERANCE {
                count.worst = count.worst.max(error);
                continue;
            }
            let left = self.rise(&low, &here) / down;
            let right = self.rise(&here, &high) / up;
            assert!(
                is_kink((left, right), gradient, largest),
                "{name} at {at}, of {value:e}: {gradient:e}, by differences {difference:e} \
                 (left {left:e}, right {right:e}), the largest {largest:e}"
            );
            count.kinks += 1;
        }
        self.session.write(tensor, &values);
    }
}

/// Whether a kink lies on one side of an entry: there the slope is another, while on the other
/// side it is still the gradient.
fn is_kink((left, right): (f64, f64), gradient: f64, largest: f64) -> bool {
    // A smooth function's sides differ by its curvature times the step.
    let far = |a: f64, b: f64| (a - b).abs() > 10.0 * STEP * largest;
    far(left, right) && !(far(left, gradient) && far(right, gradient))
}

/// Places spread over a tensor, first and last among them.
fn entries(len: usize) -> BTreeSet<usize> {
    let last = len - 1;
    (0..ENTRIES)
        .map(|i| i * last / (ENTRIES - 1))
        .chain((0..len).filter(|_| len <= ENTRIES))
        .collect()
}

fn is_small(case: &Case) -> bool {
    case.program.flops() <= MOST_FLOPS && case.plan.bytes() / 4 <= MOST_ELEMENTS
}

#[test]
fn every_gradient_equals_central_differences() {
    let mut count = Count::default();
    let mut covered = BTreeSet::new();
    let all = cases();
    let with: Vec<_> = all.iter().filter(|case| !case.gradients.is_empty()).collect();
    let small: Vec<_> = with.iter().filter(|case| is_small(case)).collect();
    for case in &small {
        let mut oracle = Oracle::new(case);
        for &pair in &case.gradients {
            oracle.compare(pair, &mut count);
        }
        covered.extend(case.program.dispatches.iter().map(|dispatch| dispatch.kernel.name()));
    }
    let Count { entries, kinks, worst } = count;
    println!(
        "{entries} entries of {} of {} cases: at most {worst:.1e} of the largest, {kinks} at kinks",
        small.len(),
        with.len()
    );
    assert!(50 * kinks < entries, "{kinks} of {entries} entries lie at kinks");
    for kernel in ALL {
        let name = kernel.name();
        let compared = covered.contains(name) || WITHOUT.contains(&name);
        assert!(compared, "{name}: its gradient was not compared, though it has one");
    }
}

/// The way back stores before it adds, so a second run gives the same gradients to the bit.
#[test]
fn gradients_do_not_pile_up() {
    for case in cases().iter().filter(|case| !case.gradients.is_empty() && is_small(case)) {
        let mut oracle = Oracle::new(case);
        let mut runs = [(); 2].map(|()| {
            oracle.run();
            let read = |&(_, gradient): &(Tensor, Tensor)| oracle.session.read(gradient);
            case.gradients.iter().map(read).collect::<Vec<_>>()
        });
        let [first, second] = &mut runs;
        assert_eq!(first, second, "{}: the gradients of two runs", case.name);
    }
}
