//! What is read from a file of images has the bits that it has in memory, and damage is known.

use std::fs;
use std::path::Path;

use super::*;
use crate::config::{Channels, Config, DataConfig, Likelihood, Range};
use crate::data::held::Held;
use crate::data::labels::Labels;
use crate::data::raw::{Found, Kind, Part, Raw};
use crate::data::reading::Reading;
use crate::data::{Dataset, channels, split};

const NAME: &str = "some/images";

/// A place for images of which memory holds none.
fn room(folder: &Path) -> Space<'_> {
    Space::new(0, Some(Cache { folder, keep: false }))
}

/// The same values in a file.
fn spooled(space: &Space<'_>, row: usize, values: &Values) -> Held {
    let (len, bytes) = (values.len() as u64, matches!(values, Values::Bytes(_)));
    let of = Path::new(NAME);
    let mut sink = Sink::new((of, space), row, (len, len), bytes).expect("a file");
    // In pieces that begin and end within rows.
    match values {
        Values::Bytes(v) => v.chunks(10_007).try_for_each(|some| sink.push(Part::Bytes(some))),
        Values::Floats(v) => v.chunks(10_007).try_for_each(|some| sink.push(Part::Floats(some))),
    }
    .expect("room on the disk");
    let held = sink.done().expect("whole rows");
    assert!(matches!(held, Held::Stored(_)), "memory holds none");
    held
}

/// Bits that look like chance.
fn noise(count: usize) -> impl Iterator<Item = u32> {
    (0..count as u32).map(|i| i.wrapping_mul(2_654_435_761).rotate_left(11).wrapping_mul(97) >> 8)
}

/// Images of bytes, of floats that pictures have, and of floats around 0.
fn values(count: usize) -> [Values; 3] {
    let unit = |v: u32| (v % 1_000_003) as f32 / 1_000_002.0;
    [
        Values::Bytes(noise(count).map(|v| v as u8).collect()),
        Values::Floats(noise(count).map(unit).collect()),
        Values::Floats(noise(count).map(|v| 3.0 * unit(v) - 1.0).collect()),
    ]
}

/// What is known of a set, to the bit.
fn facts(data: &Dataset) -> String {
    let bits = |v: Vec<f64>| v.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    let pixels = data.pixels(2..5).expect("pixels");
    let words = data.words_of(&[4, 5, 6, 1], 0).expect("words");
    format!(
        "{} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        data.fingerprint_for(3).expect("a fingerprint"),
        data.range().expect("a range"),
        bits(data.mean_image().expect("a mean")),
        data.moments().expect("moments"),
        data.hashes().expect("hashes"),
        pixels.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
        words,
        (data.reading(), data.spec(), data.labels()),
    )
}

/// Divided, read as its range says, and limited; of colours made grey and turned.
fn opened(values: Held, range: Range, grey: bool) -> Vec<String> {
    let path = Path::new(NAME);
    let mut raw = Raw::new(path, [9, 7, 3].into(), values, Kind::Bytes).expect("images");
    raw.labels =
        Some(Labels { values: (0..raw.count).map(|i| i as u8 % 3).collect(), names: None });
    if grey {
        raw = channels::wanted(path, raw, Channels::Grey).expect("grey");
        raw = raw.upright(path).expect("upright");
    }
    let mut config =
        Config { data: DataConfig { range, ..DataConfig::default() }, ..Config::default() };
    config.model.likelihood = Likelihood::Normal;
    let (train, test) = split::divide(path, raw, &config.data).expect("a division");
    let model = (&config.model, config.train.pixels);
    let decided = Reading::decide((path, &train), range, model);
    let (reading, mut said) = decided.expect("a reading");
    let train = reading.apply(path, train, &mut said).expect("pixels");
    let test = reading.apply(path, test, &mut said).expect("pixels");
    let few = train.clone().limited(123);
    [facts(&train), facts(&test), facts(&few), said.join("; ")].into()
}

