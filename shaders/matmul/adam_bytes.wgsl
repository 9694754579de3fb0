// Adam's update of w (outputs, inputs) and b (outputs) by their gradients dyᵀ x and Σ dy, for dy (rows, outputs),
// x (rows, inputs) being the rows `image` of a dataset of bytes.

@group(0) @binding(1) var<storage, read> dy: array<WordA>;
@group(0) @binding(2) var<storage, read> pixels: array<u32>;
@group(0) @binding(3) var<storage, read> image: array<u32>;
@group(0) @binding(4) var<storage, read_write> guard_words: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> weights: array<WordB>;
@group(0) @binding(6) var<storage, read_write> first: array<WordB>;
@group(0) @binding(7) var<storage, read_write> second: array<WordB>;

fn a_row(row: u32, first: bool) -> u32 { return row * p.a_stride / A_WIDTH; }
fn a_at(start: u32, col: u32) -> Few { return few(dy[start + col / A_WIDTH]); }

fn b_row(row: u32) -> u32 { return row_of(image[row], row) * p.b_stride / 4u; }
fn b_at(start: u32, col: u32) -> vec4<f32> { return levels(pixels[start + col / 4u]); }
