//! States of runs: they come back to the bit, on both sessions, and hostile files are refused.

use std::path::Path;

use elbo::checkpoint::{Best, Course, State, Weight, weights_from_bytes, weights_to_bytes};
use elbo::config::{Config, DataConfig, NonFinite, Rule};
use elbo::data::Reading;
use elbo::{Dataset, Device, ErrorKind, Trainer};
use proptest::prelude::*;

use crate::common::gpu;

fn small() -> Config {
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([9].into(), [7].into());
    config.model.latent = 3;
    // The last minibatch of an epoch has 4 images.
    config.train.batch_size = 12;
    config
}

fn data() -> (Dataset, Dataset) {
    let set = |count, seed| Dataset::synthetic(count, [5, 6], seed).expect("made images");
    (set(100, 1), set(20, 2))
}

fn trainer(device: &Device, config: &Config) -> Trainer {
    let (train, test) = data();
    Trainer::new(device, config, &train, &test).expect("a trainer")
}

/// Steps of an epoch of these.
const EPOCH: u64 = 9;

fn path() -> &'static Path {
    Path::new("some/checkpoint.safetensors")
}

/// By way of a file's bytes.
fn again(state: &State) -> State {
    let bytes = state.to_bytes().expect("a state can be written");
    let read = State::from_bytes(path(), &bytes).expect("what is written can be read");
    assert_eq!(read.to_bytes().expect("again"), bytes, "the same state, the same bytes");
    read
}

#[test]
fn a_run_that_stopped_ends_with_the_same_bits() {
    let rules = [(Rule::Adam, 0.0), (Rule::Sgd, 0.9)];
    for device in [Device::Cpu(2), Device::Gpu(gpu())] {
        for (rule, momentum) in rules {
            let mut config = small();
            (config.optimizer.rule, config.optimizer.momentum) = (rule, momentum);
            config.optimizer.lr = 1e-3;
            let last = 3 * EPOCH;
            let end = |trainer: &mut Trainer, steps| {
                trainer.advance(steps).expect("steps");
                (trainer.state().expect("a state"), trainer.finish().expect("losses"))
            };
            let never_stopped = end(&mut trainer(&device, &config), last);
            assert!(never_stopped.1.loss.is_finite(), "{:?}", never_stopped.1);
            // The first, in the middle and at the edge of an epoch, the last.
            for stop in [1, 7, EPOCH + 4, 2 * EPOCH, last] {
                let mut first = trainer(&device, &config);
                first.set_steps_per_submit(3);
                first.advance(stop).expect("steps");
                let state = again(&first.state().expect("a state"));
                drop(first);
                let (train, test) = data();
                let resumed = Trainer::resume(&device, &state, &train, &test);
                let mut resumed = resumed.expect("the state of this data");
                resumed.set_steps_per_submit(5);
                let found = end(&mut resumed, last - stop);
                assert!(found == never_stopped, "{rule:?} on {}: {stop}", device.name());
            }
        }
    }
}

#[test]
fn a_state_is_restored_into_a_trainer_that_is_elsewhere() {
    let mut trainer = trainer(&Device::Cpu(1), &small());
    trainer.advance(4).expect("steps");
    let state = trainer.state().expect("a state");
    trainer.advance(9).expect("steps");
    trainer.restore(&state).expect("its own state");
    assert_eq!(trainer.steps_taken(), 4);
    assert!(trainer.state().expect("a state") == state);
}

