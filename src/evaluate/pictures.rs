//! Images that a model makes: of images, of the prior, of any z.

use std::ops::Range;

use crate::config::Likelihood;
use crate::engine::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::evaluate::{Look, Model, stream};
use crate::kernels::common::sigmoid;

impl Model {
    /// The pixels of some images, as the model sees them.
    ///
    /// # Errors
    ///
    /// If there are no such images, or the device is lost.
    pub fn pixels(&mut self, images: Range<usize>) -> Result<Vec<f32>> {
        self.reconstruct(images).map(|(pixels, _)| pixels)
    }

    /// Some images and what becomes of them at z = μ: pixels, or their means, from 0 to 1, (images,
    /// pixels).
    ///
    /// # Errors
    ///
    /// If there are no such images, or the device is lost.
    pub fn reconstruct(&mut self, images: Range<usize>) -> Result<(Vec<f32>, Vec<f32>)> {
        self.within(&images)?;
        let program = self.load(Look::EvaluateAtMean)?;
        let (mut pixels, mut means) = (Vec::new(), Vec::new());
        for part in self.batches(images) {
            let rows = part.len();
            self.run_one(program, self.place(part))?;
            pixels.extend(self.session.read(self.vae.x.first_rows(rows))?);
            means.extend(self.means(rows)?);
        }
        Ok((pixels, means))
    }

    /// Images decoded from z of the prior, whose deviation is `temperature` instead of 1: the means of
    /// their pixels, from 0 to 1, (count, pixels). The same for the same seed.
    ///
    /// # Errors
    ///
    /// If the temperature is no number of 0 or more, or the device is lost.
    pub fn sample(&mut self, count: usize, temperature: f32) -> Result<Vec<f32>> {
        if !(temperature.is_finite() && temperature >= 0.0) {
            let what = format!("a temperature of {temperature}; it must be a number, 0 or more");
            return Err(Error::config(what).hint("1 is the prior's own"));
        }
        let program = self.load(Look::Prior)?;
        let mut z = Vec::new();
        for part in self.batches(0..count) {
            let rows = part.len();
            let record = Record { stream: stream::PRIOR, step: 0, ..self.place(part) };
            self.run_one(program, record)?;
            z.extend(self.session.read(self.vae.z.first_rows(rows))?);
        }
        z.iter_mut().for_each(|z| *z *= temperature);
        self.decode(&z)
    }

    /// What the decoder makes of z (images, latent): the means of the pixels, from 0 to 1 where the
    /// likelihood is Bernoulli, (images, pixels).
    ///
    /// # Errors
    ///
    /// If z is not a whole number of rows of finite numbers, or the device is lost.
    pub fn decode(&mut self, z: &[f32]) -> Result<Vec<f32>> {
        let latent = self.config.model.latent;
        if !z.len().is_multiple_of(latent) || z.iter().any(|z| !z.is_finite()) {
            let what = format!("{} numbers are no rows of {latent} finite ones", z.len());
            return Err(Error::new(ErrorKind::Data, what)
                .hint(format!("z of this model has {latent} dimensions")));
        }
        let program = self.load(Look::Decode)?;
        let mut made = Vec::new();
        for z in z.chunks(latent * self.config.train.part_size()) {
            let rows = z.len() / latent;
            self.session.write(self.vae.z.first_rows(rows), z)?;
            self.run_one(program, self.place(0..rows))?;
            made.extend(self.means(rows)?);
        }
        Ok(made)
    }

    /// The means of the pixels in the first rows that the decoder last made.
    fn means(&mut self, rows: usize) -> Result<Vec<f32>> {
        let made = self.session.read(self.vae.made.first_rows(rows))?;
        Ok(match self.config.model.likelihood {
            Likelihood::Bernoulli => made.into_iter().map(sigmoid).collect(),
            Likelihood::Normal => made,
        })
    }
}
