// The norm of all gradients goes to the step's metric slot, as the number at `place`: the root of the sum of partial
// sums of squares, which are scaled as `scaled_square` says. One workgroup.

struct Norm { len: u32, place: u32 }
@group(0) @binding(0) var<uniform> p: Norm;
const WIDTH = 256u;
const SLOT = 16u; // Floats of a slot: the status, then the numbers.
var<workgroup> partial: array<f32, WIDTH>;

@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> slots: array<f32>;

@compute @workgroup_size(WIDTH)
fn report(@builtin(local_invocation_index) lane: u32) {
    var own = vec4<f32>();
    for (var i = lane; i < p.len; i += WIDTH) { own += sums[i]; }
    partial[lane] = dot(own, vec4<f32>(1.0));
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    if lane == 0u { slots[record.slot * SLOT + 1u + p.place] = sqrt(partial[0]) / SHRINK; }
}
