//! Where to draw z from after training. The codes of the training images seldom fill the prior, and a plain
//! autoencoder has none: samples are better where z comes from a model of the codes themselves.
//!
//! [`Mixture`] is a mixture of normal distributions fitted to them, [`TwoStage`] a second VAE. Both are fitted
//! to codes z ~ q(z | x), one of each training image, since those are what the decoder learned from: their
//! distribution is the aggregate posterior, of which the means μ alone are too narrow. The code of a plain
//! autoencoder is its point.
//!
//! ```
//! use elbo::sampler::Mixture;
//!
//! // Two heaps of codes of one dimension, round -3 and 3.
//! let codes: Vec<f32> = (0..200).map(|i| [-3.0, 3.0][i % 2] + (i / 2) as f32 / 100.0).collect();
//! let fitted = Mixture::fit(&codes, 1, &[1, 2], 0, |_| ())?;
//! assert_eq!(fitted.mixture.components(), 2, "likelier than one, for codes that were held out");
//! let z = fitted.mixture.draw(1000, 1.0, 7);
//! let near = z.iter().filter(|z| (1.0..6.0).contains(&z.abs())).count();
//! assert!(near > 990, "{near} of 1000 are in a heap");
//! # Ok::<(), elbo::Error>(())
//! ```

mod centres;
mod expectation;
mod mixture;
mod two_stage;

pub use mixture::{COMPONENTS, Fitted, Mixture, Tried};
pub use two_stage::{FittedStage, TwoStage};

use crate::engine::Real;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::philox::{key, normals_of, philox, purpose, shuffled};

/// Of so many codes one is held out, to judge a fit by.
const HELD_OUT: usize = 10;

/// Refuses codes that are no rows of `latent` finite numbers, or too few to hold some out.
fn check(codes: &[f32], latent: usize) -> Result<usize> {
    let whole = latent > 0 && codes.len().is_multiple_of(latent);
    if !whole || codes.len() < 2 * HELD_OUT * latent {
        let what = format!("{} numbers, expected {} codes or more", codes.len(), 2 * HELD_OUT);
        return Err(Error::new(ErrorKind::Data, format!("{what} of {latent} dimensions"))
            .hint("give the codes of more images"));
    }
    match codes.iter().position(|v| !v.is_finite()) {
        None => Ok(codes.len() / latent),
        Some(at) => {
            let what =
                format!("dimension {} of code {} is {}", at % latent, at / latent, codes[at]);
            Err(Error::new(ErrorKind::Numbers, what)
                .hint("take weights from before the numbers broke"))
        }
    }
}

/// Codes to fit to and those that are held out, a tenth, which the seed chooses.
fn divided(codes: &[f32], latent: usize, seed: u64) -> [Vec<f32>; 2] {
    let count = codes.len() / latent;
    let (mut fit, mut held) = (Vec::new(), Vec::new());
    for at in 0..count as u32 {
        let code = shuffled(at, count as u32, 0, purpose::SAMPLER, key(seed)) as usize;
        let to = if (at as usize) < count / HELD_OUT { &mut held } else { &mut fit };
        to.extend_from_slice(&codes[code * latent..][..latent]);
    }
    [fit, held]
}

/// The mean log-density of codes under the prior N(0, I), in nats: −½ |z|² − ½ d log 2π.
#[must_use]
pub fn prior_log_likelihood(codes: &[f32], latent: usize) -> f64 {
    let squares: f64 = codes.iter().map(|&v| f64::from(v).powi(2)).sum();
    let each = squares / (codes.len() as f64 / latent as f64);
    -0.5 * (each + latent as f64 * (2.0 * std::f64::consts::PI).ln())
}

/// Random numbers of one draw, by its place and the seed.
#[derive(Clone, Copy, Debug)]
struct Draw {
    place: u32,
    seed: u64,
}

impl Draw {
    fn words(self, group: u32, kind: u32) -> [u32; 4] {
        philox([group, self.place, kind, purpose::SAMPLER], key(self.seed))
    }

    /// A uniform number in [0, 1).
    fn uniform(self) -> f64 {
        let [high, low, ..] = self.words(0, 1);
        ((u64::from(high) << 32 | u64::from(low)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// So many normals.
    fn normals<T: Real>(self, count: usize) -> Vec<T> {
        let groups = 0..count.div_ceil(4) as u32;
        let mut all: Vec<_> = groups.flat_map(|i| normals_of::<T>(self.words(i, 2))).collect();
        all.truncate(count);
        all
    }
}
