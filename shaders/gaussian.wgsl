// z = μ + ε ⊗ exp(½ log σ²) and KL(N(μ, σ²) ‖ N(0, 1)) = ½ Σ (μ² + σ² − 1 − log σ²), for
// h (images, 2 n) = [μ | log σ²], z and ε (images · samples, n), kl (images): Kingma and Welling 2014,
// eq. 10 and appendix B. Row r is sample r mod samples of image r div samples. log σ² is clamped;
// outside the bounds its gradient is zero.

struct Gaussian {
    rows: u32, latent: u32, h_stride: u32, z_stride: u32, samples: u32, divergence: u32,
    accumulate: u32,
}
@group(0) @binding(0) var<uniform> p: Gaussian;
const WIDTH = 32u;
// Between the counters of an image's samples: a quarter of the most dimensions fits.
const SAMPLE = 262144u;

@group(0) @binding(1) var<storage, read> image: array<u32>;
@group(0) @binding(2) var<storage, read> h: array<f32>;
@group(0) @binding(3) var<storage, read_write> eps: array<f32>;
@group(0) @binding(4) var<storage, read_write> z: array<f32>;
@group(0) @binding(5) var<storage, read_write> kl: array<f32>;

// z of one element; its KL is returned.
fn sample(row: u32, j: u32, noise: f32) -> f32 {
    let at = row / p.samples * p.h_stride + j;
    let mu = h[at];
    let log_var = clamp_log_var(h[at + p.latent]);
    z[row * p.z_stride + j] = z_of(mu, log_var, noise);
    return kl_of(mu, log_var);
}

// Draws ε; it depends on the image and not on its place in the batch.
@compute @workgroup_size(WIDTH)
fn draw(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = flat_index(id, groups, WIDTH);
    if row >= p.rows { return; }
    let owner = row / p.samples;
    let nth = row % p.samples;
    var sum = 0.0;
    if owner < record.rows {
        let key = vec2<u32>(record.seed_low, record.seed_high);
        let purpose = 16u * record.stream + NOISE;
        for (var j = 0u; j < p.latent; j += 4u) {
            let counter = vec4<u32>(j / 4u + nth * SAMPLE, image[owner], record.step, purpose);
            let noise = normals_of(philox(counter, key));
            for (var k = 0u; k < min(4u, p.latent - j); k++) {
                eps[row * p.z_stride + j + k] = noise[k];
                sum += sample(row, j + k, noise[k]);
            }
        }
    } else {
        for (var j = 0u; j < p.latent; j++) {
            eps[row * p.z_stride + j] = 0.0;
            z[row * p.z_stride + j] = 0.0;
        }
    }
    if nth == 0u { kl[owner] = sum; }
}

@group(0) @binding(1) var<storage, read> given_h: array<f32>;
@group(0) @binding(2) var<storage, read> given_eps: array<f32>;
@group(0) @binding(3) var<storage, read_write> given_z: array<f32>;
@group(0) @binding(4) var<storage, read_write> given_kl: array<f32>;

// Takes ε as it is given.
@compute @workgroup_size(WIDTH)
fn given(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = flat_index(id, groups, WIDTH);
    if row >= p.rows { return; }
    let owner = row / p.samples;
    let inside = owner < record.rows;
    var sum = 0.0;
    for (var j = 0u; j < p.latent; j++) {
        let mu = given_h[owner * p.h_stride + j];
        let log_var = clamp_log_var(given_h[owner * p.h_stride + p.latent + j]);
        let value = z_of(mu, log_var, given_eps[row * p.z_stride + j]);
        given_z[row * p.z_stride + j] = select(0.0, value, inside);
        sum += kl_of(mu, log_var);
    }
    if row % p.samples == 0u { given_kl[owner] = select(0.0, sum, inside); }
}

@group(0) @binding(1) var<storage, read> back_h: array<f32>;
@group(0) @binding(2) var<storage, read> back_eps: array<f32>;
@group(0) @binding(3) var<storage, read> dz: array<f32>;
@group(0) @binding(4) var<storage, read_write> dh: array<f32>;

// What of the KL's gradient is added: all of it, that of −½ log σ² alone, or nothing.
const WHOLE = 1u;
const ENTROPY = 2u;

fn store(at: u32, value: f32) {
    dh[at] = select(0.0, dh[at], p.accumulate != 0u) + value;
}

@compute @workgroup_size(WIDTH)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    let owner = i / p.latent;
    let j = i % p.latent;
    if owner * p.samples >= p.rows { return; }
    let at_mu = owner * p.h_stride + j;
    let at_log_var = at_mu + p.latent;
    let mu = back_h[at_mu];
    let raw = back_h[at_log_var];
    let log_var = clamp_log_var(raw);
    let weight = record.kl_weight * record.loss_scale;
    let inside = owner < record.rows;
    var up = 0.0;
    var along = 0.0;
    for (var row = owner * p.samples; row < (owner + 1u) * p.samples && row < p.rows; row++) {
        up += dz[row * p.z_stride + j];
        along += dz[row * p.z_stride + j] * back_eps[row * p.z_stride + j];
    }
    var slopes = vec2<f32>();
    if p.divergence == WHOLE { slopes = kl_slopes(mu, log_var); }
    if p.divergence == ENTROPY { slopes = vec2<f32>(0.0, -0.5); }
    let d = through_z(log_var, up, along) + weight * slopes;
    store(at_mu, select(0.0, d.x, inside));
    store(at_log_var, select(0.0, d.y, inside && raw == log_var));
}
