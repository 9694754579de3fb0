//! One picture: its samples as they stand in a file of any kind, upright.
#![warn(clippy::arithmetic_side_effects)]

use std::fmt::Display;
use std::io::Cursor;
use std::path::Path;

use image::codecs::gif::GifDecoder;
use image::metadata::Orientation;
use image::{AnimationDecoder, ExtendedColorType, ImageDecoder, ImageError};
use png::{ColorType, DecodingError, Transformations};
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::containers;
use super::kinds::Format;
use super::names::known_as;
use super::samples::{self, Samples};
use crate::config::ImageSize;
use crate::error::{Error, Result};

/// So many bytes at the start of a file tell which kind of picture it is.
pub(super) const LOOKED_AT: usize = 32;

/// A picture may have so many bytes of samples with all its channels: 2896 × 2896 in colour with alpha,
/// 5792 × 5792 in grey. Twice the bytes of its file are added, so that photographs of a telephone are
/// read, which are scaled down then.
const MOST_BYTES: u64 = 32 << 20;

/// What a decoder may need in all, to which twice the file is added too.
const MOST_ROOM: u64 = 56 << 20;

/// The most bytes of what is not pixels, such as profiles.
const MOST_ELSE: usize = 8 << 20;

pub(super) const BROKEN: &str =
    "the file may be damaged or half copied: fetch it again, or move it out of the folder";

const SMALLER: &str = "scale the pictures down: each pixel is an input of the model";

/// A picture as it is in a file, turned upright. Its alpha is not applied.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decoded {
    pub(super) size: ImageSize,
    pub(super) samples: Samples,
    pub(super) was: Was,
}

/// What a picture was before it was read, as far as something was done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Was {
    /// The kind of the file.
    pub format: Format,
    /// It lay on a side, or was mirrored, and said so.
    pub turned: bool,
    /// It was for print: cyan, magenta, yellow and black.
    pub cmyk: bool,
    /// Its pixels were numbers of a palette.
    pub palette: bool,
    /// There are more frames or pages behind it.
    pub more: bool,
}

impl Was {
    fn of(format: Format) -> Self {
        Self { format, turned: false, cmyk: false, palette: false, more: false }
    }
}

/// Reads a picture by its content.
pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Decoded> {
    let start = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let Some(format) = Format::of(start) else {
        let what = match known_as(start) {
            _ if start.is_empty() => "is empty, expected a picture".to_owned(),
            Some(known) => format!("is {known}, which is not read"),
            None => {
                let start = start.get(..8).unwrap_or(start).escape_ascii();
                format!("starts with \"{start}\", as no picture does that is read")
            }
        };
        return Err(Error::data(path, what).hint(BROKEN));
    };
    let (mut decoded, orientation) = match format {
        Format::Png => png(path, bytes, false)?,
        Format::Jpeg => jpeg(path, bytes)?,
        _ => other(path, bytes, format)?,
    };
    if orientation != Orientation::NoTransforms {
        decoded.was.turned = true;
        let room = Room::of(path, bytes, format);
        room.check(decoded.size, decoded.samples.bytes_each(), 2)?;
        samples::turn(path, &mut decoded.size, &mut decoded.samples, orientation.to_exif())?;
    }
    Ok(decoded)
}

/// What a file of some length may need.
#[derive(Clone, Copy)]
struct Room<'a> {
    path: &'a Path,
    len: u64,
    format: Format,
}

impl<'a> Room<'a> {
    fn of(path: &'a Path, bytes: &[u8], format: Format) -> Self {
        Self { path, len: bytes.len() as u64, format }
    }

    /// Refuses pictures that are too large, if a decoder needs `factor` times their samples.
    fn check(&self, size: ImageSize, each: u64, factor: u64) -> Result<()> {
        let extra = self.len.saturating_mul(2);
        let bytes = [size.width, size.channels]
            .iter()
            .fold(each.saturating_mul(size.height as u64), |bytes, &side| {
                bytes.saturating_mul(side as u64)
            });
        let most = MOST_BYTES.min(MOST_ROOM.checked_div(factor).unwrap_or_default());
        let most = most.saturating_add(extra.checked_div(factor).unwrap_or_default());
        if bytes <= most {
            return Ok(());
        }
        let what = format!(
            "is a picture of {} x {}, expected at most {most} bytes of pixels in a {} of {} bytes",
            size.width, size.height, self.format, self.len
        );
        Err(Error::data(self.path, what).hint(SMALLER))
    }

