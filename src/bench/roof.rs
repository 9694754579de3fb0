//! The least time that a kernel can take on a device, by its peaks: the roofline.
//!
//! Williams, Waterman and Patterson, Roofline: an insightful visual performance model (2009).

use crate::bench::{Figure, Peaks};

/// What a kernel waits for at the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Its multiply-adds.
    Arithmetic,
    /// The bytes that it reads and writes.
    Bandwidth,
}

impl Bound {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Arithmetic => "arithmetic",
            Self::Bandwidth => "bandwidth",
        }
    }
}

/// The time of a kernel in a step, of all its dispatches together, and what they do.
#[derive(Clone, Debug)]
pub struct KernelTime {
    /// The time in µs, under the kernel's name.
    pub figure: Figure,
    /// Floating-point operations of its products.
    pub flops: u64,
    /// Bytes that its dispatches bind, each binding once.
    pub bytes: u64,
}

impl KernelTime {
    /// What it waits for on a device of these peaks, and the part of its time which that takes at the
    /// least. More than one says that a cache held what it read, or that its products run on units that
    /// the probe of multiply-adds does not use.
    #[must_use]
    pub fn share(&self, peaks: &Peaks) -> (Bound, f64) {
        // Operations over GFLOP/s are nanoseconds, and so are bytes over GB/s.
        let arithmetic = self.flops as f64 / peaks.multiply_add().median();
        let bandwidth = self.bytes as f64 / peaks.copy().median();
        let bound = if arithmetic > bandwidth { Bound::Arithmetic } else { Bound::Bandwidth };
        (bound, arithmetic.max(bandwidth) / (1e3 * self.figure.median()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_time_binds() {
        let figure = |name: &str, value| Figure::new(name, "", vec![value]);
        let peaks = Peaks {
            figures: vec![figure("multiply-adds", 100.0), figure("copy", 10.0)],
            lacks: vec![],
        };
        let share =
            |flops, bytes| KernelTime { figure: figure("k", 40.0), flops, bytes }.share(&peaks);
        // 2,000,000 operations at 100 GFLOP/s take 20 µs; 100,000 bytes at 10 GB/s take 10 µs.
        assert_eq!(share(2_000_000, 100_000), (Bound::Arithmetic, 0.5));
        assert_eq!(share(500_000, 100_000), (Bound::Bandwidth, 0.25));
        assert_eq!(share(0, 800_000), (Bound::Bandwidth, 2.0), "from a cache");
    }
}
