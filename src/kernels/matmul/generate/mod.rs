//! Writes the WGSL of the matrix product: unrolled tiles in named accumulators, a file for each
//! entry and schedule.
//!
//! Loops over private arrays are slow on every compiler that was measured, so the unrolling is
//! done here. The results are checked in under `shaders/matmul/`; a test holds them to this source.

mod epilogue;
mod tile;

use std::fmt::Write;

use super::Tile;
use epilogue::{ENTRIES, Entry};

/// Which operand is read across.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// C = A Bᵀ: forward, y = x wᵀ.
    Nt,
    /// C = A B: backward to the input, dx = dy w.
    Nn,
    /// C = Aᵀ B: backward to the weight, dw = dyᵀ x.
    Tn,
}

/// Where an operand comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A matrix of floats, bound under this name.
    Floats(&'static str),
    /// Rows of a dataset of bytes, four to a word, bound as `pixels`; divided by 255. Which rows is
    /// computed from the record, or found in the binding `image`.
    Bytes,
}

impl Source {
    /// The name that it is bound under.
    fn name(self) -> &'static str {
        match self {
            Self::Floats(name) => name,
            Self::Bytes => "pixels",
        }
    }
}

const COMPONENTS: [&str; 4] = ["x", "y", "z", "w"];

const PARAMS: &str = "\
struct Product {
    rows: u32, cols: u32, depth: u32, a_stride: u32, b_stride: u32, c_stride: u32, inside: u32,
    activation: u32, accumulate: u32, latent: u32, other_stride: u32, parts: u32, bias: u32,
    decoupled: u32,
}
@group(0) @binding(0) var<uniform> p: Product;
";

/// What is loaded and stored for each element, and not for each tile.
const UPDATED: [&str; 3] = ["weights", "first", "second"];

