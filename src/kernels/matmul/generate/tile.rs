//! The ways to compute a tile of the result, each with the same epilogues.

use std::fmt::Write;

use super::epilogue::Entry;
use super::{COMPONENTS, Form, Source, Tile};

/// Appends a line to WGSL.
macro_rules! line {
    ($s:expr, $($arg:tt)*) => {{
        let _ = writeln!($s, $($arg)*);
    }};
}

mod matrix;
mod shared;

/// The entry point: sums of products in `c0`, `c1`, … of four columns each, then what is done
/// with them.
pub(super) fn write(s: &mut String, tile: Tile, entry: &Entry) {
    match tile {
        Tile::Register => register(s, entry),
        Tile::Broadcast => broadcast(s, entry),
        Tile::Wide => shared::write(s, entry, 16, 1),
        Tile::Deep => shared::write(s, entry, 8, 4),
        Tile::Matrix8 => matrix::write(s, entry, 8, 8),
        Tile::Matrix16 => matrix::write(s, entry, 16, 32),
    }
}

/// Each invocation loads what it multiplies. Four k at a time; rows and columns past the end read
/// the last ones, and are not stored.
fn register(s: &mut String, entry: &Entry) {
    parts_memory(s, entry, 8);
    s.push_str(
        "
@compute @workgroup_size(8, 8)
fn NAME(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let row0 = 32u * group.x + 4u * id.y;
    let col0 = 32u * group.y + 4u * id.x;
"
        .replace("NAME", entry.name)
        .as_str(),
    );
    s.push_str(entry.prelude);
    accumulators(s, 4, entry);
    if entry.form == Form::Tn {
        s.push_str("    let a_at = min(row0, p.rows - 4u) / 4u;\n");
    } else {
        chosen_rows(s, entry, 4);
    }
    if entry.form == Form::Nt {
        for j in 0..4 {
            line!(s, "    let b_at{j} = row_of_w(col0 + {j}u) * p.b_stride / 4u;");
        }
    } else {
        s.push_str("    let b_at = min(col0, p.cols - 4u) / 4u;\n");
    }
    s.push_str("    for (var k = 0u; k < p.depth; k += 4u) {\n");
    let (a, b) = (entry.a.name(), entry.b.name());
    for i in 0..4 {
        if entry.form != Form::Tn {
            line!(s, "        let a{i} = {};", four(entry.a, &format!("{a}[a_at{i} + k / 4u]")));
        }
        if entry.form == Form::Nt {
            line!(s, "        let t{i} = {b}[b_at{i} + k / 4u];");
        }
    }
    for (k, part) in COMPONENTS.iter().enumerate() {
        s.push_str("        {\n");
        if entry.form == Form::Nt {
            line!(s, "            let b = vec4<f32>(t0.{part}, t1.{part}, t2.{part}, t3.{part});");
        } else {
            line!(s, "            let b = {};", row_of_b(entry, &format!("(k + {k}u)"), "b_at"));
        }
        if entry.form == Form::Tn {
            line!(s, "            let a = {a}[(k + {k}u) * p.a_stride / 4u + a_at];");
            s.push_str("            bias4 += a;\n");
        }
        for (i, own) in COMPONENTS.iter().enumerate() {
            let tn = entry.form == Form::Tn;
            let factor = if tn { format!("a.{own}") } else { format!("a{i}.{part}") };
            line!(s, "            c{i} += {factor} * b;");
        }
        s.push_str("        }\n");
    }
    s.push_str("    }\n");
    finish(s, entry, 4, Some(8));
    add_parts(s, entry, 8, "");
    bias(s, entry, "group.y == 0u && id.x == 0u");
    s.push_str("}\n");
}

/// The accumulators, of so many rows and four columns each.
fn accumulators(s: &mut String, rows: usize, entry: &Entry) {
    for i in 0..rows {
        line!(s, "    var c{i} = vec4<f32>();");
    }
    if entry.form == Form::Tn {
        s.push_str("    var bias4 = vec4<f32>();\n");
    }
}

/// Where rows of A begin, in groups of four, where they are read along k.
fn chosen_rows(s: &mut String, entry: &Entry, rows: usize) {
    for i in 0..rows {
        let row = format!("min(row0 + {i}u, p.rows - 1u)");
        if entry.a == Source::Bytes {
            line!(s, "    let image{i} = choose({row});");
            line!(s, "    let a_at{i} = image{i} * p.a_stride / 4u;");
        } else {
            line!(s, "    let a_at{i} = {row} * p.a_stride / 4u;");
        }
    }
    if entry.a == Source::Bytes {
        s.push_str("    if group.y == 0u && id.x == 0u {\n");
        for i in 0..rows {
            line!(s, "        if row0 + {i}u < p.rows {{ chosen[row0 + {i}u] = image{i}; }}");
        }
        s.push_str("    }\n");
    }
}

/// Four values of an operand.
fn four(source: Source, load: &str) -> String {
    match source {
        Source::Floats(_) => load.to_owned(),
        Source::Bytes => format!("levels({load})"),
    }
}

/// Four columns of a row of B, at `at` groups of four.
fn row_of_b(entry: &Entry, row: &str, at: &str) -> String {
    let b = entry.b.name();
    let row = if entry.b == Source::Bytes { format!("image[{row}]") } else { row.to_owned() };
    four(entry.b, &format!("{b}[{row} * p.b_stride / 4u + {at}]"))
}

/// The one loop over a private array, once a tile: what is done with each row's four sums. The
/// parts of a row are kept in workgroup memory, `side` of them, or added up within the subgroup.
fn finish(s: &mut String, entry: &Entry, rows: usize, side: Option<usize>) {
    let quads = if side.is_none() { entry.quads() } else { 1 };
    let name = |i: usize| match side {
        Some(_) => format!("c{i}"),
        None => format!("c{}_{}", i / quads, i % quads),
    };
    // The bound is no constant, so that no compiler unrolls the loop.
    line!(s, "    for (var i = 0u; i < min({rows}u, max(p.rows, row0) - row0); i++) {{");
    s.push_str("        let row = row0 + i;\n");
    if entry.parts.is_some() {
        s.push_str("        var part = 0.0;\n");
    }
    for quad in 0..quads {
        line!(s, "        if col0 + {}u < p.cols {{", 4 * quad);
        line!(s, "            let col = col0 + {}u;", 4 * quad);
        line!(s, "            let value = {};", name(quad));
        if entry.epilogue.contains("[at]") || entry.epilogue.contains("(at,") {
            s.push_str("            let at = (row * p.c_stride + col) / 4u;\n");
        }
        s.push_str(entry.epilogue);
        s.push_str("        }\n");
    }
    if let (Some(_), Some(side)) = (entry.parts, side) {
        line!(s, "        row_parts[{side}u * (4u * id.y + i) + id.x] = part;");
    }
    if let Some(parts) = entry.parts.filter(|_| side.is_none()) {
        s.push_str("        let sum = subgroupAdd(part);\n");
        s.push_str("        if lane == 0u {\n");
        line!(s, "            {parts}[row * p.parts + group.y] = sum;");
        s.push_str("        }\n");
    }
    for i in quads..rows * quads {
        line!(s, "        {} = {};", name(i - quads), name(i));
    }
    s.push_str("    }\n");
}

/// Room for the parts of a tile's rows, where `side` invocations share one.
fn parts_memory(s: &mut String, entry: &Entry, side: usize) {
    if entry.parts.is_some() {
        line!(s, "\nvar<workgroup> row_parts: array<f32, {}>;", 4 * side * side);
    }
}

/// Adds up the parts of each row, 32 columns or eight invocations at a time.
fn add_parts(s: &mut String, entry: &Entry, side: usize, only: &str) {
    let Some(parts) = entry.parts else { return };
    let place = match side {
        8 => "group.y".to_owned(),
        _ => format!("group.y * {}u + id.x / 8u", side / 8),
    };
    let first = if side == 8 { "id.x == 0u" } else { "id.x % 8u == 0u" };
    line!(s, "    workgroupBarrier();");
    line!(s, "    if {first}{only} {{");
    line!(s, "        for (var i = 0u; i < 4u; i++) {{");
    line!(s, "            var sum = 0.0;");
    line!(s, "            let first = {side}u * (4u * id.y + i) + id.x;");
    line!(s, "            for (var j = 0u; j < 8u; j++) {{ sum += row_parts[first + j]; }}");
    line!(s, "            if row0 + i < p.rows {{");
    line!(s, "                {parts}[(row0 + i) * p.parts + {place}] = sum;");
    s.push_str("            }\n        }\n    }\n");
}

/// Uses the sums of four of A's columns, which the first tile of each row of tiles has made.
fn bias(s: &mut String, entry: &Entry, first: &str) {
    if entry.form == Form::Tn {
        line!(s, "    if {first} && row0 < p.rows {{\n        let row = row0;");
        line!(s, "        {}\n    }}", entry.bias);
    }
}

/// A workgroup is one subgroup of 8 lanes. Sixteen k at a time: each lane loads two k of every row
/// of A, or in the transposed form two rows at every k, and hands them round.
fn broadcast(s: &mut String, entry: &Entry) {
    let quads = entry.quads();
    line!(s, "\n@compute @workgroup_size(8)");
    line!(
        s,
        "fn {}(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {{",
        entry.name
    );
    s.push_str("    let lane = id.x;\n    let row0 = 16u * group.x;\n");
    line!(s, "    let col0 = {}u * group.y + {}u * lane;", 32 * quads, 4 * quads);
    s.push_str(entry.prelude);
    for i in 0..16 {
        for q in 0..quads {
            line!(s, "    var c{i}_{q} = vec4<f32>();");
        }
    }
    broadcast_places(s, entry);
    // The transposed form loads A at every k anyhow; less unrolling is less to compile.
    let unrolled = if entry.form == Form::Tn { 4 } else { 16 };
    line!(s, "    for (var k = 0u; k < p.depth; k += {unrolled}u) {{");
    let (a, b) = (entry.a.name(), entry.b.name());
    for i in 0..16 {
        match (entry.form, entry.a) {
            (Form::Tn, _) => {}
            (_, Source::Bytes) => {
                line!(s, "        let a{i} = half(levels({a}[a_at{i} + k / 4u]), lane);");
            }
            _ => line!(s, "        let a{i} = two({a}[a_at{i} + k / 2u]);"),
        }
    }
    if entry.b == Source::Bytes {
        s.push_str("        let own_image = image[k + lane % 4u];\n");
    }
    for k in 0..unrolled {
        broadcast_k(s, entry, k, (a, b));
    }
    s.push_str("    }\n");
    finish(s, entry, 16, None);
    if entry.form == Form::Tn {
        // Two lanes have the sums of two columns each.
        s.push_str("    if group.y == 0u {\n        let other = subgroupShuffleXor(bias2, 1u);\n");
        s.push_str("        let row = row0 + 2u * lane;\n");
        s.push_str("        let bias4 = vec4<f32>(bias2, other);\n");
        line!(s, "        if lane % 2u == 0u {{ {} }}\n    }}", entry.bias);
    }
    s.push_str("}\n");
}

/// Where a lane's part of A and its columns of B begin.
fn broadcast_places(s: &mut String, entry: &Entry) {
    let quads = entry.quads();
    match (entry.form, entry.a) {
        (Form::Tn, _) => {
            s.push_str("    var bias2 = vec2<f32>();\n    let a_at = row0 / 2u + lane;\n");
        }
        (_, Source::Bytes) => {
            s.push_str("    let image0 = choose(row0 + lane);\n");
            s.push_str("    let image1 = choose(row0 + 8u + lane);\n");
            s.push_str("    if group.y == 0u {\n        chosen[row0 + lane] = image0;\n");
            s.push_str("        chosen[row0 + 8u + lane] = image1;\n    }\n");
            for i in 0..16 {
                let image = format!("subgroupBroadcast(image{}, {}u)", i / 8, i % 8);
                line!(s, "    let a_at{i} = {image} * p.a_stride / 4u + lane / 2u;");
            }
        }
        _ => {
            for i in 0..16 {
                line!(s, "    let a_at{i} = (row0 + {i}u) * p.a_stride / 2u + lane;");
            }
        }
    }
    if entry.form == Form::Nt {
        for j in 0..4 * quads {
            line!(s, "    let b_at{j} = row_of_w(col0 + {j}u) * p.b_stride / 8u;");
        }
    } else {
        let width = if entry.b == Source::Bytes { 4 } else { 4 * quads };
        line!(s, "    let b_at = min(col0, p.cols - {}u) / {width}u;", 4 * quads);
    }
}

/// The products of one k of sixteen.
fn broadcast_k(s: &mut String, entry: &Entry, k: usize, (a, b): (&str, &str)) {
    let quads = entry.quads();
    if entry.form == Form::Nt && k.is_multiple_of(8) {
        for j in 0..4 * quads {
            line!(s, "        let t{j}_{k} = {b}[b_at{j} + k / 8u + {}u];", k / 8);
        }
    }
    if entry.form == Form::Nt && k.is_multiple_of(2) {
        let (from, part) = (k / 8 * 8, COMPONENTS[k % 8 / 2]);
        for j in 0..4 * quads {
            line!(s, "        let p{j}_{k} = two(t{j}_{from}.{part});");
        }
    }
    s.push_str("        {\n");
    match (entry.form, entry.b) {
        (Form::Nt, _) => {
            for q in 0..quads {
                let of = |j: usize| format!("p{}_{}.{}", 4 * q + j, k / 2 * 2, COMPONENTS[k % 2]);
                line!(
                    s,
                    "            let b{q} = vec4<f32>({}, {}, {}, {});",
                    of(0),
                    of(1),
                    of(2),
                    of(3)
                );
            }
        }
        (_, Source::Bytes) => {
            let image = format!("subgroupBroadcast(own_image, {k}u)");
            for q in 0..quads {
                line!(
                    s,
                    "            let b{q} = levels({b}[{image} * p.b_stride / 4u + b_at + {q}u]);"
                );
            }
        }
        _ => {
            line!(
                s,
                "            let pairs = {b}[(k + {k}u) * p.b_stride / {}u + b_at];",
                4 * quads
            );
            for q in 0..quads {
                line!(
                    s,
                    "            let b{q} = vec4<f32>(two(pairs.{}), two(pairs.{}));",
                    COMPONENTS[2 * q],
                    COMPONENTS[2 * q + 1]
                );
            }
        }
    }
    if entry.form == Form::Tn {
        line!(s, "            let a = two({a}[(k + {k}u) * p.a_stride / 2u + a_at]);");
        s.push_str("            bias2 += a;\n");
    }
    for i in 0..16 {
        let (value, part, lane) = if entry.form == Form::Tn {
            ("a".to_owned(), COMPONENTS[i % 2], i / 2)
        } else {
            (format!("a{i}"), COMPONENTS[k % 2], k / 2)
        };
        line!(s, "            let a_{i} = subgroupBroadcast({value}.{part}, {lane}u);");
        for q in 0..quads {
            line!(s, "            c{i}_{q} += a_{i} * b{q};");
        }
    }
    s.push_str("        }\n");
}
