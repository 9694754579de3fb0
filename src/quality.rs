//! Measures of quality: how near samples come to images and reconstructions to their originals, and how
//! far each latent dimension stands for one known factor. Plain arithmetic on the host, without a session.
//!
//! Distances of samples are taken between rows of [`Features`](crate::probe::Features), which an encoder of
//! your own makes: [`Model::features`](crate::Model::features). They compare only with distances by the same
//! encoder, and none is the FID of publications, whose features are an Inception network's.
//!
//! ```
//! use elbo::probe::Features;
//! use elbo::quality::{Manifold, Moments};
//!
//! // Rows of one feature: those of images, and of samples that are two to the right.
//! let (images, samples) = ([0.0, 1.0, 2.0, 3.0], [2.0, 3.0, 4.0, 5.0]);
//! let (images, samples) = (Features::new(&images, 1)?, Features::new(&samples, 1)?);
//! let distance = Moments::of(images)?.frechet(&Moments::of(samples)?)?;
//! assert!((distance - 4.0).abs() < 1e-9, "the means are two apart, squared: {distance}");
//! // By the nearest neighbour of each image, which is one away.
//! assert_eq!(Manifold::new(images, 1)?.holds(samples)?, [true, true, true, false]);
//! # Ok::<(), elbo::Error>(())
//! ```

mod factors;
mod frechet;
#[cfg(test)]
pub(crate) mod golden;
mod information;
mod lasso;
mod manifold;
mod pixels;

pub use factors::{Dci, Factors, dci, mig};
pub use frechet::Moments;
pub use manifold::{DEFAULT_K, Manifold};
pub use pixels::{LOWEST_ERROR, WINDOW, psnr, ssim};

use crate::error::{Error, ErrorKind};

fn refuse(what: String) -> Error {
    Error::new(ErrorKind::Data, what)
}
