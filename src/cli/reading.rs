//! The flags that say how files become images, and the bar that is shown while they do.

use std::path::PathBuf;

use elbo::Result;
use elbo::config::{Background, Channels, DataConfig, Layout, Range, image_size};
use elbo::data::{Cache, Opened, Sources};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::find::cache_folder;

/// How files become images. What is not given is the configuration's.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ReadingArgs {
    /// How values become pixels: auto (by what the values are), bytes (over 255), none, LOW,HIGH (mapped
    /// to [0, 1]), standardise, or columns (each column standardised)
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, help_heading = "Reading files")]
    range: Option<Range>,
    /// Height x width, and channels if there are some, of images in flat rows: 28x20, 32x32x3; with --pad
    /// the size to pad pictures to
    #[arg(long, value_name = "SIZE", help_heading = "Reading files")]
    image_size: Option<String>,
    /// The order of an array's axes: nhwc (images, height, width, channels), nchw (channels before
    /// height) or hwn (images last) [default: by its shape]
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "ORDER",
        help_heading = "Reading files"
    )]
    layout: Option<Layout>,
    /// The column of a table that holds the class: its name, first, last or none
    #[arg(long, value_name = "COLUMN", help_heading = "Reading files")]
    label_column: Option<String>,
    /// The column of a table whose rows of one value, such as one patient's, all go to training or all
    /// to testing
    #[arg(long, value_name = "COLUMN", help_heading = "Reading files")]
    group_column: Option<String>,
    /// A file of the training images' classes: IDX, .npy, or text with one class on each line
    #[arg(long, value_name = "FILE", help_heading = "Reading files")]
    labels: Option<PathBuf>,
    /// A file of the test images' classes
    #[arg(long, value_name = "FILE", help_heading = "Reading files")]
    test_labels: Option<PathBuf>,
    /// Make colour images grey
    #[arg(long, conflicts_with = "color", help_heading = "Reading files")]
    grey: bool,
    /// Give grey images three channels
    #[arg(long, help_heading = "Reading files")]
    color: bool,
    /// Scale pictures until the short side has this many pixels, and cut out the middle; 0 does not
    #[arg(long, value_name = "PIXELS", help_heading = "Reading files")]
    resize: Option<usize>,
    /// Pad pictures with the background to one size, and cut nothing
    #[arg(long, help_heading = "Reading files")]
    pad: bool,
    /// The colour behind transparent pixels: black, white, or auto (black, but white where all would
    /// be black)
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "COLOUR",
        help_heading = "Reading files"
    )]
    background: Option<Background>,
}

impl ReadingArgs {
    /// What was typed, over a configuration.
    pub(super) fn over(&self, config: &mut DataConfig) -> Result<()> {
        config.range = self.range.unwrap_or(config.range);
        if let Some(size) = &self.image_size {
            config.image_size = Some(image_size(size)?);
        }
        config.layout = self.layout.or(config.layout);
        for (to, from) in [
            (&mut config.label_column, &self.label_column),
            (&mut config.group_column, &self.group_column),
        ] {
            *to = from.clone().or(to.take());
        }
        for (to, from) in
            [(&mut config.labels, &self.labels), (&mut config.test_labels, &self.test_labels)]
        {
            *to = from.clone().or(to.take());
        }
        match (self.grey, self.color) {
            (true, _) => config.channels = Channels::Grey,
            (_, true) => config.channels = Channels::Color,
            _ => {}
        }
        config.resize = self.resize.unwrap_or(config.resize);
        config.pad |= self.pad;
        config.background = self.background.unwrap_or(config.background);
        Ok(())
    }
}

/// How images are opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// No bar tells how far that is.
    pub(super) quiet: bool,
    /// What took long to decode, and what memory does not hold, is kept for the next run.
    pub(super) keep: bool,
}

/// Reads images. While the pictures of a folder are decoded, a bar tells on a terminal how far that is.
pub(super) fn open(sources: Sources<'_>, Manner { quiet, keep }: Manner) -> Result<Opened> {
    let caches = cache_folder();
    let keep = keep && caches.is_some();
    let folder = caches.unwrap_or_else(std::env::temp_dir).join("images");
    let sources = Sources { cache: Some(Cache { folder: &folder, keep }), ..sources };
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
    let style = ProgressStyle::with_template("pictures {wide_bar} {pos}/{len}  {eta} left");
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let opened = sources.open_told(&|done, all| {
        if bar.length() != Some(all as u64) {
            bar.set_length(all as u64);
        }
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    opened
}
