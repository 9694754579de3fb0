//! The file of a whole state.

use std::path::Path;

use crate::checkpoint::{
    About, Course, FORMAT, Format, MOST_STEPS, OWN_DATA, Said, State, Trained, WHOLE, Weight,
    note_of, noted_to_bytes, open, read_whole, weights_of,
};
use crate::config::{Config, DataConfig, ImageSize, MOST};
use crate::data::Reading;
use crate::error::{Error, ErrorKind, Result};
use crate::optim::Plateau;

impl State {
    /// The bytes of its file. The same state gives the same bytes.
    ///
    /// # Errors
    ///
    /// If tensors' shapes do not fit their values, which no model makes.
    ///
    /// # Panics
    ///
    /// Never: all that is told has a TOML form.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let about = About {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            size: self.size,
            reading: self.reading.clone(),
            data: self.data.clone(),
            test: self.test.clone(),
            device: self.device.clone(),
            trained: self.trained,
            course: self.course,
            config: self.config.clone(),
        };
        let about = toml::to_string(&about).expect("numbers, words and tables of them");
        noted_to_bytes(&self.tensors, &about)
    }

    /// The state of a model that elbo has not trained: step 0, no data known.
    #[must_use]
    pub fn untrained(config: Config, size: impl Into<ImageSize>, tensors: Vec<Weight>) -> Self {
        Self {
            config,
            size: size.into(),
            reading: Reading::default(),
            data: None,
            test: None,
            device: None,
            trained: Trained::default(),
            course: Course::default(),
            tensors,
        }
    }

    /// Reads a state; `path` is named in errors.
    ///
    /// # Errors
    ///
    /// A [`Data`](ErrorKind::Data) error if the bytes are no state of this format, or its parts are
    /// not valid. Whether its tensors are those of its model is known when it is
    /// [restored](crate::Trainer::restore).
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self> {
        let fail = |what: String| Error::data(path, what).hint(WHOLE);
        let none = || fail("holds weights and no state of a run".to_owned());
        let about = note_of(path, bytes)?
            .ok_or_else(|| none().hint("`elbo import` makes a run of weights"))?;
        let unclear = |e: toml::de::Error| fail(format!("its metadata: {}", e.message()));
        let format: Format = toml::from_str(&about).map_err(unclear)?;
        if format.format != FORMAT {
            let (found, version) = (format.format, format.version);
            let what = format!("is of format {found}, expected {FORMAT} (elbo {version} wrote it)");
            return Err(fail(what).hint(format!("use elbo {version}")));
        }
        let said: Said = toml::from_str(&about).map_err(unclear)?;
        let mut about: About = toml::from_str(&about).map_err(unclear)?;
        if said.config.data.is_none() {
            about.config.data = DataConfig::before();
        }
        about.config.validate().map_err(|e| fail(format!("its configuration: {e}")))?;
        if let Some(fault) = about.reading.fault() {
            return Err(fail(fault));
        }
        let (epochs, best) = (about.course.epochs, about.course.best.map_or(0, |best| best.epoch));
        let no_best = about.course.best.is_some() && best == 0;
        if epochs > MOST as u64 || no_best || best > epochs {
            return Err(fail(format!("tells of {epochs} epochs, and that number {best} was best")));
        }
        let Trained { step, skipped, rolled_back, sums, .. } = about.trained;
        let plateau = about.trained.plateau.unwrap_or(Plateau::NONE);
        let images = sums.images() as u64;
        for (what, count) in [
            ("steps", step),
            ("skipped steps", skipped),
            ("times back", rolled_back),
            ("images", images),
            ("epochs without a lower test loss", plateau.since),
            ("falls of the learning rate", plateau.falls),
        ] {
            if count > MOST_STEPS {
                return Err(fail(format!("tells of {count} {what}, more than are counted")));
            }
        }
        let scale = about.trained.rate_scale;
        if !(scale > 0.0 && scale <= 1.0) {
            return Err(fail(format!("its rates are scaled by {scale}, expected 0 to 1")));
        }
        if about.size.checked_len().is_none() {
            return Err(fail(format!("its images are {}, expected 1 × 1 or more", about.size)));
        }
        Ok(Self {
            config: about.config,
            size: about.size,
            reading: about.reading,
            data: about.data,
            test: about.test,
            device: about.device,
            trained: about.trained,
            course: about.course,
            tensors: weights_of(path, &open(path, bytes)?)?,
        })
    }

    /// Reads a state from its file.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes), and an [`Io`](ErrorKind::Io) error if the file cannot
    /// be read.
    pub fn read(path: &Path) -> Result<Self> {
        let hint = "give a checkpoint, or the folder of a run that has saved one";
        let bytes = read_whole(path, u64::MAX, hint)?;
        Self::from_bytes(path, &bytes)
    }

    /// Refuses images of another size than the state's. Weights that were never trained here do not know
    /// how their pixels lie, and take any size of as many.
    pub(crate) fn check_size(&self, size: ImageSize) -> Result<()> {
        let as_many = self.data.is_none() && self.size.len() == size.len();
        if self.size == size || as_many {
            return Ok(());
        }
        let what = format!("the checkpoint is of images of {}, the data's are {size}", self.size);
        Err(Error::new(ErrorKind::Data, what).hint(OWN_DATA))
    }
}
