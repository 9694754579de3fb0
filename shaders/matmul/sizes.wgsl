// The sizes of a product of two matrices.

// All sizes count the padding, but `inside`, the columns of C that are none; rows and depth are multiples of 16.
struct Product {
    rows: u32, cols: u32, depth: u32, a_stride: u32, b_stride: u32, c_stride: u32, inside: u32,
    activation: u32, accumulate: u32, latent: u32, other_stride: u32, parts: u32, bias: u32,
    decoupled: u32, site: u32, samples: u32,
}
@group(0) @binding(0) var<uniform> p: Product;
