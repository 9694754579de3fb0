//! What a card says of each kind of model.

use elbo::checkpoint::{Best, Course, Trained, Weight};
use elbo::config::{Activation, Entry, Gradient, Layer, Layers, Pixels, Rule, Schedule};

use super::*;

fn state() -> State {
    let mut config = Config::default();
    (config.model.encoder, config.model.decoder) = ([6, 5].into(), [].into());
    (config.model.latent, config.model.activation) = (2, Activation::Gelu);
    config.objective.beta = 4.0;
    config.train.data = Some("/home/someone/digits".into());
    (config.train.seed, config.train.batch_size) = (17, 9);
    let weight = |key: &str, shape: [usize; 2]| Weight {
        key: key.to_owned(),
        shape: shape.to_vec(),
        values: vec![0.5; shape[0] * shape[1]],
    };
    State {
        config,
        size: [3, 4].into(),
        reading: elbo::data::Reading::default(),
        data: Some(["aa11".to_owned(), "bb22".to_owned()]),
        test: None,
        device: None,
        trained: Trained { step: 321, ..Trained::default() },
        course: Course { epochs: 3, log_bytes: 0, best: Some(Best { epoch: 2, loss: 98.765 }) },
        tensors: vec![
            weight("encoder.0.weight", [6, 12]),
            weight("optimizer.first.encoder.0.weight", [6, 12]),
        ],
    }
}

fn card_of(state: &State, tested: Option<&Evaluation>) -> String {
    let tested = tested.map(|tested| ("test", *tested));
    card(state, tested.as_slice()).expect("layers that fit")
}

/// Fails if a card lacks one of these words.
fn says(card: &str, words: &[&str]) {
    for word in words {
        assert!(card.contains(word), "`{word}` is not in the card:\n{card}");
    }
}

#[test]
fn it_says_how_images_were_changed() {
    let mut state = state();
    assert!(!card_of(&state, None).contains("In training steps"), "they were not");
    let train = &mut state.config.train;
    (train.flip, train.shift, train.jitter) = (true, 2, 0.1);
    let changed = "In training steps images were mirrored with probability ½, shifted by up to 2 pixels, changed in \
                   contrast and brightness by up to 0.1.\n";
    says(&card_of(&state, None), &[changed]);
    (state.config.train.flip, state.config.train.jitter) = (false, 0.0);
    says(&card_of(&state, None), &["In training steps images were shifted by up to 2 pixels.\n"]);
}

#[test]
fn a_conditional_model_is_told_apart() {
    let mut state = state();
    for word in ["conditional on", "conditional-vae", "one of", "\"y\"", "labels |"] {
        assert!(!card_of(&state, None).contains(word), "`{word}` of a model without classes");
    }
    state.config.model.classes = 3;
    let text = card_of(&state, None);
    says(&text, &["one of 3 classes", "15-6-5-2", "5-12", "pixels and labels |"]);
    says(&text, &["numpy.eye(3, dtype", "{\"z\": z, \"y\": y}"]);
}

#[test]
fn the_hub_reads_what_it_is() {
    let mut state = state();
    let text = card_of(&state, None);
    let (front, _) = text.split_once("---\n\n# A variational").expect("the front matter ends");
    assert!(front.starts_with("---\nlibrary_name: elbo\npipeline_tag: unconditional-"), "{front}");
    says(front, &["\n- vae\n", "\n- beta-vae\n"]);
    assert!(!front.contains("model-index") && !front.contains("iwae"), "{front}");
    let losses = Losses { loss: 1.5, recon: 1.0, kl: 0.5 };
    let tested =
        |loss| Evaluation { sampled: Losses { loss, ..losses }, at_mean: losses, images: 7 };
    let text = card_of(&state, Some(&tested(1.25)));
    says(&text, &["- name: \"vae-12-6-5-2\"", "type: \"digits\"", "split: test", "images: 7"]);
    says(&text, &["- type: negative-elbo\n      value: 1.2500\n"]);
    assert!(!card_of(&state, Some(&tested(f64::NAN))).contains("model-index"), "no loss");
    (state.config.model.classes, state.config.objective.importance) = (3, 5);
    let text = card_of(&state, None);
    says(&text, &["- conditional-vae\n", "- iwae\n"]);
    assert!(!text.contains("pipeline_tag"), "no task of the Hub's: {text}");
    state.config.model.posterior = elbo::config::Posterior::Point;
    let text = card_of(&state, Some(&tested(1.0)));
    says(&text, &["\"autoencoder-", "type: image-feature-extraction", "reconstruction-loss"]);
    for word in ["- vae", "negative-elbo", "kl-divergence"] {
        assert!(!text.contains(word), "`{word}` of a plain autoencoder: {text}");
    }
}

