//! What a trainer saves and takes up again.

use std::path::Path;

use crate::checkpoint::{
    AVERAGE, Course, FIRST, OWN_DATA, SECOND, STATE, State, Weight, check_tensors, prefixes,
    weights_to_bytes, write_whole,
};
use crate::config::{Config, Schedule, TrainConfig};
use crate::data::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::evaluate::Place;
use crate::session::Device;
use crate::train::Trainer;

/// Where the numbers lie that stand under a prefix in a state.
fn place(prefix: &str) -> Place {
    match prefix {
        FIRST => |parameter| parameter.first,
        SECOND => |parameter| parameter.second,
        AVERAGE => |parameter| parameter.average.expect("an averaged model has one of each"),
        _ => |parameter| parameter.value,
    }
}

impl Trainer {
    /// A trainer that goes on from a state: with its configuration, where it was.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new) and [`restore`](Self::restore).
    pub fn resume(device: &Device, state: &State, train: &Dataset, test: &Dataset) -> Result<Self> {
        let mut trainer = Self::new(device, &state.config, train, test)?;
        trainer.restore(state)?;
        Ok(trainer)
    }

    /// Everything that the rest of training depends on. Waits for all steps that were asked for. The
    /// [`Course`], and `test` where it looks at validation images, are the caller's to fill in.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub fn state(&mut self) -> Result<State> {
        self.wait()?;
        let mut tensors = Vec::new();
        for prefix in prefixes(&self.model.config) {
            tensors.extend(self.model.exported(prefix, place(prefix))?);
        }
        Ok(State {
            config: self.model.config.clone(),
            size: self.model.size,
            reading: self.model.reading.clone(),
            data: Some(self.data.clone()),
            test: None,
            device: Some(self.device.clone()),
            trained: self.trained,
            course: Course::default(),
            tensors,
        })
    }

    /// Goes on from a state: of this configuration, but for when training ends and where the data
    /// lies, and of this data. What was asked for and is not done yet is dropped.
    ///
    /// # Errors
    ///
    /// If the state is of another configuration or other data, has other tensors than the model, or
    /// the device is lost. After a refusal the trainer is as it was.
    pub fn restore(&mut self, state: &State) -> Result<()> {
        self.check(state)?;
        self.put(state)?;
        self.keep_good()
    }

    fn check(&self, state: &State) -> Result<()> {
        let (was, is) = (&state.config, &self.model.config);
        let cosine = [was, is].iter().all(|c| c.optimizer.schedule == Schedule::Cosine);
        if cosine && was.train.epochs != is.train.epochs {
            let (was, is) = (was.train.epochs, is.train.epochs);
            let what = format!("`epochs` is {is}, but the checkpoint's rate falls over {was}");
            return Err(Error::config(what)
                .hint("go on without `--epochs`: the schedule `cosine` ends with the last one"));
        }
        if numbers(was) != numbers(is) {
            let what = "the checkpoint is of another configuration than the trainer";
            return Err(Error::config(what).hint("make the trainer with the checkpoint's own"));
        }
        state.check_size(self.model.size)?;
        for (which, (was, is)) in ["training", is.data.looked_at()]
            .iter()
            .zip(state.data.iter().flatten().zip(&self.data))
        {
            if was != is {
                let labels =
                    if self.model.config.model.classes > 0 { " or their labels" } else { "" };
                let what = format!(
                    "the {which} images{labels} are not the checkpoint's: their SHA-256 is {is:.12}…, \
                     expected {was:.12}…"
                );
                return Err(Error::new(ErrorKind::Data, what).hint(OWN_DATA));
            }
        }
        let mut expected = Vec::new();
        for prefix in prefixes(is) {
            for parameter in self.model.vae.parameters.list() {
                expected.extend(parameter.shapes().map(|(key, s)| (format!("{prefix}{key}"), s)));
            }
        }
        check_tensors(Path::new(STATE), &expected, &state.tensors)
    }

    /// Takes over a state that was found to be this model's.
    pub(super) fn put(&mut self, state: &State) -> Result<()> {
        self.pending.clear();
        for prefix in prefixes(&state.config) {
            self.model.put(prefix, place(prefix), &state.tensors)?;
        }
        self.clear_guard()?;
        self.model.reading = state.reading.clone();
        self.trained = state.trained;
        self.target = state.trained.step;
        Ok(())
    }

    /// The parameters under their names in files: their averages, if the configuration asks for any.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub fn weights(&mut self) -> Result<Vec<Weight>> {
        self.wait()?;
        self.model.exported("", |parameter| parameter.average.unwrap_or(parameter.value))
    }

    /// Writes the parameters to a safetensors file, whole or not at all.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance), or if the system refuses the file.
    pub fn save_weights(&mut self, path: &Path) -> Result<()> {
        write_whole(path, &weights_to_bytes(&self.weights()?)?)
    }
}

/// What of a configuration a state's numbers depend on.
fn numbers(config: &Config) -> Config {
    let free = TrainConfig::default();
    let mut config = config.clone();
    (config.train.data, config.train.test_data) = (free.data, free.test_data);
    (config.train.epochs, config.train.max_steps) = (free.epochs, free.max_steps);
    (config.train.patience, config.train.log_every) = (free.patience, free.log_every);
    config
}
