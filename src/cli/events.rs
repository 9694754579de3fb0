//! Event files for TensorBoard: scalars and pictures of a run, step by step.

pub(super) mod hparams;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use elbo::{Error, ErrorKind, Result};
use prost::Message;

/// What stands first in a file: the version that every reader knows.
const VERSION: &str = "brain.Event:2";

/// One record: `tensorflow.Event`, by its numbers, as far as it is written here.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session: Option<Session>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    image: Option<Image>,
    #[prost(message, optional, tag = "5")]
    histo: Option<Histogram>,
    #[prost(message, optional, tag = "8")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
}

/// `HistogramProto`: how many numbers lie up to each limit, and above the one before.
#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(double, tag = "1")]
    min: f64,
    #[prost(double, tag = "2")]
    max: f64,
    #[prost(double, tag = "3")]
    num: f64,
    #[prost(double, tag = "4")]
    sum: f64,
    #[prost(double, tag = "5")]
    sum_squares: f64,
    #[prost(double, repeated, tag = "6")]
    bucket_limit: Vec<f64>,
    #[prost(double, repeated, tag = "7")]
    bucket: Vec<f64>,
}

/// `TensorProto`, as far as one number takes it.
#[derive(Clone, PartialEq, Message)]
struct Tensor {
    /// 1 is f32.
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(float, repeated, tag = "5")]
    float_val: Vec<f32>,
}

/// `SummaryMetadata`: which of TensorBoard's plugins a value is for, and what that is told.
#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin_data: Option<PluginData>,
}

#[derive(Clone, PartialEq, Message)]
struct PluginData {
    #[prost(string, tag = "1")]
    plugin_name: String,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    /// Numbers of a pixel: 1 is grey, 3 is colours.
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    encoded: Vec<u8>,
}

/// Says that a program began to write.
#[derive(Clone, PartialEq, Message)]
struct Session {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// The status of a session that starts.
const START: i32 = 1;

/// A file of events that grows. Each record is one write, so that a kill tears at most the last one,
/// which readers then leave out.
#[derive(Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Begins a file of its own in a folder that is there. What older files have stays.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let time = since_1970();
        // Readers take files in the order of their names, so that the time comes first, and a run
        // that goes on within a second comes after what it goes on from.
        let (seconds, micros) = (time.as_secs(), time.subsec_micros());
        let process = std::process::id();
        let name = format!("events.out.tfevents.{seconds:010}.{micros:06}.{process}");
        let path = folder.join(name);
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file
            .map_err(|e| Error::io("make", &path, e).hint("choose a folder that can be written"))?;
        let mut events = Self { path, file };
        events.write(&Event { file_version: Some(VERSION.to_owned()), ..Event::now(0) })?;
        Ok(events)
    }

    /// Says that a run goes on from here: readers drop what older files tell of this step and later.
    pub(super) fn go_on(&mut self, step: u64) -> Result<()> {
        self.write(&Event { session: Some(Session { status: START }), ..Event::now(step) })
    }

    /// Adds numbers of a step under their names. A slash in a name makes groups, as `train/loss`.
    pub(super) fn scalars(&mut self, step: u64, values: &[(impl AsRef<str>, f64)]) -> Result<()> {
        let value = |(tag, value): &(_, f64)| Value {
            tag: AsRef::<str>::as_ref(tag).to_owned(),
            simple_value: Some(*value as f32),
            ..Value::default()
        };
        self.summary(step, values.iter().map(value).collect())
    }

    /// Adds how numbers of a step are distributed, those that are finite.
    pub(super) fn histogram(&mut self, step: u64, tag: &str, values: &[f64]) -> Result<()> {
        let histo = Some(histogram(values));
        self.summary(step, vec![Value { tag: tag.to_owned(), histo, ..Value::default() }])
    }

    /// Adds a grey picture of a step, as the bytes of a PNG file.
    pub(super) fn image(&mut self, step: u64, tag: &str, png: &[u8]) -> Result<()> {
        let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().map_err(|e| {
            Error::new(ErrorKind::Data, format!("the picture `{tag}` is no PNG file: {e}"))
        })?;
        // PNG counts no further either.
        let extent = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
        let (height, width) = (extent(reader.info().height), extent(reader.info().width));
        let colorspace = extent(reader.info().color_type.samples() as u32);
        let image = Some(Image { height, width, colorspace, encoded: png.to_vec() });
        self.summary(step, vec![Value { tag: tag.to_owned(), image, ..Value::default() }])
    }

    fn summary(&mut self, step: u64, value: Vec<Value>) -> Result<()> {
        self.write(&Event { summary: Some(Summary { value }), ..Event::now(step) })
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let record = frame(&event.encode_to_vec());
        self.file.write_all(&record).map_err(|e| {
            Error::io(&format!("write {} bytes to", record.len()), &self.path, e)
                .hint("free some space, or choose a folder that can be written")
        })
    }
}

