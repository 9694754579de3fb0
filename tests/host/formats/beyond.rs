//! Images that memory is not to hold, and those that are kept for the next run: the same to the bit as any others.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use elbo::config::{Channels, Config, DataConfig, Likelihood};
use elbo::data::{Cache, Opened, Room, Sources};
use elbo::{Dataset, Result};
use tempfile::TempDir;

/// Opens a place with so much memory, and a folder for what is beyond it.
fn open(data: &Path, config: &DataConfig, budget: u64, cache: Option<Cache<'_>>) -> Result<Opened> {
    let mut config = Config { data: config.clone(), ..Config::default() };
    config.model.likelihood = Likelihood::Normal;
    let room = Room { budget, stream: false };
    Sources { room, cache, ..Sources::new(data, &config) }.open()
}

/// What is said of where images lie.
const SAID: [&str; 7] = [
    "are kept for the next run",
    "kept by an earlier run",
    "is damaged",
    "lie in a file",
    "read whole",
    "are not kept",
    "longest time",
];

/// All that is known of what was opened, but for what is said of where it lies.
fn facts(opened: &Opened) -> String {
    let of = |data: &Dataset| {
        let pixels = data.pixels(0..data.len().min(3)).expect("pixels");
        let pixels: Vec<_> = pixels.iter().map(|v| v.to_bits()).collect();
        let names = (data.labels(), data.class_names(), data.label_fault());
        format!(
            "{} {:?} {:?} {names:?}",
            data.fingerprint().expect("a fingerprint"),
            data.spec(),
            pixels
        )
    };
    let about = |said: &&String| {
        !said.contains("streamed") && !SAID.iter().any(|words| said.contains(words))
    };
    let said: Vec<_> = opened.said.iter().filter(about).collect();
    let (train, test) = (opened.train.clone().streamed(0), opened.test.clone().streamed(0));
    format!("{} {} {:?} {:?} {said:?}", of(&train), of(&test), opened.reading, opened.data)
}

/// What is said of the cache, a word of each.
fn cached(opened: &Opened) -> Vec<&'static str> {
    let said = |line: &String| SAID.into_iter().find(|word| line.contains(word));
    opened.said.iter().filter_map(said).collect()
}

fn idx(kind: u8, dims: &[u32], body: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, kind, dims.len() as u8];
    file.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    file.extend(body);
    file
}

fn noise(count: usize) -> Vec<u8> {
    noise_from(0, count)
}

/// The same from a place on.
fn noise_from(first: usize, count: usize) -> Vec<u8> {
    let one = |i: u32| (i.wrapping_mul(2_654_435_761).rotate_left(9) >> 7) as u8;
    (first as u32..).take(count).map(one).collect()
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, content).expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}

/// A grey picture of noise.
fn png(side: u32, seed: usize) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().expect("a header");
    let pixels = (side * side) as usize;
    writer.write_image_data(&noise_from(pixels * seed, pixels)).expect("pixels");
    writer.finish().expect("an end");
    file
}

