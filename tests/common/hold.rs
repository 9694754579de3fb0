//! Whole steps of a model against the oracle's, and its gradients against differences.

use elbo::config::{Config, ImageSize, Rule};
use elbo::engine::{Fusion, Parameter};
use elbo::gpu::Gpu;
use elbo::model::{TrainingNoise, Use};
use elbo::session::Device;

use super::{Bench, cut, distance};

/// A way to take the steps of a model: a device, or the oracle, how far they are fused, and how far from
/// the oracle's recorded step it may be.
type Way = (&'static str, Option<Device>, Fusion, f64);

/// Holds the steps of a model, as recorded on a GPU and fused on every device, to the oracle's: what is
/// minimised, the weights and their first moments.
pub(crate) fn steps_hold(name: &str, config: &Config, gpu: &Gpu) {
    steps_of_images_hold(name, config, gpu, (&cut(300, 37), [1, 37].into()));
}

/// Each kernel of a step makes whole what it says that it does.
fn whole(
    what: &str,
    config: &Config,
    data: (&[u8], ImageSize),
    device: Option<&Device>,
    step: Use,
) {
    let mut bench = Bench::of_images(config, data, TrainingNoise::Drawn, device, step);
    bench.start(7);
    let left = bench.left_over(bench.record(1));
    assert_eq!(left, [""; 0], "{what}: what kernels leave as it was");
}

/// The same with images of a size.
pub(crate) fn steps_of_images_hold(
    name: &str,
    config: &Config,
    gpu: &Gpu,
    data: (&[u8], ImageSize),
) {
    let noise = TrainingNoise::Drawn;
    let ways: [Way; 5] = [
        ("oracle as on a GPU", None, Fusion::All, 1e-12),
        ("oracle as on a CPU", None, Fusion::Updates, 1e-12),
        ("gpu as recorded", Some(Device::Gpu(gpu.clone())), Fusion::Nothing, 2e-5),
        ("gpu", Some(Device::Gpu(gpu.clone())), Fusion::All, 2e-5),
        ("cpu", Some(Device::Cpu(2)), Fusion::Updates, 2e-5),
    ];
    whole(&format!("{name}, recorded"), config, data, None, Use::Step(Fusion::Nothing));
    for (way, device, step, allowed) in ways {
        let as_recorded = Use::Step(Fusion::Nothing);
        let mut recorded = Bench::of_images(config, data, noise, None, as_recorded);
        let mut other = Bench::of_images(config, data, noise, device.as_ref(), Use::Step(step));
        recorded.start(7);
        other.start(7);
        // Adapters would compile each dispatch anew; what they leave breaks the poisoned steps below.
        if !matches!(device, Some(Device::Gpu(_))) {
            whole(&format!("{name}, {way}"), config, data, device.as_ref(), Use::Step(step));
        }
        for t in 1..=3 {
            let record = recorded.record(t);
            other.poison();
            let (found, expected) = (other.objective(record), recorded.objective(record));
            let apart = (found - expected).abs() / expected.abs();
            assert!(apart <= allowed, "{name}, {way}, objective of step {t}: {apart:e} apart");
            for place in [|p: &Parameter| p.value, |p: &Parameter| p.first] {
                let all = recorded.read_all(place);
                for ((key, found), (_, expected)) in other.read_all(place).iter().zip(&all) {
                    let apart = distance(found, expected);
                    assert!(apart <= allowed, "{name}, {way}, {key}, step {t}: {apart:e} apart");
                }
            }
        }
    }
}

/// Holds the gradient of what a model minimises to central differences, in f64; gives the largest error
/// as a share of the largest entry.
pub(crate) fn gradients_hold(name: &str, config: &Config) -> f64 {
    gradients_of_images_hold(name, config, (&cut(300, 13), [1, 13].into()))
}

/// The same with images of a size.
pub(crate) fn gradients_of_images_hold(
    name: &str,
    config: &Config,
    data: (&[u8], ImageSize),
) -> f64 {
    let mut config = config.clone();
    // The update comes after the losses; at this rate it moves no weight that f64 would notice.
    (config.optimizer.rule, config.optimizer.lr) = (Rule::Sgd, 1e-30);
    config.train.batch_size = 6;
    let (noise, step) = (TrainingNoise::Drawn, Use::Step(Fusion::Nothing));
    let mut oracle = Bench::of_images(&config, data, noise, None, step);
    oracle.start(3);
    let (record, mut worst) = (oracle.record(1), 0.0_f64);
    for parameter in oracle.vae.parameters.list().to_vec() {
        oracle.objective(record);
        let gradient = oracle.session.read(parameter.grad);
        let values = oracle.session.read(parameter.value);
        let largest = gradient.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        for i in (0..values.len()).step_by(values.len().div_ceil(40)) {
            let mut loss = |by: f64| {
                let mut moved = values.clone();
                moved[i] += by;
                oracle.session.write(parameter.value, &moved);
                oracle.objective(record)
            };
            let difference = (loss(1e-5) - loss(-1e-5)) / 2e-5;
            let error = (difference - gradient[i]).abs() / largest;
            worst = worst.max(error);
            let at = &parameter.name;
            assert!(error <= 1e-6, "{name}, {at}[{i}]: {difference}, {}", gradient[i]);
        }
        oracle.session.write(parameter.value, &values);
    }
    worst
}
