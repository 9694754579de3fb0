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
var<workgroup> tiles: array<vec4<f32>, 960>;

@compute @workgroup_size(8, 8, 4)
fn adam_bytes(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let own = 8u * id.y + id.x;
    let first_row = 32u * group.x;
    let first_col = 32u * group.y;
    let row0 = first_row + 4u * id.y;
    let col0 = first_col + 4u * id.x;
    let tile_a = 144u * id.z;
    let tile_b = tile_a + 72u;
    let live = atomicLoad(&guard_words[0]) == 0u;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    var bias4 = vec4<f32>();
    let own_k = own / 8u;
    let a_at = min(first_row / 4u + own % 8u, p.rows / 4u - 1u);
    let b_at = min(first_col / 4u + own % 8u, p.cols / 4u - 1u);
    for (var block = 0u; block < p.depth; block += 32u) {
        let k = block + 8u * id.z;
        workgroupBarrier();
        if k < p.depth {
            tiles[tile_a + own_k * 9u + own % 8u] = dy[(k + own_k) * p.a_stride / 4u + a_at];
            tiles[tile_b + own_k * 9u + own % 8u] = levels(pixels[image[(k + own_k)] * p.b_stride / 4u + b_at]);
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
                let a = tiles[tile_a + 9u + id.y];
                let b = tiles[tile_b + 9u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 18u + id.y];
                let b = tiles[tile_b + 18u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 27u + id.y];
                let b = tiles[tile_b + 27u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 36u + id.y];
                let b = tiles[tile_b + 36u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 45u + id.y];
                let b = tiles[tile_b + 45u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 54u + id.y];
                let b = tiles[tile_b + 54u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 63u + id.y];
                let b = tiles[tile_b + 63u + id.x];
                bias4 += a;
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
        }
    }
    workgroupBarrier();
    if id.z > 0u {
        let at = ((id.z - 1u) * 64u + own) * 5u;
        tiles[at + 0u] = c0;
        tiles[at + 1u] = c1;
        tiles[at + 2u] = c2;
        tiles[at + 3u] = c3;
        tiles[at + 4u] = bias4;
    }
    workgroupBarrier();
    if id.z == 0u {
        for (var slice = 0u; slice < 3u; slice++) {
            let at = (slice * 64u + own) * 5u;
            c0 += tiles[at + 0u];
            c1 += tiles[at + 1u];
            c2 += tiles[at + 2u];
            c3 += tiles[at + 3u];
            bias4 += tiles[at + 4u];
        }
    }
    if id.z == 0u {
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
    }
    if group.y == 0u && id.x == 0u && id.z == 0u && row0 < p.rows {
        let row = row0;
        update((p.bias + row) / 4u, bias4, live);
    }
}
