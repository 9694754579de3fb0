//! The end of a decoder in Python: from what it makes to the means of the pixels.

use elbo::config::{Blocks, LOG_MEAN_BOUNDS, Likelihood, Makes, Mean, ModelConfig, Scale};

/// Whether the means of pixels share a total.
pub(super) fn shares(model: &ModelConfig) -> bool {
    model.likelihood.is_of_counts() && model.mean == Mean::Softmax
}

/// What the decoder makes, in words.
pub(super) fn outputs(model: &ModelConfig) -> String {
    let scales = match model.scale {
        Scale::Pixel if model.likelihood.has_scale() => ", then log-scales",
        _ => "",
    };
    match model.likelihood.makes() {
        Makes::Logit => "logits".to_owned(),
        Makes::Location => format!("locations{scales}"),
        Makes::Components => {
            let count = model.components;
            match model.likelihood {
                Likelihood::ColourMixture => {
                    format!("logits of {count} components, locations, log-scales, coefficients")
                }
                _ => format!("logits of {count} components, their locations, their log-scales"),
            }
        }
        Makes::Levels => format!("logits of {} levels", model.levels),
        Makes::LogMean if model.mean == Mean::Softmax => format!("logits of shares{scales}"),
        Makes::LogMean => format!("logarithms of means{scales}"),
    }
}

/// What `decode` makes, in words, and its lines, with what the decoder makes as a value in code.
pub(super) fn means(
    model: &ModelConfig,
    (pixels, Blocks { count, len }): (usize, Blocks),
    made: &str,
) -> (&'static str, Vec<String>) {
    // What is no mean, a log-scale, lies behind.
    let first = match count {
        1 => made.to_owned(),
        _ => format!("{made}[:, :{len}]"),
    };
    let blocks = |sides: String| format!("{made}.unflatten(1, ({sides}, {len}))");
    let one = |value: String| vec![format!("return {value}")];
    let means = "the means of pixels";
    match model.likelihood {
        Likelihood::Bernoulli => {
            ("the probabilities of white", one(format!("torch.sigmoid({first})")))
        }
        Likelihood::ContinuousBernoulli => {
            (means, one(format!("continuous_bernoulli_mean({first})")))
        }
        Likelihood::Normal | Likelihood::Laplace => (means, one(first)),
        Likelihood::Logistic => ("the locations of pixels", one(format!("{first}.clamp(0, 1)"))),
        Likelihood::LogisticMixture => {
            let blocks = blocks(format!("3, {}", model.components));
            let lines = vec![
                format!("logits, locations, _ = {blocks}.unbind(1)"),
                "return (logits.softmax(1) * locations.clamp(0, 1)).sum(1)".to_owned(),
            ];
            (means, lines)
        }
        Likelihood::ColourMixture => {
            (means, colours(made, (model.components, pixels / len), (count, len)))
        }
        Likelihood::Categorical => {
            let levels = model.levels;
            let lines = vec![
                format!("probabilities = {}.softmax(1)", blocks(levels.to_string())),
                format!(
                    "values = torch.arange({levels}, device=z.device, dtype=z.dtype) / {}",
                    levels - 1
                ),
                "return (probabilities * values[:, None]).sum(1)".to_owned(),
            ];
            (means, lines)
        }
        Likelihood::Poisson | Likelihood::NegativeBinomial => match model.mean {
            Mean::Softmax => (
                "the means of counts, which share a total,",
                one(format!("total * {first}.softmax(1)")),
            ),
            Mean::Free => {
                let (lowest, highest) = LOG_MEAN_BOUNDS;
                (
                    "the means of counts",
                    one(format!("{first}.clamp({lowest:?}, {highest:?}).exp()")),
                )
            }
        },
    }
}

/// The means of places whose mixtures have so many components over so many channels: of the components logits, then locations
/// and log-scales of each channel, then coefficients of each pair.
fn colours(
    made: &str,
    (components, channels): (usize, usize),
    (count, places): (usize, usize),
) -> Vec<String> {
    let [groups, locations, pairs] = [count / components, 1 + channels, 1 + 2 * channels];
    vec![
        format!("parts = {made}.unflatten(1, ({groups}, {components}, {places}))"),
        "share, values = parts[:, 0].softmax(1), []".to_owned(),
        format!("pairs = iter(parts[:, {pairs}:].tanh().unbind(1))"),
        "# A channel follows those before it.".to_owned(),
        format!("for location in parts[:, 1:{locations}].unbind(1):"),
        "    follows = sum(next(pairs) * (value - 0.5) for value in values)".to_owned(),
        "    values.append((location + follows).clamp(0, 1))".to_owned(),
        "return torch.stack([(share * value).sum(1) for value in values], 2).flatten(1)".to_owned(),
    ]
}

/// A function that `decode` calls, if it does.
pub(super) fn function(model: &ModelConfig) -> &'static str {
    match model.likelihood {
        Likelihood::ContinuousBernoulli => UNIT_MEAN,
        _ => "",
    }
}

/// As ONNX files have it.
const UNIT_MEAN: &str = "\
def continuous_bernoulli_mean(logits):
    \"\"\"1 / (1 - exp(-l)) - 1 / l, and near zero its series (Loaiza-Ganem and Cunningham 2019, eq. 9).\"\"\"
    near = logits.abs() < 0.5
    far = torch.where(near, 1.0, logits)
    series = 0.5 + logits * (1 / 12 - logits.square() / 720)
    return torch.where(near, series, 1 / (1 - torch.exp(-far)) - 1 / far)


";
