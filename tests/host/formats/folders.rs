//! Folders of pictures: classes, sets, sizes, channels, and what is said of them.

use std::fs;
use std::path::Path;

use elbo::config::{Background, Channels, Config, DataConfig};
use elbo::data::{Opened, Sources};
use elbo::{Dataset, Error};
use png::{BitDepth, ColorType};
use tempfile::TempDir;

pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn put(&self, name: &str, content: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, content).expect("the temporary folder takes a file");
    }

    /// With pictures of these names.
    pub(super) fn of(names: &[&str]) -> Self {
        let folder = Self::new();
        for (i, name) in names.iter().enumerate() {
            folder.put(name, &grey([1, 2], &[i as u8, (200 + i) as u8]));
        }
        folder
    }

    pub(super) fn open(&self, config: DataConfig) -> elbo::Result<Opened> {
        let config = Config { data: config, ..Config::default() };
        Sources::new(self.path(), &config).open()
    }

    /// The images before they are divided, where there are no two sets.
    pub(super) fn read(&self, config: &DataConfig) -> elbo::Result<(Dataset, Vec<String>)> {
        let config = Config { data: config.clone(), ..Config::default() };
        let sources = Sources { test: Some(self.path()), ..Sources::new(self.path(), &config) };
        sources.open().map(|opened| (opened.train, opened.said))
    }
}

fn png(size: [u32; 2], (color, depth): (ColorType, BitDepth), data: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size[1], size[0]);
    encoder.set_color(color);
    encoder.set_depth(depth);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(data).expect("a picture");
    writer.finish().expect("an end");
    file
}

pub(super) fn grey(size: [u32; 2], data: &[u8]) -> Vec<u8> {
    png(size, (ColorType::Grayscale, BitDepth::Eight), data)
}

pub(super) fn rgb(size: [u32; 2], data: &[u8]) -> Vec<u8> {
    png(size, (ColorType::Rgb, BitDepth::Eight), data)
}

pub(super) fn rgba(size: [u32; 2], data: &[u8]) -> Vec<u8> {
    png(size, (ColorType::Rgba, BitDepth::Eight), data)
}

pub(super) fn auto() -> DataConfig {
    DataConfig::default()
}

#[track_caller]
fn says(said: &[String], what: &str) {
    assert!(said.iter().any(|note| note.contains(what)), "{said:#?} does not say `{what}`");
}

#[track_caller]
pub(super) fn refused(result: elbo::Result<impl Sized>, what: &str) {
    let error: Error = result.err().expect(what);
    assert!(error.to_string().contains(what), "`{error}` does not say `{what}`");
    assert!(error.advice().is_some(), "`{error}` has no hint");
}

pub(super) fn images(size: impl Into<elbo::config::ImageSize>, bytes: &[u8]) -> Dataset {
    Dataset::from_bytes(size, bytes.to_vec()).expect("whole images")
}

#[test]
fn sets_are_told_by_their_names() {
    for (train, test) in [
        ("train", "test"),
        ("Train", "Test"),
        ("training", "testing"),
        ("TRAIN", "val"),
        ("train", "valid"),
        ("train", "Validation"),
        // Below a folder that holds nothing else.
        ("data/train", "data/test"),
    ] {
        let names =
            [format!("{train}/a/0.png"), format!("{train}/b/c/0.png"), format!("{test}/b/0.png")];
        let folder = Folder::of(&names.each_ref().map(String::as_str));
        let opened = folder.open(auto()).expect(test);
        assert_eq!((opened.train.len(), opened.test.len()), (2, 1), "{train}, {test}");
        assert_eq!(opened.train.labels(), Some([0, 1].as_slice()), "{train}, {test}");
        assert_eq!(opened.test.labels(), Some([1].as_slice()), "{train}, {test}");
        let valid = opened.said.iter().any(|note| note.contains("is to test on"));
        assert_eq!(valid, test.to_ascii_lowercase().starts_with("val"), "{:?}", opened.said);
    }
    let folder =
        Folder::of(&["train/0.png", "test/0.png", "val/0.png", "val/1.png", "more/a/0.png"]);
    folder.put("cover.png", &grey([9, 9], &[1; 81]));
    let opened = folder.open(auto()).expect("two sets");
    assert_eq!((opened.train.len(), opened.test.len()), (1, 1), "validation is no test");
    says(&opened.said, "1 picture beside the folders, such as `cover.png`");
    says(&opened.said, "the folder `val` with 2 pictures");
    says(&opened.said, "the folder `more` with 1 picture");
    // As a class of vehicles.
    let folder = Folder::of(&["bus/0.png", "train/0.png", "car/0.png"]);
    let (data, said) = folder.read(&auto()).expect("classes");
    assert_eq!(data.labels(), Some([0, 1, 2].as_slice()), "bus, car, train");
    says(&said, "in 3 folders as classes, `bus` to `train`");
}

