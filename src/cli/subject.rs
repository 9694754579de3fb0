//! What a verb is about: a trained model, and the images that it looks at.

use std::path::PathBuf;

use clap::ValueEnum;
use elbo::checkpoint::State;
use elbo::data::{Opened, Sources};
use elbo::{Dataset, Device, Error, Model, Result};

use crate::cli::args::DeviceArgs;
use crate::cli::find::data_places;
use crate::cli::place::ending;
use crate::cli::reading::{self, Manner};
use crate::cli::run_name::run_name;
use crate::cli::settings::RoomArgs;
use crate::cli::talk;
use crate::cli::weights::{Chosen, WeightArgs};

/// The flags that choose a model.
#[derive(Debug, clap::Args)]
pub(super) struct ModelArgs {
    /// The folder of a run, `latest` for the newest under runs, or a checkpoint
    #[arg(value_name = "RUN", value_parser = run_name())]
    pub(super) run: PathBuf,
    #[command(flatten)]
    pub(super) weights: WeightArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print only warnings on stderr, and show no pictures in the terminal
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// Which of a dataset's images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Split {
    /// The test images
    #[default]
    Test,
    /// The training images
    Train,
    /// Those that a run looks at while it learns, if it set some apart
    Validation,
}

impl Split {
    /// `test` or `training`, as an adjective.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Train => "training",
            Self::Validation => "validation",
        }
    }
}

/// The flags that choose images.
#[derive(Debug, clap::Args)]
pub(super) struct DataArgs {
    /// Images, as `elbo train --data` takes them [default: those of the run]
    #[arg(long, short, value_name = "PATH")]
    data: Option<PathBuf>,
    /// The test images [default: those that --data holds, or a tenth of its images]
    #[arg(long, value_name = "PATH")]
    test_data: Option<PathBuf>,
    #[command(flatten)]
    pub(super) room: RoomArgs,
}

/// The flags that choose images of one kind.
#[derive(Debug, clap::Args)]
pub(super) struct ImageArgs {
    #[command(flatten)]
    pub(super) data: DataArgs,
    /// Use the test images or the training images
    #[arg(long, value_enum, default_value_t)]
    pub(super) split: Split,
}

impl ImageArgs {
    /// The images; if they should be the run's own and are not, that is said. A long reading shows a bar
    /// unless it is to be quiet.
    pub(super) fn open(&self, state: &State, manner: Manner) -> Result<Dataset> {
        let data = self.data.open(state, self.split, manner)?;
        if state.config.model.classes > 0 {
            self.labels(state, &data)?;
        }
        Ok(data)
    }

    /// The class of each of these images, which a verb cannot do without.
    pub(super) fn labels<'a>(&self, state: &State, data: &'a Dataset) -> Result<&'a [u8]> {
        self.data.labels(state, self.split, data)
    }
}

impl ModelArgs {
    pub(super) fn state(&self) -> Result<State> {
        let Chosen { state, said, .. } = self.weights.of(&self.run)?;
        said.filter(|_| !self.quiet).iter().for_each(|said| talk(said));
        Ok(state)
    }

    /// The model of a state on the device that was chosen.
    pub(super) fn open(&self, state: &State, data: Option<&Dataset>) -> Result<Model> {
        Model::new(&self.device()?, state, data)
    }

    /// How images are opened; nothing tells how far that is if it is to be quiet.
    pub(super) fn manner(&self, quiet: bool) -> Manner {
        Manner { quiet: quiet || self.quiet, keep: !self.device.no_cache }
    }

    /// The device that was chosen, which is said.
    pub(super) fn device(&self) -> Result<Device> {
        let (device, why, precision) = self.device.open()?;
        if !self.quiet {
            talk(&format!("device: {} ({why}), {precision}", device.name()));
        }
        Ok(device)
    }

    /// The folder for a picture if the user does not say where: among the run's images, or here, where
    /// only a checkpoint was named.
    pub(super) fn place_of_pictures(&self) -> Result<PathBuf> {
        let mut folder = PathBuf::new();
        if self.run.is_dir() {
            folder = self.run.join("images");
            std::fs::create_dir_all(&folder).map_err(|e| {
                Error::io("make the folder", &folder, e).hint("name a file by `--out`")
            })?;
        }
        Ok(folder)
    }
}

/// The fingerprint of a run's own images of one kind, if it was ever trained on such.
pub(super) fn fingerprint(state: &State, split: Split) -> Option<&String> {
    let [train, looked_at] = state.data.as_ref()?;
    match split {
        Split::Train => Some(train),
        Split::Validation => Some(looked_at),
        Split::Test => Some(state.test.as_ref().unwrap_or(looked_at)),
    }
}

/// The classes of the images that the decoder is to make, as the user says: one for all, or some in turn.
/// A model without classes has none.
pub(super) fn classes_in_turn(
    state: &State,
    typed: &[u8],
    count: usize,
) -> Result<Option<Vec<u8>>> {
    let classes = state.config.model.classes;
    if typed.is_empty() && classes > 0 {
        let what =
            format!("this model is conditional on {classes} classes, and no class was given");
        return Err(Error::config(what)
            .hint(format!("add `--class` with a class from 0 to {}", classes - 1)));
    }
    Ok((!typed.is_empty()).then(|| typed.iter().copied().cycle().take(count).collect()))
}

