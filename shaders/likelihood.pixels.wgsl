// nll (rows) = −Σ log p(x | made) over the pixels of an image, in nats, and in the same dispatch the
// gradient dmade (rows, outputs · pixels) times the record's scale, for every family of pixels but
// Bernoulli's and mixtures. Row r is of image r div samples; made lies in blocks of all pixels: logits or locations
// first. One log-scale for all (`forward_shared`) has its gradient summed over each row, which `sum` adds;
// `sum_adam` and `sum_adam_squares` update it at once by Adam's rule (`optimizer.wgsl`).

struct Pixelwise {
    rows: u32, pixels: u32, cols: u32, stride: u32, x_stride: u32, samples: u32, family: u32,
    scale: u32, levels: u32, accumulate: u32, decoupled: u32, sigma: f32,
}
@group(0) @binding(0) var<uniform> p: Pixelwise;
override family: u32 = 0u;
override scale: u32 = 0u;
const WIDTH = 64u;
const PART = 32u * WIDTH;
var<workgroup> partial: array<vec2<f32>, WIDTH>;

const CONTINUOUS_BERNOULLI = 1u;
const NORMAL = 2u;
const LAPLACE = 3u;
const CATEGORICAL = 7u;
const POISSON = 8u;
const NEGATIVE_BINOMIAL = 9u;
// Where the scale comes from.
const PIXEL = 2u;
// The bounds of the logarithm of a count's mean.
const LOWEST_MEAN = -60.0;
const HIGHEST_MEAN = 20.0;

@group(0) @binding(1) var<storage, read> made: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> nll: array<f32>;
@group(0) @binding(4) var<storage, read_write> dmade: array<f32>;

// The mean of the density on [0, 1] that is proportional to exp(l x): 1 / (1 − exp −l) − 1 / l.
fn unit_mean(l: f32) -> f32 {
    let q = l * l;
    let tail = -8.2671958e-7 + q * (2.0876757e-8 + q * (-5.2841901e-10 + q * 1.3382554e-11));
    let near = 0.5 + l * (0.083333333 + q * (-0.0013888889 + q * (3.3068783e-5 + q * tail)));
    let a = max(abs(l), 1.0);
    let far = 1.0 / (1.0 - exp(-a)) - 1.0 / a;
    return select(select(1.0 - far, far, l > 0.0), near, abs(l) < 2.0);
}

// Binet's c(y) = log Γ(y) − (y − ½) log y + y − ½ log 2π for y > 0, and its slope: Stirling's series from 4 on,
// within 3·10⁻⁹, and below it by c(y) = c(y + 1) + (y + ½) log(1 + 1 / y) − 1.
fn binet(least: f32) -> vec2<f32> {
    var found = vec2<f32>();
    var y = least;
    while y < 4.0 {
        let step = log(1.0 + 1.0 / y);
        found += vec2<f32>((y + 0.5) * step - 1.0, step - (y + 0.5) / (y * (y + 1.0)));
        y += 1.0;
    }
    let i = 1.0 / y;
    let q = i * i;
    let series = 0.083333333 + q * (-0.0027777778 + q * (7.9365079e-4 - q * 5.9523810e-4));
    let slope = -0.083333333 + q * (0.0083333333 + q * (-0.0039682540 + q * 0.0041666667));
    return found + vec2<f32>(i * series, q * slope);
}

// log(1 + u), where 1 + u is known. Near zero by 2 (s + s³/3 + s⁵/5 + …) with s = u / (2 + u).
fn log_near(u: f32, sum: f32) -> f32 {
    let s = u / (2.0 + u);
    let q = s * s;
    let near = 2.0 * s * (1.0 + q * (0.33333333 + q * (0.2 + q * (0.14285714 + q * 0.11111111))));
    return select(log(sum), near, abs(u) < 0.25);
}

// ½ log(2π v).
fn half_log(v: f32) -> f32 {
    return 0.5 * log(6.2831853 * v);
}

// −log of the Poisson probability of x, μ − x m + log Γ(x + 1) with m = log μ, and its slope at m; in terms that are
// no larger than it: x (exp d − 1 − d) + ½ log(2π x) + c(x), where d = m − log x.
fn poisson(x: f32, m: f32) -> vec3<f32> {
    let mean = exp(m);
    if x <= 0.0 { return vec3<f32>(mean, mean, 0.0); }
    return vec3<f32>(x * excess(m - log(x)) + half_log(x) + binet(x).x, mean - x, 0.0);
}

