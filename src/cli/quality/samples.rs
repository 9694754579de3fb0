//! Samples against images, by the features that an encoder makes of both.

use elbo::checkpoint::State;
use elbo::config::Support;
use elbo::evaluate::{Estimate, Seen, estimate};
use elbo::probe::Features;
use elbo::quality::{DEFAULT_K, Manifold, Moments};
use elbo::{Dataset, Error, Model, Result};
use serde_json::{Value, json};

use crate::cli::quality::Measured;
use crate::cli::sampler::{SampleFrom, Subject};
use crate::cli::table::table;
use crate::cli::talk;

/// The fewest samples that have neighbours enough.
pub(super) const LEAST: usize = 10;

/// The samples that are taken by default.
const SAMPLES: usize = 5000;

/// Images that are on the device at once, in pixels.
const PIXELS: usize = 1 << 24;

/// How near one set of images comes to the test images.
struct Distance {
    name: String,
    frechet: f64,
    precision: Estimate,
    recall: Estimate,
}

/// All sets that were compared.
pub(super) struct Compared {
    count: usize,
    seen: Seen,
    /// Whose encoder made the features.
    encoder: String,
    rows: Vec<Distance>,
}

/// The encoder that makes features: of the run itself, or of another.
struct Encoder<'a> {
    measured: Measured<'a>,
    state: &'a State,
}

/// The features of test images, which others are compared with.
struct Reference<'a> {
    real: Features<'a>,
    moments: Moments,
    manifold: Manifold<'a>,
}

impl<'a> Reference<'a> {
    fn new(real: Features<'a>) -> Result<Self> {
        let (moments, manifold) = (Moments::of(real)?, Manifold::new(real, DEFAULT_K)?);
        Ok(Self { real, moments, manifold })
    }

    fn distance(&self, name: &str, values: &[f32]) -> Result<Distance> {
        let others = Features::new(values, self.real.columns())?;
        let share = |inside: Vec<bool>| {
            estimate(&inside.into_iter().map(|is| f64::from(u8::from(is))).collect::<Vec<_>>())
        };
        Ok(Distance {
            name: name.to_owned(),
            frechet: self.moments.frechet(&Moments::of(others)?)?,
            precision: share(self.manifold.holds(others)?),
            recall: share(Manifold::new(others, DEFAULT_K)?.holds(self.real)?),
        })
    }
}

/// Compares samples of each kind, and training images, with test images.
pub(super) fn compare(
    measured: Measured<'_>,
    from: &[SampleFrom],
    [train, test]: [&Dataset; 2],
) -> Result<Compared> {
    let Measured { args, state, device } = measured;
    let other = args.features.as_deref().map(|run| args.model.weights.of(run)).transpose()?;
    let features_of = other.as_ref().map_or(state, |chosen| &chosen.state);
    let own_classes = features_of.config.model.classes;
    if other.is_some() && own_classes > 0 {
        let what = "the encoder of `--features` is conditional, and sees the classes of images";
        return Err(Error::config(what).hint("name a run that was trained without `--classes`"));
    }
    let most = train.len().min(test.len());
    let count = args.count.unwrap_or(SAMPLES.min(most));
    if count > most || count < LEAST {
        let what = format!("{count} samples, but {} test images", test.len());
        let what = format!("{what} and {} training images", train.len());
        return Err(Error::config(what)
            .hint(format!("as many of each are compared: from {LEAST} to {most}")));
    }
    let encoder = Encoder { measured, state: features_of };
    let images = encoder.spread(test, count)?;
    if images.columns >= count {
        talk(&format!(
            "warning: {count} images are fewer than their {} features, so that distances say \
             little: raise `--count`",
            images.columns + 1
        ));
    }
    let real = Features::new(&images.values, images.columns)?;
    let reference = Reference::new(real)?;
    let mut rows =
        vec![reference.distance("training images", &encoder.spread(train, count)?.values)?];
    let classes = classes(state, test, count);
    let subject = Subject {
        model: &args.model,
        state,
        data: &args.data,
        args: &args.sampler,
        device,
        quiet: measured.quiet(),
    };
    let seed = args.seed.unwrap_or(state.config.train.seed);
    for &from in from {
        let sampler = subject.sampler(from, Some(train))?;
        sampler.said.iter().filter(|_| !args.model.quiet).for_each(|said| talk(said));
        let mut model = Model::new(device, state, None)?;
        model.reseed(seed);
        let usual = vec![1.0; state.config.model.latents().len()];
        let made = sampler.images(device, &mut model, (count, seed), &usual, classes.as_deref())?;
        rows.push(reference.distance(from.name(), &encoder.of_samples(made, classes.as_deref())?)?);
    }
    let encoder = match &args.features {
        None => "this run's encoder".to_owned(),
        Some(run) => format!("the encoder of {}", run.display()),
    };
    Ok(Compared { count, seen: Seen { values: Vec::new(), ..images }, encoder, rows })
}