/// Everything that passes over values finds the same, in memory and in a file of several parts.
#[test]
fn a_file_has_the_bits_of_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let room = room(folder.path());
    let ranges = [
        Range::Auto,
        Range::None,
        Range::Bytes,
        Range::Between(-4.0, 300.0),
        Range::Standardise,
        Range::Columns,
        Range::ByFile,
    ];
    let row = 9 * 7 * 3;
    // More than one part.
    for (which, values) in values(row * 3000).into_iter().enumerate() {
        let stored = spooled(&room, row, &values);
        for range in ranges {
            // Floats between 0 and 1 are no bytes.
            if which > 0 && range == Range::Bytes {
                continue;
            }
            for grey in [false, true] {
                let (memory, file) = (values.clone().into(), stored.clone());
                let (expected, found) = (opened(memory, range, grey), opened(file, range, grey));
                assert!(expected == found, "values {which}, {range}, grey: {grey}");
            }
        }
        let mut parts = 0;
        let whole = stored.each_part(row, &mut |first, _| {
            parts += 1;
            assert!(first.is_multiple_of(held::block(row)), "sums are of whole blocks");
            Ok(())
        });
        whole.expect("rows");
        assert!(parts > 1, "values {which} come in {parts} part");
        let back = stored.in_memory().expect("room in memory");
        assert!(back == Held::Memory(values), "values {which} are read back");
    }
}

/// Bytes that turn out to be floats are written once more.
#[test]
fn bytes_become_floats_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    for budget in [0, 250_000] {
        let space = Space::new(budget, Some(Cache { folder: folder.path(), keep: false }));
        let of = Path::new(NAME);
        let mut sink = Sink::new((of, &space), 2, (100_002, 0), true).expect("a sink");
        let bytes: Vec<u8> = noise(100_001).map(|v| v as u8).collect();
        sink.push(Part::Bytes(&bytes)).expect("room");
        sink.push(Part::Floats(&[0.5])).expect("room");
        let held = sink.done().expect("whole rows");
        assert!(matches!(held, Held::Stored(_)), "floats are beyond a budget of {budget}");
        let mut expected = Values::Bytes(bytes);
        expected.extend(Part::Floats(&[0.5]));
        assert!(held.in_memory().expect("room") == Held::Memory(expected), "budget {budget}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "no file is left");
    }
}

/// A file that is not whole any more names itself, the image and a way on.
#[test]
fn damage_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    // Of a file that is not to be kept the name is gone at once.
    let space = Space::new(0, Some(Cache { folder: folder.path(), keep: true }));
    let values = Values::Bytes(noise(1000).map(|v| v as u8).collect());
    let held = spooled(&space, 10, &values);
    let Held::Stored(stored) = &held else { panic!("memory holds none") };
    let (path, file) = (&stored.table.path, &stored.table.file);
    let place = spool::START.len() + 57 * 10 + 3;
    let good = fs::read(path).expect("a file");
    let mut bad = good.clone();
    bad[place] ^= 4;
    fs::write(path, &bad).expect("damage");
    assert!(held.gather(10, &[56, 58, 0, 99]).is_ok(), "the rows beside it are whole");
    for way in ["has other bytes than were written of image 57", "ends before or within image 57"] {
        for found in [held.gather(10, &[3, 57]).map(|_| ()), held.each_part(10, &mut |_, _| Ok(()))]
        {
            let error = found.expect_err("damage");
            assert!(error.to_string().contains(way), "{error}");
            assert!(error.to_string().contains(&*path.to_string_lossy()), "{error} names the file");
            assert!(error.advice().is_some_and(|hint| hint.contains("anew")), "{error}");
        }
        file.set_len((place - 1) as u64).expect("a shorter file");
    }
    let error = held.gather(10, &[100]).expect_err("none");
    assert!(error.to_string().contains("no image 100, since there are 100"), "{error}");
}

/// Where the disk has no room for all, nothing is begun.
#[test]
#[cfg(unix)]
fn a_disk_without_room_is_named_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let space = room(folder.path());
    let most = 1 << 60;
    let sink = Sink::new((Path::new(NAME), &space), 10, (most, 0), true);
    let error = sink.map(|_| ()).expect_err("no such disk");
    let text = error.to_string();
    assert!(text.contains(&format!("cannot write {most} bytes of images to")), "{text}");
    assert!(text.contains(&*folder.path().to_string_lossy()), "{text}");
    assert!(error.advice().is_some_and(|hint| hint.contains("free some space")), "{text}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is begun");
}

