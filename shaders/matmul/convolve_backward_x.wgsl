// dx (places, channels) = (the windows of dy that reach a place · their weights) ⊗ f'(x), for dy (places, outputs), w (outputs,
// taps · channels), f being the activation that made x, phase by phase.

override activation: u32 = 0u;

@group(0) @binding(1) var<storage, read> dy: array<WordA>;
@group(0) @binding(2) var<storage, read> made: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<WordB>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

fn map_at(at: u32) -> Few { return few(dy[at / A_WIDTH]); }

fn finish(row: u32, col: u32, sums: vec4<f32>) -> f32 {
    let place = place_of(row);
    if place >= p.made_end { return 0.0; }
    let at = (place * p.c_stride + col) / 4u;
    let own = select(vec4<f32>(), sums * slopes_at_output(activation, made[at]), place < p.made_rows);
    // No branch, as in finish.weight.wgsl.
    let d = select(own, dx[at] + own, vec4<bool>(p.accumulate != 0u));
    dx[at] = select(vec4<f32>(), d, real(col));
    return 0.0;
}
