//! Weights and whole states of runs in safetensors files, under the names that PyTorch knows.

// First, so that rustdoc lists it first: methods come in the order of modules.
mod state;

mod tensors;

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde::{Deserialize, Serialize};

use crate::config::{Config, ImageSize};
use crate::data::Reading;
use crate::error::{Error, ErrorKind, Result};
pub use crate::files::{read_whole, sync_folder, write_new, write_whole};
use crate::metrics::Sums;
use crate::optim::Plateau;

pub use tensors::{AVERAGE, FIRST, SECOND, check_tensors, prefixes};

/// The format of states that is written. Others are refused, not guessed at.
pub const FORMAT: u32 = 1;

/// The one key of a state's metadata: with more, safetensors would write them in any order.
const KEY: &str = "elbo";

/// The most bytes that a state's metadata may have.
const MOST_METADATA: usize = 768 << 10;

/// The most bytes of a header, of which the reader makes several times as many: room for 8,000
/// tensors and the metadata.
const MOST_HEADER: u64 = 2 << 20;

/// The most steps, and what else is counted: noise knows a step by 32 bits.
pub(crate) const MOST_STEPS: u64 = u32::MAX as u64;

/// What a state is called in errors that know no file.
pub(crate) const STATE: &str = "the checkpoint";

/// What to do where a state meets other data than its own.
pub(crate) const OWN_DATA: &str =
    "name the run's own data with `--data`, and `--test-data` if it was given";

const WHOLE: &str = "the file may be damaged or half copied, or be no checkpoint of elbo";

/// A parameter, or a part of one, as it stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// The key, as `fc1.weight`.
    pub key: String,
    /// `[out, in]` for a weight, `[out]` for a bias.
    pub shape: Vec<usize>,
    /// The values, row by row.
    pub values: Vec<f32>,
}

/// The bytes of a safetensors file of these weights. The same weights give the same bytes.
///
/// # Errors
///
/// If the weights' shapes do not fit their values, which no model makes.
pub fn weights_to_bytes(weights: &[Weight]) -> Result<Vec<u8>> {
    to_bytes(weights, None)
}

/// The bytes of a safetensors file of these tensors with a note, which says what they are of.
///
/// # Errors
///
/// As [`weights_to_bytes`].
pub fn noted_to_bytes(tensors: &[Weight], note: &str) -> Result<Vec<u8>> {
    to_bytes(tensors, Some(HashMap::from([(KEY.to_owned(), note.to_owned())])))
}

/// Reads tensors with their note; `path` is named in errors.
///
/// # Errors
///
/// As [`weights_from_bytes`], and if there is no note.
pub fn noted_from_bytes(path: &Path, bytes: &[u8]) -> Result<(Vec<Weight>, String)> {
    let note = note_of(path, bytes)?;
    let note = note.ok_or_else(|| Error::data(path, "has no note of elbo's").hint(WHOLE))?;
    Ok((weights_of(path, &open(path, bytes)?)?, note))
}

/// The note of a safetensors file, if it has one.
fn note_of(path: &Path, bytes: &[u8]) -> Result<Option<String>> {
    let fail = |what: String| Error::data(path, what).hint(WHOLE);
    check_header(path, bytes)?;
    let (_, header) = SafeTensors::read_metadata(bytes)
        .map_err(|e| fail(format!("is no safetensors file: {e}")))?;
    let note = header.metadata().as_ref().and_then(|all| all.get(KEY));
    if let Some(found) = note.map(String::len).filter(|&found| found > MOST_METADATA) {
        return Err(fail(format!("has {found} bytes of metadata, at most {MOST_METADATA} are")));
    }
    Ok(note.cloned())
}

fn to_bytes(weights: &[Weight], about: Option<HashMap<String, String>>) -> Result<Vec<u8>> {
    let fail = |e: safetensors::SafeTensorError| Error::new(ErrorKind::Data, e);
    let mut views = Vec::new();
    for weight in weights {
        let bytes: &[u8] = bytemuck::cast_slice(&weight.values);
        let view = TensorView::new(Dtype::F32, weight.shape.clone(), bytes).map_err(fail)?;
        views.push((weight.key.as_str(), view));
    }
    serialize(views, about).map_err(fail)
}

/// Reads the weights of a safetensors file of f32, as PyTorch writes a `state_dict`: elbo's own, or
/// another program's. `path` is named in errors.
///
/// # Errors
///
/// A [`Data`](ErrorKind::Data) error if the bytes are no such file, a tensor is of another type, or
/// a value is not finite.
pub fn weights_from_bytes(path: &Path, bytes: &[u8]) -> Result<Vec<Weight>> {
    weights_of(path, &open(path, bytes)?)
}

fn open<'b>(path: &Path, bytes: &'b [u8]) -> Result<SafeTensors<'b>> {
    check_header(path, bytes)?;
    SafeTensors::deserialize(bytes)
        .map_err(|e| Error::data(path, format!("is no safetensors file: {e}")).hint(WHOLE))
}