/// A file of an array, and its images as they are kept and opened again; what is said of it.
fn kept(folder: &Path, name: &str, len: usize) -> (Found, Vec<String>) {
    let path = folder.join(name);
    if !path.exists() {
        fs::write(&path, vec![7; len]).expect("a file");
    }
    let caches = folder.join("caches");
    let space = Space::new(0, Some(Cache { folder: &caches, keep: true }));
    let entry = Entry::of(&space, &path, &[], &DataConfig::default()).expect("a place");
    if let Some((found, _)) = entry.open(&space) {
        return (found, space.said());
    }
    let values = Values::Bytes(noise(len).map(|v| v as u8).collect());
    let mut raw = Raw::new(&path, [1, 100].into(), spooled(&space, 100, &values), Kind::Numbers)
        .expect("images")
        .noted("a note");
    raw.labels = Some(Labels {
        values: (0..raw.count).map(|i| i as u8 % 3).collect(),
        names: Some(["a", "b\n", "ç"].map(str::to_owned).to_vec()),
    });
    raw.groups = Some((0..raw.count as u32).collect());
    let test = Raw { labels: None, values: spooled(&space, 100, &values), ..raw.clone() };
    let found = Found { train: raw, test: Some(test) };
    let found = entry.keep(&space, (found, None), Some(&entry)).0;
    (found, space.said())
}

/// All that is known of images comes back, whatever they are.
#[test]
fn what_is_kept_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, said) = kept(folder.path(), "x", 1000);
    assert!(said.iter().any(|line| line.contains("are kept for the next run")), "{said:?}");
    let (again, said) = kept(folder.path(), "x", 1000);
    assert!(said.iter().any(|line| line.contains("kept by an earlier run")), "{said:?}");
    let in_memory = |raw: Raw| Raw { values: raw.values.in_memory().expect("rows"), ..raw };
    assert_eq!(in_memory(again.train), in_memory(first.train), "to train on");
    assert_eq!(again.test.map(in_memory), first.test.map(in_memory), "to test on");
}

/// Of three sets of which two have room the one goes that was not used for the longest time; and what has no
/// room at all is not kept.
#[test]
fn what_was_not_used_for_the_longest_time_makes_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, _) = (kept(folder.path(), "a", 20_000), kept(folder.path(), "b", 20_000));
    assert!(first.1.iter().all(|line| !line.contains("removed")), "there is room for two");
    let files = || {
        let found = fs::read_dir(folder.path().join("caches")).expect("a folder").flatten();
        found.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let age = |path: &Path| {
        let file = File::options().append(true).open(path).expect("a file");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("a time");
    };
    files().iter().for_each(|path| age(path));
    let used = kept(folder.path(), "a", 20_000).1;
    assert!(used.iter().any(|line| line.contains("kept by an earlier run")), "{used:?}");
    let (_, said) = kept(folder.path(), "c", 20_000);
    let removed = said.iter().filter(|line| line.contains("the longest time")).count();
    assert_eq!((removed, files().len()), (1, 4), "both files of one: {said:?}");
    let used = kept(folder.path(), "a", 20_000).1;
    assert!(used.iter().any(|line| line.contains("kept by an earlier run")), "it stays: {used:?}");
    let (found, said) = kept(folder.path(), "d", 60_000);
    assert!(said.iter().any(|line| line.contains("are not kept")), "{said:?}");
    assert_eq!(files().len(), 6, "nothing is removed for it, whose two files lie there");
    found.train.values.gather(100, &[0, 599]).expect("it is there while it is used");
    drop(found);
    assert_eq!(files().len(), 4, "and gone then");
}

/// A kept file with any byte changed, cut or longer is known, or is the same.
#[test]
fn mutations_of_a_kept_file_are_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let (found, _) = kept(folder.path(), "x", 2000);
    let Held::Stored(stored) = &found.train.values else { panic!("it is in a file") };
    let path = stored.path().to_owned();
    let key = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
    let key = key.trim_end_matches(".train");
    let expected = found.train.values.clone().in_memory().expect("rows");
    let good = fs::read(&path).expect("a file");
    assert!(entry::open(&path, key).is_some(), "the file itself");
    assert!(entry::open(&path, "another").is_none(), "it is kept under another name");
    let mut known = 0;
    for (i, chance) in noise(3000).enumerate() {
        let (at, value) = (chance as usize % good.len(), (chance >> 13) as u8);
        let mut bad = good.clone();
        match i % 3 {
            0 => bad[at] ^= value.max(1),
            1 => bad.truncate(at),
            _ => bad.extend_from_slice(&good[at..]),
        }
        fs::write(&path, bad).expect("a file");
        let rows = entry::open(&path, key).and_then(|(_, raw)| {
            (raw.labels == found.train.labels && raw.notes == found.train.notes)
                .then(|| raw.values.in_memory().ok())
                .flatten()
        });
        match rows {
            Some(rows) => assert!(rows == expected, "{i}: other images"),
            None => known += 1,
        }
    }
    assert!(known > 2950, "only {known} of 3000 are known");
}
