// The bound −1/M Σ_m log 1/K Σ_k w_mk of each image (Burda et al. 2016, eq. 8; of M groups, Rainforth et
// al. 2018, eq. 9), for S = M K samples, row r being sample r mod S of image r div S, in group r div K:
// log w = kl_weight log_ratio − nll, log_ratio being log p(z) − log q(z | x). With K = 1 it is −log w, the
// estimator A of Kingma and Welling 2014 (eq. 6). log_ratio, `weight` and nll are (images · S), nll in parts; ω = K w / Σ w,
// of mean 1 in a group, is what a row's gradients are multiplied by.

struct Bound {
    rows: u32, stride: u32, samples: u32, importance: u32, parts: u32, parts_stride: u32,
}
@group(0) @binding(0) var<uniform> p: Bound;
const WIDTH = 32u;

@group(0) @binding(1) var<storage, read> nll: array<f32>;
@group(0) @binding(2) var<storage, read> log_ratio: array<f32>;
@group(0) @binding(3) var<storage, read> kl: array<f32>;
@group(0) @binding(4) var<storage, read_write> weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> extra: array<f32>;

// The loss of a row, which comes in parts.
fn loss(row: u32) -> f32 {
    var sum = 0.0;
    for (var part = 0u; part < p.parts; part++) { sum += nll[row * p.parts_stride + part]; }
    return sum;
}

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
        // First log w, until all of the group are known.
        for (var row = start; row < start + p.importance; row++) {
            let lost = loss(row);
            losses += lost;
            weight[row] = record.kl_weight * log_ratio[row] - lost;
        }
        var most = weight[start];
        for (var row = start; row < start + p.importance; row++) { most = max(most, weight[row]); }
        var total = 0.0;
        for (var row = start; row < start + p.importance; row++) { total += exp(weight[row] - most); }
        for (var row = start; row < start + p.importance; row++) {
            weight[row] = f32(p.importance) * exp(weight[row] - most) / total;
        }
        bounds += most + log(total / f32(p.importance));
    }
    let bound = -bounds * f32(p.importance) / f32(p.samples);
    extra[owner] = bound - losses / f32(p.samples) - record.kl_weight * kl[owner];
}

@group(0) @binding(1) var<storage, read> row_weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> dmade: array<f32>;

// Each row of a gradient (images · S, n) times its ω; rows lie `stride` apart.
@compute @workgroup_size(WIDTH)
fn scale(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    let row = i / p.stride;
    if row >= p.rows { return; }
    dmade[i] *= row_weight[row];
}