#[test]
fn what_is_no_picture_is_left_out() {
    let folder = Folder::of(&["b/1.png", "b/0.PNG", "a/deep/deeper/0.png", "a/1.png"]);
    for name in ["Thumbs.db", ".DS_Store", "a/._1.png", "__MACOSX/a/1.png", "a/desktop.ini"] {
        folder.put(name, b"of a system");
    }
    let (data, said) = folder.read(&auto()).expect("four pictures");
    assert_eq!(data.labels(), Some([0, 0, 1, 1].as_slice()), "two classes");
    let expected = images([1, 2], &[3, 203, 2, 202, 1, 201, 0, 200]);
    assert_eq!(
        data.fingerprint().expect("a fingerprint"),
        expected.fingerprint().expect("a fingerprint"),
        "a/1, a/deep, b/0, b/1"
    );
    assert!(!said.iter().any(|note| note.contains("left out")), "{said:#?}");
    folder.put("a/notes.txt", b"no picture");
    folder.put("b/z\x1b[2J.md", b"P1 is no picture either");
    folder.put("b/raw.NEF", b"II*\0 of a camera");
    let (data, said) = folder.read(&auto()).expect("four pictures");
    assert_eq!(data.len(), 4, "four pictures");
    says(&said, "2 files that are no pictures, such as `a/notes.txt`");
    says(&said, "1 picture of a kind that is not read, `b/raw.NEF`");
    folder.put("0.png", &grey([1, 2], &[9, 10]));
    let (data, said) = folder.read(&auto()).expect("one picture");
    assert_eq!((data.len(), data.labels()), (1, None), "that of the folder itself");
    says(&said, "the folder `a` with 2 pictures; the folder `b` with 2 pictures");
    folder.put("1.jpg", b"<html>not found</html>");
    refused(folder.read(&auto()), "1.jpg`: is a web page");
    let folder = Folder::new();
    refused(folder.read(&auto()), "cannot find IDX files or pictures in");
    folder.put("x/a.heic", b"\0\0\0\x24ftypheic");
    refused(folder.read(&auto()), "holds no picture that is read, but 1 others such as `x/a.heic`");
}

#[cfg(unix)]
#[test]
fn names_and_links_do_no_harm() {
    use std::os::unix::fs::symlink;
    let folder = Folder::of(&["a/0.png", "b/\x1b[31m.png"]);
    symlink(folder.path(), folder.path().join("a/around")).expect("a link");
    symlink("nowhere", folder.path().join("a/nowhere.txt")).expect("a link");
    symlink(folder.path().join("a/0.png"), folder.path().join("b/linked.png")).expect("a link");
    let (data, said) = folder.read(&auto()).expect("three pictures");
    assert_eq!(data.labels(), Some([0, 1, 1].as_slice()), "a link to a picture is one");
    says(&said, "`a/around`, a link that leads around");
    folder.put("b/\x1b[31m.png", b"no picture");
    let error = folder.read(&auto()).expect_err("no picture").to_string();
    assert!(!error.contains('\x1b'), "`{}` moves the cursor", error.escape_debug());
}

