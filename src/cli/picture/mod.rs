//! Pictures with words: grids of images and scatter plots as PNG, and either in a terminal.

mod canvas;
mod grid;
mod scatter;
mod terminal;
mod ticks;

pub(super) use grid::{Labels, grid};
#[allow(unused_imports, reason = "the verbs that draw codes will")]
pub(super) use scatter::{Axes, scatter};
#[allow(unused_imports, reason = "the verbs that may show what they draw will")]
pub(super) use terminal::{show, show_images};
pub(super) use ticks::{short, ticks};
