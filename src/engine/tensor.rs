//! The handle of a tensor: a copyable name for a range of a buffer, with a shape.

/// Rows and columns of a matrix are padded to a multiple of this many elements.
///
/// It lets every product load vectors without a guard: 16 is the depth that the broadcast schedule
/// of the matrix product takes at once, and 64 bytes, so that rows start at whole cache lines.
pub const PAD: usize = 16;

/// What the elements of a buffer are; each takes four bytes on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// Floats: f32 on the device and in the CPU session, f64 in the oracle.
    F32,
    /// Unsigned words: packed bytes, counters, flags.
    U32,
}

/// Names one buffer of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub(crate) usize);

impl BufferId {
    /// The position of the buffer in [`Plan::buffers`](crate::engine::Plan::buffers).
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// A range of a buffer with a shape: free to copy and to keep in closures.
///
/// A matrix has `rows` × `cols` meaningful elements; its rows lie `stride` elements apart, and
/// both extents are padded to a multiple of [`PAD`]. Padding columns are always zero. Rows that a
/// minibatch does not fill may hold f(b) on the way forward; their losses and gradients are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tensor {
    pub(crate) buffer: BufferId,
    pub(crate) offset: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) stride: usize,
    pub(crate) words: usize,
    pub(crate) dtype: Dtype,
}

impl Tensor {
    pub(crate) fn matrix(buffer: BufferId, offset: usize, rows: usize, cols: usize) -> Self {
        let stride = cols.next_multiple_of(PAD);
        let words = rows.next_multiple_of(PAD) * stride;
        Self { buffer, offset, rows, cols, stride, words, dtype: Dtype::F32 }
    }

    pub(crate) fn vector(buffer: BufferId, offset: usize, len: usize, dtype: Dtype) -> Self {
        let words = len.next_multiple_of(PAD);
        Self { buffer, offset, rows: 1, cols: len, stride: words, words, dtype }
    }

    /// The first rows of a matrix, as a tensor of their own that can be read.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[must_use]
    pub fn first_rows(&self, rows: usize) -> Self {
        assert!(rows <= self.rows, "{rows} rows of {}", self.rows);
        Self { rows, words: rows * self.stride, ..*self }
    }

    /// The same, with its padding as if that were meant.
    #[must_use]
    pub fn with_padding(&self) -> Self {
        Self { rows: self.words / self.stride, cols: self.stride, ..*self }
    }

    /// A block of a matrix's rows, padding included, as a tensor of their own that can be read.
    ///
    /// # Panics
    ///
    /// If the block does not start and end at a multiple of [`PAD`], or lies outside.
    #[must_use]
    pub(crate) fn block(&self, rows: std::ops::Range<usize>) -> Self {
        let fits = rows.start < self.rows && rows.end <= self.padded_rows();
        let whole = rows.start.is_multiple_of(PAD) && rows.end.is_multiple_of(PAD);
        assert!(fits && whole, "rows {rows:?} of {} are no block", self.padded_rows());
        Self {
            offset: self.offset + rows.start * self.stride,
            rows: rows.end.min(self.rows) - rows.start,
            words: rows.len() * self.stride,
            ..*self
        }
    }

    /// The buffer this tensor is a range of.
    #[must_use]
    pub fn buffer(&self) -> BufferId {
        self.buffer
    }

    /// The number of rows; 1 for a vector.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of meaningful columns; the length of a vector.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The distance between two rows, in elements.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The number of rows with the padding.
    #[must_use]
    pub fn padded_rows(&self) -> usize {
        self.words / self.stride
    }

    /// The number of elements with the padding.
    #[must_use]
    pub fn words(&self) -> usize {
        self.words
    }

    /// What the elements are.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The elements of the buffer that belong to this tensor, padding included.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.words
    }
}

/// A size as the 32-bit number that WGSL counts in.
///
/// # Panics
///
/// If the size does not fit, which the judge of a model's shapes rules out.
#[must_use]
pub(crate) fn size(value: usize) -> u32 {
    u32::try_from(value).expect("sizes of tensors fit 32 bits; the configuration is checked first")
}