#[test]
fn one_picture_in_colour_makes_all_colour() {
    let folder = Folder::new();
    folder.put("0.png", &grey([1, 2], &[10, 20]));
    folder.put("1.png", &rgb([1, 2], &[7, 7, 7, 9, 9, 9]));
    let (data, _) = folder.read(&auto()).expect("grey");
    assert_eq!(
        data.fingerprint().expect("a fingerprint"),
        images([1, 2], &[10, 20, 7, 9]).fingerprint().expect("a fingerprint"),
        "grey as RGB"
    );
    let (data, _) =
        folder.read(&DataConfig { channels: Channels::Color, ..auto() }).expect("colour");
    let three = images([1, 2, 3], &[10, 10, 10, 20, 20, 20, 7, 7, 7, 9, 9, 9]);
    assert_eq!(
        data.fingerprint().expect("a fingerprint"),
        three.fingerprint().expect("a fingerprint"),
        "as asked for"
    );
    folder.put("2.png", &rgb([1, 2], &[255, 0, 0, 0, 255, 0]));
    let (data, said) = folder.read(&auto()).expect("colour");
    let all = [10, 10, 10, 20, 20, 20, 7, 7, 7, 9, 9, 9, 255, 0, 0, 0, 255, 0];
    assert_eq!(
        data.fingerprint().expect("a fingerprint"),
        images([1, 2, 3], &all).fingerprint().expect("a fingerprint"),
        "colour"
    );
    says(&said, "colour, since 1 have colour, such as `2.png`");
    let (data, said) =
        folder.read(&DataConfig { channels: Channels::Grey, ..auto() }).expect("grey");
    let grey = images([1, 2], &[10, 20, 7, 9, 76, 150]);
    assert_eq!(
        data.fingerprint().expect("a fingerprint"),
        grey.fingerprint().expect("a fingerprint"),
        "by Rec. 601"
    );
    says(&said, "1 in colour, made grey");
}

#[test]
fn what_is_transparent_lies_on_a_background() {
    let folder = Folder::new();
    folder.put("0.png", &rgba([1, 2], &[0, 0, 0, 255, 0, 0, 0, 51]));
    let read = |background| {
        let (data, said) = folder.read(&DataConfig { background, ..auto() }).expect("a picture");
        (data.fingerprint().expect("a fingerprint"), said)
    };
    let (ink, said) = read(Background::Auto);
    assert_eq!(
        ink,
        images([1, 2], &[0, 204]).fingerprint().expect("a fingerprint"),
        "black ink on white"
    );
    says(&said, "transparent pixels lie on white");
    let (none, said) = read(Background::Black);
    assert_eq!(
        none,
        images([1, 2], &[0, 0]).fingerprint().expect("a fingerprint"),
        "black ink on black"
    );
    says(&said, "has one colour only");
    folder.put("1.png", &rgba([1, 2], &[200, 100, 50, 255, 200, 100, 50, 102]));
    let (on_black, said) = read(Background::Auto);
    let all = [0, 0, 0, 0, 0, 0, 200, 100, 50, 80, 40, 20];
    assert_eq!(on_black, images([1, 2, 3], &all).fingerprint().expect("a fingerprint"), "on black");
    says(&said, "transparent pixels lie on black");
    let all = [0, 0, 0, 204, 204, 204, 200, 100, 50, 233, 193, 173];
    assert_eq!(
        read(Background::White).0,
        images([1, 2, 3], &all).fingerprint().expect("a fingerprint"),
        "on white"
    );
}

#[test]
fn sixteen_bits_are_kept() {
    let folder = Folder::new();
    let deep = |values: [u16; 2]| {
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
        png([1, 2], (ColorType::Grayscale, BitDepth::Sixteen), &data)
    };
    folder.put("0.png", &deep([0, 65535]));
    folder.put("1.png", &deep([1, 32768]));
    folder.put("2.png", &grey([1, 2], &[0, 100]));
    let (data, said) = folder.read(&auto()).expect("three pictures");
    let values = [0, 65535, 1, 32768, 0, 25700].map(|v| v as f32 / 65535.0);
    let expected = Dataset::from_floats([1, 2], values.to_vec()).expect("whole images");
    assert_eq!(
        data.fingerprint().expect("a fingerprint"),
        expected.fingerprint().expect("a fingerprint"),
        "over 65535"
    );
    says(&said, "1 of 8 bits, times 257 as the others have 16");
}

