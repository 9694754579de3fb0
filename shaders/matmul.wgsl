// Written by `src/kernels/matmul/generate.rs`; change that, not this.
//
// y (rows, outputs) = f(x wᵀ + b), for x (rows, inputs), w (outputs, inputs), b (outputs);
// dx = (dy w) ⊗ f'(x), f being the activation that made x; dw = dyᵀ x and db = Σ dy over the rows.
// Rows and columns are padded to multiples of 16 with zeros, which stay zero.

struct Product {
    rows: u32, cols: u32, depth: u32, a_stride: u32, b_stride: u32, c_stride: u32,
    inside: u32, activation: u32, accumulate: u32,
}
@group(0) @binding(0) var<uniform> p: Product;
override activation: u32 = 0u;

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x_in: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

@group(0) @binding(3) var<storage, read_write> dw: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> db: array<f32>;

// Which of four neighbouring columns are no padding.
fn real(col: u32) -> vec4<bool> {
    return vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.inside);
}

@compute @workgroup_size(8, 8)
fn forward(@builtin(global_invocation_id) id: vec3<u32>) {
    let row0 = 4u * id.y;
    let col0 = 4u * id.x;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    let a_at0 = min(row0 + 0u, p.rows - 1u) * p.a_stride / 4u;
    let b_at0 = min(col0 + 0u, p.cols - 1u) * p.b_stride / 4u;
    let a_at1 = min(row0 + 1u, p.rows - 1u) * p.a_stride / 4u;
    let b_at1 = min(col0 + 1u, p.cols - 1u) * p.b_stride / 4u;
    let a_at2 = min(row0 + 2u, p.rows - 1u) * p.a_stride / 4u;
    let b_at2 = min(col0 + 2u, p.cols - 1u) * p.b_stride / 4u;
    let a_at3 = min(row0 + 3u, p.rows - 1u) * p.a_stride / 4u;
    let b_at3 = min(col0 + 3u, p.cols - 1u) * p.b_stride / 4u;
    for (var k = 0u; k < p.depth; k += 4u) {
        let a0 = x[a_at0 + k / 4u];
        let t0 = w[b_at0 + k / 4u];
        let a1 = x[a_at1 + k / 4u];
        let t1 = w[b_at1 + k / 4u];
        let a2 = x[a_at2 + k / 4u];
        let t2 = w[b_at2 + k / 4u];
        let a3 = x[a_at3 + k / 4u];
        let t3 = w[b_at3 + k / 4u];
        {
            let b = vec4<f32>(t0.x, t1.x, t2.x, t3.x);
            c0 += a0.x * b;
            c1 += a1.x * b;
            c2 += a2.x * b;
            c3 += a3.x * b;
        }
        {
            let b = vec4<f32>(t0.y, t1.y, t2.y, t3.y);
            c0 += a0.y * b;
            c1 += a1.y * b;
            c2 += a2.y * b;
            c3 += a3.y * b;
        }
        {
            let b = vec4<f32>(t0.z, t1.z, t2.z, t3.z);
            c0 += a0.z * b;
            c1 += a1.z * b;
            c2 += a2.z * b;
            c3 += a3.z * b;
        }
        {
            let b = vec4<f32>(t0.w, t1.w, t2.w, t3.w);
            c0 += a0.w * b;
            c1 += a1.w * b;
            c2 += a2.w * b;
            c3 += a3.w * b;
        }
    }
    var tile = array<vec4<f32>, 4>(c0, c1, c2, c3);
    for (var i = 0u; i < 4u; i++) {
        let row = row0 + i;
        let col = col0;
        if row < p.rows && col < p.cols {
            let value = tile[i];
            let at = (row * p.c_stride + col) / 4u;
let sum = value + b[col / 4u];
            var result = vec4<f32>();
            for (var j = 0u; j < 4u; j++) { result[j] = activate(activation, sum[j]); }
            y[at] = select(vec4<f32>(), result, real(col));
        }
    }
}

@compute @workgroup_size(8, 8)
fn backward_x(@builtin(global_invocation_id) id: vec3<u32>) {
    let row0 = 4u * id.y;
    let col0 = 4u * id.x;
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
    var tile = array<vec4<f32>, 4>(c0, c1, c2, c3);
    for (var i = 0u; i < 4u; i++) {
        let row = row0 + i;
        let col = col0;
        if row < p.rows && col < p.cols {
            let value = tile[i];
            let at = (row * p.c_stride + col) / 4u;
let made = x_in[at];
            var result = value;
            for (var j = 0u; j < 4u; j++) { result[j] *= slope_at_output(activation, made[j]); }
            if p.accumulate != 0u { result += dx[at]; }
            dx[at] = select(vec4<f32>(), result, real(col));
        }
    }
}

@compute @workgroup_size(8, 8)
fn backward_w(@builtin(global_invocation_id) id: vec3<u32>) {
    let row0 = 4u * id.y;
    let col0 = 4u * id.x;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    var bias = vec4<f32>();
    let a_at = min(row0, p.rows - 4u) / 4u;
    let b_at = min(col0, p.cols - 4u) / 4u;
    for (var k = 0u; k < p.depth; k += 4u) {
        {
            let b = x_in[(k + 0u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 0u) * p.a_stride / 4u + a_at];
            bias += a;
            c0 += a.x * b;
            c1 += a.y * b;
            c2 += a.z * b;
            c3 += a.w * b;
        }
        {
            let b = x_in[(k + 1u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 1u) * p.a_stride / 4u + a_at];
            bias += a;
            c0 += a.x * b;
            c1 += a.y * b;
            c2 += a.z * b;
            c3 += a.w * b;
        }
        {
            let b = x_in[(k + 2u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 2u) * p.a_stride / 4u + a_at];
            bias += a;
            c0 += a.x * b;
            c1 += a.y * b;
            c2 += a.z * b;
            c3 += a.w * b;
        }
        {
            let b = x_in[(k + 3u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 3u) * p.a_stride / 4u + a_at];
            bias += a;
            c0 += a.x * b;
            c1 += a.y * b;
            c2 += a.z * b;
            c3 += a.w * b;
        }
    }
    var tile = array<vec4<f32>, 4>(c0, c1, c2, c3);
    for (var i = 0u; i < 4u; i++) {
        let row = row0 + i;
        let col = col0;
        if row < p.rows && col < p.cols {
            let value = tile[i];
            let at = (row * p.c_stride + col) / 4u;
var result = value;
            if p.accumulate != 0u { result += dw[at]; }
            dw[at] = result;
        }
    }
    if id.x == 0u {
        for (var i = 0u; i < 4u; i++) {
            let at = row0 + i;
            if at < p.rows { db[at] = select(0.0, db[at], p.accumulate != 0u) + bias[i]; }
        }
    }
}
