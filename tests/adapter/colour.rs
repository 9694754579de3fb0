//! A mixture of logistics that the channels of a place share: PyTorch's numbers, sums of 1, what is drawn, whole steps.
#![allow(clippy::print_stdout, reason = "tests may talk")]

use elbo::checkpoint::State;
use elbo::config::{Blocks, Config, ImageSize, Likelihood, ModelConfig};
use elbo::cpu::Session;
use elbo::engine::{GradSite, Parameters, Plan, Program, Real, Record, Tape, rate};
use elbo::evaluate::Shown;
use elbo::kernels::case::Case;
use elbo::kernels::likelihood::{Observed, likelihood};
use elbo::{Dataset, Device, Model, Trainer};

use crate::common::golden::{Golden, fill};
use crate::common::{
    distance, gpu, gradients_of_images_hold, mnist_bytes, small, steps_of_images_hold,
};

fn model(components: usize, levels: usize) -> ModelConfig {
    let likelihood = Likelihood::ColourMixture;
    ModelConfig { likelihood, components, levels, ..ModelConfig::default() }
}

/// −log p of each row and the gradient at what was made, of images of so many places and channels.
fn run<T: Real>(
    model: &ModelConfig,
    [places, channels]: [usize; 2],
    made: &[T],
    x: &[T],
) -> [Vec<T>; 2] {
    let pixels = places * channels;
    let (blocks, rows) = (Blocks::of(model, pixels, channels), x.len() / pixels);
    assert_eq!(made.len(), rows * blocks.numbers(), "what is made of {rows} images");
    let mut plan = Plan::new();
    let (at, image) = (plan.matrix("made", rows, blocks.numbers()), plan.matrix("x", rows, pixels));
    let nll = plan.vector("nll", rows);
    let mut parameters = Parameters::new();
    let mut tape = Tape::new(&mut plan, &mut parameters);
    likelihood(&mut tape, model, 1, Observed { made: at, blocks, x: image, nll }, None);
    tape.backward();
    let gradient = tape.grad(at, GradSite::Output).expect("the loss made it");
    let dispatches = tape.take();
    let mut session = Session::<T>::new(&plan, None, 1).expect("enough memory");
    let program = session.load(&Program::new("likelihood", &[&dispatches]));
    session.write(at, made);
    session.write(image, x);
    let mut record = Case::new(String::new(), rows).record;
    record.rates[rate::LOSS_SCALE] = 1.0;
    session.run(program, &[Record { ..record }]);
    [session.read(nll), session.read(gradient)]
}

/// Rows, places, channels, components and levels, and the middle and the reach of the log-scales; as in
/// `tests/golden/colour_mixture.py`.
const CASES: [([usize; 5], [f64; 2]); 5] = [
    ([3, 6, 3, 4, 256], [-2.0, 3.0]),
    ([2, 5, 3, 1, 2], [0.0, 2.0]),
    ([2, 7, 3, 3, 32], [-4.0, 6.0]),
    ([2, 4, 1, 3, 256], [-3.0, 3.0]),
    ([2, 3, 4, 2, 256], [3.0, 6.0]),
];

#[test]
fn losses_and_gradients_equal_pytorch() {
    let golden = Golden::read("colour_mixture.safetensors");
    for (k, ([rows, places, channels, components, levels], scales)) in CASES.into_iter().enumerate()
    {
        let model = model(components, levels);
        let blocks = Blocks::of(&model, places * channels, channels);
        let kind = |block: usize| match block / components {
            0 => [0.0, 3.0],
            group if group <= channels => [0.5, 0.9],
            group if group <= 2 * channels => scales,
            _ => [0.0, 2.5],
        };
        let made = fill(k as u64 + 1, rows * blocks.numbers(), 1.0).into_iter().enumerate();
        let made: Vec<_> = made
            .map(|(i, v)| {
                let [middle, reach] = kind(i % blocks.numbers() / places);
                v * reach + middle
            })
            .collect();
        let steps = (levels - 1) as f64;
        let level = |v: f64| ((v + 1.0) / 2.0 * steps).round() / steps;
        let x = fill(k as u64 + 101, rows * places * channels, 1.0).into_iter();
        let mut x: Vec<_> = x.map(level).collect();
        x[..channels].fill(0.0);
        x[channels..2 * channels].fill(1.0);
        let [nll, gradient] = run(&model, [places, channels], &made, &x);
        let single = [&made, &x].map(|all| all.iter().map(|&v| v as f32).collect::<Vec<_>>());
        let single = run(&model, [places, channels], &single[0], &single[1]);
        for (single, exact) in single.iter().zip([&nll, &gradient]) {
            let apart = distance(&single.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), exact);
            println!("case {k}, f32: {apart:.1e} apart");
            assert!(apart < 1e-5, "case {k}, f32: {apart:e} apart");
        }
        for (key, found) in [("nll", nll), ("gradient", gradient)] {
            let apart = distance(&found, &golden.floats(&format!("{k}.{key}")));
            println!("case {k}, {key}: {apart:.1e} apart");
            // Both are differences, in which a wide scale loses digits.
            assert!(apart < 1e-10, "case {k}, {key}: {apart:e} apart");
        }
    }
}

