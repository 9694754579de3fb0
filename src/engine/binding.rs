//! How a kernel uses its tensors.

use crate::engine::tensor::Dtype;

/// How a kernel uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only read.
    Read,
    /// Written, and perhaps read.
    Write,
}

/// What a kernel sees in a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Floats, as `f32` or `vec4<f32>`.
    Floats,
    /// Words, as `u32` or `vec4<u32>`.
    Words,
    /// Floats that the shader reads as `u32`: WGSL lets a compiler assume that no float is NaN, so
    /// a test for one is only sound on the bits.
    Bits,
}

impl Data {
    /// The element type of a tensor that may be bound here.
    #[must_use]
    pub fn dtype(self) -> Dtype {
        match self {
            Self::Floats | Self::Bits => Dtype::F32,
            Self::Words => Dtype::U32,
        }
    }
}

/// One storage binding of a kernel, in group 0; its number is its position plus one, 0 being the
/// parameters. Group 1 is the step's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The variable's name in the shader.
    pub name: &'static str,
    /// How it is used.
    pub access: Access,
    /// What is in it.
    pub data: Data,
    /// Whether it is written by adding bits to words alone, so that those who do need not wait for
    /// one another.
    pub joins: bool,
    /// Whether what is written is all of it, the padding too.
    pub whole: bool,
}

impl Binding {
    /// Floats that are read.
    #[must_use]
    pub const fn read(name: &'static str) -> Self {
        Self { name, access: Access::Read, data: Data::Floats, joins: false, whole: false }
    }

    /// Floats that are written, all of them.
    #[must_use]
    pub const fn write(name: &'static str) -> Self {
        Self { access: Access::Write, whole: true, ..Self::read(name) }
    }

    /// Floats that are written, but for the padding.
    #[must_use]
    pub const fn write_within(name: &'static str) -> Self {
        Self { access: Access::Write, ..Self::read(name) }
    }

    /// Words that are read.
    #[must_use]
    pub const fn read_words(name: &'static str) -> Self {
        Self { data: Data::Words, ..Self::read(name) }
    }

    /// Words that are written.
    #[must_use]
    pub const fn write_words(name: &'static str) -> Self {
        Self { access: Access::Write, ..Self::read_words(name) }
    }

    /// Words that bits are added to, for a later dispatch that asks.
    #[must_use]
    pub const fn flags(name: &'static str) -> Self {
        Self { joins: true, ..Self::write_words(name) }
    }

    /// Floats whose bits are read.
    #[must_use]
    pub const fn read_bits(name: &'static str) -> Self {
        Self { data: Data::Bits, ..Self::read(name) }
    }
}
