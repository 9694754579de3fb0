//! The card of a run's model: what it is, what it was trained on, what it reached, and how to use it.

mod front;
mod words;

use elbo::checkpoint::State;
use elbo::config::{Config, Likelihood, ObjectiveConfig, Reduction};
use elbo::model::Architecture;
use elbo::{Evaluation, Losses, Result};

use crate::cli::python;
use crate::cli::widths::{dashed, ways};
use front::front;
use words::{augmentation, corruption, family, of_levels, prior, protocol, written};
pub(super) use words::{goal, likelihood, rule};

/// The card of a state as Markdown, for `model-card.md` in its run's folder, with its losses where they are
/// known, by the images that they are of. It begins with what Hugging Face's Hub reads. The same state and losses
/// give the same text.
///
/// # Errors
///
/// If the layers of its model do not fit its images.
pub(super) fn card(state: &State, tested: &[(&str, Evaluation)]) -> Result<String> {
    let sections = [
        model(state)?,
        data(state),
        training(state),
        results(tested, &state.config),
        usage(state),
        limits(state),
    ];
    Ok(front(state, &name(state)?, tested) + &sections.join("\n"))
}

/// What a table of models calls this one, such as `vae-784-400-20`.
fn name(state: &State) -> Result<String> {
    let model = &state.config.model;
    let networks = Architecture::of(model, state.size)?;
    let kind = if model.posterior.is_density() { "vae" } else { "autoencoder" };
    let [up, _] = ways(model, &networks, (state.size.len(), model.classes));
    Ok(format!("{kind}-{}", up.iter().map(|network| dashed(network)).collect::<Vec<_>>().join("-")))
}

/// The data's own name. Where it lay is the matter of whoever trained, not of whoever reads the card.
fn data_name(state: &State) -> Option<String> {
    let path = state.config.train.data.as_deref();
    match path.and_then(|path| path.file_name()) {
        Some(name) => Some(name.display().to_string()),
        // Nobody named it, and it was found.
        None => state.data.is_some().then(|| "MNIST".to_owned()),
    }
}

/// How many z of each image a step and its evaluation draw.
pub(super) fn sampled_z(objective: &ObjectiveConfig) -> String {
    match objective.z_per_image() {
        1 => "one sampled z".to_owned(),
        count => format!("{count} sampled z"),
    }
}

/// The rows of a card's table for the networks of levels of z above the first, of these widths from below upwards.
fn levels(up: &[Vec<usize>], down: &[Vec<usize>]) -> String {
    let row = |(level, (up, down)): (usize, (&Vec<usize>, &Vec<usize>))| {
        let below = level - 1;
        format!(
            "| z {level} from z {below} | {}, to the mean and to the log-variance of q |\n\
             | z {below} from z {level} | {}, to the mean and to the log-variance of p |\n",
            dashed(up),
            dashed(down)
        )
    };
    (2..).zip(up.iter().zip(down).skip(1)).map(row).collect()
}

