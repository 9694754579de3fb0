// seen (rows, n) = what the encoder sees of x (rows, n) in a step that is learned from: x with some pixels
// set to 0 (Vincent et al. 2008, section 2.3), each where 24 random bits are below `masked`; or x + σ ε (Im
// et al. 2017, section 4), ε standard normal. Where a program only looks it is x.

struct Corrupt { len: u32, cols: u32, stride: u32, masked: u32, deviation: f32 }
@group(0) @binding(0) var<uniform> p: Corrupt;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> image: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> seen: array<vec4<f32>>;

// Four neighbours of a row.
@compute @workgroup_size(WIDTH)
fn pixels(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let row = 4u * i / p.stride;
    let col = 4u * i % p.stride;
    var value = x[i];
    if record.learning != 0.0 && row < record.rows {
        let key = vec2<u32>(record.seed_low, record.seed_high);
        let purpose = 16u * record.stream + CORRUPTION;
        let words = philox(vec4<u32>(col / 4u, image[row], record.step, purpose), key);
        let kept = select(vec4<f32>(), value, (words >> vec4<u32>(8u)) >= vec4<u32>(p.masked));
        let inside = vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.cols);
        var noise = vec4<f32>();
        if p.deviation > 0.0 { noise = p.deviation * normals_of(words); }
        value = select(vec4<f32>(), kept + noise, inside);
    }
    seen[i] = value;
}
