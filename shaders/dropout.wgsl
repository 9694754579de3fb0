// y (rows, n) = x ⊗ m · 2²⁴ / keep for x (rows, n), where each element of m is 1 with the probability
// keep / 2²⁴ and else 0: inverted dropout (Srivastava et al. 2014). It is its own way back: the gradient
// of y is put through the same. Where nothing is learned, y = x.

struct Dropout { rows: u32, quads: u32, samples: u32, layer: u32, keep: u32, accumulate: u32 }
@group(0) @binding(0) var<uniform> p: Dropout;
const WIDTH = 32u;

@group(0) @binding(1) var<storage, read> image: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

// Four elements an invocation. What is left out depends on the image and the sample, not on their row.
@compute @workgroup_size(WIDTH)
fn apply(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    let row = i / p.quads;
    if row >= p.rows { return; }
    var value = x[i];
    if record.learning != 0.0 {
        let key = vec2<u32>(record.seed_low, record.seed_high);
        let purpose = (p.layer << 16u) + 16u * record.stream + DROPOUT;
        let place = (row % p.samples) * p.quads + i % p.quads;
        let counter = vec4<u32>(place, image[row / p.samples], record.step, purpose);
        let kept = (philox(counter, key) >> vec4<u32>(8u)) < vec4<u32>(p.keep);
        value = select(vec4<f32>(0.0), value * (16777216.0 / f32(p.keep)), kept);
    }
    y[i] = select(vec4<f32>(0.0), y[i], p.accumulate != 0u) + value;
}
