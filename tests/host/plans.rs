//! What models take: dispatches of a fused step, and memory of a model that is only used.

use elbo::ErrorKind;
use elbo::config::{Activation, Config, ImageSize, Likelihood, PRESETS, Scale};
use elbo::engine::Fusion;
use elbo::model::{DataSpec, Use, Vae};
use elbo::session::{Device, Session};

const MNIST: DataSpec = DataSpec {
    images: 60_000,
    size: ImageSize { height: 28, width: 28, channels: 1 },
    bytes: true,
    window: None,
};

/// Dispatches of the fused step of the classic model with a change, at most so many; and how long a chain
/// of them waits for one another.
fn takes(name: &str, change: fn(&mut Config), [dispatches, depth]: [usize; 2]) {
    let mut config = Config::default();
    change(&mut config);
    let mut vae = Vae::new(&config, MNIST, MNIST).expect("a valid configuration");
    let step = vae.program(Use::Step(Fusion::All)).expect("a program");
    let names: Vec<_> = step.dispatches.iter().map(|d| d.kernel.name()).collect();
    let found = [step.dispatches.len(), step.depth()];
    assert_eq!(found, [dispatches, depth], "dispatches and depth of {name}: {names:#?}");
}

#[test]
fn steps_of_every_model_are_fused() {
    takes("classic", |_| (), [12, 8]);
    takes("layer norm", |c| c.model.layer_norm = true, [19, 12]);
    takes(
        "layer norm and gelu",
        |c| {
            (c.model.layer_norm, c.model.activation) = (true, Activation::Gelu);
        },
        [23, 16],
    );
    takes("importance", |c| c.objective.importance = 5, [16, 12]);
    takes("classes", |c| c.model.classes = 10, [14, 9]);
    takes(
        "a shared scale",
        |c| {
            (c.model.likelihood, c.model.scale) = (Likelihood::Normal, Scale::Shared);
        },
        [15, 10],
    );
    takes("clipping", |c| c.optimizer.clip_norm = 1.0, [17, 12]);
    takes("normalised gradients", |c| c.optimizer.normalise = true, [35, 22]);
}

/// KiB of all that a model can do without training, without the images that it looks at.
fn used(preset: fn(&mut Config)) -> u64 {
    let mut config = Config::default();
    preset(&mut config);
    let mut vae = Vae::to_use(&config, MNIST).expect("a valid configuration");
    for wanted in [Use::EvaluateAtMean, Use::Encode, Use::Weigh, Use::Prior, Use::Decode] {
        let _ = vae.program(wanted).expect("a program");
    }
    let images: usize = vae.ports.test.iter().map(|shard| shard.data.words()).sum();
    (vae.plan.bytes() - 4 * images as u64) >> 10
}

#[test]
fn a_model_that_is_used_holds_what_it_runs() {
    let classic = used(|_| ());
    assert!(classic <= 4300, "the classic model takes {classic} KiB");
    let big = used(|config| {
        (config.model.encoder, config.model.decoder) =
            (vec![2048, 2048].into(), vec![2048, 2048].into());
        (config.model.latent, config.train.batch_size) = (64, 512);
    });
    assert!(big <= 72_000, "the big model takes {big} KiB");
}

/// A fused update leaves no gradient behind, and to ask for it is an error that says so.
#[test]
fn what_no_program_makes_is_refused() {
    let data = DataSpec { images: 200, size: [1, 36].into(), bytes: true, window: None };
    let mut vae = Vae::new(&Config::default(), data, data).expect("a valid configuration");
    vae.program(Use::Step(Fusion::Updates)).expect("a program");
    let [first, ..] = vae.parameters.list() else { panic!("a model has parameters") };
    let (value, grad) = (first.value, first.grad);
    let slots = vae.ports.reports.slots;
    let mut session = Session::new(&Device::Cpu(1), &vae.plan, slots).expect("memory");
    assert_eq!(session.read(value).map(|values| values.len()).ok(), Some(400 * 36));
    let found = [
        session.read(grad).map(|_| ()),
        session.write(grad, &[0.0; 400 * 36]),
        session.write_bits(grad, 0, &[0]),
    ];
    for found in found {
        let error = found.expect_err("nothing makes it");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("room for 0"), "{error}");
    }
    vae.program(Use::Step(Fusion::Nothing)).expect("a program");
    session.extend(&vae.plan).expect("memory");
    assert_eq!(session.read(grad).map(|values| values.len()).ok(), Some(400 * 36));
}

/// What layers say of their parameters is what a model has.
#[test]
fn layers_count_the_parameters_of_a_model() {
    let blocks = Config::from_toml(
        "model.encoder = ['conv 4 3x3', {residual = ['group-norm 2', 'attention 2']}, 'pool 2', 'norm', 9]
        model.decoder = [8, 'map 2x2x2', {residual = ['conv 3 3x3'], shortcut = ['conv 3 1x1']}]",
    );
    let blocks = blocks.expect("a configuration");
    let preset = |name| {
        let side = if name == "resnet-64" { 64 } else { 32 };
        (side, Config::preset(name).expect("a preset"))
    };
    for (side, config) in PRESETS.map(preset).into_iter().chain([(32, blocks)]) {
        let size = ImageSize::from([side, side, 3]);
        let data = DataSpec { images: 60_000, size, bytes: true, window: None };
        let vae = Vae::new(&config, data, data).expect("a model");
        let layers = vae.networks().all().flat_map(|(network, _)| network.shapes());
        let counted: usize = layers.map(|(placed, [input, _])| placed.parameters(input)).sum();
        assert_eq!(counted, vae.parameters.count(), "{:?}", config.model.encoder);
    }
}
