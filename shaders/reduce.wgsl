// The sums of three terms over all their elements, each divided by how many of them an image has, go to
// the step's metric slot, three of its numbers from `place` on. With the first three goes the status that
// the steps before left: this runs before the step's own gradients and weights are judged. In training a
// sum that is not finite sets the status. One workgroup.

struct Reduce {
    first_len: u32, second_len: u32, third_len: u32,
    first_each: u32, second_each: u32, third_each: u32, place: u32, judged: u32,
}
@group(0) @binding(0) var<uniform> p: Reduce;
const WIDTH = 128u;
const SLOT = 16u; // Floats of a slot: the status, then the numbers.
var<workgroup> partial: array<vec3<f32>, WIDTH>;

@group(0) @binding(1) var<storage, read> first: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> second: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> third: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> guard_words: array<u32>;
@group(0) @binding(5) var<storage, read_write> slots: array<f32>;

fn added(v: vec4<f32>) -> f32 {
    return dot(v, vec4<f32>(1.0));
}

@compute @workgroup_size(WIDTH)
fn terms(@builtin(local_invocation_index) lane: u32) {
    var a = vec4<f32>();
    var b = vec4<f32>();
    var c = vec4<f32>();
    for (var i = lane; i < p.first_len; i += WIDTH) { a += first[i]; }
    for (var i = lane; i < p.second_len; i += WIDTH) { b += second[i]; }
    for (var i = lane; i < p.third_len; i += WIDTH) { c += third[i]; }
    partial[lane] = vec3<f32>(added(a), added(b), added(c));
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    if lane == 0u {
        let before = guard_words[0] | guard_words[1];
        let each = vec3<u32>(p.first_each, p.second_each, p.third_each);
        let sums = partial[0] / vec3<f32>(each);
        let bits = bitcast<vec3<u32>>(sums);
        let finite = is_finite(bits.x) && is_finite(bits.y) && is_finite(bits.z);
        let slot = record.slot * SLOT;
        if p.place == 0u { slots[slot] = f32(before); }
        let at = slot + 1u + p.place;
        slots[at] = sums.x;
        slots[at + 1u] = sums.y;
        slots[at + 2u] = sums.z;
        guard_words[0] = before | select(0u, 1u, p.judged != 0u && !finite);
    }
}
