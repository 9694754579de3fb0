// Importance weights w = p(x|z) p(z) / q(z|x) of one more z for each image, the first of its samples in nll and
// log_ratio: log w = log_ratio − nll, log_ratio being log p(z) − log q(z | x). `highest` (rows) holds the largest
// log w so far and `total` (rows) the sum of w / exp(highest), so that no exp overflows; the record's step counts
// the z of an image from zero, and the first one begins anew. Burda et al. 2016, eq. 8.

struct Importance { rows: u32, samples: u32 }
@group(0) @binding(0) var<uniform> p: Importance;
const WIDTH = 32u;

@group(0) @binding(1) var<storage, read> nll: array<f32>;
@group(0) @binding(2) var<storage, read> log_ratio: array<f32>;
@group(0) @binding(3) var<storage, read_write> highest: array<f32>;
@group(0) @binding(4) var<storage, read_write> total: array<f32>;

@compute @workgroup_size(WIDTH)
fn weigh(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = flat_index(id, groups, WIDTH);
    if row >= p.rows { return; }
    if row >= record.rows {
        highest[row] = 0.0;
        total[row] = 0.0;
        return;
    }
    let weight = log_ratio[row * p.samples] - nll[row * p.samples];
    var most = weight;
    var sum = 1.0;
    if record.step > 0u {
        most = max(weight, highest[row]);
        sum = total[row] * exp(highest[row] - most) + exp(weight - most);
    }
    highest[row] = most;
    total[row] = sum;
}
