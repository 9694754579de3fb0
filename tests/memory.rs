//! The memory that files cost, counted by an allocator: at most four times the file and 64 MiB, the
//! file itself included, whatever the file says. One test, since others would be counted too.
#![allow(clippy::print_stdout, reason = "tests may talk")]

#[path = "memory/beyond.rs"]
mod beyond;
#[path = "memory/drawn.rs"]
mod drawn;
#[path = "memory/packed.rs"]
mod packed_files;

use std::fmt::Display;
use std::io::{Cursor, Write};
use std::path::Path;

use elbo::checkpoint::{State, weights_from_bytes};
use elbo::config::DataConfig;
use elbo::data::formats::{cifar, idx, market, mat, npy, npz, parquet, pickle, pictures, table};
use elbo::data::rows;
use elbo::{Config, Result};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use peak_alloc::PeakAlloc;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use drawn::{drawings, paintings};
use packed_files::{others, pickles};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

/// A file with its name, and whether it is a good one.
type File = (&'static str, Vec<u8>, bool);

fn check<T>(loader: &str, (case, file, good): File, load: impl Fn(&Path, &[u8]) -> Result<T>) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let loaded = load(Path::new("some/file"), &file);
    let cost = MEMORY.peak_usage() - before + file.len();
    let most = 4 * file.len() + 64 * MIB;
    let says = loaded.as_ref().err().map_or("read".to_owned(), ToString::to_string);
    println!("{loader}, {case}: {} MiB of {} MiB: {says:.150}", cost / MIB, most / MIB);
    assert_eq!(loaded.is_ok(), good, "{loader}, {case}: {says}");
    assert!(cost <= most, "{loader}, {case}: {cost} bytes of memory, at most {most}");
}

fn array(descr: &str, fortran: &str, shape: impl Display, body: usize) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}}}\n");
    let len = (header.len() as u16).to_le_bytes();
    let mut file = [b"\x93NUMPY\x01\0", len.as_slice(), header.as_bytes()].concat();
    file.resize(file.len() + body, 0);
    file
}

fn arrays() -> Vec<File> {
    let mut long = array("|u1", "False", "(1, 1, 1)", 1);
    (long[6], long[10], long[11]) = (2, 0xff, 0xff);
    let huge = MIB as u64 * MIB as u64;
    vec![
        ("32 MiB of bytes", array("|u1", "False", "(32768, 32, 32)", 32 * MIB), true),
        ("32 MiB of bytes, Fortran", array("|u1", "True", "(32768, 32, 32)", 32 * MIB), true),
        ("32 MiB of i8", array("<i8", "True", "(4096, 32, 32)", 32 * MIB), true),
        ("32 MiB of f2, Fortran", array("<f2", "True", "(16384, 32, 32)", 32 * MIB), true),
        ("32 MiB of f8, Fortran", array(">f8", "True", "(4096, 32, 32)", 32 * MIB), true),
        ("a header of 4 GiB", long, false),
        (
            "dimensions that wrap",
            array("|u1", "False", "(4194305, 4194305, 211106198978564)", 4),
            false,
        ),
        ("2^63 images", array("<f8", "True", format!("({}, 1, 1)", 1_u64 << 63), 8), false),
        ("2^40 images", array("|u1", "True", format!("({huge}, 1, 1)"), 8), false),
        ("64 KiB of brackets", [array("|u1", "False", "((", 0), vec![b'('; MIB]].concat(), false),
    ]
}

fn zip(members: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(name, options).expect("a member");
        writer.write_all(content).expect("memory takes what is written");
    }
    writer.finish().expect("an archive").into_inner()
}

/// A directory of 1,000,000 members in 50 bytes each, with an end in 64 bits.
fn directory() -> Vec<u8> {
    let (members, start) = (1_000_000_u64, MIB as u64);
    // The reader makes room at once only for fewer members than there are bytes before them.
    let mut file = vec![0; MIB];
    for name in 0..members as u32 {
        file.extend(b"PK\x01\x02\x2d\0\x2d\0");
        file.extend([0; 20]);
        file.extend(b"\x04\0");
        file.extend([0; 16]);
        file.extend(name.to_le_bytes());
    }
    let end = file.len() as u64;
    file.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
    for word in [members, members, end - start, start] {
        file.extend(word.to_le_bytes());
    }
    file.extend(b"PK\x06\x07\0\0\0\0");
    file.extend(end.to_le_bytes());
    file.extend([b"\x01\0\0\0PK\x05\x06\0\0\0\0".as_slice(), &[0xff; 12], &[0; 2]].concat());
    file
}

