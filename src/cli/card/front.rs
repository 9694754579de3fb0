//! The front matter of a card: what Hugging Face's Hub reads of it, as YAML.
//! <https://huggingface.co/docs/hub/model-cards> names the keys.

use elbo::Evaluation;
use elbo::checkpoint::State;

use super::data_name;
use super::words::protocol;

/// The front matter between its rules, with the losses of the images that the weights were tested on. It has no licence,
/// since only who trained the model can give one.
pub(super) fn front(state: &State, name: &str, tested: &[(&str, Evaluation)]) -> String {
    let mut text = "---\nlibrary_name: elbo\n".to_owned();
    let task = task(state);
    // The Hub knows no task of making images of a class.
    if state.config.model.classes == 0 {
        text += &format!("pipeline_tag: {task}\n");
    }
    text += "tags:\n";
    for tag in tags(state) {
        text += &format!("- {tag}\n");
    }
    // A loss that broke is no number in YAML.
    let tested = tested.iter().filter(|(_, tested)| tested.sampled.loss.is_finite());
    let tested: Vec<_> = tested.collect();
    if !tested.is_empty() {
        text += &format!("model-index:\n- name: {}\n  results:\n", quoted(name));
    }
    for (split, tested) in tested {
        text += &result(state, task, split, tested);
    }
    text + "---\n\n"
}

/// What a model is for, in the words of the Hub's tasks.
fn task(state: &State) -> &'static str {
    match (state.config.check_prior().is_ok(), state.config.model.classes) {
        (false, _) => "image-feature-extraction",
        (true, 0) => "unconditional-image-generation",
        (true, _) => "class-conditional-image-generation",
    }
}

/// What one looks for.
fn tags(state: &State) -> Vec<&'static str> {
    let (model, objective) = (&state.config.model, &state.config.objective);
    let density = model.posterior.is_density();
    let all = [
        (true, "autoencoder"),
        (density, "variational-autoencoder"),
        (density, "vae"),
        (density && objective.beta != 1.0, "beta-vae"),
        (density && objective.importance > 1, "iwae"),
        (density && model.classes > 0, "conditional-vae"),
    ];
    all.into_iter().filter_map(|(holds, tag)| holds.then_some(tag)).collect()
}

/// The losses of the images of a split.
fn result(state: &State, task: &str, split: &str, tested: &Evaluation) -> String {
    let data = quoted(&data_name(state).unwrap_or_else(|| "not named".to_owned()));
    let Evaluation { sampled, at_mean, images } = tested;
    let pixels = quoted(protocol(state.config.train.pixels));
    let mut text = format!(
        "  - task:\n      type: {task}\n    dataset:\n      type: {data}\n      name: {data}\n      \
         split: {split}\n      args:\n        images: {images}\n        pixels: {pixels}\n    metrics:\n"
    );
    let is_bound = state.config.model.posterior.is_density();
    let all = [
        (is_bound, "negative-elbo", "negative ELBO, nats per image", sampled.loss),
        (true, "reconstruction-loss", "reconstruction, -log p(x|z), nats per image", sampled.recon),
        (is_bound, "kl-divergence", "KL divergence, nats per image", sampled.kl),
        (
            is_bound,
            "loss-at-mean",
            "loss at z = μ, which is no bound, nats per image",
            at_mean.loss,
        ),
    ];
    for (_, kind, name, value) in all.into_iter().filter(|(told, ..)| *told) {
        let name = quoted(name);
        text += &format!("    - type: {kind}\n      value: {value:.4}\n      name: {name}\n");
    }
    text
}

/// A text in YAML's double quotes, where signs that YAML or a terminal could take for something else are escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            c if c.is_alphanumeric() => quoted.push(c),
            c => quoted += &format!("\\U{:08X}", u32::from(c)),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        for (text, expected) in [
            ("mnist", r#""mnist""#),
            (r#"a "b" \ c: # ---"#, r#""a \"b\" \\ c: # ---""#),
            ("µ漢\n\u{7f}\u{feff}→", r#""µ漢\U0000000A\U0000007F\U0000FEFF\U00002192""#),
        ] {
            assert_eq!(quoted(text), expected, "{text:?}");
        }
    }
}
