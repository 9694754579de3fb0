// The two halves of a ladder: means that go up, and what both ways together say of z.

struct Ladder { rows: u32, latent: u32, h_stride: u32, z_stride: u32, parts_stride: u32, samples: u32, accumulate: u32 }
@group(0) @binding(0) var<uniform> p: Ladder;
const WIDTH = 32u;

@group(0) @binding(1) var<storage, read> h: array<f32>;
@group(0) @binding(2) var<storage, read_write> means: array<f32>;

// means (images, n) of h (images, 2 n) = [μ | log σ²].
@compute @workgroup_size(WIDTH)
fn mean(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.rows * p.z_stride { return; }
    let row = i / p.z_stride;
    let j = i % p.z_stride;
    means[i] = select(0.0, h[row * p.h_stride + min(j, p.latent)], j < p.latent && row < record.rows);
}

@group(0) @binding(1) var<storage, read> dmeans: array<f32>;
@group(0) @binding(2) var<storage, read_write> dh_of_means: array<f32>;

@compute @workgroup_size(WIDTH)
fn mean_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.rows * p.h_stride { return; }
    let row = i / p.h_stride;
    let j = i % p.h_stride;
    let before = select(0.0, dh_of_means[i], p.accumulate != 0u);
    dh_of_means[i] = before + select(0.0, dmeans[row * p.z_stride + min(j, p.latent - 1u)], j < p.latent && row < record.rows);
}

@group(0) @binding(2) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> both: array<f32>;

// The share of what comes from below in the precision of both: σ² / σ²_h.
fn share(of_h: f32, of_parts: f32) -> f32 { return 1.0 / (1.0 + exp(of_h - of_parts)); }

// both (images · samples, 2 n) = [μ | log σ²] of the product of N(h) and N(parts).
@compute @workgroup_size(WIDTH)
fn merge(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.rows * p.parts_stride { return; }
    let row = i / p.parts_stride;
    let j = i % p.parts_stride;
    let col = j % p.latent;
    let at_h = row / p.samples * p.h_stride + col;
    let at_parts = row * p.parts_stride + col;
    let of_h = clamp_log_var(h[at_h + p.latent]);
    let of_parts = clamp_log_var(parts[at_parts + p.latent]);
    let own = share(of_h, of_parts);
    // log(1 + exp d) = max(d, 0) + log(1 + exp −|d|).
    let d = of_h - of_parts;
    let log_var = of_h - max(d, 0.0) - log(1.0 + exp(-abs(d)));
    let mean = parts[at_parts] + own * (h[at_h] - parts[at_parts]);
    let value = select(log_var, mean, j < p.latent);
    both[i] = select(0.0, value, j < 2u * p.latent && row / p.samples < record.rows);
}

@group(0) @binding(3) var<storage, read> dboth: array<f32>;
@group(0) @binding(4) var<storage, read_write> dparts: array<f32>;

// What the share changes by log σ² of h, times that of what is made: of both halves of a row.
fn through_share(at_h: u32, at_parts: u32, own: f32) -> f32 {
    return own * (1.0 - own) * (h[at_h] - parts[at_parts]) * dboth[at_parts];
}

@compute @workgroup_size(WIDTH)
fn parts_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    let row = i / p.latent;
    if row >= p.rows { return; }
    let col = i % p.latent;
    let at_h = row / p.samples * p.h_stride + col;
    let at = row * p.parts_stride + col;
    let raw = parts[at + p.latent];
    let own = share(clamp_log_var(h[at_h + p.latent]), clamp_log_var(raw));
    let inside = row / p.samples < record.rows;
    let free = inside && raw == clamp_log_var(raw);
    let of_width = through_share(at_h, at, own) + (1.0 - own) * dboth[at + p.latent];
    let add = p.accumulate != 0u;
    dparts[at] = select(0.0, dparts[at], add) + select(0.0, (1.0 - own) * dboth[at], inside);
    dparts[at + p.latent] = select(0.0, dparts[at + p.latent], add) + select(0.0, of_width, free);
}

@group(0) @binding(4) var<storage, read_write> dh: array<f32>;

@compute @workgroup_size(WIDTH)
fn h_backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    let image = i / p.latent;
    if image * p.samples >= p.rows { return; }
    let col = i % p.latent;
    let at_h = image * p.h_stride + col;
    let raw = h[at_h + p.latent];
    var d = vec2<f32>();
    for (var row = image * p.samples; row < (image + 1u) * p.samples && row < p.rows; row++) {
        let at = row * p.parts_stride + col;
        let own = share(clamp_log_var(raw), clamp_log_var(parts[at + p.latent]));
        d += own * vec2<f32>(dboth[at], dboth[at + p.latent]) - vec2<f32>(0.0, through_share(at_h, at, own));
    }
    let inside = image < record.rows;
    let free = inside && raw == clamp_log_var(raw);
    let add = p.accumulate != 0u;
    dh[at_h] = select(0.0, dh[at_h], add) + select(0.0, d.x, inside);
    dh[at_h + p.latent] = select(0.0, dh[at_h + p.latent], add) + select(0.0, d.y, free);
}
