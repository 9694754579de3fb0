// Written by `src/kernels/matmul/generate/`; change that, not this.
// The logits (rows, n) = x wᵀ + b are not kept: nll = −log p(image | logits) of each row, in
// parts, and dlogits (rows, n), the images being rows of a dataset of bytes. As
// `bernoulli.wgsl` has it.

struct Product {
    rows: u32, cols: u32, depth: u32, a_stride: u32, b_stride: u32, c_stride: u32, inside: u32,
    activation: u32, accumulate: u32, latent: u32, other_stride: u32, parts: u32, bias: u32,
    decoupled: u32,
}
@group(0) @binding(0) var<uniform> p: Product;

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> pixels: array<u32>;
@group(0) @binding(5) var<storage, read> image: array<u32>;
@group(0) @binding(6) var<storage, read_write> dlogits: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> nll: array<f32>;

// Which of four neighbouring columns are no padding.
fn real(col: u32) -> vec4<bool> {
    return vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.inside);
}

// The values of four pixels in a word.
fn levels(word: u32) -> vec4<f32> {
    let four = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
    return vec4<f32>(four) / 255.0;
}

// The row of w that makes a column of the result; past the end the last one.
fn row_of_w(col: u32) -> u32 {
    return min(col, p.cols - 1u);
}

// A and B of each slice, k by k; then the sums of all slices but the first.
var<workgroup> tiles: array<vec4<f32>, 544>;

var<workgroup> row_parts: array<f32, 1024>;

@compute @workgroup_size(16, 16, 1)
fn bernoulli_bytes(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let own = 16u * id.y + id.x;
    let first_row = 64u * group.x;
    let first_col = 64u * group.y;
    let row0 = first_row + 4u * id.y;
    let col0 = first_col + 4u * id.x;
    let tile_a = 544u * id.z;
    let tile_b = tile_a + 272u;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    let row_a = min(first_row + own / 4u, p.rows - 1u);
    let a_at = row_a * p.a_stride / 4u + own % 4u;
    let b_at = row_of_w(first_col + own / 4u) * p.b_stride / 4u + own % 4u;
    for (var block = 0u; block < p.depth; block += 16u) {
        let k = block + 16u * id.z;
        workgroupBarrier();
        if k < p.depth {
            let tile_a_four = x[a_at + k / 4u];
            let tile_a_at = tile_a + own % 4u * 68u + own / 16u;
            let tile_a_part = own / 4u % 4u;
            tiles[tile_a_at + 0u][tile_a_part] = tile_a_four[0];
            tiles[tile_a_at + 17u][tile_a_part] = tile_a_four[1];
            tiles[tile_a_at + 34u][tile_a_part] = tile_a_four[2];
            tiles[tile_a_at + 51u][tile_a_part] = tile_a_four[3];
            let tile_b_four = w[b_at + k / 4u];
            let tile_b_at = tile_b + own % 4u * 68u + own / 16u;
            let tile_b_part = own / 4u % 4u;
            tiles[tile_b_at + 0u][tile_b_part] = tile_b_four[0];
            tiles[tile_b_at + 17u][tile_b_part] = tile_b_four[1];
            tiles[tile_b_at + 34u][tile_b_part] = tile_b_four[2];
            tiles[tile_b_at + 51u][tile_b_part] = tile_b_four[3];
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
                let a = tiles[tile_a + 17u + id.y];
                let b = tiles[tile_b + 17u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 34u + id.y];
                let b = tiles[tile_b + 34u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 51u + id.y];
                let b = tiles[tile_b + 51u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 68u + id.y];
                let b = tiles[tile_b + 68u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 85u + id.y];
                let b = tiles[tile_b + 85u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 102u + id.y];
                let b = tiles[tile_b + 102u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 119u + id.y];
                let b = tiles[tile_b + 119u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 136u + id.y];
                let b = tiles[tile_b + 136u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 153u + id.y];
                let b = tiles[tile_b + 153u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 170u + id.y];
                let b = tiles[tile_b + 170u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 187u + id.y];
                let b = tiles[tile_b + 187u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 204u + id.y];
                let b = tiles[tile_b + 204u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 221u + id.y];
                let b = tiles[tile_b + 221u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 238u + id.y];
                let b = tiles[tile_b + 238u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
            {
                let a = tiles[tile_a + 255u + id.y];
                let b = tiles[tile_b + 255u + id.x];
                c0 += a.x * b;
                c1 += a.y * b;
                c2 += a.z * b;
                c3 += a.w * b;
            }
        }
    }
    for (var i = 0u; i < min(4u, max(p.rows, row0) - row0); i++) {
        let row = row0 + i;
        var part = 0.0;
        if col0 + 0u < p.cols {
            let col = col0 + 0u;
            let value = c0;
            let at = (row * p.c_stride + col) / 4u;
            let logit = value + b[col / 4u];
            let pixel = levels(pixels[image[row] * p.other_stride / 4u + col / 4u]);
            let e = exp(-abs(logit));
            let loss = max(logit, vec4<f32>()) - logit * pixel + log(1.0 + e);
            let mean = select(e, vec4<f32>(1.0), logit >= vec4<f32>()) / (1.0 + e);
            let counts = real(col) & vec4<bool>(row < record.rows);
            dlogits[at] = select(vec4<f32>(), (mean - pixel) * record.loss_scale, counts);
            part = dot(select(vec4<f32>(), loss, counts), vec4<f32>(1.0));
        }
        row_parts[16u * (4u * id.y + i) + id.x] = part;
        c0 = c1;
        c1 = c2;
        c2 = c3;
    }
    workgroupBarrier();
    if id.x % 8u == 0u {
        for (var i = 0u; i < 4u; i++) {
            var sum = 0.0;
            let first = 16u * (4u * id.y + i) + id.x;
            for (var j = 0u; j < 8u; j++) { sum += row_parts[first + j]; }
            if row0 + i < p.rows {
                nll[(row0 + i) * p.parts + group.y * 2u + id.x / 8u] = sum;
            }
        }
    }
}
