//! The kinds of files that images are read from, a module each.

mod array;
pub mod cifar;
pub(super) mod classes;
pub mod idx;
pub(super) mod kinds;
pub mod mat;
pub mod npy;
pub mod npz;
pub mod parquet;
pub mod pickle;
pub mod pictures;
mod sparse;
pub mod table;
mod tar;
pub(super) mod zipped;

pub use sparse::market;
