// The end of a step: the sums of nll (rows) and kl (rows) go to the step's metric slot with the
// guard's status, and the tick advances. One workgroup.

struct Reduce { rows: u32 }
@group(0) @binding(0) var<uniform> p: Reduce;
const WIDTH = 64u;
var<workgroup> partial: array<vec2<f32>, WIDTH>;

@group(0) @binding(1) var<storage, read_write> clock: array<u32>;
@group(0) @binding(2) var<storage, read> nll: array<f32>;
@group(0) @binding(3) var<storage, read> kl: array<f32>;
@group(0) @binding(4) var<storage, read_write> guard_words: array<u32>;
@group(0) @binding(5) var<storage, read_write> metrics: array<vec4<f32>>;

@compute @workgroup_size(WIDTH)
fn terms(@builtin(local_invocation_index) lane: u32) {
    var sum = vec2<f32>();
    for (var row = lane; row < p.rows; row += WIDTH) { sum += vec2<f32>(nll[row], kl[row]); }
    partial[lane] = sum;
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    if lane == 0u {
        let status = guard_words[0] | guard_words[1];
        guard_words[0] = status;
        metrics[clock[0] % SLOTS] = vec4<f32>(partial[0], f32(status), 0.0);
        clock[0] += 1u;
    }
}