/// What a decoder could make of a place of so many channels: locations from −0.5 to 1.5 or beyond, coefficients of both
/// signs, and these log-scales.
fn made_of(
    model: &ModelConfig,
    channels: usize,
    (reach, scales): (f64, [f64; 2]),
    i: usize,
) -> Vec<f64> {
    let count = model.components;
    let wave = |k: usize| (1.3 * (k + 7 * i) as f64 + 0.2 * (k * k) as f64).sin();
    let value = |k: usize| match k / count {
        0 => wave(k),
        group if group <= channels => 0.5 + reach * wave(k),
        group if group <= 2 * channels => scales[k % 2],
        _ => 2.0 * wave(k),
    };
    (0..Blocks::of(model, channels, channels).count).map(value).collect()
}

/// What is made of the first channels of the same place: the groups of the others are left out.
fn of_first(made: &[f64], count: usize, [channels, first]: [usize; 2]) -> Vec<f64> {
    let kept = |group: usize| match group {
        0 => true,
        group if group <= 2 * channels => (group - 1) % channels < first,
        group => group - 1 - 2 * channels < first * first.saturating_sub(1) / 2,
    };
    let groups = made.chunks(count).enumerate().filter(|&(group, _)| kept(group));
    groups.flat_map(|(_, group)| group).copied().collect()
}

/// How far the last of so many channels' levels are from summing to 1, given those before it, for the worst of some
/// neighbours: log Σ p(all) / p(those before it).
fn off_by<T: Real>(model: &ModelConfig, made: &[f64], [channels, first]: [usize; 2]) -> f64 {
    let steps = (model.levels - 1) as f64;
    let nll = |channels_of: usize, x: &[f64]| -> Vec<f64> {
        let kept = of_first(made, model.components, [channels, channels_of]);
        let number = |v: &f64| T::from(*v).expect("a number");
        let rows = x.len() / channels_of;
        let [x, made] = [x.to_vec(), kept.repeat(rows)];
        let [x, made] = [x, made].map(|all| all.iter().map(number).collect::<Vec<T>>());
        let [nll, _] = run(model, [1, channels_of], &made, &x);
        nll.into_iter().map(T::widen).collect()
    };
    // Values before the last channel: a few levels with the ends among them, in all pairs.
    let few: Vec<_> = (0..=6).map(|k| (f64::from(k) / 6.0 * steps).round() / steps).collect();
    let before: Vec<Vec<f64>> = match first {
        1 => vec![vec![]],
        2 => few.iter().map(|&r| vec![r]).collect(),
        _ => few.iter().flat_map(|&r| few.iter().map(move |&g| vec![r, g])).collect(),
    };
    let levels = (0..model.levels).map(|k| k as f64 / steps);
    let x: Vec<_> = before
        .iter()
        .flat_map(|b| levels.clone().flat_map(|last| b.iter().copied().chain([last])))
        .collect();
    let all = nll(first, &x);
    let given = match first {
        1 => vec![0.0],
        _ => nll(first - 1, &before.concat()),
    };
    let off = all.chunks(model.levels).zip(&given).map(|(all, given)| {
        let sum: f64 = all.iter().map(|nll| (given - nll).exp()).sum();
        // In f32 −log p itself has so many digits.
        (sum - 1.0).abs() / (1.0 + given.abs())
    });
    off.fold(0.0, |most, off| if off > most || off.is_nan() { off } else { most })
}

