// What an invocation sums that makes 4 × 4 elements: four rows of C, and four columns of A for the bias.

struct Sums { row0: vec4<f32>, row1: vec4<f32>, row2: vec4<f32>, row3: vec4<f32>, of_a: vec4<f32> }

// One term more: of four rows, and of four columns.
fn plus(s: Sums, a: vec4<f32>, b: vec4<f32>) -> Sums {
    return Sums(s.row0 + a.x * b, s.row1 + a.y * b, s.row2 + a.z * b, s.row3 + a.w * b, s.of_a + a);
}

// Finishes four rows, unless they are past the end; their losses. It is one loop, whose bound is no constant, so that no
// compiler repeats the entry's end four times.
fn finish_rows(given: Sums, row0: u32, col0: u32) -> vec4<f32> {
    var s = given;
    var losses = vec4<f32>();
    for (var i = 0u; i < min(4u, max(p.rows, row0) - row0); i++) {
        var loss = 0.0;
        if col0 < p.cols { loss = finish(row0 + i, col0, s.row0); }
        losses = vec4<f32>(losses.yzw, loss);
        s.row0 = s.row1;
        s.row1 = s.row2;
        s.row2 = s.row3;
    }
    return losses;
}

// Stores the losses of four rows, unless they are past the end.
fn store_losses(row0: u32, part: u32, sums: vec4<f32>) {
    if row0 >= p.rows { return; }
    for (var i = 0u; i < 4u; i++) { store_loss(row0 + i, part, sums[i]); }
}
