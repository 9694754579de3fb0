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
    let next = Page::first(bytes).and_then(|page| page.number(page.end()?, page.offset));
    next.is_some_and(|place| place != 0)
}

/// Whether no text of a TIFF's first page is longer than the file. At such a text its decoder prints a line of
/// its own to stderr, before it refuses the file (tiff 0.11.3).
pub(super) fn tiff_texts_fit(bytes: &[u8]) -> bool {
    const TEXT: u64 = 2;
    let Some(page) = Page::first(bytes) else { return true };
    let too_long = |at: u64| {
        let kind = page.number(at.checked_add(2)?, 2)?;
        let len = page.number(at.checked_add(4)?, page.offset)?;
        Some(kind == TEXT && len > bytes.len() as u64)
    };
    let mut places = (0..page.count).map_while(|i| page.entry(i).filter(|&at| page.holds(at)));
    !places.any(|at| too_long(at) == Some(true))
}

/// The first page of a TIFF: a number of entries, and where the next one lies.
struct Page<'a> {
    bytes: &'a [u8],
    /// Bytes of an offset: 8 in a large file.
    offset: u64,
    /// Where its entries begin, and how many bytes each has.
    first: u64,
    each: u64,
    count: u64,
}

impl<'a> Page<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let big = bytes.get(2..4).is_some_and(|two| two.contains(&43));
        // Counts are of 16 bits, and of 64 in a large file.
        let (offset, count, each) = if big { (8, 8, 20) } else { (4, 2, 12) };
        let mut page = Self { bytes, offset, first: 0, each, count: 0 };
        let at = page.number(if big { 8 } else { 4 }, offset)?;
        page.count = page.number(at, count)?;
        page.first = at.checked_add(count)?;
        Some(page)
    }

    /// Where an entry begins.
    fn entry(&self, index: u64) -> Option<u64> {
        self.first.checked_add(index.checked_mul(self.each)?)
    }

    /// Where the entries end.
    fn end(&self) -> Option<u64> {
        self.entry(self.count)
    }

    fn holds(&self, at: u64) -> bool {
        at < self.bytes.len() as u64
    }

    /// A number of so many bytes.
    fn number(&self, at: u64, len: u64) -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let bytes = self.bytes.get(at..at.checked_add(len as usize)?)?;
        let join = |all: u64, &byte: &u8| all << 8 | u64::from(byte);
        Some(match self.bytes.first() == Some(&b'I') {
            true => bytes.iter().rev().fold(0, join),
            false => bytes.iter().fold(0, join),
        })
    }
}
