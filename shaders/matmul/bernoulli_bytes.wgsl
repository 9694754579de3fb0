// nll (rows, parts) = −log p(images | x wᵀ + b) and dlogits (rows, n), for x (rows, inputs), w (n, inputs), b (n), the
// images being rows of a dataset of bytes.

@group(0) @binding(1) var<storage, read> x: array<WordA>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<WordB>;
@group(0) @binding(4) var<storage, read> pixels: array<u32>;
@group(0) @binding(5) var<storage, read> image: array<u32>;
@group(0) @binding(6) var<storage, read_write> dlogits: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> nll: array<f32>;

fn a_row(row: u32, first: bool) -> u32 { return row * p.a_stride / A_WIDTH; }
fn a_at(start: u32, col: u32) -> Few { return few(x[start + col / A_WIDTH]); }

// Past the end the last row.
fn b_row(row: u32) -> u32 { return min(row, p.cols - 1u) * p.b_stride / 4u; }
fn b_at(start: u32, col: u32) -> vec4<f32> { return four(w[start + col / 4u]); }

fn four_pixels(row: u32, col: u32) -> vec4<f32> {
    let at = row / p.samples;
    return levels(pixels[row_of(image[at], at) * p.other_stride / 4u + col / 4u]);
}
