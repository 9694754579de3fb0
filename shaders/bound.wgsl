// The bound −1/M Σ_m log 1/K Σ_k w_mk of each image (Burda et al. 2016, eq. 8; of M groups, Rainforth et
// al. 2018, eq. 9), for S = M K samples, row r being sample r mod S of image r div S, in group r div K:
// log w = −nll + kl_weight ½ Σ (ε² + log σ² − z²), as the constants of both normals cancel. With K = 1 it
// is −log w, the estimator A of Kingma and Welling 2014 (eq. 6). `log_weight`, `weight` and nll are
// (images · S); ω = K w / Σ w, of mean 1 in a group, is what a row's gradients are multiplied by.

struct Bound {
    rows: u32, latent: u32, h_stride: u32, z_stride: u32, samples: u32, importance: u32,
    gradient: u32, accumulate: u32,
}
@group(0) @binding(0) var<uniform> p: Bound;
const WIDTH = 32u;

@group(0) @binding(1) var<storage, read> nll: array<f32>;
@group(0) @binding(2) var<storage, read> h: array<f32>;
@group(0) @binding(3) var<storage, read> eps: array<f32>;
@group(0) @binding(4) var<storage, read> z: array<f32>;
@group(0) @binding(5) var<storage, read_write> log_weight: array<f32>;

@compute @workgroup_size(WIDTH)
fn measure(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = flat_index(id, groups, WIDTH);
    if row >= p.rows { return; }
    let owner = row / p.samples;
    var ratio = 0.0;
    for (var j = 0u; j < p.latent; j++) {
        let noise = eps[row * p.z_stride + j];
        let value = z[row * p.z_stride + j];
        let log_var = clamp_log_var(h[owner * p.h_stride + p.latent + j]);
        ratio += noise * noise - value * value + log_var;
    }
    let log_w = 0.5 * record.kl_weight * ratio - nll[row];
    log_weight[row] = select(0.0, log_w, owner < record.rows);
}

@group(0) @binding(1) var<storage, read> measured: array<f32>;
@group(0) @binding(2) var<storage, read> lost: array<f32>;
@group(0) @binding(3) var<storage, read> kl: array<f32>;
@group(0) @binding(4) var<storage, read_write> weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> extra: array<f32>;

// ω of one image's samples, and what its bound is more than the mean of nll and the weighted KL.
@compute @workgroup_size(WIDTH)
fn weigh(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let owner = flat_index(id, groups, WIDTH);
    let first = owner * p.samples;
    if first >= p.rows { return; }
    let end = min(first + p.samples, p.rows);
    if owner >= record.rows {
        for (var row = first; row < end; row++) { weight[row] = 0.0; }
        extra[owner] = 0.0;
        return;
    }
    var bounds = 0.0;
    var losses = 0.0;
    for (var start = first; start < end; start += p.importance) {
        var most = measured[start];
        for (var row = start; row < start + p.importance; row++) {
            most = max(most, measured[row]);
            losses += lost[row];
        }
        var total = 0.0;
        for (var row = start; row < start + p.importance; row++) {
            total += exp(measured[row] - most);
        }
        for (var row = start; row < start + p.importance; row++) {
            weight[row] = f32(p.importance) * exp(measured[row] - most) / total;
        }
        bounds += most + log(total / f32(p.importance));
    }
    let bound = -bounds * f32(p.importance) / f32(p.samples);
    extra[owner] = bound - losses / f32(p.samples) - record.kl_weight * kl[owner];
}

@group(0) @binding(1) var<storage, read> row_weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> dmade: array<f32>;

// Each row of a gradient (images · S, n) times its ω; rows lie `z_stride` apart.
@compute @workgroup_size(WIDTH)
fn scale(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    let row = i / p.z_stride;
    if row >= p.rows { return; }
    dmade[i] *= row_weight[row];
}

@group(0) @binding(1) var<storage, read> back_weight: array<f32>;
@group(0) @binding(2) var<storage, read> back_h: array<f32>;
@group(0) @binding(3) var<storage, read> back_eps: array<f32>;
@group(0) @binding(4) var<storage, read> back_z: array<f32>;
@group(0) @binding(5) var<storage, read_write> dz: array<f32>;

const STANDARD = 0u;
const DREG = 2u;

// dz, which holds ω times the likelihood's gradient, with that of the prior and, but for the standard
// gradient, of the posterior's density at z: c ω (z − ε / σ), c being loss_scale kl_weight / S (Roeder et
// al. 2017). Doubly reparameterised, the encoder's share has ω² / K for ω (Tucker et al. 2018, eq. 8).
@compute @workgroup_size(WIDTH)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    let row = i / p.latent;
    let j = i % p.latent;
    if row >= p.rows { return; }
    let owner = row / p.samples;
    let at = row * p.z_stride + j;
    let log_var = clamp_log_var(back_h[owner * p.h_stride + p.latent + j]);
    let score = select(back_eps[at] * exp(-0.5 * log_var), 0.0, p.gradient == STANDARD);
    let c = record.loss_scale * record.kl_weight / f32(p.samples);
    var d = select(0.0, dz[at], p.accumulate != 0u);
    d += c * back_weight[row] * (back_z[at] - score);
    if p.gradient == DREG { d *= back_weight[row] / f32(p.importance); }
    dz[at] = select(0.0, d, owner < record.rows);
}
