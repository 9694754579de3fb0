// Sums and the like over the lanes of a workgroup, of which there are WIDTH.

var<workgroup> partial: array<f32, WIDTH>;

// The sums of the lanes' values down to so many: those of lanes that are the same modulo that.
fn total_of(lane: u32, value: f32, down_to: u32) -> f32 {
    // The lanes may still read the sum before this one.
    workgroupBarrier();
    partial[lane] = value;
    for (var width = WIDTH / 2u; width >= down_to; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    workgroupBarrier();
    return partial[lane % down_to];
}

// The sum of a value of each lane, for all of them.
fn total(lane: u32, value: f32) -> f32 {
    return total_of(lane, value, 1u);
}

// The largest of the lanes' values.
fn highest(lane: u32, value: f32) -> f32 {
    workgroupBarrier();
    partial[lane] = value;
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] = max(partial[lane], partial[lane + width]); }
    }
    workgroupBarrier();
    return partial[0];
}
