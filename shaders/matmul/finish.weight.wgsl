// The end of a gradient that is stored: dw is the sums, or these are added to what is there.

fn begin() {}

fn finish(row: u32, col: u32, sums: vec4<f32>) -> f32 {
    let at = (row * p.c_stride + col) / 4u;
    var d = sums;
    if p.accumulate != 0u { d += dw[at]; }
    dw[at] = d;
    return 0.0;
}
