//! How a run is done, which does not decide its numbers: the `[run]` table and its flags.

use std::fmt::Display;
use std::time::Duration;

use bytesize::ByteSize;
use elbo::config::MOST;
use elbo::data::Room;
use elbo::engine::record::SLOTS;
use elbo::gpu::Options;
use elbo::{Device, Error, Result};
use serde::{Deserialize, Serialize};

use crate::cli::args::{DeviceArgs, Precision, TuneArg};
use crate::cli::find::cache_folder;

/// The `[run]` table of a configuration file. A run's own config.toml has none: where and how often
/// it saved is no property of its numbers, and it may go on elsewhere.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Settings {
    pub(super) device: String,
    pub(super) precision: Precision,
    /// Of the CPU session; 0 is one a core.
    pub(super) threads: usize,
    pub(super) tune: TuneArg,
    pub(super) no_cache: bool,
    /// Images come through a window, even if they would fit in memory.
    pub(super) stream: bool,
    /// The memory that images may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory_budget: Option<ByteSize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) steps_per_submit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) save_every: Option<u64>,
    pub(super) keep: usize,
    #[serde(with = "time", skip_serializing_if = "Option::is_none")]
    pub(super) max_time: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            device: "auto".to_owned(),
            precision: Precision::default(),
            threads: 0,
            tune: TuneArg::default(),
            no_cache: false,
            stream: false,
            memory_budget: None,
            steps_per_submit: None,
            save_every: None,
            keep: 1,
            max_time: None,
        }
    }
}

impl Settings {
    /// Judges what was typed and what a file says alike.
    fn validate(&self) -> Result<()> {
        let fail = |name: &str, value: &dyn Display, rule: &str, hint: &str| {
            Err(Error::config(format!("`{name}` is {value}; it must be {rule}")).hint(hint))
        };
        if let Some(steps) = self.steps_per_submit.filter(|steps| !(1..=SLOTS).contains(steps)) {
            let hint = "leave `--steps-per-submit` out: the results do not depend on it";
            return fail("steps-per-submit", &steps, &format!("between 1 and {SLOTS}"), hint);
        }
        if let Some(steps) = self.save_every.filter(|&steps| steps == 0) {
            let hint = "leave `--save-every` out to save only after each epoch";
            return fail("save-every", &steps, "1 or more", hint);
        }
        if !(1..=MOST).contains(&self.keep) {
            let hint = "leave `--keep` out to keep only the newest checkpoint";
            return fail("keep", &self.keep, &format!("between 1 and {MOST}"), hint);
        }
        Ok(())
    }

    /// The memory that images may take.
    pub(super) fn room(&self) -> Room {
        let room = Room { stream: self.stream, ..Room::default() };
        self.memory_budget.map_or(room, |ByteSize(budget)| Room { budget, ..room })
    }

    /// The device, why it is that one, and what its products are computed in.
    pub(super) fn open(&self) -> Result<(Device, String, String)> {
        let cache = cache_folder().filter(|_| !self.no_cache);
        let options = Options { cache, tune: self.tune.into() };
        let (device, why) = Device::choose_with(&self.device, self.threads, &options)
            .map_err(|error| meant(error, &self.device))?;
        let (device, precision) = self.precision.of(device)?;
        Ok((device, why, precision))
    }
}

/// The error with the word for a device that was perhaps meant.
fn meant(error: Error, word: &str) -> Error {
    let word = word.to_lowercase();
    let likeness = |known| strsim::jaro_winkler(&word, known);
    let near = ["auto", "cpu", "gpu"].into_iter().find(|known| likeness(known) >= 0.8);
    match near.filter(|known| *known != word) {
        Some(known) => {
            let advice = error.advice().unwrap_or_default().to_owned();
            error.hint(format!("did you mean `--device {known}`? Else {advice}"))
        }
        None => error,
    }
}

/// The flags of the `[run]` table, under the same names.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Save a checkpoint every N steps too [default: after each epoch alone]
    #[arg(long, value_name = "N", help_heading = "Saving and ending")]
    save_every: Option<u64>,
    /// Keep the last N checkpoints; from 2 on under the numbers of their steps
    #[arg(long, value_name = "N", help_heading = "Saving and ending")]
    keep: Option<usize>,
    /// Save and end after this time, such as 90s, 30min or 8h [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = "Saving and ending")]
    max_time: Option<Duration>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    room: RoomArgs,
    /// Steps in one submit to a GPU, 1 to 64 [default: as many as take 50 ms]
    #[arg(long, value_name = "N", help_heading = "Device")]
    steps_per_submit: Option<usize>,
}

