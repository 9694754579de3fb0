// C = A Bᵀ, as in y = x wᵀ: the terms of a sum lie along a row of A and along a row of B, which is a column of C.

const A_ALONG = true;
const B_ALONG = true;

fn begin() {}
fn finish_bias(row: u32, sums: vec4<f32>) {}
