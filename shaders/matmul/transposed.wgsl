// y (places, outputs) = f(what the places of x spread to, through their weights, + b), for x (places, inputs), w (inputs, taps ·
// outputs), b (outputs), phase by phase. Places that no tap reaches are f(b); the padding is zero.

override activation: u32 = 0u;

@group(0) @binding(1) var<storage, read> x: array<WordA>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<WordB>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

fn map_at(at: u32) -> Few { return few(x[at / A_WIDTH]); }

fn finish(row: u32, col: u32, sums: vec4<f32>) -> f32 {
    let place = place_of(row);
    if place >= p.made_end { return 0.0; }
    let made = activate_four(activation, sums + b[col / 4u]);
    let inside = real(col) & vec4<bool>(place < p.made_rows);
    y[(place * p.c_stride + col) / 4u] = select(vec4<f32>(), made, inside);
    return 0.0;
}
