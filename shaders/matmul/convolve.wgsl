// y (places, outputs) = f(windows of x · wᵀ + b), for a map x, w (outputs, taps · channels), b (outputs).

@group(0) @binding(1) var<storage, read> x: array<WordA>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<WordB>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

fn a_row(row: u32, first: bool) -> u32 { return window_of(row); }
fn a_at(start: u32, col: u32) -> Few {
    let under = seen(start, col, p.a_stride);
    return select(Few(), few(x[under.at / A_WIDTH]), under.inside);
}

// Past the end the last row.
fn b_row(row: u32) -> u32 { return min(row, p.cols - 1u) * p.b_stride / 4u; }
fn b_at(start: u32, col: u32) -> vec4<f32> { return four(w[start + col / 4u]); }
