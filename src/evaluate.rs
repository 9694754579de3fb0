//! What a trained model is worth: test losses, reconstructions and samples.

use crate::config::Likelihood;
use crate::cpu::{ProgramId, Terms};
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::common::{Record, sigmoid};
use crate::metrics::{Losses, Sums};
use crate::train::{Trainer, stream};

/// What a model makes of the test images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// With one z for each image, sampled from the posterior: the ELBO's estimate.
    pub sampled: Losses,
    /// With z = μ, which is not the ELBO, but what some publications print.
    pub at_mean: Losses,
    /// The number of images.
    pub images: usize,
}

impl Trainer {
    /// The losses on the test images, with sampled z and at z = μ.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub fn evaluate(&mut self) -> Result<Evaluation> {
        self.collect(true)?;
        let sampled = self.look(self.ids.evaluate)?;
        let at_mean = self.look(self.ids.evaluate_at_mean)?;
        let images = sampled.images();
        Ok(Evaluation { sampled: sampled.losses(), at_mean: at_mean.losses(), images })
    }

    fn look(&mut self, program: ProgramId) -> Result<Sums> {
        let batch = self.config.train.batch_size;
        let records: Vec<_> =
            (0..self.test_images).step_by(batch).map(|first| self.test_record(first)).collect();
        let (mut sums, mut reports) = (Sums::default(), Vec::new());
        for records in records.chunks(self.steps_per_submit) {
            self.session.run(program, records)?;
            while let Some(terms) = self.session.next_terms(false)? {
                reports.push(terms);
            }
        }
        while reports.len() < records.len() {
            match self.session.next_terms(true)? {
                Some(terms) => reports.push(terms),
                None => return Err(Error::new(ErrorKind::Device, "a report did not come back")),
            }
        }
        for (terms, record) in reports.iter().zip(&records) {
            self.test_terms(*terms)?;
            sums.add(*terms, record.rows as usize);
        }
        Ok(sums)
    }

    fn test_terms(&self, terms: Terms) -> Result<()> {
        if terms.recon.is_finite() && terms.kl.is_finite() {
            return Ok(());
        }
        let step = self.step;
        let what = format!("the test loss is not finite after step {step}");
        Err(Error::new(ErrorKind::Numbers, what).hint("lower the learning rate (`--lr`)"))
    }

    fn test_record(&self, first: usize) -> Record {
        let rows = self.config.train.batch_size.min(self.test_images - first);
        Record {
            first: first as u32,
            rows: rows as u32,
            images: self.test_images as u32,
            shuffle: false,
            stream: stream::TEST,
            step: self.step as u32,
            ..self.record(0)
        }
    }

    /// The first test images and what becomes of them at z = μ: pixels, or their means, from 0 to
    /// 1. At most a minibatch.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub fn reconstruct(&mut self, count: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        self.collect(true)?;
        let record = self.test_record(0);
        let count = count.min(record.rows as usize) * self.size[0] * self.size[1];
        self.session.run(self.ids.evaluate_at_mean, &[record])?;
        self.session.next_terms(true)?;
        let mut images = self.session.read(self.vae.x)?;
        let mut made = self.means()?;
        images.truncate(count);
        made.truncate(count);
        Ok((images, made))
    }

    /// Images decoded from z of the prior: the means of their pixels, from 0 to 1.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub fn sample(&mut self, count: usize) -> Result<Vec<f32>> {
        self.collect(true)?;
        let (batch, pixels) = (self.config.train.batch_size, self.size[0] * self.size[1]);
        let mut images = Vec::new();
        for first in (0..count).step_by(batch) {
            let rows = batch.min(count - first);
            let (stream, step) = (stream::PRIOR, 0);
            let (first, rows_word) = (first as u32, rows as u32);
            let record = Record { first, rows: rows_word, stream, step, ..self.test_record(0) };
            self.session.run(self.ids.sample, &[record])?;
            self.session.next_terms(true)?;
            images.extend_from_slice(&self.means()?[..rows * pixels]);
        }
        Ok(images)
    }

    /// The means of the pixels that the decoder last made.
    fn means(&mut self) -> Result<Vec<f32>> {
        let made = self.session.read(self.vae.made)?;
        Ok(match self.config.model.likelihood {
            Likelihood::Bernoulli => made.into_iter().map(sigmoid).collect(),
            Likelihood::Normal => made,
        })
    }
}
