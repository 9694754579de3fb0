// y = f(x) and dx = f'(x) dy, for an activation f and x, y, dx and dy (rows, n); and dx = f'(x) dy where
// only y = f(x) is kept.

struct Activate { len: u32, cols: u32, stride: u32, activation: u32, accumulate: u32 }
@group(0) @binding(0) var<uniform> p: Activate;
override activation: u32 = 0u;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    // f(0) need not be 0, but padding is.
    if i < p.len { y[i] = select(0.0, activate(activation, x[i]), i % p.stride < p.cols); }
}

@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// The slope at x; of most it follows from the output there.
fn slope(x: f32) -> f32 {
    let s = sigmoid(x);
    switch activation {
        case 6u: { return s * (1.0 + x * (1.0 - s)); }
        case 7u: { return 0.5 * (1.0 + erf_of(0.70710678 * x)) + x * exp(-0.5 * x * x) * 0.39894228; }
        default: { return slope_at_output(activation, activate(activation, x)); }
    }
}

fn store(i: u32, value: f32) {
    dx[i] = select(0.0, dx[i], p.accumulate != 0u) + value;
}

@compute @workgroup_size(WIDTH)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i < p.len { store(i, dy[i] * slope(x[i])); }
}

@group(0) @binding(1) var<storage, read> output: array<f32>;

@compute @workgroup_size(WIDTH)
fn backward_at_output(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i < p.len { store(i, dy[i] * slope_at_output(activation, output[i])); }
}