/// What a model makes of z, told these classes if it knows any.
pub(super) fn decode(model: &mut Model, z: &[f32], classes: Option<&[u8]>) -> Result<Vec<f32>> {
    match classes {
        Some(classes) => model.decode_of(z, classes),
        None => model.decode(z),
    }
}

impl DataArgs {
    /// Whether other images than the run's own were named.
    pub(super) fn is_given(&self) -> bool {
        self.data.is_some() || self.test_data.is_some()
    }

    /// Where the images are, and those to test on if they are elsewhere.
    fn places(&self, state: &State) -> Result<(PathBuf, Option<PathBuf>)> {
        data_places(self.data.as_deref(), self.test_data.as_deref(), &state.config.train)
    }

    /// The images, those to train on and the others.
    pub(super) fn all(&self, state: &State, manner: Manner) -> Result<Opened> {
        let (path, test) = self.places(state)?;
        let mut config = state.config.clone();
        if self.data.is_some() {
            // Those that the run names belong to its own images, and of those some were set apart.
            (config.data.labels, config.data.test_labels) = (None, None);
            config.data.validation_fraction = 0.0;
        }
        let (config, reading) = (&config, Some(&state.reading));
        let (test, room) = (test.as_deref(), self.room.room());
        let sources = Sources { test, reading, room, ..Sources::new(&path, config) };
        let opened = reading::open(sources, manner).map_err(|e| match &self.data {
            Some(_) => e,
            None => e.hint("the run was trained on this data; if it has moved, add `--data PATH`"),
        })?;
        if self.data.is_some() || self.test_data.is_some() {
            opened.said.iter().for_each(|said| talk(said));
        }
        Ok(opened)
    }

    /// All images of the data in their file's order, none set apart.
    pub(super) fn in_order(&self, state: &State, manner: Manner) -> Result<Dataset> {
        let path = match (&self.test_data, &self.data) {
            (Some(path), _) | (None, Some(path)) => Some(path.clone()),
            (None, None) => state.config.train.data.clone(),
        };
        let room = self.room.clone();
        let all = Self { data: path.clone(), test_data: path, room };
        all.all(state, manner).map(|opened| opened.test)
    }

    /// The images of one kind. If they should be the run's own and are not, that is said.
    fn open(&self, state: &State, split: Split, manner: Manner) -> Result<Dataset> {
        let Opened { train, test, validation, .. } = self.all(state, manner)?;
        let data = match split {
            Split::Test => test,
            Split::Train => train,
            Split::Validation => validation.ok_or_else(|| {
                Error::config("there are no validation images").hint(
                    "a run has such if it began with `--validation-fraction`, and among its own images; \
                     or leave `--split` out",
                )
            })?,
        };
        self.compared(state, split, data)
    }

    /// The images that the run learned from and those that it is tested on; what is said as by
    /// [`open`](Self::open).
    pub(super) fn open_both(&self, state: &State, manner: Manner) -> Result<[Dataset; 2]> {
        let Opened { train, test, .. } = self.all(state, manner)?;
        let train = self.compared(state, Split::Train, train)?;
        Ok([train, self.compared(state, Split::Test, test)?])
    }

    /// As many of the images as the run has, compared with the run's own.
    fn compared(&self, state: &State, split: Split, data: Dataset) -> Result<Dataset> {
        let data = match split {
            Split::Train => data.limited(state.config.train.limit),
            Split::Test | Split::Validation => data,
        };
        let own = self.data.is_none() && self.test_data.is_none();
        if own
            && let Some(was) = fingerprint(state, split)
            && *was != data.fingerprint_for(state.config.model.classes)?
        {
            talk(&format!("note: these are not the {} images of the run", split.name()));
        }
        Ok(data)
    }

    /// The class of each of these images, which a verb cannot do without.
    pub(super) fn labels<'a>(
        &self,
        state: &State,
        split: Split,
        data: &'a Dataset,
    ) -> Result<&'a [u8]> {
        if let Some(labels) = data.labels() {
            return Ok(labels);
        }
        let (path, test) = self.places(state)?;
        let path = &test.filter(|_| split == Split::Test).unwrap_or(path);
        let (idx, array) = match split {
            Split::Test => ("t10k-labels-idx1-ubyte", "y_test"),
            Split::Train | Split::Validation => ("train-labels-idx1-ubyte", "y_train"),
        };
        let found = match ending(path).as_str() {
            _ if data.label_fault().is_some() => data.label_fault().unwrap_or_default().to_owned(),
            "npz" => format!("there is no array `{array}` in it"),
            "csv" | "tsv" | "txt" => "no column of it is taken for labels".to_owned(),
            _ if path.is_dir() => format!("there is no file `{idx}`, plain or .gz, in it"),
            _ => "a single file of images has none".to_owned(),
        };
        let what = format!("its {} images have no labels: {found}", split.name());
        Err(Error::data(path, what).hint(
            "add the class of each image, or name images with labels by `--data`: IDX files beside \
             the images', `y_train` and `y_test` in an .npz, the column `label` of a table, or \
             folders of pictures",
        ))
    }
}
