// z = μ + ε ⊗ exp(½ log σ²) and KL(N(μ, σ²) ‖ N(0, 1)) = ½ Σ (μ² + σ² − 1 − log σ²), for
// h (images, 2 n) = [μ | log σ²], z and ε (images · samples, n), kl (images): Kingma and Welling 2014,
// eq. 10 and appendix B; log_ratio (images · samples) = log p(z) − log q(z | x) = ½ Σ (ε² + log σ² − z²). Row r is sample r mod samples of row r div
// samples of h, and one of the `each` rows of image r div each: h has a row for each image, or for each z of a level below. log σ² is clamped;
// outside the bounds its gradient is zero.

struct Gaussian {
    rows: u32, latent: u32, h_stride: u32, z_stride: u32, samples: u32, each: u32, site: u32, family: u32, importance: u32,
    gradient: u32, accumulate: u32,
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
@group(0) @binding(6) var<storage, read_write> log_ratio: array<f32>;

const LAPLACE = 1u;
const LOGISTIC = 2u;

// Four numbers of the family's density f of location 0 and scale 1. Of the Laplace the word's lowest bit, which is not of the uniform's, is the
// sign; of the logistic it is log u − log(1 − u).
fn noise_of(words: vec4<u32>) -> vec4<f32> {
    var noise: vec4<f32>;
    switch p.family {
        case LAPLACE: {
            for (var k = 0u; k < 4u; k++) { noise[k] = select(1.0, -1.0, (words[k] & 1u) == 0u) * log_uniform(words[k]); }
        }
        case LOGISTIC: {
            for (var k = 0u; k < 4u; k++) { noise[k] = log_uniform(words[k]) - log_uniform(~words[k]); }
        }
        default: { noise = normals_of(words); }
    }
    return noise;
}

// log p(z) − log q(z | x) of one dimension, in nats; the constants are log 2 − ½ log 2π and −½ log 2π.
fn ratio_of(log_var: f32, noise: f32, z: f32) -> f32 {
    let rest = 0.5 * (log_var - z * z);
    switch p.family {
        case LAPLACE: { return abs(noise) - 0.22579135 + rest; }
        case LOGISTIC: { return abs(noise) + 2.0 * log(1.0 + exp(-abs(noise))) - 0.9189385 + rest; }
        default: { return log_ratio_of(log_var, noise, z); }
    }
}

// −(log f)'.
fn score(noise: f32) -> f32 {
    switch p.family {
        case LAPLACE: { return sign(noise); }
        case LOGISTIC: { return tanh(0.5 * noise); }
        default: { return noise; }
    }
}

// z of one element; its KL and its share of the log-ratio are returned.
fn sample(row: u32, j: u32, noise: f32) -> vec2<f32> {
    let at = row / p.samples * p.h_stride + j;
    let mu = h[at];
    let log_var = clamp_log_var(h[at + p.latent]);
    let value = z_of(mu, log_var, noise);
    z[row * p.z_stride + j] = value;
    return vec2<f32>(kl_of(mu, log_var), ratio_of(log_var, noise, value));
}

// Draws ε; it depends on the image and not on its place in the batch.
@compute @workgroup_size(WIDTH)
fn draw(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = flat_index(id, groups, WIDTH);
    if row >= p.rows { return; }
    let owner = row / p.each;
    let nth = row % p.each;
    var sums = vec2<f32>();
    if owner < record.rows {
        let key = vec2<u32>(record.seed_low, record.seed_high);
        let purpose = (p.site << 16u) + 16u * record.stream + NOISE;
        for (var j = 0u; j < p.latent; j += 4u) {
            let counter = vec4<u32>(j / 4u + nth * SAMPLE, image[owner], record.step, purpose);
            let noise = noise_of(philox(counter, key));
            for (var k = 0u; k < min(4u, p.latent - j); k++) {
                eps[row * p.z_stride + j + k] = noise[k];
                sums += sample(row, j + k, noise[k]);
            }
        }
    } else {
        for (var j = 0u; j < p.latent; j++) {
            eps[row * p.z_stride + j] = 0.0;
            z[row * p.z_stride + j] = 0.0;
        }
    }
    if row % p.samples == 0u { kl[row / p.samples] = sums.x; }
    log_ratio[row] = sums.y;
}

@group(0) @binding(1) var<storage, read> given_h: array<f32>;
@group(0) @binding(2) var<storage, read> given_eps: array<f32>;
@group(0) @binding(3) var<storage, read_write> given_z: array<f32>;
@group(0) @binding(4) var<storage, read_write> given_kl: array<f32>;
@group(0) @binding(5) var<storage, read_write> given_log_ratio: array<f32>;

// Takes ε as it is given.
@compute @workgroup_size(WIDTH)
fn given(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = flat_index(id, groups, WIDTH);
    if row >= p.rows { return; }
    let owner = row / p.samples;
    let inside = row / p.each < record.rows;
    var sums = vec2<f32>();
    for (var j = 0u; j < p.latent; j++) {
        let mu = given_h[owner * p.h_stride + j];
        let log_var = clamp_log_var(given_h[owner * p.h_stride + p.latent + j]);
        let noise = given_eps[row * p.z_stride + j];
        let value = z_of(mu, log_var, noise);
        given_z[row * p.z_stride + j] = select(0.0, value, inside);
        sums += vec2<f32>(kl_of(mu, log_var), ratio_of(log_var, noise, value));
    }
    if row % p.samples == 0u { given_kl[owner] = select(0.0, sums.x, inside); }
    given_log_ratio[row] = select(0.0, sums.y, inside);
}

@group(0) @binding(1) var<storage, read> back_h: array<f32>;
@group(0) @binding(2) var<storage, read> back_eps: array<f32>;
@group(0) @binding(3) var<storage, read> dz: array<f32>;
@group(0) @binding(4) var<storage, read_write> dh: array<f32>;

fn store(at: u32, value: f32) {
    dh[at] = select(0.0, dh[at], p.accumulate != 0u) + value;
}

// The gradients at μ and log σ² of one dimension, from those by way of z and those of the KL.
fn store_both(i: u32, through: vec2<f32>, kl_slopes: vec2<f32>) {
    let owner = i / p.latent;
    let at_mu = owner * p.h_stride + i % p.latent;
    let at_log_var = at_mu + p.latent;
    let raw = back_h[at_log_var];
    let d = through + record.kl_weight * record.loss_scale * kl_slopes;
    let inside = owner * p.samples / p.each < record.rows;
    store(at_mu, select(0.0, d.x, inside));
    store(at_log_var, select(0.0, d.y, inside && raw == clamp_log_var(raw)));
}

@compute @workgroup_size(WIDTH)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    let owner = i / p.latent;
    let j = i % p.latent;
    if owner * p.samples >= p.rows { return; }
    let mu = back_h[owner * p.h_stride + j];
    let log_var = clamp_log_var(back_h[owner * p.h_stride + p.latent + j]);
    var up = 0.0;
    var along = 0.0;
    for (var row = owner * p.samples; row < (owner + 1u) * p.samples && row < p.rows; row++) {
        up += dz[row * p.z_stride + j];
        along += dz[row * p.z_stride + j] * back_eps[row * p.z_stride + j];
    }
    store_both(i, through_z(log_var, up, along), kl_slopes(mu, log_var));
}

