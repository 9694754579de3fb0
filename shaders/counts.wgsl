// What models of counts do beside their likelihood. seen: seen (images, n) = log(1 + x), what the encoder sees of
// counts x (images, n). shares: m (rows, cols) = log Σ x + made − log Σ exp made over the n pixels of a row, which
// are the logarithms of means that share the image's own total (Lopez et al. 2018); row r is of image r div samples,
// and columns past the pixels are passed on. backward: dmade = dm − share Σ dm, where share = exp m / Σ exp m.

struct Counts {
    len: u32, rows: u32, pixels: u32, cols: u32, stride: u32, x_stride: u32, samples: u32, accumulate: u32,
}
@group(0) @binding(0) var<uniform> p: Counts;
const WIDTH = 64u;
// An image without counts has this total.
const LEAST = 1e-6;
var<workgroup> partial: array<vec2<f32>, WIDTH>;

// The sums of two values of each lane, for all of them.
fn totals(lane: u32, value: vec2<f32>) -> vec2<f32> {
    // The lanes may still read what was there before.
    workgroupBarrier();
    partial[lane] = value;
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    workgroupBarrier();
    return partial[0];
}

// The largest value of all lanes.
fn largest(lane: u32, value: f32) -> f32 {
    workgroupBarrier();
    partial[lane] = vec2<f32>(value, 0.0);
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] = max(partial[lane], partial[lane + width]); }
    }
    workgroupBarrier();
    return partial[0].x;
}

@group(0) @binding(1) var<storage, read> counts: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> logs: array<vec4<f32>>;

// Four neighbours; padding is zero, and stays so.
@compute @workgroup_size(WIDTH)
fn seen(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    logs[i] = log(1.0 + counts[i]);
}

@group(0) @binding(1) var<storage, read> made: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> log_mean: array<f32>;

// One row a workgroup. Rows past the record's are zero.
@compute @workgroup_size(WIDTH)
fn shares(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = flat_group(group, groups);
    if row >= p.rows { return; }
    let first = row * p.stride;
    let image = row / p.samples * p.x_stride;
    let inside = row < record.rows * p.samples;
    let end = select(0u, p.pixels, inside);
    var high = -3e38;
    for (var j = lane; j < end; j += WIDTH) { high = max(high, made[first + j]); }
    let top = largest(lane, high);
    var sums = vec2<f32>();
    for (var j = lane; j < end; j += WIDTH) {
        sums += vec2<f32>(exp(made[first + j] - top), x[image + j]);
    }
    let total = totals(lane, sums);
    let shift = log(max(total.y, LEAST)) - log(total.x);
    for (var j = lane; j < p.stride; j += WIDTH) {
        var value = 0.0;
        if inside && j < p.cols {
            value = made[first + j];
            if j < p.pixels { value = (value - top) + shift; }
        }
        log_mean[first + j] = value;
    }
}

@group(0) @binding(1) var<storage, read> made_log_mean: array<f32>;
@group(0) @binding(2) var<storage, read> dlog_mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> dmade: array<f32>;

// One row a workgroup.
@compute @workgroup_size(WIDTH)
fn backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = flat_group(group, groups);
    if row >= p.rows { return; }
    let first = row * p.stride;
    let inside = row < record.rows * p.samples;
    var sums = vec2<f32>();
    for (var j = lane; j < p.pixels; j += WIDTH) {
        sums += vec2<f32>(exp(made_log_mean[first + j]), dlog_mean[first + j]);
    }
    let total = totals(lane, sums);
    for (var j = lane; j < p.stride; j += WIDTH) {
        let at = first + j;
        var value = select(0.0, dmade[at], p.accumulate != 0u);
        if inside && j < p.cols {
            value += dlog_mean[at];
            if j < p.pixels { value -= exp(made_log_mean[at]) / total.x * total.y; }
        }
        dmade[at] = value;
    }
}
