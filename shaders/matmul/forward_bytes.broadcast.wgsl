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
@group(0) @binding(3) var<storage, read> w: array<vec4<u64>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> chosen: array<u32>;

// Which of four neighbouring columns are no padding.
fn real(col: u32) -> vec4<bool> {
    return vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.inside);
}

// Two floats that were loaded as one word.
fn two(word: u64) -> vec2<f32> {
    return vec2<f32>(bitcast<f32>(u32(word)), bitcast<f32>(u32(word >> 32u)));
}

// The two of four values that are a lane's own; its neighbour has the others.
fn half(values: vec4<f32>, lane: u32) -> vec2<f32> {
    return select(values.xy, values.zw, lane % 2u == 1u);
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

@compute @workgroup_size(8)
fn forward_bytes(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    let row0 = 16u * group.x;
    let col0 = 32u * group.y + 4u * lane;
    var c0_0 = vec4<f32>();
    var c1_0 = vec4<f32>();
    var c2_0 = vec4<f32>();
    var c3_0 = vec4<f32>();
    var c4_0 = vec4<f32>();
    var c5_0 = vec4<f32>();
    var c6_0 = vec4<f32>();
    var c7_0 = vec4<f32>();
    var c8_0 = vec4<f32>();
    var c9_0 = vec4<f32>();
    var c10_0 = vec4<f32>();
    var c11_0 = vec4<f32>();
    var c12_0 = vec4<f32>();
    var c13_0 = vec4<f32>();
    var c14_0 = vec4<f32>();
    var c15_0 = vec4<f32>();
    let image0 = choose(row0 + lane);
    let image1 = choose(row0 + 8u + lane);
    if group.y == 0u {
        chosen[row0 + lane] = image0;
        chosen[row0 + 8u + lane] = image1;
    }
    let a_at0 = subgroupBroadcast(image0, 0u) * p.a_stride / 4u + lane / 2u;
    let a_at1 = subgroupBroadcast(image0, 1u) * p.a_stride / 4u + lane / 2u;
    let a_at2 = subgroupBroadcast(image0, 2u) * p.a_stride / 4u + lane / 2u;
    let a_at3 = subgroupBroadcast(image0, 3u) * p.a_stride / 4u + lane / 2u;
    let a_at4 = subgroupBroadcast(image0, 4u) * p.a_stride / 4u + lane / 2u;
    let a_at5 = subgroupBroadcast(image0, 5u) * p.a_stride / 4u + lane / 2u;
    let a_at6 = subgroupBroadcast(image0, 6u) * p.a_stride / 4u + lane / 2u;
    let a_at7 = subgroupBroadcast(image0, 7u) * p.a_stride / 4u + lane / 2u;
    let a_at8 = subgroupBroadcast(image1, 0u) * p.a_stride / 4u + lane / 2u;
    let a_at9 = subgroupBroadcast(image1, 1u) * p.a_stride / 4u + lane / 2u;
    let a_at10 = subgroupBroadcast(image1, 2u) * p.a_stride / 4u + lane / 2u;
    let a_at11 = subgroupBroadcast(image1, 3u) * p.a_stride / 4u + lane / 2u;
    let a_at12 = subgroupBroadcast(image1, 4u) * p.a_stride / 4u + lane / 2u;
    let a_at13 = subgroupBroadcast(image1, 5u) * p.a_stride / 4u + lane / 2u;
    let a_at14 = subgroupBroadcast(image1, 6u) * p.a_stride / 4u + lane / 2u;
    let a_at15 = subgroupBroadcast(image1, 7u) * p.a_stride / 4u + lane / 2u;
    let b_at0 = row_of_w(col0 + 0u) * p.b_stride / 8u;
    let b_at1 = row_of_w(col0 + 1u) * p.b_stride / 8u;
    let b_at2 = row_of_w(col0 + 2u) * p.b_stride / 8u;
    let b_at3 = row_of_w(col0 + 3u) * p.b_stride / 8u;
    for (var k = 0u; k < p.depth; k += 16u) {
        let a0 = half(levels(pixels[a_at0 + k / 4u]), lane);
        let a1 = half(levels(pixels[a_at1 + k / 4u]), lane);
        let a2 = half(levels(pixels[a_at2 + k / 4u]), lane);
        let a3 = half(levels(pixels[a_at3 + k / 4u]), lane);
        let a4 = half(levels(pixels[a_at4 + k / 4u]), lane);
        let a5 = half(levels(pixels[a_at5 + k / 4u]), lane);
        let a6 = half(levels(pixels[a_at6 + k / 4u]), lane);
        let a7 = half(levels(pixels[a_at7 + k / 4u]), lane);
        let a8 = half(levels(pixels[a_at8 + k / 4u]), lane);
        let a9 = half(levels(pixels[a_at9 + k / 4u]), lane);
        let a10 = half(levels(pixels[a_at10 + k / 4u]), lane);
        let a11 = half(levels(pixels[a_at11 + k / 4u]), lane);
        let a12 = half(levels(pixels[a_at12 + k / 4u]), lane);
        let a13 = half(levels(pixels[a_at13 + k / 4u]), lane);
        let a14 = half(levels(pixels[a_at14 + k / 4u]), lane);
        let a15 = half(levels(pixels[a_at15 + k / 4u]), lane);
        let t0_0 = w[b_at0 + k / 8u + 0u];
        let t1_0 = w[b_at1 + k / 8u + 0u];
        let t2_0 = w[b_at2 + k / 8u + 0u];
        let t3_0 = w[b_at3 + k / 8u + 0u];
        let p0_0 = two(t0_0.x);
        let p1_0 = two(t1_0.x);
        let p2_0 = two(t2_0.x);
        let p3_0 = two(t3_0.x);
        {
            let b0 = vec4<f32>(p0_0.x, p1_0.x, p2_0.x, p3_0.x);
            let a_0 = subgroupBroadcast(a0.x, 0u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.x, 0u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.x, 0u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.x, 0u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.x, 0u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.x, 0u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.x, 0u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.x, 0u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.x, 0u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.x, 0u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.x, 0u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.x, 0u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.x, 0u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.x, 0u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.x, 0u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.x, 0u);
            c15_0 += a_15 * b0;
        }
        {
            let b0 = vec4<f32>(p0_0.y, p1_0.y, p2_0.y, p3_0.y);
            let a_0 = subgroupBroadcast(a0.y, 0u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.y, 0u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.y, 0u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.y, 0u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.y, 0u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.y, 0u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.y, 0u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.y, 0u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.y, 0u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.y, 0u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.y, 0u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.y, 0u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.y, 0u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.y, 0u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.y, 0u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.y, 0u);
            c15_0 += a_15 * b0;
        }
        let p0_2 = two(t0_0.y);
        let p1_2 = two(t1_0.y);
        let p2_2 = two(t2_0.y);
        let p3_2 = two(t3_0.y);
        {
            let b0 = vec4<f32>(p0_2.x, p1_2.x, p2_2.x, p3_2.x);
            let a_0 = subgroupBroadcast(a0.x, 1u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.x, 1u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.x, 1u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.x, 1u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.x, 1u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.x, 1u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.x, 1u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.x, 1u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.x, 1u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.x, 1u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.x, 1u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.x, 1u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.x, 1u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.x, 1u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.x, 1u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.x, 1u);
            c15_0 += a_15 * b0;
        }
        {
            let b0 = vec4<f32>(p0_2.y, p1_2.y, p2_2.y, p3_2.y);
            let a_0 = subgroupBroadcast(a0.y, 1u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.y, 1u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.y, 1u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.y, 1u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.y, 1u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.y, 1u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.y, 1u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.y, 1u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.y, 1u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.y, 1u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.y, 1u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.y, 1u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.y, 1u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.y, 1u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.y, 1u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.y, 1u);
            c15_0 += a_15 * b0;
        }
        let p0_4 = two(t0_0.z);
        let p1_4 = two(t1_0.z);
        let p2_4 = two(t2_0.z);
        let p3_4 = two(t3_0.z);
        {
            let b0 = vec4<f32>(p0_4.x, p1_4.x, p2_4.x, p3_4.x);
            let a_0 = subgroupBroadcast(a0.x, 2u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.x, 2u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.x, 2u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.x, 2u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.x, 2u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.x, 2u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.x, 2u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.x, 2u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.x, 2u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.x, 2u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.x, 2u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.x, 2u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.x, 2u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.x, 2u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.x, 2u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.x, 2u);
            c15_0 += a_15 * b0;
        }
        {
            let b0 = vec4<f32>(p0_4.y, p1_4.y, p2_4.y, p3_4.y);
            let a_0 = subgroupBroadcast(a0.y, 2u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.y, 2u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.y, 2u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.y, 2u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.y, 2u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.y, 2u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.y, 2u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.y, 2u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.y, 2u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.y, 2u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.y, 2u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.y, 2u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.y, 2u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.y, 2u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.y, 2u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.y, 2u);
            c15_0 += a_15 * b0;
        }
        let p0_6 = two(t0_0.w);
        let p1_6 = two(t1_0.w);
        let p2_6 = two(t2_0.w);
        let p3_6 = two(t3_0.w);
        {
            let b0 = vec4<f32>(p0_6.x, p1_6.x, p2_6.x, p3_6.x);
            let a_0 = subgroupBroadcast(a0.x, 3u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.x, 3u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.x, 3u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.x, 3u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.x, 3u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.x, 3u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.x, 3u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.x, 3u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.x, 3u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.x, 3u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.x, 3u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.x, 3u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.x, 3u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.x, 3u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.x, 3u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.x, 3u);
            c15_0 += a_15 * b0;
        }
        {
            let b0 = vec4<f32>(p0_6.y, p1_6.y, p2_6.y, p3_6.y);
            let a_0 = subgroupBroadcast(a0.y, 3u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.y, 3u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.y, 3u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.y, 3u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.y, 3u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.y, 3u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.y, 3u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.y, 3u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.y, 3u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.y, 3u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.y, 3u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.y, 3u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.y, 3u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.y, 3u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.y, 3u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.y, 3u);
            c15_0 += a_15 * b0;
        }
        let t0_8 = w[b_at0 + k / 8u + 1u];
        let t1_8 = w[b_at1 + k / 8u + 1u];
        let t2_8 = w[b_at2 + k / 8u + 1u];
        let t3_8 = w[b_at3 + k / 8u + 1u];
        let p0_8 = two(t0_8.x);
        let p1_8 = two(t1_8.x);
        let p2_8 = two(t2_8.x);
        let p3_8 = two(t3_8.x);
        {
            let b0 = vec4<f32>(p0_8.x, p1_8.x, p2_8.x, p3_8.x);
            let a_0 = subgroupBroadcast(a0.x, 4u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.x, 4u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.x, 4u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.x, 4u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.x, 4u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.x, 4u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.x, 4u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.x, 4u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.x, 4u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.x, 4u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.x, 4u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.x, 4u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.x, 4u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.x, 4u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.x, 4u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.x, 4u);
            c15_0 += a_15 * b0;
        }
        {
            let b0 = vec4<f32>(p0_8.y, p1_8.y, p2_8.y, p3_8.y);
            let a_0 = subgroupBroadcast(a0.y, 4u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.y, 4u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.y, 4u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.y, 4u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.y, 4u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.y, 4u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.y, 4u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.y, 4u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.y, 4u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.y, 4u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.y, 4u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.y, 4u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.y, 4u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.y, 4u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.y, 4u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.y, 4u);
            c15_0 += a_15 * b0;
        }
        let p0_10 = two(t0_8.y);
        let p1_10 = two(t1_8.y);
        let p2_10 = two(t2_8.y);
        let p3_10 = two(t3_8.y);
        {
            let b0 = vec4<f32>(p0_10.x, p1_10.x, p2_10.x, p3_10.x);
            let a_0 = subgroupBroadcast(a0.x, 5u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.x, 5u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.x, 5u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.x, 5u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.x, 5u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.x, 5u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.x, 5u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.x, 5u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.x, 5u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.x, 5u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.x, 5u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.x, 5u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.x, 5u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.x, 5u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.x, 5u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.x, 5u);
            c15_0 += a_15 * b0;
        }
        {
            let b0 = vec4<f32>(p0_10.y, p1_10.y, p2_10.y, p3_10.y);
            let a_0 = subgroupBroadcast(a0.y, 5u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.y, 5u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.y, 5u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.y, 5u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.y, 5u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.y, 5u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.y, 5u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.y, 5u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.y, 5u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.y, 5u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.y, 5u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.y, 5u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.y, 5u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.y, 5u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.y, 5u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.y, 5u);
            c15_0 += a_15 * b0;
        }
        let p0_12 = two(t0_8.z);
        let p1_12 = two(t1_8.z);
        let p2_12 = two(t2_8.z);
        let p3_12 = two(t3_8.z);
        {
            let b0 = vec4<f32>(p0_12.x, p1_12.x, p2_12.x, p3_12.x);
            let a_0 = subgroupBroadcast(a0.x, 6u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.x, 6u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.x, 6u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.x, 6u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.x, 6u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.x, 6u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.x, 6u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.x, 6u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.x, 6u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.x, 6u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.x, 6u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.x, 6u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.x, 6u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.x, 6u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.x, 6u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.x, 6u);
            c15_0 += a_15 * b0;
        }
        {
            let b0 = vec4<f32>(p0_12.y, p1_12.y, p2_12.y, p3_12.y);
            let a_0 = subgroupBroadcast(a0.y, 6u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.y, 6u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.y, 6u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.y, 6u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.y, 6u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.y, 6u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.y, 6u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.y, 6u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.y, 6u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.y, 6u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.y, 6u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.y, 6u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.y, 6u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.y, 6u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.y, 6u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.y, 6u);
            c15_0 += a_15 * b0;
        }
        let p0_14 = two(t0_8.w);
        let p1_14 = two(t1_8.w);
        let p2_14 = two(t2_8.w);
        let p3_14 = two(t3_8.w);
        {
            let b0 = vec4<f32>(p0_14.x, p1_14.x, p2_14.x, p3_14.x);
            let a_0 = subgroupBroadcast(a0.x, 7u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.x, 7u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.x, 7u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.x, 7u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.x, 7u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.x, 7u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.x, 7u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.x, 7u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.x, 7u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.x, 7u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.x, 7u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.x, 7u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.x, 7u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.x, 7u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.x, 7u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.x, 7u);
            c15_0 += a_15 * b0;
        }
        {
            let b0 = vec4<f32>(p0_14.y, p1_14.y, p2_14.y, p3_14.y);
            let a_0 = subgroupBroadcast(a0.y, 7u);
            c0_0 += a_0 * b0;
            let a_1 = subgroupBroadcast(a1.y, 7u);
            c1_0 += a_1 * b0;
            let a_2 = subgroupBroadcast(a2.y, 7u);
            c2_0 += a_2 * b0;
            let a_3 = subgroupBroadcast(a3.y, 7u);
            c3_0 += a_3 * b0;
            let a_4 = subgroupBroadcast(a4.y, 7u);
            c4_0 += a_4 * b0;
            let a_5 = subgroupBroadcast(a5.y, 7u);
            c5_0 += a_5 * b0;
            let a_6 = subgroupBroadcast(a6.y, 7u);
            c6_0 += a_6 * b0;
            let a_7 = subgroupBroadcast(a7.y, 7u);
            c7_0 += a_7 * b0;
            let a_8 = subgroupBroadcast(a8.y, 7u);
            c8_0 += a_8 * b0;
            let a_9 = subgroupBroadcast(a9.y, 7u);
            c9_0 += a_9 * b0;
            let a_10 = subgroupBroadcast(a10.y, 7u);
            c10_0 += a_10 * b0;
            let a_11 = subgroupBroadcast(a11.y, 7u);
            c11_0 += a_11 * b0;
            let a_12 = subgroupBroadcast(a12.y, 7u);
            c12_0 += a_12 * b0;
            let a_13 = subgroupBroadcast(a13.y, 7u);
            c13_0 += a_13 * b0;
            let a_14 = subgroupBroadcast(a14.y, 7u);
            c14_0 += a_14 * b0;
            let a_15 = subgroupBroadcast(a15.y, 7u);
            c15_0 += a_15 * b0;
        }
    }
    for (var i = 0u; i < min(16u, max(p.rows, row0) - row0); i++) {
        let row = row0 + i;
        if col0 + 0u < p.cols {
            let col = col0 + 0u;
            let value = c0_0;
            let at = (row * p.c_stride + col) / 4u;
let sum = value + b[col / 4u];
            var result = vec4<f32>();
            for (var j = 0u; j < 4u; j++) { result[j] = activate(activation, sum[j]); }
            y[at] = select(vec4<f32>(), result, real(col));
        }
        c0_0 = c1_0;
        c1_0 = c2_0;
        c2_0 = c3_0;
        c3_0 = c4_0;
        c4_0 = c5_0;
        c5_0 = c6_0;
        c6_0 = c7_0;
        c7_0 = c8_0;
        c8_0 = c9_0;
        c9_0 = c10_0;
        c10_0 = c11_0;
        c11_0 = c12_0;
        c12_0 = c13_0;
        c13_0 = c14_0;
        c14_0 = c15_0;
    }
}
