//! What the encoder makes of images.

use std::ops::Range;

use crate::config::{LOG_VAR_BOUNDS, Posterior};
use crate::engine::{Record, Tensor};
use crate::error::Result;
use crate::evaluate::prior::Components;
use crate::evaluate::{Model, stream};
use crate::model::Use;

/// The posteriors of images, each (images, latent).
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Whose parameters these are.
    pub posterior: Posterior,
    /// μ, or the point.
    pub mean: Vec<f32>,
    /// log σ², within its bounds; a point has none, so that this is empty.
    pub log_var: Vec<f32>,
    /// One z of each posterior, or the point.
    pub z: Vec<f32>,
    /// The prior that they are held to.
    pub prior: Held,
}

/// The prior that codes are held to.
#[derive(Clone, Debug, PartialEq)]
pub enum Held {
    /// N(0, I).
    Normal,
    /// A mixture that was learned.
    Mixture(Components),
    /// For each its own normal, which the level above makes of one z of its own.
    Above {
        /// The means (images, latent).
        mean: Vec<f32>,
        /// The log-variances (images, latent), within their bounds.
        log_var: Vec<f32>,
    },
}

/// Splits rows [μ | log σ²] of so many columns, or points, of `latent` numbers each, into both, log σ² within its bounds.
fn split(rows: &[f32], (cols, latent): (usize, usize), [mean, log_var]: [&mut Vec<f32>; 2]) {
    let (lowest, highest) = LOG_VAR_BOUNDS;
    for row in rows.chunks(cols) {
        let (own, rest) = row.split_at(latent);
        mean.extend(own);
        log_var.extend(rest.iter().map(|v| v.clamp(lowest, highest)));
    }
}

/// What an encoder tells images by: rows of numbers, one for each image.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Whether they are what the last hidden layer makes, else the means μ, of an encoder without hidden layers.
    pub hidden: bool,
    /// The numbers of a row.
    pub columns: usize,
    /// All rows.
    pub values: Vec<f32>,
}

impl Model {
    /// The posteriors of some images, of the z that the decoder takes.
    ///
    /// # Errors
    ///
    /// If there are no such images, or the device is lost.
    pub fn encode(&mut self, images: Range<usize>) -> Result<Codes> {
        Ok(self.encode_levels(images)?.swap_remove(0))
    }

    /// The same level by level from below upwards, each by the z that was drawn of the level below.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_levels(&mut self, images: Range<usize>) -> Result<Vec<Codes>> {
        self.codes(images, stream::TEST)
    }

    /// The posteriors of some images at every level, with the noise of a stream.
    pub(super) fn codes(&mut self, images: Range<usize>, stream: u32) -> Result<Vec<Codes>> {
        self.within(&images)?;
        let ports = self.vae.ports.clone();
        let samples = self.config.objective.z_per_image();
        let of_h = |h: Tensor| h.rows() / ports.image.cols();
        let first = (ports.h, ports.z, of_h(ports.h));
        let above = ports.above.iter().map(|level| (level.h, level.z, of_h(level.h)));
        let levels: Vec<_> = std::iter::once(first).chain(above).collect();
        let posterior = self.config.model.posterior;
        let empty = |place: usize| Codes {
            posterior,
            mean: Vec::new(),
            log_var: Vec::new(),
            z: Vec::new(),
            prior: match place < ports.above.len() {
                true => Held::Above { mean: Vec::new(), log_var: Vec::new() },
                false => Held::Normal,
            },
        };
        let mut all: Vec<_> = (0..levels.len()).map(empty).collect();
        for part in self.batches(images) {
            let rows = part.len();
            self.run_one(Use::Encode, Record { stream, ..self.place(part) })?;
            for (place, (codes, &(h, z, of_h))) in all.iter_mut().zip(&levels).enumerate() {
                let latent = z.cols();
                let mut of = |tensor: Tensor, each: usize| -> Result<Vec<f32>> {
                    let values = self.session.read(tensor.first_rows(rows * each))?;
                    let rows = values.chunks(tensor.cols()).step_by(each);
                    Ok(rows.flat_map(|row| row.iter().copied()).collect())
                };
                codes.z.extend(of(z, samples)?);
                let h_rows = of(h, of_h)?;
                let to = [&mut codes.mean, &mut codes.log_var];
                split(&h_rows, (h.cols(), latent), to);
                if let Held::Above { mean, log_var } = &mut codes.prior {
                    let prior = ports.above[place].prior;
                    split(&of(prior, samples)?, (prior.cols(), latent), [mean, log_var]);
                }
            }
        }
        if let (Some(highest), Some(prior)) = (all.last_mut(), self.known_components()?) {
            highest.prior = Held::Mixture(prior);
        }
        Ok(all)
    }

    /// What the encoder's last hidden layer makes of some images, behind its activation: the features that
    /// distances between sets of images are measured by. Dimensions of μ may have collapsed, and then say nothing;
    /// an encoder without hidden layers has no others.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn features(&mut self, images: Range<usize>) -> Result<Seen> {
        let Some(hidden) = self.vae.ports.hidden else {
            let (columns, values) = (self.config.model.latent, self.encode(images)?.mean);
            return Ok(Seen { hidden: false, columns, values });
        };
        self.within(&images)?;
        let mut values = Vec::new();
        for part in self.batches(images) {
            let rows = part.len();
            self.run_one(Use::Encode, self.place(part))?;
            values.extend(self.session.read(hidden.first_rows(rows))?);
        }
        Ok(Seen { hidden: true, columns: hidden.cols(), values })
    }
}
