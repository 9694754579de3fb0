// Written by `src/kernels/matmul/generate/`; change that, not this.
// y (rows, outputs) = f(x wᵀ + b), x being the minibatch's rows of a dataset of bytes, and
// chosen (rows) = which they are.

struct Product {
    rows: u32, cols: u32, depth: u32, a_stride: u32, b_stride: u32, c_stride: u32, inside: u32,
    activation: u32, accumulate: u32, latent: u32, other_stride: u32, parts: u32, bias: u32,
    decoupled: u32,
}
@group(0) @binding(0) var<uniform> p: Product;
override activation: u32 = 0u;

@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> chosen: array<u32>;

// Which of four neighbouring columns are no padding.
fn real(col: u32) -> vec4<bool> {
    return vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.inside);
}

// The values of four pixels in a word.
fn levels(word: u32) -> vec4<f32> {
    let four = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
    return vec4<f32>(four) / 255.0;
}

// The image that a row holds: the epoch's order gives it. Rows past the record's repeat the first.
fn choose(row: u32) -> u32 {
    if row >= record.rows { return 0u; }
    let position = record.first + row;
    if record.shuffle == 0u { return position; }
    let key = vec2<u32>(record.seed_low, record.seed_high);
    return shuffled(position, record.images, record.epoch, ORDER, key);
}

// The row of w that makes a column of the result; past the end the last one.
fn row_of_w(col: u32) -> u32 {
    return min(col, p.cols - 1u);
}

// A and B of each slice, k by k; then the sums of all slices but the first.
var<workgroup> tiles: array<vec4<f32>, 768>;

@compute @workgroup_size(8, 8, 4)
fn forward_bytes(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let own = 8u * id.y + id.x;
    let first_row = 32u * group.x;
    let first_col = 32u * group.y;
    let row0 = first_row + 4u * id.y;
    let col0 = first_col + 4u * id.x;
    let tile_a = 144u * id.z;
    let tile_b = tile_a + 72u;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    let row_a = min(first_row + own / 2u, p.rows - 1u);
    let image = choose(row_a);
    if group.y == 0u && id.z == 0u && own % 2u == 0u { chosen[row_a] = image; }
    let a_at = image * p.a_stride / 4u + own % 2u;
    let b_at = row_of_w(first_col + own / 2u) * p.b_stride / 4u + own % 2u;
    for (var block = 0u; block < p.depth; block += 32u) {
        let k = block + 8u * id.z;
        workgroupBarrier();
        if k < p.depth {
            let tile_a_four = levels(pixels[a_at + k / 4u]);
            let tile_a_at = tile_a + own % 2u * 36u + own / 8u;
            let tile_a_part = own / 2u % 4u;
            tiles[tile_a_at + 0u][tile_a_part] = tile_a_four[0];
            tiles[tile_a_at + 9u][tile_a_part] = tile_a_four[1];
            tiles[tile_a_at + 18u][tile_a_part] = tile_a_four[2];
            tiles[tile_a_at + 27u][tile_a_part] = tile_a_four[3];
            let tile_b_four = w[b_at + k / 4u];
            let tile_b_at = tile_b + own % 2u * 36u + own / 8u;
            let tile_b_part = own / 2u % 4u;
            tiles[tile_b_at + 0u][tile_b_part] = tile_b_four[0];
            tiles[tile_b_at + 9u][tile_b_part] = tile_b_four[1];
            tiles[tile_b_at + 18u][tile_b_part] = tile_b_four[2];
            tiles[tile_b_at + 27u][tile_b_part] = tile_b_four[3];
        }
        workgroupBarrier();
        if k < p.depth {
            {
                let a = tiles[tile_a + 0u + id.y];
                let b = tiles[tile_b + 0u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 9u + id.y];
                let b = tiles[tile_b + 9u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 18u + id.y];
                let b = tiles[tile_b + 18u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 27u + id.y];
                let b = tiles[tile_b + 27u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 36u + id.y];
                let b = tiles[tile_b + 36u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 45u + id.y];
                let b = tiles[tile_b + 45u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 54u + id.y];
                let b = tiles[tile_b + 54u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 63u + id.y];
                let b = tiles[tile_b + 63u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
        }
    }
    workgroupBarrier();
    if id.z > 0u {
        let at = ((id.z - 1u) * 64u + own) * 4u;
        tiles[at + 0u] = c0;
        tiles[at + 1u] = c1;
        tiles[at + 2u] = c2;
        tiles[at + 3u] = c3;
    }
    workgroupBarrier();
    if id.z == 0u {
        for (var slice = 0u; slice < 3u; slice++) {
            let at = (slice * 64u + own) * 4u;
            c0 += tiles[at + 0u];
            c1 += tiles[at + 1u];
            c2 += tiles[at + 2u];
            c3 += tiles[at + 3u];
        }
    }
    if id.z == 0u {
    for (var i = 0u; i < min(4u, max(p.rows, row0) - row0); i++) {
        let row = row0 + i;
        if col0 + 0u < p.cols {
            let col = col0 + 0u;
            let value = c0;
            let at = (row * p.c_stride + col) / 4u;
let sum = value + b[col / 4u];
            var result = vec4<f32>();
            for (var j = 0u; j < 4u; j++) { result[j] = activate(activation, sum[j]); }
            y[at] = select(vec4<f32>(), result, real(col));
        }
        c0 = c1;
        c1 = c2;
        c2 = c3;
    }
    }
}
