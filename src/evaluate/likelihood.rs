//! The losses of each image, and the marginal likelihood by importance sampling.

use crate::engine::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::evaluate::{Model, Z, stream};
use crate::model::Use;

/// The most importance samples: a sum of f32 does not grow any more by ones beyond.
const MOST_SAMPLES: u32 = 1 << 24;

/// A mean over images with what is not known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half the width of its 95 % confidence interval, as if the images were drawn from a population:
    /// 1.96 standard errors. Of one image it is infinite.
    pub margin: f64,
}

/// The mean of these values, each of an image.
#[must_use]
pub fn estimate(values: &[f64]) -> Estimate {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    let margin = match values.len() {
        0 | 1 => f64::INFINITY,
        _ => 1.96 * (squares / (count - 1.0) / count).sqrt(),
    };
    Estimate { mean, margin }
}

impl Model {
    /// −log p(x | z), the mean over its z's, and the KL divergence of each image, in nats: their sum is its
    /// −ELBO.
    ///
    /// # Errors
    ///
    /// A [`Numbers`](ErrorKind::Numbers) error if one is not finite; or if the device is lost.
    pub fn each(&mut self, z: Z) -> Result<Vec<[f64; 2]>> {
        let wanted = match z {
            Z::Sampled => Use::Evaluate,
            Z::Mean => Use::EvaluateAtMean,
        };
        let mut all = Vec::new();
        for part in self.batches(0..self.images) {
            let from = part.start;
            let rows = part.len();
            self.run_one(wanted, self.place(part))?;
            let nll = self.session.read(self.vae.ports.nll)?;
            let kl = self.session.read(self.vae.ports.kl)?;
            let samples = self.config.objective.z_per_image();
            let mean =
                |nll: &[f32]| nll.iter().copied().map(f64::from).sum::<f64>() / samples as f64;
            let pairs = nll.chunks(samples).zip(&kl).take(rows);
            all.extend(pairs.map(|(nll, &kl)| [mean(nll), f64::from(kl)]));
            check_finite(&all[from..], from, "the loss")?;
        }
        Ok(all)
    }

    /// log p(x) of each image in nats, estimated with so many importance samples from its posterior:
    /// log 1/K Σ p(x | z) p(z) / q(z | x), which is too low in the mean, by ever less the more samples
    /// there are (Burda et al. 2016, eq. 8 and theorem 1). Of a model that is being trained with several z
    /// of each image, each pass counts the first. `done` is told the share that is done.
    ///
    /// # Errors
    ///
    /// If the posterior is a point, there are no samples or more than 2²⁴, a weight is not finite, or the
    /// device is lost.
    pub fn log_likelihood(
        &mut self,
        samples: usize,
        mut done: impl FnMut(f64),
    ) -> Result<Vec<f64>> {
        self.config.check_density()?;
        let Some(count) = u32::try_from(samples).ok().filter(|n| (1..=MOST_SAMPLES).contains(n))
        else {
            let what = format!("`samples` is {samples}; it must be between 1 and {MOST_SAMPLES}");
            return Err(Error::config(what).hint("5000 is usual in publications"));
        };
        let weigh = self.load(Use::Weigh)?;
        let mut all = Vec::new();
        for part in self.batches(0..self.images) {
            let (from, rows) = (part.start, part.len());
            let place = self.place(part);
            self.run_one(Use::Encode, place)?;
            let mut step = 0;
            while step < count {
                let some = (self.room(Use::Weigh) as u32).min(count - step);
                let records: Vec<_> = (step..step + some).map(|z| weighing(&place, z)).collect();
                self.session.run(weigh, &records)?;
                while self.session.next_report(false)?.is_some() {}
                step += some;
                let here = rows as f64 * f64::from(step) / f64::from(count);
                done((from as f64 + here) / self.images as f64);
            }
            while self.session.next_report(true)?.is_some() {}
            let highest = self.session.read(self.vae.ports.highest)?;
            let total = self.session.read(self.vae.ports.total)?;
            let log = |(&highest, &total): (&f32, &f32)| {
                [f64::from(highest) + (f64::from(total) / f64::from(count)).ln()]
            };
            all.extend(highest.iter().zip(&total).take(rows).map(log));
            check_finite(&all[from..], from, "the importance weight")?;
        }
        Ok(all.into_iter().map(|[log]| log).collect())
    }
}

/// The record of one more z for the images of another record.
fn weighing(place: &Record, z: u32) -> Record {
    Record { stream: stream::IMPORTANCE, step: z, ..*place }
}

fn check_finite<const N: usize>(values: &[[f64; N]], first: usize, name: &str) -> Result<()> {
    match values.iter().position(|values| values.iter().any(|v| !v.is_finite())) {
        None => Ok(()),
        Some(at) => {
            let what = format!("{name} of image {} is not finite", first + at);
            Err(Error::new(ErrorKind::Numbers, what)
                .hint("are the images of the kind that it was trained on?"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::estimate;

    /// By hand: 1, 2, 3, 4 have the mean 2.5 and the sample variance 5/3.
    #[test]
    fn intervals_are_of_the_mean() {
        let found = estimate(&[4.0, 1.0, 3.0, 2.0]);
        let margin = 1.96 * (5.0_f64 / 3.0 / 4.0).sqrt();
        assert!(
            (found.mean - 2.5).abs() < 1e-15 && (found.margin - margin).abs() < 1e-12,
            "{found:?}"
        );
        assert_eq!(estimate(&[7.0]).margin, f64::INFINITY, "one image says nothing of others");
    }
}
