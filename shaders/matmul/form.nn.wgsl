// C = A B, as in dx = dy w: the terms of a sum lie along a row of A, and are the rows of B.

const A_ALONG = true;
const B_ALONG = false;
const LOSSES = false;

fn begin() {}
fn finish_bias(row: u32, sums: vec4<f32>) {}
fn store_loss(row: u32, part: u32, sum: f32) {}