    /// The size of a picture and whether its samples have 16 bits, if there is room for it.
    fn begin(&self, decoder: &mut impl ImageDecoder, factor: u64) -> Result<(ImageSize, bool)> {
        let (width, height) = decoder.dimensions();
        let color = decoder.color_type();
        let channels = usize::from(color.channel_count());
        let size = ImageSize { height: height as usize, width: width as usize, channels };
        if size.is_empty() {
            return Err(self.broken("it has no pixels"));
        }
        let each = u64::from(color.bytes_per_pixel()).checked_div(channels as u64);
        let wide = match each {
            Some(1) => false,
            Some(2) => true,
            _ => return Err(self.broken("its samples are floats")),
        };
        self.check(size, if wide { 2 } else { 1 }, factor)?;
        let mut limits = image::Limits::no_limits();
        limits.max_alloc = Some(MOST_ROOM.saturating_add(self.len.saturating_mul(2)));
        decoder.set_limits(limits).map_err(|error| self.refused(error))?;
        Ok((size, wide))
    }

    fn refused(&self, error: ImageError) -> Error {
        match error {
            ImageError::Limits(_) => self.broken("it needs more memory than such a file should"),
            error => self.broken(error),
        }
    }

    fn broken(&self, error: impl Display) -> Error {
        // A decoder's text has a place in it, but no file, and may quote one.
        let text: String = error.to_string().chars().take(200).collect();
        let what = format!("cannot be read as a {}: {}", self.format, shown(&text));
        Error::data(self.path, what).hint(BROKEN)
    }
}

/// Text from a file without what would move a terminal's cursor.
pub(super) fn shown(text: &str) -> String {
    let one = |c: char| match c.is_control() {
        true => c.escape_debug().to_string(),
        false => c.to_string(),
    };
    text.chars().map(one).collect()
}

/// Of a PNG, with all its depth or with 8 bits.
pub(super) fn png(path: &Path, bytes: &[u8], strip: bool) -> Result<(Decoded, Orientation)> {
    let room = Room::of(path, bytes, Format::Png);
    let broken = |error: DecodingError| match error {
        DecodingError::LimitsExceeded => room.broken("it is larger than is read"),
        error => room.broken(error),
    };
    let limits = png::Limits { bytes: MOST_ELSE };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let depth = if strip { Transformations::STRIP_16 } else { Transformations::IDENTITY };
    decoder.set_transformations(Transformations::EXPAND | depth);
    let info = decoder.read_header_info().map_err(broken)?;
    let size: ImageSize = [info.height as usize, info.width as usize].into();
    // One channel of a byte is the least there can be; rows are made room for next.
    room.check(size, 1, 1)?;
    let mut reader = decoder.read_info().map_err(broken)?;
    // The reader would panic at a part of a colour.
    let palette = reader.info().palette.as_ref().map_or(3, |palette| palette.len());
    if palette == 0 || palette > 768 || !palette.is_multiple_of(3) {
        let what = format!("has a palette of {palette} bytes, expected 3 for each of 256 or fewer");
        return Err(Error::data(path, what).hint(BROKEN));
    }
    let (color, depth) = reader.output_color_type();
    let size = ImageSize { channels: color.samples(), ..size };
    let wide = depth == png::BitDepth::Sixteen;
    room.check(size, if wide { 2 } else { 1 }, 1)?;
    let mut samples = Samples::zeros(path, size, wide)?;
    reader.next_frame(samples.as_bytes_mut()).map_err(broken)?;
    if let Samples::Words(words) = &mut samples {
        words.iter_mut().for_each(|word| *word = u16::from_be(*word));
    }
    // To its end, where a part of a file that was cut would be missing.
    reader.finish().map_err(broken)?;
    let info = reader.info();
    let frames = info.animation_control.map_or(0, |control| control.num_frames);
    let was = Was {
        palette: info.color_type == ColorType::Indexed,
        more: frames > 1,
        ..Was::of(Format::Png)
    };
    let exif = info.exif_metadata.as_deref();
    let orientation = exif.and_then(Orientation::from_exif_chunk);
    Ok((Decoded { size, samples, was }, orientation.unwrap_or(Orientation::NoTransforms)))
}

