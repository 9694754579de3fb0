//! A likelihood of one's own: each pixel has a hyperbolic secant distribution, which is like a normal one near its
//! mean and like Laplace's far from it.
//!
//! The likelihoods of `Config` are a closed list, and `Trainer` takes no other. What elbo is made of takes any:
//! this example writes a kernel, puts a model together round it, and trains that, on a GPU or the CPU. These
//! parts are in `elbo::unstable`, which may change in any release.
//!
//! `cargo run --release --example custom_likelihood`, and behind it perhaps ` -- cpu` or another device.
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::path::Path;

use elbo::config::{Activation, Posterior};
use elbo::data::Sources;
use elbo::session::Session;
use elbo::unstable::engine::{
    Arg, Binding, Cover, Cpu, Grid, Init, Kernel, Parameters, Plan, Program, Real, Record,
    ReportSpec, Tape, Tensor, Wgsl, rate, real, uncounted,
};
use elbo::unstable::kernels::common::{COMMON, plain};
use elbo::unstable::kernels::draw::Draw;
use elbo::unstable::kernels::gaussian::{LocationScale, Noise, gaussian};
use elbo::unstable::kernels::matmul::{Input, linear};
use elbo::unstable::kernels::optimizer::learn;
use elbo::unstable::kernels::random::initial_uniform;
use elbo::unstable::kernels::reduce::{Term, reduce, reports};
use elbo::unstable::optim::{At, rates};
use elbo::{Config, Dataset, Device};

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/mnist");
const PIXELS: usize = 784;
const BATCH: usize = 100;
const HIDDEN: usize = 128;
const LATENT: usize = 16;

/// The scale of the distribution, s.
const SCALE: f64 = 0.1;

elbo::params! {
    /// Parameters of `example.secant`.
    pub struct Secant {
        /// Rows, those of the padding too.
        rows: u32,
        /// Pixels of an image.
        cols: u32,
        /// The distance between rows.
        stride: u32,
    }
}

const SOURCE: Wgsl = Wgsl::Text(
    "struct Secant { rows: u32, cols: u32, stride: u32 }
    @group(0) @binding(0) var<uniform> p: Secant;
    @group(0) @binding(1) var<storage, read> m: array<f32>;
    @group(0) @binding(2) var<storage, read> x: array<f32>;
    @group(0) @binding(3) var<storage, read_write> nll: array<f32>;
    @group(0) @binding(4) var<storage, read_write> dm: array<f32>;
    const SCALE = 0.1;
    @compute @workgroup_size(64)
    fn secant(
        @builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
    ) {
        let i = flat_index(id, groups, 64u);
        if i >= p.rows * p.stride { return; }
        let inside = (i / p.stride < record.rows) && (i % p.stride < p.cols);
        let d = (m[i] - x[i]) / SCALE;
        let loss = log(3.14159265 * SCALE / 2.0) + abs(d) + log(1.0 + exp(-2.0 * abs(d)));
        nll[i] = select(0.0, loss, inside);
        dm[i] = select(0.0, tanh_of(d) / SCALE * record.loss_scale, inside);
    }",
);

/// nll = −log p(x | m) = log(π s) + log cosh d of each pixel, in nats, for d = (m − x) / s, and its gradient
/// dm = tanh(d) / s, times the record's scale. Both are zero in the padding.
static SECANT: Kernel<Secant, 4> = Kernel {
    name: "example.secant",
    entry: "secant",
    bindings: [Binding::read("m"), Binding::read("x"), Binding::write("nll"), Binding::write("dm")],
    overrides: &[],
    schedules: &[plain(&[COMMON, SOURCE], Cover::Items(64))],
    reference: (on_cpu, on_cpu),
    cpu: Cpu::Reference,
    turns: |_| 0,
    flops: uncounted,
};

