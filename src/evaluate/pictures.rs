//! Images that a model makes: of images, of the prior, of any z.

use std::ops::Range;

use crate::config::{Mean, Scale};
use crate::error::{Error, ErrorKind, Result};
use crate::evaluate::{Model, stream};
use crate::kernels::counts::share;
use crate::kernels::likelihood::{draw, mean};
use crate::kernels::philox::{key, philox, purpose};
use crate::model::Use;
use crate::model::likelihood::LOG_SCALE;

/// What is shown of p(x | z).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// The means of the pixels, which are smoother than images are.
    #[default]
    Mean,
    /// Pixels drawn from it, each independently, or the channels of a place together where they are modelled so.
    Drawn,
}

/// Refuses a temperature that multiplies no deviation.
///
/// # Errors
///
/// If it is no number of 0 or more.
pub fn check_temperature(temperature: f32) -> Result<()> {
    if temperature.is_finite() && temperature >= 0.0 {
        return Ok(());
    }
    let what = format!("a temperature of {temperature}; it must be a number, 0 or more");
    Err(Error::config(what).hint("1 leaves deviations as they are"))
}

impl Model {
    /// Chooses what [`reconstruct`](Self::reconstruct), [`sample`](Self::sample) and
    /// [`decode`](Self::decode) show of p(x | z); at first it is the means. What is drawn is a function of
    /// the seed, of the image's place among those asked for, and of the pixel.
    pub fn show(&mut self, shown: Shown) {
        self.shown = shown;
    }

    /// Chooses the seed of what [`sample`](Self::sample) and [`sample_of`](Self::sample_of) draw, and of
    /// pixels that are [drawn](Shown::Drawn); at first it is that of the configuration.
    pub fn reseed(&mut self, seed: u64) {
        self.drawn = Some(seed);
    }

    /// The seed of what is drawn.
    pub(super) fn seed(&self) -> u64 {
        self.drawn.unwrap_or(self.config.train.seed)
    }

    /// The pixels of some images, as the model sees them.
    ///
    /// # Errors
    ///
    /// If there are no such images, or the device is lost.
    pub fn pixels(&mut self, images: Range<usize>) -> Result<Vec<f32>> {
        self.reconstruct(images).map(|(pixels, _)| pixels)
    }

    /// Some images and what becomes of them at z = μ, as is [shown](Self::show), (images, pixels).
    ///
    /// # Errors
    ///
    /// If there are no such images, or the device is lost.
    pub fn reconstruct(&mut self, images: Range<usize>) -> Result<(Vec<f32>, Vec<f32>)> {
        self.within(&images)?;
        let (mut pixels, mut means) = (Vec::new(), Vec::new());
        for part in self.batches(images) {
            let rows = part.len();
            self.run_one(Use::EvaluateAtMean, self.place(part.clone()))?;
            let x = self.session.read(self.vae.ports.x.first_rows(rows))?;
            let totals: Vec<f32> = x.chunks(self.size.len()).map(|x| x.iter().sum()).collect();
            means.extend(self.shown(part, &totals)?);
            pixels.extend(x);
        }
        Ok((pixels, means))
    }

    /// Images decoded from z of the prior, whose deviations are multiplied by `temperature`, as is
    /// [shown](Self::show), (count, pixels). The same for the same [seed](Self::reseed).
    ///
    /// # Errors
    ///
    /// If the temperature is no number of 0 or more, the model has no prior or is conditional, or the device
    /// is lost.
    pub fn sample(&mut self, count: usize, temperature: f32) -> Result<Vec<f32>> {
        self.check_told(None, count)?;
        let z = self.prior(count, temperature)?;
        self.made(&z, None)
    }

    /// Images of these classes, as [`sample`](Self::sample) makes those of a model without. Two images of
    /// one place in the list and of different classes have the same z.
    ///
    /// # Errors
    ///
    /// If the temperature is no number of 0 or more, the model is not conditional or does not know a
    /// class, or the device is lost.
    pub fn sample_of(&mut self, classes: &[u8], temperature: f32) -> Result<Vec<f32>> {
        self.check_told(Some(classes), classes.len())?;
        let z = self.prior(classes.len(), temperature)?;
        self.made(&z, Some(classes))
    }

    /// What the decoder makes of z (images, latent), as is [shown](Self::show), (images, pixels): from 0 to
    /// 1 but for likelihoods of any numbers, as the normal, and for counts, which share the mean total of the
    /// training images, or 1 where that is not known, unless their means are [free](Mean::Free). The mean of a logistic pixel is its location within
    /// 0 to 1, that of a mixture or of levels the expectation.
    ///
    /// # Errors
    ///
    /// If z is not a whole number of rows of finite numbers, the model is conditional, or the device is
    /// lost.
    pub fn decode(&mut self, z: &[f32]) -> Result<Vec<f32>> {
        let count = self.check_z(z)?;
        self.check_told(None, count)?;
        self.made(z, None)
    }

