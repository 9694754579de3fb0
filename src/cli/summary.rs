//! What a run's folder tells at a glance: its configuration, how far it is and its losses, without its
//! tensors.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use elbo::checkpoint::{Best, Course, Trained};
use elbo::config::{Config, ImageSize};
use elbo::data::Reading;
use elbo::model::Architecture;
use elbo::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::limit::Limit;
use crate::cli::run_folder::{CHECKPOINT, METRICS, TIMINGS, lines};
use crate::cli::train::is_written;
use crate::cli::widths::{way, ways};

/// The most bytes of a checkpoint's header that are read.
const MOST_HEADER: u64 = 2 << 20;

/// What a checkpoint tells of itself, before its tensors.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) size: ImageSize,
    #[serde(default)]
    pub(super) reading: Reading,
    /// The fingerprints of the training images and of those that training looked at.
    pub(super) data: Option<[String; 2]>,
    /// That of the test images, where training looked at others.
    #[serde(default)]
    pub(super) test: Option<String>,
    pub(super) device: Option<String>,
    pub(super) trained: Trained,
    pub(super) course: Course,
    pub(super) config: Config,
    /// The names and shapes of the tensors after it.
    #[serde(skip)]
    pub(super) tensors: Vec<(String, Vec<usize>)>,
}

impl Header {
    /// Reads the header of a checkpoint.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let fail = |e| Error::io("read", path, e).hint("name the folder of a run that was saved");
        let damaged = |what: String| {
            Error::data(path, what)
                .hint("the file may be damaged or half copied; take an older one")
        };
        let mut file = File::open(path).map_err(fail)?;
        let size = file.metadata().map_err(fail)?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(fail)?;
        let length = u64::from_le_bytes(length);
        if length > MOST_HEADER {
            return Err(damaged(format!("tells of a header of {length} bytes")));
        }
        let mut json = Vec::new();
        file.take(length).read_to_end(&mut json).map_err(fail)?;
        let json: Value = serde_json::from_slice(&json)
            .map_err(|e| damaged(format!("is no safetensors file: {e}")))?;
        let tensors = json.as_object().into_iter().flatten();
        let tensors: Vec<_> = tensors.filter(|(name, _)| *name != "__metadata__").collect();
        let ends = tensors.iter().filter_map(|(_, tensor)| tensor["data_offsets"][1].as_u64());
        let whole = ends.max().unwrap_or(0).saturating_add(8 + length);
        if whole != size {
            return Err(damaged(format!("has {size} bytes, expected {whole}")));
        }
        let about = json["__metadata__"]["elbo"].as_str();
        let about = about.ok_or_else(|| damaged("holds no state of a run".to_owned()))?;
        let mut header: Self =
            toml::from_str(about).map_err(|e| damaged(format!("its metadata: {}", e.message())))?;
        header.config.validate().map_err(|e| damaged(format!("its configuration: {e}")))?;
        if header.size.checked_len().is_none() {
            return Err(damaged(format!("its images are {}, expected 1 × 1 or more", header.size)));
        }
        let extent = |side: &Value| side.as_u64().unwrap_or(0) as usize;
        let shape =
            |tensor: &Value| tensor["shape"].as_array().into_iter().flatten().map(extent).collect();
        header.tensors = tensors.iter().map(|(name, t)| ((*name).clone(), shape(t))).collect();
        Ok(header)
    }

    /// The fingerprints of its images, by what they are for.
    pub(super) fn fingerprints(&self) -> Vec<(&'static str, &str)> {
        let [train, looked_at] =
            self.data.as_ref().map_or([None; 2], |both| both.each_ref().map(Some));
        let sets = [
            ("training", train),
            (self.config.data.looked_at(), looked_at),
            ("test", self.test.as_ref()),
        ];
        sets.into_iter().filter_map(|(of, print)| Some((of, print?.as_str()))).collect()
    }

    /// What the names of tensors begin with, in the order of the layers from x on.
    pub(super) fn paths(&self) -> Vec<String> {
        let networks = Architecture::of(&self.config.model, self.size);
        let layers = networks.iter().flat_map(Architecture::all).flat_map(|(n, _)| n.layers());
        let named = layers.flat_map(|layer| match layer.parts.as_slice() {
            [] => std::slice::from_ref(&layer.path),
            parts => parts,
        });
        named.map(|path| format!("{path}.")).collect()
    }

    /// The widths of the layers from x up to the highest z, and of those back, as 784-400-20.
    pub(super) fn layers(&self) -> Result<[String; 2]> {
        let model = &self.config.model;
        let networks = Architecture::of(model, self.size)?;
        Ok(ways(model, &networks, (self.size.len(), model.classes)).map(|of| way(&of)))
    }
}

/// What a folder among runs is.
#[derive(Debug)]
pub(super) enum Kind {
    /// A run that was saved.
    Saved(Box<Header>),
    /// A run that was not saved yet.
    Begun,
    /// No run itself: so many entries, and so many runs below.
    Other { entries: usize, runs: usize },
    /// A run whose checkpoint cannot be read.
    Damaged(Error),
}

