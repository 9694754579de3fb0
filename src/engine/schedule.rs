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

/// One way to run a kernel on a device. All schedules of a kernel pass the same cases.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The name that `selftest` and the benches print.
    pub name: &'static str,
    /// The WGSL, complete.
    pub source: &'static str,
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
    /// The workgroups for a grid. A flat grid that is too long for one side is folded into two.
    ///
    /// # Panics
    ///
    /// If the grid is not of the kind the schedule covers, or a tiled one is too large: both are
    /// faults of the function that recorded the dispatch.
    #[must_use]
    pub fn groups(&self, grid: Grid) -> [u32; 3] {
        let count = match (grid, self.cover) {
            (Grid::Flat(len), Cover::Items(each)) => len.div_ceil(each).max(1),
            (Grid::Rows(rows), Cover::Row) => rows.max(1),
            (Grid::Matrix(rows, cols), Cover::Tile(tile_rows, tile_cols)) => {
                // Rows go first: tiles that follow one another share columns of B, which is the
                // larger operand.
                let groups = [rows.div_ceil(tile_rows), cols.div_ceil(tile_cols)];
                assert!(groups.iter().all(|&g| g <= MAX_GROUPS), "a grid of {groups:?} workgroups");
                return [groups[0] as u32, groups[1] as u32, 1];
            }
            (grid, cover) => panic!("{}: a grid {grid:?} for a cover {cover:?}", self.name),
        };
        let folds = count.div_ceil(MAX_GROUPS);
        [count.div_ceil(folds) as u32, folds as u32, 1]
    }
}
