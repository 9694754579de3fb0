// What both kernels of likelihoods take: a log-scale within its bounds, a level's share of a logistic distribution, sums of
// exponentials. Of the parameters it needs `levels`.

// The bounds of a log-scale, outside of which it has no gradient.
const LOWEST_SCALE = -8.0;
const HIGHEST_SCALE = 8.0;

// log((1 − exp −a) / a) for a ≥ 0. Near zero, where the quotient has no digits, its series: terms of
// Bernoulli numbers, 2·10⁻⁹ from it.
fn log_unit(a: f32) -> f32 {
    let q = a * a;
    let tail = -1.0333995e-7 + q * (2.0876757e-9 + q * (-4.4034918e-11 + q * 9.5589665e-13));
    let near = -0.5 * a + q * (0.041666667 + q * (-3.4722222e-4 + q * (5.5114638e-6 + q * tail)));
    if a < 2.0 { return near; }
    return log((1.0 - exp(-a)) / a);
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
