//! What TensorBoard's table of hyperparameters shows: a run's configuration, and how it ended. By the messages of
//! `tensorboard/plugins/hparams/api.proto` and `plugin_data.proto`.

use std::collections::BTreeMap;

use elbo::{Config, Result};
use prost::Message;

use super::{EventFile, Metadata, PluginData, Tensor, Value, since_1970};

/// The scalars that are columns of the table, each of what a run came to in the end.
pub(in crate::cli) const METRICS: [&str; 4] =
    ["hparam/loss", "hparam/recon", "hparam/kl", "hparam/best_loss"];

/// `HParamsPluginData`: one of the three.
#[derive(Clone, PartialEq, Message)]
struct Data {
    #[prost(int32, tag = "1")]
    version: i32,
    #[prost(message, optional, tag = "2")]
    experiment: Option<Experiment>,
    #[prost(message, optional, tag = "3")]
    session_start_info: Option<Start>,
    #[prost(message, optional, tag = "4")]
    session_end_info: Option<End>,
}

#[derive(Clone, PartialEq, Message)]
struct Experiment {
    #[prost(double, tag = "3")]
    time_created_secs: f64,
    #[prost(message, repeated, tag = "4")]
    hparam_infos: Vec<HParam>,
    #[prost(message, repeated, tag = "5")]
    metric_infos: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct HParam {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "4")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, optional, tag = "1")]
    name: Option<MetricName>,
}

#[derive(Clone, PartialEq, Message)]
struct MetricName {
    #[prost(string, tag = "2")]
    tag: String,
}

#[derive(Clone, PartialEq, Message)]
struct Start {
    #[prost(btree_map = "string, message", tag = "1")]
    hparams: BTreeMap<String, Chosen>,
    #[prost(double, tag = "5")]
    start_time_secs: f64,
}

/// `google.protobuf.Value`: one of these.
#[derive(Clone, PartialEq, Message)]
struct Chosen {
    #[prost(double, optional, tag = "2")]
    number: Option<f64>,
    #[prost(string, optional, tag = "3")]
    text: Option<String>,
    #[prost(bool, optional, tag = "4")]
    yes: Option<bool>,
}

impl Chosen {
    /// `DataType` of the value.
    fn kind(&self) -> i32 {
        match self {
            Self { number: Some(_), .. } => 3,
            Self { yes: Some(_), .. } => 2,
            _ => 1,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct End {
    /// 1 is success, 2 failure.
    #[prost(int32, tag = "1")]
    status: i32,
    #[prost(double, tag = "2")]
    end_time_secs: f64,
}

impl EventFile {
    /// Says what a run was configured with, key by key, and which scalars say what it came to.
    pub(in crate::cli) fn hparams(&mut self, config: &Config) -> Result<()> {
        let hparams = chosen(config);
        let info =
            |(name, value): (&String, &Chosen)| HParam { name: name.clone(), kind: value.kind() };
        let metric = |tag: &str| Metric { name: Some(MetricName { tag: tag.to_owned() }) };
        let time = since_1970().as_secs_f64();
        let experiment = Experiment {
            time_created_secs: time,
            hparam_infos: hparams.iter().map(info).collect(),
            metric_infos: METRICS.map(metric).into(),
        };
        let start = Start { hparams, start_time_secs: time };
        let experiment = Data { experiment: Some(experiment), ..Data::default() };
        self.tell_hparams("_hparams_/experiment", &experiment)?;
        let start = Data { session_start_info: Some(start), ..Data::default() };
        self.tell_hparams("_hparams_/session_start_info", &start)
    }

    /// Says that a run came to its end, or failed. Readers heed the first of what is said of one run.
    pub(in crate::cli) fn hparams_end(&mut self, well: bool) -> Result<()> {
        let (status, end_time_secs) = (if well { 1 } else { 2 }, since_1970().as_secs_f64());
        let end = Some(End { status, end_time_secs });
        let end = Data { session_end_info: end, ..Data::default() };
        self.tell_hparams("_hparams_/session_end_info", &end)
    }

    fn tell_hparams(&mut self, tag: &str, data: &Data) -> Result<()> {
        let plugin_name = "hparams".to_owned();
        let plugin_data = Some(PluginData { plugin_name, content: data.encode_to_vec() });
        let value = Value {
            tag: tag.to_owned(),
            // The table heeds what the plugin is told alone; a value there must be.
            tensor: Some(Tensor { dtype: 1, float_val: vec![0.0] }),
            metadata: Some(Metadata { plugin_data }),
            ..Value::default()
        };
        self.summary(0, vec![value])
    }
}

/// The keys of a configuration and their values; a list is a text.
fn chosen(config: &Config) -> BTreeMap<String, Chosen> {
    let tables: toml::Table = config.to_toml().parse().unwrap_or_default();
    let mut all = BTreeMap::new();
    for (table, keys) in &tables {
        for (key, value) in keys.as_table().into_iter().flatten() {
            let mut chosen = Chosen::default();
            match value {
                toml::Value::Boolean(yes) => chosen.yes = Some(*yes),
                toml::Value::Integer(number) => chosen.number = Some(*number as f64),
                toml::Value::Float(number) => chosen.number = Some(*number),
                toml::Value::String(text) => chosen.text = Some(text.clone()),
                other => chosen.text = Some(other.to_string()),
            }
            all.insert(format!("{table}.{key}"), chosen);
        }
    }
    all
}
