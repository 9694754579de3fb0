// Written by `src/kernels/matmul/generate/`; change that, not this.
// w and b, which follow one another in `weights`, are updated by their gradients dyᵀ x and Σ dy,
// which are not kept, x being rows of a dataset of bytes. As `optimizer.wgsl` has it.

struct Product {
    rows: u32, cols: u32, depth: u32, a_stride: u32, b_stride: u32, c_stride: u32, inside: u32,
    activation: u32, accumulate: u32, latent: u32, other_stride: u32, parts: u32, bias: u32,
    decoupled: u32,
}
@group(0) @binding(0) var<uniform> p: Product;

@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> pixels: array<u32>;
@group(0) @binding(3) var<storage, read> image: array<u32>;
@group(0) @binding(4) var<storage, read_write> guard_words: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> first: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> second: array<vec4<f32>>;

// Loaded and stored as they are.
fn load(values: vec4<f32>) -> vec4<f32> {
    return values;
}

fn store(values: vec4<f32>) -> vec4<f32> {
    return values;
}

// The new weights and moments of four elements, unless the guard is set. What would not be finite
// is kept, as is what has a gradient of 2⁶⁴ or more.
fn update(at: u32, sums: vec4<f32>, live: bool) {
    if !live { return; }
    let w = load(weights[at]);
    let m = load(first[at]);
    let v = load(second[at]);
    let updated = adam_of(p.decoupled, sums, w, m, v);
    let large = (bitcast<vec4<u32>>(sums) & vec4<u32>(0x7fffffffu)) >= vec4<u32>(0x5f800000u);
    weights[at] = store(select(updated.weight, w, large));
    first[at] = store(select(updated.first, m, large));
    second[at] = store(select(updated.second, v, large));
    if updated.broken || any(large) {
        atomicOr(&guard_words[1], select(4u, 2u, any(large)));
    }
}

// The values of four pixels in a word.
fn levels(word: u32) -> vec4<f32> {
    let four = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
    return vec4<f32>(four) / 255.0;
}

// A, row by row; B, k by k; and one matrix of sums of each subgroup.
var<workgroup> tile_a: array<f16, 512>;
var<workgroup> tile_b: array<f16, 512>;
var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(32)
fn adam_bytes(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) own: u32) {
    let first_row = 32u * group.x;
    let first_col = 32u * group.y;
    let quarter = own / 8u;
    let own_row = quarter / 2u * 16u;
    let own_col = quarter % 2u * 16u;
    let live = atomicLoad(&guard_words[0]) == 0u;
    var c00 = coop_mat8x8<f32, C>();
    var c01 = coop_mat8x8<f32, C>();
    var c10 = coop_mat8x8<f32, C>();
    var c11 = coop_mat8x8<f32, C>();
    for (var block = 0u; block < p.depth; block += 16u) {
        workgroupBarrier();
        for (var i = own; i < 128u; i += 32u) {
            let tile_a_k = block + i / 8u;
            let tile_a_four = vec4<f16>(select(vec4<f32>(), dy[min(tile_a_k, p.depth - 1u) * p.a_stride / 4u + min(first_row / 4u + i % 8u, p.rows / 4u - 1u)], tile_a_k < p.depth));
            tile_a[(4u * (i % 8u) + 0u) * 16u + i / 8u] = tile_a_four[0];
            tile_a[(4u * (i % 8u) + 1u) * 16u + i / 8u] = tile_a_four[1];
            tile_a[(4u * (i % 8u) + 2u) * 16u + i / 8u] = tile_a_four[2];
            tile_a[(4u * (i % 8u) + 3u) * 16u + i / 8u] = tile_a_four[3];
            let tile_b_k = block + i / 8u;
            let tile_b_four = vec4<f16>(select(vec4<f32>(), levels(pixels[image[min(tile_b_k, p.depth - 1u)] * p.b_stride / 4u + min(first_col / 4u + i % 8u, p.cols / 4u - 1u)]), tile_b_k < p.depth));
            tile_b[4u * i + 0u] = tile_b_four[0];
            tile_b[4u * i + 1u] = tile_b_four[1];
            tile_b[4u * i + 2u] = tile_b_four[2];
            tile_b[4u * i + 3u] = tile_b_four[3];
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
            update(at, value, live);
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
            update(at, value, live);
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
            update(at, value, live);
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
            update(at, value, live);
        }
    }
    let row = first_row + 4u * own;
    if group.y == 0u && own < 8u && row < p.rows {
        var bias4 = vec4<f32>();
        for (var k = 0u; k < p.depth; k++) { bias4 += dy[(k * p.a_stride + row) / 4u]; }
        update((p.bias + row) / 4u, bias4, live);
    }
}
