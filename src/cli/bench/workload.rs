//! A model that is measured, under the name it is shown by.

use elbo::config::ImageSize;
use elbo::model::Architecture;
use elbo::{Config, Error, Result};

use crate::cli::bench::output::Row;
use crate::cli::widths::{dashed, way, ways};

/// A model under the name it is shown by.
pub(super) struct Workload {
    pub(super) name: String,
    pub(super) config: Config,
    /// What it is measured with, where no data are read.
    pub(super) images: ImageSize,
}

impl Workload {
    /// For images of a size. A decoder that mirrors the encoder goes without saying, as in
    /// 784-400-20.
    pub(super) fn row(&self, size: ImageSize, schedules: &str) -> Result<Row> {
        let model = &self.config.model;
        let networks = Architecture::of(model, size)?;
        let [mut up, mut down] = ways(model, &networks, (size.len(), 0));
        let (mut layers, decoder) = (up.remove(0), down.pop().unwrap_or_default());
        if !decoder.iter().eq(layers.iter().rev()) {
            layers.extend(&decoder[1..]);
        }
        let (rule, activation) = (self.config.optimizer.rule, model.activation);
        let mut shape =
            format!("{} {activation:?} {:?} {rule:?}", dashed(&layers), model.likelihood);
        let above = model.above.iter().flat_map(|level| [&level.encoder, &level.decoder]);
        let lists = [&model.encoder, &model.decoder].into_iter().chain(above);
        for list in lists.filter(|list| list.units().is_none()) {
            shape += &format!(" [{list}]");
        }
        if !up.is_empty() {
            shape += &format!(" above {} and {}", way(&up), way(&down));
        }
        if model.prior.is_learned() {
            shape += &format!(" prior {:?} {}", model.prior, model.prior_components);
        }
        if model.layer_norm {
            shape += " layer-norm";
        }
        if model.dropout != 0.0 {
            shape += &format!(" dropout-{}", model.dropout);
        }
        let (subject, batch) = (self.name.clone(), Some(self.config.train.batch_size));
        Ok(Row { subject, batch, shape: shape.to_lowercase(), schedules: schedules.to_owned() })
    }
}

/// The one workload of what takes no more.
pub(super) fn one(workloads: &[Workload]) -> Result<&Workload> {
    match workloads {
        [workload] => Ok(workload),
        _ => {
            let what = format!("one model and batch, not {}, can be", workloads.len());
            Err(Error::config(format!("{what} trained to a loss or stressed"))
                .hint("run `elbo bench` once for each"))
        }
    }
}
