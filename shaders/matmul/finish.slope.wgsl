// The end of a gradient to what an activation made: dx = sums ⊗ f'(x), or that added to what is there.

fn finish(row: u32, col: u32, sums: vec4<f32>) -> f32 {
    let at = (row * p.c_stride + col) / 4u;
    var d = sums * slopes_at_output(activation, made[at]);
    if p.accumulate != 0u { d += dx[at]; }
    dx[at] = select(vec4<f32>(), d, real(col));
    return 0.0;
}
