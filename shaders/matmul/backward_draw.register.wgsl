// Written by `src/kernels/matmul/generate/`; change that, not this.
// dz (rows, n) = dy w is not kept: dh (rows, 2 n), of the posterior h and its noise. As
// `gaussian.wgsl` has it.

struct Product {
    rows: u32, cols: u32, depth: u32, a_stride: u32, b_stride: u32, c_stride: u32, inside: u32,
    activation: u32, accumulate: u32, latent: u32, other_stride: u32, parts: u32, bias: u32,
    decoupled: u32,
}
@group(0) @binding(0) var<uniform> p: Product;

@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> h: array<f32>;
@group(0) @binding(4) var<storage, read> eps: array<f32>;
@group(0) @binding(5) var<storage, read_write> dh: array<f32>;

@compute @workgroup_size(8, 8)
fn backward_draw(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let row0 = 32u * group.x + 4u * id.y;
    let col0 = 32u * group.y + 4u * id.x;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    let a_at0 = min(row0 + 0u, p.rows - 1u) * p.a_stride / 4u;
    let a_at1 = min(row0 + 1u, p.rows - 1u) * p.a_stride / 4u;
    let a_at2 = min(row0 + 2u, p.rows - 1u) * p.a_stride / 4u;
    let a_at3 = min(row0 + 3u, p.rows - 1u) * p.a_stride / 4u;
    let b_at = min(col0, p.cols - 4u) / 4u;
    for (var k = 0u; k < p.depth; k += 4u) {
        let a0 = dy[a_at0 + k / 4u];
        let a1 = dy[a_at1 + k / 4u];
        let a2 = dy[a_at2 + k / 4u];
        let a3 = dy[a_at3 + k / 4u];
        {
            let b = w[(k + 0u) * p.b_stride / 4u + b_at];
            c0 += a0.x * b;
            c1 += a1.x * b;
            c2 += a2.x * b;
            c3 += a3.x * b;
        }
        {
            let b = w[(k + 1u) * p.b_stride / 4u + b_at];
            c0 += a0.y * b;
            c1 += a1.y * b;
            c2 += a2.y * b;
            c3 += a3.y * b;
        }
        {
            let b = w[(k + 2u) * p.b_stride / 4u + b_at];
            c0 += a0.z * b;
            c1 += a1.z * b;
            c2 += a2.z * b;
            c3 += a3.z * b;
        }
        {
            let b = w[(k + 3u) * p.b_stride / 4u + b_at];
            c0 += a0.w * b;
            c1 += a1.w * b;
            c2 += a2.w * b;
            c3 += a3.w * b;
        }
    }
    for (var i = 0u; i < min(4u, max(p.rows, row0) - row0); i++) {
        let row = row0 + i;
        if col0 + 0u < p.cols {
            let col = col0 + 0u;
            let value = c0;
let weight = record.kl_weight * record.loss_scale;
            let inside = row < record.rows;
            for (var k = 0u; k < 4u; k++) {
                let j = col + k;
                if j >= p.inside { break; }
                let mu = h[row * p.c_stride + j];
                let raw = h[row * p.c_stride + p.latent + j];
                let log_var = clamp_log_var(raw);
                let along = value[k] * eps[row * p.other_stride + j] * exp(0.5 * log_var);
                let half = 0.5 * (along + weight * (log_var + excess(log_var)));
                let free = inside && raw == log_var;
                dh[row * p.c_stride + j] = select(0.0, value[k] + weight * mu, inside);
                dh[row * p.c_stride + p.latent + j] = select(0.0, half, free);
            }
        }
        c0 = c1;
        c1 = c2;
        c2 = c3;
    }
}