/// Places of every kind that is put into a file as it is read.
fn places(folder: &Path) -> Vec<(PathBuf, DataConfig)> {
    let put = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    };
    let grey = DataConfig { channels: Channels::Grey, ..DataConfig::default() };
    let mut places = Vec::new();
    let mut add = |path: PathBuf, config: &DataConfig| places.push((path, config.clone()));
    let plain = DataConfig::default();
    let images = |count: u32| idx(8, &[count, 6, 5], &noise(count as usize * 30));
    let classes =
        |count: u32| idx(8, &[count], &(0..count).map(|i| i as u8 % 4).collect::<Vec<_>>());
    for (name, emnist) in [("mnist", ""), ("emnist", "emnist-letters-")] {
        let [train, test] = if emnist.is_empty() { ["train", "t10k"] } else { ["train", "test"] };
        for (set, count) in [(train, 50), (test, 20)] {
            put(&format!("{name}/{emnist}{set}-images-idx3-ubyte.gz"), &gz(&images(count)));
            put(&format!("{name}/{emnist}{set}-labels-idx1-ubyte"), &classes(count));
        }
        add(folder.join(name), &plain);
    }
    add(put("alone.idx", &images(40)), &plain);
    let floats: Vec<u8> =
        noise(40 * 30).iter().flat_map(|&v| (f32::from(v) / 9.0).to_be_bytes()).collect();
    add(put("floats.idx", &idx(0x0d, &[40, 6, 5], &floats)), &plain);
    add(put("colour.idx.gz", &gz(&idx(8, &[40, 2, 5, 3], &noise(1200)))), &grey);
    let class = |record: &[u8]| [&[record[0] % 10], record].concat();
    let records: Vec<u8> = noise(3072 * 12).chunks(3072).flat_map(class).collect();
    for batch in 1..=5 {
        put(
            &format!("cifar/data_batch_{batch}.bin"),
            &records[3073 * (batch - 1)..3073 * (batch + 6)],
        );
    }
    put("cifar/test_batch.bin", &records[..3073 * 3]);
    add(folder.join("cifar"), &plain);
    add(put("named.bin", &records), &plain);
    put("stl/train_y.bin", &[1, 2, 10, 4]);
    put("stl/test_X.bin", &noise(27_648 * 2));
    add(put("stl/train_X.bin", &noise(27_648 * 4)), &plain);
    for i in 0..80 {
        put(&format!("pictures/{}/{i}.png", i % 3), &png(260, i));
    }
    add(folder.join("pictures"), &plain);
    add(folder.join("pictures"), &DataConfig { resize: 9, ..plain.clone() });
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut fixtures: Vec<_> =
        fs::read_dir(data).expect("fixtures").flatten().map(|e| e.path()).collect();
    fixtures.sort();
    for path in fixtures {
        if path.extension().is_some_and(|ending| ending == "npy" || ending == "npz") {
            add(path, &plain);
        }
    }
    places
}

/// In memory, in a file, kept, and opened again: the same images, or the same refusal.
#[test]
fn every_reader_has_the_same_bits_beyond_memory() {
    let (folder, caches) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let mut stored = 0;
    for (path, config) in places(folder.path()) {
        let name = path.display();
        let caches = caches.path();
        let cache = |keep| Some(Cache { folder: caches, keep });
        let expected = open(&path, &config, u64::MAX, None);
        let way = |budget, cache, says: &[&[&str]]| match (
            &expected,
            open(&path, &config, budget, cache),
        ) {
            (Ok(expected), Ok(found)) => {
                let (expected, facts) = (facts(expected), facts(&found));
                assert!(facts == expected, "{name}, {budget}: {facts}\n{expected}");
                let said = cached(&found);
                assert!(says.contains(&said.as_slice()), "{name}, {budget}: {said:?}");
                said.first().copied()
            }
            (Err(expected), Err(found)) => {
                assert_eq!(found.to_string(), expected.to_string(), "{name}, {budget}");
                None
            }
            (expected, found) => panic!("{name}, {budget}: {found:?}, expected {expected:?}"),
        };
        let whole: &[&[&str]] = &[&["read whole"]];
        let first = way(0, cache(false), &[&["lie in a file"], whole[0]]);
        way(100, cache(false), &[&["lie in a file"], whole[0], &[]]);
        if first == Some("lie in a file") {
            stored += 1;
            way(0, cache(true), &[&["are kept for the next run"]]);
            way(0, cache(true), &[&["kept by an earlier run"]]);
            way(u64::MAX, cache(true), &[&["kept by an earlier run"]]);
        }
    }
    assert!(stored > 30, "only {stored} places are put into a file");
    let left = fs::read_dir(caches.path()).expect("a folder").flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(left.count(), 0, "nothing unfinished is left");
}

/// A folder of pictures in a folder of its own, and what it is opened to from memory.
fn pictures() -> (TempDir, PathBuf, String) {
    let folder = TempDir::new().expect("a folder");
    let (path, _) =
        places(folder.path()).into_iter().find(|(path, _)| path.ends_with("pictures")).expect("it");
    let opened = open(&path, &DataConfig::default(), u64::MAX, None).expect("pictures");
    let facts = facts(&opened);
    (folder, path, facts)
}

