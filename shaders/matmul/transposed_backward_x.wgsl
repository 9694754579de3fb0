// dx (places, inputs) = (windows of dy · wᵀ) ⊗ f'(x), for a map dy (places, outputs), w (inputs, taps · outputs), f being the
// activation that made x.

override activation: u32 = 0u;

@group(0) @binding(1) var<storage, read> dy: array<WordA>;
@group(0) @binding(2) var<storage, read> made: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<WordB>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

// The padding of a gradient is zero.
fn a_row(row: u32, first: bool) -> u32 { return window_or_none(row); }
fn a_at(start: u32, col: u32) -> Few {
    let under = seen(start, col, p.a_stride);
    return select(Few(), few(dy[under.at / A_WIDTH]), under.inside);
}

// Past the end the last row.
fn b_row(row: u32) -> u32 { return min(row, p.cols - 1u) * p.b_stride / 4u; }
fn b_at(start: u32, col: u32) -> vec4<f32> { return four(w[start + col / 4u]); }

const LOSSES = false;

fn store_loss(row: u32, part: u32, sum: f32) {}