/// Refuses a header that would cost the reader more memory than the file bears out.
fn check_header(path: &Path, bytes: &[u8]) -> Result<()> {
    let said = bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
    if said > MOST_HEADER {
        let what = format!(
            "is no safetensors file: it tells of a header of {said} bytes, expected {MOST_HEADER} at the most"
        );
        return Err(Error::data(path, what).hint(WHOLE));
    }
    Ok(())
}

fn weights_of(path: &Path, file: &SafeTensors<'_>) -> Result<Vec<Weight>> {
    let mut weights = Vec::new();
    for (key, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            let what = format!("`{key}` is of type {:?}, expected F32", view.dtype());
            return Err(Error::data(path, what).hint("save the weights as float32"));
        }
        // The bytes of a tensor may lie anywhere.
        let (words, _) = view.data().as_chunks();
        let values: Vec<_> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            let what = format!("`{key}` holds {} at {at}, expected finite numbers", values[at]);
            return Err(Error::data(path, what).hint("take weights from before the numbers broke"));
        }
        weights.push(Weight { key: key.to_owned(), shape: view.shape().to_vec(), values });
    }
    weights.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(weights)
}

/// The epoch with the lowest test loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// The epoch, counted from one.
    pub epoch: u64,
    /// Its test loss, in nats per image.
    pub loss: f64,
}

/// How far the trainer is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trained {
    /// Steps that were taken.
    pub step: u64,
    /// What the learning rate is multiplied by: halved whenever the numbers broke and were rolled
    /// back.
    pub rate_scale: f64,
    /// Steps that were left out because the numbers broke.
    pub skipped: u64,
    /// How often the numbers broke and were rolled back.
    pub rolled_back: u64,
    /// The losses of the epoch under way.
    pub sums: Sums,
    /// What the schedule [`Plateau`](crate::config::Schedule::Plateau) knows, if it is the one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plateau: Option<Plateau>,
}

impl Default for Trained {
    fn default() -> Self {
        Self {
            step: 0,
            rate_scale: 1.0,
            skipped: 0,
            rolled_back: 0,
            sums: Sums::default(),
            plateau: None,
        }
    }
}

/// How far the run around the trainer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// Epochs that were evaluated and reported.
    pub epochs: u64,
    /// Bytes of `metrics.jsonl` that belong to this state.
    pub log_bytes: u64,
    /// The best epoch so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
}

impl Course {
    /// The epochs since the best one; 0 before there is one.
    #[must_use]
    pub fn since_best(&self) -> u64 {
        self.best.map_or(0, |best| self.epochs.saturating_sub(best.epoch))
    }
}

/// Everything that the rest of a run depends on: a run that goes on from it has the same bits as one
/// that never stopped.
///
/// ```
/// use elbo::checkpoint::{State, write_whole};
/// use elbo::{Config, Dataset, Device, Trainer};
///
/// # let images = Dataset::synthetic(64, [8, 8], 1)?;
/// # let mut config = Config::default();
/// # (config.model.encoder, config.model.decoder) = ([32].into(), [32].into());
/// # config.train.batch_size = 32;
/// # let device = Device::Cpu(0);
/// # let mut trainer = Trainer::new(&device, &config, &images, &images)?;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("checkpoint.safetensors");
/// write_whole(&path, &trainer.state()?.to_bytes()?)?;
/// // Another day:
/// let state = State::read(&path)?;
/// let mut trainer = Trainer::resume(&device, &state, &images, &images)?;
/// trainer.advance(2)?;
/// # Ok::<(), elbo::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The configuration.
    pub config: Config,
    /// The size of an image.
    pub size: ImageSize,
    /// How the values of files became pixels.
    pub reading: Reading,
    /// The [fingerprint](crate::Dataset::fingerprint_for) of the images that it learned from and of those that
    /// training looked at, if it was ever trained: the validation images, or else the test images.
    pub data: Option<[String; 2]>,
    /// That of the test images, where training looked at others.
    pub test: Option<String>,
    /// What computed it: the device, its precision and what chose its schedules. Elsewhere the same
    /// steps have other bits.
    pub device: Option<String>,
    /// How far the trainer is.
    pub trained: Trained,
    /// How far the run is.
    pub course: Course,
    /// The parameters, under [`FIRST`] and [`SECOND`] their moments, and under [`AVERAGE`] their
    /// averages, if the configuration asks for any.
    pub tensors: Vec<Weight>,
}

/// The metadata of a state.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    format: u32,
    version: String,
    size: ImageSize,
    /// Older runs have none.
    #[serde(default)]
    reading: Reading,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<[String; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    test: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    trained: Trained,
    course: Course,
    config: Config,
}

/// What a state says of its data, whatever else there is: older runs say nothing.
#[derive(Deserialize)]
struct Said {
    config: SaidOfData,
}

#[derive(Deserialize)]
struct SaidOfData {
    data: Option<toml::Table>,
}

/// The format alone, whatever else there is.
#[derive(Deserialize)]
struct Format {
    format: u32,
    version: String,
}
