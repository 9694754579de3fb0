// What the places of an image's map attend to, head by head: y = softmax(q kᵀ / √each) v, for in_proj (images · places, 3 ·
// heads · each) = [q | k | v], heads within each, and y (images · places, heads · each). logs (images · places, heads) are
// the logarithms of the sums that softmax divides by, from which the way back makes the shares again.

struct Attention {
    images: u32, places: u32, heads: u32, each: u32, stride: u32, y_stride: u32, logs_stride: u32, accumulate: u32,
}
@group(0) @binding(0) var<uniform> p: Attention;
const WIDTH = 64u;
// The most places of an image.
const MOST = 1024u;

var<workgroup> shares: array<f32, MOST>;
var<workgroup> slopes: array<f32, MOST>;

// A place of an image and a head, which a workgroup has.
struct One { image: u32, head: u32, place: u32 }

fn one_of(id: vec3<u32>, groups: vec3<u32>) -> One {
    let at = flat_group(id, groups);
    let image = at / (p.heads * p.places);
    return One(image, at / p.places % p.heads, at % p.places);
}

// Where the query (0), the key (1) or the value (2) of a place begins.
fn part(image: u32, head: u32, place: u32, which: u32) -> u32 {
    return (image * p.places + place) * p.stride + (which * p.heads + head) * p.each;
}

// Where what a head made of a place begins.
fn made_at(image: u32, head: u32, place: u32) -> u32 {
    return (image * p.places + place) * p.y_stride + head * p.each;
}

fn log_at(image: u32, head: u32, place: u32) -> u32 {
    return (image * p.places + place) * p.logs_stride + head;
}

@group(0) @binding(1) var<storage, read> in_proj: array<f32>;
@group(0) @binding(2) var<storage, read_write> logs: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// How near a query is to a key.
fn score(query: u32, key: u32) -> f32 {
    var sum = 0.0;
    for (var c = 0u; c < p.each; c += 1u) { sum += in_proj[query + c] * in_proj[key + c]; }
    return sum * inverseSqrt(f32(p.each));
}

// One query a workgroup.
@compute @workgroup_size(WIDTH)
fn forward(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let own = one_of(id, groups);
    if own.image >= p.images { return; }
    let query = part(own.image, own.head, own.place, 0u);
    var most = -3e38;
    for (var j = lane; j < p.places; j += WIDTH) {
        let found = score(query, part(own.image, own.head, j, 1u));
        shares[j] = found;
        most = max(most, found);
    }
    let top = highest(lane, most);
    var sum = 0.0;
    for (var j = lane; j < p.places; j += WIDTH) {
        shares[j] = exp(shares[j] - top);
        sum += shares[j];
    }
    let all = total(lane, sum);
    for (var c = lane; c < p.each; c += WIDTH) {
        var made = 0.0;
        for (var j = 0u; j < p.places; j += 1u) {
            made += shares[j] * in_proj[part(own.image, own.head, j, 2u) + c];
        }
        y[made_at(own.image, own.head, own.place) + c] = made / all;
    }
    if lane == 0u { logs[log_at(own.image, own.head, own.place)] = top + log(all); }
}

@group(0) @binding(2) var<storage, read> made_logs: array<f32>;
@group(0) @binding(3) var<storage, read> made: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_in: array<f32>;

// The sums of two products, of a place's gradient: with what was made of it, and with a value.
fn with_made(at: u32) -> f32 {
    var sum = 0.0;
    for (var c = 0u; c < p.each; c += 1u) { sum += dy[at + c] * made[at + c]; }
    return sum;
}
fn with_value(at: u32, value: u32) -> f32 {
    var sum = 0.0;
    for (var c = 0u; c < p.each; c += 1u) { sum += dy[at + c] * in_proj[value + c]; }
    return sum;
}

fn store(at: u32, value: f32) {
    d_in[at] = select(0.0, d_in[at], p.accumulate != 0u) + value;
}

// The gradient of q. One query a workgroup.
@compute @workgroup_size(WIDTH)
fn backward_queries(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let own = one_of(id, groups);
    if own.image >= p.images { return; }
    let query = part(own.image, own.head, own.place, 0u);
    let at = made_at(own.image, own.head, own.place);
    let log_sum = made_logs[log_at(own.image, own.head, own.place)];
    let mean = with_made(at);
    for (var j = lane; j < p.places; j += WIDTH) {
        let share = exp(score(query, part(own.image, own.head, j, 1u)) - log_sum);
        slopes[j] = share * (with_value(at, part(own.image, own.head, j, 2u)) - mean);
    }
    workgroupBarrier();
    for (var c = lane; c < p.each; c += WIDTH) {
        var sum = 0.0;
        for (var j = 0u; j < p.places; j += 1u) {
            sum += slopes[j] * in_proj[part(own.image, own.head, j, 1u) + c];
        }
        store(query + c, sum * inverseSqrt(f32(p.each)));
    }
}

// The gradients of k and v. One key a workgroup.
@compute @workgroup_size(WIDTH)
fn backward_keys(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let own = one_of(id, groups);
    if own.image >= p.images { return; }
    let key = part(own.image, own.head, own.place, 1u);
    let value = part(own.image, own.head, own.place, 2u);
    for (var i = lane; i < p.places; i += WIDTH) {
        let at = made_at(own.image, own.head, i);
        let log_sum = made_logs[log_at(own.image, own.head, i)];
        let share = exp(score(part(own.image, own.head, i, 0u), key) - log_sum);
        shares[i] = share;
        slopes[i] = share * (with_value(at, value) - with_made(at));
    }
    workgroupBarrier();
    for (var c = lane; c < p.each; c += WIDTH) {
        var of_key = 0.0;
        var of_value = 0.0;
        for (var i = 0u; i < p.places; i += 1u) {
            of_key += slopes[i] * in_proj[part(own.image, own.head, i, 0u) + c];
            of_value += shares[i] * dy[made_at(own.image, own.head, i) + c];
        }
        store(key + c, of_key * inverseSqrt(f32(p.each)));
        store(value + c, of_value);
    }
}
