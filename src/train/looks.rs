//! Evaluation in the middle of training.

use crate::config::Schedule;
use crate::error::{ErrorKind, Result};
use crate::evaluate::Evaluation;
use crate::optim::Plateau;
use crate::train::Trainer;

impl Trainer {
    /// The losses on the test images, with sampled z and at z = μ. If they are finite, this is a state
    /// that training [goes back to](crate::config::NonFinite::RollBack) when later numbers break.
    /// After a whole epoch the schedule [`Plateau`](Schedule::Plateau) heeds the loss.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance) and [`Model::evaluate`](crate::Model::evaluate).
    pub fn evaluate(&mut self) -> Result<Evaluation> {
        let evaluation = self.model()?.evaluate()?;
        self.heed(evaluation.sampled.loss);
        self.keep_good()?;
        Ok(evaluation)
    }

    /// Lets the learning rate follow the test loss, once after each whole epoch.
    fn heed(&mut self, loss: f64) {
        let (step, optimizer) = (self.trained.step, &self.model.config.optimizer);
        let per_epoch = self.steps_per_epoch();
        let whole = step > 0 && step.is_multiple_of(per_epoch);
        if optimizer.schedule == Schedule::Plateau && whole {
            let plateau = self.trained.plateau.get_or_insert(Plateau::NONE);
            plateau.note(optimizer, (step, per_epoch), loss);
        }
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
                    self.note_broken(step, error.to_string(), way);
                    Ok(None)
                }
            },
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::record::SLOTS;
    use crate::engine::report::UNTAKEN;
    use crate::gpu::Gpu;
    use crate::{Config, Dataset, Device, Trainer};

    /// A host that runs programs and takes no report makes neither memory grow nor steps be lost.
    #[test]
    fn reports_that_nobody_takes_push_out_no_steps() {
        let data = Dataset::synthetic(40, [4, 4], 1).expect("a dataset");
        let mut config = Config::default();
        (config.model.encoder, config.model.decoder) = (vec![8], vec![8]);
        config.train.batch_size = 10;
        let gpu = Gpu::open(0).expect("an adapter; install mesa-vulkan-drivers");
        for device in [Device::Cpu(1), Device::Gpu(gpu)] {
            let trainer = || Trainer::new(&device, &config, &data, &data).expect("a trainer");
            let (mut clean, mut disturbed) = (trainer(), trainer());
            clean.advance(3).expect("steps");
            disturbed.set_steps_per_submit(1);
            disturbed.advance(3).expect("steps");
            let program = disturbed.model.session.load(&disturbed.model.vae.programs.prior.clone());
            let (program, record) = (program.expect("a program"), disturbed.record(0));
            for _ in 0..2 * UNTAKEN / SLOTS {
                disturbed.session().run(program, &[record; SLOTS]).expect("runs of a host");
            }
            assert_eq!(disturbed.finish().ok(), clean.finish().ok(), "losses of three steps");
            let session = disturbed.session();
            let left = std::iter::from_fn(|| session.next_report(true).expect("the device works"));
            // And those of submits that were under way.
            let (left, most) = (left.count(), UNTAKEN + 3 * SLOTS);
            assert!(left <= most, "{left} reports that nobody took");
        }
    }

    #[test]
    fn reports_of_a_look_that_was_given_up_are_nobodys() {
        let data = Dataset::synthetic(40, [4, 4], 1).expect("a dataset");
        let mut config = Config::default();
        config.train.batch_size = 10;
        let trainer = || Trainer::new(&Device::Cpu(1), &config, &data, &data).expect("a trainer");
        let (mut clean, mut disturbed) = (trainer(), trainer());
        // A step is as good: it reports, and nobody takes it.
        let program = disturbed.model.session.load(&disturbed.model.vae.programs.evaluate.clone());
        let program = program.expect("a program");
        let record = disturbed.record(0);
        for trainer in [&mut clean, &mut disturbed] {
            trainer.advance(2).expect("steps");
        }
        // As if a wait had ended early: three reports that nobody takes.
        disturbed.model.session.run(program, &[record; 3]).expect("a look");
        for trainer in [&mut clean, &mut disturbed] {
            trainer.advance(2).expect("steps");
        }
        assert_eq!(disturbed.finish().ok(), clean.finish().ok(), "training losses");
        let leave = |trainer: &mut Trainer| {
            trainer.model.session.run(program, &[record]).expect("a look");
        };
        leave(&mut disturbed);
        assert_eq!(disturbed.evaluate().ok(), clean.evaluate().ok(), "test losses");
        leave(&mut disturbed);
        let samples = |trainer: &mut Trainer| trainer.model.sample(3, 1.0).ok();
        assert_eq!(samples(&mut disturbed), samples(&mut clean), "samples");
        leave(&mut disturbed);
        let likelihoods = |trainer: &mut Trainer| trainer.model.log_likelihood(3, |_| ()).ok();
        assert_eq!(likelihoods(&mut disturbed), likelihoods(&mut clean), "likelihoods");
    }
}