    /// What the decoder of a conditional model makes of z (images, latent) and the class of each, as
    /// [`decode`](Self::decode).
    ///
    /// # Errors
    ///
    /// If z is not a whole number of rows of finite numbers, the model is not conditional, there is not
    /// one class for each row or one that the model does not know, or the device is lost.
    pub fn decode_of(&mut self, z: &[f32], classes: &[u8]) -> Result<Vec<f32>> {
        let count = self.check_z(z)?;
        self.check_told(Some(classes), count)?;
        self.made(z, Some(classes))
    }

    /// The number of rows of z.
    fn check_z(&self, z: &[f32]) -> Result<usize> {
        let latent = self.config.model.latent;
        if !z.len().is_multiple_of(latent) || z.iter().any(|z| !z.is_finite()) {
            let what = format!("{} numbers are no rows of {latent} finite ones", z.len());
            return Err(Error::new(ErrorKind::Data, what)
                .hint(format!("z of this model has {latent} dimensions")));
        }
        Ok(z.len() / latent)
    }

    /// Refuses classes that the decoder cannot be told, or that it must be and is not.
    fn check_told(&self, told: Option<&[u8]>, count: usize) -> Result<()> {
        let classes = self.config.model.classes;
        let refuse = |what: String, hint: &str| Err(Error::config(what).hint(hint));
        match told {
            None if classes == 0 => Ok(()),
            None => refuse(
                format!("this model is conditional on {classes} classes, and no class was given"),
                "give the class of each image: by `--class`, or with `sample_of` and `decode_of`",
            ),
            Some(_) if classes == 0 => refuse(
                "a class was given, but this model is not conditional".to_owned(),
                "leave the classes out, or train a model with `--classes`",
            ),
            Some(told) if told.len() != count => refuse(
                format!("{} classes for {count} images, expected one for each", told.len()),
                "give as many classes as rows of z",
            ),
            Some(told) => match told.iter().find(|&&class| usize::from(class) >= classes) {
                None => Ok(()),
                Some(class) => refuse(
                    format!("there is no class {class}; this model knows 0 to {}", classes - 1),
                    "classes are counted from 0, like the labels of its training images",
                ),
            },
        }
    }

    /// What the decoder makes of z and classes that were checked.
    fn made(&mut self, z: &[f32], classes: Option<&[u8]>) -> Result<Vec<f32>> {
        let latent = self.config.model.latent;
        self.load(Use::Decode)?;
        let mut made = Vec::new();
        let samples = self.config.objective.z_per_image();
        let mut first = 0;
        for z in z.chunks(latent * self.config.train.part_size()) {
            let rows = z.len() / latent;
            if let (Some(label), Some(classes)) = (self.vae.ports.label, classes) {
                let words: Vec<_> = classes[first..][..rows].iter().map(|&c| c.into()).collect();
                self.session.write_bits(label, 0, &words)?;
            }
            let each: Vec<f32> = z.chunks(latent).flat_map(|z| z.repeat(samples)).collect();
            self.session.write(self.vae.ports.z.first_rows(rows * samples), &each)?;
            self.run_one(Use::Decode, self.place(0..rows))?;
            let totals = vec![self.reading.total.unwrap_or(1.0); rows];
            made.extend(self.shown(first..first + rows, &totals)?);
            first += rows;
        }
        Ok(made)
    }

    /// The pixels of some images, which the decoder last made, by the first z of each; counts share these
    /// totals.
    fn shown(&mut self, images: Range<usize>, totals: &[f32]) -> Result<Vec<f32>> {
        let (made, samples) = (self.vae.ports.made, self.config.objective.z_per_image());
        let rows = self.session.read(made.first_rows(images.len() * samples))?;
        let mut made = self.first_of_each(rows, made.cols());
        let shared = match self.config.model.scale {
            Scale::Shared => {
                let found = self.vae.parameters.named(LOG_SCALE);
                self.session.read(found.expect("a shared scale is a parameter").in_use())?[0]
            }
            Scale::Fixed | Scale::Pixel => 0.0,
        };
        let (model, pixels) = (&self.config.model, self.size.len());
        let key = key(self.seed());
        let purpose = 16 * stream::PRIOR + purpose::DRAWN;
        let mut shown = Vec::with_capacity(images.len() * pixels);
        let blocks = self.vae.networks().made;
        let mut together = vec![0.0; pixels / blocks.len];
        let mut drawn = vec![0.0; together.len()];
        for ((image, made), &total) in images.zip(made.chunks_mut(blocks.numbers())).zip(totals) {
            if model.likelihood.is_of_counts() && model.mean == Mean::Softmax {
                share(&mut made[..pixels], total);
            }
            for j in 0..blocks.len {
                let own = made[j..].iter().copied().step_by(blocks.len);
                match self.shown {
                    Shown::Mean => mean(model, &own.collect::<Vec<_>>(), &mut together),
                    Shown::Drawn => {
                        let words = |k| philox([j as u32, image as u32, k, purpose], key);
                        let own: Vec<_> = own.map(f64::from).collect();
                        draw(model, &own, f64::from(shared), &mut drawn, words);
                        together.iter_mut().zip(&drawn).for_each(|(to, &v)| *to = v as f32);
                    }
                }
                shown.extend(&together);
            }
        }
        Ok(shown)
    }
}
