//! Pictures of a run: which of them its page shows, and what is said of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind as IoKind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use elbo::{Error, Result};

use crate::cli::report::page::escape;
use crate::cli::report::read::Story;

/// The most pictures that training drew, and the most of those that verbs drew later: together they
/// keep a page below a few megabytes.
const MOST_PICTURES: usize = 6;
/// A picture of more bytes is left out; a scatter of ten thousand points has 1.2 million.
const MOST_BYTES: usize = 2 << 20;

/// A picture of the run, after an epoch if its name tells which.
#[derive(Debug, PartialEq)]
pub(super) struct Picture {
    pub(super) kind: String,
    pub(super) epoch: Option<u64>,
    pub(super) png: Vec<u8>,
}

/// A name taken apart: whether training drew it, what it shows, the epoch, and its number among equal names.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    /// Pictures that training drew come first.
    by_verb: bool,
    kind: String,
    epoch: Option<u64>,
    number: u64,
}

impl Name {
    fn of(stem: &str) -> Self {
        // A second picture of the same, as `scatter-2`, is no kind of its own.
        let numbered = stem.rsplit_once('-').map(|(name, n)| (name, n.parse()));
        let (stem, number) = match numbered {
            Some((name, Ok(number))) => (name, number),
            _ => (stem, 1),
        };
        let (kind, epoch) = match stem.rsplit_once('_').map(|(kind, n)| (kind, n.parse().ok())) {
            Some((kind, Some(epoch))) if !kind.is_empty() => (kind, Some(epoch)),
            _ => (stem, None),
        };
        Self { by_verb: epoch.is_none(), kind: kind.to_owned(), epoch, number }
    }
}

/// Reads the pictures that a page shows, and the names of those that are too large for it: of each kind that
/// training drew the first, the middle and the last epoch, and of each that a verb drew the newest.
pub(super) fn read_pictures(folder: &Path) -> Result<(Vec<Picture>, Vec<String>)> {
    let fail = |e| Error::io("list", folder, e).hint("allow this user to read it");
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == IoKind::NotFound => return Ok((Vec::new(), Vec::new())),
        entries => entries.map_err(fail)?,
    };
    let mut kinds: BTreeMap<(bool, String), Vec<(Name, PathBuf)>> = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(fail)?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let png = path.extension().is_some_and(|extension| extension == "png");
        if png && !stem.starts_with('.') {
            let name = Name::of(&stem);
            kinds.entry((name.by_verb, name.kind.clone())).or_default().push((name, path));
        }
    }
    let drawn = kinds.keys().filter(|(by_verb, _)| !by_verb).count().max(1);
    let (mut pictures, mut left_out) = (Vec::new(), Vec::new());
    for by_verb in [false, true] {
        let each = if by_verb { 1 } else { (MOST_PICTURES / drawn).clamp(1, 3) };
        let these = kinds.iter_mut().filter(|((verb, _), _)| *verb == by_verb);
        for (_, paths) in these.take(MOST_PICTURES) {
            paths.sort();
            for (name, path) in chosen(paths.len(), each).into_iter().map(|place| &paths[place]) {
                match read(path)? {
                    Some(png) => {
                        pictures.push(Picture { kind: name.kind.clone(), epoch: name.epoch, png });
                    }
                    None => {
                        let name = path.file_name().unwrap_or_default().to_string_lossy();
                        left_out.push(name.into_owned());
                    }
                }
            }
        }
    }
    Ok((pictures, left_out))
}

/// The bytes of a PNG file, unless they are too many.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let png = fs::read(path)
        .map_err(|e| Error::io("read", path, e).hint("allow this user to read it, or remove it"))?;
    if !png.starts_with(b"\x89PNG\r\n\x1a\n") {
        let what = "is no PNG file, expected a picture of the run";
        return Err(Error::data(path, what).hint("remove it"));
    }
    Ok((png.len() <= MOST_BYTES).then_some(png))
}

/// Which of so many pictures are shown: the last; the first too; the middle too.
fn chosen(count: usize, most: usize) -> Vec<usize> {
    let last = count.saturating_sub(1);
    let mut places = match most {
        1 => vec![last],
        2 => vec![0, last],
        _ => vec![0, last / 2, last],
    };
    places.dedup();
    places
}

