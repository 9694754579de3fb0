//! Pictures with words: grids of images and scatter plots as PNG, and either in a terminal.

mod canvas;
mod grid;
mod look;
mod protocol;
mod raster;
mod scatter;
mod sixel;
mod terminal;
mod ticks;

pub(super) use grid::{Labels, check, grid};
pub(super) use look::Look;
pub(super) use protocol::colors;
pub(super) use raster::shown;
pub(super) use scatter::{Axes, scatter};
pub(super) use terminal::{show, show_images};
pub(super) use ticks::{short, ticks};