/// Decoded pictures are kept also where memory holds them; the second time none is read, unless one changed.
#[test]
fn pictures_are_decoded_once() {
    let (folder, path, expected) = pictures();
    let caches = folder.path().join("caches");
    // The same folder in other words.
    let spelt = path.join("..").join(path.file_name().expect("a name"));
    let open_at = |path: &Path| {
        let cache = Some(Cache { folder: &caches, keep: true });
        open(path, &DataConfig::default(), u64::MAX, cache)
    };
    let open = || open_at(&path);
    let first = open().expect("pictures");
    assert_eq!(
        (facts(&first), cached(&first)),
        (expected.clone(), vec!["are kept for the next run"])
    );
    let picture = path.join("1/1.png");
    let (good, time) = (
        fs::read(&picture).expect("it"),
        fs::metadata(&picture).expect("it").modified().expect("it"),
    );
    let change = |content: &[u8], time: SystemTime| {
        fs::write(&picture, content).expect("a picture");
        File::options()
            .append(true)
            .open(&picture)
            .and_then(|file| file.set_modified(time))
            .expect("a time");
    };
    change(&vec![0; good.len()], time);
    let again = open_at(&spelt).expect("no picture is read");
    assert_eq!((facts(&again), cached(&again)), (expected.clone(), vec!["kept by an earlier run"]));
    change(&vec![0; good.len()], time + Duration::from_secs(1));
    let error = open().expect_err("a picture of zeros is read anew");
    assert!(error.to_string().contains("1.png"), "{error}");
    change(&good, time + Duration::from_secs(2));
    let touched = open().expect("pictures");
    assert_eq!((facts(&touched), cached(&touched)), (expected, vec!["are kept for the next run"]));
    fs::remove_file(&picture).expect("a picture");
    let fewer = open().expect("fewer pictures");
    assert_eq!(cached(&fewer), ["are kept for the next run"], "one picture less");
}

/// What changed while it was read is not kept under the name of what it was.
#[test]
fn pictures_that_change_while_they_are_read_are_not_kept() {
    let (folder, path, expected) = pictures();
    let caches = folder.path().join("caches");
    let touched = std::sync::Once::new();
    let touch = |_, _| {
        touched.call_once(|| {
            let file = File::options().append(true).open(path.join("2/2.png")).expect("a picture");
            file.set_modified(SystemTime::now() + Duration::from_secs(9)).expect("a time");
        });
    };
    let mut config = Config::default();
    config.model.likelihood = Likelihood::Normal;
    let cache = Some(Cache { folder: &caches, keep: true });
    let opened = Sources { cache, ..Sources::new(&path, &config) }.open_told(&touch);
    let opened = opened.expect("pictures");
    assert!(facts(&opened) == expected, "the pictures");
    assert_eq!(cached(&opened), Vec::<&str>::new(), "nothing is kept");
    assert!(!caches.exists(), "no file is made");
}

/// Whatever a kept file has become, the images are those of the folder, and the file is made anew.
#[test]
fn damaged_files_are_made_anew() {
    let (folder, path, expected) = pictures();
    let caches = folder.path().join("caches");
    let open = |budget| {
        let cache = Some(Cache { folder: &caches, keep: true });
        open(&path, &DataConfig::default(), budget, cache).expect("the images of the folder")
    };
    open(u64::MAX);
    let kept = fs::read_dir(&caches).expect("a folder").flatten().next().expect("a file").path();
    let good = fs::read(&kept).expect("a file");
    let len = good.len();
    let rows_end = 64 + 80 * 260 * 260;
    let flipped = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bad
    };
    let mut corpus: Vec<(String, Vec<u8>)> = Vec::new();
    for (what, at) in [
        ("the first byte", 0),
        ("the version", 41),
        ("a row", 64 + 5 * 260 * 260),
        ("the last row", rows_end - 1),
        ("a checksum", rows_end),
        ("a class", rows_end + 80 * 4 + 3),
        ("the text", rows_end + 80 * 5 + 9),
        ("the length of the text", len - 24),
        ("the high bytes of that length", len - 18),
        ("the checksum of all that", len - 16),
        ("the last byte", len - 1),
    ] {
        corpus.push((format!("{what}, changed"), flipped(at)));
    }
    for cut in
        [0, 1, 63, 64, 65, rows_end - 260, rows_end, rows_end + 7, len - 25, len - 24, len - 1]
    {
        corpus.push((format!("cut off at {cut}"), good[..cut].to_vec()));
    }
    corpus.push(("longer".into(), [good.as_slice(), b"\n"].concat()));
    corpus.push(("something else".into(), noise(100_000)));
    corpus.push(("a row missing".into(), [&good[..64], &good[64 + 260 * 260..]].concat()));
    corpus.push(("a row twice".into(), [&good[..64 + 260 * 260], &good[64..]].concat()));
    corpus.push(("zeros".into(), vec![0; len]));
    assert!(corpus.len() >= 25, "only {} damaged files", corpus.len());
    for (what, bad) in corpus {
        // Beyond memory a row is known to be damaged when it is read.
        for budget in [u64::MAX, 1000] {
            fs::write(&kept, &bad).expect("damage");
            let opened = open(budget);
            assert!(facts(&opened) == expected, "{what}, {budget}");
            let said = cached(&opened);
            assert_eq!(said, ["is damaged", "are kept for the next run"], "{what}, {budget}");
            assert!(fs::read(&kept).expect("a file") == good, "{what}, {budget}: it is made anew");
        }
    }
    fs::remove_file(&kept).expect("a file");
    fs::create_dir(&kept).expect("a folder in its place");
    let opened = open(u64::MAX);
    assert!(facts(&opened) == expected, "a folder in its place");
    assert!(cached(&opened).contains(&"are not kept"), "{:?}", opened.said);
}