#[test]
fn other_sizes_are_refused_or_made_one() {
    let folder = Folder::new();
    folder.put("0.png", &grey([2, 4], &[0, 8, 16, 24, 0, 8, 16, 24]));
    folder.put("1.png", &grey([2, 2], &[50, 50, 50, 50]));
    folder.put("2.png", &grey([2, 4], &[9, 9, 9, 9, 9, 9, 9, 8]));
    refused(folder.read(&auto()), "its 3 pictures are of different sizes: 2 of 2 × 4, 1 of 2 × 2");
    let read = |resize, pad| {
        let (data, said) = folder.read(&DataConfig { resize, pad, ..auto() }).expect("one size");
        (data.size().sides(), data.fingerprint().expect("a fingerprint"), said)
    };
    let (size, found, said) = read(0, true);
    let all = [0, 8, 16, 24, 0, 8, 16, 24, 0, 50, 50, 0, 0, 50, 50, 0, 9, 9, 9, 9, 9, 9, 9, 8];
    assert_eq!(
        (size, found),
        ([2, 4], images([2, 4], &all).fingerprint().expect("a fingerprint")),
        "padded"
    );
    says(&said, "padded to 2 × 4, the largest of each side");
    let (size, found, said) = read(2, false);
    let all = [8, 16, 8, 16, 50, 50, 50, 50, 9, 9, 9, 9];
    assert_eq!(
        (size, found),
        ([2, 2], images([2, 2], &all).fingerprint().expect("a fingerprint")),
        "cut"
    );
    says(&said, "short side is 2, and the middle of 2 × 2 is kept");
    let (size, _, said) = read(4, true);
    assert_eq!(size, [4, 4], "padded to a square");
    says(&said, "long side is 4, and padded to 4 × 4");
    // A larger one is no crop: all of it is there.
    assert_eq!(read(1, false).0, [1, 1], "a pixel");
    assert_eq!(read(64, true).0, [64, 64], "larger");
}

/// What is transparent has a colour that is not seen, and must not bleed into what is.
#[test]
fn scaling_minds_alpha() {
    let folder = Folder::new();
    let half = [[255, 0, 0, 255], [0, 255, 0, 0]].concat();
    folder.put("0.png", &rgba([2, 2], &[half.clone(), half].concat()));
    let config = DataConfig { resize: 1, background: Background::White, ..auto() };
    let (data, _) = folder.read(&config).expect("a picture");
    let mean =
        data.mean_image().expect("a mean").iter().map(|v| (v * 255.0).round()).collect::<Vec<_>>();
    assert!(mean[0] == 255.0 && (126.0..=128.0).contains(&mean[1]), "red on white is {mean:?}");
    assert_eq!(mean[1], mean[2], "no green of what is not seen");
}

#[test]
fn pictures_of_one_colour_are_warned_of() {
    let folder = Folder::new();
    for (name, value) in [("0.png", 0), ("1.png", 9)] {
        folder.put(name, &grey([1, 2], &[value; 2]));
    }
    let (_, said) = folder.read(&auto()).expect("two pictures");
    says(&said, "warning: each of the 2 pictures has one colour only");
    folder.put("2.png", &grey([1, 2], &[1, 2]));
    let (_, said) = folder.read(&auto()).expect("three pictures");
    says(&said, "warning: 2 of 3 pictures have one colour only, such as `0.png`");
}

/// The labels of many folders are wrong only for who needs labels.
#[test]
fn many_folders_are_no_classes() {
    let names: Vec<String> = (0..257).map(|i| format!("{i}/0.png")).collect();
    let folder = Folder::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let (data, _) = folder.read(&auto()).expect("257 pictures");
    assert_eq!((data.len(), data.labels()), (257, None), "no classes");
    assert!(data.label_fault().is_some_and(|fault| fault.contains("257 folders")), "a fault");
}

/// Decoded side by side, in parts: as one after another.
#[test]
fn the_order_is_that_of_names() {
    let folder = Folder::new();
    for i in 0..600_u32 {
        let bytes = i.to_le_bytes();
        folder.put(&format!("{i:04}.png"), &grey([1, 4], &bytes));
    }
    let (data, _) = folder.read(&auto()).expect("600 pictures");
    let all: Vec<u8> = (0..600_u32).flat_map(u32::to_le_bytes).collect();
    assert_eq!(
        data.fingerprint().expect("a fingerprint"),
        images([1, 4], &all).fingerprint().expect("a fingerprint"),
        "in order"
    );
}
