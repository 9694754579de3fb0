//! The GPU schedules of the products: what each is joined of, what it needs, and where it suits.
//!
//! A source is an entry of `shaders/matmul/`, the form of its product, a tile and how that loads, as
//! `product.wgsl` says. One tile is written by `broadcast`.

pub(super) mod broadcast;

use crate::engine::{Cover, Needs, Schedule, Suits};

/// The entry point of every product, which its tile has.
pub(super) const ENTRY: &str = "product";

/// Four subgroups of 8 lanes with cooperative matrices of 8 × 8.
pub(super) const MATRIX8: Schedule = Schedule {
    name: "matrix8",
    source: &[],
    needs: Needs::Matrices { size: 8, lanes: 8 },
    suits: Suits::Mixed,
    cover: Cover::Tile(32, 32),
};

/// Four subgroups of 32 lanes with cooperative matrices of 16 × 16.
pub(super) const MATRIX16: Schedule = Schedule {
    name: "matrix16",
    needs: Needs::Matrices { size: 16, lanes: 32 },
    cover: Cover::Tile(64, 64),
    ..MATRIX8
};

/// One subgroup of 8 lanes, of which each owns so many columns.
pub(super) const fn broadcast_of(columns: usize) -> Schedule {
    Schedule {
        name: "broadcast",
        needs: Needs::Subgroups(8),
        suits: Suits::All,
        cover: Cover::Tile(broadcast::ROWS, 8 * columns),
        ..MATRIX8
    }
}

/// 64 × 64 elements through workgroup memory.
pub(super) const WIDE: Schedule = Schedule {
    name: "wide",
    needs: Needs::Workgroup { bytes: 9 << 10, sides: [16, 16, 1] },
    suits: Suits::Hardware { groups: 128 },
    cover: Cover::Tile(64, 64),
    ..MATRIX8
};

/// 32 × 32 elements through workgroup memory by four slices, for results of few tiles.
pub(super) const DEEP: Schedule = Schedule {
    name: "deep",
    needs: Needs::Workgroup { bytes: 15 << 10, sides: [8, 8, 4] },
    suits: Suits::Hardware { groups: 0 },
    cover: Cover::Tile(32, 32),
    ..MATRIX8
};

/// 32 × 32 elements from vector loads. It needs nothing.
pub(super) const REGISTER: Schedule = Schedule {
    name: "register",
    needs: Needs::Nothing,
    suits: Suits::All,
    cover: Cover::Tile(32, 32),
    ..MATRIX8
};

/// A source: what must come first, what kernels and products share, the form and the entry, then the
/// tile. Files lie in `shaders/matmul/`.
macro_rules! joined {
    ([$($head:literal),*], $form:literal, [$($entry:literal),+], [$($tile:literal),+] $($written:path)?) => {
        &[
            $(shader!(concat!("matmul/", $head)),)*
            shader!("common.wgsl"),
            shader!("philox.wgsl"),
            shader!("matmul/product.wgsl"),
            shader!(concat!("matmul/", $form)),
            $(shader!(concat!("matmul/", $entry)),)+
            $(shader!(concat!("matmul/", $tile)),)+
            $($crate::engine::Wgsl::Written($written),)?
        ]
    };
}
pub(super) use joined;

/// The schedules of an entry, the best first: what its operands are, its form, and its files.
macro_rules! schedules {
    (Windows $form:ident: $($file:literal),+) => {
        schedules!(@ $form ["sizes.map.wgsl", "windows.wgsl", $($file),+])
    };
    ($form:ident: $($file:literal),+) => { schedules!(@ $form ["sizes.wgsl", $($file),+]) };
    (@ Nt $entry:tt) => { schedules!("form.nt.wgsl", nt, 4, $entry) };
    (@ Nn $entry:tt) => { schedules!("form.nn.wgsl", nn, 8, $entry) };
    // For results as narrow as z.
    (@ Narrow $entry:tt) => { schedules!("form.nn.wgsl", nn_narrow, 4, $entry) };
    (@ Tn $entry:tt) => { schedules!("form.tn.wgsl", tn, 8, $entry) };
    ($form:literal, $broadcast:ident, $columns:literal, $entry:tt) => {{
        use $crate::engine::Schedule;
        use $crate::kernels::common::shader;
        use $crate::kernels::matmul::tiles::{self, broadcast, joined};
        &[
            Schedule {
                source: joined!(
                    ["tile.matrix16.wgsl"], $form, $entry, ["load.fours.wgsl", "tile.matrix.wgsl"]
                ),
                ..tiles::MATRIX16
            },
            Schedule {
                source: joined!(
                    ["tile.matrix8.wgsl"], $form, $entry, ["load.fours.wgsl", "tile.matrix.wgsl"]
                ),
                ..tiles::MATRIX8
            },
            Schedule {
                source: joined!([], $form, $entry, ["load.pairs.wgsl"] broadcast::$broadcast),
                ..tiles::broadcast_of($columns)
            },
            Schedule {
                source: joined!(
                    [], $form, $entry,
                    ["load.fours.wgsl", "sums.wgsl", "tile.wide.wgsl", "tile.shared.wgsl"]
                ),
                ..tiles::WIDE
            },
            Schedule {
                source: joined!(
                    [], $form, $entry,
                    ["load.fours.wgsl", "sums.wgsl", "tile.deep.wgsl", "tile.shared.wgsl"]
                ),
                ..tiles::DEEP
            },
            Schedule {
                source: joined!(
                    [], $form, $entry, ["load.fours.wgsl", "sums.wgsl", "tile.register.wgsl"]
                ),
                ..tiles::REGISTER
            },
        ]
    }};
}
pub(super) use schedules;
