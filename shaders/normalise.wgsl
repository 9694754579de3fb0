// The gradient g of a tensor over its own norm: g / (‖g‖ + 10⁻⁷), which Tomczak and Welling (2018) train by. Sums of
// squares of fixed blocks come first, scaled as `scaled_square` says; each workgroup that then divides a block adds
// them all up in one order, so that no dispatch lies between.

struct Normalise { start: u32, len: u32, first: u32 }
@group(0) @binding(0) var<uniform> p: Normalise;
const WIDTH = 256u;
const BLOCK = 4096u; // Gradients of a workgroup.
var<workgroup> partial: array<f32, WIDTH>;

// The sum of what the lanes have, for each of them.
fn sum_of_lanes(lane: u32, own: f32) -> f32 {
    partial[lane] = own;
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    workgroupBarrier();
    return partial[0];
}

@group(0) @binding(1) var<storage, read> grads: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

// Σ g² of a block, times SHRINK², to sums[first + block]. A tensor starts at any element.
@compute @workgroup_size(WIDTH)
fn squares(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = flat_group(group, groups);
    let end = min((block + 1u) * BLOCK, p.len);
    var own = 0.0;
    for (var i = block * BLOCK + lane; i < end; i += WIDTH) {
        let shrunk = SHRINK * grads[p.start + i];
        own += shrunk * shrunk;
    }
    let sum = sum_of_lanes(lane, own);
    if lane == 0u && block * BLOCK < p.len { sums[p.first + block] = sum; }
}

@group(0) @binding(1) var<storage, read> guard_words: array<u32>;
@group(0) @binding(2) var<storage, read> all_sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> g: array<f32>;

// What broke a step stays as it is, to be found.
@compute @workgroup_size(WIDTH)
fn divide(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let blocks = (p.len + BLOCK - 1u) / BLOCK;
    var own = 0.0;
    for (var i = lane; i < blocks; i += WIDTH) { own += all_sums[p.first + i]; }
    let divisor = sqrt(sum_of_lanes(lane, own)) / SHRINK + 1e-7;
    let block = flat_group(group, groups);
    let end = select(min((block + 1u) * BLOCK, p.len), 0u, guard_words[0] != 0u);
    for (var i = block * BLOCK + lane; i < end; i += WIDTH) { g[p.start + i] /= divisor; }
}