/// Of a JPEG, which must be whole: by default its decoder paints what is missing grey.
fn jpeg(path: &Path, bytes: &[u8]) -> Result<(Decoded, Orientation)> {
    let room = Room::of(path, bytes, Format::Jpeg);
    if !containers::jpeg_ends(bytes) {
        return Err(room.broken("it ends before its pixels do"));
    }
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX);
    let broken = |error| room.broken(error);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(broken)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let space = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
    let (out, channels) = match space {
        ColorSpace::Luma => (ColorSpace::Luma, 1),
        ColorSpace::YCbCr | ColorSpace::RGB | ColorSpace::CMYK | ColorSpace::YCCK => {
            (ColorSpace::RGB, 3)
        }
        other => return Err(room.broken(format_args!("its colours are {other:?}"))),
    };
    let size = ImageSize { height, width, channels };
    // Coefficients of 16 bits are kept where several scans refine them. A block of 8 × 8 takes two bits, or
    // one in the first of several scans: where there are less, the decoder would paint grey.
    let (factor, most) = if containers::jpeg_is_one_scan(bytes) { (1, 256) } else { (4, 512) };
    room.check(size, 1, factor)?;
    if height.saturating_mul(width) > bytes.len().saturating_mul(most) {
        return Err(room.broken(format_args!("it is too short for {width} x {height} pixels")));
    }
    decoder.set_options(options.jpeg_set_out_colorspace(out));
    let mut samples = Samples::zeros(path, size, false)?;
    decoder.decode_into(samples.as_bytes_mut()).map_err(broken)?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let cmyk = matches!(space, ColorSpace::CMYK | ColorSpace::YCCK);
    let was = Was { cmyk, ..Was::of(Format::Jpeg) };
    Ok((Decoded { size, samples, was }, orientation.unwrap_or(Orientation::NoTransforms)))
}

/// Of the kinds that `image` reads.
fn other(path: &Path, bytes: &[u8], format: Format) -> Result<(Decoded, Orientation)> {
    use image::codecs::{bmp::BmpDecoder, pnm::PnmDecoder, tiff::TiffDecoder, webp::WebPDecoder};
    let room = Room::of(path, bytes, format);
    let broken = |error| room.refused(error);
    let (from, mut was) = (Cursor::new(bytes), Was::of(format));
    match format {
        Format::WebP => {
            if !containers::webp_is_whole(bytes) {
                return Err(room.broken("it ends before its parts do"));
            }
            let decoder = WebPDecoder::new(from).map_err(broken)?;
            was.more = decoder.has_animation();
            read(room, decoder, was, 3)
        }
        Format::Bmp => read(room, BmpDecoder::new(from).map_err(broken)?, was, 1),
        Format::Tiff => {
            if !containers::tiff_texts_fit(bytes) {
                return Err(room.broken("a text of it would be longer than the file"));
            }
            was.more = containers::tiff_has_more(bytes);
            let decoder = TiffDecoder::new(from).map_err(broken)?;
            let color = decoder.original_color_type();
            was.cmyk = matches!(color, ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16);
            read(room, decoder, was, 3)
        }
        Format::Gif => gif(room, GifDecoder::new(from).map_err(broken)?, was),
        _ => read(room, PnmDecoder::new(from).map_err(broken)?, was, 2),
    }
}

/// What a decoder has, if it needs no more than `factor` times the samples.
fn read(
    room: Room<'_>,
    mut decoder: impl ImageDecoder,
    was: Was,
    factor: u64,
) -> Result<(Decoded, Orientation)> {
    let broken = |error| room.refused(error);
    let (size, wide) = room.begin(&mut decoder, factor)?;
    // What is wrong with it is no reason to leave a picture that can be read.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut samples = Samples::zeros(room.path, size, wide)?;
    decoder.read_image(samples.as_bytes_mut()).map_err(broken)?;
    Ok((Decoded { size, samples, was }, orientation))
}

/// The first frame on its canvas; a second one is looked for.
fn gif(
    room: Room<'_>,
    mut decoder: GifDecoder<Cursor<&[u8]>>,
    was: Was,
) -> Result<(Decoded, Orientation)> {
    let broken = |error| room.refused(error);
    let (size, _) = room.begin(&mut decoder, 4)?;
    let mut frames = decoder.into_frames();
    let first = frames.next().ok_or_else(|| room.broken("it has no frame"))?;
    let samples = Samples::Bytes(first.map_err(broken)?.into_buffer().into_raw());
    let more = frames.next().transpose().map_err(broken)?.is_some();
    let decoded = Decoded { size, samples, was: Was { more, ..was } };
    Ok((decoded, Orientation::NoTransforms))
}
