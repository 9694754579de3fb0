//! The end of a decoder in Python: from what it makes to the means of the pixels.

use elbo::config::{LOG_MEAN_BOUNDS, Likelihood, Makes, Mean, ModelConfig, Scale};

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
            format!("logits of {count} components, their locations, their log-scales")
        }
        Makes::Levels => format!("logits of {} levels", model.levels),
        Makes::LogMean if model.mean == Mean::Softmax => format!("logits of shares{scales}"),
        Makes::LogMean => format!("logarithms of means{scales}"),
    }
}

/// What `decode` makes, in words, and its lines, with what the decoder makes as a value in code.
pub(super) fn means(model: &ModelConfig, pixels: usize, made: &str) -> (&'static str, Vec<String>) {
    // What is no mean, a log-scale, lies behind.
    let first = match model.likelihood.outputs(model) {
        1 => made.to_owned(),
        _ => format!("{made}[:, :{pixels}]"),
    };
    let blocks = |sides: String| format!("{made}.unflatten(1, ({sides}, {pixels}))");
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