impl RunArgs {
    /// What was typed, over what a file says; judged.
    pub(super) fn over(&self, file: Settings) -> Result<Settings> {
        let mut settings = self.room.over(self.device.over(file));
        settings.save_every = self.save_every.or(settings.save_every);
        settings.keep = self.keep.unwrap_or(settings.keep);
        settings.max_time = self.max_time.or(settings.max_time);
        settings.steps_per_submit = self.steps_per_submit.or(settings.steps_per_submit);
        settings.validate()?;
        Ok(settings)
    }
}

/// The flags that say how much memory images may take.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RoomArgs {
    /// Stream images from disk in the background, even if they would fit in memory
    #[arg(long, help_heading = "Memory")]
    stream: bool,
    /// The memory for images, such as 500MB or 2GiB; larger sets are streamed [default: half of the
    /// free memory]
    #[arg(long, value_name = "BYTES", help_heading = "Memory")]
    memory_budget: Option<ByteSize>,
}

impl RoomArgs {
    fn over(&self, file: Settings) -> Settings {
        let memory_budget = self.memory_budget.or(file.memory_budget);
        Settings { stream: self.stream || file.stream, memory_budget, ..file }
    }

    /// The memory that images may take.
    pub(super) fn room(&self) -> Room {
        self.over(Settings::default()).room()
    }
}

/// Durations as they are typed, such as "8h".
mod time {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| humantime::format_duration(time).to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(from)?;
        let expected = &"a time, such as \"90s\", \"30min\" or \"8h\"";
        humantime::parse_duration(&text)
            .map(Some)
            .map_err(|_| de::Error::invalid_value(de::Unexpected::Str(&text), expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    fn over(flags: &str, file: &str) -> Result<Settings> {
        let line = std::iter::once("elbo").chain(flags.split_whitespace());
        let line = <Line as clap::Parser>::try_parse_from(line).expect("flags that clap takes");
        line.run.over(toml::from_str(file).expect("a table of settings"))
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file =
            "device = 'gpu'\nthreads = 3\nkeep = 2\nmax-time = '2min 3s'\nprecision = 'mixed'
            tune = 'off'\nno-cache = true\nstream = true\nmemory-budget = '2GiB'\nsave-every = 5\nsteps-per-submit = 6";
        let said = Settings {
            device: "gpu".to_owned(),
            precision: Precision::Mixed,
            threads: 3,
            tune: TuneArg::Off,
            no_cache: true,
            stream: true,
            memory_budget: Some(ByteSize(2 << 30)),
            steps_per_submit: Some(6),
            save_every: Some(5),
            keep: 2,
            max_time: Some(Duration::from_secs(123)),
        };
        assert_eq!(over("", file).expect("valid"), said, "the file alone");
        assert_eq!(over("", "").expect("valid"), Settings::default(), "neither");
        let flags = "--device cpu --precision f32 --threads 1 --tune always --keep 1 --save-every 9 \
                     --max-time 1h --steps-per-submit 2 --memory-budget 5MB";
        let typed = Settings {
            device: "cpu".to_owned(),
            precision: Precision::F32,
            threads: 1,
            tune: TuneArg::Always,
            no_cache: true,
            stream: true,
            memory_budget: Some(ByteSize(5_000_000)),
            steps_per_submit: Some(2),
            save_every: Some(9),
            keep: 1,
            max_time: Some(Duration::from_secs(3600)),
        };
        assert_eq!(over(flags, file).expect("valid"), typed, "flags over the file");
        assert!(over("--no-cache", "").expect("valid").no_cache, "a flag alone");
        let number = over("", "memory-budget = 300").expect("valid");
        let room = Room { budget: 300, stream: false };
        assert_eq!(number.room(), room, "a number is of bytes");
    }

    #[test]
    fn bad_settings_are_named_wherever_they_stand() {
        for (name, flag, file) in [
            ("keep", "--keep 0", "keep = 0"),
            ("keep", "--keep 1000001", "keep = 1000001"),
            ("save-every", "--save-every 0", "save-every = 0"),
            ("steps-per-submit", "--steps-per-submit 65", "steps-per-submit = 65"),
        ] {
            for (flag, file) in [(flag, ""), ("", file)] {
                let error = over(flag, file).expect_err(name);
                assert!(error.to_string().starts_with(&format!("`{name}` is ")), "{error}");
                assert!(error.advice().is_some(), "{error} has a hint");
            }
        }
    }
}
