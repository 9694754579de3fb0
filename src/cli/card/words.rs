//! What a configuration says, in words.

use elbo::config::{
    Corruption, Gradient, Inference, KlEstimate, Makes, Mean, ModelConfig, ObjectiveConfig,
    OptimizerConfig, Pixels, Posterior, Prior, Rule, Scale, Schedule, Support, TrainConfig,
};

/// The rows of a card's table for layers that stand for themselves, if a list has any.
pub(super) fn written(model: &ModelConfig) -> String {
    let lists = [("encoder".to_owned(), &model.encoder), ("decoder".to_owned(), &model.decoder)];
    let above = (2..).zip(&model.above).flat_map(|(level, of)| {
        let [up, down] = [format!("encoder of z {level}"), format!("decoder of z {level}")];
        [(up, &of.encoder), (down, &of.decoder)]
    });
    let own = lists.into_iter().chain(above).filter(|(_, layers)| layers.units().is_none());
    own.map(|(name, layers)| format!("| layers of the {name} | {layers} |\n")).collect()
}

/// What was minimised, in words.
pub(in crate::cli) fn goal(model: &ModelConfig, objective: &ObjectiveConfig) -> String {
    let ObjectiveConfig { beta, samples, importance, gradient, kl, .. } = *objective;
    let mut text = match (model.posterior.is_density(), importance, beta) {
        (false, ..) => "the reconstruction".to_owned(),
        (true, 1, 1.0) => "the negative ELBO".to_owned(),
        (true, 1, beta) => {
            format!("reconstruction + β KL with β = {beta} (Higgins et al. 2017)")
        }
        _ => format!("the importance-weighted bound of K = {importance} z (Burda et al. 2016)"),
    };
    if kl == KlEstimate::Sampled {
        text += ", the KL sampled";
    }
    if samples > 1 {
        text += &format!(", the mean of {samples} estimates");
    }
    text += match gradient {
        Gradient::Standard => "",
        Gradient::Stl => ", the encoder by sticking the landing (Roeder et al. 2017)",
        Gradient::Dreg => ", the encoder doubly reparameterised (Tucker et al. 2018)",
    };
    let ObjectiveConfig { warmup_steps, cycle_steps, free_bits, capacity, .. } = objective;
    let ObjectiveConfig { total_correlation, mmd, .. } = objective;
    let of = if model.above.is_empty() { "dimension" } else { "level" };
    let free = match objective.free_bits_steps {
        0 => format!("{free_bits} nats of KL free in each {of}"),
        steps => format!("{free_bits} nats of KL free in each {of} for {steps} steps"),
    };
    for (set, words) in [
        (*warmup_steps > 0, format!("β risen over {warmup_steps} steps")),
        (*cycle_steps > 0, format!("β in cycles of {cycle_steps} steps")),
        (*free_bits > 0.0, free),
        (*capacity > 0.0, format!("a KL of {capacity} nats aimed at")),
        (
            *total_correlation != 1.0,
            format!("the total correlation counted {total_correlation} times"),
        ),
        (*mmd > 0.0, format!("{mmd} times the squared MMD from the prior")),
    ] {
        if set {
            text += &format!(", {words}");
        }
    }
    text
}

/// How many levels z has, if there are several.
pub(super) fn of_levels(model: &ModelConfig) -> String {
    match model.above.len() {
        0 => String::new(),
        above => match model.inference {
            Inference::BottomUp => format!(" of {} levels of z (Burda et al. 2016)", above + 1),
            Inference::Ladder => format!(
                " of {} levels of z, each inferred from below and from above (a ladder: Sønderby et al. 2016)",
                above + 1
            ),
        },
    }
}

/// Of which family q is, if that is not the normal.
pub(super) fn family(model: &ModelConfig) -> &'static str {
    match model.posterior {
        Posterior::Normal | Posterior::Point => "",
        Posterior::Laplace => ", a Laplace distribution",
        Posterior::Logistic => ", a logistic distribution",
    }
}

/// What z, the highest of several, is drawn from, with its article.
pub(in crate::cli) fn prior(model: &ModelConfig) -> String {
    let count = model.prior_components;
    match model.prior {
        Prior::Normal => "a standard normal".to_owned(),
        Prior::Mixture => format!("a learned mixture of {count} normals as"),
        Prior::Vamp => format!(
            "the mixture of the posteriors of {count} learned pseudo-inputs (Tomczak and Welling 2018) as"
        ),
    }
}