@group(0) @binding(5) var<storage, read> back_z: array<f32>;
@group(0) @binding(6) var<storage, read> weight: array<f32>;

const STANDARD = 0u;
const DREG = 2u;

// The same where samples are weighed by ω: dz, which holds ω times the likelihood's gradient, gets that of the
// prior and, but for the standard gradient, of the posterior's density at z: c ω (z − ε / σ), c being
// loss_scale kl_weight / samples (Roeder et al. 2017). Doubly reparameterised, ω² / K stands for ω (Tucker et
// al. 2018, eq. 8). The standard gradient has the entropy's share at log σ².
@compute @workgroup_size(WIDTH)
fn backward_weighed(
    @builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups, WIDTH);
    let owner = i / p.latent;
    let j = i % p.latent;
    if owner * p.samples >= p.rows { return; }
    let log_var = clamp_log_var(back_h[owner * p.h_stride + p.latent + j]);
    let c = record.loss_scale * record.kl_weight / f32(p.each);
    let inverse = select(exp(-0.5 * log_var), 0.0, p.gradient == STANDARD);
    var up = 0.0;
    var along = 0.0;
    var counts = 0.0;
    for (var row = owner * p.samples; row < (owner + 1u) * p.samples && row < p.rows; row++) {
        let at = row * p.z_stride + j;
        var d = dz[at] + c * weight[row] * (back_z[at] - score(back_eps[at]) * inverse);
        if p.gradient == DREG { d *= weight[row] / f32(p.importance); }
        up += d;
        along += d * back_eps[at];
        counts += weight[row];
    }
    // Where nothing is free the weights of an image's samples have the mean 1.
    let share = counts / f32(p.each);
    let entropy = vec2<f32>(0.0, select(0.0, -0.5 * share, p.gradient == STANDARD));
    store_both(i, through_z(log_var, up, along), entropy);
}
