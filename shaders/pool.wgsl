// Means of side · side places of a map x (images · height · width, channels): y (images · down · right, channels). Places
// that are left over at the lower and the right end count in none.

struct Pool {
    len: u32, images: u32, height: u32, width: u32, down: u32, right: u32, side: u32, stride: u32,
    accumulate: u32,
}
@group(0) @binding(0) var<uniform> p: Pool;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WIDTH)
fn forward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let place = i / p.stride;
    let image = place / (p.down * p.right);
    if image >= p.images {
        y[i] = 0.0;
        return;
    }
    let top = place / p.right % p.down * p.side;
    let left = place % p.right * p.side;
    var sum = 0.0;
    for (var down = 0u; down < p.side; down += 1u) {
        for (var right = 0u; right < p.side; right += 1u) {
            let at = (image * p.height + top + down) * p.width + left + right;
            sum += x[at * p.stride + i % p.stride];
        }
    }
    y[i] = sum / f32(p.side * p.side);
}

@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

// dx is that of the mean it counted in, over side · side.
@compute @workgroup_size(WIDTH)
fn backward(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = flat_index(id, groups, WIDTH);
    if i >= p.len { return; }
    let place = i / p.stride;
    let image = place / (p.height * p.width);
    let top = place / p.width % p.height / p.side;
    let left = place % p.width / p.side;
    var value = select(0.0, dx[i], p.accumulate != 0u);
    if image < p.images && top < p.down && left < p.right {
        let at = (image * p.down + top) * p.right + left;
        value += dy[at * p.stride + i % p.stride] / f32(p.side * p.side);
    }
    dx[i] = value;
}