/// What the encoder saw of the training images, if that was not all.
pub(in crate::cli) fn corruption(corruption: Corruption, level: f64) -> String {
    match corruption {
        Corruption::None => String::new(),
        Corruption::Mask => {
            format!("The encoder was trained with a share of {level} of pixels black.\n")
        }
        Corruption::Normal => format!("The encoder was trained with noise of deviation {level}.\n"),
    }
}

/// How training steps changed images, if they did.
pub(super) fn augmentation(train: &TrainConfig) -> String {
    let mut ways = Vec::new();
    if train.flip {
        ways.push("mirrored with probability ½".to_owned());
    }
    match train.shift {
        0 => {}
        1 => ways.push("shifted by up to a pixel".to_owned()),
        shift => ways.push(format!("shifted by up to {shift} pixels")),
    }
    if train.jitter > 0.0 {
        ways.push(format!("changed in contrast and brightness by up to {}", train.jitter));
    }
    match ways.is_empty() {
        true => String::new(),
        false => format!("In training steps images were {}.\n", ways.join(", ")),
    }
}

/// The likelihood in words, with its numbers.
pub(in crate::cli) fn likelihood(model: &ModelConfig) -> String {
    let name = model.likelihood.name();
    let levels = match model.likelihood.support() {
        Support::Levels => format!(", {} levels", model.levels),
        Support::Unit | Support::Line | Support::Counts => String::new(),
    };
    let scale = match model.scale {
        Scale::Fixed => format!("scale {}", model.sigma),
        Scale::Shared => "one learned scale".to_owned(),
        Scale::Pixel => "a scale for each pixel".to_owned(),
    };
    match model.likelihood.makes() {
        Makes::Logit => format!("{name}, of the decoder's logits"),
        Makes::Location => format!("{name} round the decoder's locations, {scale}{levels}"),
        Makes::Components => format!("{name} of {} components{levels}", model.components),
        Makes::Levels => format!("{name}{levels}"),
        Makes::LogMean => {
            let means = match model.mean {
                Mean::Softmax => "means that share an image's total by a softmax",
                Mean::Free => "free means",
            };
            let dispersion = match model.scale {
                _ if !model.likelihood.has_scale() => String::new(),
                Scale::Fixed => format!(", inverse dispersion {}", model.sigma),
                Scale::Shared => ", one learned inverse dispersion".to_owned(),
                Scale::Pixel => ", an inverse dispersion for each pixel".to_owned(),
            };
            format!("{name} counts of {means}{dispersion}")
        }
    }
}

/// How pixels were made numbers, which losses depend on.
pub(in crate::cli) fn protocol(pixels: Pixels) -> &'static str {
    match pixels {
        Pixels::Grey => "pixels as they were read",
        Pixels::Binarised => {
            "dynamically binarised pixels: each use tosses a coin with the pixel as its probability"
        }
        Pixels::BinarisedOnce => {
            "binarised pixels: a coin with the pixel as its probability was tossed once for each, by the seed"
        }
    }
}

/// The update rule with its numbers.
pub(in crate::cli) fn rule(optimizer: &OptimizerConfig) -> String {
    let OptimizerConfig { lr, beta1, beta2, alpha, epsilon, momentum, .. } = optimizer;
    let OptimizerConfig { weight_decay, clip_norm, initial_accumulator, schedule, average, .. } =
        optimizer;
    let adam =
        |name| format!("{name}, learning rate {lr}, β₁ = {beta1}, β₂ = {beta2}, ε = {epsilon}");
    let mut text = match optimizer.rule {
        Rule::Sgd => format!("SGD, learning rate {lr}, momentum {momentum}"),
        Rule::Adam => adam("Adam"),
        Rule::Adamw => adam("AdamW"),
        Rule::Adamax => adam("Adamax"),
        Rule::Rmsprop => {
            format!("RMSprop, learning rate {lr}, α = {alpha}, momentum {momentum}, ε = {epsilon}")
        }
        Rule::Adagrad => {
            format!("Adagrad, learning rate {lr}, sums from {initial_accumulator}, ε = {epsilon}")
        }
    };
    if optimizer.nesterov {
        text += " (Nesterov)";
    }
    if *weight_decay != 0.0 {
        text += &format!(", weight decay {weight_decay}");
    }
    if *clip_norm != 0.0 {
        text += &format!(", gradients' norm at most {clip_norm}");
    }
    if optimizer.normalise {
        text += ", each tensor's gradient divided by its norm";
    }
    if *schedule != Schedule::Constant {
        text += &format!(", schedule {}", format!("{schedule:?}").to_lowercase());
    }
    if *average != 0.0 {
        text += &format!(", weights averaged with decay {average}");
    }
    text
}
