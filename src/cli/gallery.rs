//! Where a verb's picture goes: to a file always, and to the terminal where it can be seen.

use std::path::{Path, PathBuf};

use elbo::Result;
use elbo::checkpoint::write_new;
use serde_json::json;

use crate::cli::picture::{Axes, Labels, Look, grid, scatter, show_images, show_points};
use crate::cli::place::{check_picture, free_or_equal};
use crate::cli::print_exact;
use crate::cli::reading::Manner;
use crate::cli::subject::ModelArgs;

/// The flags of a picture.
#[derive(Debug, clap::Args)]
pub(super) struct PictureArgs {
    /// The new .png file to write [default: a free name in the run's folder images, or here]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl PictureArgs {
    /// Refuses what can be refused before the picture is made.
    pub(super) fn check(&self) -> Result<()> {
        self.out.as_deref().map_or(Ok(()), check_picture)
    }

    /// Whether nothing but the result is to be shown.
    pub(super) fn quiet(&self, model: &ModelArgs) -> bool {
        self.json || model.quiet
    }

    /// How images are opened.
    pub(super) fn manner(&self, model: &ModelArgs) -> Manner {
        model.manner(self.quiet(model))
    }

    /// Draws images in so many columns, and delivers them.
    pub(super) fn images(
        &self,
        model: &ModelArgs,
        name: &str,
        (images, look, columns): (&[f32], Look, usize),
        labels: Labels<'_>,
    ) -> Result<u8> {
        let path = self.write(model, name, &grid(images, look, columns, labels)?)?;
        if !self.quiet(model) {
            show_images(images, look, columns, labels)?;
        }
        self.tell(name, &path)
    }

    /// Draws points with their labels, and delivers them.
    pub(super) fn points(
        &self,
        model: &ModelArgs,
        name: &str,
        (points, labels): (&[[f32; 2]], Option<&[u8]>),
        axes: Axes<'_>,
    ) -> Result<u8> {
        let path = self.write(model, name, &scatter(points, labels, axes)?)?;
        if !self.quiet(model) {
            show_points(points, labels, axes)?;
        }
        self.tell(name, &path)
    }

    fn write(&self, model: &ModelArgs, name: &str, png: &[u8]) -> Result<PathBuf> {
        let (path, is_there) = match &self.out {
            Some(path) => (path.clone(), false),
            None => free_or_equal(&model.place_of_pictures()?, name, "png", png),
        };
        if !is_there {
            write_new(&path, png)?;
        }
        Ok(path)
    }

    fn tell(&self, name: &str, path: &Path) -> Result<u8> {
        let path = path.display().to_string();
        print_exact(&match self.json {
            true => json!({"event": "picture", "what": name, "path": path}).to_string(),
            false => path,
        })?;
        Ok(0)
    }
}
