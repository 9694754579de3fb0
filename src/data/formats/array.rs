//! Arrays that other formats hold, read as NumPy's own: as if `numpy.save` had written them.
#![warn(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::{DataConfig, Layout};
use crate::data::formats::npy;
use crate::data::labels::Labels;
use crate::data::raw::Raw;
use crate::data::source::Ask;
use crate::data::stored::Space;
use crate::error::Result;

/// Reads the stream of a `.npy`, of so many bytes, which are there or only promised.
pub(super) type Reader<T, C> = fn(&Path, &mut dyn Read, (u64, bool), C) -> Result<T>;

/// Numbers of one type in a shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array<'a> {
    /// How errors name it.
    pub(super) path: PathBuf,
    /// The type of the values in NumPy's words, such as `<f4`.
    pub(super) descr: String,
    /// Whether the first axis is the one whose values lie side by side.
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
    pub(super) data: Cow<'a, [u8]>,
}

impl Array<'_> {
    /// What stands before the values in a `.npy`.
    fn header(&self) -> Vec<u8> {
        let fortran = if self.fortran { "True" } else { "False" };
        let sizes: String = self.shape.iter().map(|size| format!("{size},")).collect();
        let descr = &self.descr;
        let text = format!("{{'descr':'{descr}','fortran_order':{fortran},'shape':({sizes})}}\n");
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
        [&npy::MAGIC, [2, 0].as_slice(), &len, text.as_bytes()].concat()
    }

    /// Hands the array on as the stream of a `.npy`.
    fn stream<T, C>(&self, read: Reader<T, C>, config: C) -> Result<T> {
        let header = self.header();
        let len = (header.len() as u64).saturating_add(self.data.len() as u64);
        read(&self.path, &mut header.chain(&*self.data), (len, true), config)
    }

    /// The images of the array, as [`npy::read`] finds them.
    pub(super) fn images(&self, config: &DataConfig) -> Result<Raw> {
        self.stream(npy::read_stream, Ask { config, space: &Space::default() })
    }

    /// The same of values that come as a stream of so many bytes, which are there or only promised.
    pub(super) fn images_of(
        &self,
        from: &mut dyn Read,
        (bytes, stored): (u64, bool),
        ask: Ask<'_>,
    ) -> Result<Raw> {
        let header = self.header();
        let len = (header.len() as u64).saturating_add(bytes);
        npy::read_stream(&self.path, &mut header.chain(from), (len, stored), ask)
    }

    /// The classes of the array; in their place, why they are none.
    pub(super) fn labels(&self) -> Result<std::result::Result<Labels, String>> {
        self.stream(npy::read_labels, ())
    }

    /// The number of values, if they can be counted.
    pub(super) fn len(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |len, &size| len.checked_mul(size))
    }
}

/// Where the images lie, as far as it is told by the number of classes and by the shape of other images, which
/// has the same pixels.
pub(super) fn layout_told(
    shape: &[usize],
    labels: Option<usize>,
    other: Option<&[usize]>,
) -> Option<Layout> {
    let (&[first, ..], &[.., last]) = (shape, shape) else { return None };
    let by = |first: bool, last: bool| match (first, last) {
        (true, false) => Some(Layout::Nhwc),
        (false, true) => Some(Layout::Hwn),
        _ => None,
    };
    let told = labels.and_then(|count| by(first == count, last == count));
    let of_pixels = |other: &[usize]| {
        let (&[a, ..], &[.., z]) = (other, other) else { return None };
        by(last == z && first != a, first == a && last != z)
    };
    told.or_else(|| other.and_then(of_pixels))
}

/// The pixels of an image whose channels lie one behind the other, with the channels of each side by side; if
/// `columns`, the pixels lie column by column.
pub(super) fn interleaved(
    planes: &[u8],
    [height, width, channels]: [usize; 3],
    columns: bool,
    into: &mut Vec<u8>,
) {
    let plane = height.saturating_mul(width);
    for y in 0..height {
        for x in 0..width {
            let at = match columns {
                true => x.saturating_mul(height).saturating_add(y),
                false => y.saturating_mul(width).saturating_add(x),
            };
            let channel = |c: usize| planes.get(c.saturating_mul(plane).saturating_add(at));
            into.extend((0..channels).map(|c| channel(c).copied().unwrap_or_default()));
        }
    }
}
