// The update of w and b, which follow one another in `weights`, by their gradients, which are not kept. As `optimizer.wgsl`
// has it.

// Whether the guard lets anything be updated. What this dispatch finds goes to the guard's other word.
var<private> live: bool;

fn begin() { live = atomicLoad(&guard_words[0]) == 0u; }

fn finish(row: u32, col: u32, sums: vec4<f32>) -> f32 {
    update((row * p.c_stride + col) / 4u, sums);
    if LOSSES && live { return scaled_square(sums); }
    return 0.0;
}

fn finish_bias(row: u32, sums: vec4<f32>) {
    update((p.bias + row) / 4u, sums);
    store_bias_square(row, sums);
}

// The new weights and moments of four elements. What would not be finite is kept, as is what has a gradient of 2⁶⁴ or more.
fn update(at: u32, g: vec4<f32>) {
    if !live { return; }
    let w = four(weights[at]);
    let m = four(first[at]);
    let v = four(second[at]);
    let updated = judged_adam_of(p.decoupled, g, w, m, v);
    weights[at] = stored(updated.weight);
    first[at] = stored(updated.first);
    second[at] = stored(updated.second);
    if updated.broken != 0u { atomicOr(&guard_words[1], updated.broken); }
}
