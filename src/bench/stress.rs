//! A burn-in: the same steps from the same state, over and over, which must give the same bits.

use std::time::{Duration, Instant};

use crate::bench::steps::trainer;
use crate::bench::timed;
use crate::config::{Config, ImageSize};
use crate::engine::{Report, Tensor};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::{Places, Terms};
use crate::session::Device;
use crate::train::Trainer;

/// What a burn-in did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stressed {
    /// Rounds of the same steps.
    pub rounds: u64,
    /// Steps in all.
    pub steps: u64,
    /// Comparisons with the first round: of each step's losses, and of each round's last state.
    pub checks: u64,
    /// The time of the steps alone, without what is restored and compared between rounds.
    pub busy: Duration,
}

/// Bits of what a round left: each step's losses, and the state after the last.
struct Round {
    losses: Vec<[u64; 2]>,
    state: Vec<Vec<u32>>,
}

/// A burn-in that is under way.
pub struct Stress {
    trainer: Trainer,
    steps: u64,
    /// Parameters and moments before the first step.
    start: Vec<(Tensor, Vec<f32>)>,
    first: Option<Round>,
    done: Stressed,
}

impl std::fmt::Debug for Stress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stress").field("steps", &self.steps).field("done", &self.done).finish()
    }
}

impl Stress {
    /// A burn-in of a configuration on made images, in rounds of so many steps.
    ///
    /// # Errors
    ///
    /// As [`Trainer::new`].
    pub fn new(device: &Device, config: &Config, size: ImageSize, steps: u64) -> Result<Self> {
        let mut trainer = trainer(device, config, size)?;
        let parameters = trainer.model.vae.parameters.list().iter();
        let tensors: Vec<_> = parameters
            .flat_map(|p| [Some(p.value), Some(p.first), Some(p.second), p.average])
            .flatten()
            .collect();
        let read = |tensor| Ok((tensor, trainer.model.session.read(tensor)?));
        let start = tensors.into_iter().map(read).collect::<Result<_>>()?;
        Ok(Self { trainer, steps, start, first: None, done: Stressed::default() })
    }

    /// Runs rounds for some time, at least two; `after` hears of each.
    ///
    /// # Errors
    ///
    /// A [`Numbers`](ErrorKind::Numbers) error that names what differed, if anything did. Also if
    /// the device is lost or does not finish in time.
    pub fn run(&mut self, time: Duration, mut after: impl FnMut(Stressed)) -> Result<Stressed> {
        let start = Instant::now();
        while self.done.rounds < 2 || start.elapsed() < time {
            self.restore()?;
            self.round()?;
            after(self.done);
        }
        Ok(self.done)
    }

