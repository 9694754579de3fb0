//! Seeded mutations of good files, 100,000 for each loader: each ends in a value that holds together
//! or in an error that names the file and says what to do. `fuzz/` looks further.
#![allow(clippy::print_stdout, reason = "tests may talk")]

mod drawn;
mod others;

use std::io::{Cursor, Write};
use std::path::Path;

use elbo::checkpoint::{Course, State, Trained, Weight, weights_from_bytes, weights_to_bytes};
use elbo::config::DataConfig;
use elbo::data::formats::{idx, market, npy, npz, table};
use elbo::data::rows::{Rows, from_csv, from_npy};
use elbo::data::{Found, Raw};
use elbo::{Config, Dataset, Error, ErrorKind, Result};
use flate2::{Compression, write::GzEncoder};

const CASES: u64 = 100_000;
const NAME: &str = "some/file";

/// Numbers that depend on their seed alone (Steele et al. 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Sizes and counts that make arithmetic go wrong.
const ODD: [u64; 10] =
    [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 32, 1 << 63, u64::MAX];

/// Words that the text formats make something of.
const WORDS: [&str; 16] = [
    "nan",
    "-1",
    "1e999",
    "18446744073709551616",
    "label,",
    "\"",
    "\n",
    ",",
    "[",
    "]",
    "{",
    "}",
    "'",
    "(",
    "null",
    "\u{feff}",
];

/// Changes one thing in a file.
fn mutate(file: &mut Vec<u8>, random: &mut Random) {
    let (at, len) = (random.below(file.len()), random.below(9));
    let end = (at + len).min(file.len());
    match random.below(8) {
        0 => file.truncate(at),
        1 => drop(file.drain(at..end)),
        2 => drop(file.splice(at..at, (0..len).map(|_| random.next() as u8))),
        3 => drop(file.splice(at..at, WORDS[random.below(WORDS.len())].bytes())),
        4 => {
            let from = random.below(file.len());
            let some = file[from..(from + 8 * len).min(file.len())].to_vec();
            drop(file.splice(at..at, some));
        }
        5 | 6 => {
            let (odd, width) = (ODD[random.below(ODD.len())], 1 << random.below(4));
            let little = random.below(2) == 0;
            let word =
                if little { odd.to_le_bytes() } else { odd.rotate_right(8 * width).to_be_bytes() };
            let target = file.iter_mut().skip(at);
            target.zip(&word[..width as usize]).for_each(|(byte, new)| *byte = *new);
        }
        _ if at < file.len() => file[at] ^= 1 << random.below(8),
        _ => {}
    }
}

/// Loads mutations of these files, made whole again by `wrap`; says how many were read.
fn mutations<T>(
    loader: &str,
    seeds: &[Vec<u8>],
    wrap: impl Fn(Vec<u8>, &mut Random) -> Vec<u8>,
    load: impl Fn(&Path, &[u8]) -> Result<T>,
    holds: impl Fn(&T) -> bool,
) {
    let (start, mut read) = (std::time::Instant::now(), 0);
    for case in 0..CASES {
        let mut random = Random(case);
        let mut file = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut file, &mut random);
        }
        let file = wrap(file, &mut random);
        match load(Path::new(NAME), &file) {
            Ok(value) => {
                read += 1;
                assert!(holds(&value), "{loader}, case {case}: what {file:?} was read as");
            }
            Err(error) => {
                let (text, kind) = (error.to_string(), error.kind());
                let known = kind == ErrorKind::Data && text.contains(NAME);
                let known = known && error.advice().is_some() || kind == ErrorKind::Config;
                assert!(known, "{loader}, case {case}: {kind:?} `{text}`, {:?}", error.advice());
            }
        }
    }
    println!("{loader}: {read} of {CASES} were read, in {:?}", start.elapsed());
    assert!(read > 0 && read < CASES, "{loader}: {read} of {CASES} were read");
}

fn as_it_is(file: Vec<u8>, _: &mut Random) -> Vec<u8> {
    file
}

fn fixtures(ending: &str) -> Vec<Vec<u8>> {
    fixtures_in("tests/data", ending)
}

fn fixtures_in(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).expect("the fixtures");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == ending));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a fixture")).collect()
}

/// What a reader makes of a file by its own content.
fn by_file(
    read: fn(&Path, &[u8], &DataConfig) -> Result<Raw>,
) -> impl Fn(&Path, &[u8]) -> Result<Dataset> {
    move |path, bytes| read(path, bytes, &DataConfig::default())?.by_file(path)
}

