//! Where `elbo sample` and `elbo quality` draw z from: the prior, or what is fitted to the codes of the training
//! images and kept in the run's folder.

use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;
use elbo::checkpoint::{
    State, Weight, noted_from_bytes, noted_to_bytes, read_whole, weights_to_bytes, write_whole,
};
use elbo::sampler::{COMPONENTS, Fitted, FittedStage, Mixture, TwoStage};
use elbo::{Dataset, Device, Error, ErrorKind, Model, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cli::subject::{DataArgs, ModelArgs, Split, decode, fingerprint};
use crate::cli::talk;

/// Where z is drawn from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SampleFrom {
    /// The prior: N(0, I), or the mixture that was learned
    #[default]
    Prior,
    /// A mixture of normal distributions, fitted to the codes of the training images (GMM)
    Gmm,
    /// A second VAE, trained on those codes (two-stage VAE)
    TwoStage,
}

impl SampleFrom {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Prior => "prior",
            Self::Gmm => "gmm",
            Self::TwoStage => "two-stage",
        }
    }

    /// Refuses what a model has no codes or no prior for.
    pub(super) fn check(self, state: &State) -> Result<()> {
        match self {
            Self::Prior => state.config.check_prior(),
            Self::Gmm | Self::TwoStage if state.config.model.classes > 0 => {
                let what = format!("`--from {}`, but this model is conditional", self.name());
                Err(Error::config(what).hint(
                    "its codes are distributed by class; leave `--from` out, to draw z from the prior",
                ))
            }
            Self::Gmm | Self::TwoStage => Ok(()),
        }
    }
}

/// The flags of how samplers are fitted.
#[derive(Debug, clap::Args)]
pub(super) struct SamplerArgs {
    /// Numbers of components of the gmm to try [default: 1,2,5,10,20,50]
    #[arg(long, value_delimiter = ',', value_name = "K,…")]
    components: Vec<usize>,
}

impl SamplerArgs {
    /// Refuses flags that say nothing of these.
    pub(super) fn check(&self, from: &[SampleFrom]) -> Result<()> {
        if !self.components.is_empty() && !from.contains(&SampleFrom::Gmm) {
            return Err(Error::config("`--components` is of the gmm, and z is drawn otherwise")
                .hint("add `--from gmm`, or leave `--components` out"));
        }
        match self.components.contains(&0) {
            true => Err(Error::config("`--components` has a 0; each must be 1 or more")
                .hint("10 is a good guess; without `--components` several are tried")),
            false => Ok(()),
        }
    }

    fn tried(&self) -> Vec<usize> {
        if self.components.is_empty() { COMPONENTS.to_vec() } else { self.components.clone() }
    }
}

/// What a sampler was fitted to, and how: one that is kept serves only for just the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Origin {
    version: String,
    from: SampleFrom,
    /// The SHA-256 of the model's weights.
    weights: String,
    /// The fingerprint of the training images.
    data: String,
    seed: u64,
    components: Vec<usize>,
}

/// The note in a sampler's file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// What was found, in words.
    said: String,
    /// What it is in a caption.
    name: String,
    origin: Origin,
}

/// Where z is drawn from, ready to be asked.
#[derive(Debug)]
enum Source {
    Prior,
    Mixture(Mixture),
    TwoStage(Box<TwoStage>),
}

/// A sampler.
#[derive(Debug)]
pub(super) struct Sampler {
    source: Source,
    /// What z is drawn from, as in a caption.
    pub(super) name: String,
    /// What is to be said of its fit, in a line.
    pub(super) said: Option<String>,
}

/// What samplers are made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) model: &'a ModelArgs,
    pub(super) state: &'a State,
    pub(super) data: &'a DataArgs,
    pub(super) args: &'a SamplerArgs,
    pub(super) device: &'a Device,
    pub(super) quiet: bool,
}