impl Event {
    /// An event of nothing at a step, now.
    fn now(step: u64) -> Self {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        Self { wall_time: since_1970().as_secs_f64(), step, ..Self::default() }
    }
}

/// Buckets of a histogram.
const BUCKETS: usize = 30;

/// The histogram of numbers in buckets of one width, of which the last ends at the largest.
fn histogram(values: &[f64]) -> Histogram {
    let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let (min, max) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), &v| (min.min(v), max.max(v)));
    if values.is_empty() {
        return Histogram::default();
    }
    // Numbers that are all the same take one bucket.
    let buckets = if max > min { BUCKETS } else { 1 };
    let width = (max - min) / buckets as f64;
    let mut bucket = vec![0.0; buckets];
    for value in &values {
        let place = if width > 0.0 { ((value - min) / width) as usize } else { 0 };
        bucket[place.min(buckets - 1)] += 1.0;
    }
    let limit = |i: usize| if i == buckets { max } else { min + i as f64 * width };
    Histogram {
        min,
        max,
        num: values.len() as f64,
        sum: values.iter().sum(),
        sum_squares: values.iter().map(|v| v * v).sum(),
        bucket_limit: (1..=buckets).map(limit).collect(),
        bucket,
    }
}

/// A clock before 1970 counts as 1970.
fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// A record as TensorFlow's record files have them: the length of the data, its checksum, the data, its checksum.
fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc(data).to_le_bytes());
    record
}

