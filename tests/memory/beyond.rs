//! Sets of images that take four times what they may: they are read, divided and hashed without it.

use elbo::config::Likelihood;
use elbo::data::{Cache, Room, Sources};

use super::*;

/// What a set costs that lies on the disk, its budget aside.
const EXTRA: usize = 32 * MIB;

/// A picture of noise, which packs to nothing less.
fn picture(seed: u32) -> Vec<u8> {
    let pixels: Vec<u8> = (0..512 * 513_u32)
        .map(|i| if i % 513 == 0 { 0 } else { (i.wrapping_mul(seed) >> 11) as u8 })
        .collect();
    drawn::png(512, 512, [8, 0, 0, 0, 0], &[(b"IDAT", packed(&pixels))])
}

/// Whatever is done with them, memory stays below their budget and some MiB, the first time and the second.
pub(super) fn sets_four_times_their_budget() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, content).expect("a file");
        path
    };
    let bytes = array("|u1", "False", "(65536, 32, 32)", 64 * MIB);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(
        "x.npy",
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
    )
    .expect("a member");
    zip.write_all(&bytes).expect("room in memory");
    let zip = zip.finish().expect("an archive").into_inner();
    for i in 0..128 {
        put(&format!("pictures/{i}.png"), &picture(2 * i + 3));
    }
    let places = [
        (put("bytes.npy", &bytes), 16),
        (put("floats.npy", &array("<f8", "False", "(16384, 32, 32)", 128 * MIB)), 16),
        (put("images.idx", &idx_of([65_536, 32, 32], 64 * MIB)), 16),
        (put("images.idx.gz", &gz(&idx_of([8192, 32, 32], 8 * MIB))), 2),
        (put("x.npz", &zip), 16),
        (folder.path().join("pictures"), 8),
    ];
    drop((bytes, zip));
    let folder = folder.path().join("caches");
    let mut config = Config::default();
    config.model.likelihood = Likelihood::Normal;
    for (path, budget) in &places {
        for time in ["first", "second"] {
            let room = Room { budget: (budget * MIB) as u64, stream: false };
            let cache = Some(Cache { folder: &folder, keep: true });
            MEMORY.reset_peak_usage();
            let before = MEMORY.current_usage();
            let opened = Sources { room, cache, ..Sources::new(path, &config) }.open();
            let opened = opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            opened.train.hashes().expect("hashes");
            opened.train.fingerprint().expect("a fingerprint");
            opened.train.mean_image().expect("a mean");
            let cost = MEMORY.peak_usage() - before;
            let (mib, name) = (cost / MIB, path.display());
            println!("{name}, the {time} time: {mib} MiB with a budget of {budget} MiB");
            assert!(cost <= budget * MIB + EXTRA, "{name}, the {time} time: {mib} MiB");
            let said = if time == "first" { "for the next run" } else { "by an earlier run" };
            assert!(opened.said.iter().any(|line| line.contains(said)), "{:?}", opened.said);
        }
    }
}
