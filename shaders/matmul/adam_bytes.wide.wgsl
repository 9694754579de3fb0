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

// A and B of each slice, k by k; then the sums of all slices but the first.
var<workgroup> tiles: array<vec4<f32>, 544>;

@compute @workgroup_size(16, 16, 1)
fn adam_bytes(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let own = 16u * id.y + id.x;
    let first_row = 64u * group.x;
    let first_col = 64u * group.y;
    let row0 = first_row + 4u * id.y;
    let col0 = first_col + 4u * id.x;
    let tile_a = 544u * id.z;
    let tile_b = tile_a + 272u;
    let live = atomicLoad(&guard_words[0]) == 0u;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    var bias4 = vec4<f32>();
    let own_k = own / 16u;
    let a_at = min(first_row / 4u + own % 16u, p.rows / 4u - 1u);
    let b_at = min(first_col / 4u + own % 16u, p.cols / 4u - 1u);
    for (var block = 0u; block < p.depth; block += 16u) {
        let k = block + 16u * id.z;
        workgroupBarrier();
        if k < p.depth {
            tiles[tile_a + own_k * 17u + own % 16u] = dy[(k + own_k) * p.a_stride / 4u + a_at];
            tiles[tile_b + own_k * 17u + own % 16u] = levels(pixels[image[(k + own_k)] * p.b_stride / 4u + b_at]);
        }
        workgroupBarrier();
        if k < p.depth {
            {
                let a = tiles[tile_a + 0u + id.y];
                let b = tiles[tile_b + 0u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 17u + id.y];
                let b = tiles[tile_b + 17u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 34u + id.y];
                let b = tiles[tile_b + 34u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 51u + id.y];
                let b = tiles[tile_b + 51u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 68u + id.y];
                let b = tiles[tile_b + 68u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 85u + id.y];
                let b = tiles[tile_b + 85u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 102u + id.y];
                let b = tiles[tile_b + 102u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 119u + id.y];
                let b = tiles[tile_b + 119u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 136u + id.y];
                let b = tiles[tile_b + 136u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 153u + id.y];
                let b = tiles[tile_b + 153u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 170u + id.y];
                let b = tiles[tile_b + 170u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 187u + id.y];
                let b = tiles[tile_b + 187u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 204u + id.y];
                let b = tiles[tile_b + 204u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 221u + id.y];
                let b = tiles[tile_b + 221u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 238u + id.y];
                let b = tiles[tile_b + 238u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 255u + id.y];
                let b = tiles[tile_b + 255u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
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