impl Sampler {
    /// z, and what the decoder makes of it.
    pub(super) fn images(
        &self,
        device: &Device,
        model: &mut Model,
        (count, seed): (usize, u64),
        temperatures: &[f32],
        classes: Option<&[u8]>,
    ) -> Result<Vec<f32>> {
        let temperature = temperatures[0];
        let z = match &self.source {
            Source::Prior => model.prior_by_level(count, temperatures)?,
            Source::Mixture(mixture) => mixture.draw(count, f64::from(temperature), seed),
            Source::TwoStage(two_stage) => two_stage.draw(device, count, temperature, seed)?,
        };
        decode(model, &z, classes)
    }
}

impl Subject<'_> {
    /// What z is to be drawn from: fitted now, or as it was kept.
    pub(super) fn sampler(self, from: SampleFrom, train: Option<&Dataset>) -> Result<Sampler> {
        if from == SampleFrom::Prior {
            let name = "the prior".to_owned();
            return Ok(Sampler { source: Source::Prior, name, said: None });
        }
        let known = (!self.data.is_given()).then(|| fingerprint(self.state, Split::Train).cloned());
        let train = match (train, known.flatten()) {
            (Some(train), _) => Some(train),
            (None, Some(data)) => {
                // The run says what it learned from, so that nothing need be read.
                if let Some(kept) = self.kept(&self.origin(from, data)?) {
                    return Ok(kept);
                }
                None
            }
            (None, None) => None,
        };
        let opened;
        let train = match train {
            Some(train) => train,
            None => {
                [opened, _] = self.data.open_both(self.state, self.model.manner(self.quiet))?;
                &opened
            }
        };
        let origin = self.origin(from, train.fingerprint_for(self.state.config.model.classes)?)?;
        match self.kept(&origin) {
            Some(kept) => Ok(kept),
            None => self.fitted(origin, train),
        }
    }

    fn origin(self, from: SampleFrom, data: String) -> Result<Origin> {
        let bytes = weights_to_bytes(&self.state.weights())?;
        let digits = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Origin {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            from,
            weights: digits,
            data,
            seed: self.state.config.train.seed,
            components: if from == SampleFrom::Gmm { self.args.tried() } else { Vec::new() },
        })
    }

    /// Where a sampler is kept: in the folder of a run.
    fn place(self, from: SampleFrom) -> Option<PathBuf> {
        let folder = self.model.run.is_dir().then_some(&self.model.run)?;
        Some(folder.join(format!("sampler-{}.safetensors", from.name())))
    }

    /// The sampler that is kept, if it is of just this.
    fn kept(self, origin: &Origin) -> Option<Sampler> {
        let path = self.place(origin.from).filter(|path| path.exists())?;
        let read = || -> Result<_> {
            let bytes = read_whole(&path, u64::MAX, "remove it, so that it is fitted anew")?;
            noted_from_bytes(&path, &bytes)
        };
        let (tensors, note) = match read() {
            Ok(read) => read,
            Err(error) => {
                talk(&format!("note: {error}; it is fitted anew"));
                return None;
            }
        };
        let note: Note = toml::from_str(&note).ok().filter(|note: &Note| note.origin == *origin)?;
        let source = self.source(origin.from, tensors)?;
        Some(Sampler { source, name: note.name, said: Some(format!("{}, as kept", note.said)) })
    }

    fn source(self, from: SampleFrom, tensors: Vec<Weight>) -> Option<Source> {
        let latent = self.state.config.model.latent;
        match from {
            SampleFrom::Prior => Some(Source::Prior),
            SampleFrom::Gmm => Mixture::from_tensors(&tensors)
                .filter(|mixture| mixture.latent() == latent)
                .map(Source::Mixture),
            SampleFrom::TwoStage => {
                TwoStage::from_tensors(tensors, latent).map(Box::new).map(Source::TwoStage)
            }
        }
    }

    /// A sampler that is fitted now, and kept if the run's folder takes it.
    fn fitted(self, origin: Origin, train: &Dataset) -> Result<Sampler> {
        let start = Instant::now();
        let latent = self.state.config.model.latent;
        let mut model = Model::new(self.device, self.state, Some(train))?;
        let codes = model.encode(0..model.images())?.z;
        drop(model);
        let bar = if self.quiet { ProgressBar::hidden() } else { ProgressBar::new(1000) };
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent} %  {eta} left");
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(format!("fitting the {} to {} codes", origin.from.name(), train.len()));
        let done = |share: f64| bar.set_position((1000.0 * share) as u64);
        let fit = match origin.from {
            SampleFrom::TwoStage => two_stage(self.device, &codes, latent, origin.seed, done)?,
            SampleFrom::Prior | SampleFrom::Gmm => mixture(&codes, latent, &origin, done)?,
        };
        bar.finish_and_clear();
        let Fit { tensors, name, what, held_out, prior } = fit;
        let mut said =
            format!("{}: {what}; held-out codes {held_out} nats each", origin.from.name());
        if self.state.config.check_prior().is_ok() && self.state.config.model.prior_is_standard() {
            said += &format!(", under the prior {prior:.2}");
        }
        let note = Note { said, name, origin };
        self.keep(&note, &tensors);
        // The numbers as they are kept, so that what is kept draws the same.
        let source = self.source(note.origin.from, tensors).ok_or_else(|| {
            Error::new(ErrorKind::Numbers, "the fitted sampler's numbers leave the range of f32")
                .hint("its codes are huge or all alike; look at them with `elbo scatter`")
        })?;
        let seconds = start.elapsed().as_secs_f64();
        let said = format!("{} ({seconds:.1} s)", note.said);
        Ok(Sampler { source, name: note.name, said: Some(said) })
    }

    /// Keeps a sampler; a folder that does not take it is no reason not to use it.
    fn keep(self, note: &Note, tensors: &[Weight]) {
        let Some(path) = self.place(note.origin.from) else { return };
        let written = toml::to_string(note).map_err(Error::config);
        let written = written.and_then(|note| noted_to_bytes(tensors, &note));
        if let Err(error) = written.and_then(|bytes| write_whole(&path, &bytes)) {
            talk(&format!("note: the fit is not kept for another time: {error}"));
        }
    }
}

