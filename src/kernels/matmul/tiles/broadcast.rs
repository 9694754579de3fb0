//! Writes the tile of a product for subgroups of 8 lanes, where a load costs more than twenty
//! multiply-adds, as on software adapters.
//!
//! A workgroup is one subgroup. Each lane owns four or eight columns; the lanes load different terms of
//! A, two in a load, and hand them round. Loops over private arrays are slow to run and slower to
//! compile on every compiler that was measured, so the sums have names and the body is unrolled; that
//! is why it is written here and not by hand. Entries and forms are files, as for the other tiles.

use std::fmt::Write;

/// Rows of the tile.
pub(in super::super) const ROWS: usize = 16;

/// Lanes of the subgroup.
const LANES: usize = 8;

/// What the form of a product decides.
struct Tile {
    /// Whether terms lie along a row of A; else they are its rows.
    a_along: bool,
    /// The same of B.
    b_along: bool,
    /// Groups of four columns that a lane owns. Two halve the loads of A, but take twice as long to
    /// compile; they gained nothing where B's rows are columns of the result, and there is nothing to
    /// gain where the result is as narrow as z.
    quads: usize,
}

/// C = A Bᵀ.
pub(in super::super) fn nt() -> String {
    Tile { a_along: true, b_along: true, quads: 1 }.wgsl()
}

/// C = A B.
pub(in super::super) fn nn() -> String {
    Tile { a_along: true, b_along: false, quads: 2 }.wgsl()
}

/// C = A B of few columns.
pub(in super::super) fn nn_narrow() -> String {
    Tile { a_along: true, b_along: false, quads: 1 }.wgsl()
}

/// C = Aᵀ B.
pub(in super::super) fn tn() -> String {
    Tile { a_along: false, b_along: false, quads: 2 }.wgsl()
}

/// Appends a line.
macro_rules! line {
    ($s:expr, $($arg:tt)*) => {{
        let _ = writeln!($s, $($arg)*);
    }};
}

impl Tile {
    fn wgsl(&self) -> String {
        let mut s = String::new();
        line!(s, "@compute @workgroup_size({LANES})");
        s.push_str("fn product(@builtin(workgroup_id) group: vec3<u32>, ");
        s.push_str("@builtin(num_workgroups) groups: vec3<u32>, ");
        s.push_str("@builtin(local_invocation_index) lane: u32) {\n");
        line!(s, "    let tile = tile_of(group, groups, {ROWS}u);");
        line!(s, "    let row0 = {ROWS}u * tile.x;");
        let columns = 4 * self.quads;
        line!(s, "    let col0 = {}u * tile.y + {columns}u * lane;", LANES * columns);
        line!(s, "    begin();");
        self.for_each_sum(|row, quad| line!(s, "    var c{row}_{quad} = vec4<f32>();"));
        self.places(&mut s);
        // Where A is loaded at every term anyhow, less unrolling is less to compile.
        let unrolled = if self.a_along { 16 } else { 4 };
        // Lavapipe compiles a shader anew at each dispatch where a uniform alone bounds a loop and much
        // of it folds; of a subgroup's value it knows nothing.
        line!(s, "    let depth = subgroupBroadcast(p.depth, 0u);");
        line!(s, "    for (var k = 0u; k < depth; k += {unrolled}u) {{");
        self.loads(&mut s, unrolled);
        (0..unrolled).for_each(|term| self.term(&mut s, term));
        line!(s, "    }}");
        self.finish(&mut s);
        line!(s, "}}");
        s
    }

    fn for_each_sum(&self, mut f: impl FnMut(usize, usize)) {
        (0..ROWS).for_each(|row| (0..self.quads).for_each(|quad| f(row, quad)));
    }

    /// Where rows of A and B begin. Those of A are found by a lane each, and handed round.
    fn places(&self, s: &mut String) {
        if self.a_along {
            line!(s, "    let own0 = a_row(row0 + lane, tile.y == 0u);");
            line!(s, "    let own1 = a_row(row0 + {LANES}u + lane, tile.y == 0u);");
            for row in 0..ROWS {
                let (own, lane) = (row / LANES, row % LANES);
                line!(s, "    let start{row} = subgroupBroadcast(own{own}, {lane}u);");
            }
        } else {
            line!(s, "    var of_a = vec2<f32>();");
        }
        if self.b_along {
            (0..4 * self.quads)
                .for_each(|col| line!(s, "    let b_start{col} = b_row(col0 + {col}u);"));
        } else {
            line!(s, "    let col = min(col0, p.cols - {}u);", 4 * self.quads);
        }
    }

