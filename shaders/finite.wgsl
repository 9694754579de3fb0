// The guard: looks for gradients that are not finite, by the bits, before the optimiser runs.
// guard[0] is the sticky status: 1 a loss, 2 a gradient, 4 a weight or moment.

struct Finite { len: u32 }
@group(0) @binding(0) var<uniform> p: Finite;
const WIDTH = 64u;

// A gradient from 2⁶⁴ on has no finite square, and would break the second moment.
const LARGEST = 0x5f800000u;

@group(0) @binding(1) var<storage, read> grads: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> guard_words: array<atomic<u32>>;

@compute @workgroup_size(WIDTH)
fn check(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let sizes = grads[i] & vec4<u32>(0x7fffffffu);
    if any(sizes >= vec4<u32>(LARGEST)) { atomicOr(&guard_words[0], 2u); }
}
