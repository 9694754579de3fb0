//! What the tests share: an adapter, the real images, and a model on either kind of session.
#![allow(dead_code, unused_imports, reason = "each test takes what it needs")]

pub(crate) mod golden;
mod hold;
mod poison;

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use elbo::config::{Config, ImageSize};
use elbo::cpu;
use elbo::engine::{Fusion, Parameter, Program, Record, Report, Tensor, rate};
use elbo::gpu::{Gpu, adapters};
use elbo::metrics::{Places, Terms};
use elbo::model::{DataSpec, TrainingNoise, Use, Vae};
use elbo::optim::{At, rates};
use elbo::session::{Device, Session};
use elbo::train::{Broken, Event};
use elbo::{Dataset, Trainer};

pub(crate) use hold::{gradients_hold, gradients_of_images_hold, steps_hold, steps_of_images_hold};

/// The adapter for the tests: a hardware one if there is one, else software.
///
/// There must be one. Mesa's software Vulkan is enough:
/// `apt-get install -y mesa-vulkan-drivers libvulkan1`, which the README's test command does.
///
/// The tests of a program share two devices, so that pipelines are compiled twice and not once a test, and
/// one test's work need not wait for another's. Each has sessions of its own; what breaks a device opens one.
pub(crate) fn gpu() -> Gpu {
    static GPUS: [OnceLock<Gpu>; 2] = [const { OnceLock::new() }; 2];
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed) % GPUS.len();
    let open = || {
        let found = adapters();
        let best = found.iter().position(|adapter| !adapter.software).unwrap_or(0);
        assert!(!found.is_empty(), "these tests need an adapter; install mesa-vulkan-drivers");
        Gpu::open(best).expect("the adapter gives a device")
    };
    GPUS[next].get_or_init(open).clone()
}

/// The training and the test images of MNIST, inflated once.
pub(crate) fn mnist() -> (Dataset, Dataset) {
    static MNIST: OnceLock<(Dataset, Dataset)> = OnceLock::new();
    let read = || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/mnist");
        let (data, config) = (folder.as_path(), Config::default());
        let opened = elbo::data::Sources::new(data, &config).open();
        let opened = opened.expect("assets/mnist holds MNIST");
        (opened.train, opened.test)
    };
    MNIST.get_or_init(read).clone()
}

/// The pixels of the first training images of MNIST, as bytes.
pub(crate) fn mnist_bytes(count: usize) -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let read = || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/mnist");
        elbo::data::formats::idx::read_folder(&folder)
            .expect("assets/mnist holds MNIST")
            .train
            .pixels
    };
    BYTES.get_or_init(read)[..count * 784].to_vec()
}

/// The distance of two vectors as a share of the second's norm.
pub(crate) fn distance(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len(), "two vectors of one length");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let apart = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    let size = norm(&mut expected.iter().copied());
    if apart == 0.0 { 0.0 } else { apart / size }
}

/// A session of either precision.
pub(crate) enum Under {
    Oracle(Box<cpu::Session<f64>>),
    Device(Box<Session>),
}

impl Under {
    pub(crate) fn write(&mut self, tensor: Tensor, values: &[f64]) {
        match self {
            Self::Oracle(session) => session.write(tensor, values),
            Self::Device(session) => {
                let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
                session.write(tensor, &values).expect("the device works");
            }
        }
    }

    pub(crate) fn write_bits(&mut self, tensor: Tensor, bits: &[u32]) {
        match self {
            Self::Oracle(session) => session.write_bits(tensor, 0, bits),
            Self::Device(session) => {
                session.write_bits(tensor, 0, bits).expect("the device works");
            }
        }
    }

    pub(crate) fn read(&mut self, tensor: Tensor) -> Vec<f64> {
        match self {
            Self::Oracle(session) => session.read(tensor),
            Self::Device(session) => {
                let values = session.read(tensor).expect("the device works");
                values.into_iter().map(f64::from).collect()
            }
        }
    }
}

/// A model whose data is bytes, on a session, stepped with records of the test's own.
pub(crate) struct Bench {
    pub(crate) config: Config,
    pub(crate) vae: Vae,
    pub(crate) session: Under,
    images: usize,
    bytes: Vec<u8>,
    step: Program,
    program: cpu::ProgramId,
    pub(crate) places: Places,
}

