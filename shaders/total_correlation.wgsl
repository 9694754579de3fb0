// extra (rows) = (w − 1) (log q(z) − Σ_d log q(z_d)) of z (rows, n), where by minibatch-weighted sampling
// q(z) = 1/(N M) Σ_j q(z | x_j) over the M images of the minibatch, of N, and q(z_d) likewise, for the
// posteriors h (rows, 2 n) = [μ | log σ²]: Chen et al. 2018, eq. 4 and S5. joint (rows, rows) holds
// log q(z_i | x_j), total (rows) and marginals (rows, n) the logarithms of the sums over j.

struct TotalCorrelation { rows: u32, latent: u32, h_stride: u32, z_stride: u32, stride: u32, accumulate: u32, weight: f32 }
@group(0) @binding(0) var<uniform> p: TotalCorrelation;
const WIDTH = 64u;

// log N(z; μ, σ²).
fn log_density(z: f32, mu: f32, log_var: f32) -> f32 {
    let d = z - mu;
    return -0.5 * (d * d * exp(-log_var) + log_var + 1.8378770664); // log 2π
}

@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> h: array<f32>;
@group(0) @binding(3) var<storage, read_write> joint: array<f32>;

// log q(z_i | x_j) in dimension d.
fn part(i: u32, j: u32, d: u32) -> f32 {
    let at = j * p.h_stride + d;
    return log_density(z[i * p.z_stride + d], h[at], clamp_log_var(h[at + p.latent]));
}

@compute @workgroup_size(WIDTH)
fn densities(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = flat_index(id, groups, WIDTH);
    let i = at / p.stride;
    let j = at % p.stride;
    if i >= p.rows { return; }
    var sum = 0.0;
    if i < record.rows && j < record.rows {
        for (var d = 0u; d < p.latent; d++) { sum += part(i, j, d); }
    }
    joint[at] = sum;
}

@group(0) @binding(3) var<storage, read_write> marginals: array<f32>;

// log Σ_j q(z_d | x_j) of one image and dimension.
@compute @workgroup_size(WIDTH)
fn single(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = flat_index(id, groups, WIDTH);
    let i = at / p.latent;
    let d = at % p.latent;
    if i >= p.rows { return; }
    var value = 0.0;
    if i < record.rows {
        var most = part(i, 0u, d);
        for (var j = 1u; j < record.rows; j++) { most = max(most, part(i, j, d)); }
        var sum = 0.0;
        for (var j = 0u; j < record.rows; j++) { sum += exp(part(i, j, d) - most); }
        value = most + log(sum);
    }
    marginals[i * p.z_stride + d] = value;
}

@group(0) @binding(1) var<storage, read> given_joint: array<f32>;
@group(0) @binding(2) var<storage, read> given_marginals: array<f32>;
@group(0) @binding(3) var<storage, read_write> total: array<f32>;
@group(0) @binding(4) var<storage, read_write> extra: array<f32>;

// log Σ_j q(z | x_j) of one image, and what it has more.
@compute @workgroup_size(WIDTH)
fn penalty(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.rows { return; }
    var value = 0.0;
    var more = 0.0;
    if i < record.rows {
        var most = given_joint[i * p.stride];
        for (var j = 1u; j < record.rows; j++) { most = max(most, given_joint[i * p.stride + j]); }
        var sum = 0.0;
        for (var j = 0u; j < record.rows; j++) { sum += exp(given_joint[i * p.stride + j] - most); }
        value = most + log(sum);
        // log(N M) is in each logarithm.
        let pairs = log(f32(record.images)) + log(f32(record.rows));
        more = value - pairs;
        for (var d = 0u; d < p.latent; d++) { more -= given_marginals[i * p.z_stride + d] - pairs; }
    }
    total[i] = value;
    extra[i] = select(0.0, extra[i], p.accumulate != 0u) + p.weight * more;
}

@group(0) @binding(1) var<storage, read> back_z: array<f32>;
@group(0) @binding(2) var<storage, read> back_h: array<f32>;
@group(0) @binding(3) var<storage, read> back_joint: array<f32>;
@group(0) @binding(4) var<storage, read> back_total: array<f32>;
@group(0) @binding(5) var<storage, read> back_marginals: array<f32>;
@group(0) @binding(6) var<storage, read_write> grad: array<f32>;

// The derivative of log q(z_i) − Σ_d log q(z_id) by log q(z_id | x_j): the share of x_j in the one, less
// that in the other.
struct Share { value: f32, off: f32, inverse_var: f32 }

fn share(i: u32, j: u32, d: u32) -> Share {
    let at = j * p.h_stride + d;
    let place = back_z[i * p.z_stride + d];
    let log_var = clamp_log_var(back_h[at + p.latent]);
    let alone = log_density(place, back_h[at], log_var) - back_marginals[i * p.z_stride + d];
    let value = exp(back_joint[i * p.stride + j] - back_total[i]) - exp(alone);
    return Share(value, place - back_h[at], exp(-log_var));
}

fn store(at: u32, value: f32) {
    let before = select(0.0, grad[at], p.accumulate != 0u);
    grad[at] = before + p.weight * record.loss_scale * value;
}

// The gradient at z of one image and dimension.
@compute @workgroup_size(WIDTH)
fn backward_z(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = flat_index(id, groups, WIDTH);
    let i = at / p.latent;
    let d = at % p.latent;
    if i >= p.rows { return; }
    var sum = 0.0;
    if i < record.rows {
        for (var j = 0u; j < record.rows; j++) {
            let s = share(i, j, d);
            sum -= s.value * s.off * s.inverse_var;
        }
    }
    store(i * p.z_stride + d, sum);
}

// The gradients at μ and log σ² of one posterior and dimension.
@compute @workgroup_size(WIDTH)
fn backward_h(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = flat_index(id, groups, WIDTH);
    let j = at / p.latent;
    let d = at % p.latent;
    if j >= p.rows { return; }
    var d_mu = 0.0;
    var d_log_var = 0.0;
    if j < record.rows {
        for (var i = 0u; i < record.rows; i++) {
            let s = share(i, j, d);
            d_mu += s.value * s.off * s.inverse_var;
            d_log_var += s.value * 0.5 * (s.off * s.off * s.inverse_var - 1.0);
        }
    }
    let place = j * p.h_stride + d;
    let raw = back_h[place + p.latent];
    store(place, d_mu);
    store(place + p.latent, select(0.0, d_log_var, raw == clamp_log_var(raw)));
}