/// What is refused: a state, and what the refusal says.
#[test]
fn a_state_of_something_else_is_refused() {
    let mut trainer = trainer(&Device::Cpu(1), &small());
    trainer.advance(2).expect("steps");
    let good = trainer.state().expect("a state");
    let refused = |change: &dyn Fn(&mut State)| {
        let mut state = good.clone();
        change(&mut state);
        let mut other = self::trainer(&Device::Cpu(1), &small());
        let before = other.state().expect("a state");
        let error = other.restore(&state).expect_err("a state of something else");
        assert!(error.advice().is_some(), "{error} has a hint");
        assert!(other.state().expect("a state") == before, "it is as it was: {error}");
        error.to_string()
    };
    let says = |error: String, what: &str| assert!(error.contains(what), "{error}: {what}");
    says(refused(&|state| state.config.optimizer.lr = 0.5), "configuration");
    says(refused(&|state| state.size = [6, 5].into()), "6 × 5");
    says(refused(&|state| state.data = Some(["00".to_owned(), "11".to_owned()])), "SHA-256");
    says(refused(&|state| drop(state.tensors.remove(0))), "fc1.weight");
    says(refused(&|state| state.tensors[1].key.push('x')), "fc1.bias");
    says(refused(&|state| state.tensors[0].shape = vec![30, 9]), "[30, 9]");
    let extra = Weight { key: "fc9".to_owned(), shape: vec![1], values: vec![0.0] };
    says(refused(&|state| state.tensors.push(extra.clone())), "fc9");
    // When training ends and where the data lies is free.
    let mut state = good.clone();
    (state.config.train.epochs, state.config.train.data) = (99, Some("elsewhere".into()));
    trainer.restore(&state).expect("the same but for its end");
}

fn a_state() -> State {
    let mut trainer = trainer(&Device::Cpu(1), &small());
    trainer.advance(5).expect("steps");
    let mut state = trainer.state().expect("a state");
    let best = Some(Best { epoch: 2, loss: 20.25 });
    state.course = Course { epochs: 3, log_bytes: 1234, best };
    state
}

#[test]
fn everything_of_a_state_comes_back() {
    let mut state = a_state();
    state.config.train.non_finite = NonFinite::RollBack;
    state.trained.rate_scale = 0.125;
    (state.trained.skipped, state.trained.rolled_back) = (3, 4);
    let read = again(&state);
    state.tensors.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(read, state);
}

/// A file of one tensor under each key, with metadata.
fn file(keys: &[&str], metadata: Option<&str>) -> Vec<u8> {
    let entries: Vec<_> = (0..)
        .zip(keys)
        .map(|(i, key)| {
            let (from, to) = (4 * i, 4 * i + 4);
            format!(r#""{key}":{{"dtype":"F32","shape":[1],"data_offsets":[{from},{to}]}}"#)
        })
        .collect();
    let metadata = metadata.map(|text| format!(r#""__metadata__":{text}"#));
    let header = metadata.into_iter().chain(entries).collect::<Vec<_>>().join(",");
    raw(&format!("{{{header}}}"), 4 * keys.len())
}

fn raw(header: &str, bytes: usize) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &vec![0; bytes]].concat()
}

/// The good state with part of its metadata replaced by something as long or not.
fn edited(from: &str, to: &str) -> Vec<u8> {
    let bytes = a_state().to_bytes().expect("a state");
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).expect("JSON");
    assert!(header.contains(from), "`{from}` is in {header}");
    let header = header.trim_end().replacen(from, to, 1);
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes[8 + length..]].concat()
}

