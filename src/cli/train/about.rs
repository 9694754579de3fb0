//! What is said before a run and after it.

use std::path::Path;
use std::time::Duration;

use elbo::checkpoint::Best;
use elbo::config::{Config, Likelihood};
use elbo::data::Opened;
use elbo::metrics::Nats;
use elbo::model::Architecture;
use elbo::{Evaluation, Losses, Result, Trainer};

use crate::cli::card::{rule, sampled_z};
use crate::cli::limit::Limit;
use crate::cli::run_folder::WEIGHTS;
use crate::cli::run_name::typed;
use crate::cli::widths::{way, ways};

/// What is trained, on what, how and where to: a line each.
pub(super) fn start(
    trainer: &Trainer,
    opened: &Opened,
    (data, output): (&Path, Option<&Path>),
) -> Result<Vec<String>> {
    let Opened { train, test, validation, reading, .. } = opened;
    let (config, size) = (trainer.config(), train.size());
    let model = &config.model;
    let networks = Architecture::of(model, size)?;
    let [up, down] = ways(model, &networks, (size.len(), 0));
    let mirrored = up.iter().flatten().rev().eq(down.iter().flatten());
    let back = if mirrored { String::new() } else { format!(" and {}", way(&down)) };
    let validate = validation.as_ref().map(|set| format!("{} to validate on, ", set.len()));
    Ok(vec![
        format!(
            "model: {}{back}, {}, {} parameters, {} MiB planned",
            way(&up),
            likelihood(model.likelihood),
            trainer.vae().parameters.count(),
            trainer.vae().plan.bytes() >> 20
        ),
        format!(
            "data: `{}`, {} images of {size} to train on, {}{} to test on; {reading}",
            data.display(),
            train.len(),
            validate.unwrap_or_default(),
            test.len()
        ),
        format!(
            "training: {}, batch size {}, {}, seed {}",
            // Its name and its rate.
            rule(&config.optimizer).split(", ").take(2).collect::<Vec<_>>().join(", "),
            config.train.batch_size,
            length(config),
            config.train.seed
        ),
        format!(
            "output: {}",
            output.map_or("none, since this only tries everything".to_owned(), |path| {
                path.display().to_string()
            })
        ),
    ])
}

/// A likelihood's name, as people write it.
fn likelihood(likelihood: Likelihood) -> String {
    let mut name = likelihood.name().replace('-', " ");
    for (small, large) in
        [("bernoulli", "Bernoulli"), ("laplace", "Laplace"), ("poisson", "Poisson")]
    {
        name = name.replace(small, large);
    }
    name
}

/// How long a run is to be.
fn length(config: &Config) -> String {
    let (epochs, steps) = (counted(config.train.epochs as u64, "epoch"), config.train.max_steps);
    if steps == 0 { epochs } else { format!("{epochs}, at most {}", counted(steps, "step")) }
}

/// So many of something.
pub(super) fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// What came out of a run.
pub(super) struct Outcome<'a> {
    /// Why it ended.
    pub(super) why: String,
    /// The limit that ended it, if it was not cut off.
    pub(super) limit: Option<Limit>,
    pub(super) step: u64,
    pub(super) took: Duration,
    pub(super) config: &'a Config,
    /// The losses of the weights that the run stands for, by the images that they are of.
    pub(super) tested: &'a [(&'static str, Evaluation)],
    pub(super) best: Option<Best>,
    /// Epochs that were evaluated.
    pub(super) epochs: u64,
    /// Whether the weights are those of the best epoch.
    pub(super) takes_best: bool,
    pub(super) broke: [u64; 2],
    /// Where all lies that is kept, if anything is.
    pub(super) folder: Option<&'a Path>,
}

/// A time as `1m 42s`, and as `4.2s` where that is short.
pub(super) fn in_seconds(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        seconds => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
}

impl Outcome<'_> {
    pub(super) fn lines(&self) -> Vec<String> {
        let (steps, took) = (counted(self.step, "step"), in_seconds(self.took));
        let mut lines = vec![format!("{}, {steps}, in {took}", self.why)];
        for (which, Evaluation { sampled: Losses { loss, recon, kl }, .. }) in self.tested {
            let [loss, recon, kl] = [loss, recon, kl].map(|nats| Nats(*nats));
            let z = sampled_z(&self.config.objective);
            lines.push(format!(
                "{which} loss {loss:.2} nats per image (recon {recon:.2} + KL {kl:.2}; {z})"
            ));
        }
        let [skipped, back] = self.broke;
        if skipped + back > 0 {
            lines.push(format!(
                "the numbers broke {} times: {skipped} steps left out, {back} times back",
                skipped + back
            ));
        }
        let Some(folder) = self.folder else {
            lines.push(
                "steps, evaluation, saving, pictures and report work; nothing was kept".to_owned(),
            );
            return lines;
        };
        let looked_at = self.config.data.looked_at();
        let best = self.best.filter(|_| self.epochs > 1);
        lines.extend(best.map(|Best { epoch, loss }| {
            let loss = Nats(loss);
            format!("best epoch: {epoch} of {}, {looked_at} loss {loss:.2}", self.epochs)
        }));
        let of = match self.best.filter(|_| self.takes_best) {
            None => format!("after step {}", self.step),
            Some(best) if looked_at == "test" => format!(
                "of epoch {}, chosen on the test images (--validation-fraction avoids that)",
                best.epoch
            ),
            Some(best) => format!("of epoch {}, chosen on the validation images", best.epoch),
        };
        lines.extend([
            format!("weights: {}", folder.join(WEIGHTS).display()),
            format!("  {of}"),
            format!("report: {}", folder.join("report.html").display()),
            format!("next: {}", self.next(folder)),
        ]);
        lines
    }

    /// What one may type now.
    fn next(&self, folder: &Path) -> String {
        let path = typed(folder);
        match self.limit {
            None => format!("elbo train --resume {path}"),
            // Early stopping has had its reason.
            Some(_) if self.takes_best => format!("elbo evaluate {path} --samples"),
            Some(limit) => limit
                .more(folder, self.config)
                .unwrap_or_else(|| format!("elbo evaluate {path} --samples")),
        }
    }
}
