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

// A, row by row; B, k by k; and one matrix of sums of each subgroup.
var<workgroup> tile_a: array<f16, 512>;
var<workgroup> tile_b: array<f16, 512>;
var<workgroup> sums: array<f32, 256>;
var<workgroup> images: array<u32, 32>;

@compute @workgroup_size(32)
fn forward_bytes(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) own: u32) {
    let first_row = 32u * group.x;
    let first_col = 32u * group.y;
    let quarter = own / 8u;
    let own_row = quarter / 2u * 16u;
    let own_col = quarter % 2u * 16u;
    if own < 32u && first_row + own < p.rows {
        images[own] = choose(first_row + own);
        if group.y == 0u { chosen[first_row + own] = images[own]; }
    }
    var c00 = coop_mat8x8<f32, C>();
    var c01 = coop_mat8x8<f32, C>();
    var c10 = coop_mat8x8<f32, C>();
    var c11 = coop_mat8x8<f32, C>();
    for (var block = 0u; block < p.depth; block += 16u) {
        workgroupBarrier();
        for (var i = own; i < 128u; i += 32u) {
            let tile_a_k = block + 4u * (i % 4u);
            let tile_a_four = vec4<f16>(select(vec4<f32>(), levels(pixels[images[min(i / 4u, p.rows - first_row - 1u)] * p.a_stride / 4u + min(tile_a_k, p.depth - 4u) / 4u]), tile_a_k < p.depth));
            tile_a[4u * i + 0u] = tile_a_four[0];
            tile_a[4u * i + 1u] = tile_a_four[1];
            tile_a[4u * i + 2u] = tile_a_four[2];
            tile_a[4u * i + 3u] = tile_a_four[3];
            let tile_b_k = block + 4u * (i % 4u);
            let tile_b_four = vec4<f16>(select(vec4<f32>(), w[row_of_w(first_col + i / 4u) * p.b_stride / 4u + min(tile_b_k, p.depth - 4u) / 4u], tile_b_k < p.depth));
            tile_b[(4u * (i % 4u) + 0u) * 32u + i / 4u] = tile_b_four[0];
            tile_b[(4u * (i % 4u) + 1u) * 32u + i / 4u] = tile_b_four[1];
            tile_b[(4u * (i % 4u) + 2u) * 32u + i / 4u] = tile_b_four[2];
            tile_b[(4u * (i % 4u) + 3u) * 32u + i / 4u] = tile_b_four[3];
        }
        workgroupBarrier();
        {
            let a0 = coopLoadT<coop_mat8x8<f16, A>>(&tile_a[(own_row + 0u) * 16u + 0u], 16u);
            let b0 = coopLoadT<coop_mat8x8<f16, B>>(&tile_b[0u + own_col + 0u], 32u);
            let a1 = coopLoadT<coop_mat8x8<f16, A>>(&tile_a[(own_row + 8u) * 16u + 0u], 16u);
            let b1 = coopLoadT<coop_mat8x8<f16, B>>(&tile_b[0u + own_col + 8u], 32u);
            c00 = coopMultiplyAdd(a0, b0, c00);
            c01 = coopMultiplyAdd(a0, b1, c01);
            c10 = coopMultiplyAdd(a1, b0, c10);
            c11 = coopMultiplyAdd(a1, b1, c11);
        }
        {
            let a0 = coopLoadT<coop_mat8x8<f16, A>>(&tile_a[(own_row + 0u) * 16u + 8u], 16u);
            let b0 = coopLoadT<coop_mat8x8<f16, B>>(&tile_b[256u + own_col + 0u], 32u);
            let a1 = coopLoadT<coop_mat8x8<f16, A>>(&tile_a[(own_row + 8u) * 16u + 8u], 16u);
            let b1 = coopLoadT<coop_mat8x8<f16, B>>(&tile_b[256u + own_col + 8u], 32u);
            c00 = coopMultiplyAdd(a0, b0, c00);
            c01 = coopMultiplyAdd(a0, b1, c01);
            c10 = coopMultiplyAdd(a1, b0, c10);
            c11 = coopMultiplyAdd(a1, b1, c11);
        }
    }
    workgroupBarrier();
    coopStoreT(c00, &sums[quarter * 64u], 8u);
    workgroupBarrier();
    for (var i = own % 8u; i < 16u; i += 8u) {
        let row = first_row + own_row + 0u + i / 2u;
        let col = first_col + own_col + 0u + 4u * (i % 2u);
        if row < p.rows && col < p.cols {
            let place = quarter * 64u + 4u * i;
            let value = vec4<f32>(sums[place], sums[place + 1u], sums[place + 2u], sums[place + 3u]);
            let at = (row * p.c_stride + col) / 4u;
let sum = value + b[col / 4u];
            var result = vec4<f32>();
            for (var j = 0u; j < 4u; j++) { result[j] = activate(activation, sum[j]); }
            y[at] = select(vec4<f32>(), result, real(col));
        }
    }
    workgroupBarrier();
    coopStoreT(c01, &sums[quarter * 64u], 8u);
    workgroupBarrier();
    for (var i = own % 8u; i < 16u; i += 8u) {
        let row = first_row + own_row + 0u + i / 2u;
        let col = first_col + own_col + 8u + 4u * (i % 2u);
        if row < p.rows && col < p.cols {
            let place = quarter * 64u + 4u * i;
            let value = vec4<f32>(sums[place], sums[place + 1u], sums[place + 2u], sums[place + 3u]);
            let at = (row * p.c_stride + col) / 4u;
let sum = value + b[col / 4u];
            var result = vec4<f32>();
            for (var j = 0u; j < 4u; j++) { result[j] = activate(activation, sum[j]); }
            y[at] = select(vec4<f32>(), result, real(col));
        }
    }
    workgroupBarrier();
    coopStoreT(c10, &sums[quarter * 64u], 8u);
    workgroupBarrier();
    for (var i = own % 8u; i < 16u; i += 8u) {
        let row = first_row + own_row + 8u + i / 2u;
        let col = first_col + own_col + 0u + 4u * (i % 2u);
        if row < p.rows && col < p.cols {
            let place = quarter * 64u + 4u * i;
            let value = vec4<f32>(sums[place], sums[place + 1u], sums[place + 2u], sums[place + 3u]);
            let at = (row * p.c_stride + col) / 4u;
let sum = value + b[col / 4u];
            var result = vec4<f32>();
            for (var j = 0u; j < 4u; j++) { result[j] = activate(activation, sum[j]); }
            y[at] = select(vec4<f32>(), result, real(col));
        }
    }
    workgroupBarrier();
    coopStoreT(c11, &sums[quarter * 64u], 8u);
    workgroupBarrier();
    for (var i = own % 8u; i < 16u; i += 8u) {
        let row = first_row + own_row + 8u + i / 2u;
        let col = first_col + own_col + 8u + 4u * (i % 2u);
        if row < p.rows && col < p.cols {
            let place = quarter * 64u + 4u * i;
            let value = vec4<f32>(sums[place], sums[place + 1u], sums[place + 2u], sums[place + 3u]);
            let at = (row * p.c_stride + col) / 4u;
let sum = value + b[col / 4u];
            var result = vec4<f32>();
            for (var j = 0u; j < 4u; j++) { result[j] = activate(activation, sum[j]); }
            y[at] = select(vec4<f32>(), result, real(col));
        }
    }
}