/// A state of the first version, whose keys these were, has what others default to.
#[test]
fn a_state_of_the_first_version_goes_on() {
    const KEYS: &str = "format version size data device step rate_scale skipped rolled_back recon kl \
        images epochs log_bytes best epoch loss encoder latent decoder activation likelihood sigma beta \
        reduction rule lr beta1 beta2 epsilon weight-decay momentum nesterov clip-norm batch-size seed \
        pixels max-steps limit patience non-finite";
    let mut state = a_state();
    let bytes = state.to_bytes().expect("a state");
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).expect("JSON");
    let (about, tensors) = header.split_once("\"}").expect("the metadata ends");
    let known = |line: &&str| {
        let key = line.split_once(" = ").map(|(key, _)| key);
        let table = line.starts_with("[reading") || line.starts_with("[config.data");
        !table
            && key.is_none_or(|key| key.contains('{') || KEYS.split(' ').any(|known| known == key))
    };
    let lines: Vec<_> = about.split("\\n").collect();
    let old: Vec<_> = lines.iter().copied().filter(known).collect();
    assert!(old.len() + 30 < lines.len(), "{} of {} lines are old", old.len(), lines.len());
    let header = format!("{}\"}}{}", old.join("\\n"), tensors.trim_end());
    let head = (header.len() as u64).to_le_bytes();
    let bytes = [&head[..], header.as_bytes(), &bytes[8 + length..]].concat();
    let read = State::from_bytes(path(), &bytes).expect("an old state");
    state.tensors.sort_by(|a, b| a.key.cmp(&b.key));
    // Each file was read by its own content then.
    (state.reading, state.config.data) = (Reading::default(), DataConfig::before());
    // What was minimised was not summed then.
    state.trained.sums = read.trained.sums;
    assert_eq!(read, state);
    trainer(&Device::Cpu(1), &state.config).restore(&read).expect("it goes on");
}

