// The sums of nll and of kl, whatever their shapes, go to the step's metric slot, with the status
// that the steps before left: this runs before the step's own gradients and weights are judged. In
// training a sum that is not finite sets the status. One workgroup.

struct Reduce { nll_len: u32, kl_len: u32, judged: u32 }
@group(0) @binding(0) var<uniform> p: Reduce;
const WIDTH = 256u;
var<workgroup> partial: array<vec2<f32>, WIDTH>;

@group(0) @binding(1) var<storage, read> nll: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> kl: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> guard_words: array<u32>;
@group(0) @binding(4) var<storage, read_write> metrics: array<vec4<f32>>;

@compute @workgroup_size(WIDTH)
fn terms(@builtin(local_invocation_index) lane: u32) {
    var recon = vec4<f32>();
    var divergence = vec4<f32>();
    for (var i = lane; i < p.nll_len; i += WIDTH) { recon += nll[i]; }
    for (var i = lane; i < p.kl_len; i += WIDTH) { divergence += kl[i]; }
    partial[lane] = vec2<f32>(dot(recon, vec4<f32>(1.0)), dot(divergence, vec4<f32>(1.0)));
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    if lane == 0u {
        let before = guard_words[0] | guard_words[1];
        let sums = partial[0];
        let bits = bitcast<vec2<u32>>(sums);
        let broken = p.judged != 0u && !(is_finite(bits.x) && is_finite(bits.y));
        metrics[record.slot] = vec4<f32>(sums, f32(before), 0.0);
        guard_words[0] = before | select(0u, 1u, broken);
    }
}