/// CRC-32C (Castagnoli), turned and moved, since a checksum of data that holds checksums is weak.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::picture::{Labels, Look, grid};

    /// The records of a file: whole ones with right checksums, then what is left.
    fn records(mut bytes: &[u8]) -> (Vec<Event>, &[u8]) {
        let mut events = Vec::new();
        while let Some((length, rest)) = bytes.split_first_chunk::<8>() {
            let size = u64::from_le_bytes(*length) as usize;
            let Some((crc, rest)) = rest.split_first_chunk::<4>() else { break };
            assert_eq!(u32::from_le_bytes(*crc), masked_crc(length), "the length's checksum");
            let Some((data, rest)) = rest.split_at_checked(size) else { break };
            let Some((crc, rest)) = rest.split_first_chunk::<4>() else { break };
            assert_eq!(u32::from_le_bytes(*crc), masked_crc(data), "the data's checksum");
            events.push(Event::decode(data).expect("an event"));
            bytes = rest;
        }
        (events, bytes)
    }

    #[test]
    fn checksums_are_the_published_ones() {
        // RFC 3720, B.4, of 32 bytes of zeros, of ones, and counting up: 8a9136aa, 62a8ab43 and
        // 46dd794e. Masked as LevelDB's log format and TensorFlow's records say.
        let up: Vec<u8> = (0..32).collect();
        for (data, masked) in
            [(&[0; 32][..], 0x0fd7_fffa), (&[255; 32], 0xf909_b029), (&up, 0x951f_7892)]
        {
            assert_eq!(masked_crc(data), masked, "{data:?}");
        }
        // How every file of TensorFlow's begins: 24 bytes follow.
        let first = frame(&[0; 24]);
        assert_eq!(first[..12], *b"\x18\0\0\0\0\0\0\0\xa3\x7f\x4b\x22", "the first record's head");
    }

    #[test]
    fn files_hold_what_was_added() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = EventFile::create(folder.path()).expect("a file");
        file.go_on(4).expect("a record");
        file.scalars(5, &[("train/loss", 0.5), ("test/loss", -2.0)]).expect("a record");
        let picture = grid(&[0.5; 6], Look::unit([2, 3]), 1, Labels::default()).expect("a picture");
        file.image(6, "images/sample", &picture).expect("a record");
        assert!(file.image(7, "no picture", b"text").is_err(), "what is no picture is refused");
        let name = file.path.file_name().expect("a name").to_string_lossy().into_owned();
        let rest = name.strip_prefix("events.out.tfevents.").expect("the name that is looked for");
        let numbers: Vec<u64> = rest.split('.').map(|n| n.parse().expect("a number")).collect();
        assert_eq!((numbers.len(), numbers[2]), (3, u64::from(std::process::id())), "{name}");
        let bytes = std::fs::read(&file.path).expect("the file");
        let (events, rest) = records(&bytes);
        assert!(rest.is_empty(), "{} bytes are left", rest.len());
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!(bytes[..8], 24_u64.to_le_bytes(), "as long as TensorFlow's");
        assert_eq!((events[1].step, events[1].session.clone().map(|s| s.status)), (4, Some(1)));
        let values = |event: &Event| event.summary.clone().expect("values").value;
        let scalars: Vec<_> =
            values(&events[2]).into_iter().map(|v| (v.tag, v.simple_value)).collect();
        let expected = [("train/loss".to_owned(), Some(0.5)), ("test/loss".to_owned(), Some(-2.0))];
        assert_eq!((events[2].step, scalars), (5, expected.to_vec()));
        let image = Image { height: 152, width: 200, colorspace: 1, encoded: picture };
        assert_eq!(values(&events[3])[0].image, Some(image));
        assert_eq!((events[3].step, events.len()), (6, 4));
        let hours = (events[3].wall_time - numbers[0] as f64) / 3600.0;
        assert!((0.0..1.0).contains(&hours), "the clock of a record, and of the name");
    }

    #[test]
    fn a_histogram_has_every_finite_number_once() {
        let found = histogram(&[0.0, 3.0, f64::NAN, 1.5, 1.49, 0.1]);
        assert_eq!((found.min, found.max, found.num), (0.0, 3.0, 5.0));
        assert!((found.sum - 6.09).abs() < 1e-12 && (found.sum_squares - 13.4801).abs() < 1e-12);
        // Buckets of a tenth: that of 0.1 is the second, of 1.49 the fifteenth.
        let full: Vec<_> = (0..BUCKETS).filter(|&i| found.bucket[i] > 0.0).collect();
        assert_eq!(full, [0, 1, 14, 15, 29], "{:?}", found.bucket);
        assert_eq!((found.bucket_limit.len(), found.bucket_limit[29]), (BUCKETS, 3.0));
        let same = histogram(&[2.0; 4]);
        assert_eq!((same.bucket, same.bucket_limit), (vec![4.0], vec![2.0]), "of equal numbers");
        assert_eq!(histogram(&[f64::INFINITY]), Histogram::default(), "of none that is finite");
    }

    #[test]
    fn a_kill_tears_one_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = EventFile::create(folder.path()).expect("a file");
        let length = || std::fs::metadata(&file.path).expect("the file").len() as usize;
        let mut ends = vec![length()];
        for step in 1..4 {
            EventFile { path: file.path.clone(), file: file.file.try_clone().expect("a handle") }
                .scalars(step, &[("loss", 1.0)])
                .expect("a record");
            // Nothing waits in memory.
            ends.push(length());
        }
        file.scalars(4, &[("loss", 1.0)]).expect("a record");
        let bytes = std::fs::read(&file.path).expect("the file");
        for cut in ends[2]..ends[3] {
            assert_eq!(records(&bytes[..cut]).0.len(), 3, "cut at {cut}");
        }
        // Another run in the same folder, at once, has a file of its own.
        EventFile::create(folder.path()).expect("a second file");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }
}
