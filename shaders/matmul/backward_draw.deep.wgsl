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

// A and B of each slice, k by k; then the sums of all slices but the first.
var<workgroup> tiles: array<vec4<f32>, 768>;

@compute @workgroup_size(8, 8, 4)
fn backward_draw(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let own = 8u * id.y + id.x;
    let first_row = 32u * group.x;
    let first_col = 32u * group.y;
    let row0 = first_row + 4u * id.y;
    let col0 = first_col + 4u * id.x;
    let tile_a = 144u * id.z;
    let tile_b = tile_a + 72u;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    let own_k = own / 8u;
    let row_a = min(first_row + own / 2u, p.rows - 1u);
    let a_at = row_a * p.a_stride / 4u + own % 2u;
    let b_at = min(first_col / 4u + own % 8u, p.cols / 4u - 1u);
    for (var block = 0u; block < p.depth; block += 32u) {
        let k = block + 8u * id.z;
        workgroupBarrier();
        if k < p.depth {
            let tile_a_four = dy[a_at + k / 4u];
            let tile_a_at = tile_a + own % 2u * 36u + own / 8u;
            let tile_a_part = own / 2u % 4u;
            tiles[tile_a_at + 0u][tile_a_part] = tile_a_four[0];
            tiles[tile_a_at + 9u][tile_a_part] = tile_a_four[1];
            tiles[tile_a_at + 18u][tile_a_part] = tile_a_four[2];
            tiles[tile_a_at + 27u][tile_a_part] = tile_a_four[3];
            tiles[tile_b + own_k * 9u + own % 8u] = w[(k + own_k) * p.b_stride / 4u + b_at];
        }
        workgroupBarrier();
        if k < p.depth {
            {
                let a = tiles[tile_a + 0u + id.y];
                let b = tiles[tile_b + 0u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 9u + id.y];
                let b = tiles[tile_b + 9u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 18u + id.y];
                let b = tiles[tile_b + 18u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 27u + id.y];
                let b = tiles[tile_b + 27u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 36u + id.y];
                let b = tiles[tile_b + 36u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 45u + id.y];
                let b = tiles[tile_b + 45u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 54u + id.y];
                let b = tiles[tile_b + 54u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 63u + id.y];
                let b = tiles[tile_b + 63u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
        }
    }
    workgroupBarrier();
    if id.z > 0u {
        let at = ((id.z - 1u) * 64u + own) * 4u;
        tiles[at + 0u] = c0;
        tiles[at + 1u] = c1;
        tiles[at + 2u] = c2;
        tiles[at + 3u] = c3;
    }
    workgroupBarrier();
    if id.z == 0u {
        for (var slice = 0u; slice < 3u; slice++) {
            let at = (slice * 64u + own) * 4u;
            c0 += tiles[at + 0u];
            c1 += tiles[at + 1u];
            c2 += tiles[at + 2u];
            c3 += tiles[at + 3u];
        }
    }
    if id.z == 0u {
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
}