/// The same formula for the CPU, in f32 and f64.
fn on_cpu<T: Real>(p: &Secant, record: &Record, [m, x, nll, dm]: [Arg<'_, T>; 4]) {
    let (weight, s, two): (T, T, T) =
        (real(record.rates[rate::LOSS_SCALE]), real(SCALE), real(2.0));
    // log cosh d is |d| + log(1 + exp(−2 |d|)) − log 2, which does not overflow.
    let constant: T = real((std::f64::consts::PI * SCALE / 2.0).ln());
    let (m, x, nll, dm) = (m.read(), x.read(), nll.write(), dm.write());
    for i in 0..(p.rows * p.stride) as usize {
        let (row, col) = (i / p.stride as usize, i % p.stride as usize);
        let inside = row < record.rows as usize && col < p.cols as usize;
        let d = (m[i] - x[i]) / s;
        let loss = constant + d.abs() + (-two * d.abs()).exp().ln_1p();
        let slope = d.tanh() / s * weight;
        (nll[i], dm[i]) = if inside { (loss, slope) } else { (T::zero(), T::zero()) };
    }
}

/// Records the likelihood; the gradient at m is made at once, and the decoder's way back begins there.
fn secant(tape: &mut Tape<'_>, m: Tensor, x: Tensor) -> Tensor {
    let nll = tape.plan.matrix("nll", m.rows(), m.cols());
    let dm = tape.plan.matrix("dm", m.rows(), m.cols());
    let [rows, cols, stride] = [m.padded_rows(), m.cols(), m.stride()].map(|size| size as u32);
    let grid = Grid::Flat(m.padded_rows() * m.stride());
    tape.dispatch(&SECANT, Secant { rows, cols, stride }, [m, x, nll, dm], grid);
    tape.set_grad(m, dm);
    nll
}

/// A fully connected layer, with PyTorch's first values.
fn layer(tape: &mut Tape<'_>, name: &str, x: Input, units: [usize; 2], f: Activation) -> Tensor {
    let [inputs, outputs] = units;
    let init = Init::Uniform(1.0 / (inputs as f64).sqrt());
    let parameters = tape.layer(name, [outputs, inputs], [init; 2], &[]);
    linear(tape, name, x, parameters.into(), f)
}

/// What the host writes before a step, what it reads after it, and the step.
struct Model {
    plan: Plan,
    parameters: Parameters,
    x: Tensor,
    image: Tensor,
    reports: ReportSpec,
    step: Program,
}

/// Records a training step: forwards, backwards by the tape, and the update.
fn record(config: &Config) -> elbo::Result<Model> {
    let (mut plan, mut parameters) = (Plan::new(), Parameters::new());
    let (x, image) = (plan.matrix("x", BATCH, PIXELS), plan.words("image", BATCH));
    let (eps, z) = (plan.matrix("eps", BATCH, LATENT), plan.matrix("z", BATCH, LATENT));
    let (kl, log_ratio) = (plan.vector("kl", BATCH), plan.vector("log ratio", BATCH));
    let reports = reports(&mut plan, &["recon", "kl"]);

    let mut tape = Tape::new(&mut plan, &mut parameters);
    let relu = Activation::Relu;
    let top = layer(&mut tape, "fc1", Input::Data(x), [PIXELS, HIDDEN], relu);
    let units = [HIDDEN, 2 * LATENT];
    let h = layer(&mut tape, "fc2", Input::Made(top), units, Activation::Identity);
    let draw = Draw { z, kl, log_ratio: Some(log_ratio) };
    gaussian(
        &mut tape,
        LocationScale { h, family: Posterior::Normal, images: h.rows(), eps, site: 0 },
        Noise::Drawn { image },
        draw,
    );
    let top = layer(&mut tape, "fc3", Input::Made(z), [LATENT, HIDDEN], relu);
    let units = [HIDDEN, PIXELS];
    let m = layer(&mut tape, "fc4", Input::Made(top), units, Activation::Sigmoid);
    let nll = secant(&mut tape, m, x);
    learn(&mut tape, &config.optimizer, (reports.slots.guard, None), |tape| {
        let terms = [("recon", nll), ("kl", kl)].map(|(name, of)| Term { name, of, each: 1 });
        reduce(tape, &reports, &terms, true);
    });
    let step = Program::new("step", &[&tape.take()]);
    step.check(&plan)?;
    Ok(Model { plan, parameters, x, image, reports, step })
}

fn train(device: &Device, config: &Config, images: &Dataset) -> elbo::Result<()> {
    let Model { plan, parameters, x, image, reports, step } = record(config)?;
    let mut session = Session::new(device, &plan, reports.slots)?;
    for (index, parameter) in parameters.list().iter().enumerate() {
        let Init::Uniform(bound) = parameter.init else { continue };
        let value = |i| (bound * initial_uniform(config.train.seed, index, i)) as f32;
        session.write(parameter.value, &(0..parameter.len()).map(value).collect::<Vec<_>>())?;
    }
    let step = session.load(&step)?;
    let per_epoch = images.len() / BATCH;
    for epoch in 0..7 {
        let mut sums = [0.0; 2];
        for batch in 0..per_epoch {
            let first = batch * BATCH;
            session.write(x, &images.pixels(first..first + BATCH)?)?;
            // Noise is a function of the seed, the step and the image.
            session.write_bits(image, 0, &(first as u32..).take(BATCH).collect::<Vec<_>>())?;
            let taken = epoch * per_epoch + batch;
            let at = At { step: taken as u64 + 1, per_epoch: per_epoch as u64, scale: 1.0 };
            let record = Record {
                first: 0,
                rows: BATCH as u32,
                step: taken as u32,
                epoch: epoch as u32,
                images: images.len() as u32,
                shuffle: false,
                window: None,
                stream: 1,
                seed: config.train.seed,
                rates: rates(config, at, BATCH),
            };
            session.run(step, &[record])?;
            let report = session.next_report(true)?.expect("each run reports");
            sums.iter_mut().zip(report.values).for_each(|(sum, value)| *sum += value);
        }
        let [recon, kl] = sums.map(|sum| sum / (per_epoch * BATCH) as f64);
        println!("epoch {}: −ELBO {:.1} = {recon:.1} + {kl:.1}", epoch + 1, recon + kl);
    }
    Ok(())
}

fn main() -> elbo::Result<()> {
    let mut config = Config::default();
    config.optimizer.lr = 3e-3;
    let images = Sources::new(Path::new(MNIST), &config).open()?.train.limited(2_000);
    let device = std::env::args().nth(1).unwrap_or("auto".to_owned());
    let (device, why) = Device::choose(&device, 0)?;
    println!("training on {} ({why})", device.name());
    train(&device, &config, &images)
}
