//! The order of a convolution's weight in memory and in files.

/// What the columns of a convolution's weight are. In memory a row, which is an output, has its numbers tap by tap, the
/// channels under each padded with zeros to a multiple of four; in files it has them channel by channel, without padding, as
/// `PyTorch` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taps {
    /// Lines of a window, and places of a line.
    pub kernel: [usize; 2],
    /// Channels under each tap.
    pub channels: usize,
}

impl Taps {
    /// Taps of a window.
    #[must_use]
    pub fn count(self) -> usize {
        self.kernel[0].saturating_mul(self.kernel[1])
    }

    /// Numbers of a row, without padding.
    #[must_use]
    pub fn numbers(self) -> usize {
        self.count().saturating_mul(self.channels)
    }

    /// Columns of a row in memory.
    #[must_use]
    pub fn columns(self) -> usize {
        self.count().saturating_mul(self.padded())
    }

    /// Columns of a tap.
    fn padded(self) -> usize {
        self.channels.saturating_add(3) / 4 * 4
    }

    /// Rows as they stand in a file, of rows in memory.
    #[must_use]
    pub fn to_file<T: Copy>(self, rows: &[T]) -> Vec<T> {
        let of_row = |row: &[T]| {
            let at = |i: usize| row[i % self.count() * self.padded() + i / self.count()];
            (0..self.numbers()).map(at).collect::<Vec<_>>()
        };
        rows.chunks(self.columns()).flat_map(of_row).collect()
    }

    /// Rows in memory, of rows as they stand in a file.
    #[must_use]
    pub fn from_file<T: Copy + Default>(self, rows: &[T]) -> Vec<T> {
        let of_row = |row: &[T]| {
            let mut made = vec![T::default(); self.columns()];
            for (i, &value) in row.iter().enumerate() {
                made[i % self.count() * self.padded() + i / self.count()] = value;
            }
            made
        };
        rows.chunks(self.numbers()).flat_map(of_row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_come_first_in_files_and_taps_in_memory() {
        let taps = Taps { kernel: [1, 2], channels: 3 };
        assert_eq!([taps.count(), taps.numbers(), taps.columns()], [2, 6, 8], "{taps:?}");
        let file: Vec<u32> = (1..=12).collect();
        let memory = [1, 3, 5, 0, 2, 4, 6, 0, 7, 9, 11, 0, 8, 10, 12, 0];
        assert_eq!(taps.from_file(&file), memory, "two outputs");
        assert_eq!(taps.to_file(&memory), file, "and back");
    }
}