/// A folder among runs.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    /// The epoch with the lowest loss on the images that training looks at: to validate on, or else to test on.
    pub(super) best: Option<Best>,
    /// That loss after the last epoch.
    pub(super) last: Option<f64>,
    /// −log p(x) as `elbo evaluate` found it last.
    pub(super) nll: Option<f64>,
    /// All files of the folder.
    pub(super) bytes: u64,
    /// When the checkpoint was written.
    pub(super) saved: Option<SystemTime>,
}

impl Summary {
    /// Reads what a folder tells; whatever is wrong with it is part of that.
    pub(super) fn read(path: &Path) -> Self {
        let checkpoint = path.join(CHECKPOINT);
        let kind = match checkpoint.exists() {
            true => Header::read(&checkpoint).map_or_else(Kind::Damaged, |h| Kind::Saved(h.into())),
            false if path.join("config.toml").exists() => Kind::Begun,
            false => {
                let entries: Vec<_> = fs::read_dir(path).into_iter().flatten().flatten().collect();
                let saved = |entry: &&fs::DirEntry| entry.path().join(CHECKPOINT).exists();
                Kind::Other { runs: entries.iter().filter(saved).count(), entries: entries.len() }
            }
        };
        let mut summary = Self {
            path: path.to_owned(),
            kind,
            best: None,
            last: None,
            nll: None,
            bytes: bytes(path),
            saved: fs::metadata(&checkpoint).and_then(|about| about.modified()).ok(),
        };
        for line in lines(&path.join(METRICS)).filter(|line| line["event"] == "epoch") {
            let loss = line["validation_loss"].as_f64().or_else(|| line["test_loss"].as_f64());
            let epoch = line["epoch"].as_u64();
            summary.last = loss;
            if let (Some(epoch), Some(loss)) = (epoch, loss)
                && summary.best.is_none_or(|best| loss < best.loss)
            {
                summary.best = Some(Best { epoch, loss });
            }
        }
        for line in lines(&path.join(TIMINGS)).filter(|line| line["event"] == "evaluation") {
            summary.nll = line["nll"].as_f64().or(summary.nll);
        }
        summary
    }

    /// What the checkpoint tells, if there is one that can be read.
    pub(super) fn header(&self) -> Option<&Header> {
        match &self.kind {
            Kind::Saved(header) => Some(header),
            _ => None,
        }
    }

    /// The last part of the folder's path.
    pub(super) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// The model as 784-400-20, or a word where there is none.
    pub(super) fn model(&self) -> String {
        match &self.kind {
            Kind::Saved(header) => {
                header.layers().map_or_else(|_| "damaged".to_owned(), |[encoder, _]| encoder)
            }
            Kind::Begun => "not saved yet".to_owned(),
            Kind::Other { entries: 0, .. } => "empty".to_owned(),
            Kind::Other { runs: 0, .. } => "no run".to_owned(),
            Kind::Other { runs: 1, .. } => "holds 1 run".to_owned(),
            Kind::Other { runs, .. } => format!("holds {runs} runs"),
            Kind::Damaged(_) => "damaged".to_owned(),
        }
    }

    /// Whether there is nothing left to train.
    pub(super) fn is_done(&self) -> bool {
        self.limit().is_some()
    }

    /// The limit that ended training, if one did.
    pub(super) fn limit(&self) -> Option<Limit> {
        let Header { trained, course, config, .. } = self.header()?;
        Limit::reached(&config.train, course, trained.step)
    }

    /// Whether there is nothing left to train, and all was written that a finished run has.
    pub(super) fn is_finished(&self) -> bool {
        self.is_done() && self.header().is_some_and(|h| is_written(&self.path, h.trained.step))
    }

    /// When it was saved last, to the second, in UTC.
    pub(super) fn date(&self) -> Option<String> {
        let seconds = |time| humantime::format_rfc3339_seconds(time).to_string();
        self.saved.map(seconds)
    }

    pub(super) fn json(&self) -> Value {
        let header = self.header();
        let mut line = json!({
            "event": "run", "run": self.path.display().to_string(),
            "model": header.map(|_| self.model()),
            "epochs": header.map(|h| h.course.epochs),
            "of_epochs": header.map(|h| h.config.train.epochs),
            "step": header.map(|h| h.trained.step), "done": self.is_done(),
            "best_loss": self.best.map(|best| best.loss), "best_epoch": self.best.map(|b| b.epoch),
            "last_loss": self.last, "nll": self.nll, "bytes": self.bytes, "saved": self.date(),
        });
        if header.is_none() {
            line["fault"] = json!(match &self.kind {
                Kind::Damaged(error) => error.to_string(),
                _ => self.model(),
            });
        }
        line
    }
}

/// The bytes of all files in a folder; what cannot be looked at counts nothing.
pub(super) fn bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let each = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => bytes(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    each.sum()
}