fn archives() -> Vec<File> {
    let member = |name: &str, content| (format!("{name}.npy"), content);
    let half = || array("<f4", "True", "(4096, 32, 32)", 16 * MIB);
    let two = [member("x_train", half()), member("x_test", half())];
    let bomb = || member("x", array("|u1", "False", "(102400, 32, 32)", 100 * MIB));
    // 255 times its size is believed; its directory then says too little.
    let small = member("x", array("<f2", "True", "(4000, 32, 32)", 8_192_000));
    let pixel = || member("x", array("|u1", "False", "(1, 1, 1)", 1));
    let zeros = member("y", array("|u1", "False", "(104857600,)", 100 * MIB));
    let labelled = [
        member("x", array("|u1", "False", "(16777216, 1, 1)", 16 * MIB)),
        member("y", array("|u1", "True", "(16777216,)", 16 * MIB)),
    ];
    let many: Vec<_> = (0..65_000).map(|i| member(&i.to_string(), Vec::new())).collect();
    vec![
        ("two arrays", zip(&two, CompressionMethod::Stored), true),
        ("a small file of zeros", zip(&[small], CompressionMethod::Deflated), true),
        ("a label for each pixel", zip(&labelled, CompressionMethod::Stored), true),
        ("a bomb of labels", zip(&[pixel(), zeros], CompressionMethod::Deflated), true),
        ("a bomb", zip(&[bomb()], CompressionMethod::Deflated), false),
        ("65,000 members", zip(&many, CompressionMethod::Stored), false),
        ("1,000,000 members", directory(), false),
    ]
}

fn tables() -> Vec<File> {
    let text = |what: &str| what.repeat(16 * MIB / what.len()).into_bytes();
    vec![
        ("bytes", text("17,255,3,99\n"), true),
        ("floats", text("0.5,1,2,-3\n"), true),
        ("short floats", text("-1\n"), true),
        ("one endless line", [text("0,"), b"0".to_vec()].concat(), true),
        ("one endless line of floats", [text("0,"), b".5".to_vec()].concat(), true),
        ("one endless field", text("1"), false),
        ("endless names", text("x,"), false),
        ("endless commas", text(","), false),
        ("labels", [b"label,a\n".to_vec(), text("1,2\n")].concat(), true),
        ("labels of floats", [b"label,a\n".to_vec(), text("1,-2\n")].concat(), true),
        ("commas behind a label", [b"label,".to_vec(), text(",")].concat(), false),
        ("endless blank lines", text("\n"), false),
        ("an endless quote", [b"\"".to_vec(), text("1,\n")].concat(), false),
        ("endless quotes", text("\"\""), false),
        ("endless comments", text("#\n"), false),
        ("decimal commas", text("0,5;1\n"), true),
        ("white space", text("1 2\n"), true),
        ("names of lines", [b"id,a\n".to_vec(), text("x,2\n")].concat(), false),
        ("lines that count", [b",a\n".to_vec(), text("1,2\n")].concat(), false),
    ]
}

fn matrices() -> Vec<File> {
    let text = |what: &str| what.repeat(16 * MIB / what.len());
    let of = |form: &str, rest: &str| {
        format!("%%MatrixMarket matrix {form} general\n{rest}").into_bytes()
    };
    let sums = format!("1 1 {}\n{}", 16 * MIB / 4, text("1 1\n"));
    vec![
        ("8 MiB of zeros", of("coordinate real", "2048 1024 1\n1 1 5\n"), true),
        ("2^62 zeros", of("coordinate real", "2147483648 2147483648 1\n1 1 5\n"), false),
        ("2^32 entries", of("coordinate real", "65536 65536 4294967296\n1 1 5\n"), false),
        ("entries of one place", of("coordinate pattern", &sums), true),
        ("all values", of("array real", &format!("8388608 1\n{}", text("5\n"))), true),
        ("endless comments", of("array real", &text("%\n")), false),
        ("an endless line", of("array real", &text("1 ")), false),
        ("an endless word", of("coordinate real", &format!("2 2 1\n{}", text("9"))), false),
    ]
}

fn packed(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}

fn idx_of(dims: [u32; 3], body: usize) -> Vec<u8> {
    let words = [0x0803, dims[0], dims[1], dims[2]];
    let mut file: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
    file.resize(file.len() + body, 0);
    file
}

fn label_file(count: u32, body: usize) -> Vec<u8> {
    let mut file: Vec<u8> = [0x0801, count].into_iter().flat_map(u32::to_be_bytes).collect();
    file.resize(file.len() + body, 0);
    file
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).expect("memory takes what is written");
    encoder.finish().expect("memory takes what is written")
}

fn sets() -> Vec<File> {
    vec![
        ("32 MiB", idx_of([32768, 32, 32], 32 * MIB), true),
        ("2^96 pixels", idx_of([u32::MAX; 3], MIB), false),
        ("packed, 8 MiB", gz(&idx_of([8192, 32, 32], 8 * MIB)), true),
        ("an honest bomb", gz(&idx_of([102_400, 32, 32], 100 * MIB)), false),
        ("a bomb that says less", gz(&idx_of([10, 32, 32], 100 * MIB)), false),
        ("a promise of 8 MiB", gz(&idx_of([8192, 32, 32], MIB)), false),
    ]
}

