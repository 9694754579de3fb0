// The sums over images of nll, which has so many samples of each, of kl, and of what else is minimised
// go to the step's metric slot, with the status that the steps before left: this runs before the step's
// own gradients and weights are judged. In training a sum that is not finite sets the status; what only
// looks has no objective. One workgroup.

struct Reduce { nll_len: u32, kl_len: u32, extra_len: u32, samples: u32, judged: u32 }
@group(0) @binding(0) var<uniform> p: Reduce;
const WIDTH = 128u;
var<workgroup> partial: array<vec3<f32>, WIDTH>;

@group(0) @binding(1) var<storage, read> nll: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> kl: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> guard_words: array<u32>;
@group(0) @binding(5) var<storage, read_write> metrics: array<vec4<f32>>;

fn added(v: vec4<f32>) -> f32 {
    return dot(v, vec4<f32>(1.0));
}

@compute @workgroup_size(WIDTH)
fn terms(@builtin(local_invocation_index) lane: u32) {
    var recon = vec4<f32>();
    var divergence = vec4<f32>();
    var other = vec4<f32>();
    let extra_len = select(0u, p.extra_len, p.judged != 0u);
    for (var i = lane; i < p.nll_len; i += WIDTH) { recon += nll[i]; }
    for (var i = lane; i < p.kl_len; i += WIDTH) { divergence += kl[i]; }
    for (var i = lane; i < extra_len; i += WIDTH) { other += extra[i]; }
    partial[lane] = vec3<f32>(added(recon), added(divergence), added(other));
    for (var width = WIDTH / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if lane < width { partial[lane] += partial[lane + width]; }
    }
    if lane == 0u {
        let before = guard_words[0] | guard_words[1];
        let sums = partial[0] / vec3<f32>(f32(p.samples), 1.0, 1.0);
        let bits = bitcast<vec3<u32>>(sums);
        let finite = is_finite(bits.x) && is_finite(bits.y) && is_finite(bits.z);
        metrics[record.slot] = vec4<f32>(sums.xy, f32(before), sums.z);
        guard_words[0] = before | select(0u, 1u, p.judged != 0u && !finite);
    }
}
