// MMD² = 1/M² Σ_ij (k(z_i, z_j) + k(y_i, y_j) − 2 k(z_i, y_j)) of the M codes z (rows, n) of the minibatch
// and as many draws y (rows, n) of the prior, for k(a, b) = exp(−g ‖a − b‖²): Gretton et al. 2012, eq. 5,
// with its diagonals; Zhao et al. 2019, eq. 6. extra (rows) = weight · MMD²; near, across and gap (rows,
// rows) hold k(z_i, z_j), k(z_i, y_j) and the summand.

struct Mmd { rows: u32, latent: u32, z_stride: u32, stride: u32, accumulate: u32, weight: f32, narrow: f32 }
@group(0) @binding(0) var<uniform> p: Mmd;
const WIDTH = 64u;
const WIDE = 256u;
var<workgroup> partial: array<f32, WIDE>;

@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> near: array<f32>;
@group(0) @binding(4) var<storage, read_write> across: array<f32>;
@group(0) @binding(5) var<storage, read_write> gap: array<f32>;

@compute @workgroup_size(WIDTH)
fn pairs(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = flat_index(id, groups, WIDTH);
    let i = at / p.stride;
    let j = at % p.stride;
    if i >= p.rows { return; }
    var squares = vec3<f32>();
    for (var d = 0u; d < p.latent; d++) {
        let a = vec2<f32>(z[i * p.z_stride + d], y[i * p.z_stride + d]);
        let b = vec2<f32>(z[j * p.z_stride + d], y[j * p.z_stride + d]);
        let off = vec3<f32>(a.x - b.x, a.x - b.y, a.y - b.y);
        squares += off * off;
    }
    let inside = i < record.rows && j < record.rows;
    let k = select(vec3<f32>(), exp(-p.narrow * squares), inside);
    near[at] = k.x;
    across[at] = k.y;
    gap[at] = k.x + k.z - 2.0 * k.y;
}

@group(0) @binding(1) var<storage, read> given_gap: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> extra: array<f32>;

// One workgroup: the sum over all pairs, to each image. So wide, and by fours, because llvmpipe leaves its
// loops after 65,535 turns in all; of the largest batch that fits a binding there are 41,000.
@compute @workgroup_size(WIDE)
fn discrepancy(@builtin(local_invocation_index) lane: u32) {
    let quads = p.stride / 4u;
    var sum = 0.0;
    for (var i = 0u; i < record.rows; i++) {
        var row = vec4<f32>();
        for (var j = lane; j < quads; j += WIDE) { row += given_gap[i * quads + j]; }
        sum += dot(row, vec4<f32>(1.0));
    }
    partial[lane] = sum;
    for (var width = WIDE / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    workgroupBarrier();
    let count = f32(record.rows);
    let more = p.weight * (partial[0] / count / count);
    for (var i = lane; i < p.rows; i += WIDE) {
        extra[i] = select(0.0, extra[i], p.accumulate != 0u) + select(0.0, more, i < record.rows);
    }
}

@group(0) @binding(1) var<storage, read> back_z: array<f32>;
@group(0) @binding(2) var<storage, read> back_y: array<f32>;
@group(0) @binding(3) var<storage, read> back_near: array<f32>;
@group(0) @binding(4) var<storage, read> back_across: array<f32>;
@group(0) @binding(5) var<storage, read_write> dz: array<f32>;

// The gradient at one element of z of the sum over the images, which is M times MMD².
@compute @workgroup_size(WIDTH)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = flat_index(id, groups, WIDTH);
    let i = at / p.latent;
    let d = at % p.latent;
    if i >= p.rows { return; }
    let place = i * p.z_stride + d;
    var sum = 0.0;
    if i < record.rows {
        for (var j = 0u; j < record.rows; j++) {
            let pair = i * p.stride + j;
            let other = j * p.z_stride + d;
            sum += back_across[pair] * (back_z[place] - back_y[other])
                - back_near[pair] * (back_z[place] - back_z[other]);
        }
    }
    let scale = 4.0 * p.narrow * p.weight * record.loss_scale / f32(record.rows);
    dz[place] = select(0.0, dz[place], p.accumulate != 0u) + scale * sum;
}
