//! How far dimensions of z stand for known factors, which a file tells.

use std::path::Path;

use elbo::checkpoint::read_whole;
use elbo::data::rows::{self, Rows};
use elbo::probe::Features;
use elbo::quality::{Dci, Factors, dci, mig};
use elbo::{Error, Model, Result};
use serde_json::{Value, json};

use crate::cli::place::ending;
use crate::cli::quality::Measured;
use crate::cli::table::table;
use crate::cli::talk;

const FILES: &str = "give a .npy array (images, factors) of floats, or a .csv with a line for each image \
                     below one of names; images as they stand in the file of `--data`";

/// What was found.
pub(super) struct Found {
    images: usize,
    names: Vec<String>,
    gaps: Vec<f64>,
    dci: Dci,
}

/// Measures how the codes μ of all images of the data, in their file's order, stand for factors.
pub(super) fn measure(measured: Measured<'_>, path: &Path) -> Result<Found> {
    let Measured { args, state, device } = measured;
    let (Rows { columns, values }, names) = read(path)?;
    let factors = Factors::new(Features::new(&values, columns)?, &names)?;
    if !factors.constant().is_empty() {
        let names = factors.constant().join(", ");
        talk(&format!("note: factors that never change are left out: {names}"));
    }
    let data = args.data.in_order(state, args.model.manner(args.json))?;
    let (rows, images) = (values.len() / columns, data.len());
    if rows != images {
        let what = format!("has factors of {rows} images, and the data holds {images}");
        return Err(Error::data(path, what).hint(FILES));
    }
    let mut model = Model::new(device, state, Some(&data))?;
    let codes = model.encode(0..images)?.mean;
    let codes = Features::new(&codes, state.config.model.latent)?;
    let (gaps, dci) = (mig(codes, &factors)?, dci(codes, &factors)?);
    Ok(Found { images, names: factors.names().to_vec(), gaps, dci })
}

/// The rows of a file and the names of its columns, `factor 0` and so on where it tells none.
fn read(path: &Path) -> Result<(Rows, Vec<String>)> {
    let bytes = |path| read_whole(path, u64::MAX, FILES);
    let numbered = |count: usize| (0..count).map(|i| format!("factor {i}")).collect::<Vec<_>>();
    match ending(path).as_str() {
        "npy" => {
            let rows = rows::from_npy(path, &bytes(path)?)?;
            let names = numbered(rows.columns);
            Ok((rows, names))
        }
        "csv" => {
            let bytes = bytes(path)?;
            let rows = rows::from_csv(path, &bytes, &[])?;
            let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let first = String::from_utf8_lossy(first);
            let words = first.split(',').map(|word| word.trim().trim_matches('"').to_owned());
            let words: Vec<_> = words.collect();
            let named = words.len() == rows.columns && words[0].parse::<f32>().is_err();
            let names = if named { words } else { numbered(rows.columns) };
            Ok((rows, names))
        }
        _ => {
            let what = format!("`{}` must end in `.npy` or `.csv`", path.display());
            Err(Error::config(what).hint(FILES))
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

impl Found {
    pub(super) fn tell(&self, line: &mut Value) {
        let each = self.names.iter().enumerate().map(|(at, name)| {
            json!({
                "name": name, "gap": self.gaps[at],
                "completeness": self.dci.completeness[at], "error": self.dci.errors[at],
            })
        });
        line["factors"] = json!({
            "images": self.images,
            "mig": mean(&self.gaps),
            "disentanglement": self.dci.disentanglement,
            "completeness": self.dci.mean_completeness,
            "error": mean(&self.dci.errors),
            "each": each.collect::<Vec<_>>(),
            "importance": self.dci.importance,
        });
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let Self { images, names, gaps, dci } = self;
        let row = |name: &str, gap: f64, completeness: f64, error: f64| {
            [
                format!("  {name}"),
                format!("{gap:.3}"),
                format!("{completeness:.3}"),
                format!("{error:.3}"),
            ]
        };
        let mut rows: Vec<_> = (0..names.len())
            .map(|at| row(&names[at], gaps[at], dci.completeness[at], dci.errors[at]))
            .collect();
        rows.push(row("mean", mean(gaps), dci.mean_completeness, mean(&dci.errors)));
        let mut lines = vec![format!("factors of {images} images in the means μ")];
        lines.extend(table(["  factor", "gap (MIG)", "completeness", "error"], &rows, 1));
        lines.push(format!(
            "disentanglement {:.3}; it, completeness and error by a lasso for each factor (DCI), the error as a share of the factor's deviation",
            dci.disentanglement
        ));
        lines
    }
}
