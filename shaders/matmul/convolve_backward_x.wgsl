// dx (places, channels) = (the windows of dy that reach a place · their weights) ⊗ f'(x), for dy (places, outputs), w (outputs,
// taps · channels), f being the activation that made x. A stride divides the places of x into phases, each of which is
// reached by other taps: one dispatch a phase.

override activation: u32 = 0u;

@group(0) @binding(1) var<storage, read> dy: array<WordA>;
@group(0) @binding(2) var<storage, read> made: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<WordB>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

fn a_row(row: u32, first: bool) -> u32 { return window_of(row); }
fn a_at(start: u32, col: u32) -> Few {
    let under = seen(start, col, p.a_stride);
    return select(Few(), few(dy[under.at / A_WIDTH]), under.inside);
}

// The weights of one output under one tap. Past the last tap, where A has zeros, those of the last.
fn b_row(row: u32) -> u32 {
    let tap = min(row / channels, max(p.taps_down * taps_right, 1u) - 1u);
    let line = p.tap_top + p.phase * (tap / taps_right % turn_down);
    let nth = line * p.kernel_right + p.tap_left + p.phase * (tap % taps_right % turn_right);
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

fn finish(row: u32, col: u32, sums: vec4<f32>) -> f32 {
    let place = place_of(row);
    if place >= p.made_end { return 0.0; }
    let at = (place * p.c_stride + col) / 4u;
    var d = select(vec4<f32>(), sums * slopes_at_output(activation, made[at]), place < p.made_rows);
    if p.accumulate != 0u { d += dx[at]; }
    dx[at] = select(vec4<f32>(), d, real(col));
    return 0.0;
}
