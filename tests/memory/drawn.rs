//! Pictures, good and hostile, for the test of memory.

use super::*;

pub(super) fn png(
    width: u32,
    height: u32,
    rest: [u8; 5],
    chunks: &[(&[u8; 4], Vec<u8>)],
) -> Vec<u8> {
    let header = [width.to_be_bytes().as_slice(), &height.to_be_bytes(), &rest].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let end = (b"IEND", Vec::new());
    for (kind, content) in [(b"IHDR", header)].iter().chain(chunks).chain([&end]) {
        let mut crc = flate2::Crc::new();
        crc.update(*kind);
        crc.update(content);
        file.extend((content.len() as u32).to_be_bytes());
        file.extend([kind.as_slice(), content, &crc.sum().to_be_bytes()].concat());
    }
    file
}

pub(super) fn drawings() -> Vec<File> {
    let zeros = |bytes: usize| (b"IDAT", packed(&vec![0; bytes]));
    let hidden = |start: &[u8]| [start, &packed(&vec![0; 100 * MIB])].concat();
    let grey = [8, 0, 0, 0, 0];
    vec![
        (
            "2896 x 2896 in colour",
            png(2896, 2896, [8, 6, 0, 0, 0], &[zeros(2896 * (4 * 2896 + 1))]),
            true,
        ),
        ("2000 x 2000 of 16 bits", png(2000, 2000, [16, 6, 0, 0, 0], &[zeros(2000 * 16001)]), true),
        ("5792 x 5792 in grey", png(5792, 5792, grey, &[zeros(5792 * 5793)]), true),
        ("60000 x 60000", png(60000, 60000, grey, &[zeros(MIB)]), false),
        ("5000 x 5000, interlaced", png(5000, 5000, [16, 6, 0, 0, 1], &[zeros(MIB)]), false),
        ("2^25 in a row", png(1 << 25, 1, [16, 6, 0, 0, 0], &[zeros(MIB)]), false),
        ("a bomb behind the pixels", png(8, 8, grey, &[zeros(100 * MIB)]), true),
        ("a bomb of text", png(8, 8, grey, &[(b"zTXt", hidden(b"a\0\0")), zeros(72)]), true),
        ("a bomb of a profile", png(8, 8, grey, &[(b"iCCP", hidden(b"a\0\0")), zeros(72)]), true),
        ("16 MiB of text", png(8, 8, grey, &[(b"tEXt", vec![b'a'; 16 * MIB]), zeros(72)]), true),
    ]
}

/// A picture of the tests with other bytes at a place.
fn patched(name: &str, at: usize, new: &[u8]) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures");
    let mut file = std::fs::read(folder.join(name)).expect(name);
    file[at..at + new.len()].copy_from_slice(new);
    file
}

/// A JPEG whose header says that it is larger than it is.
fn jpeg(name: &str, side: u16) -> Vec<u8> {
    let file = patched(name, 0, &[]);
    let at = file.windows(2).position(|two| matches!(two, [0xff, 0xc0 | 0xc2])).expect("a frame");
    patched(name, at + 5, &[side.to_be_bytes(), side.to_be_bytes()].concat())
}

/// A TIFF of one strip of grey bytes.
fn tiff(width: u32, height: u32, strip: &[u8]) -> Vec<u8> {
    let (short, long) = (3_u16, 4_u16);
    let entries = [
        (256_u16, long, width),
        (257, long, height),
        (258, short, 8),
        (259, short, 1),
        (262, short, 1),
        (273, long, 8 + 2 + 8 * 12 + 4),
        (278, long, height),
        (279, long, strip.len() as u32),
    ];
    let mut file = b"II*\0\x08\0\0\0\x08\0".to_vec();
    for (tag, kind, value) in entries {
        file.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        file.extend([1_u32.to_le_bytes(), value.to_le_bytes()].concat());
    }
    [file.as_slice(), &[0; 4], strip].concat()
}

/// A WebP with other sides: 14 bits each, less one, the width first.
fn webp(name: &str, bits: [u8; 3]) -> Vec<u8> {
    patched(name, 21, &bits)
}

/// Pictures of other kinds that say more than they have, or have much.
pub(super) fn paintings() -> Vec<File> {
    let grey = vec![7; 30 * MIB];
    let pnm = |text: &str, body: &[u8]| [text.as_bytes(), body].concat();
    let side = 3000_u32.to_le_bytes();
    let gif = |side: u16| patched("l8.gif", 6, &[side.to_le_bytes(), side.to_le_bytes()].concat());
    vec![
        ("JPEG, 65535 x 65535", jpeg("rgb444.jpg", 65535), false),
        ("JPEG, 3000 x 3000", jpeg("rgb444.jpg", 3000), false),
        ("JPEG, progressive, 2200 x 2200", jpeg("progressive.jpg", 2200), false),
        ("JPEG, progressive, 3000 x 3000", jpeg("progressive.jpg", 3000), false),
        ("JPEG, CMYK, 3000 x 3000", jpeg("cmyk.jpg", 3000), false),
        ("JPEG, turned, 3000 x 3000", jpeg("turned6.jpg", 3000), false),
        ("WebP, 16383 wide", webp("lossless.webp", [0xfe, 0xbf, 0xff]), false),
        ("WebP, 2500 x 2400", webp("lossless.webp", [0xc3, 0xc9, 0x57]), false),
        ("BMP, 60000 x 60000", patched("rgb.bmp", 18, &[96, 234, 0, 0, 96, 234, 0, 0]), false),
        ("BMP, 3000 x 3000", patched("rgb.bmp", 18, &[side, side].concat()), false),
        ("TIFF, 30 MiB", tiff(6144, 5120, &grey), true),
        ("TIFF, 60000 x 60000", tiff(60000, 60000, &[7; 99]), false),
        ("TIFF, 4000 x 4000", tiff(4000, 4000, &[7; 99]), false),
        ("PGM, 30 MiB", pnm("P5 6144 5120 255\n", &grey), true),
        ("PGM, 4000 x 4000", pnm("P5 4000 4000 255\n", &[7; 99]), false),
        ("PGM, 2^31 x 2^31", pnm("P5 2147483648 2147483648 255\n", &[7; 99]), false),
        ("PPM, endless words", pnm("P3 9 9 255\n", &b"0".repeat(16 * MIB)), false),
        ("PAM, an endless comment", pnm("P7\n#", &b"#".repeat(16 * MIB)), false),
        ("GIF, 65535 x 65535", gif(65535), false),
        ("GIF, 1800 x 1800", gif(1800), true),
    ]
}
