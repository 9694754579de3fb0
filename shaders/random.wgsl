// Random numbers as tensors: standard normals z (rows, n) of the record's stream, for drawing from
// the prior, and raw words (n, 4) of given counters and keys, for the published vectors.

struct Random { len: u32, cols: u32, stride: u32, purpose: u32 }
@group(0) @binding(0) var<uniform> p: Random;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read_write> z: array<vec4<f32>>;

// Four neighbours of a row. The image that noise belongs to is here the row's position.
@compute @workgroup_size(WIDTH)
fn normals(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let row = 4u * i / p.stride;
    let col = 4u * i % p.stride;
    let key = vec2<u32>(record.seed_low, record.seed_high);
    let purpose = 16u * record.stream + p.purpose;
    let counter = vec4<u32>(col / 4u, record.first + row, record.step, purpose);
    let drawn = normals_of(philox(counter, key));
    let inside = vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.cols);
    z[i] = select(vec4<f32>(), drawn, inside & vec4<bool>(row < record.rows));
}

@group(0) @binding(1) var<storage, read> counters: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> keys: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> drawn_words: array<vec4<u32>>;

@compute @workgroup_size(WIDTH)
fn words(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i < p.len { drawn_words[i] = philox(counters[i], keys[i].xy); }
}
