// y (rows, outputs) = f(x wᵀ + b), x (rows, inputs) being the minibatch's rows of a dataset of bytes, and chosen (rows) =
// which they are: the epoch's order says. Rows past the record's repeat the first image.

@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<WordB>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> chosen: array<u32>;

fn a_row(row: u32, first: bool) -> u32 {
    var image = 0u;
    if row < record.rows { image = image_at(record.first + row); }
    if first { chosen[row] = image; }
    return row_of(image, row) * p.a_stride / 4u;
}
fn a_at(start: u32, col: u32) -> Few { return few_levels(pixels[start + col / 4u], col); }

// Past the end the last row.
fn b_row(row: u32) -> u32 { return min(row, p.cols - 1u) * p.b_stride / 4u; }
fn b_at(start: u32, col: u32) -> vec4<f32> { return four(w[start + col / 4u]); }
