// p(z) = Σ_k π_k N(z; μ_k, σ_k²), a mixture of K normals of independent dimensions, for z (images · samples, n): the weights π
// are the softmax of logits (K), and `parts` (K, 2 n) is [μ | log σ²]. Of each z and component `shares` (images · samples, K)
// holds π_k N(z; μ_k, σ_k²) / p(z). `wide` (2 n, K) is μ above 1 / σ², so that neighbouring components lie side by side, and
// `base` (K) is log π − ½ Σ log σ²; the constants of the normals cancel with those of the posterior.

struct Prior {
    rows: u32, latent: u32, count: u32, parts_rows: u32, z_stride: u32, parts_stride: u32, stride: u32,
    samples: u32, accumulate: u32,
}
@group(0) @binding(0) var<uniform> p: Prior;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> wide: array<f32>;
@group(0) @binding(4) var<storage, read_write> base: array<f32>;

// log Σ exp of the logits.
fn log_sum() -> f32 {
    var most = logits[0];
    for (var k = 1u; k < p.count; k++) { most = max(most, logits[k]); }
    var sum = 0.0;
    for (var k = 0u; k < p.count; k++) { sum += exp(logits[k] - most); }
    return most + log(sum);
}

@compute @workgroup_size(WIDTH)
fn prepare(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let k = flat_index(id, groups, WIDTH);
    if k >= p.count { return; }
    var widths = 0.0;
    for (var j = 0u; j < p.latent; j++) {
        let log_var = clamp_log_var(parts[k * p.parts_stride + p.latent + j]);
        wide[j * p.stride + k] = parts[k * p.parts_stride + j];
        wide[(p.latent + j) * p.stride + k] = exp(-log_var);
        widths += log_var;
    }
    base[k] = logits[k] - log_sum() - 0.5 * widths;
}

@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> given_wide: array<f32>;
@group(0) @binding(3) var<storage, read> given_base: array<f32>;
@group(0) @binding(4) var<storage, read_write> terms: array<f32>;

// log π_k N(z; μ_k, σ_k²) of each z and component, but for ½ n log 2π.
@compute @workgroup_size(WIDTH)
fn densities(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = flat_index(id, groups, WIDTH);
    let row = at / p.stride;
    let k = at % p.stride;
    if row >= p.rows { return; }
    var sum = 0.0;
    if k < p.count {
        for (var j = 0u; j < p.latent; j++) {
            let off = z[row * p.z_stride + j] - given_wide[j * p.stride + k];
            sum += off * off * given_wide[(p.latent + j) * p.stride + k];
        }
        sum = given_base[k] - 0.5 * sum;
    }
    terms[at] = select(0.0, sum, row / p.samples < record.rows);
}

@group(0) @binding(2) var<storage, read_write> shares: array<f32>;
@group(0) @binding(3) var<storage, read_write> log_ratio: array<f32>;

// Each z's terms become the components' shares of it; its log-ratio, which was to the standard normal, is to the mixture.
// A workgroup a row.
@compute @workgroup_size(WIDTH)
fn share(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = flat_group(id, groups);
    if row >= p.rows { return; }
    let first = row * p.stride;
    var most = shares[first];
    for (var k = lane; k < p.count; k += WIDTH) { most = max(most, shares[first + k]); }
    most = highest(lane, most);
    var sum = 0.0;
    for (var k = lane; k < p.count; k += WIDTH) { sum += exp(shares[first + k] - most); }
    sum = total(lane, sum);
    let inside = row / p.samples < record.rows;
    for (var k = lane; k < p.count; k += WIDTH) {
        shares[first + k] = select(0.0, exp(shares[first + k] - most) / sum, inside);
    }
    var squares = 0.0;
    for (var j = lane; j < p.latent; j += WIDTH) {
        squares += z[row * p.z_stride + j] * z[row * p.z_stride + j];
    }
    squares = total(lane, squares);
    if lane == 0u {
        let changed = log_ratio[row] + most + log(sum) + 0.5 * squares;
        log_ratio[row] = select(0.0, changed, inside);
    }
}

