// nll (rows) = −log p(x | logits) = Σ (log(1 + exp l) − l x), in nats, and in the same dispatch
// dlogits (rows, n) = (σ(l) − x) · scale / samples (Kingma and Welling 2014, appendix C.1), for
// logits (rows, n) and x (images, n): row r is sample r mod samples of image r div samples.

struct Bernoulli { rows: u32, cols: u32, stride: u32, samples: u32 }
@group(0) @binding(0) var<uniform> p: Bernoulli;
const WIDTH = 64u;
var<workgroup> partial: array<f32, WIDTH>;

@group(0) @binding(1) var<storage, read> logits: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> nll: array<f32>;
@group(0) @binding(4) var<storage, read_write> dlogits: array<vec4<f32>>;

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
    let scale = select(0.0, record.loss_scale / f32(p.samples), inside);
    var sum = 0.0;
    if row < p.rows {
        for (var block = lane; block < p.stride / 4u; block += WIDTH) {
            let at = row * (p.stride / 4u) + block;
            let at_x = owner * (p.stride / 4u) + block;
            let real = vec4<u32>(4u * block) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.cols);
            let four = bernoulli_of(logits[at], x[at_x]);
            dlogits[at] = select(vec4<f32>(), four.slope * scale, real & vec4<bool>(inside));
            sum += dot(select(vec4<f32>(), four.nll, real), vec4<f32>(1.0));
        }
    }
    partial[lane] = sum;
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    if lane == 0u && row < p.rows { nll[row] = select(0.0, partial[0], inside); }
}
