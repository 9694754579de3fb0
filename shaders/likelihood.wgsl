// nll (rows) = −Σ log p(x | made) over the pixels of an image, in nats, and in the same dispatch the
// gradient dmade (rows, outputs · pixels) times the record's scale, for every family of pixels but
// Bernoulli's. Row r is of image r div samples; made lies in blocks of all pixels: logits or locations
// first. One log-scale for all (`forward_shared`) has its gradient summed over each row, which `sum` adds.

struct Pixelwise {
    rows: u32, pixels: u32, cols: u32, stride: u32, x_stride: u32, samples: u32, family: u32,
    scale: u32, levels: u32, components: u32, accumulate: u32, sigma: f32,
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
const LOGISTIC_MIXTURE = 5u;
const CATEGORICAL = 6u;
// Where the scale comes from.
const PIXEL = 2u;
// The bounds of a log-scale, outside of which it has no gradient.
const LOWEST_SCALE = -8.0;
const HIGHEST_SCALE = 8.0;

@group(0) @binding(1) var<storage, read> made: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> nll: array<f32>;
@group(0) @binding(4) var<storage, read_write> dmade: array<f32>;

// log((1 − exp −a) / a) for a ≥ 0. Near zero, where the quotient has no digits, its series: terms of
// Bernoulli numbers, 2·10⁻⁹ from it.
fn log_unit(a: f32) -> f32 {
    let q = a * a;
    let tail = -1.0333995e-7 + q * (2.0876757e-9 + q * (-4.4034918e-11 + q * 9.5589665e-13));
    let near = -0.5 * a + q * (0.041666667 + q * (-3.4722222e-4 + q * (5.5114638e-6 + q * tail)));
    if a < 2.0 { return near; }
    return log((1.0 - exp(-a)) / a);
}

// The mean of the density on [0, 1] that is proportional to exp(l x): 1 / (1 − exp −l) − 1 / l.
fn unit_mean(l: f32) -> f32 {
    let q = l * l;
    let tail = -8.2671958e-7 + q * (2.0876757e-8 + q * (-5.2841901e-10 + q * 1.3382554e-11));
    let near = 0.5 + l * (0.083333333 + q * (-0.0013888889 + q * (3.3068783e-5 + q * tail)));
    let a = max(abs(l), 1.0);
    let far = 1.0 / (1.0 - exp(-a)) - 1.0 / a;
    return select(select(1.0 - far, far, l > 0.0), near, abs(l) < 2.0);
}

// −log P of the level x, and its slopes at the location m and the log-scale: P is what a logistic
// distribution puts into the level's bin, of which the first and the last are open. With a and b the
// bin's ends, σ(a) − σ(b) = σ(a) σ(−b) (1 − exp(b − a)), whose logarithm loses no digits, however far
// the location is; so there is no floor.
fn logistic(x: f32, m: f32, log_scale: f32) -> vec3<f32> {
    let steps = f32(p.levels - 1u);
    let level = round(x * steps);
    let inverse = exp(-log_scale);
    let a = ((x - m) + 0.5 / steps) * inverse;
    let b = ((x - m) - 0.5 / steps) * inverse;
    let width = inverse / steps;
    let inner = level > 0.0 && level < steps;
    var found = vec3<f32>();
    if level < steps {
        let miss = sigmoid(-a);
        found += vec3<f32>(softplus(-a), miss * inverse, a * miss);
    }
    if level > 0.0 {
        let miss = sigmoid(b);
        found += vec3<f32>(softplus(b), -miss * inverse, -b * miss);
    }
    if inner {
        let unit = log_unit(width);
        found += vec3<f32>(-log(width) - unit, 0.0, exp(-width - unit));
    }
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
        default: { return logistic(x, m, log_scale); }
    }
}

// A log-scale within its bounds, and whether it has a gradient there.
struct LogScale { value: f32, slope: f32 }

fn bounded(raw: f32) -> LogScale {
    let value = clamp(raw, LOWEST_SCALE, HIGHEST_SCALE);
    return LogScale(value, select(0.0, 1.0, raw == value));
}

// Sums of exponentials as they come, each over the exponential of its highest: log Σ exp v is
// high + log total.
struct Sums { high: vec2<f32>, total: vec2<f32> }

fn add(sums: Sums, v: vec2<f32>) -> Sums {
    let high = max(sums.high, v);
    return Sums(high, sums.total * exp(sums.high - high) + exp(v - high));
}

fn nothing() -> Sums {
    return Sums(vec2<f32>(-3e38), vec2<f32>());
}

// The component c of the mixture at a pixel.
fn component(at: u32, c: u32, x: f32) -> vec3<f32> {
    let log_scale = bounded(made[at + (2u * p.components + c) * p.pixels]);
    let found = logistic(x, made[at + (p.components + c) * p.pixels], log_scale.value);
    return found * vec3<f32>(1.0, 1.0, log_scale.slope);
}

fn mixture(at: u32, x: f32, weight: f32) -> f32 {
    var sums = nothing();
    for (var c = 0u; c < p.components; c++) {
        let logit = made[at + c * p.pixels];
        sums = add(sums, vec2<f32>(logit, logit - component(at, c, x).x));
    }
    let log_sum = sums.high + log(sums.total);
    for (var c = 0u; c < p.components; c++) {
        let here = at + c * p.pixels;
        let logit = made[here];
        let found = component(at, c, x);
        let before = exp(logit - log_sum.x);
        let after = exp(logit - found.x - log_sum.y);
        dmade[here] = (before - after) * weight;
        dmade[here + p.components * p.pixels] = after * found.y * weight;
        dmade[here + 2u * p.components * p.pixels] = after * found.z * weight;
    }
    return log_sum.x - log_sum.y;
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
        case LOGISTIC_MIXTURE: { return vec2<f32>(mixture(at, x, weight), 0.0); }
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

// One workgroup for all rows, so that their order is always the same.
@compute @workgroup_size(WIDTH)
fn sum(@builtin(local_invocation_index) lane: u32) {
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
    if lane == 0u { whole[0] = select(0.0, whole[0], p.accumulate != 0u) + partial[0].x; }
}