impl Bench {
    /// A model on the oracle, or on a device, with the images on it; its step is as recorded.
    pub(crate) fn new(
        config: &Config,
        data: (&[u8], usize),
        noise: TrainingNoise,
        device: Option<&Device>,
    ) -> Self {
        Self::with_step(config, data, noise, device, Fusion::Nothing)
    }

    /// A model whose steps are fused so far.
    pub(crate) fn with_step(
        config: &Config,
        (bytes, pixels): (&[u8], usize),
        noise: TrainingNoise,
        device: Option<&Device>,
        step: Fusion,
    ) -> Self {
        Self::with_use(config, (bytes, pixels), noise, device, Use::Step(step))
    }

    /// A model whose steps are this program.
    pub(crate) fn with_use(
        config: &Config,
        (bytes, pixels): (&[u8], usize),
        noise: TrainingNoise,
        device: Option<&Device>,
        step: Use,
    ) -> Self {
        Self::of_images(config, (bytes, [1, pixels].into()), noise, device, step)
    }

    /// A model of images of a size, whose steps are this program.
    pub(crate) fn of_images(
        config: &Config,
        (bytes, size): (&[u8], ImageSize),
        noise: TrainingNoise,
        device: Option<&Device>,
        step: Use,
    ) -> Self {
        let images = bytes.len() / size.len();
        let spec = DataSpec { images, size, bytes: true, window: None };
        let mut vae = Vae::with_noise(config, spec, spec, noise).expect("a valid configuration");
        let step = vae.program(step).expect("a program").clone();
        let (session, program) = match device {
            None => {
                let made = cpu::Session::new(&vae.plan, Some(vae.ports.reports.slots), 1);
                let mut session = made.expect("enough memory");
                let program = session.load(&step);
                (Under::Oracle(Box::new(session)), program)
            }
            Some(device) => {
                let made = Session::new(device, &vae.plan, vae.ports.reports.slots);
                let mut session = made.expect("the device takes the plan");
                let program = session.load(&step).expect("the device takes it");
                (Under::Device(Box::new(session)), program)
            }
        };
        let (config, places) = (config.clone(), Places::of(&vae.ports.reports));
        let bytes = bytes.to_vec();
        let mut bench = Self { config, vae, session, images, bytes, step, program, places };
        let classes = bench.config.model.classes.max(1);
        bench.tell(&(0..images).map(|image| (image % classes) as u8).collect::<Vec<_>>());
        bench
    }

    /// Writes the images, each with its class, if the model is told; so far they have them in turn.
    pub(crate) fn tell(&mut self, labels: &[u8]) {
        let classes = self.config.model.classes;
        let pixels = self.bytes.len() / self.images;
        let mut rows = Vec::new();
        for (row, &label) in self.bytes.chunks(pixels).zip(labels) {
            rows.extend_from_slice(row);
            rows.extend((0..classes).map(|class| 255 * u8::from(class == usize::from(label))));
            rows.resize(rows.len().next_multiple_of(16), 0);
        }
        let words: Vec<_> =
            rows.as_chunks().0.iter().map(|&four| u32::from_le_bytes(four)).collect();
        let shard = self.vae.ports.train[0];
        self.session.write_bits(shard.data, &words);
        if let Some(tensor) = shard.labels {
            let words: Vec<_> = labels.iter().copied().map(u32::from).collect();
            self.session.write_bits(tensor, &words);
        }
    }

    /// The record of step `t`, counted from one, for images in the order of the file.
    pub(crate) fn record(&self, t: u64) -> Record {
        let rows = self.config.train.batch_size;
        let at = At { step: t, per_epoch: self.images.div_ceil(rows) as u64, scale: 1.0 };
        Record {
            first: (t - 1) as u32 * rows as u32,
            rows: rows as u32,
            step: t as u32 - 1,
            epoch: 0,
            images: self.images as u32,
            shuffle: false,
            window: None,
            stream: 1,
            seed: self.config.train.seed,
            rates: rates(&self.config, at, rows),
        }
    }

