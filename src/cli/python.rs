//! A model as a file of Python: a `torch.nn.Module` whose state dict has the names and shapes of our weights.

mod module;
mod pixels;
mod text;
mod walk;

use std::path::Path;

use elbo::checkpoint::State;
use elbo::config::{
    Blocks, Inference, LOG_VAR_BOUNDS, Layer, ModelConfig, Posterior, Prior, Support,
};
use elbo::model::Above;
use elbo::nn::{Placed, Sequential};
use elbo::{Error, Result};

use crate::cli::onnx;
use module::{Module, call};
use text::{float, literal};
use walk::Walk;

/// The file of a state's model; `path` is named in errors.
pub(super) fn to_text(path: &Path, state: &State) -> Result<String> {
    Ok(file(path, state)?.written())
}

fn file<'s>(path: &Path, state: &'s State) -> Result<File<'s>> {
    let vae = onnx::recorded(path, &state.config, state.size, &state.weights())?;
    let networks = vae.networks();
    let mut file = File { state, module: Module::default(), methods: String::new() };
    file.encode(&networks.encoder)?;
    file.decode(&networks.decoder)?;
    file.forward();
    file.levels(&networks.above)?;
    file.prior();
    // A log-scale for all pixels is no layer's, nor is what a learned prior has.
    let shapes = vae.parameters.list().iter().flat_map(|parameter| parameter.shapes());
    let all: Vec<_> = shapes.collect();
    for path in ["likelihood", "prior"] {
        let own = |(key, _): &&(&str, _)| key.rsplit_once('.').is_some_and(|(of, _)| of == path);
        let own: Vec<_> = all.iter().filter(own).collect();
        file.module.parameters(path, &own);
    }
    Ok(file)
}

/// The name of the class of a model.
pub(super) fn class(model: &ModelConfig) -> &'static str {
    match model.posterior.is_density() {
        true => "Vae",
        false => "Autoencoder",
    }
}

/// A file that grows method by method.
struct File<'s> {
    state: &'s State,
    module: Module,
    methods: String,
}

