// a += (1 − d) (w − a), elementwise: the running average a of the weights w (Polyak and Juditsky 1992;
// exponential, with d chosen by the host). Nothing changes in a step in which something broke.

struct Average { len: u32 }
@group(0) @binding(0) var<uniform> p: Average;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> guard_words: array<u32>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> a: array<vec4<f32>>;

@compute @workgroup_size(WIDTH)
fn update(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    if (guard_words[0] | guard_words[1]) != 0u { return; }
    let old = a[i];
    let value = old + record.averaging * (w[i] - old);
    // Of weights at both ends of the range the difference is not finite.
    a[i] = select(old, value, each_finite(value));
}