    /// Runs a training step; the sums of reconstruction and KL.
    pub(crate) fn step(&mut self, record: Record) -> [f64; 2] {
        let terms = self.terms(record);
        [terms.recon, terms.kl]
    }

    /// Runs a training step; what it minimises, summed over the images.
    pub(crate) fn objective(&mut self, record: Record) -> f64 {
        let terms = self.terms(record);
        terms.recon + record.rates[rate::KL_WEIGHT] * terms.kl + terms.extra
    }

    /// Runs a training step; the guard's status.
    pub(crate) fn status(&mut self, record: Record) -> u32 {
        self.report(record).status
    }

    /// Runs a training step; the terms of what it minimises.
    pub(crate) fn terms(&mut self, record: Record) -> Terms {
        let report = self.report(record);
        assert_eq!(report.status, 0, "the numbers of a step");
        self.places.terms(&report)
    }

    /// Runs a logged training step; the norm of its gradient, as it is stored or used.
    pub(crate) fn gradient_norm(&mut self, record: Record) -> f64 {
        let report = self.report(record);
        assert_eq!(report.status, 0, "the numbers of a step");
        self.places.gradient_norm(&report)
    }

    fn report(&mut self, record: Record) -> Report {
        let report = match &mut self.session {
            Under::Oracle(session) => {
                session.run(self.program, &[record]);
                session.next_report()
            }
            Under::Device(session) => {
                session.run(self.program, &[record]).expect("the device works");
                session.next_report(true).expect("the device works")
            }
        };
        report.expect("a step reports")
    }

    /// Sets the parameters to the first values of a seed.
    pub(crate) fn start(&mut self, seed: u64) {
        for (tensor, values) in elbo::train::first_values(&self.vae, seed) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            self.session.write(tensor, &values);
        }
    }

    /// What a tensor of each parameter holds, under the names in files.
    pub(crate) fn read_all(&mut self, which: fn(&Parameter) -> Tensor) -> Vec<(String, Vec<f64>)> {
        let mut all = Vec::new();
        for parameter in self.vae.parameters.list().to_vec() {
            let values = parameter.to_file(self.session.read(which(&parameter)));
            let cols = columns(&parameter);
            for export in &parameter.exports {
                let range = export.first * cols..(export.first + export.rows) * cols;
                all.push((export.key.clone(), values[range].to_vec()));
            }
        }
        all
    }

    /// Sets the parameters by their names in files.
    pub(crate) fn write_all(&mut self, value: impl Fn(&str, usize) -> Vec<f64>) {
        for parameter in self.vae.parameters.list().to_vec() {
            let cols = columns(&parameter);
            let values: Vec<f64> =
                parameter.exports.iter().flat_map(|e| value(&e.key, e.rows * cols)).collect();
            self.session.write(parameter.value, &parameter.from_file(values));
        }
    }
}

/// Numbers of a parameter's row in files.
fn columns(parameter: &Parameter) -> usize {
    parameter.len() / parameter.exports.iter().map(|export| export.rows).sum::<usize>()
}

/// The first images of MNIST, of which each is this part: enough for three minibatches of 12.
pub(crate) fn cut(from: usize, pixels: usize) -> Vec<u8> {
    mnist_bytes(40).chunks(784).flat_map(|x| x[from..from + pixels].to_vec()).collect()
}

/// What broke and was survived since a trainer was last asked.
pub(crate) fn survived(trainer: &mut Trainer) -> Vec<Broken> {
    let of = |event| match event {
        Event::Broken(broken) => Some(broken),
        Event::Step(_) => None,
    };
    trainer.take_events().into_iter().filter_map(of).collect()
}

/// A small model with few images a batch, for tests of whole steps.
pub(crate) fn small() -> Config {
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([23].into(), [23].into());
    (config.model.latent, config.train.batch_size) = (5, 12);
    config
}

/// A small model that differs from the classic one by a change, with a name for it.
pub(crate) fn kind(name: &'static str, change: fn(&mut Config)) -> (&'static str, Config) {
    let mut config = small();
    change(&mut config);
    (name, config)
}
