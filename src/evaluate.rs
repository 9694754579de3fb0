//! A model on a device and what can be asked of it: losses, codes, pictures, likelihoods.

// First, so that rustdoc lists it first: methods come in the order of modules.
mod new;

mod dimensions;
mod feed;
mod likelihood;
mod pictures;
mod posterior;
mod prior;
mod run;
mod weights;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use crate::checkpoint::{STATE, State};
use crate::config::{Config, ImageSize};
use crate::cpu::ProgramId;
use crate::data::{Dataset, Reading};
use crate::engine::plan::MAX_BINDING_BYTES;
use crate::engine::{PAD, Record, rate};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::{Losses, Places, Sums, Terms};
use crate::model::{Architecture, Use, Vae};
use crate::nn::Dims;
use crate::optim::{At, rates};
use crate::session::Session;

pub use dimensions::{ACTIVE, Dimension, active, by_kl, dimensions, total_kl, used};
pub(crate) use feed::Feed;
pub use likelihood::{Estimate, estimate};
pub use pictures::{Shown, check_temperature};
pub use posterior::{Codes, Held, Seen};
pub use prior::Components;
pub(crate) use weights::Place;

/// What noise is for: the streams of the generator.
pub(crate) mod stream {
    pub(crate) const TRAIN: u32 = 1;
    pub(crate) const TEST: u32 = 2;
    pub(crate) const PRIOR: u32 = 3;
    pub(crate) const IMPORTANCE: u32 = 4;
}

/// The fewest and the most images that a model which is not trained looks at together.
const BATCH: (usize, usize) = (128, 512);

/// What a model makes of the test images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// With z sampled from the posterior: the ELBO's estimate. A model that is used takes one z for each
    /// image, one that is being trained as many as a step.
    pub sampled: Losses,
    /// With z = μ, which is not the ELBO, but what some publications print.
    pub at_mean: Losses,
    /// The number of images.
    pub images: usize,
}

/// Which z of its posterior stands for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Z {
    /// One that was drawn.
    Sampled,
    /// μ.
    Mean,
}

/// A model on a device, and the images that it looks at.
///
/// ```
/// use elbo::{Config, Dataset, Device, Model, Trainer};
///
/// # let images = Dataset::synthetic(64, [8, 8], 1)?;
/// # let mut config = Config::default();
/// # (config.model.encoder, config.model.decoder) = ([32].into(), [32].into());
/// # (config.model.latent, config.train.batch_size) = (4, 32);
/// # let device = Device::Cpu(0);
/// # let state = Trainer::new(&device, &config, &images, &images)?.state()?;
/// // Of a state that was read or that a trainer gave, of a model with 4 dimensions of z.
/// let mut model = Model::new(&device, &state, Some(&images))?;
/// let losses = model.evaluate()?.sampled;
/// println!("−ELBO {} nats per image", losses.loss);
/// // Where the first ten images lie in the space of z, and what the decoder makes of those places.
/// let codes = model.encode(0..10)?;
/// assert_eq!(codes.mean.len(), 10 * 4);
/// let pixels = model.decode(&codes.mean)?;
/// assert_eq!(pixels.len(), 10 * 64);
/// # Ok::<(), elbo::Error>(())
/// ```
#[derive(Debug)]
pub struct Model {
    pub(crate) config: Config,
    pub(crate) vae: Vae,
    pub(crate) session: Session,
    loaded: BTreeMap<Use, ProgramId>,
    /// Where its reports have the terms of the losses.
    pub(crate) places: Places,
    images: usize,
    pub(crate) size: ImageSize,
    /// How the values of files became pixels.
    pub(crate) reading: Reading,
    /// The steps that its weights were trained for, which the noise of looks depends on.
    pub(crate) step: u64,
    /// Steps that share a submit, if the user said so.
    pub(crate) steps_per_submit: Option<usize>,
    shown: Shown,
    /// The seed of what is drawn from the prior and of drawn pixels, if it is not the configuration's.
    drawn: Option<u64>,
    /// How the training images and those that it looks at come to the device.
    pub(crate) feeds: [Feed; 2],
}

impl Model {
    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The size of an image.
    #[must_use]
    pub fn image_size(&self) -> ImageSize {
        self.size
    }

    /// How the values of files became pixels.
    #[must_use]
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The number of images that it looks at.
    #[must_use]
    pub fn images(&self) -> usize {
        self.images
    }

    /// Has the programs of evaluation ready.
    pub(crate) fn load_evaluation(&mut self) -> Result<()> {
        self.load(Use::Evaluate)?;
        self.load(Use::EvaluateAtMean).map(|_| ())
    }

    /// The losses on the images, with sampled z and at z = μ.
    ///
    /// # Errors
    ///
    /// A [`Numbers`](ErrorKind::Numbers) error if a loss is not finite, with the first tensor that is
    /// not; or if the device is lost or does not finish in time.
    pub fn evaluate(&mut self) -> Result<Evaluation> {
        let sampled = self.look(Use::Evaluate)?;
        let at_mean = self.look(Use::EvaluateAtMean)?;
        let images = sampled.images();
        Ok(Evaluation { sampled: sampled.losses(), at_mean: at_mean.losses(), images })
    }