    /// What is loaded once for all unrolled terms: two terms of each row of A by each lane, and where
    /// rows of B begin.
    fn loads(&self, s: &mut String, unrolled: usize) {
        if self.a_along {
            (0..ROWS)
                .for_each(|row| line!(s, "        let a{row} = a_at(start{row}, k + 2u * lane);"));
        }
        if !self.b_along {
            for first in (0..unrolled).step_by(LANES) {
                let lane = format!("{first}u + lane % {}u", unrolled.min(LANES));
                line!(s, "        let own_b{first} = b_row(k + {lane});");
            }
        }
    }

    /// Adds the products of one term.
    fn term(&self, s: &mut String, term: usize) {
        if self.b_along && term.is_multiple_of(4) {
            for col in 0..4 * self.quads {
                line!(s, "        let b{col}_{term} = b_at(b_start{col}, k + {term}u);");
            }
        }
        line!(s, "        {{");
        for quad in 0..self.quads {
            if self.b_along {
                let (from, part) = (term / 4 * 4, ["x", "y", "z", "w"][term % 4]);
                let of = [0, 1, 2, 3].map(|col| format!("b{}_{from}.{part}", 4 * quad + col));
                line!(s, "            let b{quad} = vec4<f32>({});", of.join(", "));
            } else {
                let start = format!("own_b{}, {}u", term / LANES * LANES, term % LANES);
                let col = format!("col + {}u", 4 * quad);
                line!(s, "            let b{quad} = b_at(subgroupBroadcast({start}), {col});");
            }
        }
        if !self.a_along {
            line!(s, "            let a = a_at(a_row(k + {term}u, false), row0 + 2u * lane);");
            line!(s, "            of_a += a;");
        }
        for row in 0..ROWS {
            let (value, place) =
                if self.a_along { (format!("a{row}"), term) } else { ("a".to_owned(), row) };
            let (part, lane) = (["x", "y"][place % 2], place / 2);
            line!(s, "            let f{row} = subgroupBroadcast({value}.{part}, {lane}u);");
            for quad in 0..self.quads {
                line!(s, "            c{row}_{quad} += f{row} * b{quad};");
            }
        }
        line!(s, "        }}");
    }

    /// One loop finishes all rows; its bound is no constant, so that no compiler unrolls it.
    fn finish(&self, s: &mut String) {
        line!(s, "    for (var i = 0u; i < min({ROWS}u, max(p.rows, row0) - row0); i++) {{");
        line!(s, "        var loss = 0.0;");
        for quad in 0..self.quads {
            let col = format!("col0 + {}u", 4 * quad);
            line!(s, "        if {col} < p.cols {{ loss += finish(row0 + i, {col}, c0_{quad}); }}");
        }
        line!(s, "        if LOSSES {{");
        // The lanes that own 32 columns: all of them, or the half of them.
        if self.quads == 1 {
            line!(s, "            let sum = subgroupAdd(loss);");
            line!(s, "            if lane == 0u && col0 < p.cols {{");
        } else {
            line!(s, "            let two = loss + subgroupShuffleXor(loss, 1u);");
            line!(s, "            let sum = two + subgroupShuffleXor(two, 2u);");
            line!(s, "            if lane % 4u == 0u && col0 < p.cols {{");
        }
        line!(s, "                store_loss(row0 + i, col0 / 32u, sum);");
        line!(s, "            }}");
        line!(s, "        }}");
        self.for_each_sum(|row, quad| {
            if row + 1 < ROWS {
                line!(s, "        c{row}_{quad} = c{}_{quad};", row + 1);
            }
        });
        line!(s, "    }}");
        if !self.a_along {
            // Two lanes have the sums of two columns of A each.
            line!(s, "    if tile.y == 0u {{");
            line!(s, "        let four_of_a = vec4<f32>(of_a, subgroupShuffleXor(of_a, 1u));");
            line!(s, "        if lane % 2u == 0u {{ finish_bias(row0 + 2u * lane, four_of_a); }}");
            line!(s, "    }}");
        }
    }
}
