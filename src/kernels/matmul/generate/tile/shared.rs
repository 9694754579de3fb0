//! Tiles through workgroup memory, for hardware: all invocations load, then each multiplies.

use std::fmt::Write;

use super::super::epilogue::Entry;
use super::super::{Form, Source};
use super::{accumulators, add_parts, bias, finish, four, parts_memory, row_of_b};

/// A tile of 4 `side` rows and columns, 4 × 4 an invocation. `slices` parts of the workgroup take
/// different k, `side` at a time, and add up in the end: for shapes with few tiles and many k.
pub(super) fn write(s: &mut String, entry: &Entry, side: usize, slices: usize) {
    let tn = entry.form == Form::Tn;
    // A row of a tile has one vector more than is used, so that columns fall into other banks.
    let (row, sums) = (side + 1, if tn { 5 } else { 4 });
    let (operand, added) = (side * row, (slices - 1) * side * side * sums);
    let memory = added.max(2 * slices * operand);
    line!(s, "\n// A and B of each slice, k by k; then the sums of all slices but the first.");
    line!(s, "var<workgroup> tiles: array<vec4<f32>, {memory}>;");
    parts_memory(s, entry, side);
    line!(s, "\n@compute @workgroup_size({side}, {side}, {slices})");
    line!(
        s,
        "fn {}(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {{",
        entry.name
    );
    line!(s, "    let own = {side}u * id.y + id.x;");
    line!(s, "    let first_row = {}u * group.x;", 4 * side);
    line!(s, "    let first_col = {}u * group.y;", 4 * side);
    line!(s, "    let row0 = first_row + 4u * id.y;");
    line!(s, "    let col0 = first_col + 4u * id.x;");
    line!(s, "    let tile_a = {}u * id.z;", 2 * operand);
    line!(s, "    let tile_b = tile_a + {operand}u;");
    s.push_str(entry.prelude);
    accumulators(s, 4, entry);
    places(s, entry, side);
    line!(s, "    for (var block = 0u; block < p.depth; block += {}u) {{", side * slices);
    line!(s, "        let k = block + {side}u * id.z;");
    s.push_str("        workgroupBarrier();\n        if k < p.depth {\n");
    loads(s, entry, side);
    s.push_str("        }\n        workgroupBarrier();\n        if k < p.depth {\n");
    for k in 0..side {
        s.push_str("            {\n");
        line!(s, "                let a = tiles[tile_a + {}u + id.y];", k * row);
        line!(s, "                let b = tiles[tile_b + {}u + id.x];", k * row);
        if tn {
            s.push_str("                bias4 += a;\n");
        }
        for (i, part) in super::COMPONENTS.iter().enumerate() {
            line!(s, "                c{i} += a.{part} * b;");
        }
        s.push_str("            }\n");
    }
    s.push_str("        }\n    }\n");
    let only = if slices > 1 { " && id.z == 0u" } else { "" };
    if slices > 1 {
        add_slices(s, side, slices, sums);
        s.push_str("    if id.z == 0u {\n");
    }
    finish(s, entry, 4, Some(side));
    if slices > 1 {
        s.push_str("    }\n");
    }
    add_parts(s, entry, side, only);
    bias(s, entry, &format!("group.y == 0u && id.x == 0u{only}"));
    s.push_str("}\n");
}

/// Where an invocation's part of A and of B begins: a row and four k, or a k and four columns.
fn places(s: &mut String, entry: &Entry, side: usize) {
    let quads = side / 4;
    if entry.form != Form::Nt {
        line!(s, "    let own_k = own / {side}u;");
    }
    if entry.form != Form::Tn {
        line!(s, "    let row_a = min(first_row + own / {quads}u, p.rows - 1u);");
        if entry.a == Source::Bytes {
            s.push_str("    let image = choose(row_a);\n");
            line!(
                s,
                "    if group.y == 0u && id.z == 0u && own % {quads}u == 0u {{ chosen[row_a] = image; }}"
            );
            line!(s, "    let a_at = image * p.a_stride / 4u + own % {quads}u;");
        } else {
            line!(s, "    let a_at = row_a * p.a_stride / 4u + own % {quads}u;");
        }
    } else {
        line!(s, "    let a_at = min(first_row / 4u + own % {side}u, p.rows / 4u - 1u);");
    }
    if entry.form == Form::Nt {
        line!(
            s,
            "    let b_at = row_of_w(first_col + own / {quads}u) * p.b_stride / 4u + own % {quads}u;"
        );
    } else {
        line!(s, "    let b_at = min(first_col / 4u + own % {side}u, p.cols / 4u - 1u);");
    }
}

/// Each invocation loads four elements of A and of B; what lies along k is turned.
fn loads(s: &mut String, entry: &Entry, side: usize) {
    let (a, b, row) = (entry.a.name(), entry.b.name(), side + 1);
    let quads = side / 4;
    let turned = |s: &mut String, tile: &str, value: &str| {
        line!(s, "            let {tile}_four = {value};");
        line!(
            s,
            "            let {tile}_at = {tile} + own % {quads}u * {}u + own / {}u;",
            4 * row,
            4 * quads
        );
        line!(s, "            let {tile}_part = own / {quads}u % 4u;");
        for k in 0..4 {
            line!(
                s,
                "            tiles[{tile}_at + {}u][{tile}_part] = {tile}_four[{k}];",
                k * row
            );
        }
    };
    if entry.form == Form::Tn {
        line!(
            s,
            "            tiles[tile_a + own_k * {row}u + own % {side}u] = {a}[(k + own_k) * p.a_stride / 4u + a_at];"
        );
    } else {
        turned(s, "tile_a", &four(entry.a, &format!("{a}[a_at + k / 4u]")));
    }
    if entry.form == Form::Nt {
        turned(s, "tile_b", &format!("{b}[b_at + k / 4u]"));
    } else {
        let value = row_of_b(entry, "(k + own_k)", "b_at");
        line!(s, "            tiles[tile_b + own_k * {row}u + own % {side}u] = {value};");
    }
}

/// Adds the other slices' sums to the first's, in their order.
fn add_slices(s: &mut String, side: usize, slices: usize, sums: usize) {
    let names = ["c0", "c1", "c2", "c3", "bias4"];
    s.push_str("    workgroupBarrier();\n    if id.z > 0u {\n");
    line!(s, "        let at = ((id.z - 1u) * {}u + own) * {sums}u;", side * side);
    for (i, name) in names[..sums].iter().enumerate() {
        line!(s, "        tiles[at + {i}u] = {name};");
    }
    s.push_str("    }\n    workgroupBarrier();\n    if id.z == 0u {\n");
    line!(s, "        for (var slice = 0u; slice < {}u; slice++) {{", slices - 1);
    line!(s, "            let at = (slice * {}u + own) * {sums}u;", side * side);
    for (i, name) in names[..sums].iter().enumerate() {
        line!(s, "            {name} += tiles[at + {i}u];");
    }
    s.push_str("        }\n    }\n");
}
