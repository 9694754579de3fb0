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

@group(0) @binding(1) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

@group(0) @binding(1) var<storage, read> dy: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> x_in: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

@group(0) @binding(3) var<storage, read_write> dw: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> db: array<f32>;

// Which of four neighbouring columns are no padding.
fn real(col: u32) -> vec4<bool> {
    return vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.inside);
}

@compute @workgroup_size(8)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    let row0 = 16u * group.y;
    let col0 = 32u * group.x + 4u * lane;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    var c4 = vec4<f32>();
    var c5 = vec4<f32>();
    var c6 = vec4<f32>();
    var c7 = vec4<f32>();
    var c8 = vec4<f32>();
    var c9 = vec4<f32>();
    var c10 = vec4<f32>();
    var c11 = vec4<f32>();
    var c12 = vec4<f32>();
    var c13 = vec4<f32>();
    var c14 = vec4<f32>();
    var c15 = vec4<f32>();
    let a_at0 = (row0 + 0u) * p.a_stride / 2u + lane;
    let a_at1 = (row0 + 1u) * p.a_stride / 2u + lane;
    let a_at2 = (row0 + 2u) * p.a_stride / 2u + lane;
    let a_at3 = (row0 + 3u) * p.a_stride / 2u + lane;
    let a_at4 = (row0 + 4u) * p.a_stride / 2u + lane;
    let a_at5 = (row0 + 5u) * p.a_stride / 2u + lane;
    let a_at6 = (row0 + 6u) * p.a_stride / 2u + lane;
    let a_at7 = (row0 + 7u) * p.a_stride / 2u + lane;
    let a_at8 = (row0 + 8u) * p.a_stride / 2u + lane;
    let a_at9 = (row0 + 9u) * p.a_stride / 2u + lane;
    let a_at10 = (row0 + 10u) * p.a_stride / 2u + lane;
    let a_at11 = (row0 + 11u) * p.a_stride / 2u + lane;
    let a_at12 = (row0 + 12u) * p.a_stride / 2u + lane;
    let a_at13 = (row0 + 13u) * p.a_stride / 2u + lane;
    let a_at14 = (row0 + 14u) * p.a_stride / 2u + lane;
    let a_at15 = (row0 + 15u) * p.a_stride / 2u + lane;
    let b_at0 = min(col0 + 0u, p.cols - 1u) * p.b_stride / 4u;
    let b_at1 = min(col0 + 1u, p.cols - 1u) * p.b_stride / 4u;
    let b_at2 = min(col0 + 2u, p.cols - 1u) * p.b_stride / 4u;
    let b_at3 = min(col0 + 3u, p.cols - 1u) * p.b_stride / 4u;
    for (var k = 0u; k < p.depth; k += 16u) {
        let a0 = x[a_at0 + k / 2u];
        let a1 = x[a_at1 + k / 2u];
        let a2 = x[a_at2 + k / 2u];
        let a3 = x[a_at3 + k / 2u];
        let a4 = x[a_at4 + k / 2u];
        let a5 = x[a_at5 + k / 2u];
        let a6 = x[a_at6 + k / 2u];
        let a7 = x[a_at7 + k / 2u];
        let a8 = x[a_at8 + k / 2u];
        let a9 = x[a_at9 + k / 2u];
        let a10 = x[a_at10 + k / 2u];
        let a11 = x[a_at11 + k / 2u];
        let a12 = x[a_at12 + k / 2u];
        let a13 = x[a_at13 + k / 2u];
        let a14 = x[a_at14 + k / 2u];
        let a15 = x[a_at15 + k / 2u];
        let t0_0 = w[b_at0 + k / 4u + 0u];
        let t1_0 = w[b_at1 + k / 4u + 0u];
        let t2_0 = w[b_at2 + k / 4u + 0u];
        let t3_0 = w[b_at3 + k / 4u + 0u];
        {
            let b = vec4<f32>(t0_0.x, t1_0.x, t2_0.x, t3_0.x);
            c0 += subgroupBroadcast(a0.x, 0u) * b;
            c1 += subgroupBroadcast(a1.x, 0u) * b;
            c2 += subgroupBroadcast(a2.x, 0u) * b;
            c3 += subgroupBroadcast(a3.x, 0u) * b;
            c4 += subgroupBroadcast(a4.x, 0u) * b;
            c5 += subgroupBroadcast(a5.x, 0u) * b;
            c6 += subgroupBroadcast(a6.x, 0u) * b;
            c7 += subgroupBroadcast(a7.x, 0u) * b;
            c8 += subgroupBroadcast(a8.x, 0u) * b;
            c9 += subgroupBroadcast(a9.x, 0u) * b;
            c10 += subgroupBroadcast(a10.x, 0u) * b;
            c11 += subgroupBroadcast(a11.x, 0u) * b;
            c12 += subgroupBroadcast(a12.x, 0u) * b;
            c13 += subgroupBroadcast(a13.x, 0u) * b;
            c14 += subgroupBroadcast(a14.x, 0u) * b;
            c15 += subgroupBroadcast(a15.x, 0u) * b;
        }
        {
            let b = vec4<f32>(t0_0.y, t1_0.y, t2_0.y, t3_0.y);
            c0 += subgroupBroadcast(a0.y, 0u) * b;
            c1 += subgroupBroadcast(a1.y, 0u) * b;
            c2 += subgroupBroadcast(a2.y, 0u) * b;
            c3 += subgroupBroadcast(a3.y, 0u) * b;
            c4 += subgroupBroadcast(a4.y, 0u) * b;
            c5 += subgroupBroadcast(a5.y, 0u) * b;
            c6 += subgroupBroadcast(a6.y, 0u) * b;
            c7 += subgroupBroadcast(a7.y, 0u) * b;
            c8 += subgroupBroadcast(a8.y, 0u) * b;
            c9 += subgroupBroadcast(a9.y, 0u) * b;
            c10 += subgroupBroadcast(a10.y, 0u) * b;
            c11 += subgroupBroadcast(a11.y, 0u) * b;
            c12 += subgroupBroadcast(a12.y, 0u) * b;
            c13 += subgroupBroadcast(a13.y, 0u) * b;
            c14 += subgroupBroadcast(a14.y, 0u) * b;
            c15 += subgroupBroadcast(a15.y, 0u) * b;
        }
        {
            let b = vec4<f32>(t0_0.z, t1_0.z, t2_0.z, t3_0.z);
            c0 += subgroupBroadcast(a0.x, 1u) * b;
            c1 += subgroupBroadcast(a1.x, 1u) * b;
            c2 += subgroupBroadcast(a2.x, 1u) * b;
            c3 += subgroupBroadcast(a3.x, 1u) * b;
            c4 += subgroupBroadcast(a4.x, 1u) * b;
            c5 += subgroupBroadcast(a5.x, 1u) * b;
            c6 += subgroupBroadcast(a6.x, 1u) * b;
            c7 += subgroupBroadcast(a7.x, 1u) * b;
            c8 += subgroupBroadcast(a8.x, 1u) * b;
            c9 += subgroupBroadcast(a9.x, 1u) * b;
            c10 += subgroupBroadcast(a10.x, 1u) * b;
            c11 += subgroupBroadcast(a11.x, 1u) * b;
            c12 += subgroupBroadcast(a12.x, 1u) * b;
            c13 += subgroupBroadcast(a13.x, 1u) * b;
            c14 += subgroupBroadcast(a14.x, 1u) * b;
            c15 += subgroupBroadcast(a15.x, 1u) * b;
        }
        {
            let b = vec4<f32>(t0_0.w, t1_0.w, t2_0.w, t3_0.w);
            c0 += subgroupBroadcast(a0.y, 1u) * b;
            c1 += subgroupBroadcast(a1.y, 1u) * b;
            c2 += subgroupBroadcast(a2.y, 1u) * b;
            c3 += subgroupBroadcast(a3.y, 1u) * b;
            c4 += subgroupBroadcast(a4.y, 1u) * b;
            c5 += subgroupBroadcast(a5.y, 1u) * b;
            c6 += subgroupBroadcast(a6.y, 1u) * b;
            c7 += subgroupBroadcast(a7.y, 1u) * b;
            c8 += subgroupBroadcast(a8.y, 1u) * b;
            c9 += subgroupBroadcast(a9.y, 1u) * b;
            c10 += subgroupBroadcast(a10.y, 1u) * b;
            c11 += subgroupBroadcast(a11.y, 1u) * b;
            c12 += subgroupBroadcast(a12.y, 1u) * b;
            c13 += subgroupBroadcast(a13.y, 1u) * b;
            c14 += subgroupBroadcast(a14.y, 1u) * b;
            c15 += subgroupBroadcast(a15.y, 1u) * b;
        }
        let t0_4 = w[b_at0 + k / 4u + 1u];
        let t1_4 = w[b_at1 + k / 4u + 1u];
        let t2_4 = w[b_at2 + k / 4u + 1u];
        let t3_4 = w[b_at3 + k / 4u + 1u];
        {
            let b = vec4<f32>(t0_4.x, t1_4.x, t2_4.x, t3_4.x);
            c0 += subgroupBroadcast(a0.x, 2u) * b;
            c1 += subgroupBroadcast(a1.x, 2u) * b;
            c2 += subgroupBroadcast(a2.x, 2u) * b;
            c3 += subgroupBroadcast(a3.x, 2u) * b;
            c4 += subgroupBroadcast(a4.x, 2u) * b;
            c5 += subgroupBroadcast(a5.x, 2u) * b;
            c6 += subgroupBroadcast(a6.x, 2u) * b;
            c7 += subgroupBroadcast(a7.x, 2u) * b;
            c8 += subgroupBroadcast(a8.x, 2u) * b;
            c9 += subgroupBroadcast(a9.x, 2u) * b;
            c10 += subgroupBroadcast(a10.x, 2u) * b;
            c11 += subgroupBroadcast(a11.x, 2u) * b;
            c12 += subgroupBroadcast(a12.x, 2u) * b;
            c13 += subgroupBroadcast(a13.x, 2u) * b;
            c14 += subgroupBroadcast(a14.x, 2u) * b;
            c15 += subgroupBroadcast(a15.x, 2u) * b;
        }
        {
            let b = vec4<f32>(t0_4.y, t1_4.y, t2_4.y, t3_4.y);
            c0 += subgroupBroadcast(a0.y, 2u) * b;
            c1 += subgroupBroadcast(a1.y, 2u) * b;
            c2 += subgroupBroadcast(a2.y, 2u) * b;
            c3 += subgroupBroadcast(a3.y, 2u) * b;
            c4 += subgroupBroadcast(a4.y, 2u) * b;
            c5 += subgroupBroadcast(a5.y, 2u) * b;
            c6 += subgroupBroadcast(a6.y, 2u) * b;
            c7 += subgroupBroadcast(a7.y, 2u) * b;
            c8 += subgroupBroadcast(a8.y, 2u) * b;
            c9 += subgroupBroadcast(a9.y, 2u) * b;
            c10 += subgroupBroadcast(a10.y, 2u) * b;
            c11 += subgroupBroadcast(a11.y, 2u) * b;
            c12 += subgroupBroadcast(a12.y, 2u) * b;
            c13 += subgroupBroadcast(a13.y, 2u) * b;
            c14 += subgroupBroadcast(a14.y, 2u) * b;
            c15 += subgroupBroadcast(a15.y, 2u) * b;
        }
        {
            let b = vec4<f32>(t0_4.z, t1_4.z, t2_4.z, t3_4.z);
            c0 += subgroupBroadcast(a0.x, 3u) * b;
            c1 += subgroupBroadcast(a1.x, 3u) * b;
            c2 += subgroupBroadcast(a2.x, 3u) * b;
            c3 += subgroupBroadcast(a3.x, 3u) * b;
            c4 += subgroupBroadcast(a4.x, 3u) * b;
            c5 += subgroupBroadcast(a5.x, 3u) * b;
            c6 += subgroupBroadcast(a6.x, 3u) * b;
            c7 += subgroupBroadcast(a7.x, 3u) * b;
            c8 += subgroupBroadcast(a8.x, 3u) * b;
            c9 += subgroupBroadcast(a9.x, 3u) * b;
            c10 += subgroupBroadcast(a10.x, 3u) * b;
            c11 += subgroupBroadcast(a11.x, 3u) * b;
            c12 += subgroupBroadcast(a12.x, 3u) * b;
            c13 += subgroupBroadcast(a13.x, 3u) * b;
            c14 += subgroupBroadcast(a14.x, 3u) * b;
            c15 += subgroupBroadcast(a15.x, 3u) * b;
        }
        {
            let b = vec4<f32>(t0_4.w, t1_4.w, t2_4.w, t3_4.w);
            c0 += subgroupBroadcast(a0.y, 3u) * b;
            c1 += subgroupBroadcast(a1.y, 3u) * b;
            c2 += subgroupBroadcast(a2.y, 3u) * b;
            c3 += subgroupBroadcast(a3.y, 3u) * b;
            c4 += subgroupBroadcast(a4.y, 3u) * b;
            c5 += subgroupBroadcast(a5.y, 3u) * b;
            c6 += subgroupBroadcast(a6.y, 3u) * b;
            c7 += subgroupBroadcast(a7.y, 3u) * b;
            c8 += subgroupBroadcast(a8.y, 3u) * b;
            c9 += subgroupBroadcast(a9.y, 3u) * b;
            c10 += subgroupBroadcast(a10.y, 3u) * b;
            c11 += subgroupBroadcast(a11.y, 3u) * b;
            c12 += subgroupBroadcast(a12.y, 3u) * b;
            c13 += subgroupBroadcast(a13.y, 3u) * b;
            c14 += subgroupBroadcast(a14.y, 3u) * b;
            c15 += subgroupBroadcast(a15.y, 3u) * b;
        }
        let t0_8 = w[b_at0 + k / 4u + 2u];
        let t1_8 = w[b_at1 + k / 4u + 2u];
        let t2_8 = w[b_at2 + k / 4u + 2u];
        let t3_8 = w[b_at3 + k / 4u + 2u];
        {
            let b = vec4<f32>(t0_8.x, t1_8.x, t2_8.x, t3_8.x);
            c0 += subgroupBroadcast(a0.x, 4u) * b;
            c1 += subgroupBroadcast(a1.x, 4u) * b;
            c2 += subgroupBroadcast(a2.x, 4u) * b;
            c3 += subgroupBroadcast(a3.x, 4u) * b;
            c4 += subgroupBroadcast(a4.x, 4u) * b;
            c5 += subgroupBroadcast(a5.x, 4u) * b;
            c6 += subgroupBroadcast(a6.x, 4u) * b;
            c7 += subgroupBroadcast(a7.x, 4u) * b;
            c8 += subgroupBroadcast(a8.x, 4u) * b;
            c9 += subgroupBroadcast(a9.x, 4u) * b;
            c10 += subgroupBroadcast(a10.x, 4u) * b;
            c11 += subgroupBroadcast(a11.x, 4u) * b;
            c12 += subgroupBroadcast(a12.x, 4u) * b;
            c13 += subgroupBroadcast(a13.x, 4u) * b;
            c14 += subgroupBroadcast(a14.x, 4u) * b;
            c15 += subgroupBroadcast(a15.x, 4u) * b;
        }
        {
            let b = vec4<f32>(t0_8.y, t1_8.y, t2_8.y, t3_8.y);
            c0 += subgroupBroadcast(a0.y, 4u) * b;
            c1 += subgroupBroadcast(a1.y, 4u) * b;
            c2 += subgroupBroadcast(a2.y, 4u) * b;
            c3 += subgroupBroadcast(a3.y, 4u) * b;
            c4 += subgroupBroadcast(a4.y, 4u) * b;
            c5 += subgroupBroadcast(a5.y, 4u) * b;
            c6 += subgroupBroadcast(a6.y, 4u) * b;
            c7 += subgroupBroadcast(a7.y, 4u) * b;
            c8 += subgroupBroadcast(a8.y, 4u) * b;
            c9 += subgroupBroadcast(a9.y, 4u) * b;
            c10 += subgroupBroadcast(a10.y, 4u) * b;
            c11 += subgroupBroadcast(a11.y, 4u) * b;
            c12 += subgroupBroadcast(a12.y, 4u) * b;
            c13 += subgroupBroadcast(a13.y, 4u) * b;
            c14 += subgroupBroadcast(a14.y, 4u) * b;
            c15 += subgroupBroadcast(a15.y, 4u) * b;
        }
        {
            let b = vec4<f32>(t0_8.z, t1_8.z, t2_8.z, t3_8.z);
            c0 += subgroupBroadcast(a0.x, 5u) * b;
            c1 += subgroupBroadcast(a1.x, 5u) * b;
            c2 += subgroupBroadcast(a2.x, 5u) * b;
            c3 += subgroupBroadcast(a3.x, 5u) * b;
            c4 += subgroupBroadcast(a4.x, 5u) * b;
            c5 += subgroupBroadcast(a5.x, 5u) * b;
            c6 += subgroupBroadcast(a6.x, 5u) * b;
            c7 += subgroupBroadcast(a7.x, 5u) * b;
            c8 += subgroupBroadcast(a8.x, 5u) * b;
            c9 += subgroupBroadcast(a9.x, 5u) * b;
            c10 += subgroupBroadcast(a10.x, 5u) * b;
            c11 += subgroupBroadcast(a11.x, 5u) * b;
            c12 += subgroupBroadcast(a12.x, 5u) * b;
            c13 += subgroupBroadcast(a13.x, 5u) * b;
            c14 += subgroupBroadcast(a14.x, 5u) * b;
            c15 += subgroupBroadcast(a15.x, 5u) * b;
        }
        {
            let b = vec4<f32>(t0_8.w, t1_8.w, t2_8.w, t3_8.w);
            c0 += subgroupBroadcast(a0.y, 5u) * b;
            c1 += subgroupBroadcast(a1.y, 5u) * b;
            c2 += subgroupBroadcast(a2.y, 5u) * b;
            c3 += subgroupBroadcast(a3.y, 5u) * b;
            c4 += subgroupBroadcast(a4.y, 5u) * b;
            c5 += subgroupBroadcast(a5.y, 5u) * b;
            c6 += subgroupBroadcast(a6.y, 5u) * b;
            c7 += subgroupBroadcast(a7.y, 5u) * b;
            c8 += subgroupBroadcast(a8.y, 5u) * b;
            c9 += subgroupBroadcast(a9.y, 5u) * b;
            c10 += subgroupBroadcast(a10.y, 5u) * b;
            c11 += subgroupBroadcast(a11.y, 5u) * b;
            c12 += subgroupBroadcast(a12.y, 5u) * b;
            c13 += subgroupBroadcast(a13.y, 5u) * b;
            c14 += subgroupBroadcast(a14.y, 5u) * b;
            c15 += subgroupBroadcast(a15.y, 5u) * b;
        }
        let t0_12 = w[b_at0 + k / 4u + 3u];
        let t1_12 = w[b_at1 + k / 4u + 3u];
        let t2_12 = w[b_at2 + k / 4u + 3u];
        let t3_12 = w[b_at3 + k / 4u + 3u];
        {
            let b = vec4<f32>(t0_12.x, t1_12.x, t2_12.x, t3_12.x);
            c0 += subgroupBroadcast(a0.x, 6u) * b;
            c1 += subgroupBroadcast(a1.x, 6u) * b;
            c2 += subgroupBroadcast(a2.x, 6u) * b;
            c3 += subgroupBroadcast(a3.x, 6u) * b;
            c4 += subgroupBroadcast(a4.x, 6u) * b;
            c5 += subgroupBroadcast(a5.x, 6u) * b;
            c6 += subgroupBroadcast(a6.x, 6u) * b;
            c7 += subgroupBroadcast(a7.x, 6u) * b;
            c8 += subgroupBroadcast(a8.x, 6u) * b;
            c9 += subgroupBroadcast(a9.x, 6u) * b;
            c10 += subgroupBroadcast(a10.x, 6u) * b;
            c11 += subgroupBroadcast(a11.x, 6u) * b;
            c12 += subgroupBroadcast(a12.x, 6u) * b;
            c13 += subgroupBroadcast(a13.x, 6u) * b;
            c14 += subgroupBroadcast(a14.x, 6u) * b;
            c15 += subgroupBroadcast(a15.x, 6u) * b;
        }
        {
            let b = vec4<f32>(t0_12.y, t1_12.y, t2_12.y, t3_12.y);
            c0 += subgroupBroadcast(a0.y, 6u) * b;
            c1 += subgroupBroadcast(a1.y, 6u) * b;
            c2 += subgroupBroadcast(a2.y, 6u) * b;
            c3 += subgroupBroadcast(a3.y, 6u) * b;
            c4 += subgroupBroadcast(a4.y, 6u) * b;
            c5 += subgroupBroadcast(a5.y, 6u) * b;
            c6 += subgroupBroadcast(a6.y, 6u) * b;
            c7 += subgroupBroadcast(a7.y, 6u) * b;
            c8 += subgroupBroadcast(a8.y, 6u) * b;
            c9 += subgroupBroadcast(a9.y, 6u) * b;
            c10 += subgroupBroadcast(a10.y, 6u) * b;
            c11 += subgroupBroadcast(a11.y, 6u) * b;
            c12 += subgroupBroadcast(a12.y, 6u) * b;
            c13 += subgroupBroadcast(a13.y, 6u) * b;
            c14 += subgroupBroadcast(a14.y, 6u) * b;
            c15 += subgroupBroadcast(a15.y, 6u) * b;
        }
        {
            let b = vec4<f32>(t0_12.z, t1_12.z, t2_12.z, t3_12.z);
            c0 += subgroupBroadcast(a0.x, 7u) * b;
            c1 += subgroupBroadcast(a1.x, 7u) * b;
            c2 += subgroupBroadcast(a2.x, 7u) * b;
            c3 += subgroupBroadcast(a3.x, 7u) * b;
            c4 += subgroupBroadcast(a4.x, 7u) * b;
            c5 += subgroupBroadcast(a5.x, 7u) * b;
            c6 += subgroupBroadcast(a6.x, 7u) * b;
            c7 += subgroupBroadcast(a7.x, 7u) * b;
            c8 += subgroupBroadcast(a8.x, 7u) * b;
            c9 += subgroupBroadcast(a9.x, 7u) * b;
            c10 += subgroupBroadcast(a10.x, 7u) * b;
            c11 += subgroupBroadcast(a11.x, 7u) * b;
            c12 += subgroupBroadcast(a12.x, 7u) * b;
            c13 += subgroupBroadcast(a13.x, 7u) * b;
            c14 += subgroupBroadcast(a14.x, 7u) * b;
            c15 += subgroupBroadcast(a15.x, 7u) * b;
        }
        {
            let b = vec4<f32>(t0_12.w, t1_12.w, t2_12.w, t3_12.w);
            c0 += subgroupBroadcast(a0.y, 7u) * b;
            c1 += subgroupBroadcast(a1.y, 7u) * b;
            c2 += subgroupBroadcast(a2.y, 7u) * b;
            c3 += subgroupBroadcast(a3.y, 7u) * b;
            c4 += subgroupBroadcast(a4.y, 7u) * b;
            c5 += subgroupBroadcast(a5.y, 7u) * b;
            c6 += subgroupBroadcast(a6.y, 7u) * b;
            c7 += subgroupBroadcast(a7.y, 7u) * b;
            c8 += subgroupBroadcast(a8.y, 7u) * b;
            c9 += subgroupBroadcast(a9.y, 7u) * b;
            c10 += subgroupBroadcast(a10.y, 7u) * b;
            c11 += subgroupBroadcast(a11.y, 7u) * b;
            c12 += subgroupBroadcast(a12.y, 7u) * b;
            c13 += subgroupBroadcast(a13.y, 7u) * b;
            c14 += subgroupBroadcast(a14.y, 7u) * b;
            c15 += subgroupBroadcast(a15.y, 7u) * b;
        }
    }
    var tile = array<vec4<f32>, 16>(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15);
    for (var i = 0u; i < 16u; i++) {
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

@compute @workgroup_size(8)
fn backward_x(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    let row0 = 16u * group.y;
    let col0 = 32u * group.x + 4u * lane;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    var c4 = vec4<f32>();
    var c5 = vec4<f32>();
    var c6 = vec4<f32>();
    var c7 = vec4<f32>();
    var c8 = vec4<f32>();
    var c9 = vec4<f32>();
    var c10 = vec4<f32>();
    var c11 = vec4<f32>();
    var c12 = vec4<f32>();
    var c13 = vec4<f32>();
    var c14 = vec4<f32>();
    var c15 = vec4<f32>();
    let a_at0 = (row0 + 0u) * p.a_stride / 2u + lane;
    let a_at1 = (row0 + 1u) * p.a_stride / 2u + lane;
    let a_at2 = (row0 + 2u) * p.a_stride / 2u + lane;
    let a_at3 = (row0 + 3u) * p.a_stride / 2u + lane;
    let a_at4 = (row0 + 4u) * p.a_stride / 2u + lane;
    let a_at5 = (row0 + 5u) * p.a_stride / 2u + lane;
    let a_at6 = (row0 + 6u) * p.a_stride / 2u + lane;
    let a_at7 = (row0 + 7u) * p.a_stride / 2u + lane;
    let a_at8 = (row0 + 8u) * p.a_stride / 2u + lane;
    let a_at9 = (row0 + 9u) * p.a_stride / 2u + lane;
    let a_at10 = (row0 + 10u) * p.a_stride / 2u + lane;
    let a_at11 = (row0 + 11u) * p.a_stride / 2u + lane;
    let a_at12 = (row0 + 12u) * p.a_stride / 2u + lane;
    let a_at13 = (row0 + 13u) * p.a_stride / 2u + lane;
    let a_at14 = (row0 + 14u) * p.a_stride / 2u + lane;
    let a_at15 = (row0 + 15u) * p.a_stride / 2u + lane;
    let b_at = min(col0, p.cols - 4u) / 4u;
    for (var k = 0u; k < p.depth; k += 16u) {
        let a0 = dy[a_at0 + k / 2u];
        let a1 = dy[a_at1 + k / 2u];
        let a2 = dy[a_at2 + k / 2u];
        let a3 = dy[a_at3 + k / 2u];
        let a4 = dy[a_at4 + k / 2u];
        let a5 = dy[a_at5 + k / 2u];
        let a6 = dy[a_at6 + k / 2u];
        let a7 = dy[a_at7 + k / 2u];
        let a8 = dy[a_at8 + k / 2u];
        let a9 = dy[a_at9 + k / 2u];
        let a10 = dy[a_at10 + k / 2u];
        let a11 = dy[a_at11 + k / 2u];
        let a12 = dy[a_at12 + k / 2u];
        let a13 = dy[a_at13 + k / 2u];
        let a14 = dy[a_at14 + k / 2u];
        let a15 = dy[a_at15 + k / 2u];
        {
            let b = w[(k + 0u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.x, 0u) * b;
            c1 += subgroupBroadcast(a1.x, 0u) * b;
            c2 += subgroupBroadcast(a2.x, 0u) * b;
            c3 += subgroupBroadcast(a3.x, 0u) * b;
            c4 += subgroupBroadcast(a4.x, 0u) * b;
            c5 += subgroupBroadcast(a5.x, 0u) * b;
            c6 += subgroupBroadcast(a6.x, 0u) * b;
            c7 += subgroupBroadcast(a7.x, 0u) * b;
            c8 += subgroupBroadcast(a8.x, 0u) * b;
            c9 += subgroupBroadcast(a9.x, 0u) * b;
            c10 += subgroupBroadcast(a10.x, 0u) * b;
            c11 += subgroupBroadcast(a11.x, 0u) * b;
            c12 += subgroupBroadcast(a12.x, 0u) * b;
            c13 += subgroupBroadcast(a13.x, 0u) * b;
            c14 += subgroupBroadcast(a14.x, 0u) * b;
            c15 += subgroupBroadcast(a15.x, 0u) * b;
        }
        {
            let b = w[(k + 1u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.y, 0u) * b;
            c1 += subgroupBroadcast(a1.y, 0u) * b;
            c2 += subgroupBroadcast(a2.y, 0u) * b;
            c3 += subgroupBroadcast(a3.y, 0u) * b;
            c4 += subgroupBroadcast(a4.y, 0u) * b;
            c5 += subgroupBroadcast(a5.y, 0u) * b;
            c6 += subgroupBroadcast(a6.y, 0u) * b;
            c7 += subgroupBroadcast(a7.y, 0u) * b;
            c8 += subgroupBroadcast(a8.y, 0u) * b;
            c9 += subgroupBroadcast(a9.y, 0u) * b;
            c10 += subgroupBroadcast(a10.y, 0u) * b;
            c11 += subgroupBroadcast(a11.y, 0u) * b;
            c12 += subgroupBroadcast(a12.y, 0u) * b;
            c13 += subgroupBroadcast(a13.y, 0u) * b;
            c14 += subgroupBroadcast(a14.y, 0u) * b;
            c15 += subgroupBroadcast(a15.y, 0u) * b;
        }
        {
            let b = w[(k + 2u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.x, 1u) * b;
            c1 += subgroupBroadcast(a1.x, 1u) * b;
            c2 += subgroupBroadcast(a2.x, 1u) * b;
            c3 += subgroupBroadcast(a3.x, 1u) * b;
            c4 += subgroupBroadcast(a4.x, 1u) * b;
            c5 += subgroupBroadcast(a5.x, 1u) * b;
            c6 += subgroupBroadcast(a6.x, 1u) * b;
            c7 += subgroupBroadcast(a7.x, 1u) * b;
            c8 += subgroupBroadcast(a8.x, 1u) * b;
            c9 += subgroupBroadcast(a9.x, 1u) * b;
            c10 += subgroupBroadcast(a10.x, 1u) * b;
            c11 += subgroupBroadcast(a11.x, 1u) * b;
            c12 += subgroupBroadcast(a12.x, 1u) * b;
            c13 += subgroupBroadcast(a13.x, 1u) * b;
            c14 += subgroupBroadcast(a14.x, 1u) * b;
            c15 += subgroupBroadcast(a15.x, 1u) * b;
        }
        {
            let b = w[(k + 3u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.y, 1u) * b;
            c1 += subgroupBroadcast(a1.y, 1u) * b;
            c2 += subgroupBroadcast(a2.y, 1u) * b;
            c3 += subgroupBroadcast(a3.y, 1u) * b;
            c4 += subgroupBroadcast(a4.y, 1u) * b;
            c5 += subgroupBroadcast(a5.y, 1u) * b;
            c6 += subgroupBroadcast(a6.y, 1u) * b;
            c7 += subgroupBroadcast(a7.y, 1u) * b;
            c8 += subgroupBroadcast(a8.y, 1u) * b;
            c9 += subgroupBroadcast(a9.y, 1u) * b;
            c10 += subgroupBroadcast(a10.y, 1u) * b;
            c11 += subgroupBroadcast(a11.y, 1u) * b;
            c12 += subgroupBroadcast(a12.y, 1u) * b;
            c13 += subgroupBroadcast(a13.y, 1u) * b;
            c14 += subgroupBroadcast(a14.y, 1u) * b;
            c15 += subgroupBroadcast(a15.y, 1u) * b;
        }
        {
            let b = w[(k + 4u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.x, 2u) * b;
            c1 += subgroupBroadcast(a1.x, 2u) * b;
            c2 += subgroupBroadcast(a2.x, 2u) * b;
            c3 += subgroupBroadcast(a3.x, 2u) * b;
            c4 += subgroupBroadcast(a4.x, 2u) * b;
            c5 += subgroupBroadcast(a5.x, 2u) * b;
            c6 += subgroupBroadcast(a6.x, 2u) * b;
            c7 += subgroupBroadcast(a7.x, 2u) * b;
            c8 += subgroupBroadcast(a8.x, 2u) * b;
            c9 += subgroupBroadcast(a9.x, 2u) * b;
            c10 += subgroupBroadcast(a10.x, 2u) * b;
            c11 += subgroupBroadcast(a11.x, 2u) * b;
            c12 += subgroupBroadcast(a12.x, 2u) * b;
            c13 += subgroupBroadcast(a13.x, 2u) * b;
            c14 += subgroupBroadcast(a14.x, 2u) * b;
            c15 += subgroupBroadcast(a15.x, 2u) * b;
        }
        {
            let b = w[(k + 5u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.y, 2u) * b;
            c1 += subgroupBroadcast(a1.y, 2u) * b;
            c2 += subgroupBroadcast(a2.y, 2u) * b;
            c3 += subgroupBroadcast(a3.y, 2u) * b;
            c4 += subgroupBroadcast(a4.y, 2u) * b;
            c5 += subgroupBroadcast(a5.y, 2u) * b;
            c6 += subgroupBroadcast(a6.y, 2u) * b;
            c7 += subgroupBroadcast(a7.y, 2u) * b;
            c8 += subgroupBroadcast(a8.y, 2u) * b;
            c9 += subgroupBroadcast(a9.y, 2u) * b;
            c10 += subgroupBroadcast(a10.y, 2u) * b;
            c11 += subgroupBroadcast(a11.y, 2u) * b;
            c12 += subgroupBroadcast(a12.y, 2u) * b;
            c13 += subgroupBroadcast(a13.y, 2u) * b;
            c14 += subgroupBroadcast(a14.y, 2u) * b;
            c15 += subgroupBroadcast(a15.y, 2u) * b;
        }
        {
            let b = w[(k + 6u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.x, 3u) * b;
            c1 += subgroupBroadcast(a1.x, 3u) * b;
            c2 += subgroupBroadcast(a2.x, 3u) * b;
            c3 += subgroupBroadcast(a3.x, 3u) * b;
            c4 += subgroupBroadcast(a4.x, 3u) * b;
            c5 += subgroupBroadcast(a5.x, 3u) * b;
            c6 += subgroupBroadcast(a6.x, 3u) * b;
            c7 += subgroupBroadcast(a7.x, 3u) * b;
            c8 += subgroupBroadcast(a8.x, 3u) * b;
            c9 += subgroupBroadcast(a9.x, 3u) * b;
            c10 += subgroupBroadcast(a10.x, 3u) * b;
            c11 += subgroupBroadcast(a11.x, 3u) * b;
            c12 += subgroupBroadcast(a12.x, 3u) * b;
            c13 += subgroupBroadcast(a13.x, 3u) * b;
            c14 += subgroupBroadcast(a14.x, 3u) * b;
            c15 += subgroupBroadcast(a15.x, 3u) * b;
        }
        {
            let b = w[(k + 7u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.y, 3u) * b;
            c1 += subgroupBroadcast(a1.y, 3u) * b;
            c2 += subgroupBroadcast(a2.y, 3u) * b;
            c3 += subgroupBroadcast(a3.y, 3u) * b;
            c4 += subgroupBroadcast(a4.y, 3u) * b;
            c5 += subgroupBroadcast(a5.y, 3u) * b;
            c6 += subgroupBroadcast(a6.y, 3u) * b;
            c7 += subgroupBroadcast(a7.y, 3u) * b;
            c8 += subgroupBroadcast(a8.y, 3u) * b;
            c9 += subgroupBroadcast(a9.y, 3u) * b;
            c10 += subgroupBroadcast(a10.y, 3u) * b;
            c11 += subgroupBroadcast(a11.y, 3u) * b;
            c12 += subgroupBroadcast(a12.y, 3u) * b;
            c13 += subgroupBroadcast(a13.y, 3u) * b;
            c14 += subgroupBroadcast(a14.y, 3u) * b;
            c15 += subgroupBroadcast(a15.y, 3u) * b;
        }
        {
            let b = w[(k + 8u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.x, 4u) * b;
            c1 += subgroupBroadcast(a1.x, 4u) * b;
            c2 += subgroupBroadcast(a2.x, 4u) * b;
            c3 += subgroupBroadcast(a3.x, 4u) * b;
            c4 += subgroupBroadcast(a4.x, 4u) * b;
            c5 += subgroupBroadcast(a5.x, 4u) * b;
            c6 += subgroupBroadcast(a6.x, 4u) * b;
            c7 += subgroupBroadcast(a7.x, 4u) * b;
            c8 += subgroupBroadcast(a8.x, 4u) * b;
            c9 += subgroupBroadcast(a9.x, 4u) * b;
            c10 += subgroupBroadcast(a10.x, 4u) * b;
            c11 += subgroupBroadcast(a11.x, 4u) * b;
            c12 += subgroupBroadcast(a12.x, 4u) * b;
            c13 += subgroupBroadcast(a13.x, 4u) * b;
            c14 += subgroupBroadcast(a14.x, 4u) * b;
            c15 += subgroupBroadcast(a15.x, 4u) * b;
        }
        {
            let b = w[(k + 9u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.y, 4u) * b;
            c1 += subgroupBroadcast(a1.y, 4u) * b;
            c2 += subgroupBroadcast(a2.y, 4u) * b;
            c3 += subgroupBroadcast(a3.y, 4u) * b;
            c4 += subgroupBroadcast(a4.y, 4u) * b;
            c5 += subgroupBroadcast(a5.y, 4u) * b;
            c6 += subgroupBroadcast(a6.y, 4u) * b;
            c7 += subgroupBroadcast(a7.y, 4u) * b;
            c8 += subgroupBroadcast(a8.y, 4u) * b;
            c9 += subgroupBroadcast(a9.y, 4u) * b;
            c10 += subgroupBroadcast(a10.y, 4u) * b;
            c11 += subgroupBroadcast(a11.y, 4u) * b;
            c12 += subgroupBroadcast(a12.y, 4u) * b;
            c13 += subgroupBroadcast(a13.y, 4u) * b;
            c14 += subgroupBroadcast(a14.y, 4u) * b;
            c15 += subgroupBroadcast(a15.y, 4u) * b;
        }
        {
            let b = w[(k + 10u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.x, 5u) * b;
            c1 += subgroupBroadcast(a1.x, 5u) * b;
            c2 += subgroupBroadcast(a2.x, 5u) * b;
            c3 += subgroupBroadcast(a3.x, 5u) * b;
            c4 += subgroupBroadcast(a4.x, 5u) * b;
            c5 += subgroupBroadcast(a5.x, 5u) * b;
            c6 += subgroupBroadcast(a6.x, 5u) * b;
            c7 += subgroupBroadcast(a7.x, 5u) * b;
            c8 += subgroupBroadcast(a8.x, 5u) * b;
            c9 += subgroupBroadcast(a9.x, 5u) * b;
            c10 += subgroupBroadcast(a10.x, 5u) * b;
            c11 += subgroupBroadcast(a11.x, 5u) * b;
            c12 += subgroupBroadcast(a12.x, 5u) * b;
            c13 += subgroupBroadcast(a13.x, 5u) * b;
            c14 += subgroupBroadcast(a14.x, 5u) * b;
            c15 += subgroupBroadcast(a15.x, 5u) * b;
        }
        {
            let b = w[(k + 11u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.y, 5u) * b;
            c1 += subgroupBroadcast(a1.y, 5u) * b;
            c2 += subgroupBroadcast(a2.y, 5u) * b;
            c3 += subgroupBroadcast(a3.y, 5u) * b;
            c4 += subgroupBroadcast(a4.y, 5u) * b;
            c5 += subgroupBroadcast(a5.y, 5u) * b;
            c6 += subgroupBroadcast(a6.y, 5u) * b;
            c7 += subgroupBroadcast(a7.y, 5u) * b;
            c8 += subgroupBroadcast(a8.y, 5u) * b;
            c9 += subgroupBroadcast(a9.y, 5u) * b;
            c10 += subgroupBroadcast(a10.y, 5u) * b;
            c11 += subgroupBroadcast(a11.y, 5u) * b;
            c12 += subgroupBroadcast(a12.y, 5u) * b;
            c13 += subgroupBroadcast(a13.y, 5u) * b;
            c14 += subgroupBroadcast(a14.y, 5u) * b;
            c15 += subgroupBroadcast(a15.y, 5u) * b;
        }
        {
            let b = w[(k + 12u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.x, 6u) * b;
            c1 += subgroupBroadcast(a1.x, 6u) * b;
            c2 += subgroupBroadcast(a2.x, 6u) * b;
            c3 += subgroupBroadcast(a3.x, 6u) * b;
            c4 += subgroupBroadcast(a4.x, 6u) * b;
            c5 += subgroupBroadcast(a5.x, 6u) * b;
            c6 += subgroupBroadcast(a6.x, 6u) * b;
            c7 += subgroupBroadcast(a7.x, 6u) * b;
            c8 += subgroupBroadcast(a8.x, 6u) * b;
            c9 += subgroupBroadcast(a9.x, 6u) * b;
            c10 += subgroupBroadcast(a10.x, 6u) * b;
            c11 += subgroupBroadcast(a11.x, 6u) * b;
            c12 += subgroupBroadcast(a12.x, 6u) * b;
            c13 += subgroupBroadcast(a13.x, 6u) * b;
            c14 += subgroupBroadcast(a14.x, 6u) * b;
            c15 += subgroupBroadcast(a15.x, 6u) * b;
        }
        {
            let b = w[(k + 13u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.y, 6u) * b;
            c1 += subgroupBroadcast(a1.y, 6u) * b;
            c2 += subgroupBroadcast(a2.y, 6u) * b;
            c3 += subgroupBroadcast(a3.y, 6u) * b;
            c4 += subgroupBroadcast(a4.y, 6u) * b;
            c5 += subgroupBroadcast(a5.y, 6u) * b;
            c6 += subgroupBroadcast(a6.y, 6u) * b;
            c7 += subgroupBroadcast(a7.y, 6u) * b;
            c8 += subgroupBroadcast(a8.y, 6u) * b;
            c9 += subgroupBroadcast(a9.y, 6u) * b;
            c10 += subgroupBroadcast(a10.y, 6u) * b;
            c11 += subgroupBroadcast(a11.y, 6u) * b;
            c12 += subgroupBroadcast(a12.y, 6u) * b;
            c13 += subgroupBroadcast(a13.y, 6u) * b;
            c14 += subgroupBroadcast(a14.y, 6u) * b;
            c15 += subgroupBroadcast(a15.y, 6u) * b;
        }
        {
            let b = w[(k + 14u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.x, 7u) * b;
            c1 += subgroupBroadcast(a1.x, 7u) * b;
            c2 += subgroupBroadcast(a2.x, 7u) * b;
            c3 += subgroupBroadcast(a3.x, 7u) * b;
            c4 += subgroupBroadcast(a4.x, 7u) * b;
            c5 += subgroupBroadcast(a5.x, 7u) * b;
            c6 += subgroupBroadcast(a6.x, 7u) * b;
            c7 += subgroupBroadcast(a7.x, 7u) * b;
            c8 += subgroupBroadcast(a8.x, 7u) * b;
            c9 += subgroupBroadcast(a9.x, 7u) * b;
            c10 += subgroupBroadcast(a10.x, 7u) * b;
            c11 += subgroupBroadcast(a11.x, 7u) * b;
            c12 += subgroupBroadcast(a12.x, 7u) * b;
            c13 += subgroupBroadcast(a13.x, 7u) * b;
            c14 += subgroupBroadcast(a14.x, 7u) * b;
            c15 += subgroupBroadcast(a15.x, 7u) * b;
        }
        {
            let b = w[(k + 15u) * p.b_stride / 4u + b_at];
            c0 += subgroupBroadcast(a0.y, 7u) * b;
            c1 += subgroupBroadcast(a1.y, 7u) * b;
            c2 += subgroupBroadcast(a2.y, 7u) * b;
            c3 += subgroupBroadcast(a3.y, 7u) * b;
            c4 += subgroupBroadcast(a4.y, 7u) * b;
            c5 += subgroupBroadcast(a5.y, 7u) * b;
            c6 += subgroupBroadcast(a6.y, 7u) * b;
            c7 += subgroupBroadcast(a7.y, 7u) * b;
            c8 += subgroupBroadcast(a8.y, 7u) * b;
            c9 += subgroupBroadcast(a9.y, 7u) * b;
            c10 += subgroupBroadcast(a10.y, 7u) * b;
            c11 += subgroupBroadcast(a11.y, 7u) * b;
            c12 += subgroupBroadcast(a12.y, 7u) * b;
            c13 += subgroupBroadcast(a13.y, 7u) * b;
            c14 += subgroupBroadcast(a14.y, 7u) * b;
            c15 += subgroupBroadcast(a15.y, 7u) * b;
        }
    }
    var tile = array<vec4<f32>, 16>(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15);
    for (var i = 0u; i < 16u; i++) {
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

@compute @workgroup_size(8)
fn backward_w(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    let row0 = 16u * group.y;
    let col0 = 32u * group.x + 4u * lane;
    var c0 = vec4<f32>();
    var c1 = vec4<f32>();
    var c2 = vec4<f32>();
    var c3 = vec4<f32>();
    var c4 = vec4<f32>();
    var c5 = vec4<f32>();
    var c6 = vec4<f32>();
    var c7 = vec4<f32>();
    var c8 = vec4<f32>();
    var c9 = vec4<f32>();
    var c10 = vec4<f32>();
    var c11 = vec4<f32>();
    var c12 = vec4<f32>();
    var c13 = vec4<f32>();
    var c14 = vec4<f32>();
    var c15 = vec4<f32>();
    var bias = vec2<f32>();
    let a_at = row0 / 2u + lane;
    let b_at = min(col0, p.cols - 4u) / 4u;
    for (var k = 0u; k < p.depth; k += 16u) {
        {
            let b = x_in[(k + 0u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 0u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 1u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 1u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 2u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 2u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 3u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 3u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 4u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 4u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 5u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 5u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 6u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 6u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 7u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 7u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 8u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 8u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 9u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 9u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 10u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 10u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 11u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 11u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 12u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 12u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 13u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 13u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 14u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 14u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
        {
            let b = x_in[(k + 15u) * p.b_stride / 4u + b_at];
            let a = dy[(k + 15u) * p.a_stride / 2u + a_at];
            bias += a;
            c0 += subgroupBroadcast(a.x, 0u) * b;
            c1 += subgroupBroadcast(a.y, 0u) * b;
            c2 += subgroupBroadcast(a.x, 1u) * b;
            c3 += subgroupBroadcast(a.y, 1u) * b;
            c4 += subgroupBroadcast(a.x, 2u) * b;
            c5 += subgroupBroadcast(a.y, 2u) * b;
            c6 += subgroupBroadcast(a.x, 3u) * b;
            c7 += subgroupBroadcast(a.y, 3u) * b;
            c8 += subgroupBroadcast(a.x, 4u) * b;
            c9 += subgroupBroadcast(a.y, 4u) * b;
            c10 += subgroupBroadcast(a.x, 5u) * b;
            c11 += subgroupBroadcast(a.y, 5u) * b;
            c12 += subgroupBroadcast(a.x, 6u) * b;
            c13 += subgroupBroadcast(a.y, 6u) * b;
            c14 += subgroupBroadcast(a.x, 7u) * b;
            c15 += subgroupBroadcast(a.y, 7u) * b;
        }
    }
    var tile = array<vec4<f32>, 16>(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15);
    for (var i = 0u; i < 16u; i++) {
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
    if group.x == 0u {
        for (var i = 0u; i < 2u; i++) {
            let at = row0 + 2u * lane + i;
            if at < p.rows { db[at] = select(0.0, db[at], p.accumulate != 0u) + bias[i]; }
        }
    }
}