fn model(state: &State) -> Result<String> {
    let (model, size) = (&state.config.model, state.size);
    let pixels = size.len();
    let networks = Architecture::of(model, size)?;
    let [up, mut down] = ways(model, &networks, (pixels, model.classes));
    down.reverse();
    let (encoder, decoder) = (dashed(&up[0]), dashed(&down[0]));
    let levels = levels(&up, &down);
    let weights = state.weights();
    let count: usize = weights.iter().map(|weight| weight.values.len()).sum();
    let conditional = match model.classes {
        0 => String::new(),
        n => format!(
            "| conditional on | one of {n} classes, as a one-hot vector behind x and behind z (Sohn et al. \
             2015) |\n"
        ),
    };
    let likelihood = likelihood(model);
    let objective = &state.config.objective;
    let goal = goal(model, objective);
    let makes: Vec<_> = model.posterior.makes().iter().map(|(_, words)| *words).collect();
    let (name, kind, made) = match model.posterior.is_density() {
        true => (
            "variational",
            format!(
                "variational autoencoder (Kingma and Welling 2014){} with {} prior",
                of_levels(model),
                prior(model)
            ),
            format!("to the {} of q(z \\| x){}", makes.join(" and to the "), family(model)),
        ),
        false => ("plain", "plain autoencoder, which has no prior".to_owned(), "to z".to_owned()),
    };
    let over = match objective.reduction {
        Reduction::Sum => "summed",
        Reduction::Mean => "averaged",
    };
    let norm = if model.layer_norm { ", after layer normalisation" } else { "" };
    let written = written(model);
    let mut all = networks.all().flat_map(|(network, _)| network.layers());
    let layers = match all.any(|placed| placed.layer.convolves()) {
        true => "convolutional",
        false => "fully connected",
    };
    let mut hidden = format!("{}{norm}", model.activation.name());
    if model.dropout != 0.0 {
        hidden += &format!("; dropout {}", model.dropout);
    }
    let mut text = format!(
        "# A {name} autoencoder for images of {size}\n\n\
         A {layers} {kind}, trained by elbo {}.\n\n\
         | | |\n| --- | --- |\n\
         | encoder | {encoder}, {made} |\n\
         | decoder | {decoder} |\n{levels}{written}\
         | activation of hidden layers | {hidden} |\n\
         | likelihood p(x \\| z) | {likelihood} |\n{conditional}\
         | minimised | {goal}, {over} over the minibatch |\n\
         | parameters | {count} |\n\n\
         | tensor, f32 | shape |\n| --- | --- |\n",
        env!("CARGO_PKG_VERSION")
    );
    for weight in weights {
        text += &format!("| `{}` | {:?} |\n", weight.key, weight.shape);
    }
    Ok(text)
}

fn data(state: &State) -> String {
    let train = &state.config.train;
    let name = data_name(state).map_or("not named".to_owned(), |name| format!("`{name}`"));
    let limit = match train.limit {
        0 => String::new(),
        limit => format!("Only the first {limit} training images were used.\n"),
    };
    let labels = if state.config.model.classes > 0 { " and labels" } else { "" };
    let fingerprints = match &state.data {
        None => {
            "It was never trained by elbo, and which data it knows is not recorded.\n".to_owned()
        }
        Some([train, looked_at]) => {
            let mut table =
                format!("| images | SHA-256 of their pixels{labels} |\n| --- | --- |\n");
            let looked = [("training", train), (state.config.data.looked_at(), looked_at)];
            for (which, hash) in looked.into_iter().chain(state.test.iter().map(|t| ("test", t))) {
                table += &format!("| {which} | `{hash}` |\n");
            }
            table
        }
    };
    format!(
        "## Data\n\nSource: {name}, images of {}; {}. Protocol: {}. Losses of another protocol or reading must \
         not be compared with these.\n{limit}{}\n{fingerprints}",
        state.size,
        state.reading,
        protocol(train.pixels),
        augmentation(train) + &corruption(train.corruption, train.corruption_level)
    )
}

fn training(state: &State) -> String {
    let Config { optimizer, train, .. } = &state.config;
    let (trained, epochs) = (&state.trained, state.course.epochs);
    let best = state.course.best.map_or(String::new(), |best| {
        let (epoch, loss) = (best.epoch, best.loss);
        let looked_at = state.config.data.looked_at();
        let chosen = match (train.patience, looked_at, epoch == epochs) {
            (1.., "test", true) => ", whose weights these are: chosen on the test images",
            (1.., _, true) => ", whose weights these are",
            _ => "",
        };
        format!(
            "| lowest {looked_at} loss | {loss:.2} nats per image, after epoch {epoch}{chosen} |\n"
        )
    });
    let broke = match trained.skipped + trained.rolled_back {
        0 => String::new(),
        _ => format!(
            "| steps whose numbers broke | {} left out, {} times back |\n",
            trained.skipped, trained.rolled_back
        ),
    };
    format!(
        "## Training\n\n| | |\n| --- | --- |\n\
         | optimizer | {} |\n\
         | minibatch | {} images |\n\
         | trained | {} steps, {epochs} whole epochs |\n\
         | seed | {} |\n{best}{broke}",
        rule(optimizer),
        train.batch_size,
        trained.step,
        train.seed
    )
}