/// A safetensors file with this header.
fn tensors(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 4]].concat()
}

fn weights() -> Vec<File> {
    let entry =
        |i: usize| format!("\"{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    let many = |count| format!("{{{}}}", (0..count).map(entry).collect::<Vec<_>>().join(","));
    let large = format!(
        "{{\"a\":{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[0,{}]}}}}",
        4 * MIB,
        16 * MIB
    );
    vec![
        ("16 MiB", [tensors(&large), vec![0; 16 * MIB - 4]].concat(), true),
        ("30,000 tensors", tensors(&many(30_000)), false),
        ("1,000,000 tensors", tensors(&many(1_000_000)), false),
        ("a header of 2^63", [vec![0, 0, 0, 0, 0, 0, 0, 0x80], vec![0; MIB]].concat(), false),
        (
            "deep metadata",
            tensors(&format!(
                "{{\"__metadata__\":{{\"elbo\":\"a={}\"}},\"a\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}}}",
                "[".repeat(MIB / 4 - 2)
            )),
            true,
        ),
        ("deep brackets", tensors(&"[".repeat(2 * MIB - 1)), false),
        (
            "a long shape",
            tensors(&format!("{{\"a\":{{\"shape\":[{}1]}}}}", "1,".repeat(MIB - 50))),
            false,
        ),
    ]
}

fn configs() -> Vec<File> {
    let most = MIB / 4;
    let text = |what: &str| what.repeat(most / what.len()).into_bytes();
    vec![
        ("nothing", Vec::new(), true),
        ("64 MiB of comments", b"#\n".repeat(32 * MIB), false),
        ("comments", text("#\n"), true),
        ("deep arrays", [b"a=".to_vec(), text("[")].concat()[..most].to_vec(), false),
        ("deep tables", text("[a.a.a.a]\n"), false),
        ("a deep key", text("a."), false),
        ("a long array", [b"x=[".to_vec(), text("1,")].concat()[..most].to_vec(), false),
        ("tables of tables", text("[[a]]\n"), false),
    ]
}

#[test]
fn files_cost_at_most_four_times_their_size() {
    arrays().into_iter().for_each(|file| {
        check("npy", file, |path, bytes| npy::read(path, bytes, &DataConfig::default()));
    });
    archives().into_iter().for_each(|file| {
        check("npz", file, |path, bytes| npz::read(path, bytes, &DataConfig::default()));
    });
    tables().into_iter().for_each(|file| {
        check("table", file, |path, bytes| table::read(path, bytes, &DataConfig::default()));
    });
    matrices().into_iter().for_each(|file| {
        check("market", file, |path, bytes| market::read(path, bytes, &DataConfig::default()));
    });
    let floats = array("<f2", "True", "(65536, 256)", 32 * MIB);
    check("rows", ("32 MiB of f2, Fortran", floats, true), rows::from_npy);
    for (case, file, good) in tables() {
        // A row has fewer columns than an image may have pixels.
        let good = good && !case.contains("endless");
        // Nor are its separators looked for, and names alone are no numbers.
        if ["decimal commas", "white space", "names of lines", "lines that count"].contains(&case) {
            continue;
        }
        check("rows", (case, file, good), |path, file| rows::from_csv(path, file, &["z"]));
    }
    drawings().into_iter().for_each(|file| check("png", file, pictures::from_bytes));
    paintings().into_iter().for_each(|file| check("picture", file, pictures::from_bytes));
    sets().into_iter().for_each(|file| check("idx", file, idx::images_from_bytes));
    check("labels", ("32 MiB", label_file(32 << 20, 32 * MIB), true), idx::labels_from_bytes);
    let claim = label_file(u32::MAX, MIB);
    check("labels", ("2^32 - 1", gz(&claim), false), idx::labels_from_bytes);
    check("labels", ("2^32 - 1, plain", claim, false), idx::labels_from_bytes);
    let config = DataConfig::default();
    pickles()
        .into_iter()
        .for_each(|file| check("pickle", file, |path, bytes| pickle::read(path, bytes, &config)));
    let (mats, parquets) = others();
    mats.into_iter()
        .for_each(|file| check("mat", file, |path, bytes| mat::read(path, bytes, &config)));
    parquets
        .into_iter()
        .for_each(|file| check("parquet", file, |path, bytes| parquet::read(path, bytes, &config)));
    let batch = vec![7; 3073 * 8192];
    check("cifar", ("24 MiB", batch, true), |path, bytes| cifar::read(path, bytes, &config));
    beyond::sets_four_times_their_budget();
    weights().into_iter().for_each(|file| check("weights", file, weights_from_bytes));
    for (case, file, _) in weights() {
        check("state", (case, file, false), State::from_bytes);
    }
    let config = |_: &Path, file: &[u8]| Config::from_toml(str::from_utf8(file).expect("text"));
    configs().into_iter().for_each(|file| check("config", file, config));
}
