// The end of a gradient that is stored: dw is the sums, or these are added to what is there. That is no branch, since lavapipe
// compiles a shader anew at each dispatch where a uniform alone decides one and much of it folds then.

fn begin() {}

fn finish(row: u32, col: u32, sums: vec4<f32>) -> f32 {
    let at = (row * p.c_stride + col) / 4u;
    dw[at] = select(sums, dw[at] + sums, vec4<bool>(p.accumulate != 0u));
    return 0.0;
}