@group(0) @binding(1) var<storage, read> given_log_ratio: array<f32>;
@group(0) @binding(2) var<storage, read_write> kl: array<f32>;

// KL(q(z | x) ‖ p(z)) of each image, as the mean over its z says.
@compute @workgroup_size(WIDTH)
fn divergence(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let image = flat_index(id, groups, WIDTH);
    if image * p.samples >= p.rows { return; }
    var sum = 0.0;
    for (var row = image * p.samples; row < min(p.rows, (image + 1u) * p.samples); row++) {
        sum -= given_log_ratio[row];
    }
    kl[image] = select(0.0, sum / f32(p.samples), image < record.rows);
}

@group(0) @binding(3) var<storage, read> given_shares: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> dz: array<f32>;

// What −log p(z) counts in the loss, for a sample of weight 1.
fn scale() -> f32 {
    return record.loss_scale * record.kl_weight / f32(p.samples);
}

// dz gets the slope of −log p(z), less that of the standard normal, which the posterior adds.
@compute @workgroup_size(WIDTH)
fn backward_z(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = flat_index(id, groups, WIDTH);
    let row = at / p.latent;
    let j = at % p.latent;
    if row >= p.rows { return; }
    let place = row * p.z_stride + j;
    var sum = -z[place];
    for (var k = 0u; k < p.count; k++) {
        let off = z[place] - given_wide[j * p.stride + k];
        sum += given_shares[row * p.stride + k] * off * given_wide[(p.latent + j) * p.stride + k];
    }
    let d = select(0.0, scale() * weight[row] * sum, row / p.samples < record.rows);
    dz[place] = select(0.0, dz[place], p.accumulate != 0u) + d;
}

@group(0) @binding(5) var<storage, read_write> dparts: array<f32>;
@group(0) @binding(6) var<storage, read> back_parts: array<f32>;

// The slopes of −log p(z) at μ and log σ² of one component and dimension, over all z.
@compute @workgroup_size(WIDTH)
fn backward_parts(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = flat_index(id, groups, WIDTH);
    let j = at / p.parts_rows;
    let k = at % p.parts_rows;
    if j >= p.latent { return; }
    var d_mu = 0.0;
    var d_log_var = 0.0;
    var free = false;
    if k < p.count {
        let mu = given_wide[j * p.stride + k];
        let inverse = given_wide[(p.latent + j) * p.stride + k];
        for (var row = 0u; row < min(p.rows, record.rows * p.samples); row++) {
            let counts = weight[row] * given_shares[row * p.stride + k];
            let off = z[row * p.z_stride + j] - mu;
            d_mu -= counts * off * inverse;
            d_log_var -= counts * 0.5 * (off * off * inverse - 1.0);
        }
        // Out of its bounds log σ² has no slope.
        let raw = back_parts[k * p.parts_stride + p.latent + j];
        free = raw == clamp_log_var(raw);
    }
    let place = k * p.parts_stride + j;
    let kept = vec2<f32>(dparts[place], dparts[place + p.latent]);
    let before = select(vec2<f32>(), kept, p.accumulate != 0u);
    dparts[place] = before.x + scale() * d_mu;
    dparts[place + p.latent] = before.y + select(0.0, scale() * d_log_var, free);
}

@group(0) @binding(2) var<storage, read> summed_shares: array<f32>;
@group(0) @binding(3) var<storage, read> summed_weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> dlogits: array<f32>;

// The slopes of −log p(z) at the logits, over all z.
@compute @workgroup_size(WIDTH)
fn backward_logits(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let k = flat_index(id, groups, WIDTH);
    if k >= p.count { return; }
    let share_of_all = exp(logits[k] - log_sum());
    var sum = 0.0;
    for (var row = 0u; row < min(p.rows, record.rows * p.samples); row++) {
        sum += summed_weight[row] * (share_of_all - summed_shares[row * p.stride + k]);
    }
    dlogits[k] = select(0.0, dlogits[k], p.accumulate != 0u) + scale() * sum;
}
