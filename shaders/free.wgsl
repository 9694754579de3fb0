// Free bits of a level of z (Kingma et al. 2016, eq. 15, level by level): where the mean over the minibatch of its log q − log p is less than
// what is free, its samples weigh nothing.

struct Free { rows: u32, images: u32, samples: u32 }
@group(0) @binding(0) var<uniform> p: Free;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> log_ratio: array<f32>;
@group(0) @binding(2) var<storage, read> above: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> gated: array<f32>;
@group(0) @binding(5) var<storage, read_write> extra: array<f32>;

// gated (images · samples) = ω or 0; extra (images) gets what is missing of it, w max(λ − K, 0). One workgroup.
@compute @workgroup_size(WIDTH)
fn gate(@builtin(local_invocation_index) lane: u32) {
    let inside = record.rows * p.samples;
    var sum = 0.0;
    for (var row = lane; row < inside; row += WIDTH) { sum += above[row] - log_ratio[row]; }
    let mean = total(lane, sum) / f32(inside);
    let counts = mean >= record.free;
    for (var row = lane; row < p.rows; row += WIDTH) { gated[row] = select(0.0, weight[row], counts); }
    let missing = record.kl_weight * max(record.free - mean, 0.0);
    for (var image = lane; image < p.images; image += WIDTH) {
        extra[image] += select(0.0, missing, image < record.rows);
    }
}
