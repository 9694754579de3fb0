// Sums of columns over rows.

struct Columns { rows: u32, stride: u32, accumulate: u32 }
@group(0) @binding(0) var<uniform> p: Columns;
const WIDTH = 64u;

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4<f32>>;

// sums (columns) = Σ x over the rows. Four neighbouring columns a workgroup.
@compute @workgroup_size(WIDTH)
fn sum(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let four = flat_group(id, groups);
    if four >= p.stride / 4u { return; }
    var own = vec4<f32>();
    for (var row = lane; row < p.rows; row += WIDTH) { own += x[row * (p.stride / 4u) + four]; }
    let all = vec4<f32>(total(lane, own.x), total(lane, own.y), total(lane, own.z), total(lane, own.w));
    if lane == 0u { sums[four] = select(vec4<f32>(), sums[four], p.accumulate != 0u) + all; }
}
