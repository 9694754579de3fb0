// p(z | z above) = N(z; μ, σ²) of independent dimensions, for z (images · samples, n) and parts (images · samples, 2 n) = [μ | log σ²] that
// a network made of the z above: what it changes in the log-ratio of z, which was to N(0, I), and the slopes of −log p.

struct Conditional { rows: u32, latent: u32, z_stride: u32, parts_stride: u32, samples: u32, accumulate: u32 }
@group(0) @binding(0) var<uniform> p: Conditional;
const WIDTH = 32u;

@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read> above: array<f32>;
@group(0) @binding(4) var<storage, read_write> log_ratio: array<f32>;

// log_ratio += log N(z; μ, σ²) − log N(z; 0, I), and the log-ratio of the levels above.
@compute @workgroup_size(WIDTH)
fn relate(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = flat_index(id, groups, WIDTH);
    if row >= p.rows { return; }
    var sum = 0.0;
    for (var j = 0u; j < p.latent; j++) {
        let value = z[row * p.z_stride + j];
        let off = value - parts[row * p.parts_stride + j];
        let log_var = clamp_log_var(parts[row * p.parts_stride + p.latent + j]);
        sum += 0.5 * (value * value - log_var - off * off * exp(-log_var));
    }
    log_ratio[row] = select(0.0, log_ratio[row] + above[row] + sum, row / p.samples < record.rows);
}

@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> dz: array<f32>;
@group(0) @binding(5) var<storage, read_write> dparts: array<f32>;

// dz gets the slope of −log p(z | z above) less that of −log N(z; 0, I), which the posterior adds; dparts the slopes at μ and log σ².
@compute @workgroup_size(WIDTH)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    let row = i / p.latent;
    let j = i % p.latent;
    if row >= p.rows { return; }
    let at = row * p.z_stride + j;
    let at_mu = row * p.parts_stride + j;
    let raw = parts[at_mu + p.latent];
    let inverse = exp(-clamp_log_var(raw));
    let off = z[at] - parts[at_mu];
    let inside = row / p.samples < record.rows;
    let c = record.loss_scale * record.kl_weight / f32(p.samples) * weight[row];
    let slope = off * inverse;
    dz[at] = select(0.0, dz[at], p.accumulate != 0u) + select(0.0, c * (slope - z[at]), inside);
    dparts[at_mu] = select(0.0, -c * slope, inside);
    let free = inside && raw == clamp_log_var(raw);
    dparts[at_mu + p.latent] = select(0.0, 0.5 * c * (1.0 - off * slope), free);
}
