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

@compute @workgroup_size(8, 8)
fn adam_bytes(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let row0 = 32u * group.x + 4u * id.y;
    let col0 = 32u * group.y + 4u * id.x;
    let live = atomicLoad(&guard_words[0]) == 0u;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    var bias4 = vec4<f32>();
    let a_at = min(row0, p.rows - 4u) / 4u;
    let b_at = min(col0, p.cols - 4u) / 4u;
    for (var k = 0u; k < p.depth; k += 4u) {
        {
            let b = levels(pixels[image[(k + 0u)] * p.b_stride / 4u + b_at]);
            let a = dy[(k + 0u) * p.a_stride / 4u + a_at];
            bias4 += a;
            c0 += a.x * b;
            c1 += a.y * b;
            c2 += a.z * b;
            c3 += a.w * b;
        }
        {
            let b = levels(pixels[image[(k + 1u)] * p.b_stride / 4u + b_at]);
            let a = dy[(k + 1u) * p.a_stride / 4u + a_at];
            bias4 += a;
            c0 += a.x * b;
            c1 += a.y * b;
            c2 += a.z * b;
            c3 += a.w * b;
        }
        {
            let b = levels(pixels[image[(k + 2u)] * p.b_stride / 4u + b_at]);
            let a = dy[(k + 2u) * p.a_stride / 4u + a_at];
            bias4 += a;
            c0 += a.x * b;
            c1 += a.y * b;
            c2 += a.z * b;
            c3 += a.w * b;
        }
        {
            let b = levels(pixels[image[(k + 3u)] * p.b_stride / 4u + b_at]);
            let a = dy[(k + 3u) * p.a_stride / 4u + a_at];
            bias4 += a;
            c0 += a.x * b;
            c1 += a.y * b;
            c2 += a.z * b;
            c3 += a.w * b;
        }
    }
    for (var i = 0u; i < min(4u, max(p.rows, row0) - row0); i++) {
        let row = row0 + i;
        if col0 + 0u < p.cols {
            let col = col0 + 0u;
            let value = c0;
            let at = (row * p.c_stride + col) / 4u;
            update(at, value, live);
        }
        c0 = c1;
        c1 = c2;
        c2 = c3;
    }
    if group.y == 0u && id.x == 0u && row0 < p.rows {
        let row = row0;
        update((p.bias + row) / 4u, bias4, live);
    }
}
