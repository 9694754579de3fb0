//! How a trainer begins: its model on a device, with first parameters and the data.

use std::collections::VecDeque;

use crate::checkpoint::Trained;
use crate::config::{Config, OutputBias, Range};
use crate::data::{Dataset, Reading};
use crate::error::{Error, Result};
use crate::evaluate::{Feed, Model};
use crate::metrics::Sums;
use crate::model::Vae;
use crate::session::Device;
use crate::train::parts::{self, parts_of};
use crate::train::{Trainer, first_values, record_of, step_of};

impl Trainer {
    /// Makes a trainer of a new model on a device, and uploads the first parameters and the data. `test` are
    /// the images that [`evaluate`](Self::evaluate) looks at: those to test on, or to validate on.
    ///
    /// # Errors
    ///
    /// If the configuration is not valid, the data does not fit it, or the plan does not fit the
    /// device.
    pub fn new(device: &Device, config: &Config, train: &Dataset, test: &Dataset) -> Result<Self> {
        if train.size() != test.size() {
            let what = format!("training images are {}, test images {}", train.size(), test.size());
            return Err(Error::config(what).hint("both must be of one size"));
        }
        if config.objective.total_correlation != 1.0 && config.train.batch_size == 1 {
            return Err(Error::config("one image a minibatch has no total correlation")
                .hint("choose a larger `--batch-size`, or `--set objective.total-correlation=1`"));
        }
        let mut vae = Vae::new(config, train.spec(), test.spec())?;
        for data in [train, test] {
            data.check(&config.model, config.train.pixels)?;
            data.check_classes(config.model.classes)?;
        }
        let step_use = step_of(device, config);
        let step = vae.program(step_use)?.clone();
        let part = parts_of(record_of(config, train.len(), 1.0, 0), config.train.part_size())[0];
        device.tune(&vae.plan, &step, &part);
        let schedules = device.schedules(&step);
        let mut model = Model::on(device, config.clone(), vae, test)?;
        model.load(step_use)?;
        parts::load(&mut model)?;
        model.load_evaluation()?;
        // The run's is that of what it learns from.
        model.reading = match config.data.range {
            Range::ByFile => Reading::default(),
            _ => train.reading().clone(),
        };
        if config.model.likelihood.is_of_counts() {
            model.reading.total = Some(train.mean_image()?.iter().sum::<f64>() as f32);
        }
        let sizes = (config.train.part_size(), config.model.classes);
        model.feeds[0] = Feed::new(&mut model.session, &model.vae.ports.train, train, sizes)?;
        for (tensor, mut values) in first_values(&model.vae, config.train.seed) {
            let bias = model.vae.output_bias();
            if tensor == bias || Some(tensor) == model.vae.parameters.average_of(bias) {
                start_at_mean(config, train, &mut values)?;
            }
            model.session.write(tensor, &values)?;
        }
        let moments = train.moments()?;
        let mut trainer = Self {
            constant: moments.constant_loss(&config.model),
            deviation: moments.deviation(),
            model,
            step_use,
            images: train.len(),
            schedules,
            device: format!("{}, schedules by {schedules}", device.numerics()),
            data: [
                train.fingerprint_for(config.model.classes)?,
                test.fingerprint_for(config.model.classes)?,
            ],
            trained: Trained::default(),
            target: 0,
            pending: VecDeque::new(),
            under_way: Sums::default(),
            events: VecDeque::new(),
            good: None,
        };
        trainer.keep_good()?;
        Ok(trainer)
    }
}

/// Sets the decoder's last bias to what makes the mean image, if that is asked for.
fn start_at_mean(config: &Config, images: &Dataset, bias: &mut [f32]) -> Result<()> {
    let wanted = config.model.output_bias == OutputBias::DataMean;
    let means = if wanted { images.mean_image()? } else { Vec::new() };
    for (bias, mean) in bias.iter_mut().zip(means) {
        let value = config.model.likelihood.output_of_mean(mean);
        *bias = value.map_or(*bias, |value| value as f32);
    }
    Ok(())
}
