// nll (rows) = −Σ log p(x | made) over the places of an image, in nats, under a mixture of discretised logistics that
// the `together` numbers of a place share; and in the same dispatch the gradient dmade (rows, blocks · places) times
// the record's scale. Row r is of image r div samples. A block has a number for each place; a group of blocks is one
// for each component: logits, then the locations of the first number, of the second, …, then their log-scales, then
// the coefficients of the second by the first, of the third by the first and by the second, ….

struct Mixture {
    rows: u32, places: u32, cols: u32, stride: u32, x_stride: u32, samples: u32, levels: u32,
    components: u32, together: u32,
}
@group(0) @binding(0) var<uniform> p: Mixture;
override components: u32 = 1u;
override together: u32 = 1u;
const WIDTH = 256u;
const PART = 32u * WIDTH;
var<workgroup> partial: array<f32, WIDTH>;

@group(0) @binding(1) var<storage, read> made: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> nll: array<f32>;
@group(0) @binding(4) var<storage, read_write> dmade: array<f32>;

// Where a component's block of a group begins.
fn block(group: u32, c: u32) -> u32 {
    return (group * components + c) * p.places;
}

// 1 − tanh² of v, which keeps its digits where tanh is nearly 1.
fn tanh_slope(v: f32) -> f32 {
    let e = exp(-2.0 * abs(v));
    return 4.0 * e / ((1.0 + e) * (1.0 + e));
}

// −log P of the numbers of a place under the component c; its slopes are left in dmade.
fn component(at: u32, of_x: u32, c: u32) -> f32 {
    var sum = 0.0;
    var pairs = 1u + 2u * together;
    for (var i = 0u; i < together; i++) {
        let location = at + block(1u + i, c);
        let scale = at + block(1u + together + i, c);
        var m = made[location];
        for (var j = 0u; j < i; j++) {
            m += tanh_of(made[at + block(pairs + j, c)]) * (x[of_x + j] - 0.5);
        }
        let log_scale = bounded(made[scale]);
        let found = logistic(x[of_x + i], m, log_scale.value);
        for (var j = 0u; j < i; j++) {
            let here = at + block(pairs + j, c);
            dmade[here] = found.y * (x[of_x + j] - 0.5) * tanh_slope(made[here]);
        }
        sum += found.x;
        dmade[location] = found.y;
        dmade[scale] = found.z * log_scale.slope;
        pairs += i;
    }
    return sum;
}

// −log p of a place.
fn place(at: u32, of_x: u32, weight: f32) -> f32 {
    var sums = nothing();
    for (var c = 0u; c < components; c++) {
        let here = at + block(0u, c);
        let loss = component(at, of_x, c);
        // Kept for the second turn.
        dmade[here] = loss;
        sums = add(sums, vec2<f32>(made[here], made[here] - loss));
    }
    let log_sum = sums.high + log(sums.total);
    let groups = 1u + 2u * together + together * (together - 1u) / 2u;
    for (var c = 0u; c < components; c++) {
        let here = at + block(0u, c);
        let before = exp(made[here] - log_sum.x);
        let after = exp(made[here] - dmade[here] - log_sum.y);
        dmade[here] = (before - after) * weight;
        for (var group = 1u; group < groups; group++) { dmade[at + block(group, c)] *= after * weight; }
    }
    return log_sum.x - log_sum.y;
}

// One row a workgroup. Rows past the record's are zero.
@compute @workgroup_size(WIDTH)
fn mixture(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = flat_group(group, groups);
    let inside = row < record.rows * p.samples;
    var sum = 0.0;
    if row < p.rows {
        let start = row * p.stride;
        if inside {
            let weight = record.loss_scale / f32(p.samples);
            let image = row / p.samples * p.x_stride;
            for (var part = lane; part < p.places; part += PART) {
                // A sum of short sums loses fewer digits.
                var short = 0.0;
                for (var j = part; j < min(part + PART, p.places); j += WIDTH) {
                    short += place(start + j, image + j * together, weight);
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
    if lane == 0u && row < p.rows { nll[row] = partial[0]; }
}
