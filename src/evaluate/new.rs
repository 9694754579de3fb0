//! How a model comes to a device.

use std::collections::BTreeMap;
use std::path::Path;

use crate::checkpoint::{STATE, State, check_tensors};
use crate::config::Config;
use crate::data::Dataset;
use crate::engine::Parameter;
use crate::error::Result;
use crate::evaluate::{Feed, Model, Shown, batch, blank};
use crate::metrics::Places;
use crate::model::Vae;
use crate::session::{Device, Session};

impl Model {
    /// The model of a state, to be used and not trained, with images to look at: of the size of the
    /// state's, or as many pixels if the state was imported. Without images it samples and decodes.
    ///
    /// # Errors
    ///
    /// If the images do not fit the model, the state's tensors are not the model's, or the plan does
    /// not fit the device.
    pub fn new(device: &Device, state: &State, data: Option<&Dataset>) -> Result<Self> {
        let mut config = state.config.clone();
        config.objective = config.objective.to_use();
        let batch = batch(&config, state.size)?;
        let none;
        let data = match data {
            Some(data) => data,
            None => {
                none = blank(state, batch)?;
                &none
            }
        };
        state.check_size(data.size())?;
        (config.train.batch_size, config.train.accumulate) = (batch.min(data.len()), 1);
        data.check(&config.model, config.train.pixels)?;
        data.check_classes(config.model.classes)?;
        let vae = Vae::to_use(&config, data.spec())?;
        let mut model = Self::on(device, config, vae, data)?;
        let weights = state.weights();
        let shapes = model.vae.parameters.list().iter().flat_map(Parameter::shapes);
        let shapes: Vec<_> = shapes.map(|(key, shape)| (key.to_owned(), shape)).collect();
        check_tensors(Path::new(STATE), &shapes, &weights)?;
        model.put("", |parameter| parameter.value, &weights)?;
        model.step = state.trained.step;
        // That of what it learned from, whatever it looks at.
        model.reading = state.reading.clone();
        Ok(model)
    }

    /// A recorded model on a device, with parameters of zero, and the images to look at.
    pub(crate) fn on(device: &Device, config: Config, vae: Vae, data: &Dataset) -> Result<Self> {
        let mut session = Session::new(device, &vae.plan, vae.ports.reports.slots)?;
        let (images, size, reading) = (data.len(), data.size(), data.reading().clone());
        let (loaded, step, steps_per_submit) = (BTreeMap::new(), 0, None);
        let (places, shown) = (Places::of(&vae.ports.reports), Shown::default());
        let sizes = (config.train.part_size(), config.model.classes);
        let test = Feed::new(&mut session, &vae.ports.test, data, sizes)?;
        Ok(Self {
            config,
            vae,
            session,
            loaded,
            places,
            images,
            size,
            reading,
            step,
            steps_per_submit,
            shown,
            drawn: None,
            feeds: [Feed::Whole, test],
        })
    }
}