/// What was fitted.
struct Fit {
    tensors: Vec<Weight>,
    /// What it is in a caption.
    name: String,
    /// What was done.
    what: String,
    /// The mean log-density of codes that were held out, in nats.
    held_out: String,
    /// The same under N(0, I).
    prior: f64,
}

fn mixture(codes: &[f32], latent: usize, origin: &Origin, done: impl Fn(f64)) -> Result<Fit> {
    let all: usize = origin.components.iter().sum();
    let mut so_far = 0;
    let Fitted { mixture, tried, prior } =
        Mixture::fit(codes, latent, &origin.components, origin.seed, |tried| {
            so_far += tried.components;
            done(so_far as f64 / all as f64);
        })?;
    let counts: Vec<_> = tried.iter().map(|tried| tried.components.to_string()).collect();
    let count = mixture.components();
    let chosen = tried.iter().find(|tried| tried.components == count);
    let noun = if count == 1 { "component" } else { "components" };
    let what = match counts.len() {
        1 => format!("{count} {noun}"),
        _ => format!("{count} {noun}, of {} that were tried", counts.join(", ")),
    };
    Ok(Fit {
        tensors: mixture.tensors(),
        name: match count {
            1 => "a normal of full covariance".to_owned(),
            _ => format!("a mixture of {count} normals"),
        },
        what,
        held_out: chosen.map_or(String::new(), |tried| format!("{:.2}", tried.log_likelihood)),
        prior,
    })
}

fn two_stage(
    device: &Device,
    codes: &[f32],
    latent: usize,
    seed: u64,
    done: impl Fn(f64),
) -> Result<Fit> {
    let FittedStage { two_stage, elbo, prior, epochs } =
        TwoStage::fit(device, codes, latent, seed, done)?;
    Ok(Fit {
        tensors: two_stage.tensors(),
        name: "a second VAE".to_owned(),
        what: format!("a second VAE, {epochs} epochs"),
        held_out: format!("{elbo:.2} (its ELBO)"),
        prior,
    })
}
