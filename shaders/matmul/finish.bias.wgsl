// The end of a bias's gradient that is stored: db is the sums, or these are added to what is there.

fn finish_bias(row: u32, sums: vec4<f32>) {
    var d = sums;
    if p.accumulate != 0u { d += db[row / 4u]; }
    db[row / 4u] = d;
}
