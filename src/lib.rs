//! Trains variational autoencoders with WGSL compute shaders, on any GPU that wgpu reaches.
//!
//! The same programs run on a device of our own, on a host application's `Device` and `Queue`, or
//! on the CPU, which is also the oracle that the tests hold the shaders to.
//!
//! ```
//! use elbo::{Config, Dataset, Device, Trainer};
//!
//! let (train, test) = (Dataset::synthetic(512, [12, 12], 1)?, Dataset::synthetic(64, [12, 12], 2)?);
//! let mut config = Config::default();
//! config.train.batch_size = 64;
//! let (device, _why) = Device::choose("auto", 0)?;
//! let mut trainer = Trainer::new(&device, &config, &train, &test)?;
//! let before = trainer.evaluate()?.sampled.loss;
//! trainer.advance(100)?;
//! let losses = trainer.evaluate()?.sampled;
//! println!("−ELBO {} = {} + {} nats per image", losses.loss, losses.recon, losses.kl);
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("weights.safetensors");
//! trainer.save_weights(&path)?;
//! # assert!(losses.loss < 0.6 * before, "{} nats before, {} after", before, losses.loss);
//! # Ok::<(), elbo::Error>(())
//! ```
//!
//! [`Config`] says what to train, [`Dataset`] on what, [`Device`] where. Losses are in nats per
//! image, summed over pixels and latent dimensions and averaged over images; `loss` is always the
//! negative ELBO.
//!
//! To train inside a wgpu application, hand over its device with [`gpu::Gpu::from_wgpu`]: none of
//! its handlers is touched, and nothing panics. To write models and kernels of your own, start from
//! [`unstable`].

#[doc(hidden)]
pub mod bench;
pub mod checkpoint;
pub mod config;
#[doc(hidden)]
pub mod cpu;
pub mod data;
#[doc(hidden)]
pub mod engine;
mod error;
pub mod evaluate;
mod files;
pub mod gpu;
#[doc(hidden)]
pub mod kernels;
#[doc(hidden)]
pub mod metrics;
#[doc(hidden)]
pub mod model;
#[doc(hidden)]
pub mod nn;
#[doc(hidden)]
pub mod optim;
pub mod probe;
pub mod quality;
pub mod sampler;
#[doc(hidden)]
pub mod selftest;
pub mod session;
pub mod train;

/// What models, kernels and sessions are made of. It may change in any release.
///
/// A kernel of your own is a row as ours are: WGSL, its bindings, its parameters, and the formula as a plain
/// loop, which the CPU session runs and tests can compare the shader with.
///
/// ```
/// use elbo::unstable::cpu;
/// use elbo::unstable::engine::{
///     Arg, Binding, Cover, Cpu, Grid, Kernel, Parameters, Plan, Program, Real, Record, Tape, Wgsl,
///     real, uncounted,
/// };
/// use elbo::unstable::kernels::case::Case;
/// use elbo::unstable::kernels::common::{COMMON, plain};
///
/// elbo::params! {
///     /// Parameters of `guest.double`.
///     pub struct Double {
///         /// Elements.
///         len: u32,
///     }
/// }
///
/// const SOURCE: Wgsl = Wgsl::Text(
///     "struct Double { len: u32 }
///     @group(0) @binding(0) var<uniform> p: Double;
///     @group(0) @binding(1) var<storage, read> x: array<f32>;
///     @group(0) @binding(2) var<storage, read_write> y: array<f32>;
///     @compute @workgroup_size(64)
///     fn double(
///         @builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
///     ) {
///         let i = flat_index(id, groups, 64u);
///         if i < p.len { y[i] = 2.0 * x[i]; }
///     }",
/// );
///
/// /// y = 2 x, for x and y of n elements.
/// static DOUBLE: Kernel<Double, 2> = Kernel {
///     name: "guest.double",
///     entry: "double",
///     bindings: [Binding::read("x"), Binding::write("y")],
///     overrides: &[],
///     schedules: &[plain(&[COMMON, SOURCE], Cover::Items(64))],
///     reference: (double, double),
///     cpu: Cpu::Reference,
///     turns: |_| 0,
///     flops: uncounted,
/// };
///
/// fn double<T: Real>(_: &Double, _: &Record, [x, y]: [Arg<'_, T>; 2]) {
///     y.write().iter_mut().zip(x.read()).for_each(|(y, &x)| *y = x * real(2.0));
/// }
///
/// let (mut plan, mut parameters) = (Plan::new(), Parameters::new());
/// let (x, y) = (plan.vector("x", 3), plan.vector("y", 3));
/// let mut tape = Tape::new(&mut plan, &mut parameters);
/// tape.dispatch(&DOUBLE, Double { len: 3 }, [x, y], Grid::Flat(3));
/// let program = Program::new("double", &[&tape.take()]);
///
/// // `gpu::Session` runs the same program by the shader.
/// let mut session = cpu::Session::<f32>::new(&plan, None, 1)?;
/// session.write(x, &[1.0, 2.0, 3.0]);
/// let id = session.load(&program);
/// session.run(id, &[Case::new(String::new(), 3).record]);
/// assert_eq!(session.read(y), [2.0, 4.0, 6.0]);
/// # Ok::<(), elbo::Error>(())
/// ```
pub mod unstable {
    #[doc(inline)]
    pub use crate::{bench, cpu, engine, kernels, metrics, model, nn, optim, selftest};
}

pub use config::Config;
pub use data::Dataset;
pub use error::{Error, ErrorKind, Result};
pub use evaluate::{Evaluation, Model};
pub use gpu::wgpu;
pub use metrics::Losses;
pub use session::Device;
pub use train::Trainer;

/// The README's example, compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// The examples of the guide for embedders, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
pub struct Embedding;
