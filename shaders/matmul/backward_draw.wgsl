// dz (rows, n) = dy w is not kept: dh (rows, 2 n), of the posterior h and its noise, for dy (rows, outputs), w (outputs, n).
// As `gaussian.wgsl` has it.

@group(0) @binding(1) var<storage, read> dy: array<WordA>;
@group(0) @binding(2) var<storage, read> w: array<WordB>;
@group(0) @binding(3) var<storage, read> h: array<f32>;
@group(0) @binding(4) var<storage, read> eps: array<f32>;
@group(0) @binding(5) var<storage, read_write> dh: array<f32>;

fn a_row(row: u32, first: bool) -> u32 { return row * p.a_stride / A_WIDTH; }
fn a_at(start: u32, col: u32) -> Few { return few(dy[start + col / A_WIDTH]); }

fn b_row(row: u32) -> u32 { return row * p.b_stride / 4u; }
fn b_at(start: u32, col: u32) -> vec4<f32> { return four(w[start + col / 4u]); }

fn finish(row: u32, col: u32, sums: vec4<f32>) -> f32 {
    let weight = record.kl_weight * record.loss_scale;
    let inside = row < record.rows;
    for (var k = 0u; k < 4u; k++) {
        let j = col + k;
        if j >= p.inside { break; }
        let at_mu = row * p.c_stride + j;
        let mu = h[at_mu];
        let raw = h[at_mu + p.latent];
        let log_var = clamp_log_var(raw);
        let d = through_z(log_var, sums[k], sums[k] * eps[row * p.other_stride + j])
            + weight * kl_slopes(mu, log_var);
        dh[at_mu] = select(0.0, d.x, inside);
        dh[at_mu + p.latent] = select(0.0, d.y, inside && raw == log_var);
    }
    return 0.0;
}