/// The two sets of what may hold two.
fn both_by_file(
    read: fn(&Path, &[u8], &DataConfig) -> Result<Found>,
) -> impl Fn(&Path, &[u8]) -> Result<[Option<Dataset>; 2]> {
    move |path, bytes| {
        let Found { train, test } = read(path, bytes, &DataConfig::default())?;
        Ok([Some(train.by_file(path)?), test.map(|test| test.by_file(path)).transpose()?])
    }
}

fn both_hold([train, test]: &[Option<Dataset>; 2]) -> bool {
    train.iter().chain(test).all(whole)
}

/// As many finite pixels as the images have.
fn whole(data: &Dataset) -> bool {
    let (size, (low, high)) = (data.size(), data.range().expect("a range"));
    let pixels = data.spec().pixels();
    let labels = data.labels().is_none_or(|labels| labels.len() == data.len());
    let finite = low.is_finite() && high.is_finite();
    !data.is_empty() && pixels == size.len() && finite && labels
}

fn idx_files() -> Vec<Vec<u8>> {
    let dims = [[2_u32, 3, 4], [24, 1, 1], [1, 4, 6]];
    let file = |dims: [u32; 3]| {
        let words = [[0x0803].as_slice(), &dims].concat();
        words.iter().flat_map(|word| word.to_be_bytes()).chain(0..24).collect()
    };
    dims.map(file).to_vec()
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}

fn images_hold(images: &idx::Images) -> bool {
    images.pixels.len() == images.count * images.height * images.width && images.count > 0
}

#[test]
fn idx_files_are_read_or_refused() {
    let load = idx::images_from_bytes;
    mutations("idx", &idx_files(), as_it_is, load, images_hold);
    let packed: Vec<_> = idx_files().iter().map(|file| gz(file)).collect();
    mutations("idx.gz", &packed, as_it_is, load, images_hold);
    mutations("idx in gz", &idx_files(), |file, _| gz(&file), load, images_hold);
    let labels = vec![[0, 0, 8, 1, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9].to_vec()];
    mutations("labels", &labels, as_it_is, idx::labels_from_bytes, |labels| !labels.is_empty());
}

#[test]
fn arrays_are_read_or_refused() {
    mutations("npy", &fixtures("npy"), as_it_is, by_file(npy::read), whole);
}

#[test]
fn archives_are_read_or_refused() {
    let (read, holds) = (|| both_by_file(npz::read), both_hold);
    mutations("npz", &fixtures("npz"), as_it_is, read(), holds);
    // Mutated arrays in a sound archive.
    let wrap = |file: Vec<u8>, random: &mut Random| archive(&[("x.npy", &file)], random);
    mutations("npy in npz", &fixtures("npy"), wrap, read(), holds);
    // Mutated labels beside three sound images.
    let images = std::fs::read("tests/data/u1.npy").expect("a fixture");
    let wrap = |file: Vec<u8>, random: &mut Random| {
        archive(&[("x.npy", &images), ("y.npy", &file)], random)
    };
    // Labels that cannot be used refuse no images, and why is told.
    let labelled = |path: &Path, bytes: &[u8]| {
        let sets = read()(path, bytes)?;
        match sets[0].as_ref().and_then(Dataset::label_fault) {
            Some(fault) => {
                Err(Error::new(ErrorKind::Data, format!("{NAME}: {fault}")).hint("labels"))
            }
            None => Ok(sets),
        }
    };
    mutations("labels in npz", &labels(), wrap, labelled, |sets| {
        holds(sets) && sets[0].as_ref().is_some_and(|train| train.labels().is_some())
    });
}

/// Labels of three images, of each width.
fn labels() -> Vec<Vec<u8>> {
    let array = |(descr, size): (&str, usize)| {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (3,), }}\n");
        let len = (text.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\0", len.as_slice(), text.as_bytes(), &vec![0; 3 * size]].concat()
    };
    [("|u1", 1), ("<i2", 2), (">u4", 4), ("<i8", 8)].map(array).to_vec()
}

/// A stored or a deflated archive of these members.
fn archive(members: &[(&str, &[u8])], random: &mut Random) -> Vec<u8> {
    let methods = [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated];
    let method = methods[random.below(2)];
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, options).expect("a member");
        writer.write_all(content).expect("memory takes what is written");
    }
    writer.finish().expect("an archive").into_inner()
}

