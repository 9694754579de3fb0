// nll (rows) = −log N(x; m, σ²) = Σ (½ ((x − m) / σ)² + ½ log 2πσ²), in nats, and in the same dispatch
// dm (rows, n) = (m − x) / σ² · scale / samples, for a fixed σ, m (rows, n) and x (images, n): row r is
// sample r mod samples of image r div samples.

struct Normal {
    rows: u32, cols: u32, stride: u32, samples: u32, inverse_sigma: f32, log_norm: f32,
}
@group(0) @binding(0) var<uniform> p: Normal;
const WIDTH = 64u;
var<workgroup> partial: array<f32, WIDTH>;

@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> nll: array<f32>;
@group(0) @binding(4) var<storage, read_write> dm: array<vec4<f32>>;

// One row a workgroup.
@compute @workgroup_size(WIDTH)
fn forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = flat_group(group, groups);
    let owner = row / p.samples;
    let inside = owner < record.rows;
    let scale = select(0.0, record.loss_scale * p.inverse_sigma / f32(p.samples), inside);
    var sum = 0.0;
    if row < p.rows {
        for (var block = lane; block < p.stride / 4u; block += WIDTH) {
            let at = row * (p.stride / 4u) + block;
            let at_x = owner * (p.stride / 4u) + block;
            // Padding is zero in both, so it adds nothing.
            let error = (m[at] - x[at_x]) * p.inverse_sigma;
            dm[at] = error * scale;
            sum += 0.5 * dot(error, error);
        }
    }
    partial[lane] = sum;
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    if lane == 0u && row < p.rows {
        nll[row] = select(0.0, partial[0] + f32(p.cols) * p.log_norm, inside);
    }
}
