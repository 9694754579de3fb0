//! Pickles, MATLAB, Parquet and CIFAR files, good and hostile, for the test of memory.

use super::*;

/// Pickles that are small and would be large.
pub(super) fn pickles() -> Vec<File> {
    let text =
        [b"X".as_slice(), &(16 * MIB as u32).to_le_bytes(), &vec![0xc3_u8; 16 * MIB]].concat();
    let encoded = b"q\x00c_codecs\nencode\nq\x01h\x00U\x06latin1\x86R".to_vec();
    let again = b"h\x01h\x00U\x06latin1\x86R".repeat(30_000);
    let many = |what: &[u8]| [&what.repeat(16 * MIB / what.len()), b".".as_slice()].concat();
    let named: Vec<u8> =
        (0..MIB as u32).flat_map(|i| [b"r".as_slice(), &i.to_le_bytes()].concat()).collect();
    let nodes = many(b"]");
    vec![
        (
            "a string that is encoded 30,000 times",
            [&text[..], &encoded, &again, b"."].concat(),
            false,
        ),
        ("16 MiB of None", many(b"N"), false),
        ("16 MiB of lists", nodes, false),
        ("16 MiB of marks", many(b"("), false),
        ("16 MiB of names", [b"N".as_slice(), &named, b"."].concat(), false),
        ("16 MiB of copies", [b"N".as_slice(), &many(b"2")].concat(), false),
    ]
}

/// MATLAB's and Parquet's files that say more than they hold, or hold much.
pub(super) fn others() -> (Vec<File>, Vec<File>) {
    let word = |v: usize| (v as u32).to_le_bytes();
    let header = [[b' '; 124].as_slice(), &[0, 1, b'I', b'M']].concat();
    let matrix = |len: usize, body: usize| {
        let parts = [
            word(6),
            word(8),
            word(9),
            word(0),
            word(5),
            word(12),
            word(len / 1024),
            word(32),
            word(32),
            word(0),
        ];
        let name = [word(1 | 1 << 16), *b"X\0\0\0", word(2), word(len)];
        [parts.concat(), name.concat(), vec![0; body]].concat()
    };
    let plain = |len: usize, body: usize| {
        let matrix = matrix(len, body);
        [header.clone(), word(14).to_vec(), word(matrix.len()).to_vec(), matrix].concat()
    };
    let zipped = |len: usize, body: usize| {
        let matrix = matrix(len, body);
        let inner = packed(&[word(14).to_vec(), word(matrix.len()).to_vec(), matrix].concat());
        [header.clone(), word(15).to_vec(), word(inner.len()).to_vec(), inner].concat()
    };
    let small = [word(14), word(0)].concat().repeat(MIB);
    let mats = vec![
        ("32 MiB", plain(32 * MIB, 32 * MIB), true),
        ("packed, 7 MiB", zipped(7 * MIB, 7 * MIB), true),
        ("a bomb", zipped(100 * MIB, 100 * MIB), false),
        ("a claim of 2 GiB", plain(2048 * MIB, MIB), false),
        ("a claim of 2 GiB, packed", zipped(2048 * MIB, MIB), false),
        ("1,000,000 variables", [header.clone(), small].concat(), false),
    ];
    let described = |what: &[u8]| [b"PAR1", what, &word(what.len()), b"PAR1"].concat();
    let list = |field: u8, of: u8, body: Vec<u8>| {
        [&[field << 4 | 9, 0xf0 | of, 0x80, 0x80, 0x80, 8][..], &body].concat()
    };
    let columns = list(2, 12, vec![0; 16 * MIB]);
    let groups = list(4, 12, vec![0; 16 * MIB]);
    let fixture = std::fs::read("tests/data/others/flat.parquet").expect("a fixture");
    let parquets = vec![
        ("16 MiB of columns", described(&columns), false),
        ("16 MiB of groups", described(&groups), false),
        ("16 MiB of nothing", described(&vec![0x15; 16 * MIB]), false),
        ("a small one", fixture, true),
    ];
    (mats, parquets)
}
