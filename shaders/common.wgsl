// What several kernels share: the step's record, indices of folded grids, and the activations.

// What the host tells the running step. Each record has a bind group of its own.
struct Record {
    first: u32, rows: u32, step: u32, epoch: u32, images: u32, shuffle: u32, window: u32,
    stream: u32, seed_low: u32, seed_high: u32, slot: u32,
    loss_scale: f32, kl_weight: f32, rate: f32, beta1: f32, one_minus_beta1: f32, beta2: f32,
    one_minus_beta2: f32, step_size: f32, root_correction: f32, epsilon: f32, decay: f32,
    momentum: f32, max_norm: f32, learning: f32, capacity: f32, accumulator: f32,
    averaging: f32, free: f32,
}
@group(1) @binding(0) var<uniform> record: Record;

// No place in a window: the dataset lies whole.
const WHOLE = 0xffffffffu;

// Which row of a dataset on the device an image is, that a row of the minibatch holds: that of its number, or
// where a window holds the minibatch, one row behind another. Rows past the record's have the first.
fn row_of(image: u32, row: u32) -> u32 {
    let place = select(0u, record.window + row, row < record.rows);
    return select(place, image, record.window == WHOLE);
}

// The index of an invocation, and of a workgroup, in a flat grid that was folded in two to fit
// 65,535 workgroups a side.
fn flat_index(id: vec3<u32>, groups: vec3<u32>, width: u32) -> u32 {
    return id.x + id.y * groups.x * width;
}

fn flat_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.x + group.y * groups.x;
}

// Whether a float, given as bits, is neither infinite nor NaN. Float comparisons may be compiled
// away, since WGSL lets a compiler assume that neither occurs.
fn is_finite(bits: u32) -> bool {
    return (bits & 0x7f800000u) != 0x7f800000u;
}

const LEAK = 0.01;

// log(1 + exp x), without overflow.
fn softplus(x: f32) -> f32 {
    return max(x, 0.0) + log(1.0 + exp(-abs(x)));
}

// 1 / (1 + exp(−x)), without overflow.
fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

// tanh x. Near zero a polynomial, since the error of WGSL's own tanh is absolute.
fn tanh_of(x: f32) -> f32 {
    let a = abs(x);
    let s = a * a;
    let near = a * (1.0 + s * (-0.33333333 + s * (0.13333333 + s * (-0.053968254 + s * 0.021869489))));
    let e = exp(-2.0 * a);
    return sign(x) * select((1.0 - e) / (1.0 + e), near, a < 0.25);
}

// erf x. Near zero its series, elsewhere Abramowitz and Stegun 7.1.26, within 1.5e-7.
fn erf_of(x: f32) -> f32 {
    let a = abs(x);
    let s = a * a;
    let near = a * (1.1283792 + s * (-0.37612638 + s * (0.11283792 + s * (-0.026866171 + s * 0.0052239776))));
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let far = 1.0 - t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * exp(-s);
    return sign(x) * select(far, near, a < 0.5);
}

// An activation by its code (`Activation::code`).
fn activate(kind: u32, x: f32) -> f32 {
    switch kind {
        case 1u: { return max(x, 0.0); }
        case 2u: { return select(LEAK * x, x, x > 0.0); }
        case 3u: { return tanh_of(x); }
        case 4u: { return sigmoid(x); }
        case 5u: { return softplus(x); }
        case 6u: { return x * sigmoid(x); }
        case 7u: { return 0.5 * x * (1.0 + erf_of(0.70710678 * x)); }
        default: { return x; }
    }
}

// The slope of an activation at the place where its output is y; silu and gelu have none.
fn slope_at_output(kind: u32, y: f32) -> f32 {
    switch kind {
        case 1u: { return select(0.0, 1.0, y > 0.0); }
        case 2u: { return select(LEAK, 1.0, y > 0.0); }
        case 3u: { return 1.0 - y * y; }
        case 4u: { return y * (1.0 - y); }
        case 5u: { return 1.0 - exp(-y); }
        default: { return 1.0; }
    }
}

// The same for four neighbours.
fn activate_four(kind: u32, x: vec4<f32>) -> vec4<f32> {
    var y = vec4<f32>();
    for (var j = 0u; j < 4u; j++) { y[j] = activate(kind, x[j]); }
    return y;
}

fn slopes_at_output(kind: u32, y: vec4<f32>) -> vec4<f32> {
    var slopes = vec4<f32>();
    for (var j = 0u; j < 4u; j++) { slopes[j] = slope_at_output(kind, y[j]); }
    return slopes;
}

// log σ² within its bounds, outside of which it has no gradient.
const LOWEST = -30.0;
const HIGHEST = 20.0;

fn clamp_log_var(x: f32) -> f32 {
    return clamp(x, LOWEST, HIGHEST);
}

