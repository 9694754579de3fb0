//! Mutations of pictures.

use elbo::data::formats::pictures;

use super::*;

fn png_files() -> Vec<Vec<u8>> {
    use png::{BitDepth, ColorType};
    let forms = [
        (ColorType::Grayscale, BitDepth::One),
        (ColorType::Grayscale, BitDepth::Eight),
        (ColorType::GrayscaleAlpha, BitDepth::Sixteen),
        (ColorType::Rgb, BitDepth::Eight),
        (ColorType::Rgba, BitDepth::Sixteen),
        (ColorType::Indexed, BitDepth::Two),
        (ColorType::Indexed, BitDepth::Eight),
    ];
    let draw = |(color, depth): (ColorType, BitDepth)| {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 5, 3);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette([7; 12].as_slice());
            encoder.set_trns([0, 9, 255].as_slice());
        }
        let mut writer = encoder.write_header().expect("a header");
        let row = (5 * color.samples() * depth as usize).div_ceil(8);
        let pixels: Vec<u8> = (0..3 * row).map(|i| (i * 37 % 4) as u8).collect();
        writer.write_image_data(&pixels).expect("a picture");
        writer.finish().expect("an end");
        file
    };
    forms.map(draw).to_vec()
}

/// The same chunks with the checksums that they should have, as far as there are whole ones.
fn summed(mut file: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while let Some(len) = file.get(at..).and_then(|rest| rest.first_chunk()) {
        let end = (at + 8).saturating_add(u32::from_be_bytes(*len) as usize);
        let Some(body) = file.get(at + 4..end) else { break };
        let mut crc = flate2::Crc::new();
        crc.update(body);
        let Some(sum) = file.get_mut(end..end + 4) else { break };
        sum.copy_from_slice(&crc.sum().to_be_bytes());
        at = end + 4;
    }
    file
}

#[test]
fn pictures_are_read_or_refused() {
    mutations("png", &png_files(), as_it_is, pictures::from_bytes, picture_holds);
    let read = pictures::from_bytes;
    mutations("png, summed", &png_files(), |file, _| summed(file), read, picture_holds);
}

fn picture_holds(picture: &pictures::Picture) -> bool {
    let len = match &picture.samples {
        pictures::Samples::Bytes(samples) => samples.len(),
        pictures::Samples::Words(samples) => samples.len(),
    };
    picture.size.checked_len() == Some(len) && picture.size.channels <= 4
}

/// Mutations of the pictures of a kind that lie with the tests.
fn pictures_of(endings: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures");
    let entries = std::fs::read_dir(folder).expect("the fixtures");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| endings.iter().any(|&end| path.extension().is_some_and(|e| e == end)));
    paths.sort();
    let files: Vec<_> = paths.iter().map(|path| std::fs::read(path).expect("a fixture")).collect();
    mutations(endings[0], &files, as_it_is, pictures::from_bytes, picture_holds);
}

#[test]
fn jpeg_pictures_are_read_or_refused() {
    pictures_of(&["jpg"]);
}

#[test]
fn webp_pictures_are_read_or_refused() {
    pictures_of(&["webp"]);
}

#[test]
fn tiff_pictures_are_read_or_refused() {
    pictures_of(&["tif"]);
}

#[test]
fn simple_pictures_are_read_or_refused() {
    pictures_of(&["bmp"]);
    pictures_of(&["gif"]);
    pictures_of(&["pgm", "ppm", "pbm"]);
}