// The same of the negative binomial probability with the mean μ and the inverse dispersion r,
// log Γ(r) + log Γ(x + 1) − log Γ(x + r) − r log(r / (r + μ)) − x log(μ / (r + μ)), and its slope at log r: with
// u = (μ − x) / (r + x) and w = −u r / μ it is
// r log(1 + u) + x log(1 + w) + ½ log(2π x (x + r) / r) + c(r) + c(x) − c(x + r).
fn negative_binomial(x: f32, m: f32, log_r: f32) -> vec3<f32> {
    let mean = exp(m);
    let r = exp(log_r);
    let by_r = log_near((mean - x) / (r + x), (r + mean) / (r + x));
    let off = (mean - x) / (r + mean);
    var found = vec3<f32>(r * by_r, r * off, r * (by_r - off));
    if x > 0.0 {
        let high = r * (x - mean);
        let low = mean * (x + r);
        var by_x = 0.0;
        if abs(high) < 0.25 * low {
            by_x = log_near(high / low, 1.0);
        } else {
            // log(1 + r / μ) − log(1 + r / x).
            by_x = softplus(log_r - m) - log_near(r / x, (x + r) / x);
        }
        let of_r = binet(r);
        let of_both = binet(x + r);
        let rest = half_log(x * ((x + r) / r)) + of_r.x + binet(x).x - of_both.x;
        found += vec3<f32>(x * by_x + rest, 0.0, r * (of_r.y - of_both.y) - 0.5 * x / (x + r));
    }
    return found;
}

// −log p of a count and its slopes, of the logarithm of its mean, which has no gradient outside its bounds.
fn counted(x: f32, raw: f32, log_scale: f32) -> vec3<f32> {
    let m = clamp(raw, LOWEST_MEAN, HIGHEST_MEAN);
    var found = vec3<f32>();
    if family == POISSON {
        found = poisson(x, m);
    } else {
        found = negative_binomial(x, m, log_scale);
    }
    found.y *= select(0.0, 1.0, raw == m);
    return found;
}

// −log p of a family with a location and a scale, and its slopes at the location and the log-scale.
fn located(x: f32, m: f32, log_scale: f32) -> vec3<f32> {
    let inverse = exp(-log_scale);
    let error = (x - m) * inverse;
    switch family {
        case NORMAL: {
            let square = error * error;
            return vec3<f32>(0.5 * square + log_scale + 0.91893853, -error * inverse, 1.0 - square);
        }
        case LAPLACE: {
            let off = abs(error);
            return vec3<f32>(off + log_scale + 0.69314718, -sign(error) * inverse, 1.0 - off);
        }
        case POISSON, NEGATIVE_BINOMIAL: { return counted(x, m, log_scale); }
        default: { return logistic(x, m, log_scale); }
    }
}

fn categorical(at: u32, x: f32, weight: f32) -> f32 {
    let level = u32(round(x * f32(p.levels - 1u)));
    var sums = nothing();
    for (var k = 0u; k < p.levels; k++) { sums = add(sums, vec2<f32>(made[at + k * p.pixels])); }
    let log_sum = sums.high.x + log(sums.total.x);
    for (var k = 0u; k < p.levels; k++) {
        let here = at + k * p.pixels;
        dmade[here] = (exp(made[here] - log_sum) - select(0.0, 1.0, k == level)) * weight;
    }
    return log_sum - made[at + level * p.pixels];
}

// −log p of the pixel x, whose first number of the decoder is at `at`, and the slope at a log-scale
// that is not the decoder's.
fn pixel(at: u32, x: f32, log_scale: f32, weight: f32) -> vec2<f32> {
    switch family {
        case CONTINUOUS_BERNOULLI: {
            // The density is exp(l x) over its integral, (exp l − 1) / l.
            let l = made[at];
            dmade[at] = (unit_mean(l) - x) * weight;
            return vec2<f32>(max(l, 0.0) + log_unit(abs(l)) - l * x, 0.0);
        }
        case CATEGORICAL: { return vec2<f32>(categorical(at, x, weight), 0.0); }
        default: {
            var own = LogScale(log_scale, 1.0);
            if scale == PIXEL { own = bounded(made[at + p.pixels]); }
            let found = located(x, made[at], own.value);
            dmade[at] = found.y * weight;
            if scale == PIXEL { dmade[at + p.pixels] = found.z * own.slope * weight; }
            return found.xz;
        }
    }
}

