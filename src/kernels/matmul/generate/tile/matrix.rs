//! Tiles of cooperative matrices: operands rounded to f16, sums in f32.

use std::fmt::Write;

use super::super::epilogue::Entry;
use super::super::{Form, Source};
use super::{four, row_of_b};

/// A workgroup of four subgroups of `lanes`, each of which makes 2 × 2 matrices of `size`.
pub(super) fn write(s: &mut String, entry: &Entry, size: usize, lanes: usize) {
    let (side, depth, threads) = (4 * size, 2 * size, 4 * lanes);
    line!(s, "\n// A, row by row; B, k by k; and one matrix of sums of each subgroup.");
    line!(s, "var<workgroup> tile_a: array<f16, {}>;", side * depth);
    line!(s, "var<workgroup> tile_b: array<f16, {}>;", side * depth);
    line!(s, "var<workgroup> sums: array<f32, {}>;", 4 * size * size);
    if entry.a == Source::Bytes {
        line!(s, "var<workgroup> images: array<u32, {side}>;");
    }
    if entry.parts.is_some() {
        line!(s, "var<workgroup> row_parts: array<f32, {}>;", side * side / 4);
    }
    line!(s, "\n@compute @workgroup_size({threads})");
    line!(
        s,
        "fn {}(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) own: u32) {{",
        entry.name
    );
    line!(s, "    let first_row = {side}u * group.x;");
    line!(s, "    let first_col = {side}u * group.y;");
    line!(s, "    let quarter = own / {lanes}u;");
    line!(s, "    let own_row = quarter / 2u * {depth}u;");
    line!(s, "    let own_col = quarter % 2u * {depth}u;");
    s.push_str(entry.prelude);
    if entry.a == Source::Bytes {
        line!(s, "    if own < {side}u && first_row + own < p.rows {{");
        line!(s, "        images[own] = choose(first_row + own);");
        line!(s, "        if group.y == 0u {{ chosen[first_row + own] = images[own]; }}\n    }}");
    }
    for name in ["c00", "c01", "c10", "c11"] {
        line!(s, "    var {name} = coop_mat{size}x{size}<f32, C>();");
    }
    line!(s, "    for (var block = 0u; block < p.depth; block += {depth}u) {{");
    s.push_str("        workgroupBarrier();\n");
    line!(s, "        for (var i = own; i < {}u; i += {threads}u) {{", side * depth / 4);
    loads(s, entry, side, depth);
    s.push_str("        }\n        workgroupBarrier();\n");
    for k in 0..2 {
        products(s, size, side, depth, k);
    }
    s.push_str("    }\n");
    for (place, name) in ["c00", "c01", "c10", "c11"].into_iter().enumerate() {
        store(s, entry, (size, lanes), place, name);
    }
    if let Some(parts) = entry.parts {
        add_parts(s, parts, side, threads);
    }
    if entry.form == Form::Tn {
        bias(s, entry, side);
    }
    s.push_str("}\n");
}

/// Four elements of A and four of B, rounded. Past the end of the sums they are zero.
fn loads(s: &mut String, entry: &Entry, side: usize, depth: usize) {
    let (a, b) = (entry.a.name(), entry.b.name());
    let (along, across) = (depth / 4, side / 4);
    let halves = |s: &mut String, tile: &str, value: &str, places: [String; 4]| {
        line!(
            s,
            "            let {tile}_four = vec4<f16>(select(vec4<f32>(), {value}, {tile}_k < p.depth));"
        );
        for (t, place) in places.iter().enumerate() {
            line!(s, "            {tile}[{place}] = {tile}_four[{t}];");
        }
    };
    let turned = |width: usize| -> [String; 4] {
        [0, 1, 2, 3].map(|t| format!("(4u * (i % {across}u) + {t}u) * {width}u + i / {across}u"))
    };
    if entry.form == Form::Tn {
        line!(s, "            let tile_a_k = block + i / {across}u;");
        let at = format!("min(first_row / 4u + i % {across}u, p.rows / 4u - 1u)");
        let value = format!("{a}[min(tile_a_k, p.depth - 1u) * p.a_stride / 4u + {at}]");
        halves(s, "tile_a", &value, turned(depth));
    } else {
        line!(s, "            let tile_a_k = block + 4u * (i % {along}u);");
        let row = match entry.a {
            Source::Bytes => format!("images[min(i / {along}u, p.rows - first_row - 1u)]"),
            Source::Floats(_) => format!("min(first_row + i / {along}u, p.rows - 1u)"),
        };
        let load = format!("{a}[{row} * p.a_stride / 4u + min(tile_a_k, p.depth - 4u) / 4u]");
        let places = [0, 1, 2, 3].map(|t| format!("4u * i + {t}u"));
        halves(s, "tile_a", &four(entry.a, &load), places);
    }
    if entry.form == Form::Nt {
        line!(s, "            let tile_b_k = block + 4u * (i % {along}u);");
        let row = format!("row_of_w(first_col + i / {along}u)");
        let value = format!("{b}[{row} * p.b_stride / 4u + min(tile_b_k, p.depth - 4u) / 4u]");
        let places =
            [0, 1, 2, 3].map(|t| format!("(4u * (i % {along}u) + {t}u) * {side}u + i / {along}u"));
        halves(s, "tile_b", &value, places);
    } else {
        line!(s, "            let tile_b_k = block + i / {across}u;");
        let at = format!("min(first_col / 4u + i % {across}u, p.cols / 4u - 1u)");
        let value = row_of_b(entry, "min(tile_b_k, p.depth - 1u)", &at);
        let places = [0, 1, 2, 3].map(|t| format!("4u * i + {t}u"));
        halves(s, "tile_b", &value, places);
    }
}

