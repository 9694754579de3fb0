// Written by `src/kernels/matmul/generate/`; change that, not this.
// w and b, which follow one another in `weights`, are updated by their gradients dyᵀ x and Σ dy,
// which are not kept, x being rows of a dataset of bytes. As `optimizer.wgsl` has it.

struct Product {
    rows: u32, cols: u32, depth: u32, a_stride: u32, b_stride: u32, c_stride: u32, inside: u32,
    activation: u32, accumulate: u32, latent: u32, other_stride: u32, parts: u32, bias: u32,
    decoupled: u32,
}
@group(0) @binding(0) var<uniform> p: Product;

@group(0) @binding(1) var<storage, read> dy: array<u64>;
@group(0) @binding(2) var<storage, read> pixels: array<u32>;
@group(0) @binding(3) var<storage, read> image: array<u32>;
@group(0) @binding(4) var<storage, read_write> guard_words: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> weights: array<vec2<u64>>;
@group(0) @binding(6) var<storage, read_write> first: array<vec2<u64>>;
@group(0) @binding(7) var<storage, read_write> second: array<vec2<u64>>;

// Four floats as two words, which cost half as many loads and stores.
fn load(words: vec2<u64>) -> vec4<f32> {
    return vec4<f32>(two(words.x), two(words.y));
}