/// The classes of samples of a conditional model: those of the test images that they are compared with.
fn classes(state: &State, test: &Dataset, count: usize) -> Option<Vec<u8>> {
    let labels = test.labels().filter(|_| state.config.model.classes > 0)?;
    Some((0..count).map(|i| labels[i * test.len() / count]).collect())
}

impl Encoder<'_> {
    /// The features of so many images, spread over all, since files may be in the order of their classes.
    fn spread(&self, data: &Dataset, count: usize) -> Result<Seen> {
        let mut model = Model::new(self.measured.device, self.state, Some(data))?;
        let mut wanted = (0..count).map(|i| i * data.len() / count).peekable();
        let mut found: Option<Seen> = None;
        let together = (PIXELS / data.size().len()).max(1);
        for first in (0..data.len()).step_by(together) {
            let part = first..data.len().min(first + together);
            let seen = model.features(part.clone())?;
            let found = found.get_or_insert_with(|| Seen { values: Vec::new(), ..seen });
            while let Some(image) = wanted.next_if(|image| part.contains(image)) {
                let at = (image - first) * seen.columns;
                found.values.extend_from_slice(&seen.values[at..at + seen.columns]);
            }
        }
        found.ok_or_else(|| Error::config("there are no images").hint("name others by `--data`"))
    }

    /// The features of samples, which are made pixels that the encoder's model takes.
    fn of_samples(&self, mut made: Vec<f32>, classes: Option<&[u8]>) -> Result<Vec<f32>> {
        let (size, model) = (self.state.size, &self.state.config.model);
        match model.likelihood.support() {
            Support::Unit => made.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0)),
            Support::Levels => {
                let steps = (model.levels - 1) as f32;
                made.iter_mut().for_each(|v| *v = (v.clamp(0.0, 1.0) * steps).round() / steps);
            }
            Support::Line | Support::Counts => {}
        }
        let mut values = Vec::new();
        let together = (PIXELS / size.len()).max(1);
        for (at, some) in made.chunks(together * size.len()).enumerate() {
            let count = some.len() / size.len();
            let mut data = Dataset::from_floats(size, some.to_vec())?;
            if let Some(classes) = classes {
                data = data.with_labels(classes[at * together..][..count].to_vec())?;
            }
            let mut model = Model::new(self.measured.device, self.state, Some(&data))?;
            values.extend(model.features(0..count)?.values);
        }
        Ok(values)
    }
}

impl Compared {
    pub(super) fn tell(&self, line: &mut Value) {
        line["samples"] = json!(self.count);
        line["features"] = json!({
            "of": if self.seen.hidden { "last hidden layer" } else { "mean" },
            "columns": self.seen.columns,
            "encoder": self.encoder,
        });
        line["k"] = json!(DEFAULT_K);
        let row = |row: &Distance| {
            json!({
                "from": row.name, "frechet": row.frechet,
                "precision": row.precision.mean, "precision_margin": row.precision.margin,
                "recall": row.recall.mean, "recall_margin": row.recall.margin,
            })
        };
        line["distances"] = self.rows.iter().map(row).collect();
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let Self { count, seen, encoder, rows } = self;
        let what = if seen.hidden { "the last hidden layer" } else { "the means μ" };
        let mut lines = vec![format!(
            "{count} samples and as many test images, by {} features: {what} of {encoder}",
            seen.columns
        )];
        let share = |of: Estimate| format!("{:.3} ± {:.3}", of.mean, of.margin);
        let row = |row: &Distance| {
            [
                format!("  {}", row.name),
                format!("{:.4}", row.frechet),
                share(row.precision),
                share(row.recall),
            ]
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        let head = ["  z drawn from", "Fréchet distance", "precision", "recall"];
        lines.extend(table(head, &rows, 1));
        lines.push(format!(
            "precision and recall by the {DEFAULT_K} nearest neighbours; ± is half a 95 % confidence interval"
        ));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples that are all much alike are like images, and few images are like them.
    #[test]
    fn precision_is_of_samples_and_recall_of_images() {
        let real: Vec<_> = (0..10).map(|i| i as f32).collect();
        let alike: Vec<_> = (0..10).map(|i| 5.0 + i as f32 / 100.0).collect();
        let reference = Reference::new(Features::new(&real, 1).expect("rows")).expect("rows");
        let found = reference.distance("alike", &alike).expect("a distance");
        assert_eq!((found.precision.mean, found.recall.mean), (1.0, 0.1), "only 5 is among them");
    }
}
