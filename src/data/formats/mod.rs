//! The kinds of files that images are read from, a module each.

pub(super) mod classes;
pub mod idx;
pub mod npy;
pub mod npz;
pub mod pictures;
mod sparse;
pub mod table;

pub use sparse::market;