/// The products of `size` k.
fn products(s: &mut String, size: usize, side: usize, depth: usize, k: usize) {
    s.push_str("        {\n");
    for i in 0..2 {
        let (row, at) = (size * i, size * k);
        line!(
            s,
            "            let a{i} = coopLoadT<coop_mat{size}x{size}<f16, A>>(&tile_a[(own_row + {row}u) * {depth}u + {at}u], {depth}u);"
        );
        let (from, col) = (size * k * side, size * i);
        line!(
            s,
            "            let b{i} = coopLoadT<coop_mat{size}x{size}<f16, B>>(&tile_b[{from}u + own_col + {col}u], {side}u);"
        );
    }
    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        line!(s, "            c{i}{j} = coopMultiplyAdd(a{i}, b{j}, c{i}{j});");
    }
    s.push_str("        }\n");
}

/// Hands one matrix of each subgroup's sums to its lanes, and uses them.
fn store(s: &mut String, entry: &Entry, (size, lanes): (usize, usize), place: usize, name: &str) {
    let (across, row, col) = (size / 4, place / 2 * size, place % 2 * size);
    s.push_str("    workgroupBarrier();\n");
    line!(s, "    coopStoreT({name}, &sums[quarter * {}u], {size}u);", size * size);
    s.push_str("    workgroupBarrier();\n");
    line!(s, "    for (var i = own % {lanes}u; i < {}u; i += {lanes}u) {{", size * across);
    line!(s, "        let row = first_row + own_row + {row}u + i / {across}u;");
    line!(s, "        let col = first_col + own_col + {col}u + 4u * (i % {across}u);");
    if entry.parts.is_some() {
        s.push_str("        var part = 0.0;\n");
    }
    s.push_str("        if row < p.rows && col < p.cols {\n");
    line!(s, "            let place = quarter * {}u + 4u * i;", size * size);
    s.push_str("            let value = vec4<f32>(sums[place], sums[place + 1u], sums[place + 2u], sums[place + 3u]);\n");
    if entry.epilogue.contains("[at]") || entry.epilogue.contains("(at,") {
        s.push_str("            let at = (row * p.c_stride + col) / 4u;\n");
    }
    s.push_str(entry.epilogue);
    s.push_str("        }\n");
    if entry.parts.is_some() {
        line!(s, "        row_parts[(row - first_row) * {size}u + (col - first_col) / 4u] = part;");
    }
    s.push_str("    }\n");
}

/// Adds up the parts of each row, 32 columns at a time.
fn add_parts(s: &mut String, parts: &str, side: usize, threads: usize) {
    let blocks = side / 32;
    s.push_str("    workgroupBarrier();\n");
    line!(s, "    for (var i = own; i < {}u; i += {threads}u) {{", side * blocks);
    line!(s, "        let row = first_row + i / {blocks}u;");
    s.push_str("        var sum = 0.0;\n");
    s.push_str("        for (var j = 0u; j < 8u; j++) { sum += row_parts[8u * i + j]; }\n");
    line!(
        s,
        "        if row < p.rows {{ {parts}[row * p.parts + {blocks}u * group.y + i % {blocks}u] = sum; }}"
    );
    s.push_str("    }\n");
}

/// Sums of A's columns, in f32, by the first tile of each row of tiles.
fn bias(s: &mut String, entry: &Entry, side: usize) {
    let a = entry.a.name();
    line!(s, "    let row = first_row + 4u * own;");
    line!(s, "    if group.y == 0u && own < {}u && row < p.rows {{", side / 4);
    s.push_str("        var bias4 = vec4<f32>();\n");
    line!(
        s,
        "        for (var k = 0u; k < p.depth; k++) {{ bias4 += {a}[(k * p.a_stride + row) / 4u]; }}"
    );
    line!(s, "        {}\n    }}", entry.bias);
}
