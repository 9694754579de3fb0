//! What a trained model is worth: test losses, reconstructions and samples.

use std::collections::VecDeque;

use crate::config::Likelihood;
use crate::cpu::{ProgramId, Terms};
use crate::engine::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::common::sigmoid;
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
    /// The losses on the test images, with sampled z and at z = μ. If they are finite, this is a state
    /// that training [goes back to](crate::config::NonFinite::RollBack) when later numbers break.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub fn evaluate(&mut self) -> Result<Evaluation> {
        self.wait()?;
        let sampled = self.look(self.ids.evaluate)?;
        let at_mean = self.look(self.ids.evaluate_at_mean)?;
        let images = sampled.images();
        self.keep_good()?;
        Ok(Evaluation { sampled: sampled.losses(), at_mean: at_mean.losses(), images })
    }

    /// As [`evaluate`](Self::evaluate), but if a test loss is not finite and training may go back, it
    /// does, and there is no evaluation.
    ///
    /// # Errors
    ///
    /// As `evaluate`.
    pub fn evaluate_or_go_back(&mut self) -> Result<Option<Evaluation>> {
        let step = self.trained.step;
        match self.evaluate() {
            Ok(evaluation) => Ok(Some(evaluation)),
            Err(error) if error.kind() == ErrorKind::Numbers => match self.roll_back()? {
                None => Err(error),
                Some(way) => {
                    self.note_broken(step, "the test loss is not finite".to_owned(), way);
                    Ok(None)
                }
            },
            Err(error) => Err(error),
        }
    }

    fn look(&mut self, program: ProgramId) -> Result<Sums> {
        let batch = self.config.train.batch_size;
        let records: Vec<_> =
            (0..self.test_images).step_by(batch).map(|first| self.test_record(first)).collect();
        let (mut sums, mut ticks) = (Sums::default(), VecDeque::new());
        let mut left = records.as_slice();
        while !left.is_empty() {
            let (records, rest) = left.split_at(self.room(program).min(left.len()));
            let first = self.session.run(program, records)?;
            ticks.extend((first..).zip(records));
            left = rest;
            self.take_reports(&mut ticks, &mut sums, false)?;
        }
        self.take_reports(&mut ticks, &mut sums, true)?;
        match ticks.is_empty() {
            true => Ok(sums),
            false => Err(Error::new(ErrorKind::Device, "a report did not come back")),
        }
    }

    /// Adds up the reports that have come, or all that will, of these ticks in their order.
    fn take_reports(
        &mut self,
        ticks: &mut VecDeque<(u32, &Record)>,
        sums: &mut Sums,
        wait: bool,
    ) -> Result<()> {
        while let Some(&(tick, record)) = ticks.front() {
            let Some(terms) = self.session.next_terms(wait)? else { return Ok(()) };
            // A report of a look that was given up belongs to nobody.
            if terms.tick == tick {
                self.test_terms(terms)?;
                sums.add(terms, record.rows as usize);
                ticks.pop_front();
            }
        }
        Ok(())
    }

    /// Runs a program once, and waits until it is done. Reports before its own belong to nobody.
    pub(crate) fn run_one(&mut self, program: ProgramId, record: Record) -> Result<()> {
        let tick = self.session.run(program, &[record])?;
        while let Some(terms) = self.session.next_terms(true)? {
            if terms.tick == tick {
                return Ok(());
            }
        }
        Err(Error::new(ErrorKind::Device, "a report did not come back"))
    }

    fn test_terms(&self, terms: Terms) -> Result<()> {
        if terms.recon.is_finite() && terms.kl.is_finite() {
            return Ok(());
        }
        let step = self.trained.step;
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
            step: self.trained.step as u32,
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
        self.wait()?;
        let first = self.test_record(0);
        let rows = count.min(first.rows as usize);
        self.run_one(self.ids.evaluate_at_mean, Record { rows: rows as u32, ..first })?;
        Ok((self.session.read(self.vae.x.first_rows(rows))?, self.means(rows)?))
    }

    /// Images decoded from z of the prior: the means of their pixels, from 0 to 1.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub fn sample(&mut self, count: usize) -> Result<Vec<f32>> {
        self.wait()?;
        let batch = self.config.train.batch_size;
        let mut images = Vec::new();
        for first in (0..count).step_by(batch) {
            let rows = batch.min(count - first);
            let place = Record { first: first as u32, rows: rows as u32, ..self.test_record(0) };
            let record = Record { stream: stream::PRIOR, step: 0, ..place };
            self.run_one(self.ids.sample, record)?;
            images.extend(self.means(rows)?);
        }
        Ok(images)
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

#[cfg(test)]
mod tests {
    use crate::{Config, Dataset, Device, Trainer};

    #[test]
    fn reports_of_a_look_that_was_given_up_are_nobodys() {
        let data = Dataset::synthetic(40, [4, 4], 1).expect("a dataset");
        let mut config = Config::default();
        config.train.batch_size = 10;
        let trainer = || Trainer::new(&Device::Cpu(1), &config, &data, &data).expect("a trainer");
        let (mut clean, mut disturbed) = (trainer(), trainer());
        let record = disturbed.test_record(0);
        let evaluate = disturbed.ids.evaluate;
        for trainer in [&mut clean, &mut disturbed] {
            trainer.advance(2).expect("steps");
        }
        // As if a wait had ended early: three reports that nobody takes.
        disturbed.session.run(evaluate, &[record; 3]).expect("a look");
        for trainer in [&mut clean, &mut disturbed] {
            trainer.advance(2).expect("steps");
        }
        assert_eq!(disturbed.finish().ok(), clean.finish().ok(), "training losses");
        disturbed.session.run(evaluate, &[record]).expect("a look");
        assert_eq!(disturbed.evaluate().ok(), clean.evaluate().ok(), "test losses");
        disturbed.session.run(evaluate, &[record]).expect("a look");
        assert_eq!(disturbed.sample(3).ok(), clean.sample(3).ok(), "samples");
    }
}
