// The end of a gradient to what an activation made: dx = sums ⊗ f'(x), or that added to what is there.

fn finish(row: u32, col: u32, sums: vec4<f32>) -> f32 {
    let at = (row * p.c_stride + col) / 4u;
    let own = sums * slopes_at_output(activation, made[at]);
    // No branch, as in finish.weight.wgsl.
    let d = select(own, dx[at] + own, vec4<bool>(p.accumulate != 0u));
    dx[at] = select(vec4<f32>(), d, real(col));
    return 0.0;
}
