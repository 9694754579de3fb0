// The multiply-adds of f16: y = the sum of three chains v ← v · factor + term, of 8 · rounds links each.
enable f16;

struct Probe { len: u32, rounds: u32, factor: f32, term: f32 }
@group(0) @binding(0) var<uniform> p: Probe;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

fn four(v: vec4<f16>, a: vec4<f16>, b: vec4<f16>) -> vec4<f16> {
    return fma(fma(fma(fma(v, a, b), a, b), a, b), a, b);
}

// As in f32, so that what differs is the type alone.
@compute @workgroup_size(WIDTH)
fn multiply_add_f16(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let a = vec4<f16>(f16(p.factor));
    let b = vec4<f16>(f16(p.term));
    var u = vec4<f16>(x[i]);
    var v = u + 1.0h;
    var w = u + 2.0h;
    for (var round = 0u; round < p.rounds; round++) {
        u = four(u, a, b);
        v = four(v, a, b);
        w = four(w, a, b);
        u = four(u, a, b);
        v = four(v, a, b);
        w = four(w, a, b);
    }
    y[i] = vec4<f32>(u) + vec4<f32>(v) + vec4<f32>(w);
}
