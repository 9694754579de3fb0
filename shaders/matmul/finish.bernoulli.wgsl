// A likelihood's end: the logits, sums + b, are not kept, but nll = −log p(x | logits) of each row, in parts, and
// dlogits (rows, n); row r is of image r div samples. As `bernoulli.wgsl` has it.

const LOSSES = true;

fn finish(row: u32, col: u32, sums: vec4<f32>) -> f32 {
    let loss = bernoulli_of(sums + b[col / 4u], four_pixels(row, col));
    let counts = real(col) & vec4<bool>(row / p.samples < record.rows);
    let scale = record.loss_scale / f32(p.samples);
    dlogits[(row * p.c_stride + col) / 4u] = select(vec4<f32>(), loss.slope * scale, counts);
    return dot(select(vec4<f32>(), loss.nll, counts), vec4<f32>(1.0));
}

fn store_loss(row: u32, part: u32, sum: f32) { nll[row * p.parts + part] = sum; }
