// Each group of channels of an image's map is made of mean 0 and variance 1 over all its places, then scaled and shifted:
// y = f(gain ⊗ normal + bias) with normal = (x − mean) · inverse, inverse = 1 / √(variance + ε), for x and y (images ·
// places, channels), gain and bias (channels), moments (images, 2 · groups) = [mean | inverse].

struct GroupNorm {
    images: u32, places: u32, channels: u32, stride: u32, groups: u32, moments_stride: u32, slopes_stride: u32,
    activation: u32, accumulate: u32,
}
@group(0) @binding(0) var<uniform> p: GroupNorm;
override activation: u32 = 0u;
const WIDTH = 64u;
const EPSILON = 1e-5;
// Columns that a workgroup adds up, each by as many lanes as there are left.
const COLUMNS = 16u;

// The element of a group of an image, counted place by place.
fn element(image: u32, group: u32, i: u32) -> u32 {
    let each = p.channels / p.groups;
    return (image * p.places + i / each) * p.stride + group * each + i % each;
}

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gain: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> moments: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

// One group of an image a workgroup.
@compute @workgroup_size(WIDTH)
fn forward(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let image = flat_group(id, groups) / p.groups;
    let group = flat_group(id, groups) % p.groups;
    if image >= p.images { return; }
    let each = p.channels / p.groups;
    let count = p.places * each;
    var sum = 0.0;
    for (var i = lane; i < count; i += WIDTH) { sum += x[element(image, group, i)]; }
    let mean = total(lane, sum) / f32(count);
    var squares = 0.0;
    for (var i = lane; i < count; i += WIDTH) {
        let apart = x[element(image, group, i)] - mean;
        squares += apart * apart;
    }
    let inverse = inverseSqrt(total(lane, squares) / f32(count) + EPSILON);
    for (var i = lane; i < count; i += WIDTH) {
        let at = element(image, group, i);
        let channel = group * each + i % each;
        y[at] = activate(activation, (x[at] - mean) * inverse * gain[channel] + bias[channel]);
    }
    if lane == 0u {
        moments[image * p.moments_stride + group] = mean;
        moments[image * p.moments_stride + p.groups + group] = inverse;
    }
}

@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> made: array<f32>;
@group(0) @binding(4) var<storage, read_write> slopes: array<f32>;

// slopes (images, 2 · stride) = [Σ dy ⊗ normal | Σ dy] over the places of an image. Neighbouring columns a workgroup.
@compute @workgroup_size(WIDTH)
fn sums(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let blocks = p.stride / COLUMNS;
    let image = flat_group(id, groups) / blocks;
    if image >= p.images { return; }
    let channel = flat_group(id, groups) % blocks * COLUMNS + lane % COLUMNS;
    // Past the last channel that of the last one, which is not stored.
    let group = min(channel, p.channels - 1u) / (p.channels / p.groups);
    let mean = made[image * p.moments_stride + group];
    let inverse = made[image * p.moments_stride + p.groups + group];
    var by_gain = 0.0;
    var by_bias = 0.0;
    for (var place = lane / COLUMNS; place < p.places; place += WIDTH / COLUMNS) {
        let at = (image * p.places + place) * p.stride + channel;
        by_gain += dy[at] * (x[at] - mean) * inverse;
        by_bias += dy[at];
    }
    let of_gain = total_of(lane, by_gain, COLUMNS);
    let of_bias = total_of(lane, by_bias, COLUMNS);
    if lane < COLUMNS {
        let inside = channel < p.channels;
        let at = image * p.slopes_stride + channel;
        slopes[at] = select(0.0, of_gain, inside);
        slopes[at + p.stride] = select(0.0, of_bias, inside);
    }
}

@group(0) @binding(4) var<storage, read> back_gain: array<f32>;
@group(0) @binding(5) var<storage, read> summed: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;

// One group of an image a workgroup.
@compute @workgroup_size(WIDTH)
fn backward(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let image = flat_group(id, groups) / p.groups;
    let group = flat_group(id, groups) % p.groups;
    if image >= p.images { return; }
    let each = p.channels / p.groups;
    let count = p.places * each;
    var sum = 0.0;
    var along = 0.0;
    for (var i = lane; i < each; i += WIDTH) {
        let channel = group * each + i;
        let at = image * p.slopes_stride + channel;
        along += back_gain[channel] * summed[at];
        sum += back_gain[channel] * summed[at + p.stride];
    }
    let mean_dn = total(lane, sum) / f32(count);
    let mean_along = total(lane, along) / f32(count);
    let mean = made[image * p.moments_stride + group];
    let inverse = made[image * p.moments_stride + p.groups + group];
    for (var i = lane; i < count; i += WIDTH) {
        let at = element(image, group, i);
        let dn = dy[at] * back_gain[group * each + i % each];
        let value = inverse * (dn - mean_dn - (x[at] - mean) * inverse * mean_along);
        dx[at] = select(0.0, dx[at], p.accumulate != 0u) + value;
    }
}

@group(0) @binding(1) var<storage, read> each_image: array<f32>;
@group(0) @binding(2) var<storage, read_write> dgain: array<f32>;
@group(0) @binding(3) var<storage, read_write> dbias: array<f32>;

// dgain, dbias (channels) = Σ slopes over the images. One column a workgroup.
@compute @workgroup_size(WIDTH)
fn parameters(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let channel = flat_group(id, groups);
    if channel >= p.stride { return; }
    var by_gain = 0.0;
    var by_bias = 0.0;
    for (var image = lane; image < p.images; image += WIDTH) {
        let at = image * p.slopes_stride + channel;
        by_gain += each_image[at];
        by_bias += each_image[at + p.stride];
    }
    let of_gain = total(lane, by_gain);
    let of_bias = total(lane, by_bias);
    if lane == 0u {
        dgain[channel] = select(0.0, dgain[channel], p.accumulate != 0u) + of_gain;
        dbias[channel] = select(0.0, dbias[channel], p.accumulate != 0u) + of_bias;
    }
}