fn store(values: vec4<f32>) -> vec2<u64> {
    let bits = bitcast<vec4<u32>>(values);
    return vec2<u64>(u64(bits.x) | (u64(bits.y) << 32u), u64(bits.z) | (u64(bits.w) << 32u));
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

// Two floats that were loaded as one word.
fn two(word: u64) -> vec2<f32> {
    return vec2<f32>(bitcast<f32>(u32(word)), bitcast<f32>(u32(word >> 32u)));
}

// The values of four pixels in a word.
fn levels(word: u32) -> vec4<f32> {
    let four = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
    return vec4<f32>(four) / 255.0;
}

@compute @workgroup_size(8)
fn adam_bytes(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    let row0 = 16u * group.x;
    let col0 = 64u * group.y + 8u * lane;
    let live = atomicLoad(&guard_words[0]) == 0u;
    var c0_0 = vec4<f32>();
    var c0_1 = vec4<f32>();
    var c1_0 = vec4<f32>();
    var c1_1 = vec4<f32>();
    var c2_0 = vec4<f32>();
    var c2_1 = vec4<f32>();
    var c3_0 = vec4<f32>();
    var c3_1 = vec4<f32>();
    var c4_0 = vec4<f32>();
    var c4_1 = vec4<f32>();
    var c5_0 = vec4<f32>();
    var c5_1 = vec4<f32>();
    var c6_0 = vec4<f32>();
    var c6_1 = vec4<f32>();
    var c7_0 = vec4<f32>();
    var c7_1 = vec4<f32>();
    var c8_0 = vec4<f32>();
    var c8_1 = vec4<f32>();
    var c9_0 = vec4<f32>();
    var c9_1 = vec4<f32>();
    var c10_0 = vec4<f32>();
    var c10_1 = vec4<f32>();
    var c11_0 = vec4<f32>();
    var c11_1 = vec4<f32>();
    var c12_0 = vec4<f32>();
    var c12_1 = vec4<f32>();
    var c13_0 = vec4<f32>();
    var c13_1 = vec4<f32>();
    var c14_0 = vec4<f32>();
    var c14_1 = vec4<f32>();
    var c15_0 = vec4<f32>();
    var c15_1 = vec4<f32>();
    var bias2 = vec2<f32>();
    let a_at = row0 / 2u + lane;
    let b_at = min(col0, p.cols - 8u) / 4u;
    for (var k = 0u; k < p.depth; k += 4u) {
        let own_image = image[k + lane % 4u];
        {
            let b0 = levels(pixels[subgroupBroadcast(own_image, 0u) * p.b_stride / 4u + b_at + 0u]);
            let b1 = levels(pixels[subgroupBroadcast(own_image, 0u) * p.b_stride / 4u + b_at + 1u]);
            let a = two(dy[(k + 0u) * p.a_stride / 2u + a_at]);
            bias2 += a;
            let a_0 = subgroupBroadcast(a.x, 0u);
            c0_0 += a_0 * b0;
            c0_1 += a_0 * b1;
            let a_1 = subgroupBroadcast(a.y, 0u);
            c1_0 += a_1 * b0;
            c1_1 += a_1 * b1;
            let a_2 = subgroupBroadcast(a.x, 1u);
            c2_0 += a_2 * b0;
            c2_1 += a_2 * b1;
            let a_3 = subgroupBroadcast(a.y, 1u);
            c3_0 += a_3 * b0;
            c3_1 += a_3 * b1;
            let a_4 = subgroupBroadcast(a.x, 2u);
            c4_0 += a_4 * b0;
            c4_1 += a_4 * b1;
            let a_5 = subgroupBroadcast(a.y, 2u);
            c5_0 += a_5 * b0;
            c5_1 += a_5 * b1;
            let a_6 = subgroupBroadcast(a.x, 3u);
            c6_0 += a_6 * b0;
            c6_1 += a_6 * b1;
            let a_7 = subgroupBroadcast(a.y, 3u);
            c7_0 += a_7 * b0;
            c7_1 += a_7 * b1;
            let a_8 = subgroupBroadcast(a.x, 4u);
            c8_0 += a_8 * b0;
            c8_1 += a_8 * b1;
            let a_9 = subgroupBroadcast(a.y, 4u);
            c9_0 += a_9 * b0;
            c9_1 += a_9 * b1;
            let a_10 = subgroupBroadcast(a.x, 5u);
            c10_0 += a_10 * b0;
            c10_1 += a_10 * b1;
            let a_11 = subgroupBroadcast(a.y, 5u);
            c11_0 += a_11 * b0;
            c11_1 += a_11 * b1;
            let a_12 = subgroupBroadcast(a.x, 6u);
            c12_0 += a_12 * b0;
            c12_1 += a_12 * b1;
            let a_13 = subgroupBroadcast(a.y, 6u);
            c13_0 += a_13 * b0;
            c13_1 += a_13 * b1;
            let a_14 = subgroupBroadcast(a.x, 7u);
            c14_0 += a_14 * b0;
            c14_1 += a_14 * b1;
            let a_15 = subgroupBroadcast(a.y, 7u);
            c15_0 += a_15 * b0;
            c15_1 += a_15 * b1;
        }
        {
            let b0 = levels(pixels[subgroupBroadcast(own_image, 1u) * p.b_stride / 4u + b_at + 0u]);
            let b1 = levels(pixels[subgroupBroadcast(own_image, 1u) * p.b_stride / 4u + b_at + 1u]);
            let a = two(dy[(k + 1u) * p.a_stride / 2u + a_at]);
            bias2 += a;
            let a_0 = subgroupBroadcast(a.x, 0u);
            c0_0 += a_0 * b0;
            c0_1 += a_0 * b1;
            let a_1 = subgroupBroadcast(a.y, 0u);
            c1_0 += a_1 * b0;
            c1_1 += a_1 * b1;
            let a_2 = subgroupBroadcast(a.x, 1u);
            c2_0 += a_2 * b0;
            c2_1 += a_2 * b1;
            let a_3 = subgroupBroadcast(a.y, 1u);
            c3_0 += a_3 * b0;
            c3_1 += a_3 * b1;
            let a_4 = subgroupBroadcast(a.x, 2u);
            c4_0 += a_4 * b0;
            c4_1 += a_4 * b1;
            let a_5 = subgroupBroadcast(a.y, 2u);
            c5_0 += a_5 * b0;
            c5_1 += a_5 * b1;
            let a_6 = subgroupBroadcast(a.x, 3u);
            c6_0 += a_6 * b0;
            c6_1 += a_6 * b1;
            let a_7 = subgroupBroadcast(a.y, 3u);
            c7_0 += a_7 * b0;
            c7_1 += a_7 * b1;
            let a_8 = subgroupBroadcast(a.x, 4u);
            c8_0 += a_8 * b0;
            c8_1 += a_8 * b1;
            let a_9 = subgroupBroadcast(a.y, 4u);
            c9_0 += a_9 * b0;
            c9_1 += a_9 * b1;
            let a_10 = subgroupBroadcast(a.x, 5u);
            c10_0 += a_10 * b0;
            c10_1 += a_10 * b1;
            let a_11 = subgroupBroadcast(a.y, 5u);
            c11_0 += a_11 * b0;
            c11_1 += a_11 * b1;
            let a_12 = subgroupBroadcast(a.x, 6u);
            c12_0 += a_12 * b0;
            c12_1 += a_12 * b1;
            let a_13 = subgroupBroadcast(a.y, 6u);
            c13_0 += a_13 * b0;
            c13_1 += a_13 * b1;
            let a_14 = subgroupBroadcast(a.x, 7u);
            c14_0 += a_14 * b0;
            c14_1 += a_14 * b1;
            let a_15 = subgroupBroadcast(a.y, 7u);
            c15_0 += a_15 * b0;
            c15_1 += a_15 * b1;
        }
        {
            let b0 = levels(pixels[subgroupBroadcast(own_image, 2u) * p.b_stride / 4u + b_at + 0u]);
            let b1 = levels(pixels[subgroupBroadcast(own_image, 2u) * p.b_stride / 4u + b_at + 1u]);
            let a = two(dy[(k + 2u) * p.a_stride / 2u + a_at]);
            bias2 += a;
            let a_0 = subgroupBroadcast(a.x, 0u);
            c0_0 += a_0 * b0;
            c0_1 += a_0 * b1;
            let a_1 = subgroupBroadcast(a.y, 0u);
            c1_0 += a_1 * b0;
            c1_1 += a_1 * b1;
            let a_2 = subgroupBroadcast(a.x, 1u);
            c2_0 += a_2 * b0;
            c2_1 += a_2 * b1;
            let a_3 = subgroupBroadcast(a.y, 1u);
            c3_0 += a_3 * b0;
            c3_1 += a_3 * b1;
            let a_4 = subgroupBroadcast(a.x, 2u);
            c4_0 += a_4 * b0;
            c4_1 += a_4 * b1;
            let a_5 = subgroupBroadcast(a.y, 2u);
            c5_0 += a_5 * b0;
            c5_1 += a_5 * b1;
            let a_6 = subgroupBroadcast(a.x, 3u);
            c6_0 += a_6 * b0;
            c6_1 += a_6 * b1;
            let a_7 = subgroupBroadcast(a.y, 3u);
            c7_0 += a_7 * b0;
            c7_1 += a_7 * b1;
            let a_8 = subgroupBroadcast(a.x, 4u);
            c8_0 += a_8 * b0;
            c8_1 += a_8 * b1;
            let a_9 = subgroupBroadcast(a.y, 4u);
            c9_0 += a_9 * b0;
            c9_1 += a_9 * b1;
            let a_10 = subgroupBroadcast(a.x, 5u);
            c10_0 += a_10 * b0;
            c10_1 += a_10 * b1;
            let a_11 = subgroupBroadcast(a.y, 5u);
            c11_0 += a_11 * b0;
            c11_1 += a_11 * b1;
            let a_12 = subgroupBroadcast(a.x, 6u);
            c12_0 += a_12 * b0;
            c12_1 += a_12 * b1;
            let a_13 = subgroupBroadcast(a.y, 6u);
            c13_0 += a_13 * b0;
            c13_1 += a_13 * b1;
            let a_14 = subgroupBroadcast(a.x, 7u);
            c14_0 += a_14 * b0;
            c14_1 += a_14 * b1;
            let a_15 = subgroupBroadcast(a.y, 7u);
            c15_0 += a_15 * b0;
            c15_1 += a_15 * b1;
        }
        {
            let b0 = levels(pixels[subgroupBroadcast(own_image, 3u) * p.b_stride / 4u + b_at + 0u]);
            let b1 = levels(pixels[subgroupBroadcast(own_image, 3u) * p.b_stride / 4u + b_at + 1u]);
            let a = two(dy[(k + 3u) * p.a_stride / 2u + a_at]);
            bias2 += a;
            let a_0 = subgroupBroadcast(a.x, 0u);
            c0_0 += a_0 * b0;
            c0_1 += a_0 * b1;
            let a_1 = subgroupBroadcast(a.y, 0u);
            c1_0 += a_1 * b0;
            c1_1 += a_1 * b1;
            let a_2 = subgroupBroadcast(a.x, 1u);
            c2_0 += a_2 * b0;
            c2_1 += a_2 * b1;
            let a_3 = subgroupBroadcast(a.y, 1u);
            c3_0 += a_3 * b0;
            c3_1 += a_3 * b1;
            let a_4 = subgroupBroadcast(a.x, 2u);
            c4_0 += a_4 * b0;
            c4_1 += a_4 * b1;
            let a_5 = subgroupBroadcast(a.y, 2u);
            c5_0 += a_5 * b0;
            c5_1 += a_5 * b1;
            let a_6 = subgroupBroadcast(a.x, 3u);
            c6_0 += a_6 * b0;
            c6_1 += a_6 * b1;
            let a_7 = subgroupBroadcast(a.y, 3u);
            c7_0 += a_7 * b0;
            c7_1 += a_7 * b1;
            let a_8 = subgroupBroadcast(a.x, 4u);
            c8_0 += a_8 * b0;
            c8_1 += a_8 * b1;
            let a_9 = subgroupBroadcast(a.y, 4u);
            c9_0 += a_9 * b0;
            c9_1 += a_9 * b1;
            let a_10 = subgroupBroadcast(a.x, 5u);
            c10_0 += a_10 * b0;
            c10_1 += a_10 * b1;
            let a_11 = subgroupBroadcast(a.y, 5u);
            c11_0 += a_11 * b0;
            c11_1 += a_11 * b1;
            let a_12 = subgroupBroadcast(a.x, 6u);
            c12_0 += a_12 * b0;
            c12_1 += a_12 * b1;
            let a_13 = subgroupBroadcast(a.y, 6u);
            c13_0 += a_13 * b0;
            c13_1 += a_13 * b1;
            let a_14 = subgroupBroadcast(a.x, 7u);
            c14_0 += a_14 * b0;
            c14_1 += a_14 * b1;
            let a_15 = subgroupBroadcast(a.y, 7u);
            c15_0 += a_15 * b0;
            c15_1 += a_15 * b1;
        }
    }
    for (var i = 0u; i < min(16u, max(p.rows, row0) - row0); i++) {
        let row = row0 + i;
        if col0 + 0u < p.cols {
            let col = col0 + 0u;
            let value = c0_0;
            let at = (row * p.c_stride + col) / 4u;
            update(at, value, live);
        }
        if col0 + 4u < p.cols {
            let col = col0 + 4u;
            let value = c0_1;
            let at = (row * p.c_stride + col) / 4u;
            update(at, value, live);
        }
        c0_0 = c1_0;
        c0_1 = c1_1;
        c1_0 = c2_0;
        c1_1 = c2_1;
        c2_0 = c3_0;
        c2_1 = c3_1;
        c3_0 = c4_0;
        c3_1 = c4_1;
        c4_0 = c5_0;
        c4_1 = c5_1;
        c5_0 = c6_0;
        c5_1 = c6_1;
        c6_0 = c7_0;
        c6_1 = c7_1;
        c7_0 = c8_0;
        c7_1 = c8_1;
        c8_0 = c9_0;
        c8_1 = c9_1;
        c9_0 = c10_0;
        c9_1 = c10_1;
        c10_0 = c11_0;
        c10_1 = c11_1;
        c11_0 = c12_0;
        c11_1 = c12_1;
        c12_0 = c13_0;
        c12_1 = c13_1;
        c13_0 = c14_0;
        c13_1 = c14_1;
        c14_0 = c15_0;
        c14_1 = c15_1;
    }
    if group.y == 0u {
        let other = subgroupShuffleXor(bias2, 1u);
        let row = row0 + 2u * lane;
        let bias4 = vec4<f32>(bias2, other);
        if lane % 2u == 0u { update((p.bias + row) / 4u, bias4, live); }
    }
}