/// What is read by its position fails by name where it is gone from the disk while it is used.
#[test]
fn a_file_that_is_cut_while_it_is_used_is_named() {
    let (folder, path, _) = pictures();
    let caches = folder.path().join("caches");
    let cache = Some(Cache { folder: &caches, keep: true });
    let opened = open(&path, &DataConfig::default(), 1000, cache).expect("pictures");
    let kept = fs::read_dir(&caches).expect("a folder").flatten().next().expect("a file").path();
    let file = File::options().write(true).open(&kept).expect("a file");
    file.set_len(64 + 30 * 260 * 260 + 1).expect("a shorter file");
    let error = opened.train.fingerprint().expect_err("half of it is gone");
    assert!(error.to_string().contains("ends before or within image 3"), "{error}");
    assert!(error.to_string().contains(&*kept.to_string_lossy()), "{error}");
    assert!(error.advice().is_some_and(|hint| hint.contains("made anew")), "{error}");
    let cache = Some(Cache { folder: &caches, keep: true });
    let again = open(&path, &DataConfig::default(), 1000, cache).expect("pictures");
    assert_eq!(
        cached(&again),
        ["is damaged", "are kept for the next run"],
        "the next run mends it"
    );
    // Who has a file open reads on where it is removed.
    #[cfg(unix)]
    {
        let before = again.train.fingerprint().expect("a fingerprint");
        fs::remove_dir_all(&caches).expect("no cache");
        assert_eq!(again.train.fingerprint().expect("a fingerprint"), before, "it is read on");
    }
}

/// Threads stand for processes: each has its own temporary file, and the last one stays.
#[test]
fn several_at_once_do_no_harm() {
    let (folder, path, expected) = pictures();
    let caches = folder.path().join("caches");
    fs::create_dir_all(&caches).expect("a folder");
    // What a process left that was killed, and what another is at.
    let (left, busy) = (caches.join(".elbo-left"), caches.join(".elbo-busy"));
    let old = SystemTime::now() - Duration::from_secs(3600);
    let held = [&left, &busy].map(|path| {
        let file = File::create(path).expect("a file");
        file.set_modified(old).expect("a time");
        file
    });
    held[1].lock().expect("a lock");
    std::thread::scope(|scope| {
        let open = |budget| {
            let cache = Some(Cache { folder: &caches, keep: true });
            let opened = open(&path, &DataConfig::default(), budget, cache).expect("pictures");
            assert!(facts(&opened) == expected, "the same images");
        };
        for budget in [u64::MAX, 1000, u64::MAX, 1000] {
            scope.spawn(move || open(budget));
        }
    });
    assert!(!left.exists() && busy.exists(), "what nobody is at is removed");
    fs::remove_file(busy).expect("a file");
    assert_eq!(fs::read_dir(&caches).expect("a folder").count(), 1, "one file is kept");
}
