// y (rows, n) = f(g ⊗ normal + b) for gain g and bias b (n), with normal (rows, n) = (x − mean) · inverse and
// inverse (rows) = 1 / √(variance + ε), mean and variance over the n elements of a row of x (rows, n), the
// variance divided by n: Ba et al. 2016, eq. 4. With dn = dy ⊗ g and means over a row,
// dx = inverse · (dn − mean(dn) − normal · mean(dn ⊗ normal)); dg = Σ dy ⊗ normal and db = Σ dy over the rows.

struct LayerNorm { rows: u32, cols: u32, stride: u32, activation: u32, accumulate: u32 }
@group(0) @binding(0) var<uniform> p: LayerNorm;
override activation: u32 = 0u;
const EPSILON = 1e-5;
const WIDTH = 64u;
const PART = 32u * WIDTH;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gain: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> normal: array<f32>;
@group(0) @binding(5) var<storage, read_write> inverse: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

// One row a workgroup.
@compute @workgroup_size(WIDTH)
fn forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = flat_group(group, groups);
    if row >= p.rows { return; }
    let first = row * p.stride;
    var sum = 0.0;
    for (var j = lane; j < p.cols; j += WIDTH) { sum += x[first + j]; }
    let mean = total(lane, sum) / f32(p.cols);
    var squares = 0.0;
    for (var j = lane; j < p.cols; j += WIDTH) {
        let apart = x[first + j] - mean;
        squares += apart * apart;
    }
    let scale = inverseSqrt(total(lane, squares) / f32(p.cols) + EPSILON);
    for (var j = lane; j < p.stride; j += WIDTH) {
        let inside = j < p.cols;
        let value = select(0.0, (x[first + j] - mean) * scale, inside);
        normal[first + j] = value;
        let shifted = activate(activation, value * gain[j] + bias[j]);
        y[first + j] = select(0.0, shifted, inside);
    }
    if lane == 0u { inverse[row] = scale; }
}

@group(0) @binding(1) var<storage, read> made_normal: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> made_inverse: array<f32>;
@group(0) @binding(4) var<storage, read> back_gain: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

// One row a workgroup.
@compute @workgroup_size(WIDTH)
fn backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = flat_group(group, groups);
    if row >= p.rows { return; }
    let first = row * p.stride;
    var sum = 0.0;
    var along = 0.0;
    for (var j = lane; j < p.cols; j += WIDTH) {
        let dn = dy[first + j] * back_gain[j];
        sum += dn;
        along += dn * made_normal[first + j];
    }
    let mean = total(lane, sum) / f32(p.cols);
    let mean_along = total(lane, along) / f32(p.cols);
    for (var j = lane; j < p.stride; j += WIDTH) {
        let at = first + j;
        let dn = dy[at] * back_gain[j];
        let value = made_inverse[row] * (dn - mean - made_normal[at] * mean_along);
        let before = select(0.0, dx[at], p.accumulate != 0u);
        dx[at] = select(0.0, before + value, j < p.cols);
    }
}

@group(0) @binding(3) var<storage, read_write> dgain: array<f32>;
@group(0) @binding(4) var<storage, read_write> dbias: array<f32>;

// One column a workgroup; rows that are not filled have no gradient.
@compute @workgroup_size(WIDTH)
fn backward_parameters(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let j = flat_group(group, groups);
    if j >= p.stride { return; }
    var by_gain = 0.0;
    var by_bias = 0.0;
    for (var part = lane; part < p.rows; part += PART) {
        // A sum of short sums loses fewer digits.
        var short = vec2<f32>();
        for (var row = part; row < min(part + PART, p.rows); row += WIDTH) {
            let at = row * p.stride + j;
            short += vec2<f32>(dy[at] * made_normal[at], dy[at]);
        }
        by_gain += short.x;
        by_bias += short.y;
    }
    let of_gain = total(lane, by_gain);
    let of_bias = total(lane, by_bias);
    if lane == 0u {
        dgain[j] = select(0.0, dgain[j], p.accumulate != 0u) + of_gain;
        dbias[j] = select(0.0, dbias[j], p.accumulate != 0u) + of_bias;
    }
}
