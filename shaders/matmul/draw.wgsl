// h (rows, 2 n) = [μ | log σ²] = x wᵀ + b; z (rows, n) = μ + ε ⊗ exp(½ log σ²), ε drawn; kl = the KL divergence of each row,
// in parts. As `gaussian.wgsl` has it.

@group(0) @binding(1) var<storage, read> x: array<WordA>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<WordB>;
@group(0) @binding(4) var<storage, read> image: array<u32>;
@group(0) @binding(5) var<storage, read_write> h: array<f32>;
@group(0) @binding(6) var<storage, read_write> eps: array<f32>;
@group(0) @binding(7) var<storage, read_write> z: array<f32>;
@group(0) @binding(8) var<storage, read_write> kl: array<f32>;

fn a_row(row: u32, first: bool) -> u32 { return row * p.a_stride / A_WIDTH; }
fn a_at(start: u32, col: u32) -> Few { return few(x[start + col / A_WIDTH]); }

// Columns of the tile alternate: of four neighbours, two are means and two the log-variances of the same dimensions. Past
// the end it is the last mean.
fn b_row(row: u32) -> u32 {
    let dimension = min(row / 4u * 2u + row % 2u, p.latent - 1u);
    return (dimension + row % 4u / 2u * p.latent) * p.b_stride / 4u;
}
fn b_at(start: u32, col: u32) -> vec4<f32> { return four(w[start + col / 4u]); }

// ε depends on the image and not on its place in the batch.
fn finish(row: u32, col: u32, sums: vec4<f32>) -> f32 {
    let inside = row < record.rows;
    let j = col / 2u;
    let key = vec2<u32>(record.seed_low, record.seed_high);
    let counter = vec4<u32>(j / 4u, image[row], record.step, 16u * record.stream + NOISE);
    let noise = normals_of(philox(counter, key));
    var loss = 0.0;
    for (var k = 0u; k < min(2u, p.latent - j); k++) {
        let mu = sums[k] + b[(j + k) / 4u][(j + k) % 4u];
        let raw = sums[k + 2u] + b[(p.latent + j + k) / 4u][(p.latent + j + k) % 4u];
        h[row * p.c_stride + j + k] = mu;
        h[row * p.c_stride + p.latent + j + k] = raw;
        let log_var = clamp_log_var(raw);
        let drawn = select(0.0, noise[(j + k) % 4u], inside);
        eps[row * p.other_stride + j + k] = drawn;
        z[row * p.other_stride + j + k] = select(0.0, z_of(mu, log_var, drawn), inside);
        loss += select(0.0, kl_of(mu, log_var), inside);
    }
    return loss;
}

const LOSSES = true;
fn store_loss(row: u32, part: u32, sum: f32) { kl[row * p.parts + part] = sum; }
