// Of a gradient that is stored, or used at once, no squares are summed.

const LOSSES = false;

fn store_loss(row: u32, part: u32, sum: f32) {}
fn store_bias_square(row: u32, g: vec4<f32>) {}
