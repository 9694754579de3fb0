//! What a file is: by its first bytes, and by its name only where they cannot tell. What is not read is
//! refused for what it is, with a way on.
#![warn(clippy::arithmetic_side_effects)]

use std::path::Path;

use crate::data::formats::pictures::Named;
use crate::data::formats::{cifar, market, mat, npy, npz, parquet, pickle, pictures, table, tar};
use crate::data::source::{Start, check_not_a_page};
use crate::error::{Error, Result};

/// The kinds of files that images are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum Kind {
    Idx,
    Npy,
    Zip,
    Parquet,
    Matlab,
    Pickle,
    Tar,
    Cifar,
    Stl,
    Table,
}

/// What can be read, for messages.
pub(in crate::data) const FORMATS: &str = "give a folder of IDX files or of pictures, or a file: IDX, .npy, \
     .npz, a table (.csv, .tsv, .txt), .mtx, .parquet, .mat, CIFAR's batches or a pickle of arrays";

/// How the names of tables end.
const TEXT: [&str; 8] = ["csv", "tsv", "tab", "txt", "amat", "data", "dat", "mtx"];

/// The way on from a format that is not read.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// A command with the file's name behind it, which makes something that is read.
    Unpack(&'static str),
    /// A line of Python, in which FILE is the file and STEM its name without the ending.
    Python(&'static str),
    /// Words.
    Do(&'static str),
}

const H5PY: Way = Way::Python(
    "import h5py, numpy; f = h5py.File('FILE'); numpy.savez('STEM.npz', **{k: f[k][()] for k in f if \
     hasattr(f[k], 'shape')})",
);

/// MATLAB's axes come out of HDF5 in the other order.
const MATLAB: Way = Way::Python(
    "import h5py, numpy; f = h5py.File('FILE'); numpy.savez('STEM.npz', **{k: f[k][()].T for k in f if \
     hasattr(f[k], 'shape')})",
);

const TORCH: Way = Way::Python(
    "import torch, numpy; x = torch.load('FILE', weights_only=True); numpy.savez('STEM.npz', x=x[0], y=x[1]) \
     if isinstance(x, tuple) else numpy.save('STEM.npy', x)",
);

const JSON: Way =
    Way::Python("import json, numpy; numpy.save('STEM.npy', numpy.array(json.load(open('FILE'))))");

const RAW: Way = Way::Python(
    "import numpy; numpy.save('STEM.npy', numpy.fromfile('FILE', 'uint8').reshape(-1, 28, 28))  # your height and width",
);

const PICTURE: Way = Way::Do("give a folder of pictures");

/// Formats that are not read, by how they start.
const OTHERS: [(&[u8], &str, Way); 9] = [
    (b"\x89HDF\r\n\x1a\n", "is HDF5", H5PY),
    (b"MATLAB 7.3 MAT-file", "is a MATLAB file of version 7.3, which is HDF5", MATLAB),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive", Way::Unpack("7z x")),
    (b"Rar!\x1a\x07", "is a RAR archive", Way::Unpack("unrar x")),
    (b"\xfd7zXZ\0", "is packed by xz", Way::Unpack("xz -dk")),
    (b"\x28\xb5\x2f\xfd", "is packed by zstd", Way::Unpack("zstd -d")),
    (b"BZh", "is packed by bzip2", Way::Unpack("bunzip2 -k")),
    (b"ARROW1", "is an Arrow file", Way::Do("write it as Parquet: `pyarrow.parquet.write_table`")),
    (b"%PDF", "is a PDF", PICTURE),
];

/// How a file of PyTorch starts that is not a zip: a pickle of a long number.
const OLD_TORCH: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// What a file is.
///
/// # Errors
///
/// If it is nothing that is read, by the name of what it is.
pub(in crate::data) fn kind_of(path: &Path, start: &Start) -> Result<Kind> {
    let bytes = start.bytes.as_slice();
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    check_not_a_page(path, bytes)?;
    if bytes.is_empty() && !start.packed {
        return Err(refusal(path, "is empty", Way::Do(FORMATS)));
    }
    if bytes.starts_with(OLD_TORCH) || name.ends_with(".pt") || name.ends_with(".pth") {
        return Err(refusal(path, "is a file of PyTorch", TORCH));
    }
    let by_name = [
        (name.ends_with(".bin") && cifar::may_be(start), Kind::Cifar),
        (cifar::may_be_stl(name, start), Kind::Stl),
    ];
    let by_content = [
        // A damaged gz is told what is wrong by who reads it.
        (bytes.is_empty() || matches!(bytes, [0] | [0, 0] | [0, 0, 8..=14, ..]), Kind::Idx),
        (bytes.starts_with(&npy::MAGIC), Kind::Npy),
        (bytes.starts_with(&npz::MAGIC), Kind::Zip),
        (bytes.starts_with(&parquet::MAGIC), Kind::Parquet),
        (mat::is_one(bytes), Kind::Matlab),
        (bytes.get(257..262) == Some(&tar::MAGIC), Kind::Tar),
        (pickle::is_one(bytes), Kind::Pickle),
    ];
    let known = by_name.into_iter().chain(by_content).find(|(is, _)| *is);
    if let Some((_, kind)) = known {
        return Ok(kind);
    }
    if let Some(format) = pictures::Format::of(bytes) {
        return Err(refusal(path, &format!("is one {format}"), PICTURE));
    }
    if let Some((_, what, way)) = OTHERS.iter().find(|(magic, ..)| bytes.starts_with(magic)) {
        return Err(refusal(path, what, *way));
    }
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let text = start.packed && table::is_text(bytes);
    if text || TEXT.contains(&ending) || bytes.starts_with(market::MAGIC) {
        return Ok(Kind::Table);
    }
    if [".pkl", ".pickle"].iter().any(|ending| name.ends_with(ending)) {
        return Ok(Kind::Pickle);
    }
    Err(weak(path, name, start))
}

/// What is no kind that is read, and has no mark of its own.
fn weak(path: &Path, name: &str, start: &Start) -> Error {
    let bytes = start.bytes.as_slice();
    let text = bytes.trim_ascii_start();
    // A list of anything but words, which TOML's tables have in brackets too.
    let next = text.get(1..).unwrap_or_default().trim_ascii_start().first();
    let list = text.starts_with(b"[")
        && next.is_some_and(|next| next.is_ascii_digit() || b"[{\"-".contains(next));
    if name.ends_with(".json") || text.starts_with(b"{") || list {
        return refusal(path, "is JSON", JSON);
    }
    // A length, its checksum, and a message that begins with its first field.
    let record = bytes.first_chunk().map_or(0, |len| u64::from_le_bytes(*len)).saturating_add(16);
    if name.contains(".tfrecord") || (record <= start.len && bytes.get(12) == Some(&b'\n')) {
        return refusal(
            path,
            "is a TFRecord",
            Way::Do(
                "read it with TensorFlow and save the arrays: `numpy.savez('x.npz', x=images, y=classes)`",
            ),
        );
    }
    let seen = bytes.get(..8).unwrap_or(bytes).escape_ascii();
    let what = format!("starts with \"{seen}\", as no kind that is read");
    let binary = bytes.iter().any(|&byte| byte == 0 || byte >= 0x80);
    match binary && !start.packed {
        true => refusal(path, &format!("{what}; perhaps bare bytes"), RAW),
        false => refusal(path, &what, Way::Do(FORMATS)),
    }
}

/// The refusal of a zip, a pickle or a file without a mark that PyTorch wrote.
pub(in crate::data) fn torch(path: &Path) -> Error {
    refusal(path, "is a file of PyTorch", TORCH)
}

/// The refusal of an archive that must be unpacked.
pub(in crate::data) fn must_unpack(path: &Path, what: &str, command: &'static str) -> Error {
    refusal(path, what, Way::Unpack(command))
}

/// Refuses a file for what it is.
fn refusal(path: &Path, what: &str, way: Way) -> Error {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/+".contains(c);
    // A name that a shell would read otherwise is left to the user.
    let file = path.to_str().filter(|name| name.chars().all(plain)).unwrap_or("FILE");
    // Written where the user is, who may not write where the file is.
    let stem = Path::new(file).file_stem().unwrap_or_default();
    let error = Error::data(path, format!("{what}; expected images"));
    match way {
        Way::Unpack(command) => {
            error.hint(format!("unpack it and give what is in it: `{command} {file}`"))
        }
        Way::Python(line) => {
            let line = line.replace("FILE", file).replace("STEM", &stem.to_string_lossy());
            error.hint(format!("this makes a file of it that is read: python3 -c \"{line}\""))
        }
        Way::Do(words) => error.hint(words),
    }
}

/// What a folder holds that has no images to read, if files that are none of pictures are all there is.
pub(in crate::data) fn nothing_in(folder: &Path) -> Option<Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if entry.path().is_dir() || Named::of(Path::new(&name)) != Named::Else {
            return None;
        }
        files.push(name);
    }
    files.sort();
    let first = files.first()?;
    let listed: Vec<_> =
        files.iter().take(4).map(|name| format!("`{}`", name.escape_debug())).collect();
    let more = files.len().saturating_sub(listed.len());
    let more = if more > 0 { format!(" and {more} more files") } else { String::new() };
    let what =
        format!("holds {}{more}, and no images that are read from a folder", listed.join(", "));
    let example = folder.join(first);
    Some(Error::data(folder, what).hint(format!(
        "if one of them holds images, name it: `{}`; from folders are read: IDX files by their names, \
         pictures, batches of CIFAR, and Parquet named `train` and `test`",
        example.display()
    )))
}
