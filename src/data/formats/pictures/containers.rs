//! What decoders do not say of a file: whether it is whole, and whether there is more in it than one
//! picture.
#![warn(clippy::arithmetic_side_effects)]

/// A marker of a JPEG, with what is in its segment, and what lies behind it.
struct Segment<'a> {
    marker: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

/// The next segment, or none where the file ends before it does.
fn segment(bytes: &[u8]) -> Option<Segment<'_>> {
    let at = bytes.windows(2).position(|two| two[0] == 0xff && !matches!(two[1], 0 | 0xff))?;
    let marker = bytes.get(at.saturating_add(1)).copied()?;
    let rest = bytes.get(at.saturating_add(2)..)?;
    // These have none: start, end, restarts.
    if matches!(marker, 1 | 0xd0..=0xd9) {
        return Some(Segment { marker, content: &[], rest });
    }
    let len = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
    Some(Segment { marker, content: rest.get(2..len)?, rest: rest.get(len..)? })
}

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;

/// Whether a JPEG has its end: not that of a thumbnail inside a segment.
pub(super) fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(segment) = segment(rest) {
        if segment.marker == END_OF_IMAGE {
            return true;
        }
        rest = segment.rest;
    }
    false
}

/// Whether a JPEG has all its pixels in one scan, one after another.
pub(super) fn jpeg_is_one_scan(bytes: &[u8]) -> bool {
    let (mut rest, mut channels) = (bytes, None);
    while let Some(segment) = segment(rest) {
        match segment.marker {
            0xc0 | 0xc1 => channels = segment.content.get(5).copied(),
            START_OF_SCAN => {
                return channels.is_some() && segment.content.first() == channels.as_ref();
            }
            _ => {}
        }
        rest = segment.rest;
    }
    false
}

/// Whether all chunks of a WebP are there.
pub(super) fn webp_is_whole(bytes: &[u8]) -> bool {
    let length = |at: &[u8]| at.get(4..8).and_then(|four| four.first_chunk()).copied();
    let Some(all) = length(bytes).map(u32::from_le_bytes) else { return false };
    let end = (all as usize).saturating_add(8);
    let Some(mut rest) = bytes.get(12..end) else { return false };
    // What is too short for a chunk is padding.
    while let Some(len) = length(rest).map(u32::from_le_bytes) {
        let Some(behind) = rest.get((len as usize).saturating_add(8)..) else { return false };
        rest = behind.get((len & 1) as usize..).unwrap_or_default();
    }
    true
}

/// Whether a TIFF has a second page.
pub(super) fn tiff_has_more(bytes: &[u8]) -> bool {
    next_page(bytes).is_some_and(|place| place != 0)
}

fn next_page(bytes: &[u8]) -> Option<u64> {
    let little = bytes.first() == Some(&b'I');
    let big = bytes.get(2..4).is_some_and(|two| two.contains(&43));
    let number = |at: u64, len: u64| {
        let at = usize::try_from(at).ok()?;
        let bytes = bytes.get(at..at.checked_add(len as usize)?)?;
        let join = |all: u64, &byte: &u8| all << 8 | u64::from(byte);
        Some(match little {
            true => bytes.iter().rev().fold(0, join),
            false => bytes.iter().fold(0, join),
        })
    };
    // Offsets and counts are of 32 and 16 bits, and all of 64 in a large file.
    let (offset, count, entry) = if big { (8, 8, 20_u64) } else { (4, 2, 12) };
    let page = number(if big { 8 } else { 4 }, offset)?;
    let entries = number(page, count)?;
    number(page.checked_add(count)?.checked_add(entries.checked_mul(entry)?)?, offset)
}