    /// What the schedules of its step were chosen by: `measured`, or `rule`.
    #[must_use]
    pub fn schedules(&self) -> &'static str {
        self.trainer.schedules()
    }

    /// What was done so far.
    #[must_use]
    pub fn done(&self) -> Stressed {
        self.done
    }

    fn restore(&mut self) -> Result<()> {
        let write =
            |(tensor, values): &(_, Vec<f32>)| self.trainer.model.session.write(*tensor, values);
        self.start.iter().try_for_each(write)
    }

    fn round(&mut self) -> Result<()> {
        let (losses, time) = timed(|| self.losses())?;
        let state = self.start.iter().map(|(tensor, _)| {
            let values = self.trainer.model.session.read(*tensor)?;
            Ok(values.into_iter().map(f32::to_bits).collect())
        });
        let round = Round { losses, state: state.collect::<Result<_>>()? };
        self.done.rounds += 1;
        self.done.steps += self.steps;
        self.done.busy += time;
        match &self.first {
            None => self.first = Some(round),
            Some(first) => {
                self.compare(first, &round)?;
                self.done.checks += self.steps + 1;
            }
        }
        Ok(())
    }

    /// Runs a round's steps, submitted as training submits them.
    fn losses(&mut self) -> Result<Vec<[u64; 2]>> {
        let trainer = &mut self.trainer;
        let records: Vec<_> = (0..self.steps).map(|step| trainer.record(step)).collect();
        let mut losses = Vec::new();
        for records in records.chunks(trainer.steps_per_submit()) {
            trainer.model.submit(trainer.step_use, records)?;
            while let Some(report) = trainer.model.session.next_report(false)? {
                losses.push(bits(trainer.model.places, &report)?);
            }
        }
        while losses.len() < records.len() {
            let Some(report) = trainer.model.session.next_report(true)? else {
                return Err(Error::new(ErrorKind::Device, "a report did not come back"));
            };
            losses.push(bits(trainer.model.places, &report)?);
        }
        Ok(losses)
    }

    fn compare(&self, first: &Round, now: &Round) -> Result<()> {
        let differs = |what: String| {
            let round = self.done.rounds;
            Err(Error::new(ErrorKind::Numbers, format!("round {round} is not the first: {what}"))
                .hint("the device computes wrongly: look at its clocks, heat, memory and driver"))
        };
        for (step, (first, now)) in (1..).zip(first.losses.iter().zip(&now.losses)) {
            if first != now {
                let ([a, b], [c, d]) = (now.map(f64::from_bits), first.map(f64::from_bits));
                return differs(format!("step {step} sums to {a} and {b} nats, not {c} and {d}"));
            }
        }
        let states = self.start.iter().zip(first.state.iter().zip(&now.state));
        for ((tensor, _), (first, now)) in states {
            if let Some(at) = (0..first.len()).find(|&at| first[at] != now[at]) {
                let name = self.trainer.model.vae.plan.name(*tensor);
                let (a, b) = (now[at], first[at]);
                return differs(format!("the {name} hold {a:#010x} at {at}, not {b:#010x}"));
            }
        }
        Ok(())
    }
}

/// The bits of a step's losses, unless they broke.
fn bits(places: Places, report: &Report) -> Result<[u64; 2]> {
    match report.status {
        0 => {
            let Terms { recon, kl, .. } = places.terms(report);
            Ok([recon.to_bits(), kl.to_bits()])
        }
        status => {
            let what = format!("the numbers broke (status {status}); the burn-in needs steps");
            Err(Error::new(ErrorKind::Numbers, format!("{what} that stay finite"))
                .hint("lower `lr` in the file of `--config`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stress() -> Stress {
        let mut config = Config::default();
        (config.model.encoder, config.model.decoder) = ([8].into(), [8].into());
        config.train.batch_size = 4;
        Stress::new(&Device::Cpu(1), &config, [28, 28].into(), 20).expect("a small model")
    }

    #[test]
    fn rounds_repeat() {
        let mut heard = 0;
        let done = stress().run(Duration::ZERO, |_| heard += 1).expect("the CPU computes well");
        let Stressed { rounds, steps, checks, busy } = done;
        assert_eq!((rounds, steps, checks), (2, 40, 21), "two rounds of twenty");
        assert!(busy > Duration::ZERO, "they take time");
        assert_eq!(heard, 2, "rounds that were told");
    }

    /// One bit of one weight differs before the first step.
    #[test]
    fn a_flipped_bit_is_found() {
        let mut stress = stress();
        stress.run(Duration::ZERO, |_| ()).expect("the CPU computes well");
        stress.restore().expect("memory");
        let (tensor, values) = stress.start[0].clone();
        let at = values.iter().position(|&v| v != 0.0).expect("weights");
        let mut flipped = values;
        flipped[at] = f32::from_bits(flipped[at].to_bits() ^ 1 << 20);
        stress.trainer.model.session.write(tensor, &flipped).expect("memory");
        let error = stress.round().expect_err("another state gives other numbers");
        assert_eq!(error.kind().exit_code(), 3, "{error}");
        assert!(error.to_string().contains("round 3"), "{error}");
    }

    /// Only the state differs, after losses that agree.
    #[test]
    fn a_flipped_bit_at_the_end_is_found() {
        let mut stress = stress();
        stress.run(Duration::ZERO, |_| ()).expect("the CPU computes well");
        let first = stress.first.as_mut().expect("a first round");
        let last = first.state.last_mut().expect("moments");
        *last.last_mut().expect("elements") ^= 1;
        stress.restore().expect("memory");
        let error = stress.round().expect_err("the state is another");
        assert!(error.to_string().contains("second moments"), "{error}");
    }
}
