//! Writes the WGSL of the matrix product: unrolled tiles in named accumulators, one form a way.
//!
//! Loops over private arrays are slow on every compiler that was measured, so the unrolling is
//! done here. The results are checked in under `shaders/`; a test holds them to this source.

use std::fmt::Write;

use super::Tile;

/// Which operand is read across.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// C = A Bᵀ: forward, y = x wᵀ.
    Nt,
    /// C = A B: backward to the input, dx = dy w.
    Nn,
    /// C = Aᵀ B: backward to the weight, dw = dyᵀ x.
    Tn,
}

impl Tile {
    /// Rows of C that one invocation makes; it always makes four columns.
    fn rows(self) -> usize {
        match self {
            Self::Register => 4,
            Self::Broadcast => 16,
        }
    }
}

const HEAD: &str = "\
// Written by `src/kernels/matmul/generate.rs`; change that, not this.
//
// y (rows, outputs) = f(x wᵀ + b), for x (rows, inputs), w (outputs, inputs), b (outputs);
// dx = (dy w) ⊗ f'(x), f being the activation that made x; dw = dyᵀ x and db = Σ dy over the rows.
// Rows and columns are padded to multiples of 16 with zeros, which stay zero.

struct Product {
    rows: u32, cols: u32, depth: u32, a_stride: u32, b_stride: u32, c_stride: u32,
    inside: u32, activation: u32, accumulate: u32,
}
@group(0) @binding(0) var<uniform> p: Product;
override activation: u32 = 0u;
";

const COMPONENTS: [&str; 4] = ["x", "y", "z", "w"];

/// The complete WGSL file of a tile, without what kernels share.
fn source(tile: Tile) -> String {
    // A is read four, or with the broadcast two, elements at a time.
    let a = match tile {
        Tile::Register => "vec4<f32>",
        Tile::Broadcast => "vec2<f32>",
    };
    let mut s = String::from(HEAD);
    let _ = write!(
        s,
        "
@group(0) @binding(1) var<storage, read> x: array<{a}>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

@group(0) @binding(1) var<storage, read> dy: array<{a}>;
@group(0) @binding(2) var<storage, read> x_in: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

@group(0) @binding(3) var<storage, read_write> dw: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> db: array<f32>;

// Which of four neighbouring columns are no padding.
fn real(col: u32) -> vec4<bool> {{
    return vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.inside);
}}
"
    );
    entry(&mut s, tile, Form::Nt, "forward", ("x", "w"), FORWARD);
    entry(&mut s, tile, Form::Nn, "backward_x", ("dy", "w"), BACKWARD_X);
    entry(&mut s, tile, Form::Tn, "backward_w", ("dy", "x_in"), BACKWARD_W);
    s
}

/// What each entry does with four neighbouring results, `value`, at `row` and `col`.
const FORWARD: &str = "\
            let sum = value + b[col / 4u];
            var result = vec4<f32>();
            for (var j = 0u; j < 4u; j++) { result[j] = activate(activation, sum[j]); }
            y[at] = select(vec4<f32>(), result, real(col));
";
const BACKWARD_X: &str = "\
            let made = x_in[at];
            var result = value;
            for (var j = 0u; j < 4u; j++) { result[j] *= slope_at_output(activation, made[j]); }
            if p.accumulate != 0u { result += dx[at]; }
            dx[at] = select(vec4<f32>(), result, real(col));
";
const BACKWARD_W: &str = "\
            var result = value;
            if p.accumulate != 0u { result += dw[at]; }
            dw[at] = result;
";

fn entry(s: &mut String, tile: Tile, form: Form, name: &str, (a, b): (&str, &str), store: &str) {
    let rows = tile.rows();
    let head = match tile {
        Tile::Register => {
            "@compute @workgroup_size(8, 8)
fn NAME(@builtin(global_invocation_id) id: vec3<u32>) {
    let row0 = 4u * id.y;
    let col0 = 4u * id.x;
"
        }
        Tile::Broadcast => {
            "@compute @workgroup_size(8)
fn NAME(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    let row0 = 16u * group.y;
    let col0 = 32u * group.x + 4u * lane;
"
        }
    };
    let _ = write!(s, "\n{}", head.replace("NAME", name));
    for i in 0..rows {
        let _ = writeln!(s, "    var c{i} = vec4<f32>();");
    }
    if form == Form::Tn {
        s.push_str(match tile {
            Tile::Register => "    var bias = vec4<f32>();\n",
            Tile::Broadcast => "    var bias = vec2<f32>();\n",
        });
    }
    match tile {
        Tile::Register => register(s, form, a, b),
        Tile::Broadcast => broadcast(s, form, a, b),
    }
    // The one loop over a private array, once a tile.
    let names: Vec<String> = (0..rows).map(|i| format!("c{i}")).collect();
    let _ = write!(
        s,
        "    var tile = array<vec4<f32>, {rows}>({});
    for (var i = 0u; i < {rows}u; i++) {{
        let row = row0 + i;
        let col = col0;
        if row < p.rows && col < p.cols {{
            let value = tile[i];
            let at = (row * p.c_stride + col) / 4u;
{store}        }}
    }}
",
        names.join(", ")
    );
    if form == Form::Tn {
        bias(s, tile);
    }
    s.push_str("}\n");
}

/// Stores the sums of A's columns, which the first tile of each row of tiles has made.
fn bias(s: &mut String, tile: Tile) {
    let (first, at, width) = match tile {
        Tile::Register => ("id.x == 0u", "row0", 4),
        Tile::Broadcast => ("group.x == 0u", "row0 + 2u * lane", 2),
    };
    let _ = write!(
        s,
        "    if {first} {{
        for (var i = 0u; i < {width}u; i++) {{
            let at = {at} + i;
            if at < p.rows {{ db[at] = select(0.0, db[at], p.accumulate != 0u) + bias[i]; }}
        }}
    }}
"
    );
}

