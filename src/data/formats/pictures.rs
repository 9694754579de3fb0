//! Folders of pictures, which become images of one size, in grey or in colour.
#![warn(clippy::arithmetic_side_effects)]

#[cfg(feature = "pictures")]
mod before;
#[cfg(feature = "pictures")]
mod containers;
#[cfg(feature = "pictures")]
mod decode;
#[cfg(feature = "pictures")]
mod fit;
#[cfg(feature = "pictures")]
mod folder;
mod kinds;
mod names;
#[cfg(feature = "pictures")]
mod notes;
#[cfg(feature = "pictures")]
mod read;
#[cfg(feature = "pictures")]
mod samples;
#[cfg(feature = "pictures")]
mod shelf;

pub use kinds::Format;
pub(in crate::data) use names::Named;

#[cfg(feature = "pictures")]
pub use decode::Was;
#[cfg(feature = "pictures")]
pub use read::{Picture, from_bytes, read_folder};
#[cfg(feature = "pictures")]
pub(in crate::data) use read::{read_told, rgb};
#[cfg(feature = "pictures")]
pub use samples::Samples;

/// Says that pictures cannot be read, as [`read_folder`] does.
#[cfg(not(feature = "pictures"))]
pub(in crate::data) fn rgb(
    path: &std::path::Path,
    _: &[u8],
) -> crate::error::Result<(crate::config::ImageSize, Vec<u8>, bool)> {
    let error = crate::error::Error::data(path, "is a picture, and this build reads no pictures");
    Err(error.hint("build with the feature `pictures`, or give an array of the images as .npy"))
}

/// Says that pictures cannot be read: the crate was built without its feature `pictures`.
///
/// # Errors
///
/// Always.
#[cfg(not(feature = "pictures"))]
pub fn read_folder(
    folder: &std::path::Path,
    _: &crate::config::DataConfig,
) -> crate::error::Result<crate::data::Found> {
    let what = "holds no IDX files, and this build reads no pictures";
    let error = crate::error::Error::data(folder, what);
    Err(error.hint("build with the feature `pictures`, or give an array of the images as .npy"))
}

/// Says that pictures cannot be read, as [`read_folder`] does.
#[cfg(not(feature = "pictures"))]
pub(in crate::data) fn read_told(
    folder: &std::path::Path,
    ask: crate::data::source::Ask<'_>,
    _: crate::data::Progress<'_>,
) -> crate::error::Result<(crate::data::Found, Option<crate::config::Background>)> {
    read_folder(folder, ask.config).map(|found| (found, None))
}