    fn look(&mut self, look: Use) -> Result<Sums> {
        self.load(look)?;
        let records: Vec<_> =
            self.batches(0..self.images).into_iter().map(|part| self.place(part)).collect();
        let (mut sums, mut ticks) = (Sums::default(), VecDeque::new());
        let mut left = records.as_slice();
        while !left.is_empty() {
            let (records, rest) = left.split_at(self.room(look).min(left.len()));
            let first = self.submit(look, records)?;
            self.expect(look, rest.iter().copied())?;
            ticks.extend((first..).zip(records));
            left = rest;
            self.take_reports(look, &mut ticks, &mut sums, false)?;
        }
        self.take_reports(look, &mut ticks, &mut sums, true)?;
        match ticks.is_empty() {
            true => Ok(sums),
            false => Err(Error::new(ErrorKind::Device, "a report did not come back")),
        }
    }

    /// Adds up the reports that have come, or all that will, of these ticks in their order.
    fn take_reports(
        &mut self,
        look: Use,
        ticks: &mut VecDeque<(u32, &Record)>,
        sums: &mut Sums,
        wait: bool,
    ) -> Result<()> {
        while let Some(&(tick, record)) = ticks.front() {
            let Some(report) = self.session.next_report(wait)? else { return Ok(()) };
            // Others are left over from an evaluation that timed out, or of a program that a host ran.
            if report.tick == tick {
                let terms = self.places.terms(&report);
                self.judge(look, *record, terms)?;
                sums.add(terms, record);
                ticks.pop_front();
            }
        }
        Ok(())
    }

    /// Refuses losses that are not finite, and names the first tensor that is not.
    fn judge(&mut self, look: Use, record: Record, terms: Terms) -> Result<()> {
        if terms.recon.is_finite() && terms.kl.is_finite() {
            return Ok(());
        }
        let found = match self.first_broken(look, record) {
            Ok(Some(found)) => format!(": {found}"),
            _ => String::new(),
        };
        let what = format!("the held-out loss is not finite after step {}{found}", self.step);
        Err(Error::new(ErrorKind::Numbers, what)
            .hint("lower the learning rate (`--lr`), or use images like those of the training"))
    }

    /// Of rows of so many columns, those of each image's first z.
    fn first_of_each(&self, rows: Vec<f32>, cols: usize) -> Vec<f32> {
        match self.config.objective.z_per_image() {
            1 => rows,
            samples => {
                rows.chunks(cols).step_by(samples).flat_map(|row| row.iter().copied()).collect()
            }
        }
    }

    /// Parts of a range of images, each at most a minibatch.
    fn batches(&self, images: Range<usize>) -> Vec<Range<usize>> {
        let (batch, end) = (self.config.train.part_size(), images.end);
        images.step_by(batch).map(|first| first..end.min(first + batch)).collect()
    }

    /// The record of a look at these images, at most a minibatch.
    fn place(&self, images: Range<usize>) -> Record {
        let rows = images.len();
        let at = At { step: 1, per_epoch: 1, scale: 1.0 };
        let mut rates = rates(&self.config, at, rows);
        rates[rate::LEARNING] = 0.0;
        Record {
            first: images.start as u32,
            rows: rows as u32,
            step: self.step as u32,
            epoch: 0,
            images: self.images as u32,
            shuffle: false,
            window: None,
            stream: stream::TEST,
            seed: self.config.train.seed,
            rates,
        }
    }

    /// Refuses images that there are not.
    fn within(&self, images: &Range<usize>) -> Result<()> {
        if images.end <= self.images && !images.is_empty() {
            return Ok(());
        }
        let what = match images.end.saturating_sub(images.start) {
            0 => "no image was asked for".to_owned(),
            1 => format!("there is no image {}", images.start),
            _ => format!("there are no images {} to {}", images.start, images.end - 1),
        };
        let (last, all) = (self.images.saturating_sub(1), self.images);
        Err(Error::config(format!("{what}; the {all} images are counted from 0 to {last}"))
            .hint("choose images in that range"))
    }
}

/// How many images are looked at together: more than were trained on only where a layer of so many
/// still fits a binding.
fn batch(config: &Config, size: ImageSize) -> Result<usize> {
    let trained = config.train.part_size();
    let networks = Architecture::of(&config.model, size)?;
    let all = networks.all().flat_map(|(network, _)| network.dims());
    let widest = all.map(Dims::stored).max().unwrap_or(1);
    let fit = MAX_BINDING_BYTES as usize / 4 / widest.max(PAD);
    Ok(trained.clamp(BATCH.0, BATCH.1).min(fit / PAD * PAD).max(trained.min(BATCH.1)))
}

/// So many black images of a state's size, that nobody looks at.
fn blank(state: &State, count: usize) -> Result<Dataset> {
    let (size, pixels) = (state.size, state.size.len());
    // Each pixel has a bias at the least, so a size that the file does not bear out takes no memory.
    let numbers = state.tensors.iter().map(|tensor| tensor.values.len()).sum::<usize>();
    if pixels > numbers {
        let what = format!("{STATE} is of images of {size}, and has {numbers} numbers");
        return Err(Error::new(ErrorKind::Data, what).hint("name a whole checkpoint"));
    }
    Dataset::from_bytes(state.size, vec![0; pixels * count])?.with_labels(vec![0; count])
}
