// The update of w by its gradient g, elementwise: Adam (Kingma and Ba 2015, algorithm 1), AdamW
// (Loshchilov and Hutter 2019, algorithm 2), Adamax (Kingma and Ba 2015, algorithm 2), RMSprop (Tieleman
// and Hinton 2012), Adagrad (Duchi et al. 2011), SGD, the last four with what PyTorch adds; and the norm
// of all gradients, which may be clipped. Nothing changes while the guard's status is set.

struct Optimizer { len: u32, decoupled: u32, nesterov: u32, clip: u32, first: u32 }
@group(0) @binding(0) var<uniform> p: Optimizer;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read_write> guard_words: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read> norms: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> v: array<vec4<f32>>;

// Groups of four elements that an invocation updates, so that it looks at the guard once for them all.
const EACH = 4u;

// The first group of an invocation; the others follow WIDTH apart.
fn first_group(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
    return flat_group(group, groups) * WIDTH * EACH + lane;
}

// What a gradient is scaled by.
fn clipping() -> f32 {
    if p.clip != 0u { return norms[0]; }
    return 1.0;
}

@compute @workgroup_size(WIDTH)
fn adam(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    if atomicLoad(&guard_words[0]) != 0u { return; }
    let scale = clipping();
    let start = first_group(group, groups, lane);
    for (var k = 0u; k < EACH; k++) {
        let i = start + k * WIDTH;
        if i >= p.len { break; }
        let updated = judged_adam_of(p.decoupled, scale * g[i], w[i], m[i], v[i]);
        w[i] = updated.weight;
        m[i] = updated.first;
        v[i] = updated.second;
        if updated.broken != 0u { atomicOr(&guard_words[1], updated.broken); }
    }
}

// The gradient with weight decay as a part of it.
fn decayed(scale: f32, i: u32) -> vec4<f32> {
    return scale * g[i] + record.decay * w[i];
}

// Stores four weights and their moments; one that would not be finite keeps its own.
fn store(i: u32, weight: vec4<f32>, first: vec4<f32>, second: vec4<f32>) {
    let fine = each_finite(weight) & each_finite(first) & each_finite(second);
    w[i] = select(w[i], weight, fine);
    m[i] = select(m[i], first, fine);
    v[i] = select(v[i], second, fine);
    if !all(fine) { atomicOr(&guard_words[1], 4u); }
}

// v is the largest gradient, decayed; ε as PyTorch has it.
@compute @workgroup_size(WIDTH)
fn adamax(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    if atomicLoad(&guard_words[0]) != 0u { return; }
    let scale = clipping();
    let start = first_group(group, groups, lane);
    for (var k = 0u; k < EACH; k++) {
        let i = start + k * WIDTH;
        if i >= p.len { break; }
        let grad = decayed(scale, i);
        let first = record.beta1 * m[i] + record.one_minus_beta1 * grad;
        let second = max(record.beta2 * v[i], abs(grad) + record.epsilon);
        store(i, w[i] - record.step_size * (first / second), first, second);
    }
}

// α is the record's beta2; m is the momentum of g / (√v + ε).
@compute @workgroup_size(WIDTH)
fn rmsprop(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    if atomicLoad(&guard_words[0]) != 0u { return; }
    let scale = clipping();
    let start = first_group(group, groups, lane);
    for (var k = 0u; k < EACH; k++) {
        let i = start + k * WIDTH;
        if i >= p.len { break; }
        let grad = decayed(scale, i);
        let second = record.beta2 * v[i] + record.one_minus_beta2 * grad * grad;
        let first = record.momentum * m[i] + grad / (sqrt(second) + record.epsilon);
        store(i, w[i] - record.rate * first, first, second);
    }
}

@group(0) @binding(5) var<storage, read_write> squares: array<vec4<f32>>;

// squares = Σ g² of all steps so far, without what the sum begins with.
@compute @workgroup_size(WIDTH)
fn adagrad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    if atomicLoad(&guard_words[0]) != 0u { return; }
    let scale = clipping();
    let start = first_group(group, groups, lane);
    for (var k = 0u; k < EACH; k++) {
        let i = start + k * WIDTH;
        if i >= p.len { break; }
        let grad = decayed(scale, i);
        let sum = squares[i] + grad * grad;
        let root = sqrt(record.accumulator + sum) + record.epsilon;
        let weight = w[i] - record.rate * (grad / root);
        let fine = each_finite(weight) & each_finite(sum);
        w[i] = select(w[i], weight, fine);
        squares[i] = select(squares[i], sum, fine);
        if !all(fine) { atomicOr(&guard_words[1], 4u); }
    }
}

@compute @workgroup_size(WIDTH)
fn sgd(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    if atomicLoad(&guard_words[0]) != 0u { return; }
    let scale = clipping();
    let decay = record.decay;
    let momentum = record.momentum;
    let rate = record.rate;
    let start = first_group(group, groups, lane);
    for (var k = 0u; k < EACH; k++) {
        let i = start + k * WIDTH;
        if i >= p.len { break; }
        let w_old = w[i];
        let m_old = m[i];
        let grad = scale * g[i] + decay * w_old;
        let first = momentum * m_old + grad;
        let along = select(first, grad + momentum * first, p.nesterov != 0u);
        let weight = w_old - rate * along;
        let fine = each_finite(weight) & each_finite(first);
        w[i] = select(w_old, weight, fine);
        m[i] = select(m_old, first, fine);
        if !all(fine) { atomicOr(&guard_words[1], 4u); }
    }
}

const SUMMED = 1024u; // Groups of four gradients in one partial sum.
const SUMMING = 256u;
var<workgroup> partial: array<f32, SUMMING>;

@group(0) @binding(1) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

// Σ g² of each 4,096 gradients, times SHRINK², to sums[first + workgroup].
@compute @workgroup_size(SUMMING)
fn square_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let chunk = flat_group(group, groups);
    let end = min((chunk + 1u) * SUMMED, p.len);
    var sum = 0.0;
    for (var i = chunk * SUMMED + lane; i < end; i += SUMMING) { sum += scaled_square(grads[i]); }
    partial[lane] = sum;
    for (var width = SUMMING / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    if lane == 0u && chunk * SUMMED < p.len { sums[p.first + chunk] = partial[0]; }
}

@group(0) @binding(2) var<storage, read> all_sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> scale: array<f32>;

// scale[0] = min(1, max_norm / (‖g‖ + 10⁻⁶)) of all len partial sums, as PyTorch clips. One workgroup.
@compute @workgroup_size(SUMMING)
fn clip(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < p.len; i += SUMMING) { sum += all_sums[i]; }
    partial[lane] = sum;
    for (var width = SUMMING / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    if lane == 0u {
        let norm = sqrt(partial[0]) / SHRINK;
        scale[0] = min(1.0, record.max_norm / (norm + 1e-6));
        scale[1] = norm;
        if !is_finite(bitcast<u32>(partial[0])) { atomicOr(&guard_words[0], 2u); }
    }
}