/// Levels of each channel sum to 1 given those before it, for one component and for a mixture, with locations beyond the
/// range and scales at both bounds. (Sums of 1.13 and 0.24 come of wrong ends: Vahdat and Kautz 2020, Kingma et al. 2016.)
#[test]
fn levels_sum_to_one_channel_by_channel() {
    let mut worst = [0.0_f64; 2];
    for levels in [2, 32, 256] {
        for components in [1, 3] {
            let model = model(components, levels);
            for (i, kind) in [
                (1.0, [-3.0, -1.0]),
                (1.0, [-8.0, -8.0]),
                (9.0, [-9.0, 8.0]),
                (0.3, [8.0, 9.0]),
                (6.0, [-2.0, 0.5]),
            ]
            .into_iter()
            .enumerate()
            {
                let made = made_of(&model, 3, kind, i);
                for first in 1..=3 {
                    let off = off_by::<f64>(&model, &made, [3, first]);
                    let single = off_by::<f32>(&model, &made, [3, first]);
                    let what = format!("{components} of {levels} levels, {kind:?}, {first}");
                    assert!(off < 1e-9, "{what}: {off:e} from 1");
                    assert!(single < 3e-6, "{what}: {single:e} from 1 in f32");
                    worst = [worst[0].max(off), worst[1].max(single)];
                }
            }
        }
    }
    println!("sums are within {:.1e} of 1, in f32 within {:.1e}", worst[0], worst[1]);
}

/// A state whose decoder makes the same of each z at every place.
fn constant(model: &ModelConfig, size: ImageSize, made: &[f64]) -> State {
    let mut config = Config { model: model.clone(), ..Config::default() };
    (config.model.encoder, config.model.decoder, config.model.latent) = ([].into(), [].into(), 2);
    config.train.batch_size = 100;
    let data = Dataset::from_bytes(size, vec![0; 100 * size.len()]).expect("images");
    let mut trainer = Trainer::new(&Device::Cpu(1), &config, &data, &data).expect("a trainer");
    let mut state = trainer.state().expect("a state");
    let places = size.height * size.width;
    for tensor in &mut state.tensors {
        match tensor.key.as_str() {
            "decoder.0.weight" => tensor.values.fill(0.0),
            "decoder.0.bias" => {
                let blocks = tensor.values.chunks_mut(places).zip(made);
                blocks.for_each(|(block, &v)| block.fill(v as f32));
            }
            _ => (),
        }
    }
    state
}

/// Every colour of a few levels, with its probability by the kernel.
fn colours(model: &ModelConfig, made: &[f64]) -> Vec<([f64; 3], f64)> {
    let levels = model.levels;
    let value = |k: usize| (k % levels) as f64 / (levels - 1) as f64;
    let all = (0..levels.pow(3)).map(|k| [k / levels / levels, k / levels, k].map(value));
    let x: Vec<_> = all.clone().flatten().collect();
    let [nll, _] = run(model, [1, 3], &made.repeat(levels.pow(3)), &x);
    all.zip(nll).map(|(x, nll)| (x, (-nll).exp())).collect()
}

/// Places have the frequencies that the kernel says they have, and so the entropy; the mean that is shown is theirs where no
/// channel comes near the ends, and elsewhere that of each component's locations within the range.
#[test]
fn what_is_drawn_is_as_frequent_as_the_kernel_says() {
    let size = ImageSize { height: 2, width: 3, channels: 3 };
    let model = model(3, 5);
    for (i, kind) in [(0.4, [-2.2, -1.4]), (0.9, [-3.0, -0.5])].into_iter().enumerate() {
        let made = made_of(&model, 3, kind, i);
        let mut shown =
            Model::new(&Device::Cpu(1), &constant(&model, size, &made), None).expect("a model");
        shown.show(Shown::Drawn);
        let drawn = shown.sample(4000, 1.0).expect("samples");
        assert_eq!(shown.sample(3, 1.0).expect("samples"), drawn[..54], "the same again");
        let (colours, count) = (colours(&model, &made), drawn.len() / 3);
        let sum: f64 = colours.iter().map(|(_, p)| p).sum();
        assert!((sum - 1.0).abs() < 1e-9, "all colours: {sum}");
        let mut times = vec![0.0; colours.len()];
        for place in drawn.chunks(3) {
            let level = |v: f32| (v * 4.0).round() as usize;
            times[25 * level(place[0]) + 5 * level(place[1]) + level(place[2])] += 1.0;
        }
        // Pearson's statistic, of colours that are expected often enough, and of the others together.
        let expected = colours.iter().map(|(_, p)| p * count as f64);
        let (often, seldom): (Vec<_>, Vec<_>) =
            expected.zip(times.iter().copied()).partition(|(expected, _)| *expected >= 10.0);
        let rest = seldom.iter().fold((0.0, 0.0), |(e, t), more| (e + more.0, t + more.1));
        let cells = often.iter().chain((rest.0 >= 10.0).then_some(&rest));
        let squared = cells.clone().map(|(e, t)| (t - e).powi(2) / e).sum::<f64>();
        let freedom = cells.count() as f64 - 1.0;
        println!("χ² {squared:.1} of {freedom} degrees of freedom");
        assert!(
            squared < freedom + 5.0 * (2.0 * freedom).sqrt(),
            "χ² {squared}, {freedom} degrees"
        );
        let entropy: f64 = colours.iter().map(|(_, p)| -p * p.ln()).sum();
        let found =
            times.iter().zip(&colours).map(|(t, (_, p))| -t * p.ln()).sum::<f64>() / count as f64;
        assert!((found - entropy).abs() < 0.05, "the entropy {found}, expected {entropy} nats");
    }
}

