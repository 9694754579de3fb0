//! How a trainer begins: its model on a device, with first parameters and the data.

use std::collections::VecDeque;

use crate::checkpoint::Trained;
use crate::config::{Config, OutputBias, Range};
use crate::data::{Dataset, Reading};
use crate::engine::plan::Limits;
use crate::engine::{PAD, Plan};
use crate::error::{Error, Result};
use crate::evaluate::{Feed, Model};
use crate::metrics::Sums;
use crate::model::Vae;
use crate::model::prior::{PSEUDO_INPUTS, pseudo_input};
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
        if let Device::Gpu(gpu) = device {
            fits(config, &vae, &gpu.limits(), |config| {
                let mut vae = Vae::new(config, train.spec(), test.spec())?;
                vae.program(step_use)?;
                Ok(vae.plan)
            })?;
        }
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
        begin(&mut model, train)?;
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

/// Uploads the first values of the parameters.
fn begin(model: &mut Model, train: &Dataset) -> Result<()> {
    let config = model.config.clone();
    let bias = model.vae.output_bias();
    let pseudo = model.vae.parameters.named(PSEUDO_INPUTS).map(|parameter| parameter.value);
    for (tensor, mut values) in first_values(&model.vae, config.train.seed) {
        let is = |of| tensor == of || Some(tensor) == model.vae.parameters.average_of(of);
        if is(bias) {
            start_at_mean(&config, train, &mut values)?;
        }
        if pseudo.is_some_and(is) {
            values = first_pseudo_inputs(&config, train)?;
        }
        model.session.write(tensor, &values)?;
    }
    Ok(())
}

/// Refuses a plan with a buffer that is larger than a device allows, with the largest minibatch that is not and how many parts
/// a minibatch must have, if that helps.
fn fits(
    config: &Config,
    vae: &Vae,
    limits: &Limits,
    plan_of: impl Fn(&Config) -> Result<Plan>,
) -> Result<()> {
    let (Some((largest, most)), Err(error)) = (vae.plan.beyond(limits), vae.plan.check(limits))
    else {
        return Ok(());
    };
    let part = config.train.part_size();
    let fitting = (part as u128 * u128::from(most) / u128::from(largest.bytes())) as usize;
    let fitting = if fitting > PAD { fitting / PAD * PAD } else { fitting };
    if fitting == 0 {
        return Err(error);
    }
    let mut smaller = config.clone();
    (smaller.train.batch_size, smaller.train.accumulate) = (fitting, 1);
    // A buffer of weights does not change with the minibatch.
    if plan_of(&smaller)?.beyond(limits).is_some() {
        return Err(error);
    }
    let parts = config.train.batch_size.div_ceil(fitting);
    Err(error.hint(format!(
        "choose `--batch-size {fitting}` or fewer; or `--accumulate {parts}`, which makes a minibatch in parts; or `--device cpu`"
    )))
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

/// What pseudo-inputs begin with: images at equal distances, since files may be sorted.
fn first_pseudo_inputs(config: &Config, images: &Dataset) -> Result<Vec<f32>> {
    let (count, all) = (config.model.prior_components, images.len());
    if count > all {
        let what = format!(
            "`prior-components` is {count}, and pseudo-inputs begin as images, of which there are {all}"
        );
        return Err(
            Error::config(what).hint(format!("`--prior-components {all}` takes all of them"))
        );
    }
    let support = config.model.likelihood.support();
    let mut values = Vec::new();
    for of in 0..count {
        let image = of * all / count;
        let numbers = images.pixels(image..image + 1)?;
        values.extend(numbers.into_iter().map(|number| pseudo_input(support, number)));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ImageSize;
    use crate::engine::Fusion;
    use crate::model::{DataSpec, Use};

    #[test]
    fn a_minibatch_that_fits_is_told() {
        let mut config = Config::preset("conv-28").expect("a preset");
        let size = ImageSize::from([28, 28]);
        let spec = DataSpec { images: 60_000, size, bytes: true, window: None };
        let of = |config: &Config| {
            let mut vae = Vae::new(config, spec, spec)?;
            vae.program(Use::Step(Fusion::Nothing))?;
            Ok(vae)
        };
        let limits = |bytes| Limits {
            buffer_bytes: 1 << 40,
            binding_bytes: bytes,
            storage_bindings: 8,
            uniform_bindings: 12,
            bind_groups: 4,
            invocations: 256,
            workgroup_sides: [256; 2],
            workgroups: 65_535,
            workgroup_bytes: 16_384,
        };
        let judge = |config: &Config, bytes| {
            let plan_of = |config: &Config| of(config).map(|vae| vae.plan);
            fits(config, &of(config).expect("a model"), &limits(bytes), plan_of)
        };
        config.train.batch_size = 3000;
        let (largest, _) = of(&config)
            .expect("a model")
            .plan
            .beyond(&limits(1))
            .map(|(spec, _)| (spec.bytes(), spec.name.clone()))
            .expect("one is larger");
        judge(&config, largest).expect("all fits");
        let error = judge(&config, largest / 2).expect_err("half of it does not");
        let hint = error.advice().expect("a hint").to_owned();
        assert!(
            hint.starts_with("choose `--batch-size 1488` or fewer; or `--accumulate 3`"),
            "{hint}"
        );
        config.train.batch_size = 1488;
        judge(&config, largest / 2).expect("what is told fits");
        (config.train.batch_size, config.train.accumulate) = (3000, 3);
        judge(&config, largest / 2).expect("parts fit");
        // The weights of a layer, which no batch makes smaller.
        let error = judge(&config, 1 << 20).expect_err("weights are larger");
        assert!(error.advice().expect("a hint").contains("smaller layers"), "{error}");
    }
}