#[test]
fn malformed_states_are_refused() {
    let good = a_state().to_bytes().expect("a state");
    let nan = {
        let mut state = a_state();
        state.tensors[0].values[3] = f32::NAN;
        state.to_bytes().expect("bytes")
    };
    #[rustfmt::skip]
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", vec![], "no safetensors"),
        ("a few bytes", vec![1, 2, 3], "no safetensors"),
        ("cut in the header", good[..100].to_vec(), "no safetensors"),
        ("cut in the values", good[..good.len() - 1].to_vec(), "no safetensors"),
        ("longer than it says", [&good[..], &[0]].concat(), "no safetensors"),
        ("a header of 2⁶³ bytes", [&[255; 7][..], &[127], &good[8..]].concat(), "a header of"),
        ("a header of 4 GiB", [&[0, 0, 0, 0, 1, 0, 0, 0][..], &good[8..]].concat(), "a header of"),
        ("no JSON", raw("{]", 0), "no safetensors"),
        ("JSON of another kind", raw("[1, 2]", 0), "no safetensors"),
        ("deep JSON", raw(&"[".repeat(100_000), 0), "no safetensors"),
        ("pickle", b"\x80\x02}q\x00.".repeat(9), "a header of"),
        ("weights alone", file(&["fc1.weight"], None), "no state of a run"),
        ("another program's metadata", file(&["a"], Some(r#"{"format":"pt"}"#)), "no state of a run"),
        ("no TOML", file(&["a"], Some(r#"{"elbo":"]"}"#)), "metadata"),
        ("a newer format", edited("format = 1", "format = 2"), "format 2"),
        ("no format", edited("format = 1", "format = 0"), "format 0"),
        ("an unknown key", edited("format = 1", "format = 1\\nfoo = 3"), "foo"),
        ("a missing key", edited("epochs = 3", ""), "epochs"),
        ("a negative step", edited("step = 5", "step = -5"), "metadata"),
        ("no batch", edited("batch-size = 12", "batch-size = 0"), "batch-size"),
        ("a huge layer", edited("encoder = [9]", "encoder = [9000000000]"), "encoder"),
        ("no rate", edited("rate_scale = 1.0", "rate_scale = 0.0"), "scaled by 0"),
        ("a NaN rate", edited("rate_scale = 1.0", "rate_scale = nan"), "scaled by NaN"),
        ("no image", edited("size = [5, 6]", "size = [0, 6]"), "0 × 6"),
        ("images beyond memory", edited("size = [5, 6]", "size = [9000000000000, 9000000000000]"), "9000000000000"),
        ("a best epoch to come", edited("epoch = 2", "epoch = 9"), "number 9 was best"),
        ("a best epoch of none", edited("epochs = 3", "epochs = 0"), "number 2 was best"),
        ("a best epoch before the first", edited("epoch = 2", "epoch = 0"), "number 0 was best"),
        ("epochs beyond counting", edited("epochs = 3", "epochs = 9000000000000000000"), "epochs"),
        ("steps beyond counting", edited("step = 5", "step = 5000000000"), "5000000000 steps"),
        ("left out beyond counting", edited("skipped = 0", "skipped = 5000000000"), "skipped steps"),
        ("images beyond counting", edited("images = ", "images = 50000000000"), "images, more than"),
        ("a range of NaN", edited("shown = [0.0, 1.0]", "shown = [0.0, nan]"), "its reading of values cannot be"),
        ("a white of zero", edited("white = 255.0", "white = 0.0"), "its reading of values cannot be"),
        ("integers", edited("F32", "I32"), "I32"),
        ("half floats", edited("F32", "F16"), "no safetensors"),
        ("a NaN", nan, "NaN"),
    ];
    for (case, bytes, says) in cases {
        let error = State::from_bytes(path(), &bytes).expect_err(case);
        assert_eq!(error.kind(), ErrorKind::Data, "{case}: {error}");
        let text = error.to_string();
        assert!(text.contains(says) && text.contains("some/checkpoint"), "{case}: {text}");
        assert!(error.advice().is_some(), "{case}: {text} has a hint");
    }
}

#[test]
fn weights_come_back_and_foreign_types_are_refused() {
    let weights = a_state().weights();
    assert_eq!(weights.len(), 10, "five layers");
    let bytes = weights_to_bytes(&weights).expect("bytes");
    let mut read = weights_from_bytes(path(), &bytes).expect("what was written");
    let mut weights = weights;
    weights.sort_by(|a, b| a.key.cmp(&b.key));
    read.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(read, weights);
    let error = weights_from_bytes(path(), &edited("F32", "I32")).expect_err("integers");
    assert!(error.to_string().contains("I32"), "{error}");
}

/// Weights that PyTorch wrote have the loss that PyTorch computes of them, and go out as they came
/// in; `tests/golden/exchange.py` made the file and the numbers.
#[test]
fn weights_of_pytorch_have_its_loss() {
    let bytes = include_bytes!("../golden/exchange.safetensors");
    let theirs = weights_from_bytes(path(), bytes).expect("a state_dict");
    let (mut config, images) = (small(), golden_images());
    config.model.decoder = [9].into();
    for device in [Device::Cpu(1), Device::Gpu(gpu())] {
        let data = Dataset::from_bytes([5, 6], images.clone()).expect("twelve images");
        let mut trainer = Trainer::new(&device, &config, &data, &data).expect("a trainer");
        let mut state = trainer.state().expect("a state");
        for weight in &theirs {
            let ours = state.tensors.iter_mut().find(|ours| ours.key == weight.key);
            *ours.expect("the same names") = weight.clone();
        }
        trainer.restore(&state).expect("the same shapes");
        let found = trainer.evaluate().expect("finite losses").at_mean;
        for (found, expected) in [(found.recon, 24.125168320753), (found.kl, 1.081009719897)] {
            let apart = (found - expected).abs() / expected;
            assert!(apart < 1e-6, "{}: {found}, PyTorch has {expected}", device.kind());
        }
        let mut ours = trainer.weights().expect("weights");
        ours.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(ours, theirs, "there and back");
    }
}

/// The first twelve images of 30 pixels of step 1, by the formula of `tests/golden/README.md`.
fn golden_images() -> Vec<u8> {
    let value = |i: u64| {
        let mut z = ((1001 << 32) + i).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f64 / 16_777_216.0
    };
    (0..360).map(|i| (value(i) * 256.0) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn no_change_of_a_state_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        use std::sync::OnceLock;
        static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
        let mut bytes = GOOD.get_or_init(|| a_state().to_bytes().expect("a state")).clone();
        if !whole {
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(state) = State::from_bytes(path(), &bytes) {
            // Whatever passes can be judged by a trainer.
            let _ = trainer(&Device::Cpu(1), &small()).restore(&state);
        }
    }
}
