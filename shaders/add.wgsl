// y = a + b, of one shape.

struct Add { len: u32 }
@group(0) @binding(0) var<uniform> p: Add;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    y[i] = a[i] + b[i];
}