#[test]
fn layers_that_stand_for_themselves_are_listed() {
    let mut state = state();
    assert!(!card_of(&state, None).contains("| layers of the"), "numbers alone");
    let layers = [Layer::Linear(6), Layer::Norm, Layer::Activation(Activation::Silu)];
    let mut layers = layers.map(Entry::Layer).to_vec();
    layers.push(Entry::Hidden(5));
    state.config.model.encoder = Layers(layers);
    let text = card_of(&state, None);
    says(&text, &["12-6-5-2", "| layers of the encoder | linear 6, norm, silu, 5 |\n"]);
    assert!(!text.contains("| layers of the decoder"), "{text}");
}

#[test]
fn it_says_what_the_model_is() {
    let tested = Evaluation {
        sampled: Losses { loss: 101.125, recon: 80.0, kl: 21.125 },
        at_mean: Losses { loss: 95.5, recon: 74.375, kl: 21.125 },
        images: 1234,
    };
    let mut state = state();
    let text = card_of(&state, Some(&tested));
    says(&text, &["images of 3 × 4", "12-6-5-2", "2-12", "gelu", "bernoulli", "β = 4", "| 72 |"]);
    says(&text, &["| `encoder.0.weight` | [6, 12] |", "summed over the minibatch"]);
    says(
        &text,
        &["`digits`", "pixels as they were read", "| training | `aa11` |", "| test | `bb22` |"],
    );
    says(&text, &["Adam, learning rate 0.001", "9 images", "321 steps, 3 whole epochs", "| 17 |"]);
    says(&text, &["98.77 nats per image, after epoch 2", "1234 test images", "nats per image"]);
    says(&text, &["one sampled z an image | 101.12 | 80.00 | 21.12 |", "z = μ", "| 95.50 |"]);
    says(&text, &["(16, 2)", "reshape(16, 3, 4)", "## Limits", "load_file"]);
    for word in ["optimizer.first", "/home", "someone"] {
        assert!(!text.contains(word), "`{word}` is not for readers:\n{text}");
    }
    assert_eq!(card_of(&state, Some(&tested)), text, "the same state, the same card");
    state.config.train.pixels = Pixels::Binarised;
    state.config.model.likelihood = Likelihood::Normal;
    state.config.optimizer.rule = Rule::Sgd;
    state.config.optimizer.clip_norm = 5.0;
    state.config.optimizer.normalise = true;
    (state.config.optimizer.schedule, state.config.optimizer.average) = (Schedule::Burda, 0.5);
    (state.trained.skipped, state.data, state.config.objective.beta) = (7, None, 1.0);
    let text = card_of(&state, None);
    says(&text, &["dynamically binarised", "scale 1", "SGD", "norm at most 5", "7 left out"]);
    let objective = &mut state.config.objective;
    (objective.samples, objective.importance) = (3, 5);
    objective.gradient = Gradient::Dreg;
    let weighed = card_of(&state, Some(&tested));
    says(&weighed, &["bound of K = 5 z", "mean of 3 estimates", "doubly reparameterised"]);
    says(&weighed, &["15 sampled z an image"]);
    says(&text, &["gradient divided by its norm", "schedule burda", "averaged with decay 0.5"]);
    says(&text, &["not tested", "not recorded", "the negative ELBO", "means of pixels"]);
}
