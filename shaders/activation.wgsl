// y = f(x) and dx = f'(x) dy, for an activation f; and dx = f'(x) dy where only y = f(x) is kept.

struct Activate { len: u32, activation: u32, accumulate: u32 }
@group(0) @binding(0) var<uniform> p: Activate;
override activation: u32 = 0u;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i < p.len { y[i] = activate(activation, x[i]); }
}

@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// The slope where it needs the input.
fn slope(x: f32) -> f32 {
    let s = sigmoid(x);
    if activation == 6u { return s * (1.0 + x * (1.0 - s)); }
    return 0.5 * (1.0 + erf_of(0.70710678 * x)) + x * exp(-0.5 * x * x) * 0.39894228;
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