// exp x − 1 − x. Near zero, where posteriors start, the difference has no digits left; there it is
// the series.
fn excess(x: f32) -> f32 {
    let tail = 0.0083333333 + x * (0.0013888889 + x * (1.9841270e-4 + x * 2.4801587e-5));
    let near = x * x * (0.5 + x * (0.16666667 + x * (0.041666667 + x * tail)));
    return select(exp(x) - 1.0 - x, near, abs(x) < 0.5);
}

// z = μ + ε ⊗ exp(½ log σ²) of one dimension (`gaussian.wgsl`).
fn z_of(mu: f32, log_var: f32, noise: f32) -> f32 {
    return mu + noise * exp(0.5 * log_var);
}

// log p(z) − log q(z | x) of one dimension, in nats, of z = μ + ε σ; the constants of both normals cancel.
fn log_ratio_of(log_var: f32, noise: f32, z: f32) -> f32 {
    return 0.5 * (noise * noise - z * z + log_var);
}

// KL(N(μ, σ²) ‖ N(0, 1)) of one dimension, in nats.
fn kl_of(mu: f32, log_var: f32) -> f32 {
    return 0.5 * (mu * mu + excess(log_var));
}

// The derivatives of that by μ and by log σ².
fn kl_slopes(mu: f32, log_var: f32) -> vec2<f32> {
    return vec2<f32>(mu, 0.5 * (log_var + excess(log_var)));
}

// The gradients at μ and log σ² by way of z, of dz and of dz ε, both summed over the samples.
fn through_z(log_var: f32, dz: f32, dz_noise: f32) -> vec2<f32> {
    return vec2<f32>(dz, 0.5 * (dz_noise * exp(0.5 * log_var)));
}

struct Bernoulli4 { nll: vec4<f32>, slope: vec4<f32> }

// −log p(x | logits l) = log(1 + exp l) − l x of four pixels, and its slope σ(l) − x (`bernoulli.wgsl`).
fn bernoulli_of(l: vec4<f32>, x: vec4<f32>) -> Bernoulli4 {
    let e = exp(-abs(l));
    let nll = max(l, vec4<f32>()) - l * x + log(1.0 + e);
    let mean = select(e, vec4<f32>(1.0), l >= vec4<f32>()) / (1.0 + e);
    return Bernoulli4(nll, mean - x);
}

// The four bytes of a word, the lowest first.
fn bytes_of(word: u32) -> vec4<u32> {
    return (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
}

// Which of four are finite, by the bits.
fn each_finite(x: vec4<f32>) -> vec4<bool> {
    let exponent = bitcast<vec4<u32>>(x) & vec4<u32>(0x7f800000u);
    return exponent != vec4<u32>(0x7f800000u);
}

// What gradients are multiplied by before they are squared, 2⁻¹⁶: those below 2⁶⁴ then have sums of squares in
// f32's range, and those above 10⁻¹⁴ are not lost.
const SHRINK = 1.52587890625e-5;

// The sum of the squares of four gradients, times SHRINK².
fn scaled_square(g: vec4<f32>) -> f32 {
    let shrunk = SHRINK * g;
    return dot(shrunk, shrunk);
}

struct Updated { weight: vec4<f32>, first: vec4<f32>, second: vec4<f32>, broken: bool }

// The same, and what broke, as the guard counts: 2 a gradient, 4 a weight or a moment.
struct Judged { weight: vec4<f32>, first: vec4<f32>, second: vec4<f32>, broken: u32 }

// Four weights and their moments after Adam or AdamW (`optimizer.wgsl`). One that would not be
// finite keeps its own.
fn adam_of(decoupled: u32, g: vec4<f32>, w: vec4<f32>, m: vec4<f32>, v: vec4<f32>) -> Updated {
    // Weight decay is a part of the gradient, or apart from it.
    let apart = decoupled != 0u;
    let grad = g + select(record.decay, 0.0, apart) * w;
    let first = record.beta1 * m + record.one_minus_beta1 * grad;
    let second = record.beta2 * v + record.one_minus_beta2 * grad * grad;
    let shrunk = w - select(0.0, record.rate * record.decay, apart) * w;
    let weight = shrunk - record.step_size * first / (sqrt(second) * record.root_correction + record.epsilon);
    let fine = each_finite(weight) & each_finite(first) & each_finite(second);
    return Updated(select(w, weight, fine), select(m, first, fine), select(v, second, fine), !all(fine));
}

// The same by gradients that were not judged before: one that is not finite, or of 2⁶⁴ or more, whose
// square would not be, changes nothing.
fn judged_adam_of(decoupled: u32, g: vec4<f32>, w: vec4<f32>, m: vec4<f32>, v: vec4<f32>) -> Judged {
    let updated = adam_of(decoupled, g, w, m, v);
    let large = (bitcast<vec4<u32>>(g) & vec4<u32>(0x7fffffffu)) >= vec4<u32>(0x5f800000u);
    let broken = select(select(0u, 4u, updated.broken), 2u, any(large));
    return Judged(
        select(updated.weight, w, large), select(updated.first, m, large),
        select(updated.second, v, large), broken,
    );
}
