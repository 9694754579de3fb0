//! A dataset that comes through a window trains and looks as one that lies on the device.

use elbo::config::{Config, Corruption, Likelihood, NonFinite, Pixels, Rule, Scale};
use elbo::evaluate::Z;
use elbo::train::Way;
use elbo::{Dataset, Device, Trainer};

use crate::common::{gpu, small, survived};

/// Images to train and to test on, each with one of three classes.
fn data(floats: bool) -> [Dataset; 2] {
    [(203, 1), (41, 2)].map(|(count, seed)| {
        let bytes = Dataset::synthetic(count, [5, 7], seed).expect("images");
        let data = match floats {
            true => Dataset::from_floats([5, 7], bytes.pixels(0..count).expect("pixels"))
                .expect("images"),
            false => bytes,
        };
        let classes = (0..count).map(|image| (image * 7 % 3) as u8).collect();
        data.with_labels(classes).expect("a class each")
    })
}

/// Every way in which a program takes images: through products that read bytes, gathered, tossed, disturbed, with
/// classes, in parts that do and do not fill a minibatch.
fn kinds() -> Vec<(&'static str, Config, bool)> {
    let kind = |name, floats, change: fn(&mut Config)| {
        let mut config = small();
        (config.train.batch_size, config.train.seed) = (24, 5);
        change(&mut config);
        (name, config, floats)
    };
    vec![
        kind("bytes", false, |_| ()),
        kind("floats", true, |_| ()),
        kind("told bytes", false, |c| c.model.classes = 3),
        kind("told floats", true, |c| c.model.classes = 3),
        kind("tossed", false, |c| c.train.pixels = Pixels::Binarised),
        kind("tossed once, told", false, |c| {
            (c.train.pixels, c.model.classes) = (Pixels::BinarisedOnce, 3);
        }),
        kind("corrupted, with dropout", false, |c| {
            (c.train.corruption, c.train.corruption_level) = (Corruption::Mask, 0.3);
            c.model.dropout = 0.2;
        }),
        kind("mirrored and shifted, tossed", false, |c| {
            (c.train.flip, c.train.shift, c.train.pixels) = (true, 2, Pixels::Binarised);
        }),
        kind("another contrast, told", true, |c| (c.train.jitter, c.model.classes) = (0.2, 3)),
        kind("normal, three z", false, |c| {
            (c.model.likelihood, c.model.scale) = (Likelihood::Normal, Scale::Shared);
            c.objective.samples = 3;
        }),
        kind("in parts", false, |c| (c.train.accumulate, c.model.classes) = (4, 3)),
        kind("goes back", true, |c| {
            c.train.non_finite = NonFinite::RollBack;
            (c.optimizer.rule, c.optimizer.lr) = (Rule::Sgd, 3.0);
        }),
    ]
}

/// Everything that a run makes: losses, weights and looks, to the bit.
fn made(device: &Device, config: &Config, [train, test]: &[Dataset; 2]) -> Vec<String> {
    let mut trainer = Trainer::new(device, config, train, test).expect("a trainer");
    let mut all = Vec::new();
    for steps in [1, 7, 13] {
        trainer.advance(steps).expect("steps");
        all.push(format!("{:?}", trainer.finish().expect("losses")));
        all.push(format!("{:?}", trainer.evaluate_or_go_back().expect("a look")));
    }
    let broken = survived(&mut trainer);
    let goes_back = config.train.non_finite == NonFinite::RollBack;
    assert_eq!(goes_back, !broken.is_empty(), "{broken:?}");
    for broken in broken {
        assert!(matches!(broken.way, Way::RolledBack { .. }), "{broken:?}");
        all.push(format!("{broken:?}"));
    }
    all.push(format!("{:?}", trainer.state().expect("a state").to_bytes()));
    let model = trainer.model().expect("a model");
    all.push(format!("{:?}", model.each(Z::Sampled)));
    all.push(format!("{:?}", model.reconstruct(3..40)));
    all.push(format!("{:?}", model.encode(0..41)));
    all.push(format!("{:?}", model.log_likelihood(3, |_| ())));
    all
}

#[test]
fn a_window_changes_no_bit() {
    for (name, config, floats) in kinds() {
        let whole = data(floats);
        for device in [Device::Cpu(2), Device::Gpu(gpu())] {
            let expected = made(&device, &config, &whole);
            // One minibatch at a time, and some: rows take 48 to 160 bytes.
            for bytes in [1, 9000] {
                let streamed = whole.clone().map(|data| data.streamed(bytes));
                let mut vae = Trainer::new(&device, &config, &streamed[0], &streamed[1]);
                let planned = vae.as_mut().expect("a trainer").vae().ports.train[0].rows;
                assert!(planned < 203, "{name}: a window of {planned} rows");
                let found = made(&device, &config, &streamed);
                for (found, expected) in found.iter().zip(&expected) {
                    assert_eq!(found, expected, "{name}, {bytes}, {}", device.kind());
                }
                assert_eq!(found.len(), expected.len(), "{name}");
            }
        }
    }
}

#[test]
fn a_dataset_that_fits_its_window_lies_whole() {
    let [train, test] = data(false).map(|data| data.streamed(1 << 20));
    let trainer = Trainer::new(&Device::Cpu(1), &small(), &train, &test).expect("a trainer");
    assert_eq!(trainer.vae().ports.train[0].rows, 203, "all images");
}
