//! Pictures with words: grids of images and scatter plots as PNG, and either in a terminal.

mod canvas;
mod grid;
mod labels;
mod look;
mod palette;
mod protocol;
mod raster;
mod scatter;
mod sixel;
mod terminal;
mod text;
mod ticks;

pub(super) use grid::{Labels, check, grid};
pub(super) use look::Look;
pub(super) use protocol::colors;
pub(super) use raster::shown;
pub(super) use scatter::{Axes, scatter};
pub(super) use terminal::{show_images, show_points};
pub(super) use ticks::{short, ticks};
