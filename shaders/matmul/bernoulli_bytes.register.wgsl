// Written by `src/kernels/matmul/generate/`; change that, not this.
// The logits (rows, n) = x wᵀ + b are not kept: nll = −log p(image | logits) of each row, in
// parts, and dlogits (rows, n), the images being rows of a dataset of bytes. As
// `bernoulli.wgsl` has it.

struct Product {
    rows: u32, cols: u32, depth: u32, a_stride: u32, b_stride: u32, c_stride: u32, inside: u32,
    activation: u32, accumulate: u32, latent: u32, other_stride: u32, parts: u32, bias: u32,
    decoupled: u32,
}
@group(0) @binding(0) var<uniform> p: Product;

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> pixels: array<u32>;
@group(0) @binding(5) var<storage, read> image: array<u32>;
@group(0) @binding(6) var<storage, read_write> dlogits: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> nll: array<f32>;

// Which of four neighbouring columns are no padding.
fn real(col: u32) -> vec4<bool> {
    return vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.inside);
}

// The values of four pixels in a word.
fn levels(word: u32) -> vec4<f32> {
    let four = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
    return vec4<f32>(four) / 255.0;
}

// The row of w that makes a column of the result; past the end the last one.
fn row_of_w(col: u32) -> u32 {
    return min(col, p.cols - 1u);
}

var<workgroup> row_parts: array<f32, 256>;

@compute @workgroup_size(8, 8)
fn bernoulli_bytes(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let row0 = 32u * group.x + 4u * id.y;
    let col0 = 32u * group.y + 4u * id.x;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    let a_at0 = min(row0 + 0u, p.rows - 1u) * p.a_stride / 4u;
    let a_at1 = min(row0 + 1u, p.rows - 1u) * p.a_stride / 4u;
    let a_at2 = min(row0 + 2u, p.rows - 1u) * p.a_stride / 4u;
    let a_at3 = min(row0 + 3u, p.rows - 1u) * p.a_stride / 4u;
    let b_at0 = row_of_w(col0 + 0u) * p.b_stride / 4u;
    let b_at1 = row_of_w(col0 + 1u) * p.b_stride / 4u;
    let b_at2 = row_of_w(col0 + 2u) * p.b_stride / 4u;
    let b_at3 = row_of_w(col0 + 3u) * p.b_stride / 4u;
    for (var k = 0u; k < p.depth; k += 4u) {
        let a0 = x[a_at0 + k / 4u];
        let t0 = w[b_at0 + k / 4u];
        let a1 = x[a_at1 + k / 4u];
        let t1 = w[b_at1 + k / 4u];
        let a2 = x[a_at2 + k / 4u];
        let t2 = w[b_at2 + k / 4u];
        let a3 = x[a_at3 + k / 4u];
        let t3 = w[b_at3 + k / 4u];
        {
            let b = vec4<f32>(t0.x, t1.x, t2.x, t3.x);
            c0 += a0.x * b;
            c1 += a1.x * b;
            c2 += a2.x * b;
            c3 += a3.x * b;
        }
        {
            let b = vec4<f32>(t0.y, t1.y, t2.y, t3.y);
            c0 += a0.y * b;
            c1 += a1.y * b;
            c2 += a2.y * b;
            c3 += a3.y * b;
        }
        {
            let b = vec4<f32>(t0.z, t1.z, t2.z, t3.z);
            c0 += a0.z * b;
            c1 += a1.z * b;
            c2 += a2.z * b;
            c3 += a3.z * b;
        }
        {
            let b = vec4<f32>(t0.w, t1.w, t2.w, t3.w);
            c0 += a0.w * b;
            c1 += a1.w * b;
            c2 += a2.w * b;
            c3 += a3.w * b;
        }
    }
    for (var i = 0u; i < min(4u, max(p.rows, row0) - row0); i++) {
        let row = row0 + i;
        var part = 0.0;
        if col0 + 0u < p.cols {
            let col = col0 + 0u;
            let value = c0;
            let at = (row * p.c_stride + col) / 4u;
            let logit = value + b[col / 4u];
            let pixel = levels(pixels[image[row] * p.other_stride / 4u + col / 4u]);
            let e = exp(-abs(logit));
            let loss = max(logit, vec4<f32>()) - logit * pixel + log(1.0 + e);
            let mean = select(e, vec4<f32>(1.0), logit >= vec4<f32>()) / (1.0 + e);
            let counts = real(col) & vec4<bool>(row < record.rows);
            dlogits[at] = select(vec4<f32>(), (mean - pixel) * record.loss_scale, counts);
            part = dot(select(vec4<f32>(), loss, counts), vec4<f32>(1.0));
        }
        row_parts[8u * (4u * id.y + i) + id.x] = part;
        c0 = c1;
        c1 = c2;
        c2 = c3;
    }
    workgroupBarrier();
    if id.x == 0u {
        for (var i = 0u; i < 4u; i++) {
            var sum = 0.0;
            let first = 8u * (4u * id.y + i) + id.x;
            for (var j = 0u; j < 8u; j++) { sum += row_parts[first + j]; }
            if row0 + i < p.rows {
                nll[(row0 + i) * p.parts + group.y] = sum;
            }
        }
    }
}