/// What a binding holds, as a tile reads it.
fn element(tile: Tile, entry: &Entry, name: &'static str) -> &'static str {
    if tile != Tile::Broadcast {
        return "vec4<f32>";
    }
    // Two floats in one word of 64 bits cost one load, where each component is a load of its own.
    if entry.a == Source::Floats(name) {
        "u64"
    } else if UPDATED.contains(&name) {
        "vec2<u64>"
    } else if entry.b != Source::Floats(name) {
        "vec4<f32>"
    } else if entry.form == Form::Nn && entry.quads() == 1 {
        "vec2<u64>"
    } else {
        "vec4<u64>"
    }
}

/// The declarations of an entry's bindings.
fn bindings(s: &mut String, tile: Tile, entry: &Entry) {
    for (number, declared) in (1..).zip(entry.bindings) {
        let (access, rest) = match declared.strip_prefix('>') {
            Some(rest) => ("read_write", rest),
            None => ("read", *declared),
        };
        let (name, ty) = rest.split_once(": ").unwrap_or((rest, element(tile, entry, rest)));
        let _ =
            writeln!(s, "@group(0) @binding({number}) var<storage, {access}> {name}: array<{ty}>;");
    }
}

/// The complete WGSL file of an entry, without what kernels share.
fn source(tile: Tile, entry: &Entry) -> String {
    let mut s =
        String::from("// Written by `src/kernels/matmul/generate/`; change that, not this.\n");
    for line in entry.about.lines() {
        let _ = writeln!(s, "// {line}");
    }
    let _ = write!(s, "\n{PARAMS}");
    if entry.activation {
        s.push_str("override activation: u32 = 0u;\n");
    }
    s.push('\n');
    bindings(&mut s, tile, entry);
    if entry.bindings.contains(&">weights") {
        s.push_str(if tile == Tile::Broadcast { PACKED } else { PLAIN });
    }
    s.push_str(entry.functions);
    operands(&mut s, tile, entry);
    tile::write(&mut s, tile, entry);
    s
}

/// Functions that read the operands, as far as the entry needs them.
fn operands(s: &mut String, tile: Tile, entry: &Entry) {
    let wide = tile == Tile::Broadcast;
    if wide {
        s.push_str(
            "
// Two floats that were loaded as one word.
fn two(word: u64) -> vec2<f32> {
    return vec2<f32>(bitcast<f32>(u32(word)), bitcast<f32>(u32(word >> 32u)));
}
",
        );
        if entry.a == Source::Bytes {
            s.push_str(HALF);
        }
    }
    if entry.bindings.contains(&"pixels: u32") {
        s.push_str(BYTES);
    }
    if entry.a == Source::Bytes {
        s.push_str(CHOOSE);
    }
    if entry.form == Form::Nt {
        s.push_str(if entry.paired { PAIRED } else { COLUMN });
    }
}

const BYTES: &str = "
// The values of four pixels in a word.
fn levels(word: u32) -> vec4<f32> {
    let four = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
    return vec4<f32>(four) / 255.0;
}
";

const PACKED: &str = "
// Four floats as two words, which cost half as many loads and stores.
fn load(words: vec2<u64>) -> vec4<f32> {
    return vec4<f32>(two(words.x), two(words.y));
}

fn store(values: vec4<f32>) -> vec2<u64> {
    let bits = bitcast<vec4<u32>>(values);
    return vec2<u64>(u64(bits.x) | (u64(bits.y) << 32u), u64(bits.z) | (u64(bits.w) << 32u));
}
";

const PLAIN: &str = "
// Loaded and stored as they are.
fn load(values: vec4<f32>) -> vec4<f32> {
    return values;
}

fn store(values: vec4<f32>) -> vec4<f32> {
    return values;
}
";

const HALF: &str = "
// The two of four values that are a lane's own; its neighbour has the others.
fn half(values: vec4<f32>, lane: u32) -> vec2<f32> {
    return select(values.xy, values.zw, lane % 2u == 1u);
}
";

const CHOOSE: &str = "
// The image that a row holds: the epoch's order gives it. Rows past the record's repeat the first.
fn choose(row: u32) -> u32 {
    if row >= record.rows { return 0u; }
    let position = record.first + row;
    if record.shuffle == 0u { return position; }
    let key = vec2<u32>(record.seed_low, record.seed_high);
    return shuffled(position, record.images, record.epoch, ORDER, key);
}
";

const COLUMN: &str = "
// The row of w that makes a column of the result; past the end the last one.
fn row_of_w(col: u32) -> u32 {
    return min(col, p.cols - 1u);
}
";

const PAIRED: &str = "
// The row of w that makes a column of the tile: of four neighbours, two are means and two the
// log-variances of the same dimensions. Past the end it is the last mean.
fn row_of_w(col: u32) -> u32 {
    let dimension = min(col / 4u * 2u + col % 2u, p.latent - 1u);
    return dimension + col % 4u / 2u * p.latent;
}
";

#[cfg(test)]
mod tests {
    use super::*;

    /// The files under `shaders/` are what this source writes; `ELBO_WRITE_SHADERS=1` renews them.
    #[test]
    fn shaders_are_as_generated() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/matmul");
        let mut expected = std::collections::BTreeSet::new();
        for tile in Tile::ALL {
            for entry in ENTRIES {
                let file = format!("{}.{}.wgsl", entry.name, tile.name());
                let (path, generated) = (folder.join(&file), source(tile, entry));
                if std::env::var_os("ELBO_WRITE_SHADERS").is_some() {
                    std::fs::write(&path, &generated).expect("the shader can be written");
                }
                let found = std::fs::read_to_string(&path).unwrap_or_default();
                assert!(
                    found == generated,
                    "{file} differs; run with ELBO_WRITE_SHADERS=1 to renew it"
                );
                expected.insert(file);
            }
        }
        let found = std::fs::read_dir(&folder).expect("the folder of the shaders");
        for file in found {
            let name = file.expect("a file").file_name().to_string_lossy().into_owned();
            assert!(expected.contains(&name), "{name} is written by nothing");
        }
    }
}