/// Four k at a time. Rows and columns past the end read the last ones, and are not stored.
fn register(s: &mut String, form: Form, a: &str, b: &str) {
    for i in 0..4 {
        if form != Form::Tn {
            let _ =
                writeln!(s, "    let a_at{i} = min(row0 + {i}u, p.rows - 1u) * p.a_stride / 4u;");
        }
        if form == Form::Nt {
            let _ =
                writeln!(s, "    let b_at{i} = min(col0 + {i}u, p.cols - 1u) * p.b_stride / 4u;");
        }
    }
    if form == Form::Tn {
        s.push_str("    let a_at = min(row0, p.rows - 4u) / 4u;\n");
    }
    if form != Form::Nt {
        s.push_str("    let b_at = min(col0, p.cols - 4u) / 4u;\n");
    }
    s.push_str("    for (var k = 0u; k < p.depth; k += 4u) {\n");
    for i in 0..4 {
        if form != Form::Tn {
            let _ = writeln!(s, "        let a{i} = {a}[a_at{i} + k / 4u];");
        }
        if form == Form::Nt {
            let _ = writeln!(s, "        let t{i} = {b}[b_at{i} + k / 4u];");
        }
    }
    for (k, part) in COMPONENTS.iter().enumerate() {
        s.push_str("        {\n");
        if form == Form::Nt {
            let _ = writeln!(
                s,
                "            let b = vec4<f32>(t0.{part}, t1.{part}, t2.{part}, t3.{part});"
            );
        } else {
            let _ = writeln!(s, "            let b = {b}[(k + {k}u) * p.b_stride / 4u + b_at];");
        }
        if form == Form::Tn {
            let _ = writeln!(s, "            let a = {a}[(k + {k}u) * p.a_stride / 4u + a_at];");
            s.push_str("            bias += a;\n");
        }
        for (i, own) in COMPONENTS.iter().enumerate() {
            let factor = if form == Form::Tn { format!("a.{own}") } else { format!("a{i}.{part}") };
            let _ = writeln!(s, "            c{i} += {factor} * b;");
        }
        s.push_str("        }\n");
    }
    s.push_str("    }\n");
}

/// Sixteen k at a time: each lane holds two k of every row of A, or in the transposed form two rows
/// at every k.
fn broadcast(s: &mut String, form: Form, a: &str, b: &str) {
    if form == Form::Tn {
        s.push_str("    let a_at = row0 / 2u + lane;\n");
    } else {
        for i in 0..16 {
            let _ = writeln!(s, "    let a_at{i} = (row0 + {i}u) * p.a_stride / 2u + lane;");
        }
    }
    if form == Form::Nt {
        for j in 0..4 {
            let _ =
                writeln!(s, "    let b_at{j} = min(col0 + {j}u, p.cols - 1u) * p.b_stride / 4u;");
        }
    } else {
        s.push_str("    let b_at = min(col0, p.cols - 4u) / 4u;\n");
    }
    s.push_str("    for (var k = 0u; k < p.depth; k += 16u) {\n");
    if form != Form::Tn {
        for i in 0..16 {
            let _ = writeln!(s, "        let a{i} = {a}[a_at{i} + k / 2u];");
        }
    }
    for k in 0..16 {
        if form == Form::Nt && k % 4 == 0 {
            for j in 0..4 {
                let _ = writeln!(s, "        let t{j}_{k} = {b}[b_at{j} + k / 4u + {}u];", k / 4);
            }
        }
        s.push_str("        {\n");
        if form == Form::Nt {
            let (from, part) = (k / 4 * 4, COMPONENTS[k % 4]);
            let of = |j: usize| format!("t{j}_{from}.{part}");
            let _ = writeln!(
                s,
                "            let b = vec4<f32>({}, {}, {}, {});",
                of(0),
                of(1),
                of(2),
                of(3)
            );
        } else {
            let _ = writeln!(s, "            let b = {b}[(k + {k}u) * p.b_stride / 4u + b_at];");
        }
        if form == Form::Tn {
            let _ = writeln!(s, "            let a = {a}[(k + {k}u) * p.a_stride / 2u + a_at];");
            s.push_str("            bias += a;\n");
        }
        for i in 0..16 {
            let (value, part, lane) = if form == Form::Tn {
                ("a".to_owned(), COMPONENTS[i % 2], i / 2)
            } else {
                (format!("a{i}"), COMPONENTS[k % 2], k / 2)
            };
            let _ =
                writeln!(s, "            c{i} += subgroupBroadcast({value}.{part}, {lane}u) * b;");
        }
        s.push_str("        }\n");
    }
    s.push_str("    }\n");
}

mod tests {
    use super::*;

    /// The files under `shaders/` are what this source writes; `ELBO_WRITE_SHADERS=1` renews them.
    #[test]
    fn shaders_are_as_generated() {
        let files = [(Tile::Register, "matmul.wgsl"), (Tile::Broadcast, "matmul.broadcast.wgsl")];
        for (tile, file) in files {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders").join(file);
            let generated = source(tile);
            if std::env::var_os("ELBO_WRITE_SHADERS").is_some() {
                std::fs::write(&path, &generated).expect("the shader can be written");
            }
            let found = std::fs::read_to_string(&path).expect("the shader is checked in");
            assert!(
                found == generated,
                "{file} differs; run with ELBO_WRITE_SHADERS=1 to renew it"
            );
        }
    }
}