#[test]
fn tables_are_read_or_refused() {
    let seeds = [
        "label,a,b\n3,0,255\n4,7,9\n",
        "0,1\r\n1,0\r\n",
        "0.5,-1e3\n\n\"7\",8",
        "1\n2\n3\n",
        "# a b\n0,5 1\n 2\t3 \n",
        "id;a;y;\nx;1,5;cat;\nz;2;dog;\n",
        ",0,1\n0,1.5,2\n1,2,3.5\n",
    ];
    let seeds: Vec<_> = seeds.iter().map(|text| text.as_bytes().to_vec()).collect();
    mutations("table", &seeds, as_it_is, by_file(table::read), whole);
    let asked = |path: &Path, bytes: &[u8]| {
        let (label_column, group_column) = (Some("last".to_owned()), Some("id".to_owned()));
        let config = DataConfig { label_column, group_column, ..DataConfig::default() };
        table::read(path, bytes, &config)?.by_file(path)
    };
    mutations("table with a group", &seeds[5..6], as_it_is, asked, whole);
}

#[test]
fn matrices_are_read_or_refused() {
    let start = "%%MatrixMarket matrix";
    let seeds = [
        format!("{start} coordinate integer general\n%\n3 4 3\n1 2 3\n1 4 7\n3 1 300\n"),
        format!("{start} coordinate pattern general\n2 2 2\n1 2\n2 1\n"),
        format!("{start} array real general\r\n2 2\r\n.5\r\n-1\r\n1e3\r\n4\r\n"),
    ];
    let seeds: Vec<_> = seeds.into_iter().map(String::into_bytes).collect();
    mutations("market", &seeds, as_it_is, by_file(market::read), whole);
}

#[test]
fn rows_are_read_or_refused() {
    let holds = |rows: &Rows| {
        let whole = rows.columns > 0 && rows.values.len().is_multiple_of(rows.columns);
        whole && !rows.values.is_empty() && rows.values.iter().all(|v| v.is_finite())
    };
    let array = npy::to_bytes(&[3, 4], &[0.5; 12]).expect("an array");
    mutations("rows in npy", &[array], as_it_is, from_npy, holds);
    let seeds = ["image,label,mean_0,z_0,z_1\n0,3,1,2.5,-1\n", "0.5,-1e3\n\n\"7\",8", "a,b\n1,2\n"];
    let seeds: Vec<_> = seeds.iter().map(|text| text.as_bytes().to_vec()).collect();
    let load = |path: &Path, bytes: &[u8]| from_csv(path, bytes, &["z", "mean"]);
    mutations("rows in csv", &seeds, as_it_is, load, holds);
}

fn states() -> Vec<Vec<u8>> {
    let weight = |key: &str, shape: &[usize]| {
        let values = vec![0.5; shape.iter().product()];
        Weight { key: key.to_owned(), shape: shape.to_vec(), values }
    };
    let state = State {
        config: Config::default(),
        size: [2, 2].into(),
        reading: elbo::data::Reading::default(),
        data: Some(["00".to_owned(), "11".to_owned()]),
        test: None,
        device: None,
        trained: Trained::default(),
        course: Course::default(),
        tensors: vec![weight("fc1.weight", &[2, 4]), weight("fc1.bias", &[2])],
    };
    vec![state.to_bytes().expect("a state")]
}

#[test]
fn checkpoints_are_read_or_refused() {
    let finite = |tensors: &[Weight]| {
        let mut tensors = tensors.iter();
        tensors.all(|w| w.values.len() == w.shape.iter().product::<usize>())
    };
    mutations("state", &states(), as_it_is, State::from_bytes, |state| finite(&state.tensors));
    let state = State::from_bytes(Path::new(NAME), &states()[0]).expect("a state");
    let weights = vec![weights_to_bytes(&state.tensors).expect("weights")];
    mutations("weights", &weights, as_it_is, weights_from_bytes, |tensors| finite(tensors));
}

#[test]
fn configurations_are_read_or_refused() {
    let seeds =
        [Config::default().to_toml(), "[model]\nlatent = 3\n[train]\nseed = 1\n".to_owned()];
    let seeds: Vec<_> = seeds.into_iter().map(String::into_bytes).collect();
    let load = |_: &Path, file: &[u8]| Config::from_toml(&String::from_utf8_lossy(file));
    // What was read can be written, and read again.
    let holds = |config: &Config| {
        let _ = config.validate();
        Config::from_toml(&config.to_toml()).is_ok()
    };
    mutations("config", &seeds, as_it_is, load, holds);
}