/// What a picture shows, in words.
fn caption(picture: &Picture) -> String {
    let kind = match picture.kind.as_str() {
        "reconstruction" | "reconstruct" => "Test images, and their reconstructions below",
        "sample" => "Samples of the prior",
        "interpolate" => "The way from one image to another through z",
        "traverse" => "One dimension of z changes along each row",
        "plane" => "What the decoder makes of each place in the plane of z",
        "scatter" => "Where the encoder puts images in z",
        other => &other.replace(['_', '-'], " "),
    };
    match picture.epoch {
        Some(epoch) => format!("{kind}, after epoch {epoch}"),
        None => kind.to_owned(),
    }
}

/// The pictures of a page. A picture that is clicked fills the window, by style alone: it is the target of
/// its own link, and a click on it then goes back to its place.
pub(super) fn pictures(story: &Story) -> String {
    if story.pictures.is_empty() && story.left_out.is_empty() {
        return String::new();
    }
    let mut html = "<h2>Pictures</h2>\n<div class=\"pictures\">\n".to_owned();
    for (picture, number) in story.pictures.iter().zip(1..) {
        let caption = escape(&caption(picture));
        let _ = writeln!(
            html,
            "<div id=\"place-{number}\"><figure id=\"picture-{number}\"><figcaption>{caption}</figcaption>\
             <a class=\"open\" href=\"#picture-{number}\" title=\"larger\">\
             <img alt=\"{caption}\" src=\"data:image/png;base64,{}\"></a>\
             <a class=\"close\" href=\"#place-{number}\">back to the page</a></figure></div>",
            STANDARD.encode(&picture.png)
        );
    }
    html += "</div>\n";
    if !story.left_out.is_empty() {
        let names = escape(&story.left_out.join(", "));
        let _ = writeln!(html, "<p class=\"note\">Too large for this page: {names}.</p>");
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pictures_tell_epochs() {
        for (stem, kind, epoch, number) in [
            ("sample_12", "sample", Some(12), 1),
            ("latent_walk_3", "latent_walk", Some(3), 1),
            ("manifold", "manifold", None, 1),
            ("scatter-10", "scatter", None, 10),
            ("_7", "_7", None, 1),
            ("sample_", "sample_", None, 1),
            ("sample_-1", "sample_", None, 1),
        ] {
            let name = Name::of(stem);
            assert_eq!(
                (name.kind.as_str(), name.epoch, name.number),
                (kind, epoch, number),
                "{stem}"
            );
        }
    }

    #[test]
    fn few_pictures_are_chosen() {
        for (count, most, expected) in [
            (1, 3, vec![0]),
            (2, 3, vec![0, 1]),
            (3, 3, vec![0, 1, 2]),
            (10, 3, vec![0, 4, 9]),
            (10, 2, vec![0, 9]),
            (1, 2, vec![0]),
            (10, 1, vec![9]),
        ] {
            assert_eq!(chosen(count, most), expected, "{most} of {count}");
        }
    }

    /// What verbs draw later takes no picture of training away, and of theirs the newest is shown.
    #[test]
    fn pictures_of_training_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str| {
            let png = [b"\x89PNG\r\n\x1a\n".as_slice(), name.as_bytes()].concat();
            fs::write(folder.path().join(format!("{name}.png")), png).expect("a file");
        };
        for epoch in 1..=9 {
            write(&format!("sample_{epoch}"));
            write(&format!("reconstruction_{epoch}"));
        }
        for name in
            ["sample", "sample-2", "sample-10", "scatter", "plane", "traverse", "interpolate"]
        {
            write(name);
        }
        let (pictures, left_out) = read_pictures(folder.path()).expect("pictures");
        assert!(left_out.is_empty(), "{left_out:?}");
        let names: Vec<_> =
            pictures.iter().map(|p| String::from_utf8_lossy(&p.png[8..]).into_owned()).collect();
        let expected = [
            "reconstruction_1",
            "reconstruction_5",
            "reconstruction_9",
            "sample_1",
            "sample_5",
            "sample_9",
            "interpolate",
            "plane",
            "sample-10",
            "scatter",
            "traverse",
        ];
        assert_eq!(names, expected);
        assert_eq!(
            caption(&pictures[0]),
            "Test images, and their reconstructions below, after epoch 1"
        );
    }
}
