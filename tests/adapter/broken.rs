//! Numbers that break: every injected fault is found in its own step, and training stops, leaves the
//! step out, or goes back, as it was told.

use elbo::config::{Config, Likelihood, NonFinite, Rule};
use elbo::session::Session;
use elbo::train::Way;
use elbo::{Dataset, Device, ErrorKind, Trainer};

use crate::common::{gpu, survived};

const IMAGES: usize = 60;
const PIXELS: usize = 16;
/// Steps of an epoch.
const EPOCH: u64 = 5;

fn config(non_finite: NonFinite) -> Config {
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([9].into(), [7].into());
    config.model.latent = 3;
    config.model.likelihood = Likelihood::Normal;
    config.model.sigma = 0.5;
    config.train.batch_size = 12;
    config.train.non_finite = non_finite;
    config
}

/// Images with one pixel replaced.
fn data(fault: Option<(usize, f32)>) -> Dataset {
    let mut pixels: Vec<_> = (0..IMAGES * PIXELS).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
    if let Some((at, value)) = fault {
        pixels[at] = value;
    }
    Dataset::from_floats([4, 4], pixels).expect("finite pixels")
}

fn trainer(device: &Device, config: &Config, fault: Option<(usize, f32)>) -> Trainer {
    Trainer::new(device, config, &data(fault), &data(None)).expect("a trainer")
}

/// The step, counted from one, that each image is used in, in the first epochs.
fn steps_of(config: &Config, epochs: u64) -> Vec<Vec<u64>> {
    let mut trainer = trainer(&Device::Cpu(1), config, None);
    let image = trainer.vae().ports.image;
    let mut steps = vec![Vec::new(); IMAGES];
    for step in 1..=epochs * EPOCH {
        trainer.step().and_then(|()| trainer.wait()).expect("a clean step");
        let Session::Cpu(session) = trainer.session() else { panic!("the CPU's") };
        let used = session.read_buffer(image.buffer().index());
        used[image.range()][..12].iter().for_each(|&i| steps[i as usize].push(step));
    }
    steps
}

fn devices() -> [Device; 2] {
    [Device::Cpu(1), Device::Gpu(gpu())]
}

/// A loss that overflows, a gradient whose square would, and a weight that is no number.
#[test]
fn every_fault_is_found_in_its_step() {
    let config = config(NonFinite::Stop);
    let steps = steps_of(&config, 1);
    let devices = devices();
    for i in 0..200_usize {
        let device = &devices[i % 2];
        let at = i * 131 % (IMAGES * PIXELS);
        let (fault, expected) = match i / 2 % 3 {
            0 => (Some((at, 1e30)), steps[at / PIXELS][0]),
            1 => (Some((at, 6e18)), steps[at / PIXELS][0]),
            _ => (None, 1 + i as u64 % EPOCH),
        };
        let mut trainer = trainer(device, &config, fault);
        trainer.set_steps_per_submit(1 + i % 7);
        if fault.is_none() {
            trainer.advance(expected - 1).and_then(|()| trainer.wait()).expect("clean steps");
            let parameters = trainer.vae().parameters.list();
            let tensor = parameters[i / 6 % parameters.len()].value;
            let mut values = trainer.session().read(tensor).expect("a parameter");
            let (len, bad) = (values.len(), [f32::NAN, f32::INFINITY][i / 6 % 2]);
            values[i % len] = bad;
            trainer.session().write(tensor, &values).expect("a fault");
        }
        let error = trainer.advance(EPOCH).and_then(|()| trainer.wait()).expect_err("a fault");
        assert_eq!(error.kind(), ErrorKind::Numbers, "{error}");
        let says = error.to_string();
        let step = format!("at step {expected}: ");
        assert!(says.contains(&step), "{i} on {}: `{says}`, but {step}", device.kind());
    }
}

