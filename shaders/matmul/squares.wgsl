// Sums of squares of the gradients, for their norm: of 32 neighbours in a row of w each, row by row; then of four
// neighbours in b each. They take the way of a row's losses.

const LOSSES = true;

// Sums of a row.
fn parts() -> u32 { return (p.cols + 31u) / 32u; }

fn store_loss(row: u32, part: u32, sum: f32) { squares[row * parts() + part] = sum; }

fn store_bias_square(row: u32, g: vec4<f32>) {
    squares[p.rows * parts() + row / 4u] = select(0.0, scaled_square(g), live);
}
