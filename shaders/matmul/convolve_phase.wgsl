// The places of a map in phases, as many as a stride divides it into, each of which is reached by other taps: one dispatch a
// phase. A's rows are the windows of another map that reach a place, whose elements `map_at` tells; B's the weights, w.

fn a_row(row: u32, first: bool) -> u32 { return window_of(row); }
fn a_at(start: u32, col: u32) -> Few {
    let under = seen(start, col, p.a_stride);
    return select(Few(), map_at(under.at), under.inside);
}

// The weights of one channel under one tap. Past the last tap, where A has zeros, those of the last.
fn b_row(row: u32) -> u32 {
    let tap = min(row / channels, max(p.taps_down * taps_right, 1u) - 1u);
    let line = p.tap_top + p.phase * (tap / taps_right % turn_down);
    let nth = line * p.kernel_right + p.tap_left + p.phase * within_turn(tap % taps_right);
    return (row % channels * p.b_stride + nth * p.tap_channels) / 4u;
}
fn b_at(start: u32, col: u32) -> vec4<f32> { return four(w[start + col / 4u]); }

// The place of a row of this phase. Rows behind the last place are the padding, which the first phase makes zero; none
// is left where this phase has no more to do.
fn place_of(row: u32) -> u32 {
    let rows = p.images * p.down * p.right;
    if row >= rows { return p.made_rows + row - rows; }
    let line = row / p.right;
    let y = line % p.down * p.phase + p.phase_top;
    return (line / p.down * p.made_height + y) * p.made_width + row % p.right * p.phase + p.phase_left;
}