#[test]
fn means_are_those_of_what_is_drawn_in_the_middle_of_the_range() {
    let size = ImageSize { height: 2, width: 3, channels: 3 };
    let model = model(2, 256);
    let mut made = made_of(&model, 3, (0.05, [-4.0, -3.6]), 2);
    let state = constant(&model, size, &made);
    let mut shown = Model::new(&Device::Cpu(1), &state, None).expect("a model");
    let means = shown.decode(&[0.0; 2]).expect("an image");
    shown.show(Shown::Drawn);
    let drawn = shown.sample(4000, 1.0).expect("samples");
    for channel in 0..3 {
        let all = drawn.iter().skip(channel).step_by(3).map(|&v| f64::from(v));
        let mean = all.clone().sum::<f64>() / 24_000.0;
        let spread = (all.map(|v| (v - mean).powi(2)).sum::<f64>() / 24_000.0).sqrt();
        let found = f64::from(means[channel]);
        let allowed = 4.5 * spread / 24_000_f64.sqrt();
        println!(
            "channel {channel}: {found:.5} shown, {mean:.5} drawn, a deviation of {spread:.4}"
        );
        assert!(
            (found - mean).abs() < allowed,
            "channel {channel}: {found}, drawn {mean} ± {allowed}"
        );
        assert!(means.iter().skip(channel).step_by(3).all(|&v| v == means[channel]), "every place");
    }
    // The locations of both components far beyond the range: green follows what red can be.
    made[2..8].copy_from_slice(&[9.0, 9.0, 0.5, 0.5, -7.0, -7.0]);
    made[14..].copy_from_slice(&[0.2, 0.2, 0.0, 0.0, 0.0, 0.0]);
    let means = {
        let state = constant(&model, size, &made);
        Model::new(&Device::Cpu(1), &state, None)
            .expect("a model")
            .decode(&[0.0; 2])
            .expect("an image")
    };
    let expected = [1.0, 0.5 + 0.5 * 0.2_f64.tanh(), 0.0];
    let off = distance(&means[..3].iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), &expected);
    assert!(off < 1e-6, "{:?}, expected {expected:?}", &means[..3]);
}

/// Images of 4 × 5 places whose channels are the same pixel of three images.
fn images() -> (Vec<u8>, ImageSize) {
    let bytes = mnist_bytes(120);
    let at = |place: usize| (11 + place / 5) * 28 + 11 + place % 5;
    let of = |image: usize| {
        let bytes = &bytes;
        (0..20).flat_map(move |place| (0..3).map(move |c| bytes[(3 * image + c) * 784 + at(place)]))
    };
    ((0..40).flat_map(of).collect(), ImageSize { height: 4, width: 5, channels: 3 })
}

#[test]
fn steps_equal_the_oracle() {
    let gpu = gpu();
    let (bytes, size) = images();
    for decoder in ["[23]", "['linear 60', 'relu', 'map 4x5x3']"] {
        let text = format!(
            "model.decoder = {decoder}\nmodel.likelihood = 'colour-mixture'\nmodel.components = 3"
        );
        let mut config = Config::from_toml(&text).expect("a configuration");
        config.model.encoder = small().model.encoder;
        (config.model.latent, config.train.batch_size) = (5, 12);
        steps_of_images_hold(decoder, &config, &gpu, (&bytes, size));
        let worst = gradients_of_images_hold(decoder, &config, (&bytes, size));
        println!("{decoder}: gradients within {worst:.1e} of central differences");
    }
}
