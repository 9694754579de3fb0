//! A way to run a kernel on a device: its WGSL, what that needs, and what a workgroup covers.

use crate::engine::plan::Grid;

/// What a schedule needs of the device beyond WebGPU's default limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it runs everywhere.
    Nothing,
    /// Workgroup memory of so many bytes, and so many invocations along the sides of a workgroup:
    /// no more than the default limits, but a host may have asked for less.
    Workgroup {
        /// Bytes of workgroup memory.
        bytes: u32,
        /// Invocations along the three sides.
        sides: [u32; 3],
    },
    /// Subgroup operations, with exactly this many lanes in every subgroup, and words of 64 bits.
    Subgroups(u32),
    /// Arithmetic in f16.
    F16,
    /// Cooperative matrices with operands in f16 and sums in f32.
    Matrices {
        /// Rows, columns and terms of one.
        size: u32,
        /// Lanes in every subgroup, exactly.
        lanes: u32,
    },
}

/// Where a schedule that can run is worth choosing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suits {
    /// Wherever it can run.
    All,
    /// Hardware, where workgroup memory is faster than a buffer, for grids of so many workgroups
    /// at least: fewer would leave most of a large device idle.
    Hardware {
        /// The fewest workgroups.
        groups: usize,
    },
    /// Where the user asked for mixed precision, and the device has passed a test of it.
    Mixed,
}

/// What one workgroup of a schedule covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// So many elements of a flat range.
    Items(usize),
    /// So many rows and columns of a matrix.
    Tile(usize, usize),
    /// One row.
    Row,
}

/// A part of a schedule's WGSL. WGSL's module scope has no order, so parts may call one another.
#[derive(Clone, Copy, Debug)]
pub enum Wgsl {
    /// A file's text.
    Text(&'static str),
    /// What a function writes.
    Written(fn() -> String),
}

/// One way to run a kernel on a device. All schedules of a kernel pass the same cases.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The name that `selftest` and the benches print.
    pub name: &'static str,
    /// The WGSL in parts, complete.
    pub source: &'static [Wgsl],
    /// What it needs of the device.
    pub needs: Needs,
    /// Where it is worth choosing.
    pub suits: Suits,
    /// What one workgroup covers.
    pub cover: Cover,
}

/// The most workgroups along one side of a grid (WebGPU's default limit).
pub const MAX_GROUPS: usize = 65_535;

impl Schedule {
    /// The WGSL, complete.
    #[must_use]
    pub fn wgsl(&self) -> String {
        let parts = self.source.iter().map(|part| match part {
            Wgsl::Text(text) => (*text).to_owned(),
            Wgsl::Written(write) => write(),
        });
        parts.collect::<Vec<_>>().join("\n")
    }

    /// The workgroups for a grid, counted in one line, which is folded into two sides where it is too
    /// long for one. So there may be a few more than the grid needs.
    ///
    /// # Panics
    ///
    /// If the grid is not of the kind the schedule covers, or too large even for two sides: both are
    /// faults of the function that recorded the dispatch.
    #[must_use]
    pub fn groups(&self, grid: Grid) -> [u32; 3] {
        let count = match (grid, self.cover) {
            (Grid::Flat(len), Cover::Items(each)) => len.div_ceil(each).max(1),
            (Grid::Rows(rows), Cover::Row) => rows.max(1),
            (Grid::Matrix(rows, cols), Cover::Tile(tile_rows, tile_cols)) => {
                (rows.div_ceil(tile_rows) * cols.div_ceil(tile_cols)).max(1)
            }
            (grid, cover) => panic!("{}: a grid {grid:?} for a cover {cover:?}", self.name),
        };
        let folds = count.div_ceil(MAX_GROUPS);
        assert!(folds <= MAX_GROUPS, "{}: a grid of {count} workgroups", self.name);
        [count.div_ceil(folds) as u32, folds as u32, 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schedule without a source.
    fn covering(cover: Cover) -> Schedule {
        Schedule { name: "none", source: &[], needs: Needs::Nothing, suits: Suits::All, cover }
    }

    #[test]
    fn grids_that_are_too_long_for_one_side_are_folded() {
        let tiles = covering(Cover::Tile(32, 32));
        assert_eq!(tiles.groups(Grid::Matrix(33, 65)), [6, 1, 1]);
        // 65,536 tiles beside one another: images of 128 × 64 pixels with 256 levels.
        let wide = tiles.groups(Grid::Matrix(16, 128 * 64 * 256));
        assert_eq!(wide, [32_768, 2, 1]);
        let large = tiles.groups(Grid::Matrix(1 << 20, 1 << 20));
        let count = large.map(u64::from).iter().product::<u64>();
        assert!(large.iter().all(|&side| side as usize <= MAX_GROUPS), "{large:?}");
        assert!((1 << 30..(1 << 30) + MAX_GROUPS as u64).contains(&count), "{large:?}");
        assert_eq!(covering(Cover::Items(64)).groups(Grid::Flat(1)), [1, 1, 1]);
        assert_eq!(covering(Cover::Row).groups(Grid::Rows(65_537)), [32_769, 2, 1]);
    }
}