#[test]
fn a_step_that_is_left_out_leaves_everything_as_it_was() {
    let config = config(NonFinite::Skip);
    let steps = &steps_of(&config, 3)[7];
    for device in devices() {
        for value in [1e30, 6e18] {
            let fault = Some((7 * PIXELS + 3, value));
            let mut alone = trainer(&device, &config, fault);
            alone.advance(steps[0] - 1).expect("clean steps");
            let before = alone.state().expect("a state");
            alone.advance(1).expect("a step that is left out");
            let after = alone.state().expect("a state");
            assert!(before.tensors == after.tensors, "{value} on {}", device.kind());
            assert_eq!(after.trained.sums, before.trained.sums, "its losses do not count");
            let end = |steps_per_submit| {
                let mut trainer = trainer(&device, &config, fault);
                trainer.set_steps_per_submit(steps_per_submit);
                trainer.advance(3 * EPOCH).expect("steps");
                let state = trainer.state().expect("a state");
                let broken = survived(&mut trainer);
                assert!(broken.iter().all(|b| b.way == Way::Skipped), "{broken:?}");
                assert_eq!(&broken.iter().map(|b| b.step).collect::<Vec<_>>(), steps);
                assert!(broken.iter().all(|b| b.what.contains('`')), "tensors: {broken:?}");
                assert_eq!((state.trained.skipped, state.trained.step), (3, 3 * EPOCH));
                state
            };
            let first = end(1);
            assert!(end(4) == first && end(64) == first, "{value} on {}", device.kind());
            let finite = first.tensors.iter().flat_map(|t| &t.values).all(|v| v.is_finite());
            assert!(finite, "{value} on {}", device.kind());
        }
    }
}

#[test]
fn training_goes_back_with_half_the_rate() {
    let mut config = config(NonFinite::RollBack);
    (config.optimizer.rule, config.optimizer.lr) = (Rule::Sgd, 3.0);
    for device in devices() {
        let end = |steps_per_submit| {
            let mut trainer = trainer(&device, &config, None);
            trainer.set_steps_per_submit(steps_per_submit);
            trainer.advance(2 * EPOCH).expect("steps");
            let state = trainer.state().expect("a state");
            let broken = survived(&mut trainer);
            (state, broken)
        };
        let (state, broken) = end(1);
        let trained = state.trained;
        assert!(trained.rolled_back > 0 && trained.step == 2 * EPOCH, "{broken:?}");
        assert_eq!(trained.rate_scale, 0.5_f64.powi(trained.rolled_back as i32));
        assert_eq!(broken.len() as u64, trained.rolled_back);
        let last = Way::RolledBack { to: 0, rate_scale: trained.rate_scale };
        assert_eq!(broken.last().expect("one").way, last);
        assert!(end(3) == (state.clone(), broken.clone()), "three steps a submit");
        assert!(end(64) == (state, broken), "all in one submit");
    }
}

#[test]
fn training_goes_back_to_what_was_evaluated_last() {
    let config = config(NonFinite::RollBack);
    for device in devices() {
        let mut trainer = trainer(&device, &config, None);
        trainer.advance(EPOCH).expect("steps");
        trainer.evaluate().expect("finite losses");
        let good = trainer.state().expect("a state");
        trainer.advance(2).and_then(|()| trainer.wait()).expect("steps");
        // The output's: a ReLU would hide it from the losses, though not from the update.
        let tensor = trainer.vae().parameters.list().last().expect("a bias").value;
        let mut values = trainer.session().read(tensor).expect("weights");
        values[0] = f32::NAN;
        trainer.session().write(tensor, &values).expect("a fault");
        assert!(trainer.evaluate_or_go_back().expect("a way on").is_none(), "a NaN");
        let state = trainer.state().expect("a state");
        assert_eq!((state.trained.step, state.trained.rate_scale), (EPOCH, 0.5));
        assert!(state.tensors == good.tensors, "the weights and moments of then");
        assert!(trainer.evaluate_or_go_back().expect("finite losses").is_some());
    }
}

#[test]
fn what_cannot_be_mended_stops_or_is_left_out() {
    for (way, device) in [(NonFinite::RollBack, Device::Cpu(1)), (NonFinite::Skip, Device::Cpu(1))]
    {
        let mut trainer = trainer(&device, &config(way), Some((5, 1e30)));
        let done = trainer.advance(EPOCH).and_then(|()| trainer.wait());
        match way {
            NonFinite::RollBack => {
                assert_eq!(done.expect_err("a fault of the data").kind(), ErrorKind::Numbers);
                assert_eq!(trainer.trained().rolled_back, 20, "often enough");
            }
            _ => done.expect("a step is left out"),
        }
        // A weight that is no number breaks every step from then on: all are left out.
        let tensor = trainer.vae().parameters.list()[0].value;
        let len = trainer.session().read(tensor).expect("weights").len();
        trainer.session().write(tensor, &vec![f32::NAN; len]).expect("a fault");
        if way == NonFinite::Skip {
            trainer.advance(EPOCH).and_then(|()| trainer.wait()).expect("all are left out");
            assert_eq!(trainer.trained().skipped, 1 + EPOCH);
        }
    }
}