fn results(tested: &[(&str, Evaluation)], config: &Config) -> String {
    if tested.is_empty() {
        return "## Results\n\nThese weights were not tested.\n".to_owned();
    }
    let tables = tested.iter().map(|(which, tested)| result(which, tested, config));
    format!("## Results\n{}", tables.collect::<String>())
}

/// The losses of images of one kind.
fn result(which: &str, tested: &Evaluation, config: &Config) -> String {
    let Evaluation { sampled, at_mean, images } = tested;
    let line = |estimator: &str, losses: &Losses| {
        let Losses { loss, recon, kl } = losses;
        format!("| {estimator} | {loss:.2} | {recon:.2} | {kl:.2} |\n")
    };
    format!(
        "\nMeans over {images} {which} images, {}, in nats per image, summed over pixels and \
         latent dimensions; the loss is reconstruction + KL, whatever was minimised.\n\n\
         | estimator | loss | reconstruction | KL |\n| --- | ---: | ---: | ---: |\n{}{}",
        protocol(config.train.pixels),
        line(&format!("negative ELBO, {} an image", sampled_z(&config.objective)), sampled),
        line("at z = μ, which is no bound", at_mean)
    )
}

fn usage(state: &State) -> String {
    let (latent, size) = (state.config.model.latent, Vec::from(state.size));
    let sides: Vec<_> = size.iter().map(usize::to_string).collect();
    let sides = sides.join(", ");
    // What else the decoder takes, and its line.
    let (told, y) = match state.config.model.classes {
        0 => ("", String::new()),
        n => (
            ", \"y\": y",
            format!(
                "y = numpy.eye({n}, dtype=\"float32\")[numpy.arange(16) % {n}]  # classes in turn\n"
            ),
        ),
    };
    let class = python::class(&state.config.model);
    let variable = class.to_lowercase();
    let new = match state.config.model.prior_is_standard() {
        true => format!("numpy.random.standard_normal((16, {latent})).astype(\"float32\")"),
        // What the prior is, the module alone knows.
        false => format!("{variable}.sample(16).detach().numpy()"),
    };
    let like = match state.config.model.likelihood {
        Likelihood::Bernoulli => "probabilities of white",
        _ => "means of pixels",
    };
    format!(
        "## Use\n\nThe weights are those of PyTorch's layers, `[out, in]`, of convolutions `[out, in, height, width]`. \
         `elbo export RUN --out model.py` writes the module that takes them:\n\n\
         ```python\n\
         import model, safetensors.torch\n\
         {variable} = model.{class}()\n\
         {variable}.load_state_dict(safetensors.torch.load_file(\"weights.safetensors\"))\n\
         ```\n\n\
         As ONNX, without code of the model, 16 new images:\n\n\
         ```sh\n\
         elbo export RUN --part decoder --out decoder.onnx\n\
         ```\n\n\
         ```python\n\
         import numpy, onnxruntime\n\
         z = {new}\n\
         {y}decoder = onnxruntime.InferenceSession(\"decoder.onnx\")\n\
         images = decoder.run(None, {{\"z\": z{told}}})[0].reshape(16, {sides})  # {like}\n\
         ```\n\n\
         In elbo, training goes on with this folder, or anew from its weights:\n\n\
         ```sh\n\
         elbo train --resume RUN --epochs {}\n\
         elbo import weights.safetensors --config config.toml --out OTHER\n\
         ```\n",
        // Twice as many as it has seen, or was meant to see.
        2 * state.config.train.epochs
    )
}

fn limits(state: &State) -> String {
    let (size, reading) = (state.size, &state.reading);
    format!(
        "## Limits\n\nIt fits images of {size} of the kind that it was trained on, read as those were \
         ({reading}), and no others: of anything else it makes something like its training \
         images. Its decoder gives means of pixels, which are smoother than images are. What is rare \
         or missing in the training images is so in its samples. Nothing was done to keep training \
         images private, and nobody has judged it fit for decisions about people.\n"
    )
}

#[cfg(test)]
mod tests;
