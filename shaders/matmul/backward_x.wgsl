// dx (rows, inputs) = (dy w) ⊗ f'(x), for dy (rows, outputs), w (outputs, inputs), f being the activation that made x.

override activation: u32 = 0u;

@group(0) @binding(1) var<storage, read> dy: array<WordA>;
@group(0) @binding(2) var<storage, read> made: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<WordB>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

fn a_row(row: u32, first: bool) -> u32 { return row * p.a_stride / A_WIDTH; }
fn a_at(start: u32, col: u32) -> Few { return few(dy[start + col / A_WIDTH]); }

fn b_row(row: u32) -> u32 { return row * p.b_stride / 4u; }
fn b_at(start: u32, col: u32) -> vec4<f32> { return four(w[start + col / 4u]); }