// The sums over a row, for its workgroup's first lane. Rows past the record's are zero.
fn sums(row: u32, lane: u32, log_scale: f32) -> vec2<f32> {
    let inside = row < record.rows * p.samples;
    var sum = vec2<f32>();
    if row < p.rows {
        let start = row * p.stride;
        if inside {
            let weight = record.loss_scale / f32(p.samples);
            for (var part = lane; part < p.pixels; part += PART) {
                // A sum of short sums loses fewer digits.
                var short = vec2<f32>();
                for (var j = part; j < min(part + PART, p.pixels); j += WIDTH) {
                    short += pixel(start + j, x[row / p.samples * p.x_stride + j], log_scale, weight);
                }
                sum += short;
            }
        }
        let zeros = select(0u, p.cols, inside);
        for (var col = zeros + lane; col < p.stride; col += WIDTH) { dmade[start + col] = 0.0; }
    }
    partial[lane] = sum;
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    return partial[0];
}

// One row a workgroup.
@compute @workgroup_size(WIDTH)
fn forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = flat_group(group, groups);
    let found = sums(row, lane, log(p.sigma));
    if lane == 0u && row < p.rows { nll[row] = found.x; }
}

@group(0) @binding(5) var<storage, read> log_scale: array<f32>;
@group(0) @binding(6) var<storage, read_write> dlog_scale: array<f32>;

@compute @workgroup_size(WIDTH)
fn forward_shared(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = flat_group(group, groups);
    let shared_scale = bounded(log_scale[0]);
    let found = sums(row, lane, shared_scale.value);
    if lane == 0u && row < p.rows {
        nll[row] = found.x;
        dlog_scale[row] = found.y * shared_scale.slope * record.loss_scale / f32(p.samples);
    }
}

@group(0) @binding(1) var<storage, read> each: array<f32>;
@group(0) @binding(2) var<storage, read_write> whole: array<f32>;

// The sum over all rows, for the first lane of the one workgroup: their order is always the same.
fn over_rows(lane: u32) -> f32 {
    var total = 0.0;
    for (var part = lane; part < p.rows; part += PART) {
        var short = 0.0;
        for (var row = part; row < min(part + PART, p.rows); row += WIDTH) { short += each[row]; }
        total += short;
    }
    partial[lane] = vec2<f32>(total, 0.0);
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    return partial[0].x;
}

@compute @workgroup_size(WIDTH)
fn sum(@builtin(local_invocation_index) lane: u32) {
    let total = over_rows(lane);
    if lane == 0u { whole[0] = select(0.0, whole[0], p.accumulate != 0u) + total; }
}

@group(0) @binding(2) var<storage, read_write> guard_words: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> first: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> second: array<vec4<f32>>;

@compute @workgroup_size(WIDTH)
fn sum_adam(@builtin(local_invocation_index) lane: u32) {
    let total = over_rows(lane);
    if lane != 0u || atomicLoad(&guard_words[0]) != 0u { return; }
    update_scale(total);
}

@group(0) @binding(6) var<storage, read_write> squares: array<f32>;

// The same, and the gradient's square, for the norm of all.
@compute @workgroup_size(WIDTH)
fn sum_adam_squares(@builtin(local_invocation_index) lane: u32) {
    let total = over_rows(lane);
    if lane != 0u { return; }
    let live = atomicLoad(&guard_words[0]) == 0u;
    squares[0] = select(0.0, scaled_square(vec4<f32>(total, 0.0, 0.0, 0.0)), live);
    if live { update_scale(total); }
}

// Adam's update of the log-scale by its gradient.
fn update_scale(total: f32) {
    let updated = judged_adam_of(
        p.decoupled, vec4<f32>(total, 0.0, 0.0, 0.0), weights[0], first[0], second[0],
    );
    weights[0] = updated.weight;
    first[0] = updated.first;
    second[0] = updated.second;
    if updated.broken != 0u { atomicOr(&guard_words[1], updated.broken); }
}
