// dw (inputs, taps · outputs) = xᵀ · windows of dy, for x (places, inputs) and a map dy (places, outputs).

@group(0) @binding(1) var<storage, read> x: array<WordA>;
@group(0) @binding(2) var<storage, read> dy: array<WordB>;
@group(0) @binding(3) var<storage, read_write> dw: array<vec4<f32>>;

fn a_row(row: u32, first: bool) -> u32 { return row * p.a_stride / A_WIDTH; }
fn a_at(start: u32, col: u32) -> Few { return few(x[start + col / A_WIDTH]); }

// The padding of x need not be zero.
fn b_row(row: u32) -> u32 { return window_or_none(row); }
fn b_at(start: u32, col: u32) -> vec4<f32> {
    let under = seen(start, col, p.b_stride);
    return select(vec4<f32>(), four(dy[under.at / 4u]), under.inside);
}

// The sums over columns of A are no gradient here.
fn finish_bias(row: u32, sums: vec4<f32>) {}
