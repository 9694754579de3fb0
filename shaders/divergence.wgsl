// What is minimised in the place of w KL, for K_j (n) the mean over the minibatch of the KL divergence of
// dimension j, and w the record's weight: with free bits w Σ_j max(λ, K_j) (Kingma et al. 2016, eq. 15),
// with a capacity w |Σ_j K_j − C| (Burgess et al. 2018, eq. 8). extra (rows) is how much that is more than
// w Σ_j K_j, for h (rows, 2 n) = [μ | log σ²]; slopes (n) its derivatives by K_j, over w.

struct Divergence { rows: u32, latent: u32, h_stride: u32, capacity: u32, accumulate: u32 }
@group(0) @binding(0) var<uniform> p: Divergence;
const WIDTH = 64u;
var<workgroup> partial: array<f32, WIDTH>;

@group(0) @binding(1) var<storage, read> h: array<f32>;
@group(0) @binding(2) var<storage, read_write> means_of_kl: array<f32>;

// One dimension a workgroup.
@compute @workgroup_size(WIDTH)
fn means(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let j = flat_group(group, groups);
    var sum = 0.0;
    if j < p.latent {
        for (var row = lane; row < record.rows; row += WIDTH) {
            let mu = h[row * p.h_stride + j];
            let log_var = clamp_log_var(h[row * p.h_stride + p.latent + j]);
            sum += kl_of(mu, log_var);
        }
    }
    partial[lane] = sum;
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    if lane == 0u && j < p.latent { means_of_kl[j] = partial[0] / f32(record.rows); }
}

@group(0) @binding(1) var<storage, read> kl_by_dimension: array<f32>;
@group(0) @binding(2) var<storage, read_write> slopes: array<f32>;
@group(0) @binding(3) var<storage, read_write> extra: array<f32>;

// The slope of one dimension, and what one image has more.
@compute @workgroup_size(WIDTH)
fn weigh(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    var all = 0.0;
    var missing = 0.0;
    for (var j = 0u; j < p.latent; j++) {
        all += kl_by_dimension[j];
        missing += max(record.free - kl_by_dimension[j], 0.0);
    }
    let aims = p.capacity != 0u;
    if i < p.latent {
        let free = select(0.0, -1.0, kl_by_dimension[i] < record.free);
        slopes[i] = select(free, select(0.0, -2.0, all < record.capacity), aims);
    }
    if i < p.rows {
        // |K − C| − K without the digits that K would cancel.
        let off = select(record.capacity - 2.0 * all, -record.capacity, all >= record.capacity);
        let more = record.kl_weight * select(missing, off, aims);
        let before = select(0.0, extra[i], p.accumulate != 0u);
        extra[i] = before + select(0.0, more, i < record.rows);
    }
}

@group(0) @binding(1) var<storage, read> back_h: array<f32>;
@group(0) @binding(2) var<storage, read> given_slopes: array<f32>;
@group(0) @binding(3) var<storage, read_write> dh: array<f32>;

fn store(at: u32, value: f32) {
    dh[at] = select(0.0, dh[at], p.accumulate != 0u) + value;
}

@compute @workgroup_size(WIDTH)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    let row = i / p.latent;
    let j = i % p.latent;
    if row >= p.rows { return; }
    let at_mu = row * p.h_stride + j;
    let at_log_var = at_mu + p.latent;
    let raw = back_h[at_log_var];
    let log_var = clamp_log_var(raw);
    let weight = record.kl_weight * record.loss_scale * given_slopes[j];
    let inside = row < record.rows;
    let d = weight * kl_slopes(back_h[at_mu], log_var);
    store(at_mu, select(0.0, d.x, inside));
    store(at_log_var, select(0.0, d.y, inside && raw == log_var));
}