impl File<'_> {
    fn model(&self) -> &ModelConfig {
        &self.state.config.model
    }

    /// What a method takes of classes, behind its first argument.
    fn told(&self) -> &'static str {
        if self.model().classes > 0 { ", y" } else { "" }
    }

    /// Adds a method: its name with its arguments, what it does, and its lines.
    fn method(&mut self, head: &str, doc: &str, lines: &[String]) {
        self.methods += &format!("\n    def {head}:\n        \"\"\"{doc}\"\"\"\n");
        for line in lines {
            self.methods += &format!("        {line}\n");
        }
    }

    /// Adds `encode`: x, and y, to what the posterior has.
    fn encode(&mut self, network: &Sequential) -> Result<()> {
        let (state, told) = (self.state, self.told());
        let (pixels, model) = (state.size.len(), &state.config.model);
        let ModelConfig { latent, posterior, likelihood, .. } = model;
        let mut walk = Walk::new(&mut self.module, "x", network);
        let what = match likelihood.is_of_counts() {
            true => "counts as they are",
            false => "images",
        };
        if likelihood.is_of_counts() {
            walk.line("torch.log1p(x)");
        }
        walk.classes(told);
        let top = walk.hidden(network)?;
        let lines = walk.parts(network, (top, *latent));
        let makes = match posterior {
            _ if model.inference == Inference::Ladder => {
                format!("what the way up says of z, a mean and a log-variance, (n, {latent}) each")
            }
            Posterior::Normal => {
                format!("the mean and the log-variance of q(z | x{told}), (n, {latent}) each")
            }
            Posterior::Laplace | Posterior::Logistic => format!(
                "the mean of q(z | x{told}) and the logarithm of its squared scale, (n, {latent}) each"
            ),
            Posterior::Point => format!("the codes z (n, {latent})"),
        };
        let name = if model.inference == Inference::Ladder { "encode_up" } else { "encode" };
        self.method(
            &format!("{name}(self, x{told})"),
            &format!("From {what} (n, {pixels}) to {makes}."),
            &lines,
        );
        Ok(())
    }

    /// Adds `outputs`, what the decoder makes of z and y, and `decode`, the means of pixels that it stands for.
    fn decode(&mut self, network: &Sequential) -> Result<()> {
        let (state, told) = (self.state, self.told());
        let (model, pixels) = (&state.config.model, state.size.len());
        let latent = model.latent;
        let blocks = Blocks::of(model, pixels, state.size.channels);
        let mut walk = Walk::new(&mut self.module, "z", network);
        walk.classes(told);
        let top = walk.hidden(network)?;
        let last = network.last();
        match last.layer {
            // Fully connected and convolutions alone have outputs of their own.
            Layer::Linear(units) => {
                let z = walk.rows(top);
                let made = call(&walk.linear(&last.path, z, units), "z");
                walk.lines.push(format!("return {made}"));
            }
            Layer::Convolution(of) => {
                let (top, made) = walk.convolution(&last.path, top, of)?;
                walk.line(&made);
                let rows = walk.blocks(top, blocks.len);
                walk.lines.push(format!("return {rows}"));
            }
            _ => return Err(no_end(last)),
        }
        let lines = walk.lines;
        let made = pixels::outputs(model);
        let doc = match blocks.count {
            1 => format!("From z (n, {latent}) to {made} (n, {pixels})."),
            count => format!(
                "From z (n, {latent}) to {count} blocks of {} numbers behind one another: {made}.",
                blocks.len
            ),
        };
        self.method(&format!("outputs(self, z{told})"), &doc, &lines);
        let (what, lines) =
            pixels::means(model, (pixels, blocks), &format!("self.outputs(z{told})"));
        let doc = format!("From z (n, {latent}) to {what} (n, {pixels}).");
        let total = if pixels::shares(model) { ", total=total" } else { "" };
        self.method(&format!("decode(self, z{told}{total})"), &doc, &lines);
        Ok(())
    }

    fn forward(&mut self) {
        let told = self.told();
        let noise = match self.model().posterior {
            Posterior::Normal => Some("torch.randn_like(mean)"),
            Posterior::Laplace => Some("torch.distributions.Laplace(0.0, 1.0).sample(mean.shape)"),
            // The inverse of the distribution function, within what f32 tells from 0 and 1.
            Posterior::Logistic => Some("torch.rand_like(mean).clamp(2**-24, 1 - 2**-24).logit()"),
            Posterior::Point => None,
        };
        let (doc, lines) = match noise {
            Some(noise) => (
                "From images to the means of pixels by a z that is drawn, and what `encode` makes.",
                vec![
                    "mean, log_var = self.encode(x{y})".to_owned(),
                    format!("z = mean + {noise} * (0.5 * log_var).exp()"),
                    "return self.decode(z{y}), mean, log_var".to_owned(),
                ],
            ),
            None => (
                "From images to the means of pixels, and z.",
                ["z = self.encode(x{y})", "return self.decode(z{y}), z"].map(str::to_owned).into(),
            ),
        };
        let lines: Vec<_> = lines.iter().map(|line| line.replace("{y}", told)).collect();
        self.method(&format!("forward(self, x{told})"), doc, &lines);
    }

    /// Adds the posteriors of the levels of z above the first, and the priors that they make of those below.
    fn levels(&mut self, above: &[Above]) -> Result<()> {
        let (state, mut below) = (self.state, self.model().latent);
        let model = &state.config.model;
        let [takes, says] = match model.inference {
            Inference::BottomUp if model.posterior == Posterior::Normal => {
                ["z", "the mean and the log-variance of q(z | z below)"]
            }
            Inference::BottomUp => {
                ["z", "the mean of q(z | z below) and the logarithm of its squared scale"]
            }
            Inference::Ladder => ["the mean", "what the way up says, a mean and a log-variance,"],
        };
        for ((level, networks), config) in (2..).zip(above).zip(&model.above) {
            let (latent, of) = (config.latent, level - 1);
            let up = format!(
                "From {takes} of level {of} (n, {below}) to {says} of level {level}, (n, {latent}) each."
            );
            let down = format!(
                "From z of level {level} (n, {latent}) to the mean and the log-variance of p(z | z above) of level {of}, (n, {below}) each."
            );
            let both = [
                (&networks.encoder, format!("encode_{level}"), up, latent),
                (&networks.decoder, format!("prior_{}", level - 1), down, below),
            ];
            for (network, name, doc, makes) in both {
                let mut walk = Walk::new(&mut self.module, "z", network);
                let top = walk.hidden(network)?;
                let lines = walk.parts(network, (top, makes));
                self.method(&format!("{name}(self, z)"), &doc, &lines);
            }
            below = latent;
        }
        if model.inference == Inference::Ladder {
            self.ladder(above.len());
        }
        Ok(())
    }

    /// Adds `encode` of a ladder, from the highest of so many levels above down.
    fn ladder(&mut self, above: usize) {
        let (latent, told) = (self.model().latent, self.told());
        let mut lines = vec![format!("up = [self.encode_up(x{told})]")];
        lines.extend(
            (2..above + 2).map(|level| format!("up.append(self.encode_{level}(up[-1][0]))")),
        );
        lines.push("mean, log_var = up.pop()".to_owned());
        for level in (1..=above).rev() {
            lines.push(format!("mean, log_var = merge(*up.pop(), *self.prior_{level}(mean))"));
        }
        lines.push("return mean, log_var".to_owned());
        let doc = format!(
            "From images to the mean and the log-variance of q(z | x{told}, z above at its mean), (n, {latent}) each."
        );
        self.method(&format!("encode(self, x{told})"), &doc, &lines);
    }

    /// Adds the density of a learned prior and what it is made of, and draws of a prior that is more than standard normals.
    fn prior(&mut self) {
        let state = self.state;
        let (model, levels) = (&state.config.model, state.config.model.above.len());
        if model.prior.is_learned() {
            self.mixture();
        } else if levels == 0 {
            return;
        }
        let (highest, latent) = (model.highest_latent(), model.latent);
        let mut lines = match model.prior.is_learned() {
            true => vec![
                "log_weights, mean, log_var = self.components()".to_owned(),
                "k = torch.multinomial(log_weights.exp(), count, replacement=True)".to_owned(),
                "z = mean[k] + torch.randn_like(mean[k]) * (0.5 * log_var[k]).exp()".to_owned(),
            ],
            false => vec![format!("z = torch.randn(count, {highest})")],
        };
        for level in (1..=levels).rev() {
            lines.push(format!("mean, log_var = self.prior_{level}(z)"));
            lines.push("z = mean + torch.randn_like(mean) * (0.5 * log_var).exp()".to_owned());
        }
        lines.push("return z".to_owned());
        let doc = format!("z (count, {latent}) drawn from the prior.");
        self.method("sample(self, count)", &doc, &lines);
    }

    /// Adds the components of a learned prior, and its density.
    fn mixture(&mut self) {
        let state = self.state;
        let model = &state.config.model;
        let (latent, count) = (model.highest_latent(), model.prior_components);
        let (lowest, highest) = LOG_VAR_BOUNDS;
        let lines = match model.prior {
            Prior::Normal => return,
            Prior::Mixture => vec![
                "mean, log_var = self.prior[\"components\"].chunk(2, 1)".to_owned(),
                format!(
                    "return self.prior[\"logits\"].log_softmax(0), mean, log_var.clamp({lowest:?}, {highest:?})"
                ),
            ],
            Prior::Vamp => {
                let u = "self.prior[\"pseudo_inputs\"]";
                let seen = match model.likelihood.support() {
                    Support::Unit | Support::Levels => format!("{u}.sigmoid()"),
                    // The encoder takes their logarithms.
                    Support::Counts => format!("{u}.expm1()"),
                    Support::Line => u.to_owned(),
                };
                vec![
                    format!("mean, log_var = self.encode({seen})"),
                    "return torch.zeros_like(mean[:, 0]).log_softmax(0), mean, log_var".to_owned(),
                ]
            }
        };
        let doc = format!(
            "The prior, a mixture: log-weights ({count},), means and log-variances ({count}, {latent}) of normals."
        );
        self.method("components(self)", &doc, &lines);
        let lines = [
            "log_weights, mean, log_var = self.components()",
            "off = (z[:, None] - mean).square() / log_var.exp() + log_var + math.log(2 * math.pi)",
            "return (log_weights - 0.5 * off.sum(2)).logsumexp(1)",
        ];
        let of = if model.above.is_empty() { "" } else { " of the highest level" };
        let doc = format!("log p(z) in nats (n,) of z (n, {latent}){of}.");
        self.method("log_prior(self, z)", &doc, &lines.map(str::to_owned));
    }

    /// The whole file.
    fn written(&self) -> String {
        let (name, state) = (class(self.model()), self.state);
        let (model, size) = (self.model(), state.size);
        let mut facts = vec![
            format!("height, width, channels = {}, {}, {}", size.height, size.width, size.channels),
            format!("latent = {}", model.latent),
        ];
        if model.classes > 0 {
            facts.push(format!("classes = {}", model.classes));
        }
        if pixels::shares(model) {
            facts.push(
                "# The mean total of the training images, which the means of counts share.".into(),
            );
            facts.push(format!("total = {}", float(state.reading.total.unwrap_or(1.0))));
        }
        facts.push(
            "# How values of the training images became the numbers that `encode` takes.".into(),
        );
        facts.push(format!("reading = {}", literal(&state.reading.to_string())));
        let facts: String = facts.iter().map(|fact| format!("    {fact}\n")).collect();
        let head = text::head(state, name);
        let means = pixels::function(model);
        let attend = if self.module.attends { text::ATTEND } else { "" };
        let merge = if model.inference == Inference::Ladder { text::MERGE } else { "" };
        let math = if model.prior.is_learned() { "import math\n\n" } else { "" };
        let defined = self.module.written();
        format!(
            "{head}\n{math}import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n\n\n{means}{attend}{merge}\
             class {name}(nn.Module):\n{facts}\n    def __init__(self):\n        super().__init__()\n{defined}{}",
            self.methods
        )
    }
}

fn no_end(placed: &Placed) -> Error {
    let Placed { layer, path, .. } = placed;
    let what = format!("`{path}`, the layer `{layer}`, ends a network, and has no form in Python");
    Error::config(what).hint("write the weights to a `.safetensors` file")
}

#[cfg(test)]
mod tests;
