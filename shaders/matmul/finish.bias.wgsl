// The end of a bias's gradient that is stored: db is the sums, or these are added to what is there.

fn finish_bias(row: u32, sums: vec4<f32>) {
    db[row / 4u] = select(sums, db[row / 4u] + sums, vec4<bool>(p.accumulate != 0u));
}
