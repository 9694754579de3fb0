// What `elbo bench` finds an adapter's limits with, for x and y of len: multiply_add, y = the sum of
// three chains v ← v · factor + term, of 8 · rounds links each; multiply_add_i32, the same of words,
// modulo 2³²; copy, y = x; touch, y ← y + term.

struct Probe { len: u32, rounds: u32, factor: f32, term: f32 }
@group(0) @binding(0) var<uniform> p: Probe;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

fn four(v: vec4<f32>, a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return fma(fma(fma(fma(v, a, b), a, b), a, b), a, b);
}

// Three chains of vec4 keep two units of four cycles' latency busy and fit sixteen registers.
fn chains(x: vec4<f32>) -> vec4<f32> {
    let a = vec4<f32>(p.factor);
    let b = vec4<f32>(p.term);
    var u = x;
    var v = u + 1.0;
    var w = u + 2.0;
    for (var round = 0u; round < p.rounds; round++) {
        u = four(u, a, b);
        v = four(v, a, b);
        w = four(w, a, b);
        u = four(u, a, b);
        v = four(v, a, b);
        w = four(w, a, b);
    }
    return u + v + w;
}

@compute @workgroup_size(WIDTH)
fn multiply_add(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups, WIDTH);
    if i < p.len { y[i] = chains(x[i]); }
}

// In f32, for a device without f16.
@compute @workgroup_size(WIDTH)
fn multiply_add_f16(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups, WIDTH);
    if i < p.len { y[i] = chains(x[i]); }
}

@group(0) @binding(1) var<storage, read> words: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4<u32>>;

fn link(v: vec4<u32>) -> vec4<u32> {
    return v * 1664525u + 1013904223u;
}

fn four_links(v: vec4<u32>) -> vec4<u32> {
    return link(link(link(link(v))));
}

@compute @workgroup_size(WIDTH)
fn multiply_add_i32(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    var u = words[i];
    var v = u + 1u;
    var w = u + 2u;
    for (var round = 0u; round < p.rounds; round++) {
        u = four_links(u);
        v = four_links(v);
        w = four_links(w);
        u = four_links(u);
        v = four_links(v);
        w = four_links(w);
    }
    sums[i] = u + v + w;
}

@compute @workgroup_size(WIDTH)
fn copy(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i < p.len { y[i] = x[i]; }
}

@group(0) @binding(1) var<storage, read_write> counter: array<vec4<f32>>;

@compute @workgroup_size(WIDTH)
fn touch(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i < p.len { counter[i] += vec4<f32>(p.term); }
}
