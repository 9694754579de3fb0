// Written by `src/kernels/matmul/generate/`; change that, not this.
// dx (rows, inputs) = (dy w) ⊗ f'(x), for dy (rows, outputs), w (outputs, inputs), f being the
// activation that made x.

struct Product {
    rows: u32, cols: u32, depth: u32, a_stride: u32, b_stride: u32, c_stride: u32, inside: u32,
    activation: u32, accumulate: u32, latent: u32, other_stride: u32, parts: u32, bias: u32,
    decoupled: u32,
}
@group(0) @binding(0) var<uniform> p: Product;
override activation: u32 = 0u;

@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> made: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

// Which of four neighbouring columns are no padding.
fn real(col: u32) -> vec4<bool> {
    return vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.inside);
}

@compute @workgroup_size(8, 8)
fn backward_x(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let row0 = 32u * group.x + 4u * id.y;
    let col0 = 32u * group.y + 4u * id.x;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    let a_at0 = min(row0 + 0u, p.rows - 1u) * p.a_stride / 4u;
    let a_at1 = min(row0 + 1u, p.rows - 1u) * p.a_stride / 4u;
    let a_at2 = min(row0 + 2u, p.rows - 1u) * p.a_stride / 4u;
    let a_at3 = min(row0 + 3u, p.rows - 1u) * p.a_stride / 4u;
    let b_at = min(col0, p.cols - 4u) / 4u;
    for (var k = 0u; k < p.depth; k += 4u) {
        let a0 = dy[a_at0 + k / 4u];
        let a1 = dy[a_at1 + k / 4u];
        let a2 = dy[a_at2 + k / 4u];
        let a3 = dy[a_at3 + k / 4u];
        {
            let b = w[(k + 0u) * p.b_stride / 4u + b_at];
            c0 += a0.x * b;
            c1 += a1.x * b;
            c2 += a2.x * b;
            c3 += a3.x * b;
        }
        {
            let b = w[(k + 1u) * p.b_stride / 4u + b_at];
            c0 += a0.y * b;
            c1 += a1.y * b;
            c2 += a2.y * b;
            c3 += a3.y * b;
        }
        {
            let b = w[(k + 2u) * p.b_stride / 4u + b_at];
            c0 += a0.z * b;
            c1 += a1.z * b;
            c2 += a2.z * b;
            c3 += a3.z * b;
        }
        {
            let b = w[(k + 3u) * p.b_stride / 4u + b_at];
            c0 += a0.w * b;
            c1 += a1.w * b;
            c2 += a2.w * b;
            c3 += a3.w * b;
        }
    }
    for (var i = 0u; i < min(4u, max(p.rows, row0) - row0); i++) {
        let row = row0 + i;
        if col0 + 0u < p.cols {
            let col = col0 + 0u;
            let value = c0;
            let at = (row * p.c_stride + col) / 4u;
let output = made[at];
            var result = value;
            for (var j = 0u; j < 4u; j++) { result[j] *= slope_at_output(activation, output[j]); }
            if p.accumulate != 0u { result += dx[at]; }
            dx[at] = select(vec4<f32>(), result, real(col));
        }
        c0 = c1;
        c1 = c2;
        c2 = c3;
    }
}
